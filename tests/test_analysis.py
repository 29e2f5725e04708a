"""Kronmüller's fit against synthetic coercivities, and temperature coefficients by hand."""

import numpy as np
import pytest

from keras_micromag.analysis import kronmueller, temperature_coefficient
from keras_micromag.physics import ND2FE14B

MATERIALS = [ND2FE14B.at(temperature) for temperature in np.linspace(300, 500, 9)]
NUCLEATION = np.array([material.anisotropy_field for material in MATERIALS])
JS = np.array([material.Js for material in MATERIALS])


def test_what_made_the_coercivities_is_found():
    fit = kronmueller(0.55 * NUCLEATION - 1.2 * JS, NUCLEATION, JS)
    assert (fit.alpha, fit.n_eff) == pytest.approx((0.55, 1.2), rel=1e-10)
    assert max(fit.alpha_error, fit.n_eff_error, np.abs(fit.residuals).max()) < 1e-10


def test_standard_errors_are_those_of_repeated_measurements():
    rng, sigma, repeats = np.random.default_rng(1), 0.02, 4000
    noise = sigma * JS * rng.standard_normal((repeats, len(JS)))
    exact = 0.55 * NUCLEATION - 1.2 * JS
    fits = [kronmueller(exact + each, NUCLEATION, JS) for each in noise]
    for name, true in (("alpha", 0.55), ("n_eff", 1.2)):
        values = np.array([getattr(fit, name) for fit in fits])
        errors = np.array([getattr(fit, f"{name}_error") for fit in fits])
        # The scatter of 4000 fits is known to 1.1 %.
        assert np.sqrt((errors**2).mean()) == pytest.approx(values.std(), rel=0.05)
        assert values.mean() == pytest.approx(true, abs=4 * values.std() / repeats**0.5)
    residual = np.array([fit.residuals / JS for fit in fits])
    assert (residual**2).sum(axis=1).mean() == pytest.approx((len(JS) - 2) * sigma**2, rel=0.05)


def test_it_is_the_line_of_numpy():
    rng = np.random.default_rng(2)
    coercivity = 0.5 * NUCLEATION - JS + 0.1 * rng.standard_normal(len(JS))
    (slope, intercept), covariance = np.polyfit(NUCLEATION / JS, coercivity / JS, 1, cov=True)
    fit = kronmueller(coercivity, NUCLEATION, JS)
    assert (fit.alpha, fit.n_eff) == pytest.approx((slope, -intercept), rel=1e-9)
    errors = np.sqrt(np.diag(covariance))
    assert (fit.alpha_error, fit.n_eff_error) == pytest.approx(errors, rel=1e-9)
    expected = coercivity - fit.alpha * NUCLEATION + fit.n_eff * JS
    np.testing.assert_allclose(fit.residuals, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (([1.0, 2.0], [2.0, 3.0], [1.0, 1.0]), "`coercivity` must hold at least 3 temperatures; r"),
        (([1.0, 2.0, np.nan], [1, 2, 3], [1, 1, 1]), "`coercivity` must be finite"),
        (
            ([1.0, 2.0, 3.0], [1, 2], [1, 1, 1]),
            r"`nucleation_field` must have shape \(3,\) like `c",
        ),
        (([1.0, 2.0, 3.0], [1, 2, 4], 1.0), r"`polarization` must have shape \(3,\)"),
        (([1.0, 2.0, 3.0], [1, 2, 4], [1, 1, 0]), "`polarization` must be positive; received 0"),
        (([1.0, 2.0, 3.0], [1, 2, 4], [1, 1, 1e-60]), "`polarization` must be comparable to the"),
        (
            ([1.0, 2.0, 3.0], [2, 4, 6], [0.1, 0.2, 0.3]),
            "`nucleation_field` must change by another",
        ),
    ],
)
def test_no_fit(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        kronmueller(*arguments)


def test_temperature_coefficients():
    assert temperature_coefficient([300.0, 400.0], [2.0, 1.8]) == pytest.approx(-0.1)
    assert temperature_coefficient((400, 300), (1.8, 2.0)) == pytest.approx(-100 / 9 / 100)
    # Of a sintered N48SH at 20 and 150 °C: -0.119 and -0.539 %/K (Advanced Magnets).
    assert temperature_coefficient([20, 150], [13.82, 11.69]) == pytest.approx(-0.119, abs=5e-4)
    assert temperature_coefficient([20, 150], [21.06, 6.29]) == pytest.approx(-0.539, abs=5e-4)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (([300.0, 300.0], [2, 1]), "`temperatures` must differ; received 300 twice"),
        (([300.0, 400.0], [0, 1]), "`values` must not begin with 0"),
        (([300.0, 400.0], [1e-320, 1]), "`values` must not begin with 0"),
        (([300.0, 400.0, 500.0], [2, 1, 0]), r"`temperatures` must have shape \(2,\)"),
        (([300.0, 400.0], ["a", "b"]), "`values` must be an array of numbers"),
    ],
)
def test_no_temperature_coefficient(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        temperature_coefficient(*arguments)
