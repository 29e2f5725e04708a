"""Equilibria at given fields with the branches held, of many states at once."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_micromag.physics.solver import field_steps, relaxation
from keras_micromag.utils.backend import compiled, sum_over, tensors

_EULER_STEPS = 4
"""Of each particle for one product: it starts from its grain's angle."""

_FALL = 0.7
"""What the first product leaves of its change, over polarisation / anisotropy field. In trials with
the paper's magnets half of the states kept a third of that, and 99 of 100 no more than it."""

_ROOM = 2**23
"""Components of particles' fields in one call."""

_MOST = 128
"""States in one call."""

_FEW = 16
"""States that are not worth another call."""


class Settled(NamedTuple):
    """What became of n states; NumPy."""

    moments: np.ndarray  # (n, 3, g)
    outside: np.ndarray  # (n,) of the astroid, as in `relaxation`, the furthest grain's
    change: np.ndarray  # (n,) of the moments, by the last product
    products: np.ndarray  # (n,)
    converged: np.ndarray  # (n,) bool


class _Rows(NamedTuple):
    branch: Any  # (n, g)
    tau: Any  # (n, p, c)
    moments: Any  # (n, 3, g)


class Settler:
    """Settles states of a batch of magnets.

    Args:
        magnet: of b magnets; tensors. max_iterations: products for a state.
    """

    def __init__(self, magnet: field_steps.Magnet, max_iterations: int):
        p, c = magnet.columns.weights.shape
        self._magnet, self._dtype = magnet, ops.dtype(magnet.easy_axes)
        self._limit = max_iterations
        self._most = int(2 ** np.floor(np.log2(np.clip(_ROOM // (3 * p * c), 1, _MOST))))

    def __call__(self, which, branch, field, moments, most: int | None = None) -> Settled:
        """Settle n states from near their equilibria.

        Args:
            which: (n,) magnet. branch: (n, g). field: (n,) in tesla. moments: (n, 3, g).
            most: products for a state, if not `max_iterations`.

        Notes:
            All states of a call go on until the last is done. So those that few are waited for
            are given back, and share the next calls.
        """
        limit = self._limit if most is None else most
        n = len(which)
        found = Settled(
            np.array(moments, self._dtype),
            np.zeros(n, self._dtype),
            np.zeros(n, self._dtype),
            np.zeros(n, int),
            np.zeros(n, bool),
        )
        left = np.arange(n)
        while len(left):
            size = self._size(len(left))
            waits_for = 0 if len(left) <= _FEW else size // 4
            for first in range(0, len(left), size):
                some = left[first : first + size]
                # Padding is the last once more.
                rows = some[np.minimum(np.arange(size), len(some) - 1)]
                given = (branch, field, found.moments, found.change)
                given = tuple(np.asarray(part[rows], self._dtype) for part in given)
                counts = which[rows], found.products[rows], limit, len(some), waits_for
                inputs = tensors((*counts, *given), self._dtype)
                for whole, part in zip(found, _compiled()(self._magnet, *inputs), strict=True):
                    whole[some] = ops.convert_to_numpy(part)[: len(some)]
            left = left[~found.converged[left] & (found.products[left] < limit)]
        return found

    def _size(self, n):
        """Of a call that n states share: one of few, since each is compiled."""
        size = self._most
        while size > _FEW and size // 4 >= n:
            size //= 4
        return size


@cache
def _compiled():
    return compiled(_settled)


def _settled(magnet, which, products, limit, real, waits_for, branch, field, moments, change):
    """Take products of `real` rows until no more than `waits_for` are left, at least one.

    Args:
        products: (n,) that they have had. limit: of these. change: (n,) by the last of them.
    """

    def own(part):
        return ops.take(part, which, axis=0) if part.shape[0] > 1 else part

    axes = ops.take(magnet.easy_axes, which, axis=0)
    strength, softness = own(magnet.strength), own(magnet.softness)
    magnet = magnet._replace(easy_axes=axes, strength=strength, softness=softness)
    fall = _FALL * ops.max(strength, axis=(1, 2)) * ops.max(softness, axis=(1, 2, 3))
    cos = sum_over(moments * axes, axis=1) * branch
    zero, one = ops.zeros_like(cos), ops.ones_like(cos)
    cos = ops.where(cos > one, one, ops.where(cos < zero, zero, cos))
    tau = relaxation.of_particles(magnet, ops.sqrt((1.0 - cos) / (1.0 + cos)))
    there = ops.arange(which.shape[0], dtype="int32") < real

    def ended(products, done):
        return ops.logical_or(done, products >= limit)

    def waited_for(i, rows, change, outside, products, done):
        left = ops.logical_and(there, ops.logical_not(ended(products, done)))
        return ops.logical_or(i < 1, ops.sum(ops.cast(left, "int32")) > waits_for)

    def body(i, rows, before, outside, products, done):
        moments, tau, outside, unsettled = relaxation.relax(magnet, rows, field, _EULER_STEPS)
        change = ops.max(ops.abs(moments - rows.moments), axis=(1, 2))
        # Changes fall like a geometric series, which tells what is left of them.
        falling = change < 0.5 * before
        left = change * change / ops.where(falling, before - change, ops.ones_like(change))
        first = ops.equal(before, 0)
        left = ops.where(falling, left, ops.where(first, fall * change, change))
        settled = ops.logical_and(left <= magnet.tol, ops.logical_not(unsettled))
        products = ops.where(ended(products, done), products, products + 1)
        done = ops.logical_or(done, settled)
        rows = _Rows(branch, tau, moments)
        return i + 1, rows, change, ops.max(outside, axis=1), products, done

    nothing, nobody = ops.zeros_like(field), ops.zeros_like(there)
    begin = (real * 0, _Rows(branch, tau, moments), change, nothing, products, nobody)
    _, rows, change, outside, products, done = ops.while_loop(waited_for, body, begin)
    return rows.moments, outside, change, products, done
