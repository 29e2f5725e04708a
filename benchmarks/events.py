"""Times loops by events beside loops by steps and Algorithm 1 written literally.

All take turns in one process, as in `benchmarks.simulate`: one loop of the literal algorithm
(float64, NumPy) in each round, and batches of the paper's magnets by events with the states at all
fields, by events for the coercivity alone, and by steps. Ratios are taken within a round, per loop
of one magnet; a time includes the demagnetising matrix.

`--sides N ...` instead compares matvecs and times of one magnet of N×N×N grains, by events and by
steps in both orders.

`--precision N` instead compares N magnets in float32 with float64: how many find all equilibria,
how many reverse in the same order, and how much the fields of avalanches and the states differ.

Run it with `python -m benchmarks.events`; KERAS_BACKEND chooses the backend. On JAX float64 needs
JAX_ENABLE_X64=1.
"""

import argparse
import os
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy reads it when it is imported

import numpy as np

from benchmarks import records
from benchmarks.simulate import Literal, float64_refused, header
from benchmarks.timing import interleave, print_row, print_table, spread
from keras_micromag.physics import cubic_grains, demag_operator, random_easy_axes, simulate
from keras_micromag.physics.microstructure.particles import PAPER_DEPTH

KINDS = ("events", "coercivity", "steps")


def precision(structure, field, count: int, batch: int = 50) -> dict[str, dict]:
    """Print the differences between loops of `count` magnets in float32 and in float64.

    Returns:
        Figures for `records.save`.
    """
    axes = random_easy_axes((count, len(structure)), seed=2)
    unconverged, alike, off, wrong = 0, 0, [], []
    for begin in range(0, count, batch):
        both = [
            simulate(
                structure,
                axes[begin : begin + batch],
                field=field,
                self_field=False,
                method="events",
                dtype=dtype,
                allow_unconverged=True,
                progress=False,
            )
            for dtype in ("float32", "float64")
        ]
        unconverged += sum((~loops.converged).any(axis=1).sum() for loops in both)
        for i in range(len(both[0].converged)):
            pair = [loops[i] for loops in both]
            single, double = (loop.events for loop in pair)
            if np.array_equal(single.grain, double.grain):
                alike += 1
                off.append(np.abs(single.field - double.field))
                # Not at fields that an avalanche has reached in one precision only.
                moments = np.stack([loop.magnetization for loop in pair])
                sides = (moments * axes[begin + i]).sum(axis=3) > 0
                same = (sides[0] == sides[1]).all(axis=1)
                wrong.append(np.abs(moments[0] - moments[1])[same].max(axis=(1, 2)))
    off, wrong = 1e6 * np.concatenate(off), np.concatenate(wrong)
    print(header())
    print(
        f"{count} magnets: {unconverged} without an equilibrium somewhere; {alike} whose grains "
        f"reverse in the same order in float32 and float64, at fields {np.median(off):.2f} µT "
        f"apart (median), {np.percentile(off, 99):.1f} µT (99%), {off.max():.0f} µT (at most); "
        f"largest component by which their states differ: {np.median(wrong):.1e} (median), "
        f"{np.percentile(wrong, 99.9):.1e} (99.9%), {wrong.max():.1e} (at most)"
    )
    return {
        "magnets": records.value(count),
        "unconverged": records.value(unconverged),
        "same_order": records.value(alike),
        "median": records.value(np.median(off), "µT", 2),
        "most": records.value(off.max() / 1e3, "mT", 2),
    }


