"""The whole matrix."""

import numpy as np

from keras_micromag.physics.field.demag import demag_matrix
from keras_micromag.physics.field.products import Dense
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.utils import memory


def size(structure: Microstructure, dtype: str) -> int:
    """Bytes of the matrix."""
    n = int((structure.weights > 0).sum())
    return 9 * n * len(structure) * np.dtype(dtype).itemsize


def require_room(structure: Microstructure, dtype: str, room) -> None:
    """Raise where there is no room for the matrix in float64 and its ordered copy.

    Args:
        room: (grains, particles) of the copy.

    Raises:
        MemoryError: naming the size, and what would fit.
    """
    g, p = structure.weights.shape
    memory.require(
        9 * g * g * p * 8 + 9 * room[0] * room[1] * np.dtype(dtype).itemsize,
        f"the matrix of {g} grains with {(structure.weights > 0).sum()} particles",
        "operator 'hierarchical' takes less, 'lattice' does for equal grains on a lattice",
    )


def dense(structure: Microstructure, self_field: bool, dtype: str, room=None):
    """The product, and the place (g, p) of each particle; padding is the grain's first.

    Args:
        room: (grains, particles) to make, at least the structure's own; what is not there is 0.

    Raises:
        MemoryError: see `require_room`.
    """
    g, p = structure.weights.shape
    # Particles by place and then by grain: grains last, see solver.
    inside = structure.weights.T > 0
    place, grain = np.nonzero(inside)
    n = len(place)
    grains, particles = room or (g, n)
    require_room(structure, dtype, (grains, particles))
    matrix = demag_matrix(structure, self_field=self_field)
    # (g, p, i, g', j) -> rows (j, g'), columns (i, n).
    rows = memory.zeros((3 * grains, 3 * particles), dtype)
    ordered = rows.reshape(3, grains, 3, particles)
    for i in range(3):
        ordered[:, :g, i, :n] = matrix[grain, place, i].transpose(2, 1, 0)
    number = np.cumsum(inside.ravel()).reshape(p, g) - 1
    places = np.where(inside, number, number[inside.argmax(axis=0), np.arange(g)])
    return Dense(rows), places.T
