"""What becomes of a trial, and where the next one goes.

From the last equilibrium to the trial runs a secant of every grain's nearness to the astroid: it
tells whether the trial is at the root, and foretells which root is next. Axes, paths, states and
trials as in `continuation`.
"""

from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_micromag.physics.solver.step_control import at, where
from keras_micromag.physics.solver.stoner_wohlfarth import at_least

_SETTLED = 6e-5
"""Change of a moment's component in the last iteration, up to which an equilibrium serves for
slopes."""

_TELLING = 0.3
"""Share of the way to the astroid from which its slope foretells."""

_LEAST_RATE = 1e-3
"""Of the nearness to the astroid per tesla, from which a root is foretold."""

_APART = 1e-3
"""How far apart two fields must be for a secant, over the longest step."""

_FAR = 0.6
"""Share of the way to the astroid up to which steps may be twice as long."""

_PATIENCE = 8
"""Trials after which steps are cut to a fourth."""


class Secant(NamedTuple):
    """From the last equilibrium to the trial."""

    apart: Any  # (b,) whether they are far enough apart for one
    far: Any  # (b,) how far, in tesla; 1 where they are not
    slope: Any  # (b, 3, g) of the moments per tesla
    rate: Any  # (b, g) of the nearness per tesla; both the old ones where there are no new


def secants(path, state, trial):
    """From the last equilibrium to the trial, where they are far enough apart."""
    away = state.field - state.node_field
    apart = ~(state.settling > 0) & (ops.abs(away) > _APART * path.longest)
    far = ops.where(apart, away, ops.ones_like(away))
    telling = (trial.near > _TELLING) & (state.near > _TELLING) & apart[:, None]
    return Secant(
        apart,
        far,
        where(apart, (trial.moments - state.node) / far[:, None, None], state.slope),
        ops.where(telling, (trial.near - state.near) / far[:, None], state.rate),
    )


class Fate(NamedTuple):
    """What has come of the trial: (b,) each."""

    searching: Any  # it was none in an avalanche
    again: Any  # more grains flip in the avalanche
    over: Any  # the avalanche is over
    root: Any  # here the next one begins
    arrived: Any  # it is an equilibrium
    close: Any  # a root is as good as found
    lost: Any  # nothing is found, however short the step, or the leg ends just before a root
    off: Any  # tesla, from here to the root


def fate(path, state, trial, secant, end, direction):
    """What has come of the trial.

    Args:
        end, direction: (b,) of the leg that it is on.
    """
    dtype = state.tau.dtype
    avalanching = state.settling > 0
    searching = ~avalanching
    # In an avalanche: flip, or be done with it, as soon as either is certain.
    more = ops.any(trial.unstable > 0.5, axis=1)
    over = (trial.certain & ~more) | trial.exhausted
    again = trial.certain & more & ~trial.exhausted

    # Between two: at the root, at an equilibrium, or neither.
    forward = at(secant.rate, trial.worst) * direction
    off = (1.0 - trial.nearest) / at_least(forward, _LEAST_RATE)
    # Trials may go round the root, where moments that go as a root themselves act back on it.
    patience = ops.cast(state.relaxing, dtype) * (1.0 / _PATIENCE)
    resolution = path.resolution * (1.0 + patience * patience)
    beyond = off > direction * (end - state.field)
    root = searching & (ops.abs(off) < resolution) & (state.moved < 20.0 * resolution)
    root = root & ops.equal(trial.worst, state.aim) & ~beyond
    # What is left to change moves the root by about as many tesla.
    close = ops.abs(off) < 20.0 * at_least(trial.change, path.resolution)
    arrived = searching & (trial.nearest < 1.0) & (trial.change <= _SETTLED) & ~close
    # So be it, and see what the moments do there.
    lost = (state.step < path.resolution) | trial.exhausted
    lost = lost | (beyond & close & ops.equal(state.field, end))
    lost = searching & lost & ~(root | arrived)
    return Fate(
        searching,
        avalanching & again,
        avalanching & over,
        root,
        arrived,
        close,
        lost,
        direction * off,
    )


class Slopes(NamedTuple):
    """Along which the next trial lies."""

    slope: Any  # (b, 3, g) of the moments per tesla
    rate: Any  # (b, g) of the nearness per tesla
    bend: Any  # (b, 3, g) second divided difference of the moments
    curved: Any  # (b,) whether that counts


def slopes(state, trial, secant, fate, flipped):
    """At a new equilibrium those of the parabola through three; old ones after an avalanche."""
    curved = fate.arrived & (state.nodes >= 2) & secant.apart & (secant.far * state.span > 0)
    whole = ops.where(curved, secant.far + state.span, ops.ones_like(secant.far))
    bend = (secant.slope - state.before) / whole[:, None, None]
    curve = (secant.rate - state.nearing) / whole[:, None]
    tangent = where(curved, secant.rate + curve * secant.far[:, None], secant.rate)
    tangent = ops.where(trial.near > _TELLING, tangent, ops.zeros_like(tangent))
    unflipped = 1.0 - flipped
    return Slopes(
        where(fate.over, state.slope * unflipped[:, None], secant.slope),
        where(fate.over, state.rate * unflipped, where(fate.arrived, tangent, secant.rate)),
        bend,
        curved,
    )


def longest_step(path, state, trial, secant, fate, node, trials):
    """(b,) how far the next trial may be from the last equilibrium, in tesla."""
    away = ops.abs(state.field - state.node_field)
    tired = fate.searching & ops.equal(trials % _PATIENCE, _PATIENCE - 1) & ~fate.close
    wide = ops.where(trial.nearest < _FAR, 2.0 * ops.ones_like(away), ops.ones_like(away))
    longest = at_least(ops.abs(state.field) - path.high, path.longest * wide)
    longer = ops.minimum(2.0 * at_least(state.step, path.resolution), longest)
    step = ops.where(node, longer, ops.where(tired, 0.25 * away, state.step))
    # A root as good as found shall not lie just beyond a short step.
    return ops.where(fate.searching & fate.close, longer, step)


def aim(path, state, trial, fate, rate, step, node, leg):
    """The nearest of the roots that are foreseen, or as far as a step may be.

    Args:
        rate: (b, g) of the nearness. step: (b,). node: (b,) field of the last equilibrium.
        leg: (b,) on which it is.

    Returns:
        The grain (b,) that is first, the field (b,) to try next, and whether that root is at or
        before the equilibrium (b,), which was none then: most often an avalanche not over.
    """
    leg = ops.minimum(leg, path.legs - 1)
    towards, stop = ops.take(path.direction, leg), ops.take(path.ends, leg)
    near, forward = trial.near, rate * towards[:, None]
    never = ops.zeros_like(near) + np.inf
    distance = (1.0 - near) / at_least(forward, _LEAST_RATE)
    hopeless = (near < 1.0) & (forward < 1e-6 * _LEAST_RATE)
    distance = ops.where(hopeless | (near < _TELLING), never, distance)
    first = ops.cast(ops.argmin(distance, axis=1), "int32")
    ahead = at(distance, first) + towards * (state.field - node)
    early = fate.searching & (ahead <= 0) & ~(fate.root | fate.arrived)
    ahead = at_least(ops.minimum(ahead, step), 0.125 * ops.abs(state.field - node))
    ahead = at_least(ahead, 0.5 * path.resolution)
    target = ops.where(ahead >= towards * (stop - node), stop, node + towards * ahead)
    return first, ops.where(early, node, target), early