def sizes(sides, field) -> dict[str, dict]:
    """Print matvecs and seconds of loops of magnets with these numbers of cubes along an edge.

    Returns:
        Figures for `records.save`.
    """
    figures = {}
    print(header())
    print_row(
        ("grains", "by events", "s", "weakest first", "s", "simultaneous", "s", "coercivity, T")
    )
    for side in sides:
        structure = cubic_grains((side, side, side), depth=PAPER_DEPTH, scheme=("vertices",))
        operator = demag_operator(structure, self_field=False)
        axes = random_easy_axes(len(structure), seed=1)
        row, coercivities = [f"{len(structure)}, {operator.kind}"], []
        for method, avalanche in (
            ("events", "weakest_first"),
            ("steps", "weakest_first"),
            ("steps", "simultaneous"),
        ):
            for _ in range(2):  # the first compiles
                start = time.perf_counter()
                loop = simulate(
                    structure,
                    axes,
                    field=field,
                    self_field=False,
                    method=method,
                    avalanche=avalanche,
                    operator=operator,
                    progress=False,
                )
            took, matvecs = time.perf_counter() - start, loop.iterations.sum()
            row += [str(matvecs), f"{took:.1f}"]
            name = f"grains_{len(structure)}_{method}_{avalanche}"
            figures[name] = records.value(took, "s", 2)
            figures[f"{name}_matvecs"] = records.value(matvecs)
            coercivities.append(f"{loop.coercivity():.3f}")
        print_row((*row, " ".join(coercivities)))
    return figures


def main(argv=None) -> list:
    """Time loops by events and by steps, print the table, and return its rows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.events", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds")
    parser.add_argument("--magnets", type=int, nargs="+", default=[10, 64], help="in each batch")
    parser.add_argument("--fields", type=int, default=1000, help="from 8 to -8 T")
    parser.add_argument("--grid", type=int, nargs=3, default=[4, 4, 4], help="grains")
    parser.add_argument("--precision", type=int, metavar="N", help="compare float32 with float64")
    parser.add_argument("--sides", type=int, nargs="+", metavar="N", help="compare N×N×N grains")
    records.add_argument(parser)
    arguments = parser.parse_args(argv)

    def save(name: str, figures: dict[str, dict]) -> None:
        if arguments.save:
            records.save(name, figures, parser, argv)

    field = np.linspace(8.0, -8.0, arguments.fields)
    if arguments.sides:
        save("events_sizes", sizes(arguments.sides, field))
        return []
    structure = cubic_grains(tuple(arguments.grid), depth=PAPER_DEPTH)
    if arguments.precision:
        save("events_precision", precision(structure, field, arguments.precision))
        return []
    axes = random_easy_axes((max(arguments.magnets), len(structure)), seed=1)
    literal = Literal(structure, axes[:10], field)
    dtypes = ["float32"] if float64_refused() else ["float32", "float64"]
    cases = [
        (kind, count, dtype)
        for dtype in dtypes
        for count in arguments.magnets
        for kind in KINDS
        if dtype == "float32" or count == min(arguments.magnets)
    ]
    matvecs = {}

    def run(case):
        kind, count, dtype = case
        loops = simulate(
            structure,
            axes[:count],
            field=field[[0, -1]] if kind == "coercivity" else field,
            self_field=False,
            method="steps" if kind == "steps" else "events",
            dtype=dtype,
            progress=False,
        )
        matvecs[case] = loops.iterations.sum(axis=1)

    functions = [literal, *(lambda case=case: run(case) for case in cases)]
    _, seconds = interleave(functions, arguments.rounds)
    print(header())
    rows = [("", "s per loop", "ratio", "matvecs", "at most")]
    rows.append(("literal float64", spread(seconds[:, 0], 2), "1", "", ""))
    figures = {"literal": records.measured(1e3 * seconds[:, 0], "ms")}
    for case, taken in zip(cases, seconds[:, 1:].T, strict=True):
        kind, count, dtype = case
        each, own = taken / count, matvecs[case]
        name = f"{kind}_{count}_{dtype}"
        figures[name] = records.measured(1e3 * each, "ms")
        figures[f"{name}_ratio"] = records.measured(seconds[:, 0] / each)
        figures[f"{name}_matvecs"] = records.value(round(own.mean()))
        rows.append(
            (
                f"{kind}, {count} magnets, {dtype}",
                spread(each, 4),
                spread(seconds[:, 0] / each, 0),
                f"{own.mean():.0f}",
                str(own.max()),
            )
        )
    print_table(rows)
    print(f"{arguments.rounds} rounds")
    save("events", figures)
    return rows


if __name__ == "__main__":
    main()
