"""Step control of the continuation: the outcome of a trial, and the field of the next one.

A secant of every grain's switching ratio runs from the last node to the trial. It shows whether the
trial is at the root, and predicts which root is next. Axes, paths, states and trials as in
`continuation`.
"""

from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_micromag.physics.solver.relaxation import MOST_ITERATIONS
from keras_micromag.physics.solver.step_control import at, where
from keras_micromag.physics.solver.stoner_wohlfarth import at_least
from keras_micromag.utils.backend import minimum

_NODE_TOL = 6e-5
"""Change of a moment's component in the last iteration, up to which an equilibrium serves as a
node."""

_MIN_RATIO = 0.3
"""Switching ratio above which its slope serves for predictions."""

_MIN_SLOPE = 1e-3
"""Least slope of a switching ratio per tesla in a prediction."""

_MIN_SPAN = 1e-3
"""Least distance of two fields for a secant, over the longest step."""

_FAR = 0.6
"""Switching ratio up to which steps may be twice as long."""

_PATIENCE = 8
"""Trials after which the step is cut to a fourth."""


_FALLING = 0.6, 0.97
"""Ratios of two changes of the moments between which these converge slowly, but do."""


class Secant(NamedTuple):
    """The secant from the last node to the trial."""

    valid: Any  # (b,) whether the two fields are far enough apart
    span: Any  # (b,) field of the trial less that of the node, tesla; 1 where not valid
    slope: Any  # (b, 3, g) of the moments per tesla; the state's where not valid
    ratio_slope: Any  # (b, g) of the switching ratio per tesla; the state's where not valid


def secants(path, state, trial) -> Secant:
    """Return the secants from the last node to the trial."""
    distance = state.field - state.node_field
    valid = ~(state.avalanching > 0) & (ops.abs(distance) > _MIN_SPAN * path.longest)
    span = ops.where(valid, distance, ops.ones_like(distance))
    linear = (trial.ratio > _MIN_RATIO) & (state.node_ratio > _MIN_RATIO) & valid[:, None]
    return Secant(
        valid,
        span,
        where(valid, (trial.moments - state.node_moments) / span[:, None, None], state.slope),
        ops.where(linear, (trial.ratio - state.node_ratio) / span[:, None], state.ratio_slope),
    )


class Outcome(NamedTuple):
    """The outcome of a trial; each part has shape (b,)."""

    between: Any  # the trial lies between two avalanches
    continues: Any  # in an avalanche: more grains flip
    ended: Any  # the avalanche has ended
    root: Any  # between two: at the root, where the next avalanche begins
    equilibrium: Any  # between two: the trial has relaxed
    near_root: Any  # a root is so near that the trial should go there
    failed: Any  # nothing is found with the shortest step, or the segment ends just before a root
    root_offset: Any  # tesla, from the trial to the root


def outcome(path, state, trial, secant, end, direction) -> Outcome:
    """Return the outcome of a trial.

    Args:
        end, direction: (b,) of its segment.
    """
    avalanching = state.avalanching > 0
    between = ~avalanching
    continues, ended = _avalanche_goes_on(state, trial)
    distance = _distance_to_root(trial, secant, direction)
    beyond = distance > direction * (end - state.field)
    root = between & _is_root(path, state, trial, distance, beyond)
    # The root still moves by about as many tesla as the moments will change.
    near_root = ops.abs(distance) < 20.0 * at_least(trial.change, path.root_tol)
    stable = trial.largest_ratio < 1.0
    # A root that is near by an old slope, and is not found, is none.
    near_root = near_root & (state.relaxing < MOST_ITERATIONS)
    equilibrium = between & stable & (trial.change <= _NODE_TOL) & ~near_root
    # The field is held there then, and the moments show whether an avalanche begins.
    failed = (state.step < path.root_tol) | trial.exhausted
    failed = failed | (beyond & near_root & ops.equal(state.field, end))
    failed = between & failed & ~(root | equilibrium)
    return Outcome(
        between=between,
        continues=avalanching & continues,
        ended=avalanching & ended,
        root=root,
        equilibrium=equilibrium,
        near_root=near_root,
        failed=failed,
        root_offset=direction * distance,
    )


