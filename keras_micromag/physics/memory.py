"""Memory, looked at before it is taken."""

import os
from math import prod
from pathlib import Path

import numpy as np

_SPARE = 0.9
"""Part of the memory that is free which one object may take."""

ALIGNED = 64
"""Bytes to whose multiples JAX needs addresses, or it makes a copy; NumPy knows of 16."""


def zeros(shape, dtype) -> np.ndarray:
    """As `np.zeros`, for large arrays which JAX shall take as they are; see `graph.tensors`."""
    dtype = np.dtype(dtype)
    size = prod(shape) * dtype.itemsize
    room = np.zeros(size + ALIGNED, np.uint8)
    first = -room.ctypes.data % ALIGNED
    return room[first : first + size].view(dtype).reshape(shape)


def available() -> int:
    """Bytes that a process may still take: the machine's, or what its control group leaves."""
    try:
        told = Path("/proc/meminfo").read_text()
    except OSError:  # not on Linux: all that there is
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    lines = dict(line.split(":", 1) for line in told.splitlines())
    free = int(lines["MemAvailable"].split()[0]) * 1024
    return min([free, *_left_by_control_group()])


def _left_by_control_group():
    folder = Path("/sys/fs/cgroup")
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            most = (folder / limit).read_text().strip()
            if most != "max":
                yield max(int(most) - int((folder / used).read_text()), 0)
        except OSError:
            continue


def fits(size: float) -> bool:
    """Whether there is room for as many bytes."""
    return size <= _SPARE * available()


def require(size: float, what: str, remedy: str) -> None:
    """Raise before more is allocated than there is.

    Raises:
        MemoryError: naming the size and what would fit.
    """
    if not fits(size):
        free = available()
        raise MemoryError(
            f"{what} needs {size / 1e9:.3g} GB, of which {free / 1e9:.3g} GB are free; {remedy}."
        )
