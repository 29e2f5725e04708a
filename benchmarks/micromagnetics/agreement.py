"""Compares switching fields of the embedded Stoner–Wohlfarth method with those in `data/`."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from benchmarks import records
from benchmarks.micromagnetics.cases import Case, Result, read
from benchmarks.public_cubes import r_squared
from keras_micromag.physics import simulate

MAGNETS_OF_CUBES = ("eight", "isotropic", "larger", "gaps", "twentyseven")


class Agreement(NamedTuple):
    """Switching fields of grains in units of their anisotropy fields, and coercivities in tesla."""

    expected: np.ndarray
    computed: np.ndarray
    coercivity: np.ndarray  # (n, 2): expected and computed

    @property
    def r_squared(self) -> float:
        """Return R² of the switching fields."""
        return r_squared(self.computed, self.expected)

    @property
    def errors(self) -> np.ndarray:
        """Return the errors of the switching fields in % of the anisotropy field."""
        return 100 * (self.computed - self.expected)

    def __str__(self):
        error = self.errors
        low, middle, high = np.percentile(self.computed / self.expected, [5, 50, 95])
        coercivity = np.median(self.coercivity[:, 1] / self.coercivity[:, 0])
        return (
            f"{len(error):5d}  {self.r_squared:8.4f}  {middle:6.3f} [{low:.3f}, {high:.3f}]  "
            f"{np.sqrt((error**2).mean()):5.2f}  {error.mean():+6.2f}  {coercivity:7.3f}"
        )


Order = Literal["weakest_first", "simultaneous"]


def switching_fields(
    case: Case, self_field="nucleus", avalanche: Order = "weakest_first", **particles
) -> tuple[np.ndarray, float]:
    """Return the field (g,) in tesla at which each grain of a case reverses, and its coercivity."""
    # Exchange holds grains beyond their anisotropy field.
    saturation = (3 if case.areal_exchange else 1.5) * case.material.anisotropy_field
    loop = simulate(
        case.structure(**particles),
        case.easy_axes,
        material=case.material,
        field=[saturation, -saturation],
        method="events",
        avalanche=avalanche,
        self_field=self_field,
        exchange=case.areal_exchange,
        progress=False,
    )
    return loop.switching_fields, float(loop.coercivity())


def agreement(
    results: Iterable[Result], calibrated: bool, avalanche: Order = "weakest_first"
) -> Agreement:
    """Return how far the method agrees with results.

    Args:
        results: of magnets of any materials.
        calibrated: whether the particles lie at the calibrated depth, in the own field of a
            nucleus; else 1.2 exchange lengths deep, without an own field.
        avalanche: which grains flip, see `simulate`.
    """
    expected, computed, coercivity = [], [], []
    for result in results:
        material = result.case.material
        if calibrated:
            options = {}
        else:
            options = {"self_field": False, "depth": 1.2 * material.exchange_length}
        fields, of_magnet = switching_fields(result.case, avalanche=avalanche, **options)
        expected.append(result.switching / material.anisotropy_field)
        computed.append(fields / material.anisotropy_field)
        coercivity.append((result.coercivity, of_magnet))
    return Agreement(np.concatenate(expected), np.concatenate(computed), np.array(coercivity))


def joined(agreements: Iterable[Agreement]) -> Agreement:
    """Return the agreement with the results of all."""
    return Agreement(*map(np.concatenate, zip(*agreements, strict=True)))


def figures_of(label: str, row: Agreement, calibrated: bool) -> dict[str, dict]:
    """Return the figures of a row; of one that is not calibrated R² alone."""
    label = label.replace(" ", "_")
    if not calibrated:
        return {f"{label}_paper_r_squared": records.value(row.r_squared, decimals=4)}
    low, middle, high = np.percentile(row.computed / row.expected, [5, 50, 95])
    expected, computed = row.coercivity.T
    figures = {
        "grains": records.value(len(row.expected)),
        "r_squared": records.value(row.r_squared, decimals=4),
        "ratio": records.value(middle, decimals=3),
        "ratio_5": records.value(low, decimals=3),
        "ratio_95": records.value(high, decimals=3),
        "rms": records.value(np.sqrt((row.errors**2).mean()), "%", decimals=2),
        "bias": records.value(row.errors.mean(), "%", decimals=2),
        "coercivity": records.value(np.median(computed / expected), decimals=3),
    }
    return {f"{label}_{column}": figure for column, figure in figures.items()}


def compare(families: Sequence[str], avalanche: Order = "weakest_first") -> dict[str, dict]:
    """Print a row for each family and material, one for all of its materials, and those of all.

    Where other families are compared, too, those of magnets of cubes have rows of their own.
    Magnets with exchange across their boundaries are left out, see `coupled`.

    Returns:
        Figures for `records.save`.
    """
    figures = {}
    print(
        "family        material     particles    grains        R²  ratio, median [5, 95 %]  "
        "rms %    bias %  coercivity"
    )
    groups: dict[str, list[tuple[str, dict[bool, Agreement]]]] = {}
    for family in families:
        results = [result for result in read(family) if result.case.areal_exchange == 0]
        groups[family] = [
            (
                result.case.material.name,
                {kind: agreement([result], kind, avalanche) for kind in (False, True)},
            )
            for result in results
        ]
    cubes = [family for family in MAGNETS_OF_CUBES if family in groups]
    if len(cubes) > 1 and len(groups) > len(cubes):
        groups["of cubes"] = [pair for family in cubes for pair in groups[family]]
    if len(groups) > 1:
        groups["all families"] = [pair for family in families for pair in groups[family]]
    for label, group in groups.items():
        names = list(dict.fromkeys(name for name, _ in group))
        for name in names if len(names) < 2 else [*names, None]:
            chosen = [each for material, each in group if name in (material, None)]
            for calibrated in (False, True):
                kind = "calibrated" if calibrated else "1.2 L_ex"
                row = joined([each[calibrated] for each in chosen])
                print(f"{label:13} {name or 'all':12} {kind:12} {row}", flush=True)
                if len(names) == 1 or name is None:
                    figures |= figures_of(label, row, calibrated)
                elif label == "of cubes":
                    figures |= figures_of(f"{label} {name}", row, calibrated)
    return figures
