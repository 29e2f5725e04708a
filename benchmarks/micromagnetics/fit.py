"""Fits the factor of the calibrated depth to half of the materials, and judges it by the others."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.micromagnetics.agreement import Agreement, joined, switching_fields
from benchmarks.micromagnetics.cases import Result, read
from keras_micromag.physics import calibrated_depth
from keras_micromag.physics.microstructure.material import MU0

FACTORS = np.arange(26, 37) / 10
"""Depths over the geometric mean of exchange length and wall width."""

FIRST = ("Nd2Fe14B", "BaFe12O19")
"""Materials of the first half, to which every second random one belongs."""

SOFTEST = 2.0
"""Least Q = 2 µ0·Ku / Js² of a material that is fitted or judged."""


def first_half(results: Sequence[Result]) -> np.ndarray:
    """Return (n,) which results belong to the first half of the materials."""
    half, unnamed = [], 0
    for result in results:
        name = result.case.material.name
        unnamed += not name
        half.append(name in FIRST or (not name and unnamed % 2 == 1))
    return np.array(half, dtype=bool)


def scan(result: Result, factors: Iterable[float]) -> list[Agreement]:
    """Return how far the method agrees with a result at each factor of the depth."""
    material = result.case.material
    unit = material.anisotropy_field
    agreements = []
    for factor in factors:
        # The depth is proportional to √A, and A counts for nothing else.
        ratio = factor * np.sqrt(material.exchange_length * material.wall_width)
        ratio /= calibrated_depth(material)
        scaled = replace(material, A=material.A * ratio**2)
        fields, coercivity = switching_fields(result.case, material=scaled)
        pair = np.array([(result.coercivity, coercivity)])
        agreements.append(Agreement(result.switching / unit, fields / unit, pair))
    return agreements


def root_mean_square(agreements: Sequence[Agreement]) -> float:
    """Return the root mean square of the errors of all in % of the anisotropy field."""
    return float(np.sqrt(np.mean(joined(agreements).errors ** 2)))


def judgement(agreement: Agreement) -> str:
    """Return the number of grains, the errors in % of the anisotropy field, R², and the coercivity.

    The errors are the median and the 95th percentile of |error|, and the mean; the coercivity is
    the median of its ratio to that of micromagnetics.
    """
    error = agreement.errors
    middle, high = np.percentile(np.abs(error), [50, 95])
    expected, computed = agreement.coercivity.T
    return (
        f"{len(error):6d}  {middle:8.2f}  {high:5.2f}  {error.mean():+6.2f}  "
        f"{agreement.r_squared:8.4f}  {np.median(computed / expected):10.3f}"
    )


def fit(families: Iterable[str]) -> None:
    """Print the factor fitted to each half of the materials, and how it does on the other half.

    Single grains and magnets are fitted separately. Magnets with exchange across their boundaries
    and materials of Q below `SOFTEST` are left out.
    """
    results = [result for family in families for result in read(family)]
    print(
        "                fitted to    c    rms %  judged  median %   95 %  bias %        R²  "
        "coercivity"
    )
    for kind, single in (("single grains", True), ("magnets", False)):
        chosen = [
            result
            for result in results
            if (len(result.switching) == 1) == single
            and result.case.areal_exchange == 0
            and 2 * MU0 * result.case.material.Ku > SOFTEST * result.case.material.Js**2
        ]
        scans = [scan(result, FACTORS) for result in chosen]
        first = first_half(chosen)
        halves = [[scans[index] for index in np.flatnonzero(half)] for half in (first, ~first)]
        for name, fitted, judged in (("first", *halves), ("second", *halves[::-1])):
            if not fitted or not judged:
                continue
            rms = [root_mean_square([each[k] for each in fitted]) for k in range(len(FACTORS))]
            k = int(np.argmin(rms))
            others = judgement(joined([each[k] for each in judged]))
            print(f"{kind:15} {name:9} {FACTORS[k]:5.1f}  {rms[k]:7.2f}  {others}", flush=True)
