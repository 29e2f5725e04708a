"""The dense operator: the demagnetising matrix itself."""

import numpy as np

from keras_micromag.physics.field.demag import demag_matrix
from keras_micromag.physics.field.products import Dense
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.utils import checks, memory


def matrix_nbytes(structure: Microstructure, dtype: str) -> int:
    """Return the bytes of the matrix without padding."""
    n = int((structure.weights > 0).sum())
    return 9 * n * len(structure) * np.dtype(dtype).itemsize


def dense_product(
    structure: Microstructure,
    self_field: checks.SelfField,
    dtype: str,
    padded: tuple[int, int] | None = None,
) -> tuple[Dense, np.ndarray]:
    """Build the product with the dense matrix.

    Args:
        structure: g grains with p particles each.
        self_field: False, True or "nucleus", see `demag_matrix`.
        dtype: of the matrix.
        padded: (grains, particles) of the matrix, at least the structure's own, which are the
            default; padding is 0.

    Returns:
        The product, and the place (g, p) of each particle; padding has that of its grain's first.

    Raises:
        MemoryError: where the matrix in float64 and its copy do not fit; it names the size.
    """
    g, p = structure.weights.shape
    # Particles by their number in the grain and then by grain: see the layout of the solver.
    inside = structure.weights.T > 0
    particle, grain = np.nonzero(inside)
    n = len(particle)
    grains, particles = padded or (g, n)
    memory.require(
        9 * g * g * p * 8 + 9 * grains * particles * np.dtype(dtype).itemsize,
        f"the matrix of {g} grains with {n} particles",
        "operator 'hierarchical' takes less, 'lattice' does for equal grains on a lattice",
    )
    matrix = demag_matrix(structure, self_field=self_field)
    # (g, p, i, g', j) -> rows (j, g'), columns (i, n).
    rows = memory.zeros((3 * grains, 3 * particles), dtype)
    ordered = rows.reshape(3, grains, 3, particles)
    for i in range(3):
        ordered[:, :g, i, :n] = matrix[grain, particle, i].transpose(2, 1, 0)
    number = np.cumsum(inside.ravel()).reshape(p, g) - 1
    places = np.where(inside, number, number[inside.argmax(axis=0), np.arange(g)])
    return Dense(rows), places.T
