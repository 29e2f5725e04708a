"""Times demagnetisation curves by micromagnetics beside loops by events of the same magnets.

Three magnets of Nd2Fe14B: a cube at 15° from the field, the first of the family `eight`, and that
of `sixtyfour`. On one side stands the solver, with the cells and brackets of the files. On the
other stand one loop, and a batch of loops of magnets with the same grains and other easy axes: with
calibrated particles in the own field of a nucleus, by events, weakest first, from saturation to
saturation, with the states at `FIELDS` fields.

All take turns in one process, so that other load on the machine falls on all, and ratios are taken
within a round. Times include the set-up: the mesh and the kernel of the solver, and here the
structure and its operator, whose time has a column of its own. They do not include compilation,
which takes some seconds for each number of grains, and in a batch once.

The micromagnetic curve of the 64 grains takes an hour, and is not computed. One minimisation is
timed in its place, and the time of an evaluation of the gradient multiplied by the iterations.
"""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from benchmarks import records
from benchmarks.micromagnetics.cases import Case, eight, single, sixtyfour
from benchmarks.micromagnetics.solver import STEP, Magnet, relax
from benchmarks.simulate import header
from benchmarks.timing import interleave, print_table, spread
from keras_micromag.physics import ND2FE14B, demag_operator, random_easy_axes, simulate

FIELDS = 101
BATCH = 64
REPEATS = 10  # of one loop in a round, since it is over in a moment
# Iterations of the curve of 64 grains, the sum of those that `run sixtyfour --verbose` prints.
ITERATIONS = 44_405


class Row(NamedTuple):
    """Seconds for each round (rounds,) that one magnet takes."""

    name: str
    solver: np.ndarray
    iterations: str
    one: np.ndarray
    each: np.ndarray  # of the loops of a batch
    setup: np.ndarray


def magnets() -> Iterator[tuple[str, Case, int | None]]:
    """Yield the name and case of each magnet, and the iterations of a curve that takes long."""
    yield "a cube of 40 nm", single(ND2FE14B, 40e-9, 15.0), None
    yield "8 cubes of 30 nm", next(eight(0)), None
    yield "64 cubes of 30 nm", next(sixtyfour(0)), ITERATIONS


def loops(case: Case, count: int, setup: list[float]) -> Callable[[], None]:
    """Return a function that computes loops of magnets with the grains of a case.

    Args:
        case: the first magnet.
        count: the number of magnets; all but the first have other easy axes.
        setup: to which each call appends the seconds that structure and operator took.
    """
    axes = random_easy_axes((count, len(case.easy_axes)), cone=35.0, seed=1)
    axes[0] = case.easy_axes
    saturation = 1.5 * case.material.anisotropy_field
    field = np.linspace(saturation, -saturation, FIELDS)

    def compute():
        start = time.perf_counter()
        structure = case.structure(depth="calibrated", material=case.material)
        operator = demag_operator(structure, self_field="nucleus", progress=False)
        setup.append(time.perf_counter() - start)
        simulate(
            structure,
            axes,
            material=case.material,
            field=field,
            self_field="nucleus",
            method="events",
            avalanche="weakest_first",
            operator=operator,
            progress=False,
        )

    return compute


def first_field(magnet: Magnet) -> int:
    """Minimise the energy in the first field of a curve, and return the evaluations it took."""
    grains = int(magnet.grain.max())
    field = STEP * magnet.anisotropy_field
    return int(relax(magnet, magnet.axis, field, grains, np.zeros(grains)).iterations) + 1


def measure(
    name: str, case: Case, rounds: int, batch: int = BATCH, iterations: int | None = None
) -> Row:
    """Time a magnet in the solver and here.

    Args:
        name: of the magnet.
        case: the magnet.
        rounds: how many are timed.
        batch: the magnets of a batch.
        iterations: so many the solver needs, whose time is then estimated. By default the curve is
            computed.
    """
    counts: list[int] = []
    setup: list[float] = []
    if iterations is None:
        functions = [lambda: counts.append(case.solve().iterations)]
    else:
        magnet = case.magnet()
        functions = [lambda: counts.append(first_field(magnet))]
    one, many = loops(case, 1, setup), loops(case, batch, [])
    functions += [lambda: [one() for _ in range(REPEATS)], many]
    _, seconds = interleave(functions, rounds)
    solver, note = seconds[:, 0], str(counts[-1])
    if iterations is not None:
        solver, note = solver / counts[-1] * iterations, f"{iterations}, not run"
    setup_of_round = np.reshape(setup[REPEATS:], (rounds, REPEATS)).mean(axis=1)
    return Row(name, solver, note, seconds[:, 1] / REPEATS, seconds[:, 2] / batch, setup_of_round)


def compare(rounds: int = 5, whole: bool = False) -> list[Row]:
    """Print the times of all magnets, and return them.

    Args:
        rounds: how many are timed.
        whole: whether to compute the curve that takes an hour, too, once.
    """
    print(header())
    rows = []
    for name, case, iterations in magnets():
        if whole and iterations is not None:
            start = time.perf_counter()
            iterations = case.solve().iterations
            print(f"{name}: {time.perf_counter() - start:.0f} s, compilation included", flush=True)
        rows.append(measure(name, case, rounds, iterations=iterations))
    table = [
        ("", "solver, s", "iterations", "here, s", "set-up, s", "ratio", "in a batch, s", "ratio")
    ]
    for row in rows:
        table.append(
            (
                row.name,
                spread(row.solver, 1),
                row.iterations,
                spread(row.one, 3),
                spread(row.setup, 3),
                spread(row.solver / row.one, 0),
                spread(row.each, 4),
                spread(row.solver / row.each, 0),
            )
        )
    print_table(table)
    print(f"{rounds} rounds; batches of {BATCH}")
    return rows


def figures_of(rows: list[Row]) -> dict[str, dict]:
    """Return the figures of `compare`."""
    figures = {}
    for row in rows:
        grains = row.name.split()[0].replace("a", "1")
        figures |= {
            f"{grains}_solver": records.measured(row.solver, "s"),
            f"{grains}_loop": records.measured(1e3 * row.one, "ms"),
            f"{grains}_in_batch": records.measured(1e3 * row.each, "ms"),
            f"{grains}_ratio": records.measured(row.solver / row.one),
            f"{grains}_ratio_in_batch": records.measured(row.solver / row.each),
        }
    return figures
