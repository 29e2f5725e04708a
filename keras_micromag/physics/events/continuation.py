"""From avalanche to avalanche: the field at which the next grain loses its equilibrium.

A magnet's states are followed as a function of the field, not from one given field to the next. An
iteration is one product with the demagnetising operator for all magnets, each at its own field. It
tells of every grain how far its field is inside the astroid, as a number that grows nearly linearly
with the field and is 1 on the astroid; secants of it foretell which grain gets there first, and
where. The next trial is there, field and moments moved along their slopes together, so that the
root is found while the moments still relax. On the way, where no step may be that long, and where a
leg of the path ends, equilibria are settled, from which slopes are taken.

At the root the grain flips, and the avalanche runs at that field: the weakest unstable grain next,
as soon as it is certain which. An avalanche that is over need not have settled: what is left of it
relaxes on the way to the next.

Axes as in `solver`: b magnets, p particles, g grains. A path has l legs, along each of which the
field runs one way.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_micromag.physics import solver
from keras_micromag.physics.graph import compiled
from keras_micromag.physics.strides import LONGEST_STRIDE, at, where

NODE, FLIP = 1, 2
"""What a record tells: an equilibrium, or grains that flip."""

LONGEST_STEP = 2 * LONGEST_STRIDE
"""How far the next trial may be from the last equilibrium, in units of the smallest anisotropy
field."""

_SETTLED = 3e-5
"""Change of a moment's component in the last iteration, up to which an equilibrium serves for
slopes."""

_TELLING = 0.3
"""Share of the way to the astroid from which its slope foretells."""

_APART = 1e-3
"""How far apart two fields must be for a secant, over the longest step."""

_FAR = 0.6
"""Share of the way to the astroid up to which steps may be twice as long."""

_PATIENCE = 8
"""Trials after which steps are cut to a fourth."""


class Path(NamedTuple):
    """Where the field goes, and how closely; tensors of `magnet`'s dtype, shared by all magnets.

    Of legs there may be more than count, so that paths share compiled code.
    """

    legs: Any  # () int, how many count: l
    start: Any  # () tesla
    ends: Any  # (l or more,) tesla, of each leg
    direction: Any  # (l or more,) ±1
    longest: Any  # (b,) step in tesla
    resolution: Any  # () tesla, to which the fields of flips are found


class State(NamedTuple):
    """What a magnet carries from one iteration to the next."""

    leg: Any  # (b,) int; l when all are done
    settling: Any  # (b,) int, 1 in an avalanche: the field stands still
    field: Any  # (b,) of the trial, tesla
    branch: Any  # (b, g) ±1: the moment lies in the well around branch * easy axis
    tau: Any  # (b, p, g) tan(φ/2) of the particles
    moments: Any  # (b, 3, g) of the trial
    node: Any  # (b, 3, g) last equilibrium since the last avalanche
    before: Any  # (b, 3, g) the divided difference that led to it
    near: Any  # (b, g) how near to the astroid it was,
    nearing: Any  # (b, g) and the divided difference that led to it
    node_field: Any  # (b,) tesla
    span: Any  # (b,) from the one before, tesla
    nodes: Any  # (b,) int, how many since the last avalanche
    slope: Any  # (b, 3, g) of the moments
    rate: Any  # (b, g) of the nearness, both per tesla
    step: Any  # (b,) how far a trial may be from the node, tesla
    moved: Any  # (b,) between the last two trials, tesla
    aim: Any  # (b,) int, the grain that is foreseen to flip there
    flipped: Any  # (b, g) 1 where the grain flipped in this avalanche
    change: Any  # (b,) of the moments in the last iteration
    outside: Any  # (b, g) of the astroid in the last iteration, see `solver`
    products: Any  # (b,) since the last record
    relaxing: Any  # (b,) of these, since the last flip or move


class Record(NamedTuple):
    """What an iteration leaves behind."""

    kind: Any  # (b,) NODE, FLIP, or 0 if neither
    leg: Any  # (b,)
    field: Any  # (b,) tesla
    off: Any  # (b,) from there to the root, which no trial hits exactly, in tesla; 0 if at none
    moments: Any  # (b, 3, g) of the equilibrium, or before the flip
    flips: Any  # (b, g) 1 where grains flip
    change: Any  # (b,) of the moments in this iteration
    products: Any  # (b,) since the last record
    converged: Any  # (b,) 0 where max_iterations was spent first


def start(magnet: solver.Magnet, path: Path, branch) -> State:
    """The state before anything: moments along their branches, at the first field."""
    vectors = ops.zeros_like(magnet.easy_axes)
    grains, zeros = vectors[:, 0], vectors[:, 0, 0]
    count = ops.cast(zeros, "int32")
    return State(
        leg=count,
        settling=count + 1,
        field=zeros + path.start,
        branch=branch,
        tau=grains[:, None] + ops.zeros_like(magnet.weights),
        moments=branch[:, None] * magnet.easy_axes,
        node=vectors,
        before=vectors,
        near=grains,
        nearing=grains,
        node_field=zeros,
        span=zeros,
        nodes=count,
        slope=vectors,
        rate=grains,
        step=zeros + path.longest,
        moved=zeros,
        aim=count,
        flipped=grains,
        change=zeros,
        outside=grains,
        products=count,
        relaxing=count,
    )


def advance(magnet: solver.Magnet, path: Path, state: State, avalanche: str):
    """Go on by up to `solver.ITERATIONS` iterations.

    Returns:
        The new state, and the records of all iterations, stacked along a new first axis.
    """
    return _compiled(avalanche)(magnet, path, state)


@cache
def _compiled(avalanche):
    return compiled(lambda magnet, path, state: _advance(magnet, path, state, avalanche))


def _advance(magnet, path, state, avalanche):
    b, _, g = ops.shape(magnet.easy_axes)
    dtype, n = state.tau.dtype, solver.ITERATIONS
    records = Record(
        kind=ops.zeros((n, b), "int32"),
        leg=ops.zeros((n, b), "int32"),
        field=ops.zeros((n, b), dtype),
        off=ops.zeros((n, b), dtype),
        moments=ops.zeros((n, b, 3, g), dtype),
        flips=ops.zeros((n, b, g), dtype),
        change=ops.zeros((n, b), dtype),
        products=ops.zeros((n, b), "int32"),
        converged=ops.zeros((n, b), "int32"),
    )
    return solver.recorded(
        lambda state: _iterate(magnet, path, state, avalanche),
        lambda state: ops.any(state.leg < path.legs),
        state,
        records,
    )


def _iterate(magnet, path, state, avalanche):
    dtype = state.tau.dtype
    legs = path.legs
    active = state.leg < legs
    leg = ops.minimum(state.leg, legs - 1)
    direction, end = ops.take(path.direction, leg), ops.take(path.ends, leg)
    avalanching = state.settling > 0
    searching = ops.logical_not(avalanching)

    moments, tau, outside, unsettled = solver.relax(magnet, state, state.field)
    change = ops.max(ops.abs(moments - state.moments), axis=(1, 2))
    near = ops.sqrt(outside)
    worst = ops.cast(ops.argmax(near, axis=1), "int32")
    nearest = at(near, worst)
    one = ops.ones_like(change)
    weakest = ops.one_hot(worst, near.shape[1], dtype=dtype)

    # In an avalanche: flip, or be done with it, as soon as either is certain.
    unstable = ops.cast(outside > 1.0, dtype)
    if avalanche == "weakest_first":
        unstable = unstable * weakest
    any_unstable = ops.any(unstable > 0.5, axis=1)
    settled = ops.logical_and(change <= magnet.tol, ops.logical_not(unsettled))
    certain = ops.logical_or(settled, solver.foreseen(state, change, outside, unstable))
    products = state.products + 1
    exhausted = products >= magnet.max_iterations
    over = ops.logical_and(avalanching, ops.logical_and(certain, ops.logical_not(any_unstable)))
    over = ops.logical_or(over, ops.logical_and(avalanching, exhausted))
    again = ops.logical_and(avalanching, ops.logical_and(certain, any_unstable))
    again = ops.logical_and(again, ops.logical_not(exhausted))

    # Between two: at the root, at an equilibrium, or neither.
    away = state.field - state.node_field
    apart = ops.logical_and(searching, ops.abs(away) > _APART * path.longest)
    far = ops.where(apart, away, one)
    telling = ops.logical_and(near > _TELLING, state.near > _TELLING)
    telling = ops.logical_and(telling, apart[:, None])
    slope = where(apart, (moments - state.node) / far[:, None, None], state.slope)
    rate = ops.where(telling, (near - state.near) / far[:, None], state.rate)
    least = 1e-3 * one
    forward = at(rate, worst) * direction
    off = (1.0 - nearest) / ops.where(forward > least, forward, least)
    # Trials may go round the root, where moments that go as a root themselves act back on it.
    patience = ops.cast(state.relaxing, dtype) * (1.0 / _PATIENCE)
    resolution = path.resolution * (1.0 + patience * patience)
    root = ops.abs(off) < resolution
    root = ops.logical_and(root, state.moved < 20.0 * resolution)
    root = ops.logical_and(root, ops.equal(worst, state.aim))
    root = ops.logical_and(root, searching)
    arrived = ops.logical_and(nearest < 1.0, change <= _SETTLED)
    # What is left to change moves the root by about as many tesla.
    close = ops.abs(off) < 20.0 * ops.where(change > path.resolution, change, path.resolution)
    arrived = ops.logical_and(arrived, ops.logical_and(searching, ops.logical_not(close)))
    # Nothing is found, however short the step: so be it, and see what the moments do there.
    lost = ops.logical_and(searching, state.step < path.resolution)
    lost = ops.logical_or(lost, ops.logical_and(searching, exhausted))
    lost = ops.logical_and(lost, ops.logical_not(ops.logical_or(root, arrived)))

    flips = unstable * ops.cast(again, dtype)[:, None]
    flips = flips + weakest * ops.cast(root, dtype)[:, None]
    flips = flips * ops.cast(active, dtype)[:, None]
    flip = ops.any(flips > 0.5, axis=1)
    node = ops.logical_and(ops.logical_or(over, arrived), active)
    kind = ops.where(flip, FLIP, ops.where(node, NODE, ops.zeros_like(leg)))
    record = Record(
        kind,
        leg,
        state.field,
        ops.where(root, direction * off, ops.zeros_like(off)),
        moments,
        flips,
        change,
        products,
        ops.cast(ops.logical_or(ops.logical_not(exhausted), flip), "int32"),
    )

    turned = solver.flip(magnet, state, moments, tau, flips)
    flipped = turned.flipped
    unflipped = 1.0 - flipped

    # Slopes at a new equilibrium: of the parabola through three; old ones after an avalanche.
    third = ops.logical_and(arrived, ops.logical_and(state.nodes >= 2, apart))
    third = ops.logical_and(third, far * state.span > 0)
    whole = ops.where(third, far + state.span, one)
    bend = (slope - state.before) / whole[:, None, None]
    curve = (rate - state.nearing) / whole[:, None]
    tangent = where(third, rate + curve * far[:, None], rate)
    tangent = ops.where(near > _TELLING, tangent, ops.zeros_like(tangent))
    slope_on = where(over, state.slope * unflipped[:, None], slope)
    rate_on = where(over, state.rate * unflipped, where(arrived, tangent, rate))
    at_node = ops.where(node, state.field, state.node_field)
    trials = ops.where(ops.logical_or(node, flip), 0, state.relaxing + 1)
    tired = ops.logical_and(ops.equal(trials % _PATIENCE, _PATIENCE - 1), ops.logical_not(close))
    tired = ops.logical_and(tired, searching)
    longest = path.longest * ops.where(nearest < _FAR, 2.0 * one, one)
    longer = ops.minimum(2.0 * state.step, longest)
    step = ops.where(node, longer, ops.where(tired, 0.25 * ops.abs(away), state.step))
    # A root as good as found shall not lie just beyond a short step.
    step = ops.where(ops.logical_and(searching, close), longer, step)

    # A node at the end of a leg ends it.
    finished = ops.logical_and(node, ops.equal(state.field, end))
    leg_on = ops.where(finished, state.leg + 1, state.leg)
    # A magnet that finds no equilibrium is given up.
    leg_on = ops.where(ops.logical_and(over, exhausted), ops.zeros_like(leg_on) + legs, leg_on)
    next_leg = ops.minimum(leg_on, legs - 1)
    towards, stop = ops.take(path.direction, next_leg), ops.take(path.ends, next_leg)

    # The nearest of the roots that are foreseen.
    forward = rate_on * towards[:, None]
    never = ops.zeros_like(near) + np.inf
    small = 1e-3 * ops.ones_like(near)
    distance = (1.0 - near) / ops.where(forward > small, forward, small)
    hopeless = ops.logical_and(near < 1.0, forward < 1e-6 * small)
    hopeless = ops.logical_or(hopeless, near < _TELLING)
    distance = ops.where(hopeless, never, distance)
    aim = ops.cast(ops.argmin(distance, axis=1), "int32")
    ahead = at(distance, aim) + towards * (state.field - at_node)
    # A root at or before the equilibrium, which was none then: most often an avalanche not over.
    early = ops.logical_and(searching, ahead <= 0)
    early = ops.logical_and(early, ops.logical_not(ops.logical_or(root, arrived)))
    ahead = ops.minimum(ahead, step)
    back = 0.125 * ops.abs(state.field - at_node)
    ahead = ops.where(ahead > back, ahead, back)
    least_step = 0.5 * path.resolution + 0.0 * ahead
    ahead = ops.where(ahead > least_step, ahead, least_step)
    target = at_node + towards * ahead
    target = ops.where(ahead >= towards * (stop - at_node), stop, target)
    target = ops.where(early, at_node, target)
    going = ops.logical_and(active, ops.logical_or(over, searching))
    going = ops.logical_and(going, ops.logical_not(ops.logical_or(flip, lost)))
    moved = where(going, ops.abs(target - state.field), state.moved)
    # The next trial from an equilibrium is on the parabola through the last three.
    way = target - state.field
    slope_on = slope_on + where(third, bend * (way + far)[:, None, None], ops.zeros_like(bend))
    new_moments = where(going, moments + slope_on * way[:, None, None], turned.moments)
    zeros = ops.zeros_like(state.nodes)
    new = turned._replace(
        leg=leg_on,
        settling=ops.where(
            ops.logical_or(ops.logical_or(flip, lost), early),
            zeros + 1,
            ops.where(over, zeros, state.settling),
        ),
        field=ops.where(going, target, state.field),
        moments=new_moments,
        node=where(node, moments, state.node),
        before=where(arrived, slope, state.before),
        near=where(node, near, state.near),
        nearing=where(arrived, rate, state.nearing),
        node_field=at_node,
        span=ops.where(arrived, far, state.span),
        nodes=ops.where(over, zeros + 1, ops.where(arrived, state.nodes + 1, state.nodes)),
        slope=slope_on,
        rate=rate_on,
        step=step,
        moved=moved,
        aim=aim,
        flipped=where(over, ops.zeros_like(flipped), flipped),
        change=change,
        outside=outside,
        products=ops.where(ops.logical_or(flip, node), zeros, products),
        relaxing=ops.where(ops.logical_or(lost, early), zeros, trials),
    )
    return new, record
