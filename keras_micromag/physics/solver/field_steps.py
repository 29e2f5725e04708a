"""Algorithm 1 as a compiled loop: every magnet of a batch goes along the field at its own pace.

An iteration is one product with the demagnetising operator for all magnets, one Euler step of every
particle and the decision, per magnet, what to do next: go on relaxing, flip the unstable grains, or
write the equilibrium down and move on. A magnet that moves on starts from moments extrapolated in
the field (not over a flip, which would switch grains that are stable), so most fields need a single
product.

Far from any switching a magnet may stride over several fields at once; those between get the
quadratic through three equilibria. See `step_control`.

Axes: b magnets, g grains, and their particles in c columns of p rows, see `layout`. Columns come
last, since all work but the product is element-wise over (b, p, c), with axes that vary along c.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_micromag.physics.solver import step_control
from keras_micromag.physics.solver.layout import Columns, Exchange
from keras_micromag.physics.solver.relaxation import (
    MOST_ITERATIONS,
    damped,
    flip,
    foreseen,
    relax,
)
from keras_micromag.utils.backend import (
    compiled,
    few_threads,
    namespace,
    one_hot,
    set_row,
    sum_over,
    while_loop,
)

ITERATIONS = 64
"""Iterations per call of the compiled function; between calls the host collects the equilibria."""


class Body(NamedTuple):
    """Grains and materials of magnets, whatever their easy axes; NumPy arrays.

    A leading 1 stands for any number of magnets; else there are b.
    """

    product: Any  # with the demagnetising operator, see field.products: fields at n places
    columns: Columns  # the layout of the particles at those places
    direction: Any  # (3, 1, 1) of the applied field
    strength: Any  # (b, 1, g) polarisation of the grains in tesla
    exchange: Exchange  # the fields of neighbours at the particles
    softness: Any  # (b, 1, 1, c) reciprocal anisotropy fields of the columns, 1/T; 0 on padding
    thermal: Any  # (b, k, c) by how much heat shrinks the astroid, see physics.thermal
    turn: Any  # (b,) how much a moment's component may change over a stride
    coupling: Any  # (b, g) how strongly the field of the moments turns each, see relaxation
    patience: Any  # (b,) int, iterations before steps are damped, see relaxation
    longest: Any  # (b, 1) how far a stride may go, in tesla


class Magnet(NamedTuple):
    """The constants of a loop."""

    product: Any  # these ten as in Body
    columns: Columns
    direction: Any
    strength: Any
    exchange: Exchange
    softness: Any
    thermal: Any
    turn: Any
    coupling: Any
    patience: Any
    easy_axes: Any  # (b, 3, g)
    field: Any  # (b, t) in tesla
    reach: Any  # (b, t) int, index of the last field that a stride from here may end on
    end: Any  # () int, how many of these fields count: the others are padding
    tol: Any  # () largest change of a moment's component
    max_iterations: Any  # () products per field


class State(NamedTuple):
    """The state that a magnet carries from one iteration to the next."""

    target: Any  # (b,) index of the field being solved; `Magnet.end` when all are done
    origin: Any  # (b,) index of the field solved before; -1 at first
    branch: Any  # (b, g) ±1: the moment lies in the well around branch * easy axis
    tau: Any  # (b, p, c) tan(φ/2) of the particles
    moments: Any  # (b, 3, g) trial moments
    last: Any  # (b, 3, g) equilibrium at the field before
    slope: Any  # (b, 3, g) its first and
    bend: Any  # (b, 3, g) second divided difference with those before it
    last_field: Any  # (b,) in tesla
    field_before: Any  # (b,) in tesla, one earlier
    smooth: Any  # (b,) number of equilibria in a row that no flip divides
    flipped: Any  # (b, g) how often the grain flipped at this field
    change: Any  # (b,) of the moments in the last iteration
    outside: Any  # (b, g) in the last iteration, see `relaxation`
    products: Any  # (b,) spent on this field
    relaxing: Any  # (b,) of these, since the last flip
    damping: Any  # (b,) the same, or at a flip back to the first damped step


class Record(NamedTuple):
    """The output of an iteration: an equilibrium, and its divided differences."""

    target: Any  # (b,) index of the field, -1 if nothing was reached
    origin: Any  # (b,) index of the equilibrium before
    moments: Any  # (b, 3, g)
    slope: Any  # (b, 3, g) divided differences: the states between origin and target
    bend: Any  # (b, 3, g)
    products: Any  # (b,)
    converged: Any  # (b,) 0 where max_iterations was spent first


def magnet(
    body: Body, easy_axes, field, tol: float, max_iterations: int, end: int | None = None
) -> Magnet:
    """Return the constants of a loop, for `start`, and as tensors for `advance` and `whole_loop`.

    Args:
        easy_axes: (b, 3, g). field: (b, t) in tesla. Both NumPy arrays or both tensors: on JAX each
            operation outside of compiled code is compiled, on its own and for every shape.
        end: how many fields count, if not all; the others repeat the last of these.
    """
    _, easy_axes, field = namespace(easy_axes, field)
    end = field.shape[1] if end is None else end
    return Magnet(
        *body[:-1],
        easy_axes=easy_axes,
        field=field,
        reach=step_control.reach(field, body.longest, end),
        end=end,
        tol=tol,
        max_iterations=max_iterations,
    )


def start(magnet: Magnet, branch) -> State:
    """Return the state before the first field: moments along their branches.

    Args:
        magnet, branch: (b, g) ±1; NumPy arrays or tensors.

    Notes:
        A magnet with an axis or a field that is not finite is done from the start: it would spend
        all iterations on every field.
    """
    xp, axes = namespace(magnet.easy_axes)
    vectors, grains = xp.zeros_like(axes), xp.zeros_like(branch)
    zeros, count = vectors[:, 0, 0], xp.zeros_like(magnet.reach[:, 0])
    finite = xp.isfinite(xp.sum(axes, axis=(1, 2)) + xp.sum(magnet.field, axis=1))
    return State(
        target=xp.where(finite, count, count + magnet.end),
        origin=count - 1,
        branch=branch,
        tau=grains[:, :1, None] + xp.zeros_like(magnet.columns.weights),
        moments=branch[:, None] * axes,
        last=vectors,
        slope=vectors,
        bend=vectors,
        last_field=zeros,
        field_before=zeros,
        smooth=count,
        flipped=grains,
        change=zeros,
        outside=grains,
        products=count,
        relaxing=count,
        damping=count,
    )


def advance(magnet: Magnet, state: State, avalanche: str) -> tuple[State, Record]:
    """Run up to `ITERATIONS` iterations.

    Returns:
        The new state, and the records of all iterations, stacked along a new first axis.
    """
    return compiled_advance(avalanche)(magnet, state)


@cache
def compiled_advance(avalanche: str):
    """Return `advance`, compiled for one kind of avalanche."""
    return compiled(lambda magnet, state: _advance(magnet, state, avalanche))


def _advance(magnet, state, avalanche):
    b, _, g = ops.shape(magnet.easy_axes)
    dtype = state.tau.dtype

    # A tensor for each: PyTorch writes the slices in place.
    def counts():
        return ops.zeros((ITERATIONS, b), "int32")

    def vectors():
        return ops.zeros((ITERATIONS, b, 3, g), dtype)

    with few_threads(state):
        records = Record(
            target=counts() - 1,
            origin=counts(),
            moments=vectors(),
            slope=vectors(),
            bend=vectors(),
            products=counts(),
            converged=counts(),
        )
    return recorded(_iterate, _unfinished, state, records, magnet, avalanche)


def recorded(iterate, unfinished, state, records, *constants):
    """Run up to `ITERATIONS` iterations, and write their outputs into `records`.

    Args:
        iterate: (state, *constants) -> (state, record). unfinished: (state, *constants) -> whether
            to go on. Functions of a module.
        records: a named tuple like the record, with a further first axis. PyTorch writes on it.
    """
    zero = ops.convert_to_tensor(0, "int32")
    variables = (zero, state, records)
    return while_loop(_goes_on, _iterate_and_write, variables, iterate, unfinished, constants)[1:]


def _goes_on(i, state, records, iterate, unfinished, constants):
    return (i < ITERATIONS) & unfinished(state, *constants)


def _iterate_and_write(i, state, records, iterate, unfinished, constants):
    state, record = iterate(state, *constants)
    written = (set_row(rows, i, row) for rows, row in zip(records, record, strict=True))
    return i + 1, state, type(records)(*written)


def whole_loop(magnet: Magnet, branch, avalanche: str):
    """Compute all states of the loop without the host: for graphs. Compile it, see `compiled`.

    Returns:
        (b, t, 3, g); NaN where a field found no equilibrium within `max_iterations`.
    """
    b, t = ops.shape(magnet.field)[0], magnet.field.shape[1]
    lead = ops.arange(b, dtype="int32") * (t + 1)

    def by_field(part):
        # (b·(t + 1), ...) from part (b, ...); what is no equilibrium goes to the slot t.
        return ops.repeat(ops.zeros_like(part), t + 1, axis=0)

    state = start(magnet, branch)
    parts = ("origin", "moments", "slope", "bend")
    empty = tuple(by_field(getattr(state, part)) for part in parts)
    reached = by_field(state.target), by_field(state.target)

    def body(state, written):
        state, records = _advance(magnet, state, avalanche)
        slot = ops.where(records.target >= 0, records.target, 0 * records.target + t) + lead
        slot = ops.reshape(slot, (-1, 1))
        new = [ops.ones_like(records.target), records.converged]
        new += [getattr(records, part) for part in parts]
        return state, tuple(
            ops.scatter_update(slots, slot, ops.reshape(part, (-1, *part.shape[2:])))
            for slots, part in zip(written, new, strict=True)
        )

    _, written = ops.while_loop(
        lambda state, written: _unfinished(state, magnet), body, (state, reached + empty)
    )
    written = [ops.reshape(part, (-1, t + 1, *part.shape[1:]))[:, :t] for part in written]
    return _fill_strides(magnet, *written)


def _fill_strides(magnet, reached, converged, origin, moments, slope, bend):
    """Return (b, t, 3, g): the equilibria, and the states that magnets strode over.

    Args:
        reached, converged: (b, t) 1 where an equilibrium was written, and where it is one.
        origin: (b, t) index of the equilibrium before.
        moments, slope, bend: (b, t, 3, g) of the equilibria, and their divided differences.
    """
    t = magnet.field.shape[1]
    # A field that was strode over belongs to the next equilibrium after it.
    index = ops.zeros_like(reached) + ops.arange(t, dtype="int32")
    target = _next_equilibrium(reached, index)
    converged = ops.take_along_axis(converged * reached, target, axis=1) > 0
    origin = ops.take_along_axis(origin, target, axis=1)
    origin = ops.maximum(origin, ops.zeros_like(origin))
    back = magnet.field - ops.take_along_axis(magnet.field, target, axis=1)
    before = magnet.field - ops.take_along_axis(magnet.field, origin, axis=1)
    which = target[:, :, None, None]
    moments, slope, bend = (
        ops.take_along_axis(part, which, axis=1) for part in (moments, slope, bend)
    )
    between = step_control.interpolate(
        moments, slope, bend, back[:, :, None, None], before[:, :, None, None]
    )
    norm = ops.sqrt(sum_over(between * between, axis=2))[:, :, None]
    moments = ops.where(ops.equal(which, index[:, :, None, None]), moments, between / norm)
    nan = ops.zeros_like(moments) + ops.convert_to_tensor(np.nan, moments.dtype)
    return ops.where(converged[:, :, None, None], moments, nan)


def _next_equilibrium(reached, index):
    """Return (b, t) the index of the first equilibrium at or after each field; t - 1 if none is."""
    t = reached.shape[1]
    target = ops.where(reached > 0, index, 0 * index + t - 1)
    # A minimum over all later fields, by doubling: ops.associative_scan fails on TensorFlow's XLA.
    ahead = 1
    while ahead < t:
        later = ops.concatenate([target[:, ahead:], target[:, -1:] + index[:, :ahead] * 0], axis=1)
        target = ops.minimum(target, later)
        ahead *= 2
    return target


def _unfinished(state, magnet, *_):
    return ops.any(state.target < magnet.end)


class _Trial(NamedTuple):
    """What one product with the operator tells of the trial state."""

    field: Any  # (b,) in tesla, of the trial
    moments: Any  # (b, 3, g)
    tau: Any  # (b, p, c)
    furthest: Any  # (b, g) of the astroid, see `relaxation`
    outside: Any  # (b, g) the same, above 1 where the grain is to flip
    change: Any  # (b,) largest change of a moment's component in this iteration
    converged: Any  # (b,) whether moments and particles are at rest
    unstable: Any  # (b, g) 1 for the grains to flip
    any_unstable: Any  # (b,)


class _Decision(NamedTuple):
    """What each magnet does next: at most one of these; none is to go on relaxing."""

    reached: Any  # (b,) write the state down and move on
    retreat: Any  # (b,) try half the stride
    flipping: Any  # (b,) flip the unstable grains
    converged: Any  # (b,) the state is an equilibrium of the stride
    trusted: Any  # (b,) the next stride may be as long
    longer: Any  # (b,) and even twice as long


def _iterate(state, magnet, avalanche):
    dtype = state.tau.dtype
    active = state.target < magnet.end
    target = ops.minimum(state.target, magnet.end - 1)
    trial = _try(magnet, state, step_control.at(magnet.field, target), avalanche)
    products = state.products + 1
    decision = _decide(magnet, state, trial, target, active, products)

    flips = trial.unstable * ops.cast(decision.flipping, dtype)[:, None]
    moments = damped(magnet, state.damping, state.moments, trial.moments)
    state = flip(magnet, state, moments, trial.tau, flips)
    state = state._replace(change=trial.change, outside=trial.outside, products=products)
    on = step_control.move_on(
        magnet, state, trial.moments, trial.field, decision.trusted, decision.longer
    )
    halved = ops.where(decision.retreat, step_control.half_stride(state), state.target)
    new = step_control.select(decision.reached, on, state._replace(target=halved))
    moves = decision.reached | decision.retreat
    begins = moves | decision.flipping
    none = ops.zeros_like(products)
    # Steps once damped remain so over the flips of a field.
    undamped = moves | (state.damping < magnet.patience)
    first = ops.where(undamped, none, none + magnet.patience)
    new = new._replace(
        moments=step_control.where(moves, step_control.trial_moments(magnet, new), new.moments),
        relaxing=ops.where(begins, none, state.relaxing + 1),
        damping=ops.where(begins, first, state.damping + 1),
    )
    # Not `full_like`: on PyTorch it reads its number back, and waits for a GPU.
    nothing = ops.zeros_like(target) - 1
    return new, Record(
        target=ops.where(decision.reached, target, nothing),
        origin=state.origin,
        moments=trial.moments,
        slope=on.slope,
        bend=on.bend,
        products=products,
        converged=ops.cast(decision.converged & ~trial.any_unstable, "int32"),
    )


def _try(magnet, state, field, avalanche):
    """Take one product with the operator, and tell what it says of the trial state."""
    moments, tau, furthest, outside, moving = relax(magnet, state, field, state.damping)
    change = ops.max(ops.abs(moments - state.moments), axis=(1, 2))
    unstable = ops.cast(outside > 1.0, state.tau.dtype)
    if avalanche == "weakest_first":
        weakest = one_hot(ops.argmax(outside, axis=1), outside.shape[1], unstable.dtype)
        unstable = unstable * weakest
    return _Trial(
        field,
        moments,
        tau,
        furthest,
        outside,
        change,
        (change <= magnet.tol) & ~moving,
        unstable,
        ops.any(outside > 1.0, axis=1),
    )


def _decide(magnet, state, trial, target, active, products):
    """Decide what each magnet does next.

    A stride is trusted where the equilibrium at its end is the extrapolated one to within the
    tolerance of `step_control`, and where nothing in between can have switched. Else its magnet
    retreats, as it does where the end of the stride takes more than four iterations.
    """
    striding = (target > state.origin + 1) & active
    extrapolated = step_control.extrapolate(state, trial.field)
    surprise = ops.max(ops.abs(trial.moments - extrapolated), axis=(1, 2))
    far_from_switching = ops.max(trial.furthest, axis=1) < step_control.STABLE
    turn = ops.max(ops.abs(trial.moments - state.last), axis=(1, 2))
    safe = far_from_switching & (turn <= magnet.turn)
    trusted = (surprise <= 6.0 * magnet.tol) & safe
    longer = (surprise <= magnet.tol) & safe
    exhausted = (products >= magnet.max_iterations) & ~striding

    retreat = striding & ((trial.converged & ~trusted) | (state.relaxing >= 4))
    converged = trial.converged & ~retreat
    reached = active & ((converged & ~trial.any_unstable) | exhausted)
    ready = converged | foreseen(
        magnet, state, state.damping, trial.change, trial.outside, trial.unstable
    )
    ready = ready | (state.relaxing >= MOST_ITERATIONS)
    flipping = ready & trial.any_unstable & ~reached & ~striding
    return _Decision(reached, retreat, flipping, converged, trusted, longer)
