"""How fast `simulate` is, beside Algorithm 1 written literally in NumPy.

The literal one is `simulate_literal` of tests/oracles.py: float64, one magnet, tolerance 1e-7. In
one process it takes turns with `simulate` on batches of different sizes and with bare products of
the same shapes, so that what else the machine does falls on all of them; a ratio is taken within
each round. Each round the literal one and the single magnet are the next of the magnets. Time is
that of one loop of one magnet: a batch's over its size. For the package it is that of the whole
call, demagnetising matrix included; the literal one is given its matrix. NumPy's products run on
one thread, which is as fast for them as two on an idle machine, and up to ten times as fast beside
other work: more would flatter the package.

A bare product is one of the moments with the matrix and nothing else, in a compiled loop on the
same backend. Its share is what the products of a run would take if they all were bare ones. A batch
goes on until its slowest magnet is done, so that magnet's number of products is the batch's.

Run it with `python -m benchmarks.simulate`; KERAS_BACKEND chooses the backend. On JAX the row for
float64 needs JAX_ENABLE_X64=1. On PyTorch ten magnets take turns with JAX, in a process of
its own, too; `--peer` measures nothing else.
"""

import argparse
import os
import platform
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import NamedTuple
from unittest import mock

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy reads it when it is imported

import keras
import numpy as np
from keras import ops

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
from keras_micromag.physics.solver import field_steps
from keras_micromag.utils.backend import compiled, require_dtype
from tests.oracles import simulate_literal

GOALS = {(1, "float32"): 15, (10, "float32"): 30, (64, "float32"): 45, (10, "float64"): 6}
COMPILE_GOAL = 5.0
PEER_GOAL = 3.0
PRODUCTS = 200
"""Bare products per call: enough that starting the compiled loop does not show."""


class Literal:
    """Algorithm 1 in NumPy, one magnet per call, each time the next."""

    def __init__(self, structure: Microstructure, easy_axes: np.ndarray, field: np.ndarray):
        self.matrix = demag_matrix(structure)
        self.weights, self.easy_axes, self.field = structure.weights, easy_axes, field
        self.calls = 0
        self.states = {}  # magnet -> (t, g, 3)
        self.products = {}

    def __call__(self) -> None:
        """Run one loop."""
        magnet = self.calls % len(self.easy_axes)
        self.calls += 1
        self.states[magnet], self.products[magnet] = simulate_literal(
            self.matrix,
            self.weights,
            self.easy_axes[magnet],
            self.field,
            polarization=ND2FE14B.Js,
            anisotropy_field=ND2FE14B.anisotropy_field,
        )


class Ours:
    """`simulate` on a batch: the first magnets, but for a single one each time the next."""

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
        self.products = {}

    def __call__(self) -> None:
        """Run the batch."""
        first = len(self.traces) % self.compared if self.magnets == 1 else 0
        with mock.patch.object(field_steps, "_advance", wraps=field_steps._advance) as traced:
            result = simulate(
                self.structure,
                self.easy_axes[first : first + self.magnets],
                field=self.field,
                dtype=self.dtype,
                progress=False,
            )
        # A compiled function runs its Python once per compilation.
        self.traces.append(traced.call_count)
        for i in range(self.magnets):
            self.results[first + i] = magnet_of(result, i)
            self.products[first + i] = int(result.iterations[i].sum())


def magnet_of(result: Hysteresis, i: int) -> Hysteresis:
    """One magnet of a batch."""
    batched = ("magnetization", "easy_axes", "converged", "iterations")
    return replace(result, **{name: getattr(result, name)[i] for name in batched})


def bare_product(structure: Microstructure, magnets: int, dtype: str) -> Callable[[], None]:
    """A function that does PRODUCTS products of the shape that `simulate` has, and little else."""
    g, p = structure.weights.shape
    n = 3 * g + 1
    rng = np.random.default_rng(0)
    matrix = ops.convert_to_tensor(rng.normal(size=(n, 3 * p * g)) / np.sqrt(n), dtype)
    sources = ops.convert_to_tensor(rng.normal(size=(magnets, n)), dtype)
    zero = ops.convert_to_tensor(0, "int32")

    def body(i, h, matrix, sources):
        # Each product waits for the one before, and the whole of it is kept, or it would be cut.
        sources = sources + 0.1 * h[:, :n]
        return i + 1, ops.einsum("bs,st->bt", sources, matrix)

    def loop(matrix, sources):
        return ops.while_loop(
            lambda i, h: i < PRODUCTS,
            lambda i, h: body(i, h, matrix, sources),
            (zero, ops.zeros((magnets, 3 * p * g), dtype)),
        )[1]

    loop = compiled(loop)
    return lambda: ops.convert_to_numpy(loop(matrix, sources))


