"""Index arrays for which NumPy has no function."""

import numpy as np
from numpy.typing import ArrayLike


def grid(*axes: ArrayLike) -> np.ndarray:
    """Return all combinations (…, n) of the values along n axes; the last one varies fastest.

    Example:
        >>> grid([0, 1], [5, 6]).tolist()
        [[[0, 5], [0, 6]], [[1, 5], [1, 6]]]
    """
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def ranges(start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Concatenate the m ranges from `start` (m,) to `stop` (m,).

    Returns:
        Of each number in them, the index of its range and the number itself.

    Example:
        >>> ranges(np.array([5, 0]), np.array([7, 3]))
        (array([0, 0, 1, 1, 1]), array([5, 6, 0, 1, 2]))
    """
    count = stop - start
    which = np.repeat(np.arange(len(count)), count)
    return which, start[which] + np.arange(len(which)) - (np.cumsum(count) - count)[which]
