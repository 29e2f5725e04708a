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

Axes as in `solver`: b magnets, g grains, particles in c columns of p rows. A path has l legs, along
each of which the field runs one way.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_micromag.physics.solver import field_steps, relaxation
from keras_micromag.physics.solver.events import prediction
from keras_micromag.physics.solver.step_control import LONGEST_STRIDE, at, where
from keras_micromag.utils.backend import compiled

NODE, FLIP = 1, 2
"""What a record tells: an equilibrium, or grains that flip."""

LONGEST_STEP = 2 * LONGEST_STRIDE
"""How far the next trial may be from the last equilibrium, in units of the smallest anisotropy
field."""

HIGH = 2.0
"""Field, over the largest anisotropy field and polarisation together, beyond which no grain flips:
a step may go as far as there."""


class Path(NamedTuple):
    """Where the field goes, and how closely; shared by all magnets.

    Of legs there may be more than count, so that paths share compiled code.
    """

    legs: Any  # () int, how many count: l
    start: Any  # () tesla
    ends: Any  # (l or more,) tesla, of each leg
    direction: Any  # (l or more,) ±1
    longest: Any  # (b,) step in tesla, in fields up to
    high: Any  # () tesla, beyond which they may be longer
    resolution: Any  # () tesla, to which the fields of flips are found


class State(NamedTuple):
    """What a magnet carries from one iteration to the next."""

    leg: Any  # (b,) int; l when all are done
    settling: Any  # (b,) int, 1 in an avalanche: the field stands still
    field: Any  # (b,) of the trial, tesla
    branch: Any  # (b, g) ±1: the moment lies in the well around branch * easy axis
    tau: Any  # (b, p, c) tan(φ/2) of the particles
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
    outside: Any  # (b, g) of the astroid in the last iteration, see `relaxation`
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


def start(magnet: field_steps.Magnet, path: Path, branch) -> State:
    """The state before anything: moments along their branches, at the first field; all NumPy."""
    vectors = np.zeros_like(magnet.easy_axes)
    grains, zeros = vectors[:, 0], vectors[:, 0, 0]
    count = zeros.astype(int)
    return State(
        leg=count,
        settling=count + 1,
        field=zeros + path.start,
        branch=branch,
        tau=grains[:, :1, None] + np.zeros_like(magnet.columns.weights),
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
        step=zeros + np.maximum(path.longest, abs(path.start) - path.high),
        moved=zeros,
        aim=count,
        flipped=grains,
        change=zeros,
        outside=grains,
        products=count,
        relaxing=count,
    )


