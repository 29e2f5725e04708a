"""Checks that there is enough memory before it is allocated."""

import os
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

_SPARE = 0.9
"""Fraction of the free memory that one object may take."""

ALIGNED = 64
"""Alignment in bytes that JAX needs to share an array without a copy; NumPy guarantees 16."""

_GROUPS = {
    "": ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    "memory": (
        "/sys/fs/cgroup/memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
}
"""Control groups of versions 2 and 1, by controller: folder, and the files of limit, usage, and the
cache in it that the system frees when it needs memory."""


def zeros(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Return zeros, aligned so that JAX shares large arrays; see `backend.tensors`."""
    dtype = np.dtype(dtype)
    size = prod(shape) * dtype.itemsize
    buffer = np.zeros(size + ALIGNED, np.uint8)
    first = -buffer.ctypes.data % ALIGNED
    return buffer[first : first + size].view(dtype).reshape(shape)


def available() -> int:
    """Return the bytes that the machine and the process's control groups leave to allocate."""
    meminfo = _table("/proc/meminfo", ":")
    if not meminfo:  # not on Linux: the machine's total
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = int(meminfo["MemAvailable"].split()[0]) * 1024
    return min([free, *_left_by_control_groups()])


def _left_by_control_groups():
    """Yield the bytes left by the process's own group and by each group that contains it."""
    groups = dict.fromkeys(_GROUPS, "")
    for line in _text("/proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        groups |= dict.fromkeys(controllers.split(","), group)
    for controller, (root, limit, usage, cache) in _GROUPS.items():
        names = groups[controller].strip("/").split("/")
        # In a container the group may have its name outside, while only the root is visible.
        for depth in range(len(names) + 1):
            folder = "/".join([root, *names[:depth]])
            most, used = (_text(f"{folder}/{name}").strip() for name in (limit, usage))
            if most.isdigit() and used.isdigit():  # else there is no limit, or no such file
                cached = int(_table(f"{folder}/memory.stat", " ").get(cache, 0))
                yield max(int(most) - int(used) + cached, 0)


def _table(path, separator):
    """Return the lines of a file as a dict, each split at the separator."""
    return dict(line.split(separator, 1) for line in _text(path).splitlines())


def _text(path):
    """Return the text of a file, "" where it cannot be read."""
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def fits(size: float) -> bool:
    """Return whether one object of `size` bytes fits into the free memory."""
    return size <= _SPARE * available()


def require(size: float, what: str, remedy: str) -> None:
    """Raise if an object would not fit into the free memory.

    Args:
        size: in bytes.
        what: name of the object, for the error.
        remedy: what the user can do instead, for the error.

    Raises:
        MemoryError: naming the size and the free memory.
    """
    if not fits(size):
        free = available()
        raise MemoryError(
            f"{what} needs {size / 1e9:.3g} GB, of which {free / 1e9:.3g} GB are free; {remedy}."
        )
