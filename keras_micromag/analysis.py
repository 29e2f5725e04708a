"""Figures that experimenters read off loops at several temperatures."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import linregress

from keras_micromag.utils import checks

__all__ = ["MicrostructuralParameters", "kronmueller", "temperature_coefficient"]


@dataclass(frozen=True, eq=False)
class MicrostructuralParameters:
    """The parameters of µ0·Hc = alpha µ0·H_N − n_eff Js, as `kronmueller` returns them.

    Attributes:
        alpha: share of the ideal nucleation field that is left.
        n_eff: effective demagnetising factor.
        alpha_error: standard error of `alpha`.
        n_eff_error: standard error of `n_eff`.
        residuals: (n,) in tesla, the coercivities less those of the fit.
    """

    alpha: float
    n_eff: float
    alpha_error: float
    n_eff_error: float
    residuals: np.ndarray


def kronmueller(
    coercivity: ArrayLike, nucleation_field: ArrayLike, polarization: ArrayLike
) -> MicrostructuralParameters:
    """Fit the microstructural parameters to coercivities at several temperatures.

    As experimenters do, it fits a straight line to µ0·Hc / Js over µ0·H_N / Js by least squares,
    all temperatures with equal weights: alpha is the slope and −n_eff the intercept (H. Kronmüller,
    K.-D. Durst and M. Sagawa, J. Magn. Magn. Mater. 74 (1988) 291). Standard errors come from the
    scatter about the line, with n − 2 degrees of freedom.

    Args:
        coercivity: (n,) µ0·Hc in tesla at n temperatures, at least 3.
        nucleation_field: (n,) µ0·H_N in tesla, such as `Material.at(T).anisotropy_field`.
        polarization: (n,) Js in tesla, such as `Material.at(T).Js`.

    Raises:
        ValueError: for arrays of other shapes, a polarisation that is not positive, and ratios
            H_N / Js that are all the same, through which no line is determined.

    Example:
        >>> from keras_micromag.analysis import kronmueller
        >>> from keras_micromag.physics import ND2FE14B
        >>> materials = [ND2FE14B.at(T) for T in (300.0, 350.0, 400.0, 450.0)]
        >>> nucleation = [m.anisotropy_field for m in materials]
        >>> polarization = [m.Js for m in materials]
        >>> coercivity = [0.6 * h - 0.8 * j for h, j in zip(nucleation, polarization)]
        >>> fit = kronmueller(coercivity, nucleation, polarization)
        >>> round(fit.alpha, 3), round(fit.n_eff, 3)
        (0.6, 0.8)
    """
    coercivity = checks.finite_array(coercivity, "coercivity", (None,))
    n = len(coercivity)
    if n < 3:
        raise ValueError(f"`coercivity` must hold at least 3 temperatures; received {n}.")
    like = "like `coercivity`"
    nucleation_field = checks.finite_array(nucleation_field, "nucleation_field", (n,), like)
    polarization = checks.finite_array(polarization, "polarization", (n,), like)
    if (polarization <= 0).any():
        raise ValueError(f"`polarization` must be positive; received {polarization.min():g}.")
    with np.errstate(over="ignore"):
        x, y = nucleation_field / polarization, coercivity / polarization
    if not (np.abs([x, y]) < checks.LARGEST).all():
        raise ValueError(
            "`polarization` must be comparable to the fields; "
            f"received {checks.shown(polarization.tolist())}."
        )
    # Rounding alone may separate equal ratios.
    if np.std(x) <= 1e-12 * np.abs(x).max():
        raise ValueError(
            "`nucleation_field` must change by another factor than `polarization`; received the "
            f"ratio {x.mean():g} at all temperatures."
        )
    line = linregress(x, y)
    return MicrostructuralParameters(
        alpha=float(line.slope),
        n_eff=float(-line.intercept),
        alpha_error=float(line.stderr),
        n_eff_error=float(line.intercept_stderr),
        residuals=(y - line.slope * x - line.intercept) * polarization,
    )


def temperature_coefficient(temperatures: ArrayLike, values: ArrayLike) -> float:
    """Return the temperature coefficient of data sheets in % per kelvin.

    It is the change of a quantity from one temperature to another, in % of its value at the first
    and per kelvin: α of a remanence, β of a coercivity.

    Args:
        temperatures: (2,) in kelvin or °C, first that to which the percentage refers.
        values: (2,) of the quantity there, in any unit.

    Raises:
        ValueError: for equal temperatures, and for a first value of 0.

    Example:
        >>> from keras_micromag.analysis import temperature_coefficient
        >>> round(temperature_coefficient([20, 150], [1.382, 1.169]), 3)
        -0.119
    """
    first, second = checks.finite_array(temperatures, "temperatures", (2,))
    if first == second:
        raise ValueError(f"`temperatures` must differ; received {first:g} twice.")
    before, after = checks.finite_array(values, "values", (2,))
    with np.errstate(all="ignore"):
        coefficient = 100 * (after / before - 1) / (second - first)
    if not np.isfinite(coefficient):
        raise ValueError(
            f"`values` must not begin with 0, of which there is no percentage; received {before:g}."
        )
    return float(coefficient)
