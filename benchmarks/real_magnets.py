"""What temperature, exchange and thermal activation change and cost.

The table has the figures of merit of the default magnet, means of ten, with each of them and with
all. Then loops with exchange and with activation take turns with loops without, in one process, for
each kind of operator, which is built before. A time is that of one product with the operator, since
loops take different numbers of products; that of a loop is beside it.

Run it with `python -m benchmarks.real_magnets`; KERAS_BACKEND chooses the backend.
"""

import argparse
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks import records
from benchmarks.timing import interleave, print_table, spread
from keras_micromag.physics import (
    ND2FE14B,
    Microstructure,
    Thermal,
    cubic_grains,
    demag_operator,
    random_easy_axes,
    simulate,
    voronoi_grains,
)

EXCHANGE = 1e-3
"""J/m²."""

SWEEP_RATE = 0.01
"""T/s."""

HOT = 450.0
"""Temperature of a hot magnet in kelvin."""

VARIANTS: dict[str, dict[str, Any]] = {
    "none of them": {},
    "temperature": {"temperature": HOT},
    "exchange": {"exchange": EXCHANGE},
    "activation": {"thermal": Thermal(300.0, sweep_rate=SWEEP_RATE)},
    "temperature and activation": {
        "temperature": HOT,
        "thermal": Thermal(HOT, sweep_rate=SWEEP_RATE),
    },
    "all": {
        "temperature": HOT,
        "thermal": Thermal(HOT, sweep_rate=SWEEP_RATE),
        "exchange": EXCHANGE,
    },
}


class Cost(NamedTuple):
    """What exchange or activation costs on one kind of operator.

    Args:
        kind: of the operator. variant: of `VARIANTS`.
        grains: their number. magnets: in the batch.
        products: in a loop without and in one with it.
        each: (rounds,) of the times of a product with it and without.
        loop: (rounds,) of the times of a loop.
    """

    kind: str
    variant: str
    grains: int
    magnets: int
    products: tuple[int, int]
    each: np.ndarray
    loop: np.ndarray


def merits(variant: str, magnets: int = 10, shape=(4, 4, 4)) -> tuple[float, float, float]:
    """Return the mean coercivity and remanence in tesla, and (BH)max in kJ/m³, by events."""
    structure = cubic_grains(shape)
    loops = simulate(
        structure,
        random_easy_axes((magnets, len(structure)), seed=1),
        field=np.linspace(8.0, -8.0, 161),
        method="events",
        progress=False,
        **VARIANTS[variant],
    )
    energy = loops.energy_product() / 1000
    return tuple(float(each.mean()) for each in (loops.coercivity(), loops.remanence(), energy))


def bodies(scale: int = 1) -> dict[str, tuple[Microstructure, int]]:
    """Return a magnet for each kind of operator, and how many of them to simulate at once.

    Args:
        scale: by how many the numbers of grains along the edges are divided.
    """
    edge = 8 // scale
    grains = voronoi_grains(250 // scale**3, 330e-9 / scale, seed=1, gap=3e-9, vanishing="drop")
    return {
        "dense": (cubic_grains((4, 4, 4)), 10),
        "lattice": (cubic_grains((edge, edge, edge)), 1),
        "hierarchical": (grains, 1),
    }


def costs(kind: str, structure: Microstructure, magnets: int, rounds: int) -> list[Cost]:
    """Return what exchange and activation cost on one kind of operator."""
    structure = structure.calibrated_for(ND2FE14B)
    operator = demag_operator(structure, kind)
    axes = random_easy_axes((magnets, len(structure)), seed=1)
    field = np.linspace(0.0, -8.0, 50)
    products = {}

    def loop(variant):
        result = simulate(
            structure, axes, field=field, operator=operator, progress=False, **VARIANTS[variant]
        )
        products[variant] = int(result.iterations.sum())

    variants = ["none of them", "exchange", "activation"]
    _, seconds = interleave([partial(loop, variant) for variant in variants], rounds)
    each = seconds / [products[variant] for variant in variants]
    return [
        Cost(
            kind,
            variant,
            len(structure),
            magnets,
            (round(products[variants[0]] / magnets), round(products[variant] / magnets)),
            each[:, k] / each[:, 0],
            seconds[:, k] / seconds[:, 0],
        )
        for k, variant in enumerate(variants)
        if k
    ]


def main(argv=None) -> list[Cost]:
    """Print what temperature, exchange and activation change and cost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_magnets", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds")
    parser.add_argument("--scale", type=int, default=1, help="by which lattices are smaller")
    records.add_argument(parser)
    arguments = parser.parse_args(argv)
    figures = {}
    table = [("default magnet", "µ0·Hc, T", "Br, T", "(BH)max, kJ/m³")]
    for variant in VARIANTS:
        values = merits(variant)
        table.append((variant, *(f"{value:.3g}" for value in values)))
        name = variant.replace(" ", "_")
        for quantity, value, unit in zip(
            ("coercivity", "remanence", "energy_product"), values, ("T", "T", "kJ/m³"), strict=True
        ):
            figures[f"{name}_{quantity}"] = records.value(value, unit)
    print_table(table)

    table = [
        ("operator", "with", "grains", "magnets", "products", "then", "time of one", "of a loop")
    ]
    rows = []
    for kind, body in bodies(arguments.scale).items():
        rows += costs(kind, *body, arguments.rounds)
    for row in rows:
        numbers = map(str, (row.grains, row.magnets, *row.products))
        ratios = spread(row.each, 2), spread(row.loop, 2)
        table.append((row.kind, row.variant, *numbers, *ratios))
        name = f"{row.kind}_{row.variant}"
        figures[f"{name}_grains"] = records.value(row.grains)
        figures[f"{name}_product"] = records.measured(row.each)
        figures[f"{name}_loop"] = records.measured(row.loop)
    print()
    print_table(table)
    if arguments.save:
        records.save("real_magnets", figures, parser, argv)
    return rows


if __name__ == "__main__":
    main()