def advance(magnet: field_steps.Magnet, path: Path, state: State, avalanche: str):
    """Go on by up to `field_steps.ITERATIONS` iterations.

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
    return field_steps.recorded(
        lambda state: _iterate(magnet, path, state, avalanche),
        lambda state: ops.any(state.leg < path.legs),
        state,
        records,
    )


def _iterate(magnet, path, state, avalanche):
    """The state after one product, and what it leaves behind."""
    dtype = state.tau.dtype
    active = state.leg < path.legs
    leg = ops.minimum(state.leg, path.legs - 1)
    trial = _tried(magnet, state, avalanche)
    secant = prediction.secants(path, state, trial)
    end, direction = ops.take(path.ends, leg), ops.take(path.direction, leg)
    fate = prediction.fate(path, state, trial, secant, end, direction)

    flips = trial.unstable * ops.cast(fate.again, dtype)[:, None]
    flips = flips + trial.weakest * ops.cast(fate.root, dtype)[:, None]
    flips = flips * ops.cast(active, dtype)[:, None]
    flip = ops.any(flips > 0.5, axis=1)
    node = (fate.over | fate.arrived) & active
    nothing = ops.zeros_like(leg)
    record = Record(
        ops.where(flip, FLIP, ops.where(node, NODE, nothing)),
        leg,
        state.field,
        ops.where(fate.root, fate.off, ops.zeros_like(fate.off)),
        trial.moments,
        flips,
        trial.change,
        trial.products,
        ops.cast(~trial.exhausted | flip, "int32"),
    )

    turned = relaxation.flip(magnet, state, trial.moments, trial.tau, flips)
    trials = ops.where(node | flip, 0, state.relaxing + 1)
    slopes = prediction.slopes(state, trial, secant, fate, turned.flipped)
    step = prediction.longest_step(path, state, trial, secant, fate, node, trials)
    at_node = ops.where(node, state.field, state.node_field)
    leg_on = _leg(path, state, trial, fate, node, end)
    aim, target, early = prediction.aim(
        path, state, trial, fate, slopes.rate, step, at_node, leg_on
    )

    going = active & (fate.over | fate.searching) & ~(flip | fate.lost)
    # The next trial from an equilibrium is on the parabola through the last three.
    way = target - state.field
    straight = ops.zeros_like(slopes.bend)
    slope = slopes.slope + where(
        slopes.curved, slopes.bend * (way + secant.far)[:, None, None], straight
    )
    ahead = trial.moments + slope * way[:, None, None]
    again = fate.lost | early
    new = turned._replace(
        leg=leg_on,
        settling=ops.where(
            flip | again, nothing + 1, ops.where(fate.over, nothing, state.settling)
        ),
        field=ops.where(going, target, state.field),
        moments=where(going, ahead, turned.moments),
        node=where(node, trial.moments, state.node),
        before=where(fate.arrived, secant.slope, state.before),
        near=where(node, trial.near, state.near),
        nearing=where(fate.arrived, secant.rate, state.nearing),
        node_field=at_node,
        span=ops.where(fate.arrived, secant.far, state.span),
        nodes=ops.where(
            fate.over, nothing + 1, ops.where(fate.arrived, state.nodes + 1, state.nodes)
        ),
        slope=slope,
        rate=slopes.rate,
        step=step,
        moved=where(going, ops.abs(way), state.moved),
        aim=aim,
        flipped=where(fate.over, ops.zeros_like(turned.flipped), turned.flipped),
        change=trial.change,
        outside=trial.outside,
        products=ops.where(flip | node, nothing, trial.products),
        relaxing=ops.where(again, nothing, trials),
    )
    return new, record


class _Trial(NamedTuple):
    """What one product tells of the trial."""

    moments: Any  # (b, 3, g)
    tau: Any  # (b, p, c)
    outside: Any  # (b, g) of the astroid, see `relaxation`
    near: Any  # (b, g) the same, nearly linear in the field
    worst: Any  # (b,) int, the grain for which it is largest
    nearest: Any  # (b,) how near that one is
    weakest: Any  # (b, g) 1 for that one
    unstable: Any  # (b, g) 1 for the grains to flip, in an avalanche
    change: Any  # (b,) of the moments
    certain: Any  # (b,) whether it is certain that these will be unstable, and no others
    products: Any  # (b,) int, since the last record
    exhausted: Any  # (b,) whether these are all that are allowed


def _tried(magnet, state, avalanche):
    moments, tau, outside, unsettled = relaxation.relax(magnet, state, state.field)
    change = ops.max(ops.abs(moments - state.moments), axis=(1, 2))
    near = ops.sqrt(outside)
    worst = ops.cast(ops.argmax(near, axis=1), "int32")
    weakest = ops.one_hot(worst, near.shape[1], dtype=near.dtype)
    unstable = ops.cast(outside > 1.0, near.dtype)
    if avalanche == "weakest_first":
        unstable = unstable * weakest
    settled = (change <= magnet.tol) & ~unsettled
    # Nobody knows whether anything will flip where nothing has, as where a leg ends beside a root:
    # there moments settle more slowly than others change.
    begun = ops.any(state.flipped > 0.5, axis=1)
    foreseen = begun & relaxation.foreseen(state, change, outside, unstable)
    products = state.products + 1
    return _Trial(
        moments,
        tau,
        outside,
        near,
        worst,
        at(near, worst),
        weakest,
        unstable,
        change,
        settled | foreseen,
        products,
        products >= magnet.max_iterations,
    )


def _leg(path, state, trial, fate, node, end):
    """(b,) the leg of the next trial: a node at the end of one ends it."""
    leg = ops.where(node & ops.equal(state.field, end), state.leg + 1, state.leg)
    # A magnet that finds no equilibrium is given up.
    given_up = fate.over & trial.exhausted
    return ops.where(given_up, ops.zeros_like(leg) + path.legs, leg)
