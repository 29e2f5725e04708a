"""The lattice operator: for equal grains on a lattice, the matrix is a convolution."""

from math import prod

import numpy as np
from scipy import fft

from keras_micromag.physics.field.demag import Kernel, OnEdgeError, on_edge_message, without_nucleus
from keras_micromag.physics.field.memory_advice import memory_advice
from keras_micromag.physics.field.products import Lattice
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.utils import checks, memory
from keras_micromag.utils.backend import COMPLEX
from keras_micromag.utils.indices import grid

_TOL = 1e-9
"""Largest distance of a grain from its site, over the extent of the lattice."""


class NoLatticeError(ValueError):
    """The structure is not of equal grains on a lattice; the text gives the reason."""


def sites(structure: Microstructure) -> np.ndarray:
    """Return the grain at each site (x, y, z) of the lattice, as int.

    Raises:
        NoLatticeError: where the grains are not equal, or not one at each site of a box.
    """
    if len(np.unique(structure.shape_class)) > 1 or len(np.unique(structure.particle_class)) > 1:
        raise NoLatticeError("its grains are not all of one shape with the same particles")
    if not (structure.weights > 0).all():
        raise NoLatticeError("some of its particles have the weight 0")
    site = np.empty(structure.centroids.shape, int)
    shape = []
    for axis, coordinates in enumerate(structure.centroids.T):
        distances = coordinates - coordinates.min()
        steps = np.diff(np.sort(distances))
        steps = steps[steps > _TOL * structure.grains[0].size]
        spacing = steps.min() if len(steps) else structure.grains[0].size
        site[:, axis] = np.round(distances / spacing)
        errors = np.abs(distances - site[:, axis] * spacing)
        if errors.max() > _TOL * distances.max(initial=spacing):
            raise NoLatticeError("its grains are not at equal distances along x, y and z")
        shape.append(int(site[:, axis].max()) + 1)
    # Counted before it is allocated: grains that are nearly in line give a minute spacing.
    grain_at = np.full(shape if prod(shape) == len(structure) else 0, -1)
    if grain_at.size:
        grain_at[tuple(site.T)] = np.arange(len(structure))
    if not grain_at.size or (grain_at < 0).any():
        box = " × ".join(map(str, shape))
        raise NoLatticeError(f"its {len(structure)} grains do not fill a box of {box} sites")
    return grain_at


def kernel_nbytes(structure: Microstructure, shape: tuple[int, ...], dtype: str) -> int:
    """Return the bytes of the kernel's transform for a lattice of `shape` sites."""
    points = int(np.prod(_transform_shape(shape)))
    return 9 * structure.weights.shape[1] * points * 2 * np.dtype(dtype).itemsize


def lattice_product(
    structure: Microstructure, self_field: checks.SelfField, dtype: str
) -> tuple[Lattice, np.ndarray]:
    """Build the convolution over a lattice.

    Returns:
        The product, and the place (g, p) of each particle.

    Raises:
        NoLatticeError: for a structure that is no lattice.
        ValueError: for a particle on an edge of a grain whose field acts on it.
        MemoryError: when the kernel does not fit into memory.
    """
    grain_at = sites(structure)
    g, p = structure.weights.shape
    _require_memory(structure, grain_at.shape, dtype)
    x, y, planes = _transform_shape(grain_at.shape)
    kernel = np.empty((planes, 3, p, 3, y, x), COMPLEX[dtype])
    steps = grid(*(np.arange(1 - n, n) for n in grain_at.shape)).reshape(-1, 3)
    acts = np.ones(len(steps), bool) if self_field else steps.any(axis=1)
    for particle in range(p):
        spread = np.zeros((x, y, 2 * (planes - 1), 3, 3))
        # Negative steps wrap around the transform.
        spread[tuple(steps[acts].T)] = _tensors(structure, grain_at, steps[acts], particle)
        if self_field == "nucleus":
            spread[0, 0, 0] = without_nucleus(spread[0, 0, 0])
        for i in range(3):
            for j in range(3):
                kernel[:, i, particle, j] = fft.rfftn(spread[..., i, j], workers=-1).T
    places = np.empty((g, p), int)
    places[grain_at.ravel()] = np.arange(g)[:, None] + g * np.arange(p)
    return Lattice(kernel, grain_at.astype(np.int32)), places


def _tensors(structure, grain_at, steps, particle):
    """Return the tensors (n, 3, 3) at a particle of the grains that are `steps` (n, 3) away."""
    first = grain_at[0, 0, 0]
    # Along an axis with a single grain the spacing is 0, and so is every step.
    counts = np.maximum(np.array(grain_at.shape) - 1, 1)
    spacings = np.ptp(structure.centroids, axis=0) / counts
    offset = structure.particles[first, particle] - structure.centroids[first]
    try:
        return Kernel(structure.grains[0])(steps * spacings + offset)
    except OnEdgeError as error:
        step = steps[error.index]
        target = grain_at[tuple(np.maximum(step, 0))]
        source = grain_at[tuple(np.maximum(-step, 0))]
        raise ValueError(on_edge_message(particle, target, source)) from None


def _require_memory(structure, shape, dtype):
    """Raise where the kernel does not fit into memory."""
    g, p = structure.weights.shape
    points = int(np.prod(_transform_shape(shape)))

    def required_bytes(particles, dtype):
        part = particles / (g * p)
        # One component at a time is transformed, in float64.
        total = kernel_nbytes(structure, shape, dtype) + 9 * p * g * 64
        return part * total + 3 * 64 * points

    memory.require(
        required_bytes(g * p, dtype),
        f"the lattice of {g} grains with {p} particles each",
        memory_advice(structure, dtype, required_bytes),
    )


def _transform_shape(shape):
    """Return (X, Y, Z // 2 + 1) of the transform: Z is even, and nothing wraps around."""
    x, y, z = (fft.next_fast_len(2 * n - 1, real=True) for n in shape)
    while z % 2:
        z = fft.next_fast_len(z + 1, real=True)
    return x, y, z // 2 + 1
