"""Loops of magnets of equal cubes."""

import numpy as np

from keras_micromag import physics

AT_ONCE = 2**14
"""Grains of all magnets in a batch: enough to keep the cores busy, few enough for the memory."""


def batches(shape, magnets, field, seed):
    """Yield loops of magnets of one shape, with other easy axes each, in batches."""
    # The same particles at every size, and products that are exact to rounding.
    body = physics.cubic_grains(shape, scheme=("vertices",))
    operator = physics.demag_operator(body, "lattice")
    easy = physics.random_easy_axes((magnets, len(body)), seed=seed)
    for axes in np.array_split(easy, min(magnets, -(-magnets * len(body) // AT_ONCE))):
        yield physics.simulate(body, axes, field=field, operator=operator, progress=False)
