"""Times `simulate` beside Algorithm 1 written literally in NumPy.

The peer is `simulate_literal` of tests/oracles.py: float64, one magnet, tolerance 1e-7. It takes
turns with `simulate` on batches of several sizes, in one process, so that other load on the machine
falls on all; ratios are taken within a round. In each round the literal loop and the batch of one
take the next magnet. A time is that of one loop of one magnet: the time of a batch is divided by
its size. It includes the demagnetising matrix for the package, but not for the literal loop.
NumPy's products run on one thread: on an idle machine two are no faster, and beside other load they
are up to ten times slower, which would flatter the package.

Run it with `python -m benchmarks.simulate`; KERAS_BACKEND chooses the backend. On JAX the row for
float64 needs JAX_ENABLE_X64=1. On PyTorch ten magnets also take turns with JAX, which runs in
another process; `--peer` measures only that.
"""

import argparse
import os
import platform
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import NamedTuple
from unittest import mock

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy reads it when it is imported

import keras
import numpy as np

from benchmarks import records
from benchmarks.timing import interleave, print_table, spread
from keras_micromag.physics import (
    ND2FE14B,
    Hysteresis,
    Microstructure,
    cubic_grains,
    demag_matrix,
    random_easy_axes,
    simulate,
)
from keras_micromag.physics.microstructure.particles import PAPER_DEPTH
from keras_micromag.physics.solver import field_steps
from keras_micromag.utils.backend import require_dtype
from tests.oracles import simulate_literal

BATCHES = ((1, "float32"), (10, "float32"), (64, "float32"), (10, "float64"))


class Literal:
    """Runs Algorithm 1 in NumPy for one magnet per call, each time the next."""

    def __init__(self, structure: Microstructure, easy_axes: np.ndarray, field: np.ndarray):
        self.matrix = demag_matrix(structure, self_field=False)
        self.weights, self.easy_axes, self.field = structure.weights, easy_axes, field
        self.calls = 0
        self.states = {}  # magnet -> (t, g, 3)

    def __call__(self) -> None:
        """Run one loop."""
        magnet = self.calls % len(self.easy_axes)
        self.calls += 1
        self.states[magnet], _ = simulate_literal(
            self.matrix,
            self.weights,
            self.easy_axes[magnet],
            self.field,
            polarization=ND2FE14B.Js,
            anisotropy_field=ND2FE14B.anisotropy_field,
            avalanche="simultaneous",
        )


class Ours:
    """Runs `simulate` on the first magnets, or, in batches of one, each time on the next."""

    def __init__(
        self,
        structure: Microstructure,
        easy_axes: np.ndarray,
        field: np.ndarray,
        magnets: int,
        dtype: str,
        compared: int,
    ):
        self.structure, self.easy_axes, self.field = structure, easy_axes, field
        self.magnets, self.dtype, self.compared = magnets, dtype, compared
        self.traces = []  # per call
        self.results = {}  # magnet -> Hysteresis

    def __call__(self) -> None:
        """Run the batch."""
        first = len(self.traces) % self.compared if self.magnets == 1 else 0
        with mock.patch.object(field_steps, "_advance", wraps=field_steps._advance) as traced:
            result = simulate(
                self.structure,
                self.easy_axes[first : first + self.magnets],
                field=self.field,
                self_field=False,
                avalanche="simultaneous",
                dtype=self.dtype,
                progress=False,
            )
        # A compiled function runs its Python once per compilation.
        self.traces.append(traced.call_count)
        for i in range(self.magnets):
            self.results[first + i] = result[i]


class Row(NamedTuple):
    """Measurements of one batch."""

    magnets: int
    dtype: str
    seconds: np.ndarray  # (rounds,) per loop
    ratio: np.ndarray  # (rounds,) of the time of the literal loop to this
    compiling: float  # seconds by which the first call is longer than later ones
    traces: tuple[int, int]  # compilations in the first call, and in all later calls
    alike: float  # share of (magnet, field, grain) on the same branch as in the literal loop
    worst: float  # largest difference of a coercivity, in field steps