def _avalanche_goes_on(state, trial):
    """Return (b,) whether more grains flip in an avalanche, and (b,) whether it has ended.

    Neither holds as long as that is not certain, but that grains flip in the end which are unstable
    then: their particles have no equilibrium to wait for.
    """
    more = ops.any(trial.unstable > 0.5, axis=1)
    ended = (trial.certain & ~more) | trial.exhausted
    flips = trial.certain | (state.relaxing >= MOST_ITERATIONS)
    return flips & more & ~trial.exhausted, ended


def _distance_to_root(trial, secant, direction):
    """Return (b,) tesla that the field has to go on until the weakest grain is on the astroid."""
    slope = at(secant.ratio_slope, trial.weakest_grain) * direction
    return (1.0 - trial.largest_ratio) / at_least(slope, _MIN_SLOPE)


def _is_root(path, state, trial, distance, beyond):
    """Return (b,) whether the trial is at the root of the predicted grain, on its segment."""
    dtype = state.tau.dtype
    # Near a root the moments go as the square root of the distance, so that trials may oscillate
    # around it: the tolerance grows with their number.
    patience = ops.cast(state.relaxing, dtype) * (1.0 / _PATIENCE)
    tol = path.root_tol * (1.0 + patience * patience)
    root = (ops.abs(distance) < tol) & (state.trial_spacing < 20.0 * tol)
    return root & ops.equal(trial.weakest_grain, state.next_grain) & ~beyond


class Predictor(NamedTuple):
    """The slopes along which the next trial lies."""

    slope: Any  # (b, 3, g) of the moments per tesla
    ratio_slope: Any  # (b, g) of the switching ratio per tesla
    curvature: Any  # (b, 3, g) second divided difference of the moments
    quadratic: Any  # (b,) whether the curvature counts


def predictor(state, trial, secant, outcome, flipped) -> Predictor:
    """Return the parabola through three nodes, else a secant; old slopes after an avalanche.

    Args:
        flipped: (b, g) how often the grain flipped in this avalanche: it has no slope yet.
    """
    quadratic = outcome.equilibrium & (state.nodes >= 2) & secant.valid
    # Not across a turning point of the field.
    quadratic = quadratic & (secant.span * state.node_spacing > 0)
    width = ops.where(quadratic, secant.span + state.node_spacing, ops.ones_like(secant.span))
    curvature = (secant.slope - state.node_slope) / width[:, None, None]
    ratio_curvature = (secant.ratio_slope - state.node_ratio_slope) / width[:, None]
    tangent = secant.ratio_slope + ratio_curvature * secant.span[:, None]
    tangent = where(quadratic, tangent, secant.ratio_slope)
    old = ~secant.valid & (state.relaxing >= MOST_ITERATIONS)
    known = (trial.ratio > _MIN_RATIO) & ~old[:, None]
    tangent = ops.where(known, tangent, ops.zeros_like(tangent))
    unflipped = ops.cast(flipped < 0.5, flipped.dtype)
    ratio_slope = where(outcome.equilibrium, tangent, secant.ratio_slope)
    return Predictor(
        slope=where(outcome.ended, state.slope * unflipped[:, None], secant.slope),
        ratio_slope=where(outcome.ended, state.ratio_slope * unflipped, ratio_slope),
        curvature=curvature,
        quadratic=quadratic,
    )


def chord(predictor, span, distance):
    """Return (b, 3, g) the mean slope of the moments from the trial to `distance` (b,) beyond.

    Args:
        span: (b,) of the secant that leads to the trial.
    """
    straight = ops.zeros_like(predictor.curvature)
    bend = predictor.curvature * (distance + span)[:, None, None]
    return predictor.slope + where(predictor.quadratic, bend, straight)


