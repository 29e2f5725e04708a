"""Continuation of a magnet's states in the applied field, from one avalanche to the next.

Between two avalanches the equilibrium is a smooth function of the field. It is followed with a
predictor and a corrector, and not solved at given fields. An iteration takes one product with the
demagnetising operator for all magnets, each at its own field.

The test function is the switching ratio of each grain, the field at its weakest particle over the
switching field in the same direction (Eq. 2): it grows nearly linearly with the field, and its root
is where it is 1, on the astroid. Secants of it predict which grain becomes unstable first, and at
which field. The next trial is made there, with moments extrapolated along their slopes, so that the
root is found while the moments still relax. Where the predicted root is beyond the longest step, or
beyond the end of a segment, the trial relaxes to an equilibrium instead, a node, from which the
slopes are taken anew.

At the root the grain flips, and the avalanche runs at that field: the weakest unstable grain flips
next, as soon as it is certain which one that is. An avalanche may end before the moments have
converged: they go on relaxing during the next trials.

Axes as in `field_steps`: b magnets, g grains, particles in c columns of p rows. A path has
segments, along each of which the field is monotonic.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_micromag.physics.solver import field_steps, relaxation
from keras_micromag.physics.solver.events import prediction
from keras_micromag.physics.solver.step_control import LONGEST_STRIDE, at, where
from keras_micromag.utils.backend import compiled, few_threads, one_hot

NODE, FLIP = 1, 2
"""Kinds of records: an equilibrium, or grains that flip."""

LONGEST_STEP = 2 * LONGEST_STRIDE
"""Distance of a trial from the last node at most, in units of the smallest anisotropy field."""

HIGH = 2.0
"""Field, over the largest anisotropy field and polarisation together, above which no grain flips:
a step may go down to there at once."""


class Path(NamedTuple):
    """The path of the field, and its tolerances; all magnets share it.

    Arrays of segments may be longer than their number, so that paths share compiled code.
    """

    segments: Any  # () int, number of segments
    start: Any  # () tesla
    ends: Any  # (segments or more,) tesla, end of each segment
    direction: Any  # (segments or more,) ±1
    longest: Any  # (b,) longest step in tesla, up to the field `high`
    high: Any  # () tesla, above which steps may be longer
    root_tol: Any  # () tesla, to which the fields of flips are found


class State(NamedTuple):
    """The state that a magnet carries from one iteration to the next."""

    segment: Any  # (b,) int; the number of segments when all are done
    avalanching: Any  # (b,) int, 1 in an avalanche and at first: the field is held
    field: Any  # (b,) of the trial, tesla
    branch: Any  # (b, g) ±1: the moment lies in the well around branch * easy axis
    tau: Any  # (b, p, c) tan(φ/2) of the particles
    moments: Any  # (b, 3, g) of the trial
    node_moments: Any  # (b, 3, g) at the last node since the last avalanche
    node_slope: Any  # (b, 3, g) divided difference of the moments from the node before it
    node_ratio: Any  # (b, g) switching ratio at the last node
    node_ratio_slope: Any  # (b, g) its divided difference from the node before
    node_field: Any  # (b,) of the last node, tesla
    node_spacing: Any  # (b,) from the node before, tesla
    nodes: Any  # (b,) int, number of nodes since the last avalanche
    slope: Any  # (b, 3, g) of the moments, per tesla
    ratio_slope: Any  # (b, g) of the switching ratio, per tesla
    step: Any  # (b,) largest distance of a trial from the node, tesla
    trial_spacing: Any  # (b,) distance of the last two trials, tesla
    next_grain: Any  # (b,) int, the grain that is predicted to flip at the trial
    flipped: Any  # (b, g) how often the grain flipped in this avalanche
    holds: Any  # (b,) int, avalanches in a row in which no grain flipped
    delays: Any  # (b,) int, avalanches in a row that followed one another at the shortest steps
    change: Any  # (b,) largest change of a moment's component in the last iteration
    outside: Any  # (b, g) in the last iteration, see `relaxation`
    products: Any  # (b,) matvecs since the last record
    relaxing: Any  # (b,) of these, since the last flip or node


class Record(NamedTuple):
    """The output of an iteration: a node, flips, or neither."""

    kind: Any  # (b,) NODE, FLIP, or 0 if neither
    segment: Any  # (b,)
    field: Any  # (b,) of the trial, tesla
    root_offset: Any  # (b,) tesla, from the trial to the root beside it; 0 if at none
    moments: Any  # (b, 3, g) of the equilibrium, or before the flip
    flips: Any  # (b, g) 1 where grains flip
    change: Any  # (b,) largest change of a moment's component in this iteration
    matvecs: Any  # (b,) since the last record
    converged: Any  # (b,) 0 where max_iterations was spent first


def start(magnet: field_steps.Magnet, path: Path, branch) -> State:
    """Return the state before the first iteration: moments along their branches; all NumPy."""
    vectors = np.zeros_like(magnet.easy_axes)
    grains, zeros = vectors[:, 0], vectors[:, 0, 0]
    count = zeros.astype(int)
    return State(
        segment=count,
        avalanching=count + 1,
        field=zeros + path.start,
        branch=branch,
        tau=grains[:, :1, None] + np.zeros_like(magnet.columns.weights),
        moments=branch[:, None] * magnet.easy_axes,
        node_moments=vectors,
        node_slope=vectors,
        node_ratio=grains,
        node_ratio_slope=grains,
        node_field=zeros,
        node_spacing=zeros,
        nodes=count,
        slope=vectors,
        ratio_slope=grains,
        step=zeros + np.maximum(path.longest, abs(path.start) - path.high),
        trial_spacing=zeros,
        next_grain=count,
        flipped=grains,
        holds=count,
        delays=count,
        change=zeros,
        outside=grains,
        products=count,
        relaxing=count,
    )


def advance(
    magnet: field_steps.Magnet, path: Path, state: State, avalanche: str
) -> tuple[State, Record]:
    """Run up to `field_steps.ITERATIONS` iterations.

    Returns:
        The new state, and the records of all iterations, stacked along a new first axis.
    """
    return _compiled(avalanche)(magnet, path, state)


@cache
def _compiled(avalanche):
    return compiled(lambda magnet, path, state: _advance(magnet, path, state, avalanche))


def _advance(magnet, path, state, avalanche):
    b, _, g = ops.shape(magnet.easy_axes)
    dtype, n = state.tau.dtype, field_steps.ITERATIONS
    with few_threads(state):
        records = Record(
            kind=ops.zeros((n, b), "int32"),
            segment=ops.zeros((n, b), "int32"),
            field=ops.zeros((n, b), dtype),
            root_offset=ops.zeros((n, b), dtype),
            moments=ops.zeros((n, b, 3, g), dtype),
            flips=ops.zeros((n, b, g), dtype),
            change=ops.zeros((n, b), dtype),
            matvecs=ops.zeros((n, b), "int32"),
            converged=ops.zeros((n, b), "int32"),
        )
    return field_steps.recorded(_iterate, _unfinished, state, records, magnet, path, avalanche)


def _unfinished(state, magnet, path, avalanche):
    return ops.any(state.segment < path.segments)


class _Trial(NamedTuple):
    """The trial state after one product with the operator."""

    moments: Any  # (b, 3, g)
    tau: Any  # (b, p, c)
    outside: Any  # (b, g) above 1 where a grain is unstable, see `relaxation`
    ratio: Any  # (b, g) switching ratio
    weakest_grain: Any  # (b,) int, the grain whose ratio is largest
    largest_ratio: Any  # (b,) its ratio
    weakest: Any  # (b, g) 1 for that grain
    unstable: Any  # (b, g) 1 for the grains to flip, in an avalanche
    change: Any  # (b,) largest change of a moment's component
    certain: Any  # (b,) whether exactly these grains will be unstable once the moments converge
    matvecs: Any  # (b,) int, since the last record
    exhausted: Any  # (b,) whether max_iterations is spent


class _Decision(NamedTuple):
    """What a magnet does at the trial: record a node, flip grains, or neither."""

    active: Any  # (b,) whether a part of the path is left
    flips: Any  # (b, g) 1 for the grains that flip
    flip: Any  # (b,) whether any does
    node: Any  # (b,) whether the trial becomes a node


class _Plan(NamedTuple):
    """Where the next trial is, and the slopes that lead there."""

    relaxing: Any  # (b,) int, iterations since the last flip or node
    predictor: prediction.Predictor
    step: Any  # (b,) largest distance of a trial from the node, tesla
    node_field: Any  # (b,) tesla
    segment: Any  # (b,) int
    next_grain: Any  # (b,) int, predicted to flip first
    field: Any  # (b,) of the next trial, tesla
    hold: Any  # (b,) whether the field is held there, as in an avalanche


def _iterate(state, magnet, path, avalanche):
    """Return the state after one product with the operator, and the record of this iteration."""
    active = state.segment < path.segments
    segment = ops.minimum(state.segment, path.segments - 1)
    trial = _evaluate_trial(magnet, state, avalanche)
    secant = prediction.secants(path, state, trial)
    end, direction = ops.take(path.ends, segment), ops.take(path.direction, segment)
    outcome = prediction.outcome(path, state, trial, secant, end, direction)
    decision = _decide(trial, outcome, active)
    record = _record(state, trial, outcome, decision, segment)
    damped = relaxation.damped(magnet, state.relaxing, state.moments, trial.moments)
    turned = relaxation.flip(magnet, state, damped, trial.tau, decision.flips)
    plan = _plan(magnet, path, state, trial, secant, outcome, decision, turned.flipped, end)
    new = _move_trial(state, turned, damped, secant, outcome, decision, plan)
    new = _update_node(new, state, trial, secant, outcome, decision, plan)
    return _update_counters(path, new, state, trial, outcome, decision, plan), record


def _evaluate_trial(magnet, state, avalanche):
    """Take one product with the operator at the trial field."""
    moments, tau, _, outside, moving = relaxation.relax(magnet, state, state.field, state.relaxing)
    change = ops.max(ops.abs(moments - state.moments), axis=(1, 2))
    # A root: `outside` goes as the square of the field.
    ratio = ops.sqrt(outside)
    weakest_grain = ops.cast(ops.argmax(ratio, axis=1), "int32")
    weakest = one_hot(weakest_grain, ratio.shape[1], ratio.dtype)
    unstable = ops.cast(outside > 1.0, ratio.dtype)
    if avalanche == "weakest_first":
        unstable = unstable * weakest
    converged = (change <= magnet.tol) & ~moving
    # The forecast serves only where a grain has flipped. Where none has, as at the end of a segment
    # beside a root, the moments converge more slowly than it assumes.
    # Nor where one rests after its last flip, which has moved it as far as any.
    begun = ops.any(state.flipped > 0.5, axis=1) & ops.all(relaxation.may_flip(state), axis=1)
    iterations = state.relaxing
    foreseen = begun & relaxation.foreseen(magnet, state, iterations, change, outside, unstable)
    matvecs = state.products + 1
    return _Trial(
        moments=moments,
        tau=tau,
        outside=outside,
        ratio=ratio,
        weakest_grain=weakest_grain,
        largest_ratio=at(ratio, weakest_grain),
        weakest=weakest,
        unstable=unstable,
        change=change,
        certain=converged | foreseen,
        matvecs=matvecs,
        exhausted=matvecs >= magnet.max_iterations,
    )


def _decide(trial, outcome, active):
    """Decide which grains flip, and whether the trial becomes a node."""
    dtype = trial.tau.dtype
    flips = trial.unstable * ops.cast(outcome.continues, dtype)[:, None]
    flips = flips + trial.weakest * ops.cast(outcome.root, dtype)[:, None]
    flips = flips * ops.cast(active, dtype)[:, None]
    flip = ops.any(flips > 0.5, axis=1)
    node = (outcome.ended | outcome.equilibrium) & active
    return _Decision(active, flips, flip, node)


def _record(state, trial, outcome, decision, segment):
    """Return what the host is to know of this iteration."""
    nothing = ops.zeros_like(segment)
    kind = ops.where(decision.node, nothing + NODE, nothing)
    kind = ops.where(decision.flip, nothing + FLIP, kind)
    no_root = ops.zeros_like(outcome.root_offset)
    return Record(
        kind=kind,
        segment=segment,
        field=state.field,
        root_offset=ops.where(outcome.root, outcome.root_offset, no_root),
        moments=trial.moments,
        flips=decision.flips,
        change=trial.change,
        matvecs=trial.matvecs,
        converged=ops.cast(~trial.exhausted | decision.flip, "int32"),
    )


def _plan(magnet, path, state, trial, secant, outcome, decision, flipped, end):
    """Choose the field of the next trial.

    Args:
        flipped: (b, g) how often the grain flipped in this avalanche. end: (b,) of the segment.
    """
    count = ops.zeros_like(state.relaxing)
    relaxing = ops.where(decision.node | decision.flip, count, state.relaxing + 1)
    predictor = prediction.predictor(state, trial, secant, outcome, flipped)
    step = prediction.longest_step(
        path, state, trial, outcome, decision.node, relaxing, ops.equal(magnet.patience, 0)
    )
    node_field = ops.where(decision.node, state.field, state.node_field)
    segment = _next_segment(path, state, trial, outcome, decision.node, end)
    next_grain, field, early = prediction.next_trial(
        path, state, trial, outcome, predictor.ratio_slope, step, node_field, segment
    )
    hold = outcome.failed | early
    return _Plan(relaxing, predictor, step, node_field, segment, next_grain, field, hold)


def _next_segment(path, state, trial, outcome, node, end):
    """Return (b,) the segment of the next trial: a node at the end of one ends it."""
    segment = ops.where(node & ops.equal(state.field, end), state.segment + 1, state.segment)
    # A magnet whose avalanche does not converge within max_iterations is given up.
    given_up = outcome.ended & trial.exhausted
    return ops.where(given_up, ops.zeros_like(segment) + path.segments, segment)


def _move_trial(state, turned, damped, secant, outcome, decision, plan):
    """Return the state at the next trial, with moments extrapolated along the predictor.

    Args:
        turned: the state after the flips of this iteration. damped: (b, 3, g) its moments before.
    """
    moving = decision.active & (outcome.ended | outcome.between) & ~(decision.flip | outcome.failed)
    distance = plan.field - state.field
    slope = prediction.chord(plan.predictor, secant.span, distance)
    predicted = damped + slope * distance[:, None, None]
    zero = ops.zeros_like(plan.segment)
    avalanching = ops.where(outcome.ended, zero, state.avalanching)
    return turned._replace(
        segment=plan.segment,
        avalanching=ops.where(decision.flip | plan.hold, zero + 1, avalanching),
        field=ops.where(moving, plan.field, state.field),
        moments=where(moving, predicted, turned.moments),
        slope=slope,
        ratio_slope=plan.predictor.ratio_slope,
        step=plan.step,
        trial_spacing=where(moving, ops.abs(distance), state.trial_spacing),
        next_grain=plan.next_grain,
    )


def _update_node(new, state, trial, secant, outcome, decision, plan):
    """Return the state `new` with the trial as its last node, where it became one.

    Divided differences and the spacing stay those of before at the first node after an avalanche.
    """
    nodes = ops.where(outcome.equilibrium, state.nodes + 1, state.nodes)
    return new._replace(
        node_moments=where(decision.node, trial.moments, state.node_moments),
        node_slope=where(outcome.equilibrium, secant.slope, state.node_slope),
        node_ratio=where(decision.node, trial.ratio, state.node_ratio),
        node_ratio_slope=where(outcome.equilibrium, secant.ratio_slope, state.node_ratio_slope),
        node_field=plan.node_field,
        node_spacing=ops.where(outcome.equilibrium, secant.span, state.node_spacing),
        nodes=ops.where(outcome.ended, ops.ones_like(nodes), nodes),
    )


def _update_counters(path, new, state, trial, outcome, decision, plan):
    """Return the state `new` with what the next iteration compares itself with."""
    zero = ops.zeros_like(plan.relaxing)
    none = ops.zeros_like(new.flipped)
    # A grain that may not flip again rests until the next equilibrium.
    resting = ops.where(relaxation.may_flip(new), none, new.flipped)
    flipped = where(outcome.ended, resting, new.flipped)
    holds = ops.where(outcome.ended, new.holds + 1, new.holds)
    soon = 2.0 * prediction.shortest_step(path, state.delays)
    soon = (state.nodes <= 1) & (ops.abs(state.field - state.node_field) <= soon)
    delays = ops.where(soon, state.delays + 1, zero)
    return new._replace(
        flipped=where(outcome.equilibrium, none, flipped),
        holds=ops.where(decision.flip | outcome.equilibrium, zero, holds),
        delays=ops.where(outcome.ended, delays, state.delays),
        change=trial.change,
        outside=trial.outside,
        products=ops.where(decision.flip | decision.node, zero, trial.matvecs),
        relaxing=ops.where(plan.hold, zero, plan.relaxing),
    )
