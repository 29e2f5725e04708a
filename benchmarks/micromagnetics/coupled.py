"""Compares magnets with exchange across their boundaries, and fits the numbers of that exchange."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple
from unittest import mock

import numpy as np

from benchmarks import records
from benchmarks.micromagnetics.cases import Result, read
from benchmarks.timing import print_table
from keras_micromag.physics import contact_areas, simulate
from keras_micromag.physics.field import exchange
from keras_micromag.physics.solver import problem

NUMBERS = ("_BESIDE", "_ACROSS", "_LAYER", "_REACH")
"""The numbers of `keras_micromag.physics.field.exchange`, in the order in which they are fitted."""

CANDIDATES = [
    *[(0.1, across, layer, 2.0) for across in (0.85, 1.0) for layer in (0.8, 0.85, 0.9, 1.0)],
    *[(beside, 1.0, layer, 2.0) for beside in (0.05, 0.15, 0.2) for layer in (0.8, 0.9, 1.0)],
    *[(0.1, 1.0, 0.9, reach) for reach in (1.5, 2.5)],
    *[(0.1, across, 0.9, 2.0) for across in (0.7, 1.15)],
]


FORMS = ("boundary", "spread", "none")


class Errors(NamedTuple):
    """The errors of n magnets.

    Args:
        switching: root mean square over the grains, in % of the anisotropy field.
        coercivity: of the coercivity, in % of it.
    """

    switching: np.ndarray
    coercivity: np.ndarray


def errors(results: Sequence[Result], form: str = "boundary") -> Errors:
    """Return the errors of the method in coupled magnets.

    Args:
        results: of magnets of any structures, materials and couplings.
        form: "boundary" is the package's exchange; "spread" has J·a/(Ms·V) at all particles of a
            grain; "none" has none.
    """
    switching, coercivity = np.empty((2, len(results)))
    batches: dict = {}
    for number, result in enumerate(results):
        batches.setdefault(replace(result.case, easy_axes=()), []).append(number)
    for case, numbers in batches.items():
        unit = case.material.anisotropy_field
        pairs = _spread if form == "spread" else exchange.exchange_pairs
        with mock.patch.object(problem, "exchange_pairs", pairs):
            loops = simulate(
                case.structure(),
                [results[k].case.easy_axes for k in numbers],
                material=case.material,
                exchange=0.0 if form == "none" else case.areal_exchange,
                field=[3 * unit, -3 * unit],
                method="events",
                progress=False,
            )
        expected = np.array([results[k].switching for k in numbers])
        each = (loops.switching_fields - expected) / unit
        switching[numbers] = 100 * np.sqrt((each**2).mean(axis=1))
        ratio = loops.coercivity() / [results[k].coercivity for k in numbers]
        coercivity[numbers] = 100 * (ratio - 1)
    return Errors(switching, coercivity)


def compare(families: Iterable[str]) -> dict[str, dict]:
    """Print the errors of each material and coupling: medians over the magnets.

    Returns:
        Figures for `records.save`.
    """
    figures = {}
    rows = [("", "J mJ/m²", "magnets", "boundary", "spread", "none", "(coercivity)", "", "")]
    for family in families:
        results = [result for result in read(family) if result.case.areal_exchange > 0]
        kinds = {(r.case.material.name, r.case.areal_exchange) for r in results}
        for name, areal in sorted(kinds):
            chosen = [
                r for r in results if (r.case.material.name, r.case.areal_exchange) == (name, areal)
            ]
            by_form = [errors(chosen, form) for form in FORMS]
            middle = [tuple(map(np.median, each)) for each in by_form]
            kind = (f"{family} {name}", f"{1e3 * areal:g}", str(len(chosen)))
            rms, bias = zip(*[(f"{rms:.2f}", f"{bias:+.2f}") for rms, bias in middle], strict=True)
            rows.append((*kind, *rms, *bias))
            label = f"{family}_{name}_{1e3 * areal:g}".replace(".", "_")
            figures[f"{label}_magnets"] = records.value(len(chosen))
            for form, errors_of in zip(FORMS, middle, strict=True):
                for part, figure in zip(("rms", "coercivity"), errors_of, strict=True):
                    figures[f"{label}_{form}_{part}"] = records.value(figure, "%", decimals=2)
    if len(rows) > 1:
        print("Coupled magnets: rms of switching fields in % of the anisotropy field, coercivity")
        print_table(rows)
    return figures


def fit(families: Iterable[str]) -> None:
    """Print the errors of candidates on each half of the textures, and judge the best on the other.

    The error is the mean over materials and couplings of the median over textures. Every second
    texture belongs to the first half.
    """
    results = [r for family in families for r in read(family) if r.case.areal_exchange > 0]
    if not results:
        return
    axes = list(dict.fromkeys(r.case.easy_axes for r in results))
    half = np.array([axes.index(r.case.easy_axes) % 2 for r in results])
    kind = np.array([f"{r.case.material.name} {r.case.areal_exchange}" for r in results])

    def error(values, part):
        medians = [np.median(values[part & (kind == each)]) for each in np.unique(kind[part])]
        return np.mean(medians), np.max(medians)

    print("beside  across  layer  reach   first half: mean, worst   second   coercivity: all")
    first, second = [], []
    for numbers in CANDIDATES:
        with mock.patch.multiple(exchange, **dict(zip(NUMBERS, numbers, strict=True))):
            found = errors(results)
        halves = [error(found.switching, half == k) for k in (0, 1)]
        first.append(halves[0][0])
        second.append(halves[1][0])
        _, coercivity = error(np.abs(found.coercivity), half >= 0)
        parts = [f"{mean:.3f}, {worst:.2f}" for mean, worst in halves]
        print(*numbers, *parts, f"{coercivity:.2f}", sep="   ", flush=True)
    for name, fitted, judged in (("first", first, second), ("second", second, first)):
        k = int(np.argmin(fitted))
        print(f"best on the {name} half: {CANDIDATES[k]}; on the other {judged[k]:.3f}")


def _spread(structure, coupling, materials):
    """Return pairs as `exchange_pairs` does, for the same field at all particles of a grain."""
    areas = contact_areas(structure)
    i, j = np.nonzero(areas)
    contact, particle = np.nonzero(structure.weights[i] > 0)
    i, j = i[contact], j[contact]
    ms = np.array([[m.Ms for m in row] for row in materials])[:, i]
    strength = float(coupling) * areas[i, j] / (ms * structure.volumes[i])
    return exchange.Pairs(i, particle, j, strength)
