"""Algorithm 1 as a compiled loop: every magnet of a batch walks through the field at its own pace.

An iteration is one product with the demagnetising operator for all magnets, one Euler step of every
particle and the decision, per magnet, what to do next: go on relaxing, flip the unstable grains, or
write the equilibrium down and move on. A magnet that moves on starts from moments extrapolated in
the field (not over a flip, which would switch grains that are stable), so most fields need a single
product.

Far from any switching even that is more than it takes: a magnet may then stride over several
fields at once, and those between get the quadratic through three equilibria. See `strides`.

Axes: b magnets, g grains, and their particles in c columns of p rows, see `columns`. Columns come
last, since all work but the product is element-wise over (b, p, c), with axes that vary along c.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_micromag.physics.solver import step_control
from keras_micromag.physics.solver.layout import Columns
from keras_micromag.physics.solver.relaxation import flip, foreseen, relax
from keras_micromag.utils.backend import compiled, namespace, sum_over

ITERATIONS = 64
"""Iterations per call of the compiled function; between calls the host collects the equilibria."""


class Body(NamedTuple):
    """What grains and materials make of magnets, whatever their easy axes; NumPy arrays.

    A leading 1 stands for any number of magnets; else there are b.
    """

    product: Any  # with the demagnetising operator, see operators.products: fields at n places
    columns: Columns  # in which the particles of those places stand
    direction: Any  # (3, 1, 1) of the applied field
    strength: Any  # (b, 1, g) polarisation of the grains in tesla
    softness: Any  # (b, 1, 1, c) reciprocal of the columns' anisotropy fields in tesla; 0 for none
    longest: Any  # (b, 1) how far a stride may go, in tesla
    turn: Any  # (b,) how much a moment's component may change over a stride


class Magnet(NamedTuple):
    """What does not change along a loop."""

    product: Any  # these seven as in Body
    columns: Columns
    direction: Any
    strength: Any
    softness: Any
    longest: Any
    turn: Any
    easy_axes: Any  # (b, 3, g)
    field: Any  # (b, t) in tesla
    turns: Any  # (b, t) int, the field's turning points before this one
    end: Any  # () int, how many of these fields count: the others make room
    tol: Any  # () largest change of a moment's component
    max_iterations: Any  # () products per field


class State(NamedTuple):
    """What a magnet carries from one iteration to the next."""

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
    flipped: Any  # (b, g) 1 where the grain flipped at this field
    change: Any  # (b,) of the moments in the last iteration
    outside: Any  # (b, g) of the astroid in the last iteration, see `relaxation`
    products: Any  # (b,) spent on this field
    relaxing: Any  # (b,) of these, since the last flip


class Record(NamedTuple):
    """What an iteration leaves behind: an equilibrium and the way that led to it."""

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
    """What `start`, and as tensors `advance` and `whole_loop`, need to know.

    Args:
        easy_axes: (b, 3, g). field: (b, t) in tesla. Both NumPy arrays or both tensors: on JAX each
            operation outside of compiled code is compiled, on its own and for every shape.
        end: how many fields count, if not all; the others repeat the last of these.
    """
    xp, easy_axes, field = namespace(easy_axes, field)
    direction = xp.sign(field[:, 1:] - field[:, :-1])
    turning = xp.where(xp.not_equal(direction[:, 1:], direction[:, :-1]), 1, 0)
    # With a 0 for the first and the last field; a single field is both.
    ends = xp.zeros_like(field[:, : min(2, field.shape[1])], dtype="int32")
    turning = xp.concatenate([ends[:, :1], turning, ends[:, 1:]], axis=1)
    return Magnet(
        *body,
        easy_axes=easy_axes,
        field=field,
        turns=xp.cumsum(turning, axis=1, dtype="int32") - turning,
        end=field.shape[1] if end is None else end,
        tol=tol,
        max_iterations=max_iterations,
    )


def start(magnet: Magnet, branch) -> State:
    """The state before the first field: moments along their branches.

    Args:
        magnet, branch: (b, g) ±1; NumPy arrays or tensors.

    Notes:
        A magnet with an axis or a field that is not finite is done from the start: it would spend
        all iterations on every field.
    """
    xp, axes = namespace(magnet.easy_axes)
    vectors, grains = xp.zeros_like(axes), xp.zeros_like(branch)
    zeros, count = vectors[:, 0, 0], xp.zeros_like(magnet.turns[:, 0])
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
    )


def advance(magnet: Magnet, state: State, avalanche: str) -> tuple[State, Record]:
    """Go on by up to `ITERATIONS` iterations.

    Returns:
        The new state, and the records of all iterations, stacked along a new first axis.
    """
    return compiled_advance(avalanche)(magnet, state)


@cache
def compiled_advance(avalanche: str):
    """`advance` for one kind of avalanche."""
    return compiled(lambda magnet, state: _advance(magnet, state, avalanche))


def _advance(magnet, state, avalanche):
    b, _, g = ops.shape(magnet.easy_axes)
    dtype = state.tau.dtype

    # A tensor for each: PyTorch writes the slices in place.
    def counts():
        return ops.zeros((ITERATIONS, b), "int32")

    def vectors():
        return ops.zeros((ITERATIONS, b, 3, g), dtype)

    records = Record(
        target=counts() - 1,
        origin=counts(),
        moments=vectors(),
        slope=vectors(),
        bend=vectors(),
        products=counts(),
        converged=counts(),
    )

    return recorded(
        lambda state: _iterate(magnet, state, avalanche),
        lambda state: _unfinished(magnet, state),
        state,
        records,
    )


def recorded(iterate, unfinished, state, records):
    """Up to `ITERATIONS` iterations, and what they leave behind, written into `records`.

    Args:
        iterate: state -> (state, record). unfinished: state -> whether to go on.
        records: a named tuple like the record, with a further first axis.
    """
    zero = ops.convert_to_tensor(0, "int32")

    def body(i, state, records):
        state, record = iterate(state)
        written = (
            ops.slice_update(whole, (i, *[zero] * (len(whole.shape) - 1)), part[None])
            for whole, part in zip(records, record, strict=True)
        )
        return i + 1, state, type(records)(*written)

    _, state, records = ops.while_loop(
        lambda i, state, records: (i < ITERATIONS) & unfinished(state),
        body,
        (zero, state, records),
    )
    return state, records


def whole_loop(magnet: Magnet, branch, avalanche: str):
    """All states of the loop, without the host: for graphs. Compile it, see `graph.compiled`.

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
        slot = ops.where(records.target >= 0, records.target, t) + lead
        slot = ops.reshape(slot, (-1, 1))
        given = [ops.ones_like(records.target), records.converged]
        given += [getattr(records, part) for part in parts]
        return state, tuple(
            ops.scatter_update(whole, slot, ops.reshape(part, (-1, *part.shape[2:])))
            for whole, part in zip(written, given, strict=True)
        )

    _, written = ops.while_loop(
        lambda state, written: _unfinished(magnet, state), body, (state, reached + empty)
    )
    written = [ops.reshape(part, (-1, t + 1, *part.shape[1:]))[:, :t] for part in written]
    reached, converged, *parts = written
    # A field that was strode over belongs to the next equilibrium after it.
    index = ops.zeros_like(reached) + ops.arange(t, dtype="int32")
    target = ops.where(reached > 0, index, t - 1)
    # A minimum over all later fields, by doubling: ops.associative_scan fails on TensorFlow's XLA.
    ahead = 1
    while ahead < t:
        later = ops.concatenate([target[:, ahead:], target[:, -1:] + index[:, :ahead] * 0], axis=1)
        target = ops.minimum(target, later)
        ahead *= 2
    converged = ops.take_along_axis(converged * reached, target, axis=1) > 0
    origin = ops.maximum(ops.take_along_axis(parts[0], target, axis=1), 0)
    back = magnet.field - ops.take_along_axis(magnet.field, target, axis=1)
    before = magnet.field - ops.take_along_axis(magnet.field, origin, axis=1)
    which = target[:, :, None, None]
    moments, slope, bend = (ops.take_along_axis(part, which, axis=1) for part in parts[1:])
    between = step_control.interpolate(
        moments, slope, bend, back[:, :, None, None], before[:, :, None, None]
    )
    norm = ops.sqrt(sum_over(between * between, axis=2))[:, :, None]
    moments = ops.where(ops.equal(which, index[:, :, None, None]), moments, between / norm)
    nan = ops.zeros_like(moments) + ops.convert_to_tensor(np.nan, moments.dtype)
    return ops.where(converged[:, :, None, None], moments, nan)


