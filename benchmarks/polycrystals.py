"""Times making irregular grains, their demagnetising matrix, and a loop of many of them.

The matrix is measured beside magpylib in `benchmarks.demag`.

Run it with `python -m benchmarks.polycrystals`; KERAS_BACKEND chooses the backend of the loop.
"""

import argparse
import time
from typing import NamedTuple
from unittest import mock

import numpy as np

from benchmarks import records
from benchmarks.simulate import header
from benchmarks.timing import print_table
from keras_micromag.physics import (
    Microstructure,
    demag_matrix,
    random_easy_axes,
    simulate,
    voronoi_grains,
)
from keras_micromag.physics.field import dense
from keras_micromag.physics.microstructure.particles import PAPER_DEPTH

SIZE = 50e-9
KINDS = {"Voronoi": {}, "sigma = 0.3": {"sigma": 0.3}}


def polycrystal(grains: int, **kind) -> Microstructure:
    """Return grains of 50 nm in a cube, without those too small for their particles."""
    edge = SIZE * grains ** (1 / 3)
    return voronoi_grains(grains, edge, 1, vanishing="drop", depth=PAPER_DEPTH, **kind)


class Loop(NamedTuple):
    """Time and matvecs of a loop."""

    matrix: float  # seconds
    rest: float  # seconds, compilation included
    matvecs: int


def loop(structure: Microstructure, fields: int) -> Loop:
    """Simulate one magnet, and time its matrix separately."""
    seconds = []

    def timed(*args, **kwargs):
        start = time.perf_counter()
        matrix = demag_matrix(*args, **kwargs)
        seconds.append(time.perf_counter() - start)
        return matrix

    axes, field = random_easy_axes(len(structure), seed=1), np.linspace(8.0, -8.0, fields)
    start = time.perf_counter()
    with mock.patch.object(dense, "demag_matrix", timed):
        result = simulate(
            structure,
            axes,
            field=field,
            self_field=False,
            avalanche="simultaneous",
            operator="dense",
            progress=False,
        )
    total = time.perf_counter() - start
    return Loop(seconds[0], total - seconds[0], int(result.iterations.sum()))


def main(argv=None) -> None:
    """Time all, and print the results."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.polycrystals", description=main.__doc__
    )
    parser.add_argument("--made", type=int, default=10_000, help="grains to make")
    parser.add_argument("--grains", type=int, default=500, help="grains of the matrix and the loop")
    parser.add_argument("--fields", type=int, default=1000, help="fields of the loop")
    records.add_argument(parser)
    arguments = parser.parse_args(argv)
    rows = [(f"making {arguments.made} grains", "left", "s")]
    figures = {}
    for (name, kind), key in zip(KINDS.items(), ("voronoi", "log_normal"), strict=True):
        start = time.perf_counter()
        made = polycrystal(arguments.made, **kind)
        took = time.perf_counter() - start
        rows.append((name, str(len(made)), f"{took:.1f}"))
        figures[f"making_{key}"] = records.value(took, "s")
    print_table(rows)
    print()
    structure = polycrystal(arguments.grains)
    print(header())
    took = loop(structure, arguments.fields)
    figures["matrix"] = records.value(took.matrix, "s")
    figures["loop"] = records.value(took.matrix + took.rest, "s")
    figures["matvecs"] = records.value(took.matvecs)
    figures["matvec"] = records.value(1e3 * took.rest / took.matvecs, "ms")
    print(
        f"a loop of {arguments.fields} fields of {len(structure)} grains with "
        f"{int((structure.weights > 0).sum())} particles: {took.matrix + took.rest:.1f} s, of "
        f"which the matrix {took.matrix:.1f} s; {took.matvecs} matvecs, "
        f"{1e3 * took.rest / took.matvecs:.1f} ms each, compilation included"
    )
    if arguments.save:
        records.save("polycrystals", figures, parser, argv)


if __name__ == "__main__":
    main()
