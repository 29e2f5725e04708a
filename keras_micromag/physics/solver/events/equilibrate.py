"""Equilibria of many states at once, at given fields and with the branches held."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_micromag.physics.solver import field_steps, relaxation
from keras_micromag.utils.backend import compiled, sum_over, tensors, while_loop

_EULER_STEPS = 4
"""Steps of each particle per product with the operator: it starts from its grain's angle."""

_FIRST_RATIO = 0.7
"""Share of the first iteration's change that is left after it, over polarisation / anisotropy
field. In trials with the paper's magnets half of the states kept a third of that, and 99 of 100 no
more than it."""

_MAX_COMPONENTS = 2**23
"""Components of the particles' fields in one call at most."""

_MAX_STATES = 128
"""States in one call at most."""

_MIN_STATES = 16
"""States that are not worth another call."""


class Equilibria(NamedTuple):
    """The states of n magnets after relaxation; NumPy."""

    moments: np.ndarray  # (n, 3, g)
    outside: np.ndarray  # (n,) as in `relaxation`, the largest of its grains
    change: np.ndarray  # (n,) largest change of a moment's component in the last iteration
    matvecs: np.ndarray  # (n,)
    converged: np.ndarray  # (n,) bool


class _Iterate(NamedTuple):
    """n states after an iteration; `relaxation.relax` reads the first four parts."""

    branch: Any  # (n, g)
    flipped: Any  # (n, g) how often each grain flipped at the avalanche before
    tau: Any  # (n, p, c)
    moments: Any  # (n, 3, g)
    outside: Any  # (n,) these four as in Equilibria
    change: Any  # (n,)
    matvecs: Any  # (n,)
    converged: Any  # (n,)
    count: Any  # () int, iterations so far


class _Limits(NamedTuple):
    """The field of n states, and when to stop."""

    field: Any  # (n,) in tesla
    first_ratio: Any  # (n,) remaining over last change after the first iteration
    used: Any  # (n,) whether the state is no padding
    matvecs: Any  # () per state at most
    abandon: Any  # () how many states may be left