def measure(
    structure: Microstructure,
    easy_axes: np.ndarray,
    field: np.ndarray,
    *,
    batches: Sequence[tuple[int, str]],
    compared: int,
    rounds: int,
) -> tuple[np.ndarray, list[Row]]:
    """Time batches of (magnets, dtype), and compare their first magnets with the literal loop.

    Args:
        structure: the grains.
        easy_axes: (b, g, 3).
        field: (t,) in tesla.
        batches: sizes and dtypes of the batches.
        compared: number of magnets that run in the literal loop.
        rounds: number of rounds, after a first in which everything is compiled.

    Returns:
        Seconds (rounds,) of the literal loop, and a row for each batch.
    """
    literal = Literal(structure, easy_axes[:compared], field)
    ours = [Ours(structure, easy_axes, field, *batch, compared) for batch in batches]
    first, seconds = interleave((literal, *ours), rounds)
    rows = []
    for i, run in enumerate(ours):
        total = seconds[:, 1 + i]
        alike, worst = agreement(literal.states, run.results)
        rows.append(
            Row(
                magnets=run.magnets,
                dtype=run.dtype,
                seconds=total / run.magnets,
                ratio=seconds[:, 0] / (total / run.magnets),
                compiling=float(first[1 + i] - np.median(total)),
                traces=(run.traces[0], sum(run.traces[1:])),
                alike=alike,
                worst=worst,
            )
        )
    return seconds[:, 0], rows


def agreement(states: dict[int, np.ndarray], results: dict[int, Hysteresis]) -> tuple[float, float]:
    """Return the share of equal signs of m·k, and the largest difference of coercivity in steps."""
    alike, apart = [], []
    for magnet in states.keys() & results.keys():
        result = results[magnet]
        reference = replace(result, magnetization=states[magnet])
        sides = (
            np.einsum("tgi,gi->tg", one.magnetization, one.easy_axes) >= 0
            for one in (result, reference)
        )
        alike.append(np.equal(*sides).mean())
        step = np.abs(np.diff(result.field)).max()
        apart.append(abs(result.coercivity() - reference.coercivity()) / step)
    return float(np.mean(alike)), float(np.max(apart))


def float64_refused() -> str | None:
    """Return why the backend cannot compute in float64, or None if it can."""
    try:
        require_dtype("float64")
    except ValueError as error:
        return str(error)
    return None


def header() -> str:
    """Return a line with the backend, the versions and the number of processors."""
    backend = keras.backend.backend()
    versions = {"Keras": keras, backend: sys.modules[backend], "NumPy": np}
    named = ", ".join(f"{name} {module.__version__}" for name, module in versions.items())
    return (
        f"`simulate` on {backend}: {named}, Python {platform.python_version()}, "
        f"{os.cpu_count()} processors"
    )


def report(literal: np.ndarray, measured: list[Row]) -> None:
    """Print the results of `measure`."""
    rows = [("float, magnets", "s per loop", "ratio", "alike", "coercivity apart")]
    rows.append(("literal float64,  1", spread(literal, 2), "1", "", ""))
    for row in measured:
        rows.append(
            (
                f"{row.dtype}, {row.magnets:2}",
                spread(row.seconds, 4),
                spread(row.ratio, 1),
                f"{100 * row.alike:.2f} %",
                f"{row.worst:.3f} steps",
            )
        )
    print_table(rows)
    print()
    for row in measured:
        print(
            f"{row.dtype}, {row.magnets:2}: compiling took {row.compiling:.1f} s; compilations in "
            f"the first call {row.traces[0]}, in the {len(row.seconds)} later ones {row.traces[1]}"
        )


