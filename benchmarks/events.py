"""How fast loops by events are, beside those by steps and beside Algorithm 1 written literally.

All take turns in one process, as in `benchmarks.simulate`: the paper's magnets, one loop of the
literal algorithm (float64, NumPy) in each round, batches of ten and of 64 by events with the states
at all 1,000 fields, by events for the coercivity alone, and by steps. A ratio is taken within each
round, per loop of one magnet; the whole call counts, demagnetising matrix included.

Run it with `python -m benchmarks.events`; KERAS_BACKEND chooses the backend. On JAX float64 needs
JAX_ENABLE_X64=1.
"""

import argparse
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy reads it when it is imported

import numpy as np

from benchmarks.simulate import Literal, float64_refused, header
from benchmarks.timing import interleave, print_table, spread
from keras_micromag.physics import cubic_grains, random_easy_axes, simulate

GOALS = {"events": 120, "coercivity": 150, "steps": ""}
PER_FIELD = 0.5


def main(argv=None) -> list:
    """Measure, print the table, and return its rows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.events", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="rounds that count")
    parser.add_argument("--magnets", type=int, nargs="+", default=[10, 64], help="in a batch")
    parser.add_argument("--fields", type=int, default=1000, help="from 8 to -8 T")
    parser.add_argument("--grid", type=int, nargs=3, default=[4, 4, 4], help="grains")
    arguments = parser.parse_args(argv)
    structure = cubic_grains(tuple(arguments.grid))
    axes = random_easy_axes((max(arguments.magnets), len(structure)), seed=1)
    field = np.linspace(8.0, -8.0, arguments.fields)
    literal = Literal(structure, axes[:10], field)
    dtypes = ["float32"] if float64_refused() else ["float32", "float64"]
    cases = [
        (kind, count, dtype)
        for dtype in dtypes
        for count in arguments.magnets
        for kind in GOALS
        if dtype == "float32" or count == min(arguments.magnets)
    ]
    products = {}

    def run(case):
        kind, count, dtype = case
        loops = simulate(
            structure,
            axes[:count],
            field=field[[0, -1]] if kind == "coercivity" else field,
            method="steps" if kind == "steps" else "events",
            dtype=dtype,
            progress=False,
        )
        products[case] = loops.iterations.sum(axis=1)

    _, seconds = interleave(
        [literal, *(lambda case=case: run(case) for case in cases)], arguments.rounds
    )
    print(header())
    rows = [("", "s per loop", "ratio", "goal", "products", "at most", "per field")]
    rows.append(("literal float64", spread(seconds[:, 0], 2), "1", "", "", "", ""))
    for case, taken in zip(cases, seconds[:, 1:].T, strict=True):
        kind, count, dtype = case
        each, own = taken / count, products[case]
        rows.append(
            (
                f"{kind}, {count} magnets, {dtype}",
                spread(each, 4),
                spread(seconds[:, 0] / each, 0),
                str(GOALS[kind]),
                f"{own.mean():.0f}",
                str(own.max()),
                "" if kind == "coercivity" else f"{own.mean() / len(field):.2f}",
            )
        )
    print_table(rows)
    print(f"goal: {PER_FIELD} products for each field asked for; {arguments.rounds} rounds")
    return rows


if __name__ == "__main__":
    main()
