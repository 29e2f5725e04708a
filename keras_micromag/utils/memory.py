"""Memory, looked at before it is taken."""

import os
from math import prod
from pathlib import Path

import numpy as np

_SPARE = 0.9
"""Part of the memory that is free which one object may take."""

ALIGNED = 64
"""Bytes to whose multiples JAX needs addresses, or it makes a copy; NumPy knows of 16."""

_GROUPS = {
    "": ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    "memory": (
        "/sys/fs/cgroup/memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
}
"""Control groups of versions 2 and 1, by controller: folder, limit, use, and cache in it that the
system takes back when it needs room."""


def zeros(shape, dtype) -> np.ndarray:
    """As `np.zeros`, for large arrays which JAX shall take as they are; see `graph.tensors`."""
    dtype = np.dtype(dtype)
    size = prod(shape) * dtype.itemsize
    room = np.zeros(size + ALIGNED, np.uint8)
    first = -room.ctypes.data % ALIGNED
    return room[first : first + size].view(dtype).reshape(shape)


def available() -> int:
    """Bytes that a process may still take: the machine's, or what its control groups leave."""
    told = _table("/proc/meminfo", ":")
    if not told:  # not on Linux: all that there is
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = int(told["MemAvailable"].split()[0]) * 1024
    return min([free, *_left_by_control_groups()])


def _left_by_control_groups():
    """What the process's own group leaves, and each of those around it."""
    groups = dict.fromkeys(_GROUPS, "")
    for line in _text("/proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        groups |= dict.fromkeys(controllers.split(","), group)
    for controller, (root, limit, usage, cache) in _GROUPS.items():
        names = groups[controller].strip("/").split("/")
        # In a container the group may be named as outside, where only the root is seen.
        for depth in range(len(names) + 1):
            folder = "/".join([root, *names[:depth]])
            most, used = (_text(f"{folder}/{name}").strip() for name in (limit, usage))
            if most.isdigit() and used.isdigit():  # else there is no limit, or no such file
                given_back = int(_table(f"{folder}/memory.stat", " ").get(cache, 0))
                yield max(int(most) - int(used) + given_back, 0)


def _table(path, mark):
    """What stands before and after the mark in each line of a file."""
    return dict(line.split(mark, 1) for line in _text(path).splitlines())


def _text(path):
    """What a file holds; nothing where it cannot be read."""
    try:
        return Path(path).read_text()
    except OSError:
        return ""


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