def figures_of(literal: np.ndarray, measured: list[Row]) -> dict[str, dict]:
    """Return the figures of `measure`."""
    figures = {"literal": records.measured(1e3 * literal, "ms")}
    by_batch = {(row.magnets, row.dtype): row for row in measured}
    for (magnets, dtype), row in by_batch.items():
        name = f"{dtype}_{magnets}"
        figures[name] = records.measured(1e3 * row.seconds, "ms")
        figures[f"{name}_ratio"] = records.measured(row.ratio)
        figures[f"{name}_compiling"] = records.value(row.compiling, "s", 2)
        figures[f"{name}_alike"] = records.value(100 * row.alike, "%", 5)
    for name, slow, fast in (
        ("alone_over_ten", (1, "float32"), (10, "float32")),
        ("float64_over_float32", (10, "float64"), (10, "float32")),
    ):
        if slow in by_batch and fast in by_batch:
            figures[name] = records.measured(by_batch[slow].seconds / by_batch[fast].seconds)
    return figures


def papers_loops(magnets: int = 10, steps: int = 1000) -> Hysteresis:
    """Return the loops of the paper's magnets, of which there may be more or fewer than ten."""
    structure = cubic_grains(depth=PAPER_DEPTH)
    easy_axes = random_easy_axes((magnets, len(structure)), seed=1)
    field = np.linspace(8.0, -8.0, steps)
    return simulate(
        structure,
        easy_axes,
        field=field,
        self_field=False,
        avalanche="simultaneous",
        progress=False,
    )


def measure_peer(loop: Callable[[], None], rounds: int) -> np.ndarray:
    """Time a loop in this process and in one with JAX, in turns.

    Args:
        loop: a function of this module, which the other process can import.

    Returns:
        Seconds (rounds, 2) in this process and on JAX.
    """
    with (
        mock.patch.dict(os.environ, KERAS_BACKEND="jax"),
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
    ):
        return interleave((loop, lambda: pool.submit(loop).result()), rounds)[1]


def report_peer(seconds: np.ndarray) -> None:
    """Print the result of `measure_peer`."""
    ours, jax = seconds.T / 10
    print(
        f"ten at once, s per loop: {keras.backend.backend()} {spread(ours, 4)}, jax "
        f"{spread(jax, 4)}, ratio {spread(ours / jax, 1)}, of the least {min(ours) / min(jax):.1f}"
    )


def main(argv=None) -> None:
    """Time loops of the paper's magnets by steps, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulate", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="after a first round that compiles")
    parser.add_argument("--peer", action="store_true", help="time only ten magnets, beside JAX")
    records.add_argument(parser)
    arguments = parser.parse_args(argv)
    print(header())
    if keras.backend.backend() == "torch" or arguments.peer:
        seconds = measure_peer(papers_loops, arguments.rounds)
        report_peer(seconds)
        if arguments.save:
            here, jax = 1e3 * seconds.T / 10
            figures = {
                "ten": records.measured(here, "ms"),
                "ten_jax": records.measured(jax, "ms"),
                "ratio": records.measured(jax / here),
            }
            records.save("simulate_peer", figures, parser, argv)
    if arguments.peer:
        return
    refused = float64_refused()
    batches = [batch for batch in BATCHES if not (refused and batch[1] == "float64")]
    structure = cubic_grains(depth=PAPER_DEPTH)
    largest, compared = max(magnets for magnets, _ in BATCHES), 10
    easy_axes = random_easy_axes((largest, len(structure)), seed=1)
    field = np.linspace(8.0, -8.0, 1000)
    literal, rows = measure(
        structure, easy_axes, field, batches=batches, compared=compared, rounds=arguments.rounds
    )
    print(
        f"median [min, max] of {arguments.rounds} rounds; {len(field)} fields, {len(structure)} "
        f"grains of {structure.weights.shape[1]} particles; alike: the share of grain states (sign "
        f"of m·k) on {compared} magnets"
    )
    report(literal, rows)
    if arguments.save:
        records.save("simulate", figures_of(literal, rows), parser, argv)
    if refused:
        print(f"no float64: {refused}")


if __name__ == "__main__":
    main()
