"""How fast loops by events are, beside those by steps and beside Algorithm 1 written literally.

All take turns in one process, as in `benchmarks.simulate`: the paper's magnets, one loop of the
literal algorithm (float64, NumPy) in each round, batches of ten and of 64 by events with the states
at all 1,000 fields, by events for the coercivity alone, and by steps. A ratio is taken within each
round, per loop of one magnet; the whole call counts, demagnetising matrix included. A second table
tells where a call's time goes, and what its products would take if they all were bare ones, see
`benchmarks.simulate`: with as many products none is faster.

`--sides N ...` instead takes one magnet of N×N×N grains, by events and by steps in both orders: a
product saved is worth more the more it costs, but each flip of an avalanche takes some.

`--precision N` instead holds N magnets in float32 to the same in float64: how many find all their
equilibria, reverse alike, and how far off the fields of their avalanches and their states are then.

Run it with `python -m benchmarks.events`; KERAS_BACKEND chooses the backend. On JAX float64 needs
JAX_ENABLE_X64=1.
"""

import argparse
import contextlib
import os
import time
from unittest import mock

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy reads it when it is imported

import numpy as np

from benchmarks.simulate import PRODUCTS, Literal, bare_product, float64_refused, header
from benchmarks.timing import interleave, print_row, print_table, spread
from keras_micromag.physics import (
    cubic_grains,
    demag_operator,
    random_easy_axes,
    simulate,
)
from keras_micromag.physics.solver import by_events
from keras_micromag.physics.solver.events.equilibrate import Equilibrator

GOALS = {"events": 120, "coercivity": 150, "steps": ""}
PER_FIELD = 0.5
PARTS = {
    "tracing": (by_events, "trace"),
    "states": (by_events, "_states_and_events"),
    "equilibrating": (Equilibrator, "__call__"),  # within the one before
}


def precision(structure, field, count: int, batch: int = 50) -> None:
    """Print how far loops of `count` magnets in float32 are from those in float64."""
    axes = random_easy_axes((count, len(structure)), seed=2)
    unconverged, alike, off, wrong = 0, 0, [], []
    for begin in range(0, count, batch):
        options = {"field": field, "method": "events", "allow_unconverged": True, "progress": False}
        both = [
            simulate(structure, axes[begin : begin + batch], dtype=dtype, **options)
            for dtype in ("float32", "float64")
        ]
        unconverged += sum((~loops.converged).any(axis=1).sum() for loops in both)
        for i in range(len(both[0].converged)):
            pair = [loops[i] for loops in both]
            single, double = (loop.events for loop in pair)
            if np.array_equal(single.grain, double.grain):
                alike += 1
                off.append(np.abs(single.field - double.field))
                # Not where one avalanche is on this side of a field, and on the other there.
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


def sizes(sides, field) -> None:
    """Print the products that loops of cubes with these sides take, and how long."""
    print(header())
    print_row(
        ("grains", "by events", "s", "weakest first", "s", "simultaneous", "s", "coercivity, T")
    )
    for side in sides:
        structure = cubic_grains((side, side, side), scheme=("vertices",))
        operator = demag_operator(structure)
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
                    method=method,
                    avalanche=avalanche,
                    operator=operator,
                    progress=False,
                )
            row += [str(loop.iterations.sum()), f"{time.perf_counter() - start:.1f}"]
            coercivities.append(f"{loop.coercivity():.3f}")
        print_row((*row, " ".join(coercivities)))


class Parts:
    """Seconds that the parts of a call by events take."""

    def __init__(self):
        self.seconds = dict.fromkeys(PARTS, 0.0)

    def timed(self, call):
        """What `call` returns, with the parts of it added up."""
        with contextlib.ExitStack() as stack:
            for name, (owner, method) in PARTS.items():
                counted = self._counted(name, getattr(owner, method))
                stack.enter_context(mock.patch.object(owner, method, counted))
            return call()

    def _counted(self, name, function):
        def counted(*arguments):
            start = time.perf_counter()
            try:
                return function(*arguments)
            finally:
                self.seconds[name] += time.perf_counter() - start

        return counted


def main(argv=None) -> list:
    """Measure, print the table, and return its rows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.events", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="rounds that count")
    parser.add_argument("--magnets", type=int, nargs="+", default=[10, 64], help="in a batch")
    parser.add_argument("--fields", type=int, default=1000, help="from 8 to -8 T")
    parser.add_argument("--grid", type=int, nargs=3, default=[4, 4, 4], help="grains")
    parser.add_argument("--precision", type=int, metavar="N", help="magnets in either precision")
    parser.add_argument("--sides", type=int, nargs="+", metavar="N", help="of single magnets")
    arguments = parser.parse_args(argv)
    field = np.linspace(8.0, -8.0, arguments.fields)
    if arguments.sides:
        sizes(arguments.sides, field)
        return []
    structure = cubic_grains(tuple(arguments.grid))
    if arguments.precision:
        precision(structure, field, arguments.precision)
        return []
    axes = random_easy_axes((max(arguments.magnets), len(structure)), seed=1)
    literal = Literal(structure, axes[:10], field)
    dtypes = ["float32"] if float64_refused() else ["float32", "float64"]
    cases = [
        (kind, count, dtype)
        for dtype in dtypes
        for count in arguments.magnets
        for kind in GOALS
        if dtype == "float32" or count == min(arguments.magnets)
    ]
    products, parts = {}, {}

    def run(case):
        kind, count, dtype = case
        parts.setdefault(case, []).append(own := Parts())
        loops = own.timed(
            lambda: simulate(
                structure,
                axes[:count],
                field=field[[0, -1]] if kind == "coercivity" else field,
                method="steps" if kind == "steps" else "events",
                dtype=dtype,
                progress=False,
            )
        )
        products[case] = loops.iterations.sum(axis=1)

    bare = {case[1:]: bare_product(structure, *case[1:]) for case in cases}
    _, seconds = interleave(
        [literal, *(lambda case=case: run(case) for case in cases), *bare.values()],
        arguments.rounds,
    )
    seconds, bare_seconds = np.split(seconds, [1 + len(cases)], axis=1)
    bare = dict(zip(bare, bare_seconds.T / PRODUCTS, strict=True))
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
    where = [
        ("% of the call", "bare products", "tracing", "equilibrating", "states and events", "rest")
    ]
    for case, taken in zip(cases, seconds[:, 1:].T, strict=True):
        if case[0] != "steps":
            # The first of them compiles, and counts for nothing.
            seconds_of_parts = np.array([[*own.seconds.values()] for own in parts[case][1:]])
            tracing, result, equilibrating = (seconds_of_parts / taken[:, None]).T
            shares = (
                products[case].mean() * bare[case[1:]] / taken,
                tracing,
                equilibrating,
                result - equilibrating,
                1 - tracing - result,
            )
            name = rows[2 + cases.index(case)][0]
            where.append((name, *(spread(100 * share, 0) for share in shares)))
    print_table(where)
    return rows


if __name__ == "__main__":
    main()