class Row(NamedTuple):
    """What was measured for one batch."""

    magnets: int
    dtype: str
    seconds: np.ndarray  # (rounds,) per loop
    ratio: np.ndarray  # (rounds,) of the literal one's time to this
    compiling: float  # seconds of the first call beyond a later one
    traces: tuple[int, int]  # compilations in the first and in all later calls
    products: np.ndarray  # (magnets,) per loop
    product: np.ndarray  # (rounds,) seconds of a bare product of the batch
    iteration: np.ndarray  # (rounds,) seconds of the call per product
    alike: float  # share of (magnet, field, grain) on the literal one's side
    worst: float  # largest difference of a coercivity in field steps


class Measured(NamedTuple):
    """What was measured in all."""

    literal: np.ndarray  # (rounds,) seconds per loop
    literal_products: np.ndarray  # (compared magnets,) per loop
    rows: list[Row]


def measure(
    structure: Microstructure,
    easy_axes: np.ndarray,
    field: np.ndarray,
    *,
    batches: Sequence[tuple[int, str]],
    compared: int,
    rounds: int,
) -> Measured:
    """Measure batches of (magnets, dtype), and hold the first `compared` magnets to the oracle.

    `rounds` count, after one in which everything is compiled.
    """
    literal = Literal(structure, easy_axes[:compared], field)
    ours = [Ours(structure, easy_axes, field, *batch, compared) for batch in batches]
    bare = [bare_product(structure, *batch) for batch in batches]
    first, seconds = interleave((literal, *ours, *bare), rounds)
    rows = []
    for i, run in enumerate(ours):
        products = np.array(list(run.products.values()))
        total = seconds[:, 1 + i]
        # The slowest magnet's for a batch; a single one's are those of its round.
        steps = (
            np.array([run.products[(r + 1) % compared] for r in range(rounds)])
            if run.magnets == 1
            else products.max()
        )
        alike, worst = agreement(literal.states, run.results)
        rows.append(
            Row(
                magnets=run.magnets,
                dtype=run.dtype,
                seconds=total / run.magnets,
                ratio=seconds[:, 0] / (total / run.magnets),
                compiling=float(first[1 + i] - np.median(total)),
                traces=(run.traces[0], sum(run.traces[1:])),
                products=products,
                product=seconds[:, 1 + len(ours) + i] / PRODUCTS,
                iteration=total / steps,
                alike=alike,
                worst=worst,
            )
        )
    return Measured(seconds[:, 0], np.array(list(literal.products.values())), rows)


def agreement(states: dict[int, np.ndarray], results: dict[int, Hysteresis]) -> tuple[float, float]:
    """Share of grain states (signs of m·k) alike, largest difference of coercivity in steps."""
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


