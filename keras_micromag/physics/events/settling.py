"""Equilibria at given fields with the branches held, of many states at once."""

from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_micromag.physics import solver
from keras_micromag.physics.graph import compiled, sum_over

_EULER_STEPS = 3
"""Of each particle for one product: it starts from its grain's angle."""

_ROOM = 2**23
"""Components of particles' fields in one call."""

_MOST = 256
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
        self._limit = ops.convert_to_tensor(max_iterations, "int32")
        self._most = int(2 ** np.floor(np.log2(np.clip(_ROOM // (3 * p * g), 1, _MOST))))

    def __call__(self, which, branch, field, moments) -> Settled:
        """Settle n states from near their equilibria.

        Args:
            which: (n,) magnet. branch: (n, g). field: (n,) in tesla. moments: (n, 3, g).
        """
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
            found = _settle(self._magnet, self._limit, *given)
            there = slice(min(size, len(which) - first))
            parts.append([ops.convert_to_numpy(part)[there] for part in found])
        moments, outside, products, converged = (
            np.concatenate(part) for part in zip(*parts, strict=True)
        )
        return Settled(moments, outside, products, converged > 0)


def _settle(*arguments):
    if not _COMPILED:
        _COMPILED.append(compiled(_settled))
    return _COMPILED[0](*arguments)


_COMPILED = []


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

    def unsettled(i, rows, outside, products, done):
        return ops.logical_and(i < limit, ops.any(done < 1))

    def body(i, rows, outside, products, done):
        moments, tau, outside, unsettled = solver.relax(magnet, rows, field, _EULER_STEPS)
        change = ops.max(ops.abs(moments - rows.moments), axis=(1, 2))
        settled = ops.logical_and(change <= magnet.tol, ops.logical_not(unsettled))
        products = products + 1 - done
        done = ops.where(settled, count + 1, done)
        return i + 1, _Rows(branch, tau, moments), ops.max(outside, axis=1), products, done

    begin = (ops.zeros_like(limit), _Rows(branch, tau, moments), field * 0.0, count, count)
    _, rows, outside, products, done = ops.while_loop(unsettled, body, begin)
    return rows.moments, outside, products, done
