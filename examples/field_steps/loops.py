"""Loops by events and in steps of the field, and how far these are from those."""

from typing import NamedTuple

import numpy as np

from keras_micromag import physics

REVERSAL = (-2.4, -7.0)  # T, in which all grains flip
AT_ONCE = 20  # magnets: the states of the finest steps are large


class Loops(NamedTuple):
    """What is compared of loops, without their states."""

    coercivities: np.ndarray
    switching_fields: np.ndarray
    together: float  # grains that flip at a field, or in an avalanche, where any do


def by_events(body, axes, order):
    return physics.simulate(
        body, axes, field=[8.0, -8.0], method="events", avalanche=order, progress=False
    )


def in_steps(body, axes, step, order):
    first, last = REVERSAL
    count = round((first - last) / step) + 1
    field = np.concatenate([[8.0], np.linspace(first, last, count)])
    parts = [
        physics.simulate(body, some, field=field, avalanche=order, progress=False)
        for some in np.array_split(axes, -(-len(axes) // AT_ONCE))
    ]
    fields = np.concatenate([part.switching_fields for part in parts])
    together = fields.size / sum(len(set(own)) for own in fields)
    return Loops(np.concatenate([part.coercivity() for part in parts]), fields, together)


def difference(loops, exact, step):
    """Columns of the table: `loops` against the hysteresis `exact`, alike if apart by a step."""
    if isinstance(loops, physics.Hysteresis):
        loops = Loops(loops.coercivity(), loops.switching_fields, loops.events.sizes.mean())
    apart = loops.coercivities - exact.coercivity()
    # A step tells a field up to its own length later.
    late = exact.switching_fields - loops.switching_fields
    alike = (late > -1e-4) & (late < step + 1e-4)
    rms = np.sqrt(np.mean(apart**2))
    shares = alike.mean(), alike.all(axis=1).mean()
    return np.array([rms, apart.mean(), np.abs(apart).max(), *shares, loops.together])
