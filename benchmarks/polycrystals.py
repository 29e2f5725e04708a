"""How fast irregular grains are made, how fast their matrix, and how long a loop of many takes.

The matrix is measured beside magpylib's TriangularMesh, as in `benchmarks.demag`, on some grains of
the polycrystal at a time, drawn anew in every round: both get the same grains with all their
particles, in float64 and in turns, and a ratio is taken within each round. Making is measured in a
process of its own, so that its peak of memory is nothing else's; what the imports took before is
not counted.

Run it with `python -m benchmarks.polycrystals`; KERAS_BACKEND chooses the backend of the loop.
"""

import argparse
import time
from typing import NamedTuple
from unittest import mock

import magpylib
import numpy as np

from benchmarks.demag import mesh
from benchmarks.simulate import header
from benchmarks.timing import alone, interleave, peak, print_table, spread
from keras_micromag.physics import (
    Microstructure,
    demag_matrix,
    random_easy_axes,
    simulate,
    voronoi_grains,
)
from keras_micromag.physics.field import dense

SIZE = 50e-9
KINDS = {"Voronoi": {}, "sigma = 0.3": {"sigma": 0.3}, "relaxation = 2": {"relaxation": 2}}
GOALS = {"making": 30.0, "ratio": 8.0, "loop": 60.0}


def polycrystal(grains: int, **kind) -> Microstructure:
    """Grains of 50 nm in a cube, without those that have no room for their particles."""
    return voronoi_grains(grains, SIZE * grains ** (1 / 3), seed=1, vanishing="drop", **kind)


class Made(NamedTuple):
    """What making a polycrystal took."""

    grains: int
    seconds: float
    peak: float  # MB beyond what the process had before


def make(grains: int, kind: dict) -> Made:
    """Make a polycrystal; for a process of its own."""
    before = peak()
    start = time.perf_counter()
    structure = polycrystal(grains, **kind)
    seconds = time.perf_counter() - start
    return Made(len(structure), seconds, 1e3 * (peak() - before))


def beside(structure: Microstructure, drawn: int, rounds: int) -> np.ndarray:
    """Nanoseconds (rounds, 2) per triangle and point, of the package and of magpylib."""
    rng = np.random.default_rng(0)
    chosen = [rng.choice(len(structure), drawn, replace=False) for _ in range(rounds + 1)]
    parts = [_part(structure, grains) for grains in chosen]
    meshes = [[mesh(grain) for grain in part.grains] for part in parts]
    particles = [part.particles[part.weights > 0] for part in parts]
    ours, peers = iter(parts), zip(meshes, particles, strict=True)
    _, seconds = interleave(
        (
            lambda: demag_matrix(next(ours), self_field=True),
            lambda: magpylib.getH(*next(peers)),  # all at once, which is its faster way
        ),
        rounds,
    )
    return seconds * 1e9 / np.array([pairs(part) for part in parts[1:]])[:, None]


def _part(structure, chosen):
    grains = [structure.grains[i] for i in chosen]
    told = {"particles": structure.particles[chosen], "weights": structure.weights[chosen]}
    return Microstructure(grains, **told)


def pairs(structure: Microstructure) -> int:
    """Triangles times points."""
    triangles = sum(len(grain.triangles) for grain in structure.grains)
    return triangles * int((structure.weights > 0).sum())


class Loop(NamedTuple):
    """What a loop took."""

    matrix: float  # seconds
    rest: float  # seconds, compilation included
    products: int


def loop(structure: Microstructure, fields: int) -> Loop:
    """Simulate one magnet, and take the time of its matrix apart."""
    seconds = []

    def timed(*args, **told):
        start = time.perf_counter()
        matrix = demag_matrix(*args, **told)
        seconds.append(time.perf_counter() - start)
        return matrix

    axes, field = random_easy_axes(len(structure), seed=1), np.linspace(8.0, -8.0, fields)
    start = time.perf_counter()
    with mock.patch.object(dense, "demag_matrix", timed):
        result = simulate(structure, axes, field=field, operator="dense", progress=False)
    total = time.perf_counter() - start
    return Loop(seconds[0], total - seconds[0], int(result.iterations.sum()))


def main(argv=None) -> None:
    """Measure, and print one line each."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.polycrystals", description=main.__doc__
    )
    parser.add_argument("--rounds", type=int, default=7, help="rounds beside magpylib that count")
    parser.add_argument("--made", type=int, default=10_000, help="grains to make")
    parser.add_argument("--grains", type=int, default=500, help="grains of the matrix and the loop")
    parser.add_argument("--drawn", type=int, default=20, help="of them in a round beside magpylib")
    parser.add_argument("--fields", type=int, default=1000, help="fields of the loop")
    arguments = parser.parse_args(argv)
    rows = [(f"making {arguments.made} grains", "left", "s", "peak, MB")]
    for name, kind in KINDS.items():
        made = alone(make, arguments.made, kind)
        rows.append((name, str(made.grains), f"{made.seconds:.1f}", f"{made.peak:.0f}"))
    print_table(rows)
    print(f"goal: {GOALS['making']:g} s")
    print()
    structure = polycrystal(arguments.grains)
    ours, peer = beside(structure, arguments.drawn, arguments.rounds).T
    print(
        f"{len(structure)} grains with {int((structure.weights > 0).sum())} particles; "
        f"{arguments.drawn} at a time, median [min, max] of {arguments.rounds} rounds"
    )
    rows = [("per triangle and point", "keras-micromag, ns", "magpylib, ns", "ratio")]
    rows.append(("demag_matrix", spread(ours, 1), spread(peer, 0), spread(peer / ours, 1)))
    print_table(rows)
    print(f"goal: ratio at least {GOALS['ratio']:g}")
    print()
    print(header())
    took = loop(structure, arguments.fields)
    print(
        f"a loop of {arguments.fields} fields: {took.matrix + took.rest:.1f} s "
        f"(goal: {GOALS['loop']:g} s), of which the matrix {took.matrix:.1f} s, "
        f"{took.matrix * 1e9 / pairs(structure):.1f} ns per triangle and point; "
        f"{took.products} products, {1e3 * took.rest / took.products:.1f} ms each, "
        "compilation included"
    )


if __name__ == "__main__":
    main()
