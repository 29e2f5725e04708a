"""Numbers of things, where NumPy has no word for them."""

import numpy as np


def grid(*axes) -> np.ndarray:
    """(…, n) all combinations of the values along n axes, the last of which varies fastest.

    Example:
        >>> grid([0, 1], [5, 6]).tolist()
        [[[0, 5], [0, 6]], [[1, 5], [1, 6]]]
    """
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def ranges(start, stop) -> tuple[np.ndarray, np.ndarray]:
    """The numbers from each of `start` (m,) up to its `stop`, after which of the m each is of.

    Example:
        >>> ranges(np.array([5, 0]), np.array([7, 3]))
        (array([0, 0, 1, 1, 1]), array([5, 6, 0, 1, 2]))
    """
    count = stop - start
    which = np.repeat(np.arange(len(count)), count)
    return which, start[which] + np.arange(len(which)) - (np.cumsum(count) - count)[which]
