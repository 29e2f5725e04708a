"""Compares switching fields of the embedded Stoner–Wohlfarth method with those in `data/`."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np

from benchmarks.micromagnetics.cases import Case, Result, read
from benchmarks.public_cubes import r_squared
from keras_micromag.physics import simulate


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
    saturation = 1.5 * case.material.anisotropy_field
    loop = simulate(
        case.structure(**particles),
        case.easy_axes,
        material=case.material,
        field=[saturation, -saturation],
        method="events",
        avalanche=avalanche,
        self_field=self_field,
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


def compare(families: Iterable[str], avalanche: Order = "weakest_first") -> None:
    """Print a row for each family and material, one for all of its materials, and those of all.

    Magnets with exchange across their boundaries are left out.
    """
    print(
        "family        material     particles    grains        R²  ratio, median [5, 95 %]  "
        "rms %    bias %  coercivity"
    )
    groups = {family: [family] for family in families}
    if len(groups) > 1:
        groups["all families"] = list(groups)
    for label, members in groups.items():
        results = [r for family in members for r in read(family) if r.case.areal_exchange == 0]
        names = list(dict.fromkeys(r.case.material.name for r in results))
        for name in names if len(names) == 1 else [*names, None]:
            chosen = [r for r in results if name in (r.case.material.name, None)]
            for calibrated in (False, True):
                kind = "calibrated" if calibrated else "1.2 L_ex"
                row = agreement(chosen, calibrated, avalanche)
                print(f"{label:13} {name or 'all':12} {kind:12} {row}", flush=True)
