"""Measures set-up, product, accuracy, memory and loops of the demagnetising operators.

Every size runs in a process of its own, so that its peak memory can be read (imports included), and
prints a line. A product is the compiled one of `simulate`, float32, median of several. Errors are
measured at random particles against exact rows, as root mean squares over that of the field.

Sections: `product` (hierarchical on polycrystals, dense where it fits, lattice on cubes, with the
exponents fitted), `fmm` (the same fields by fmm3dpy, in one process and in turns), `accuracy` (at
all particles), `agreement` (with loops by the dense matrix), `loop` (1,000 fields of a polycrystal,
or of cubes on a lattice, to the end or for a given number of seconds), `ranks` (of the blocks of
near grains, as in an H-matrix).

Run it with `python -m benchmarks.large` and a section, or several; KERAS_BACKEND chooses the
backend.
"""

import argparse
import os
import time
from functools import reduce
from itertools import pairwise
from operator import or_
from typing import NamedTuple
from unittest import mock

import numpy as np
from keras import ops

from benchmarks import add_names, records
from benchmarks.polycrystals import SIZE, polycrystal
from benchmarks.simulate import header
from benchmarks.timing import alone, interleave, peak, print_row, print_table, spread
from keras_micromag.physics import (
    cubic_grains,
    demag_matrix,
    demag_operator,
    random_easy_axes,
    simulate,
)
from keras_micromag.physics.field.precorrected.hierarchical import Probe
from keras_micromag.physics.microstructure.particles import PAPER_DEPTH
from keras_micromag.physics.solver import field_steps
from keras_micromag.utils.backend import compiled, tensors

SIZES = {
    "hierarchical": (300, 1_000, 3_000, 10_000, 30_000, 100_000),
    "dense": (300, 1_000, 1_500),
    "lattice": (1_000, 8_000, 27_000, 125_000, 1_000_000),
}
ACCURACY = 2_000
AGREEMENT = (300, 600, 1_000)
RANKS = 600
NEAR = (0, 15, 50, 100, 200)  # limits of the classes of grains, in order of their distance
SECTIONS = ["product", "fmm", "accuracy", "agreement", "loop", "ranks"]


class Size(NamedTuple):
    """Measurements of one operator."""

    grains: int
    particles: int
    setup: float  # seconds, without making the grains
    product: float  # seconds
    bytes: int
    error: float
    peak: float  # GB of the process


def magnet(kind: str, grains: int):
    """Return cubes for a lattice, else grains of 50 nm; particles are at the corners."""
    if kind != "lattice":
        return polycrystal(grains, scheme=("vertices",))
    side = round(grains ** (1 / 3))
    return cubic_grains((side, side, side), depth=PAPER_DEPTH, scheme=("vertices",))


def compiled_product(operator):
    """Return a function that computes one product with an operator, on the backend."""
    product = tensors(operator.product, operator.dtype)
    g = len(operator.structure)
    moments = np.random.default_rng(0).normal(size=(1, 3, g)).astype(operator.dtype)
    moments = ops.convert_to_tensor(moments)
    function = compiled(lambda product, moments: product.field(moments))
    return lambda: ops.convert_to_numpy(function(product, moments))


def measure(kind: str, grains: int, rounds: int = 7) -> Size:
    """Time the set-up of an operator and its product; for a process of its own."""
    structure = magnet(kind, grains)
    start = time.perf_counter()
    operator = demag_operator(structure, kind, self_field=False)
    setup = time.perf_counter() - start
    _, seconds = interleave([compiled_product(operator)], rounds)
    return Size(
        len(structure),
        int((structure.weights > 0).sum()),
        setup,
        float(np.median(seconds)),
        operator.nbytes,
        operator.error,
        peak(),
    )