class Equilibrator:
    """Relaxes states of a batch of magnets to their equilibria.

    Args:
        magnet: b magnets; tensors.
        max_iterations: matvecs allowed per state.
    """

    def __init__(self, magnet: field_steps.Magnet, max_iterations: int):
        p, c = magnet.columns.weights.shape
        self._magnet, self._dtype = magnet, ops.dtype(magnet.easy_axes)
        self._max_iterations = max_iterations
        states = np.clip(_MAX_COMPONENTS // (3 * p * c), 1, _MAX_STATES)
        self._max_states = int(2 ** np.floor(np.log2(states)))

    def __call__(
        self,
        magnet: np.ndarray,
        branch: np.ndarray,
        field: np.ndarray,
        moments: np.ndarray,
        flipped: np.ndarray,
        max_iterations: int | None = None,
    ) -> Equilibria:
        """Relax n states from near their equilibria.

        Args:
            magnet: (n,) index of each state's magnet.
            branch: (n, g) ±1.
            field: (n,) in tesla.
            moments: (n, 3, g).
            flipped: (n, g) how often each grain flipped in the avalanche before.
            max_iterations: matvecs allowed per state, if other than for this object.

        Notes:
            A call of the compiled loop goes on until its last state has converged. So it ends as
            soon as few of its states are left, and these share the next calls.
        """
        limit = self._max_iterations if max_iterations is None else max_iterations
        n = len(magnet)
        states = Equilibria(
            np.array(moments, self._dtype),
            np.zeros(n, self._dtype),
            np.zeros(n, self._dtype),
            np.zeros(n, int),
            np.zeros(n, bool),
        )
        left = np.arange(n)
        while len(left):
            size = self._batch_size(len(left))
            abandon = 0 if len(left) <= _MIN_STATES else size // 4
            for first in range(0, len(left), size):
                batch = left[first : first + size]
                # Padding repeats the last state.
                rows = batch[np.minimum(np.arange(size), len(batch) - 1)]
                counts = magnet[rows], states.matvecs[rows], limit, len(batch), abandon
                values = (branch, flipped, field, states.moments, states.change)
                values = tuple(np.asarray(part[rows], self._dtype) for part in values)
                inputs = tensors((*counts, *values), self._dtype)
                relaxed = _compiled()(self._magnet, *inputs)
                for all_states, part in zip(states, relaxed, strict=True):
                    all_states[batch] = ops.convert_to_numpy(part)[: len(batch)]
            left = left[~states.converged[left] & (states.matvecs[left] < limit)]
        return states

    def _batch_size(self, n):
        """Return the size of the calls that n states share: one of few, since each is compiled."""
        size = self._max_states
        while size > _MIN_STATES and size // 4 >= n:
            size //= 4
        return size


@cache
def _compiled():
    return compiled(_equilibrate)


def _equilibrate(
    magnet, index, matvecs, limit, real, abandon, branch, flipped, field, moments, change
):
    """Iterate n states, at least once, until no more than `abandon` of them are left.

    Args:
        magnet: b magnets. index: (n,) of each state's magnet.
        matvecs: (n,) of each state so far. limit: of these.
        real: () number of states that are no padding.
        branch, flipped: (n, g). field: (n,). moments: (n, 3, g).
        change: (n,) largest change of a moment's component in the last iteration; 0 before any.

    Returns:
        The parts of `Equilibria`.
    """
    magnet = of_states(magnet, index)
    first_ratio = _FIRST_RATIO * ops.max(magnet.strength, axis=(1, 2))
    first_ratio = first_ratio * ops.max(magnet.softness, axis=(1, 2, 3))
    tau = _initial_tau(magnet, branch, moments)
    used = ops.arange(index.shape[0], dtype="int32") < real
    nothing, none = ops.zeros_like(field), ops.zeros_like(used)
    begin = _Iterate(branch, flipped, tau, moments, nothing, change, matvecs, none, real * 0)
    limits = _Limits(field, first_ratio, used, limit, abandon)
    (end,) = while_loop(_unfinished, _iterate, (begin,), magnet, limits)
    return end.moments, end.outside, end.change, end.matvecs, end.converged


def _ended(state, limits):
    return ops.logical_or(state.converged, state.matvecs >= limits.matvecs)


def _unfinished(state, magnet, limits):
    left = ops.logical_and(limits.used, ops.logical_not(_ended(state, limits)))
    return ops.logical_or(state.count < 1, ops.sum(ops.cast(left, "int32")) > limits.abandon)


def _iterate(state, magnet, limits):
    """Return the states after one product with the operator."""
    moments, tau, _, outside, moving = relaxation.relax(
        magnet, state, limits.field, state.matvecs, _EULER_STEPS
    )
    change = ops.max(ops.abs(moments - state.moments), axis=(1, 2))
    error = _remaining_change(change, state.change, limits.first_ratio)
    now = ops.logical_and(error <= magnet.tol, ops.logical_not(moving))
    new = _Iterate(
        state.branch,
        state.flipped,
        tau,
        relaxation.damped(magnet, state.matvecs, state.moments, moments),
        ops.max(outside, axis=1),
        change,
        ops.where(_ended(state, limits), state.matvecs, state.matvecs + 1),
        ops.logical_or(state.converged, now),
        state.count + 1,
    )
    return (new,)


def of_states(magnet: field_steps.Magnet, index) -> field_steps.Magnet:
    """Return the magnets of states, by their index (n,): (n, ...) where `magnet` has (b, ...)."""

    def gathered(part):
        return ops.take(part, index, axis=0) if part.shape[0] > 1 else part

    axes = ops.take(magnet.easy_axes, index, axis=0)
    parts = ("strength", "softness", "thermal", "turn", "coupling", "patience")
    exchange = magnet.exchange._replace(strength=gathered(magnet.exchange.strength))
    return magnet._replace(
        easy_axes=axes,
        exchange=exchange,
        **{name: gathered(getattr(magnet, name)) for name in parts},
    )


def _initial_tau(magnet, branch, moments):
    """Return (n, p, c) tan(φ/2) of the particles, each at its grain's angle, up to 90°."""
    cos = sum_over(moments * magnet.easy_axes, axis=1) * branch
    zero, one = ops.zeros_like(cos), ops.ones_like(cos)
    cos = ops.where(cos > one, one, ops.where(cos < zero, zero, cos))
    return relaxation.of_particles(magnet, ops.sqrt((1.0 - cos) / (1.0 + cos)))


def _remaining_change(change, before, first_ratio):
    """Return (n,) an estimate of how far the moments still are from their limit.

    Changes fall like a geometric series, whose remainder follows from its last two terms.

    Args:
        change, before: (n,) in the last iteration and in the one before; 0 before any.
        first_ratio: (n,) remainder over change after the first iteration.
    """
    falling = change < 0.5 * before
    left = change * change / ops.where(falling, before - change, ops.ones_like(change))
    first = ops.equal(before, 0)
    return ops.where(falling, left, ops.where(first, first_ratio * change, change))