def longest_step(path, state, trial, outcome, node, relaxing, damped):
    """Return (b,) the largest distance of the next trial from the last node, in tesla.

    It doubles at each node, up to a limit that is higher far from the astroid and above the fields
    in which grains flip. It is cut to a fourth of the present distance whenever trials have not led
    to a root or a node for some time.

    Args:
        node: (b,) whether the trial becomes a node. relaxing: (b,) trials since the last one.
        damped: (b,) whether steps are damped from the first.
    """
    distance = ops.abs(state.field - state.node_field)
    stuck = outcome.between & ops.equal(relaxing % _PATIENCE, _PATIENCE - 1) & ~outcome.near_root
    # Where moments converge as slowly as beside the hard axis, a shorter step is no better; nor
    # where they are damped, which brings them to rest in time.
    slowly = trial.change < _FALLING[1] * state.change
    slowly = slowly & (trial.change > _FALLING[0] * state.change)
    stuck = stuck & ~(slowly | damped | (relaxing >= 4 * _PATIENCE))
    factor = 2.0 * ops.ones_like(distance)
    factor = ops.where(trial.largest_ratio < _FAR, factor, ops.ones_like(distance))
    limit = at_least(ops.abs(state.field) - path.high, path.longest * factor)
    doubled = minimum(2.0 * at_least(state.step, path.root_tol), limit)
    step = ops.where(node, doubled, ops.where(stuck, 0.25 * distance, state.step))
    # The field is held again and again for a root that a longer trial sees before the node.
    step = ops.where(outcome.ended & (state.holds >= 2), 0.25 * state.trial_spacing, step)
    # A root that is as good as found must not lie just beyond a short step.
    return ops.where(outcome.between & outcome.near_root, doubled, step)


def shortest_step(path, delays):
    """Return (b,) the least distance of the next trial from the last node, in tesla.

    It doubles with every eight avalanches that followed one another so soon, as in a grain that is
    unstable on both branches: else the field would take millions of steps.

    Args:
        delays: (b,) int, number of such avalanches.
    """
    doublings = ops.cast(delays, path.ends.dtype) * (1.0 / _PATIENCE)
    least = 0.5 * path.root_tol * ops.exp(float(np.log(2.0)) * doublings)
    return minimum(least, path.longest)


def next_trial(path, state, trial, outcome, ratio_slope, step, node_field, segment):
    """Return where the next trial is: at the first predicted root, or as far as a step may go.

    Args:
        ratio_slope: (b, g) of the switching ratio, per tesla. step: (b,) longest, tesla.
        node_field: (b,) tesla. segment: (b,) of the next trial.

    Returns:
        The grain (b,) whose root is first, the field (b,) of the next trial, and whether that root
        is at or before the node (b,): the node was no equilibrium then, most often since its
        avalanche had not ended.
    """
    segment = ops.minimum(segment, path.segments - 1)
    direction, end = ops.take(path.direction, segment), ops.take(path.ends, segment)
    distances = _distances_to_roots(trial.ratio, ratio_slope * direction[:, None])
    grain = ops.cast(ops.argmin(distances, axis=1), "int32")
    from_node = at(distances, grain) + direction * (state.field - node_field)
    early = outcome.between & (from_node <= 0) & ~(outcome.root | outcome.equilibrium)
    # Towards the node by no more than seven eighths of the way, or no secant is left.
    least = 0.125 * ops.abs(state.field - node_field)
    from_node = at_least(minimum(from_node, step), least)
    from_node = at_least(from_node, shortest_step(path, state.delays))
    target = node_field + direction * from_node
    target = ops.where(from_node >= direction * (end - node_field), end, target)
    # Where moments do not come to rest, neither do predicted roots: the trial waits for them.
    waits = outcome.between & (state.relaxing >= MOST_ITERATIONS) & (trial.change > _NODE_TOL)
    waits = waits & ~(outcome.root | outcome.failed)
    early = early & ~waits
    target = ops.where(waits, state.field, target)
    return grain, ops.where(early, node_field, target), early


def _distances_to_roots(ratio, slope):
    """Return (b, g) tesla from the trial to the predicted root of each grain; inf for none.

    Args:
        slope: (b, g) of the ratio per tesla, in the direction in which the field goes.
    """
    never = ops.zeros_like(ratio) + np.inf
    distance = (1.0 - ratio) / at_least(slope, _MIN_SLOPE)
    receding = (ratio < 1.0) & (slope < 1e-6 * _MIN_SLOPE)
    return ops.where(receding | (ratio < _MIN_RATIO), never, distance)