def products(kinds, most: int) -> dict[str, dict]:
    """Print a table for each kind, and the exponents of time in the number of particles.

    Returns:
        Figures for `records.save`, as from all sections.
    """
    figures = {}
    for kind in kinds:
        print_row((kind, "particles", "set-up, s", "product, ms", "MB", "error", "peak, GB"))
        sizes = []
        for grains in (n for n in SIZES[kind] if n <= most):
            size = alone(measure, kind, grains)
            sizes.append(size)
            figures |= {
                f"{kind}_{grains}_particles": records.value(size.particles),
                f"{kind}_{grains}_setup": records.value(size.setup, "s"),
                f"{kind}_{grains}_product": records.value(1e3 * size.product, "ms"),
                f"{kind}_{grains}_memory": records.value(size.bytes / 1e9, "GB", 2),
                f"{kind}_{grains}_error": records.value(size.error, "", 2),
                f"{kind}_{grains}_peak": records.value(size.peak, "GB", 2),
            }
            row = (
                f"{size.grains} grains",
                str(size.particles),
                f"{size.setup:.1f}",
                f"{1e3 * size.product:.1f}",
                f"{size.bytes / 1e6:.0f}",
                f"{size.error:.1e}",
                f"{size.peak:.1f}",
            )
            print_row(row)
        particles, setup, product = np.array([(s.particles, s.setup, s.product) for s in sizes]).T
        if len(sizes) > 1:
            print(
                f"exponents: set-up {exponent(particles, setup):.2f}, product "
                f"{exponent(particles, product):.2f}"
            )
        print(flush=True)
    return figures


