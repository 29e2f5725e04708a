"""Loops by events and in field steps, and the differences between them."""

from functools import partial
from typing import NamedTuple

import numpy as np

from keras_micromag import physics

REVERSAL = (-2.4, -7.0)  # T, between which all grains flip
BATCH = 20  # magnets: the states of the finest steps are large

_simulate = partial(physics.simulate, self_field=False, progress=False)


class Loops(NamedTuple):
    """Loops without their states."""

    coercivities: np.ndarray
    switching_fields: np.ndarray
    together: float  # mean number of grains that flip at a field, or in an avalanche


def by_events(body, axes, order):
    return _simulate(body, axes, field=[8.0, -8.0], method="events", avalanche=order)


def in_steps(body, axes, step, order):
    first, last = REVERSAL
    count = round((first - last) / step) + 1
    field = np.concatenate([[8.0], np.linspace(first, last, count)])
    parts = [
        _simulate(body, batch, field=field, avalanche=order)
        for batch in np.array_split(axes, -(-len(axes) // BATCH))
    ]
    fields = np.concatenate([part.switching_fields for part in parts])
    together = fields.size / sum(len(set(own)) for own in fields)
    return Loops(np.concatenate([part.coercivity() for part in parts]), fields, together)


def difference(loops, exact, step):
    """Return the columns of the table: `loops` compared with `exact`, alike to within a step."""
    if isinstance(loops, physics.Hysteresis):
        loops = Loops(loops.coercivity(), loops.switching_fields, loops.events.sizes.mean())
    error = loops.coercivities - exact.coercivity()
    # In steps a grain flips up to a step later.
    delay = exact.switching_fields - loops.switching_fields
    alike = (delay > -1e-4) & (delay < step + 1e-4)
    rms = np.sqrt(np.mean(error**2))
    shares = alike.mean(), alike.all(axis=1).mean()
    return np.array([rms, error.mean(), np.abs(error).max(), *shares, loops.together])
