"""Prints how far coercivities differ from micromagnetics: the figures of `Hysteresis.trust`."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from benchmarks import records
from benchmarks.micromagnetics.agreement import switching_fields
from benchmarks.micromagnetics.cases import FAMILIES, Result, path, read
from benchmarks.timing import print_table
from keras_micromag.physics import calibrated_depth
from keras_micromag.physics.microstructure.material import MU0

KINDS = ("GRAIN", "THIN_GRAIN", "MAGNET", "COUPLED")


class Compared(NamedTuple):
    """One magnet, here and by micromagnetics.

    Args:
        grains: their number.
        hardness: Q = 2 µ0·Ku/Js².
        nuclei: thickness of the thinnest grain, in diameters of a nucleus.
        angle: the largest between an easy axis and the field, in degrees.
        exchange: J across the boundaries, in mJ/m².
        error: of the coercivity, in % of the anisotropy field.
    """

    grains: int
    hardness: float
    nuclei: float
    angle: float
    exchange: float
    error: float


def compared(result: Result) -> Compared:
    """Return a case beside the loop of this package."""
    case, material = result.case, result.case.material
    _, coercivity = switching_fields(case)
    inner = min(grain.offsets.min() for grain in case.structure().grains)
    along = np.abs(np.array(case.easy_axes)[:, 2]).min()
    return Compared(
        len(case.easy_axes),
        2 * MU0 * material.Ku / material.Js**2,
        inner / calibrated_depth(material),
        float(np.degrees(np.arccos(min(along, 1.0)))),
        1e3 * case.areal_exchange,
        100 * (coercivity - result.coercivity) / material.anisotropy_field,
    )


def every_case() -> list[Compared]:
    """Return all cases of the files but coupled magnets of larger grains.

    Those are too hard, and outside what `keras_micromag.physics.trust` calls calibrated.
    """
    families = [family for family in FAMILIES if path(family).exists()]
    families = [family for family in families if family != "coupled_larger"]
    return [compared(result) for family in families for result in read(family)]


def kinds(cases: Iterable[Compared]) -> dict[str, list[Compared]]:
    """Return the cases by the kinds of `keras_micromag.physics.trust`."""
    by_kind: dict[str, list[Compared]] = {name: [] for name in KINDS}
    for case in cases:
        single = "THIN_GRAIN" if case.nuclei < 1 else "GRAIN"
        several = "COUPLED" if case.exchange > 0 else "MAGNET"
        by_kind[several if case.grains > 1 else single].append(case)
    return by_kind


def show() -> dict[str, dict]:
    """Print a row for each kind: its ranges, and the errors of the coercivity in %.

    Returns:
        Figures for `records.save`.
    """
    saved = {}
    rows = [("", "cases", "Q", "nuclei across", "angles", "J mJ/m²", "median", "19 of 20", "bias")]
    for kind, cases in kinds(every_case()).items():
        if not cases:
            continue
        error = np.array([case.error for case in cases])
        ranges = [
            f"{min(values):.2f} to {max(values):.2f}"
            for values in zip(
                *[(c.hardness, c.nuclei, c.angle, c.exchange) for c in cases], strict=True
            )
        ]
        figures = np.median(np.abs(error)), np.percentile(np.abs(error), 95), error.mean()
        rows.append((kind, str(len(cases)), *ranges, *map("{:.2f}".format, figures)))
        name = kind.lower()
        saved[f"{name}_cases"] = records.value(len(cases))
        for column in ("hardness", "nuclei", "angle", "exchange"):
            values = [getattr(case, column) for case in cases]
            digits = 3 if column == "hardness" else 2
            saved[f"{name}_{column}_least"] = records.value(min(values), digits=digits)
            saved[f"{name}_{column}_most"] = records.value(max(values), digits=digits)
        for column, figure in zip(("median", "19_of_20", "bias"), figures, strict=True):
            saved[f"{name}_{column}"] = records.value(figure, "%", 2)
    print_table(rows)
    return saved