def exponent(sizes, seconds) -> float:
    """Return the exponent of the power law that fits best."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def beside_fmm(grains: int, rounds: int) -> dict[str, dict]:
    """Print the time of a product, and of the same fields by fmm3dpy from one dipole per grain.

    The dipoles are the simplest sources: right far away, wrong near by, where it would need charged
    faces. Its tolerance is the coarsest of those tried whose error, against the direct sum of the
    same dipoles, is not above that of our operator against the exact fields. A second line has as
    many dipoles as particles. Its wheels use one core, so the process is bound to one.
    """
    import fmm3dpy  # only this section needs it

    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before the backend starts threads
    structure = magnet("hierarchical", grains)
    operator = demag_operator(structure, "hierarchical", self_field=False)
    real = structure.weights > 0
    # In grain sizes.
    points = np.asfortranarray(structure.particles[real].T / SIZE)
    grain = np.nonzero(real)[0]
    rng = np.random.default_rng(0)
    moments = rng.normal(size=(3, len(structure)))
    cases = {
        f"{len(structure)} dipoles": (
            {"sources": np.asfortranarray(structure.centroids.T / SIZE), "targets": points},
            np.asfortranarray(moments),
        ),
        f"{points.shape[1]} dipoles": ({"sources": points}, np.asfortranarray(moments[:, grain])),
    }
    ours, figures = compiled_product(operator), {}
    rows = [
        ("points: " + str(points.shape[1]), "ours, ms", "fmm3dpy, ms", "ratio", "its eps, error")
    ]
    for name, (where, dipoles) in cases.items():
        has_targets = "targets" in where

        def potentials(eps, where=where, dipoles=dipoles, has_targets=has_targets):
            wanted = {"pg": 0, "pgt": 2} if has_targets else {"pg": 2}
            out = fmm3dpy.lfmm3d(eps=eps, dipvec=dipoles, **where, **wanted)
            return out.gradtarg if has_targets else out.grad

        few = np.asfortranarray(points[:, :300])
        exact = fmm3dpy.l3ddir(sources=where["sources"], targets=few, dipvec=dipoles, pgt=2)
        exact = exact.gradtarg
        for eps in (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 3e-3, 1e-3, 1e-4):
            wrong = potentials(eps)[:, :300] - exact
            error = np.sqrt((wrong**2).sum() / (exact**2).sum())
            if error <= operator.error:
                break
        else:
            raise RuntimeError(f"fmm3dpy's error is {error:.0e}, more than {operator.error:.0e}")
        _, seconds = interleave([ours, lambda eps=eps: potentials(eps)], rounds)
        mine, theirs = 1e3 * seconds.T
        ratio, reached = spread(theirs / mine, 0), f"{eps:g}, {error:.0e}"
        rows.append((name, spread(mine, 1), spread(theirs, 0), ratio, reached))
        sources = "grains" if has_targets else "particles"
        figures[f"dipoles_of_{sources}"] = records.value(dipoles.shape[1])
        figures[f"ours_{sources}"] = records.measured(mine, "ms")
        figures[f"fmm_{sources}"] = records.measured(theirs, "ms")
        figures[f"ratio_{sources}"] = records.measured(theirs / mine)
    print_table(rows)
    print(f"our error: {operator.error:.0e}")
    print(flush=True)
    return figures


def accuracy(grains: int, tolerances=(1e-3, 1e-4, 2e-5)) -> dict[str, dict]:
    """Print the largest error at all particles, beside the one that the operator reports."""
    structure = magnet("hierarchical", grains)
    particles = int((structure.weights > 0).sum())
    probe = Probe(structure, False, most=particles)
    rows = [(f"{len(structure)} grains, rtol", "error, reported", f"at all {particles} particles")]
    figures = {"grains": records.value(len(structure))}
    for rtol in tolerances:
        operator = demag_operator(structure, "hierarchical", rtol=rtol, self_field=False)
        error = probe.errors(operator.product, operator.places).max()
        rows.append((f"{rtol:g}", f"{operator.error:.2e}", f"{error:.2e}"))
        figures[f"reported_{rtol:.0e}"] = records.value(operator.error, "", 2)
        figures[f"measured_{rtol:.0e}"] = records.value(error, "", 2)
    print_table(rows)
    print(flush=True)
    return figures


def agreement(grains: int) -> dict[str, dict]:
    """Print the differences of a loop by the hierarchical operator from one by the dense matrix."""
    structure = magnet("hierarchical", grains)
    axes = random_easy_axes(len(structure), seed=1)
    exact, loop = (
        simulate(
            structure,
            axes,
            self_field=False,
            avalanche="simultaneous",
            operator=kind,
            progress=False,
        )
        for kind in ("dense", "hierarchical")
    )
    branch, other = ((r.magnetization * axes).sum(axis=2) > 0 for r in (exact, loop))
    alike = (branch == other).mean(axis=1)
    print(
        f"{len(structure)} grains: coercivity {exact.coercivity():.5f} T by the dense matrix, "
        f"{loop.coercivity():.5f} T hierarchical, steps of {abs(np.diff(loop.field)[0]):.3f} T; "
        f"{100 * alike.mean():.3f}% of grain states alike, {100 * alike.min():.2f}% at the worst "
        "field",
        flush=True,
    )
    apart = abs(exact.coercivity() - loop.coercivity())
    return {
        f"alike_{grains}": records.value(100 * alike.mean(), "%", 5),
        f"coercivity_{grains}": records.value(1e3 * apart, "mT", 2),
    }


def ranks(grains: int, near=NEAR, rtol: float = 1e-4) -> dict[str, dict]:
    """Print the ranks of blocks of the matrix, for classes of nearer and further grains.

    A block has the particles of one of the 50 grains nearest to the centre, and the sources of a
    class. Its rank is cut off where the remainder is `rtol` of the grain's total field, for moments
    in random directions. Low rank pays where the factors have fewer numbers than the block.
    """
    structure = magnet("hierarchical", grains)
    matrix, places = demag_matrix(structure, self_field=False), structure.centroids
    middle = np.linalg.norm(places - places.mean(axis=0), axis=1).argsort()[:50]
    blocks = []  # (p, 3, g - 1, 3) each, the nearest grains first
    for grain in middle:
        order = np.linalg.norm(places - places[grain], axis=1).argsort()[1:]
        blocks.append(matrix[grain, structure.weights[grain] > 0][:, :, order])
    rows = [(f"{len(structure)} grains", "fields", "rank", "numbers, of the block's")]
    figures = {}
    for first, last in pairwise(near):
        measured = []
        for block in blocks:
            part = block[:, :, first:last].reshape(3 * len(block), -1)
            left_out = np.cumsum(np.linalg.svd(part, compute_uv=False)[::-1] ** 2)[::-1]
            rank = int((left_out > rtol**2 * (block**2).sum()).sum())
            measured.append((len(part), rank, rank * sum(part.shape) / part.size))
        fields, rank, share = zip(*measured, strict=True)
        name = f"nearest {first + 1} to {last}"
        rows.append((name, spread(fields, 0), spread(rank, 0), spread(share, 2)))
        figures[f"numbers_{first + 1}_to_{last}"] = records.measured(share)
    print_table(rows)
    print(flush=True)
    return figures


class _Stopped(Exception):
    """The time of a loop is over."""


def loop(kind: str, grains: int, fields, seconds: float | None) -> dict[str, dict]:
    """Print the time of a loop, or its progress within some seconds."""
    structure = magnet(kind, grains)
    start = time.perf_counter()
    operator = demag_operator(structure, kind, self_field=False)
    setup = time.perf_counter() - start
    _, bare = interleave([compiled_product(operator)], 7)
    field = np.linspace(*fields[:2], int(fields[2]))
    print(
        f"{kind}, {len(structure)} grains, {int((structure.weights > 0).sum())} particles, "
        f"{len(field)} fields: set-up {setup:.0f} s, {operator.nbytes / 1e9:.1f} GB, error "
        f"{operator.error:.1e}, bare product {1e3 * np.median(bare):.0f} ms",
        flush=True,
    )
    pace = []  # (products, field, seconds) after each call of the solver

    def advance(*arguments):
        if seconds and pace and pace[-1][-1] > seconds:
            raise _Stopped
        state, logged = real(*arguments)
        done = min(int(ops.convert_to_numpy(state.target)[0]), len(field) - 1)
        products = (len(pace) + 1) * field_steps.ITERATIONS
        pace.append((products, done, time.perf_counter() - start))
        return state, logged

    real, start = field_steps.advance, time.perf_counter()
    try:
        with mock.patch.object(field_steps, "advance", advance):
            result = simulate(
                structure,
                random_easy_axes(len(structure), seed=1),
                field=field,
                self_field=False,
                avalanche="simultaneous",
                operator=operator,
                progress=False,
            )
        products = int(result.iterations.sum())
        pace[-1] = (products, len(field) - 1, time.perf_counter() - start)
        outcome = f"complete, coercivity {result.coercivity():.3f} T"
    except _Stopped:
        outcome = "stopped"
    products, _, took = pace[-1]
    shown = [*pace[: -1 : len(pace) // 16 + 1], pace[-1]]
    rows = [("products", "field, T", "after, s")]
    rows += [(str(n), f"{field[at]:.2f}", f"{after:.0f}") for n, at, after in shown]
    print_table(rows)
    print(
        f"{outcome}, {products} products, {1e3 * took / products:.0f} ms for each, "
        f"peak {peak():.1f} GB",
        flush=True,
    )
    return {
        "grains": records.value(len(structure)),
        "fields": records.value(len(field)),
        "loop": records.value(took, "s"),
        "products": records.value(products),
        "peak": records.value(peak(), "GB", 2),
    }


def main(argv=None) -> None:
    """Measure the chosen sections."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large", description=main.__doc__)
    add_names(parser, "sections", SECTIONS)
    parser.add_argument(
        "--kinds", nargs="+", choices=list(SIZES), default=list(SIZES), help="of `product`"
    )
    parser.add_argument("--most", type=int, default=1_000_000, help="grains of `product`")
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds of `fmm`")
    parser.add_argument("--kind", choices=list(SIZES), default="hierarchical", help="of `loop`")
    parser.add_argument("--grains", type=int, default=10_000, help="of `loop`")
    parser.add_argument(
        "--field", type=float, nargs=3, default=[8, -8, 1000], help="of `loop`: first, last, number"
    )
    parser.add_argument("--seconds", type=float, help="limit of the time of `loop`")
    records.add_argument(parser)
    arguments = parser.parse_args(argv)
    print(header())
    measuring = {
        "product": lambda: products(arguments.kinds, arguments.most),
        "fmm": lambda: alone(beside_fmm, 4_500, arguments.rounds),
        "accuracy": lambda: alone(accuracy, ACCURACY),
        "agreement": lambda: reduce(or_, (alone(agreement, grains) for grains in AGREEMENT)),
        "ranks": lambda: alone(ranks, RANKS),
        "loop": lambda: alone(
            loop, arguments.kind, arguments.grains, arguments.field, arguments.seconds
        ),
    }
    for section in arguments.sections or SECTIONS:
        figures = measuring[section]()
        if arguments.save:
            kind = f"_{arguments.kind}" if section == "loop" else ""
            records.save(f"large_{section}{kind}", figures, parser, argv)


if __name__ == "__main__":
    main()
