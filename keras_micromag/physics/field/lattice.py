"""Equal grains on a lattice: the matrix is a convolution."""

from math import prod

import numpy as np
from scipy import fft

from keras_micromag.physics.field.demag import Kernel, OnEdgeError, on_edge
from keras_micromag.physics.field.products import Lattice
from keras_micromag.physics.field.remedy import remedy
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.utils import memory
from keras_micromag.utils.backend import COMPLEX
from keras_micromag.utils.indices import grid

_SAME = 1e-9
"""Part of the spacing to which the grains must lie on a lattice."""


class NoLatticeError(ValueError):
    """The structure is not of equal grains on a lattice; the text says why."""


def sites(structure: Microstructure) -> np.ndarray:
    """(x, y, z) int: the grain at each site.

    Raises:
        NoLatticeError: where grains are not equal, or not one at each site of a box.
    """
    if len(np.unique(structure.shape_class)) > 1 or len(np.unique(structure.particle_class)) > 1:
        raise NoLatticeError("its grains are not all of one shape with the same particles")
    if not (structure.weights > 0).all():
        raise NoLatticeError("some of its particles have the weight 0")
    where = np.empty(structure.centroids.shape, int)
    shape = []
    for axis, along in enumerate(structure.centroids.T):
        steps = along - along.min()
        apart = np.diff(np.sort(steps))
        apart = apart[apart > _SAME * structure.grains[0].size]
        spacing = apart.min() if len(apart) else structure.grains[0].size
        where[:, axis] = np.round(steps / spacing)
        if np.abs(steps - where[:, axis] * spacing).max() > _SAME * steps.max(initial=spacing):
            raise NoLatticeError("its grains are not at equal distances along x, y and z")
        shape.append(int(where[:, axis].max()) + 1)
    # Counted before it is made: grains nearly in line are steps of next to nothing apart.
    found = np.full(shape if prod(shape) == len(structure) else 0, -1)
    if found.size:
        found[tuple(where.T)] = np.arange(len(structure))
    if not found.size or (found < 0).any():
        box = " × ".join(map(str, shape))
        raise NoLatticeError(f"its {len(structure)} grains do not fill a box of {box} sites")
    return found


def size(structure: Microstructure, shape, dtype: str) -> int:
    """Bytes of the kernel."""
    return (
        9 * structure.weights.shape[1] * int(np.prod(_waves(shape))) * 2 * np.dtype(dtype).itemsize
    )


def lattice(structure: Microstructure, self_field: bool, dtype: str):
    """The product, and the place (g, p) of each particle.

    Raises:
        NoLatticeError: for a structure that is none.
        ValueError: for a particle on an edge of a grain whose field acts on it.
        MemoryError: when there is no room for the kernel.
    """
    found = sites(structure)
    g, p = structure.weights.shape
    waves = _waves(found.shape)

    def need(particles, dtype):
        part = particles / (g * p)
        # One component at a time is transformed, in float64.
        whole = size(structure, found.shape, dtype) + 9 * p * g * 64
        return part * whole + 3 * 64 * int(np.prod(waves))

    memory.require(
        need(g * p, dtype),
        f"the lattice of {g} grains with {p} particles each",
        remedy(structure, dtype, need),
    )
    padded = (*waves[:2], 2 * (waves[2] - 1))
    kernel = np.empty((waves[2], 3, p, 3, *waves[1::-1]), COMPLEX[dtype])
    steps = grid(*(np.arange(1 - n, n) for n in found.shape)).reshape(-1, 3)
    body, first = structure.grains[0], found[0, 0, 0]
    # Along an axis with a single grain there is none, and no step to take it by.
    spacings = np.ptp(structure.centroids, axis=0) / np.maximum(np.array(found.shape) - 1, 1)
    acts = np.ones(len(steps), bool) if self_field else steps.any(axis=1)
    offsets = structure.particles[first] - structure.centroids[first]
    for particle, offset in enumerate(offsets):
        try:
            tensors = Kernel(body)(steps[acts] * spacings + offset)
        except OnEdgeError as error:
            step = steps[acts][error.index]
            target = found[tuple(np.maximum(step, 0))]
            source = found[tuple(np.maximum(-step, 0))]
            raise ValueError(on_edge(particle, target, source)) from None
        spread = np.zeros((*padded, 3, 3))
        spread[tuple(steps[acts].T)] = tensors  # negative steps wrap around
        for i in range(3):
            for j in range(3):
                kernel[:, i, particle, j] = fft.rfftn(spread[..., i, j], workers=-1).T
    places = np.empty((g, p), int)
    places[found.ravel()] = np.arange(g)[:, None] + g * np.arange(p)
    return Lattice(kernel, found.astype(np.int32)), places


def _waves(shape):
    """Of the transform: wide enough for nothing to wrap around, and even along z."""
    x, y, z = (fft.next_fast_len(2 * n - 1, real=True) for n in shape)
    while z % 2:
        z = fft.next_fast_len(z + 1, real=True)
    return x, y, z // 2 + 1