def _unfinished(magnet, state):
    return ops.any(state.target < magnet.end)


def _iterate(magnet, state, avalanche):
    dtype = state.tau.dtype
    active = state.target < magnet.end
    target = ops.minimum(state.target, magnet.end - 1)
    field = step_control.at(magnet.field, target)

    moments, tau, outside, unsettled = relax(magnet, state, field)
    change = ops.max(ops.abs(moments - state.moments), axis=(1, 2))
    settled = (change <= magnet.tol) & ~unsettled

    unstable = ops.cast(outside > 1.0, dtype)
    if avalanche == "weakest_first":
        weakest = ops.one_hot(ops.argmax(outside, axis=1), outside.shape[1], dtype=dtype)
        unstable = unstable * weakest
    any_unstable = ops.any(unstable > 0.5, axis=1)

    striding = (target > state.origin + 1) & active
    surprise = ops.max(ops.abs(moments - step_control.extrapolate(state, field)), axis=(1, 2))
    far_from_switching = ops.max(outside, axis=1) < step_control.STABLE
    turn = ops.max(ops.abs(moments - state.last), axis=(1, 2))
    safe = far_from_switching & (turn <= magnet.turn)
    trusted = (surprise <= 6.0 * magnet.tol) & safe
    longer = (surprise <= magnet.tol) & safe
    products = state.products + 1
    exhausted = (products >= magnet.max_iterations) & ~striding

    # What each magnet does next: exactly one of these, or none, which is to go on relaxing.
    retreat = striding & ((settled & ~trusted) | (state.relaxing >= 4))
    settled = settled & ~retreat
    reached = active & ((settled & ~any_unstable) | exhausted)
    ready = settled | foreseen(state, change, outside, unstable)
    flipping = ready & any_unstable & ~reached & ~striding
    flips = unstable * ops.cast(flipping, dtype)[:, None]
    state = flip(magnet, state, moments, tau, flips)
    state = state._replace(
        change=change,
        outside=outside,
        products=products,
        relaxing=ops.where(flipping, 0, state.relaxing + 1),
    )
    on, slope, bend = step_control.move_on(magnet, state, moments, field, trusted, longer)
    back = step_control.retreat(magnet, state)
    new = State(*(step_control.where(retreat, r, s) for r, s in zip(back, state, strict=True)))
    new = State(*(step_control.where(reached, o, n) for o, n in zip(on, new, strict=True)))
    # Not `full_like`: on PyTorch it reads its number back, and waits for a GPU.
    nothing = ops.zeros_like(target) - 1
    converged = ops.cast(settled & ~any_unstable, "int32")
    return new, Record(
        ops.where(reached, target, nothing), state.origin, moments, slope, bend, products, converged
    )
