"""Functions that measure times and memory, and print tables."""

import resource
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np


def interleave(functions: Sequence[Callable], rounds: int) -> tuple[np.ndarray, np.ndarray]:
    """Time functions in turns, so that other load on the machine falls on all of them.

    Returns:
        Seconds (n,) of the first calls, which may compile and fill caches, and seconds (rounds, n)
        of the later ones.
    """
    seconds = []
    for _ in range(rounds + 1):
        row = []
        for function in functions:
            start = time.perf_counter()
            function()
            row.append(time.perf_counter() - start)
        seconds.append(row)
    return np.array(seconds[0]), np.array(seconds[1:])


def alone(function, *arguments):
    """Call a function in a process of its own, so that its peak memory can be read."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def peak() -> float:
    """Return the peak memory of this process in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def spread(values: Iterable[float], digits: int) -> str:
    """Return the median as text, with the range in brackets."""
    low, middle, high = (f"{f(values):.{digits}f}" for f in (min, statistics.median, max))
    return f"{middle} [{low}, {high}]"


def print_row(row: Sequence[str]) -> None:
    """Print a row of a table at once."""
    print("  ".join(f"{cell:>14}" for cell in row), flush=True)


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of equal length in columns, the first to the left and all others to the right."""
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    for name, *cells in rows:
        padded = (f"{cell:>{width}}" for cell, width in zip(cells, others, strict=True))
        print("   ".join((f"{name:<{first}}", *padded)).rstrip())
