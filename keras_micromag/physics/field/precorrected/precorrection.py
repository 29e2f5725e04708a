"""What near particles see of a grain through the mesh; their blocks hold that much less."""

from functools import lru_cache

import numpy as np
from scipy import fft

from keras_micromag.physics.field.precorrected.stencils import Precision
from keras_micromag.utils.indices import grid

_TABULATED = 12
"""Nodes along each axis, from a piece's stencil to a particle's, up to which there is a table of
potentials: one for twice as many would take gigabytes in the finest setting."""

_PART = 128
"""Nodes of such a table in one matrix product: BLAS would have several threads share a larger one,
and wait for each other, while all of them have grains of their own to do."""


def meshed(precision: Precision, corner, charges, corners, slopes) -> np.ndarray:
    """(n, 3, 3) gradients of the potential of a grain, for each component of its moment.

    Args:
        corner: (k, 3) of the stencils of its pieces. charges: (k, nodes, 3) on them.
        corners: (n, 3) of the particles' stencils. slopes: (n, nodes, 3), see `Stencil.slopes`.
    """
    of_targets = precision.stencils[1]
    low, high = corners.min(axis=0), corners.max(axis=0)
    far = int(np.abs([corner - low, corner - high]).max())
    box = high - low + of_targets.width
    if far <= _TABULATED:
        potentials = _tabulated(precision, corner - low, charges, box, far, slopes.dtype.name)
    else:
        potentials = _convolved(precision, corner - low, charges, box, slopes.dtype.name)
    flat = np.array([box[1] * box[2], box[2], 1])
    node = ((corners - low) @ flat)[:, None] + of_targets.steps @ flat
    at = np.take(potentials.reshape(3, -1).T.copy(), node, axis=0)
    return np.swapaxes(slopes, 1, 2) @ at


def _tabulated(precision, corner, charges, box, far, dtype):
    """(3, *box) potentials on a box of nodes, in which the pieces' stencils begin at `corner`."""
    of_sources, of_targets = precision.stencils
    # This way round the matrix product is two orders faster than with three columns.
    charges = np.swapaxes(charges, 1, 2).reshape(-1, len(of_sources)).astype(dtype)
    side = 2 * far + of_targets.width
    cubes = np.moveaxis(charges @ _table(precision, far, dtype), 0, 1).reshape(len(charges), -1)
    cubes = cubes[:, : side**3].reshape(-1, 3, side, side, side)
    potentials = np.zeros((3, *box), dtype)
    for cube, first in zip(cubes, far - corner, strict=True):
        potentials += cube[:, *map(slice, first, first + box)]
    return potentials


@lru_cache(maxsize=16)
def _table(precision, far, dtype):
    """(parts, nodes of a stencil, nodes about it): of unit charges, on a cube, in parts."""
    of_sources, of_targets = precision.stencils
    side = np.arange(-far, far + of_targets.width)
    cube = grid(side, side, side).reshape(-1, 3)
    potentials = inverse_distance(cube - of_sources.steps[:, None]).astype(dtype)
    potentials = np.pad(potentials, [(0, 0), (0, -len(cube) % _PART)])
    return np.stack(np.split(potentials, potentials.shape[1] // _PART, axis=1))


def _convolved(precision, corner, charges, box, dtype):
    """As `_tabulated`, however far the pieces are from each other and from the particles."""
    steps = precision.stencils[0].steps
    first = corner.min(axis=0)
    extent = np.ptp(corner, axis=0) + steps.max(axis=0) + 1
    onto = np.zeros((3, *extent))
    for piece, start in zip(charges, corner - first, strict=True):
        onto[:, *(start + steps).T] += piece.T
    away = [np.arange(1 - f - e, b - f) for f, e, b in zip(first, extent, box, strict=True)]
    shape = [fft.next_fast_len(len(each), real=True) for each in away]
    kernel = fft.rfftn(inverse_distance(grid(*away)), shape)
    # Beyond the box the transform wraps around.
    valid = tuple(map(slice, extent - 1, extent - 1 + box))
    potentials = np.empty((3, *box), dtype)
    for potential, component in zip(potentials, onto, strict=True):
        potential[...] = fft.irfftn(fft.rfftn(component, shape) * kernel, shape)[valid]
    return potentials


def inverse_distance(steps):
    """(…) 1/4πr for steps (…, 3) between nodes; 0 for none, as on the whole mesh."""
    square = (np.asarray(steps, float) ** 2).sum(axis=-1)
    return np.where(square > 0, 1 / (4 * np.pi * np.sqrt(np.maximum(square, 1))), 0.0)
