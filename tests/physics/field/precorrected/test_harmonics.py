"""Solid harmonics.

| who                           | must agree with whom                        | to    |
| ----------------------------- | ------------------------------------------- | ----- |
| `harmonics`                   | Legendre functions of SciPy                 | 1e-13 |
|                               | the addition theorem: Legendre polynomials  | 1e-12 |
|                               | themselves at another distance, by its power | 1e-11 |
| `gradients`                   | central differences of `harmonics`          | 1e-8  |
|                               | Euler: x · ∇R_l = l R_l                     | 1e-13 |

Relative to the largest of their degree.
"""

from math import factorial

import numpy as np
import pytest
from scipy import special

from keras_micromag.physics.field.precorrected.harmonics import count, degrees, gradients, harmonics

DEGREE = 9


@pytest.fixture(scope="module")
def points():
    points = np.random.default_rng(1).normal(size=(40, 3))
    points[0] = 0.0
    points[1] = [0.0, 0.0, -1.5]  # on the axis, where the azimuth is not defined
    return points


def largest(values):
    """(k,) of each degree."""
    top = np.array([abs(values[:, degrees(DEGREE) == n]).max() for n in range(DEGREE + 1)])
    return top[degrees(DEGREE)]


def test_how_many_there_are():
    assert [count(n) for n in range(4)] == [1, 4, 9, 16]
    np.testing.assert_array_equal(degrees(2), [0, 1, 1, 1, 2, 2, 2, 2, 2])
    assert harmonics(np.zeros((2, 3)), 3).shape == (2, 16)
    assert gradients(np.zeros((2, 3)), 3).shape == (2, 16, 3)


def test_the_first_by_hand():
    x, y, z = 0.3, -0.7, 1.1
    square = x * x + y * y + z * z
    expected = [1, z, -x / 2, -y / 2, (3 * z * z - square) / 4, -x * z / 2, -y * z / 2]
    expected += [(x * x - y * y) / 8, x * y / 4]
    np.testing.assert_allclose(harmonics([[x, y, z]], 2)[0], expected, rtol=1e-14)


def test_scipys_legendre_functions(points):
    x, y, z = points.T
    r, azimuth = np.linalg.norm(points, axis=1), np.arctan2(y, x)
    cosine = z / np.where(r > 0, r, 1)
    columns = []
    for n in range(DEGREE + 1):
        for m in range(n + 1):
            # SciPy's have the sign (-1)^m too.
            value = r**n * special.lpmv(m, n, cosine) * np.exp(1j * m * azimuth) / factorial(n + m)
            columns += [value.real, value.imag][: 1 + (m > 0)]
    expected = np.stack(columns, axis=1)
    scale = largest(expected)
    np.testing.assert_allclose(harmonics(points, DEGREE) / scale, expected / scale, atol=1e-13)


def test_addition_theorem(points):
    # |x|^l |y|^l P_l(cos γ) = Σ_m (l - m)! (l + m)! R_l^m(x) R_l^m(y)*
    a, b = harmonics(points, DEGREE), harmonics(points[::-1], DEGREE)
    size = np.linalg.norm(points, axis=1) * np.linalg.norm(points[::-1], axis=1)
    cosine = np.einsum("ni,ni->n", points, points[::-1]) / np.where(size > 0, size, 1)
    first = 0
    for n in range(DEGREE + 1):
        orders = [0, *np.repeat(np.arange(1, n + 1), 2)]
        weight = [(1 + (m > 0)) * factorial(n - m) * factorial(n + m) for m in orders]
        part = slice(first, first + 2 * n + 1)
        total = (a[:, part] * b[:, part]) @ np.array(weight, float)
        expected = size**n * special.eval_legendre(n, cosine)
        np.testing.assert_allclose(total, expected, rtol=0, atol=1e-12 * size.max() ** n)
        first += 2 * n + 1


def test_degree_is_the_power_of_the_distance(points):
    values, far = harmonics(points, DEGREE), harmonics(3.0 * points, DEGREE)
    np.testing.assert_allclose(far, values * 3.0 ** degrees(DEGREE), rtol=1e-11)


def test_gradients_are_those_of_finite_differences(points):
    step = 1e-5
    expected = np.stack(
        [
            (harmonics(points + shift, DEGREE) - harmonics(points - shift, DEGREE)) / (2 * step)
            for shift in step * np.eye(3)
        ],
        axis=-1,
    )
    scale = largest(abs(expected).max(axis=-1))[:, None]
    scale[0] = 1
    # Rounding over the step.
    np.testing.assert_allclose(gradients(points, DEGREE) / scale, expected / scale, atol=1e-8)


def test_euler(points):
    values = harmonics(points, DEGREE)
    computed = np.einsum("nki,ni->nk", gradients(points, DEGREE), points)
    scale = largest(values)
    np.testing.assert_allclose(
        computed / scale, values * degrees(DEGREE) / scale, rtol=1e-12, atol=1e-12
    )
