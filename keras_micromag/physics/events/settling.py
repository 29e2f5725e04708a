"""Equilibria at given fields with the branches held, of many states at once."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_micromag.physics import solver
from keras_micromag.physics.graph import compiled, sum_over

_EULER_STEPS = 3
"""Of each particle for one product: it starts from its grain's angle."""

_LEFT = 0.5
"""Share of `tol` that may be left to change."""

_ROOM = 2**23
"""Components of particles' fields in one call."""

_MOST = 128
"""States in one call."""


class Settled(NamedTuple):
    """What became of n states; NumPy."""

    moments: np.ndarray  # (n, 3, g)
    outside: np.ndarray  # (n,) of the astroid, as in `solver`, the furthest grain's
    products: np.ndarray  # (n,)
    converged: np.ndarray  # (n,) bool


class _Rows(NamedTuple):
    branch: Any  # (n, g)
    tau: Any  # (n, p, g)
    moments: Any  # (n, 3, g)


class Settler:
    """Settles states of a batch of magnets.

    Args:
        magnet: of b magnets. max_iterations: products for a state.
    """

    def __init__(self, magnet: solver.Magnet, max_iterations: int):
        p, g = magnet.weights.shape
        self._magnet, self._dtype = magnet, ops.dtype(magnet.easy_axes)
        self._limit = max_iterations
        self._most = int(2 ** np.floor(np.log2(np.clip(_ROOM // (3 * p * g), 1, _MOST))))

    def __call__(self, which, branch, field, moments, most: int | None = None) -> Settled:
        """Settle n states from near their equilibria.

        Args:
            which: (n,) magnet. branch: (n, g). field: (n,) in tesla. moments: (n, 3, g).
            most: products for a state, if not `max_iterations`.
        """
        limit = ops.convert_to_tensor(self._limit if most is None else most, "int32")
        # Few sizes, since each is compiled.
        size = self._most
        while size > 16 and size // 4 >= len(which):
            size //= 4
        parts = []
        for first in range(0, len(which), size):
            rows = np.minimum(np.arange(first, first + size), len(which) - 1)
            given = [ops.convert_to_tensor(which[rows], "int32")]
            given += [
                ops.convert_to_tensor(np.ascontiguousarray(part[rows]), self._dtype)
                for part in (branch, field, moments)
            ]
            found = _compiled()(self._magnet, limit, *given)
            there = slice(min(size, len(which) - first))
            parts.append([ops.convert_to_numpy(part)[there] for part in found])
        moments, outside, products, converged = (
            np.concatenate(part) for part in zip(*parts, strict=True)
        )
        return Settled(moments, outside, products, converged > 0)


@cache
def _compiled():
    return compiled(_settled)


def _settled(magnet, limit, which, branch, field, moments):
    def own(part):
        return ops.take(part, which, axis=0) if part.shape[0] > 1 else part

    axes = ops.take(magnet.easy_axes, which, axis=0)
    magnet = magnet._replace(
        easy_axes=axes, strength=own(magnet.strength), softness=own(magnet.softness)
    )
    cos = sum_over(moments * axes, axis=1) * branch
    zero, one = ops.zeros_like(cos), ops.ones_like(cos)
    cos = ops.where(cos > one, one, ops.where(cos < zero, zero, cos))
    tau = ops.sqrt((1.0 - cos) / (1.0 + cos))[:, None] + ops.zeros_like(magnet.weights)
    count = ops.zeros_like(which)

    def unsettled(i, rows, before, outside, products, done):
        return ops.logical_and(i < limit, ops.any(done < 1))

    def body(i, rows, before, outside, products, done):
        moments, tau, outside, unsettled = solver.relax(magnet, rows, field, _EULER_STEPS)
        change = ops.max(ops.abs(moments - rows.moments), axis=(1, 2))
        # Changes fall like a geometric series, which tells what is left of them.
        falling = change < 0.5 * before
        left = change * change / ops.where(falling, before - change, ops.ones_like(change))
        near = ops.logical_and(falling, left <= _LEFT * magnet.tol)
        settled = ops.logical_or(change <= magnet.tol, near)
        settled = ops.logical_and(settled, ops.logical_not(unsettled))
        products = products + 1 - done
        done = ops.where(settled, count + 1, done)
        rows = _Rows(branch, tau, moments)
        return i + 1, rows, change, ops.max(outside, axis=1), products, done

    nothing = ops.zeros_like(field)
    begin = (ops.zeros_like(limit), _Rows(branch, tau, moments), nothing, nothing, count, count)
    _, rows, _, outside, products, done = ops.while_loop(unsettled, body, begin)
    return rows.moments, outside, products, done
