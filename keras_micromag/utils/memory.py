"""Checks that there is enough memory before it is allocated."""

import math
import os

import numpy as np
from numpy.typing import DTypeLike

_SHARE = 0.9
"""Fraction of the available memory that one object may take."""

ALIGNED = 64
"""Alignment in bytes that JAX needs to share an array without a copy; NumPy guarantees 16."""


def zeros(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Return zeros, aligned so that JAX shares large arrays; see `backend.tensors`."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    buffer = np.zeros(size + ALIGNED, np.uint8)
    first = -buffer.ctypes.data % ALIGNED
    return buffer[first : first + size].view(dtype).reshape(shape)


def available() -> float:
    """Return the bytes of memory that the machine has left, as far as its system tells.

    Linux gives the memory that can be allocated without swapping. Elsewhere it is the machine's
    total memory where `os.sysconf` gives that, as on macOS, and infinity on Windows, where nothing
    is therefore refused.

    Notes:
        The limits of a container or of a batch job are not considered: a process that exceeds
        them is killed by the system.
    """
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            sizes = dict(line.split(":", 1) for line in file)
        return 1024 * int(sizes["MemAvailable"].split()[0])
    except (OSError, KeyError):  # not Linux
        if hasattr(os, "sysconf"):
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return math.inf


def fits(size: float) -> bool:
    """Return whether one object of `size` bytes fits into the available memory."""
    return size <= _SHARE * available()


def require(size: float, what: str, remedy: str) -> None:
    """Raise if an object would not fit into the available memory.

    Args:
        size: in bytes.
        what: name of the object, for the error.
        remedy: what the user can do instead, for the error.

    Raises:
        MemoryError: naming the size and the available memory.
    """
    if not fits(size):
        needed = min(size, 1e99) / 1e9  # an int may be too large for a float
        free = available() / 1e9
        raise MemoryError(
            f"{what} needs {needed:.3g} GB, of which {free:.3g} GB are free; {remedy}."
        )
