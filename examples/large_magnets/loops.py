"""Loops of magnets of equal cubes."""

import numpy as np

from keras_micromag import physics
from keras_micromag.physics.microstructure.particles import PAPER_DEPTH

BATCH = 2**14
"""Number of grains in a batch: enough to keep the cores busy, few enough for the memory."""


def batches(shape, magnets, field, seed):
    """Yield loops of magnets of one shape, each with easy axes of its own, in batches."""
    # Particles and operator are the same for all sizes, and exact to rounding.
    body = physics.cubic_grains(shape, depth=PAPER_DEPTH, scheme=("vertices",))
    operator = physics.demag_operator(body, "lattice", self_field=False)
    easy = physics.random_easy_axes((magnets, len(body)), seed=seed)
    for axes in np.array_split(easy, min(magnets, -(-magnets * len(body) // BATCH))):
        yield physics.simulate(
            body,
            axes,
            field=field,
            self_field=False,
            avalanche="simultaneous",
            operator=operator,
            progress=False,
        )
