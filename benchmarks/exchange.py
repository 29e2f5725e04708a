"""Times loops with exchange across grain boundaries beside loops without.

Both take turns in one process, for each kind of operator, which is built before. A time is that of
one product with the operator: exchange changes how many of them a loop takes.

Run it with `python -m benchmarks.exchange`; KERAS_BACKEND chooses the backend.
"""

import argparse
from functools import partial
from typing import NamedTuple

import numpy as np

from benchmarks.timing import interleave, print_table, spread
from keras_micromag.physics import (
    ND2FE14B,
    Microstructure,
    cubic_grains,
    demag_operator,
    random_easy_axes,
    simulate,
    voronoi_grains,
)

EXCHANGE = 1e-3
"""J/m²."""


class Row(NamedTuple):
    """Measurements of one kind of operator.

    Args:
        kind: of the operator.
        grains: their number.
        magnets: in the batch.
        matvecs: in a loop without exchange and in one with it.
        ratio: (rounds,) of the times of a product with exchange and without.
    """

    kind: str
    grains: int
    magnets: int
    matvecs: tuple[int, int]
    ratio: np.ndarray


def magnets(scale: int = 1) -> dict[str, tuple[Microstructure, int]]:
    """Return a magnet for each kind of operator, and how many of them to simulate at once.

    Args:
        scale: by how many the numbers of grains along the edges of the lattice are divided.
    """
    edge = 8 // scale
    grains = voronoi_grains(250 // scale**3, 330e-9 / scale, seed=1, gap=3e-9, vanishing="drop")
    return {
        "dense": (cubic_grains((4, 4, 4)), 10),
        "lattice": (cubic_grains((edge, edge, edge)), 1),
        "hierarchical": (grains, 1),
    }


def measure(kind: str, structure: Microstructure, batch: int, rounds: int, steps: int = 50) -> Row:
    """Return the measurements of one kind of operator."""
    structure = structure.calibrated_for(ND2FE14B)
    operator = demag_operator(structure, kind)
    axes = random_easy_axes((batch, len(structure)), seed=1)
    field = np.linspace(0.0, -8.0, steps)
    matvecs = {}

    def loop(exchange):
        result = simulate(
            structure, axes, exchange=exchange, field=field, operator=operator, progress=False
        )
        matvecs[exchange] = int(result.iterations.sum())

    _, seconds = interleave([partial(loop, 0.0), partial(loop, EXCHANGE)], rounds)
    each = seconds / [matvecs[0.0], matvecs[EXCHANGE]]
    counts = tuple(round(count / batch) for count in matvecs.values())
    return Row(kind, len(structure), batch, counts, each[:, 1] / each[:, 0])


def main(argv=None) -> list[Row]:
    """Time loops with exchange beside loops without."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exchange", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds")
    parser.add_argument("--scale", type=int, default=1, help="by which lattices are smaller")
    arguments = parser.parse_args(argv)
    rows = [
        measure(kind, *magnet, arguments.rounds)
        for kind, magnet in magnets(arguments.scale).items()
    ]
    table = [("operator", "grains", "magnets", "products", "with exchange", "time of one, ratio")]
    for row in rows:
        numbers = map(str, (row.grains, row.magnets, *row.matvecs))
        table.append((row.kind, *numbers, spread(row.ratio, 2)))
    print_table(table)
    return rows


if __name__ == "__main__":
    main()
