"""Precorrection: what the mesh adds to the near field, which the dense blocks subtract again."""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import fft

from keras_micromag.physics.field.precorrected.stencils import Precision
from keras_micromag.utils.indices import grid

_LARGEST_TABLE = 12
"""Nodes along each axis, from a piece's stencil to a particle's, up to which potentials come from a
table: one for twice as many would take gigabytes at the finest precision."""

_PART = 128
"""Nodes of such a table in one matrix product: BLAS would have several threads share a larger one,
and wait for each other, while all of them have grains of their own to do."""


def precorrection(
    precision: Precision,
    piece_corners: np.ndarray,
    charges: np.ndarray,
    particle_corners: np.ndarray,
    gradient_weights: np.ndarray,
) -> np.ndarray:
    """Return the gradients (n, 3, 3) of a grain's potential as the mesh interpolates them.

    Args:
        precision: with the stencils of sources and of targets.
        piece_corners: (k, 3) lower corners of the stencils of the grain's pieces.
        charges: (k, nodes, 3) on these stencils, for each component of the grain's moment.
        particle_corners: (n, 3) lower corners of the particles' stencils.
        gradient_weights: (n, nodes, 3), see `Stencil.gradient_weights`.

    Returns:
        (n, 3, 3): component of the gradient, component of the moment.
    """
    of_targets = precision.stencils[1]
    low, high = particle_corners.min(axis=0), particle_corners.max(axis=0)
    farthest = int(np.abs([piece_corners - low, piece_corners - high]).max())
    box = high - low + of_targets.width
    dtype = gradient_weights.dtype.name
    if farthest <= _LARGEST_TABLE:
        potentials = _tabulated(precision, piece_corners - low, charges, box, farthest, dtype)
    else:
        potentials = _convolved(precision, piece_corners - low, charges, box, dtype)
    strides = np.array([box[1] * box[2], box[2], 1])
    node = ((particle_corners - low) @ strides)[:, None] + of_targets.offsets @ strides
    at_nodes = np.take(potentials.reshape(3, -1).T.copy(), node, axis=0)
    return np.swapaxes(gradient_weights, 1, 2) @ at_nodes


def _tabulated(precision, piece_corners, charges, box, farthest, dtype):
    """Return the potentials (3, *box) on a box of nodes, from a table of those of unit charges.

    Args:
        piece_corners: (k, 3) lower corners of the pieces' stencils, counted from the box's.
        farthest: nodes along an axis between a piece's corner and a particle's, at most.
    """
    of_sources, of_targets = precision.stencils
    # With the components along the rows the product is two orders faster than with three columns.
    charges = np.swapaxes(charges, 1, 2).reshape(-1, len(of_sources)).astype(dtype)
    side = 2 * farthest + of_targets.width
    cubes = np.moveaxis(charges @ _table(precision, farthest, dtype), 0, 1)
    cubes = cubes.reshape(len(charges), -1)[:, : side**3].reshape(-1, 3, side, side, side)
    potentials = np.zeros((3, *box), dtype)
    for cube, first in zip(cubes, farthest - piece_corners, strict=True):
        potentials += cube[:, *map(slice, first, first + box)]
    return potentials


@lru_cache(maxsize=16)
def _table(precision, farthest, dtype):
    """Return the potentials of unit charges on a source stencil, on a cube of nodes about it.

    Returns:
        (parts, nodes of the stencil, nodes of the cube in one part).
    """
    of_sources, of_targets = precision.stencils
    side = np.arange(-farthest, farthest + of_targets.width)
    cube = grid(side, side, side).reshape(-1, 3)
    potentials = green_function(cube - of_sources.offsets[:, None]).astype(dtype)
    potentials = np.pad(potentials, [(0, 0), (0, -len(cube) % _PART)])
    return np.stack(np.split(potentials, potentials.shape[1] // _PART, axis=1))


def _convolved(precision, piece_corners, charges, box, dtype):
    """Return the same as `_tabulated` by an FFT, at any distance from pieces to particles."""
    offsets = precision.stencils[0].offsets
    first = piece_corners.min(axis=0)
    extent = np.ptp(piece_corners, axis=0) + offsets.max(axis=0) + 1
    on_nodes = np.zeros((3, *extent))
    for piece, start in zip(charges, piece_corners - first, strict=True):
        on_nodes[:, *(start + offsets).T] += piece.T
    steps = [np.arange(1 - f - e, b - f) for f, e, b in zip(first, extent, box, strict=True)]
    shape = [fft.next_fast_len(len(axis), real=True) for axis in steps]
    kernel = fft.rfftn(green_function(grid(*steps)), shape)
    # Beyond the box the transform wraps around.
    valid = tuple(map(slice, extent - 1, extent - 1 + box))
    potentials = np.empty((3, *box), dtype)
    for potential, component in zip(potentials, on_nodes, strict=True):
        potential[...] = fft.irfftn(fft.rfftn(component, shape) * kernel, shape)[valid]
    return potentials


def green_function(steps: ArrayLike) -> np.ndarray:
    """Return 1/4πr (…) for steps (…, 3) between nodes; 0 where the step is 0."""
    square = (np.asarray(steps, float) ** 2).sum(axis=-1)
    return np.where(square > 0, 1 / (4 * np.pi * np.sqrt(np.maximum(square, 1))), 0.0)