def memory(structure: Microstructure, easy_axes, field) -> tuple[float, float, float]:
    """Size of B in MB, the host's peak during `simulate` in units of it, the result's share of it.

    Counted is what NumPy and Python allocate, not the backend's own tensors.
    """
    size = demag_matrix(structure).nbytes
    tracemalloc.start()
    result = simulate(structure, easy_axes, field=field, progress=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    kept = result.magnetization.nbytes + result.converged.nbytes + result.iterations.nbytes
    return size / 1e6, peak / size, kept / size


def float64_refused() -> str | None:
    """Why the backend cannot do float64, if so."""
    try:
        require_dtype("float64")
    except ValueError as error:
        return str(error)
    return None


def header() -> str:
    """Backend, versions, processors."""
    backend = keras.backend.backend()
    versions = {"Keras": keras, backend: sys.modules[backend], "NumPy": np}
    named = ", ".join(f"{name} {module.__version__}" for name, module in versions.items())
    return (
        f"`simulate` on {backend}: {named}, Python {platform.python_version()}, "
        f"{os.cpu_count()} processors"
    )


def report(measured: Measured) -> None:
    """Print what was measured."""
    rows = [("float, magnets", "s per loop", "ratio", "goal", "alike", "coercivity apart")]
    rows.append(("literal float64,  1", spread(measured.literal, 2), "1", "", "", ""))
    for row in measured.rows:
        rows.append(
            (
                f"{row.dtype}, {row.magnets:2}",
                spread(row.seconds, 4),
                spread(row.ratio, 1),
                str(GOALS.get((row.magnets, row.dtype), "")),
                f"{100 * row.alike:.2f} %",
                f"{row.worst:.3f} steps",
            )
        )
    print_table(rows)
    print()
    rows = [("", "products per loop", "µs per product", "bare, µs", "share, %", "times bare")]
    products = measured.literal_products
    microseconds = f"{1e6 * np.median(measured.literal) / products.mean():.0f}"
    mean_and_most = f"{products.mean():.0f}, at most {products.max()}"
    rows.append(("literal float64,  1", mean_and_most, microseconds, "", "", ""))
    for row in measured.rows:
        rows.append(
            (
                f"{row.dtype}, {row.magnets:2}",
                f"{row.products.mean():.0f}, at most {row.products.max()}",
                spread(row.iteration * 1e6, 0),
                spread(row.product * 1e6, 0),
                spread(100 * row.product / row.iteration, 0),
                spread(row.iteration / row.product, 1),
            )
        )
    print_table(rows)
    print()
    for row in measured.rows:
        print(
            f"{row.dtype}, {row.magnets:2}: compiling took {row.compiling:.1f} s "
            f"(goal: below {COMPILE_GOAL:g} s); compilations in the first call {row.traces[0]}, "
            f"in the {len(row.seconds)} later ones {row.traces[1]}"
        )


def loop_of_ten() -> None:
    """Run the loops of ten of the paper's magnets, of 1,000 fields each."""
    structure = cubic_grains()
    easy_axes = random_easy_axes((10, len(structure)), seed=1)
    simulate(structure, easy_axes, field=np.linspace(8.0, -8.0, 1000), progress=False)


def measure_peer(loop: Callable[[], None], rounds: int) -> np.ndarray:
    """Run `loop` here and on JAX, in turns.

    Args:
        loop: a function of this module, which another process can import.

    Returns:
        Seconds (rounds, 2), here and on JAX.
    """
    with (
        mock.patch.dict(os.environ, KERAS_BACKEND="jax"),
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
    ):
        return interleave((loop, lambda: pool.submit(loop).result()), rounds)[1]


def report_peer(seconds: np.ndarray) -> None:
    """Print what was measured by `measure_peer`."""
    ours, jax = seconds.T / 10
    print(
        f"ten at once, s per loop: {keras.backend.backend()} {spread(ours, 4)}, jax "
        f"{spread(jax, 4)}, ratio {spread(ours / jax, 1)}, of the least {min(ours) / min(jax):.1f} "
        f"(goal: at most {PEER_GOAL:g})"
    )


def main(argv=None) -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulate", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="rounds that count, at least 5")
    parser.add_argument("--peer", action="store_true", help="only ten magnets, beside JAX")
    arguments = parser.parse_args(argv)
    print(header())
    if keras.backend.backend() == "torch" or arguments.peer:
        report_peer(measure_peer(loop_of_ten, arguments.rounds))
    if arguments.peer:
        return
    refused = float64_refused()
    batches = [batch for batch in GOALS if not (refused and batch[1] == "float64")]
    structure = cubic_grains()
    largest, compared = max(magnets for magnets, _ in GOALS), 10
    easy_axes = random_easy_axes((largest, len(structure)), seed=1)
    field = np.linspace(8.0, -8.0, 1000)
    measured = measure(
        structure, easy_axes, field, batches=batches, compared=compared, rounds=arguments.rounds
    )
    print(
        f"median [min, max] of {arguments.rounds} rounds; {len(field)} fields, {len(structure)} "
        f"grains of {structure.weights.shape[1]} particles; alike: the share of grain states (sign "
        f"of m·k) on {len(measured.literal_products)} magnets"
    )
    report(measured)
    if refused:
        print(f"no float64: {refused}")
    for magnets in (1, largest):
        size, peak, kept = memory(structure, easy_axes[:magnets], field)
        print(
            f"peak of NumPy's memory, {magnets:2} magnets: {peak:.2f} times B of {size:.1f} MB "
            f"(float64), of which the result is {kept:.2f}"
        )


if __name__ == "__main__":
    main()
