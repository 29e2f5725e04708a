"""Regular solid harmonics: the potentials that distant charges can make."""

import numpy as np
from numpy.typing import ArrayLike


def count(degree: int) -> int:
    """Return the number of real solid harmonics up to a degree."""
    return (degree + 1) ** 2


def degrees(degree: int) -> np.ndarray:
    """Return the degree (k,) of each real solid harmonic up to `degree`, in their order."""
    return np.repeat(np.arange(degree + 1), 2 * np.arange(degree + 1) + 1)


def harmonics(points: ArrayLike, degree: int) -> np.ndarray:
    """Return the real regular solid harmonics (n, k) of all degrees up to `degree`.

    Each degree l has its order 0 first, then the real and imaginary parts of orders 1 … l of

        R_l^m = r^l P_l^m(cosθ) exp(imφ) / (l + m)!

    with the sign (-1)^m, by the recursions of C. A. White and M. Head-Gordon, J. Chem. Phys. 101
    (1994) 6593-6605.

    Args:
        points: (n, 3), relative to the centre of the expansion.
        degree: the highest.
    """
    return _real(_complex(points, degree), degree)


def gradients(points: np.ndarray, degree: int) -> np.ndarray:
    """Return the gradients (n, k, 3) of `harmonics`.

    ∂z R_l^m = R_{l-1}^m, (∂x + i∂y) R_l^m = R_{l-1}^{m+1}, (∂x - i∂y) R_l^m = -R_{l-1}^{m-1}.
    """
    table = _complex(points, degree)
    zero = np.zeros(len(points), np.complex128)

    def one_degree_lower(l, m):
        if l < 1 or abs(m) > l - 1:
            return zero
        return table[l - 1, m] if m >= 0 else (-1) ** m * table[l - 1, -m].conj()

    derivatives = {}
    for l, m in table:
        up, down = one_degree_lower(l, m + 1), -one_degree_lower(l, m - 1)
        derivatives[l, m] = np.stack(
            [(up + down) / 2, (up - down) / 2j, one_degree_lower(l, m)], axis=-1
        )
    return _real(derivatives, degree)


def _complex(points, degree):
    """Return the complex solid harmonics (n,) of orders m ≥ 0, by (degree, m)."""
    x, y, z = np.asarray(points, float).T
    square = x * x + y * y + z * z
    table = {(0, 0): np.ones(len(x), complex)}
    for l in range(1, degree + 1):
        for m in range(l):
            lower = square * table[l - 2, m] if m <= l - 2 else 0.0
            table[l, m] = ((2 * l - 1) * z * table[l - 1, m] - lower) / ((l + m) * (l - m))
        table[l, l] = -(x + 1j * y) / (2 * l) * table[l - 1, l - 1]
    return table


def _real(table, degree):
    """Stack real and imaginary parts along axis 1, in the order of `harmonics`."""
    columns = []
    for l in range(degree + 1):
        columns.append(table[l, 0].real)
        for m in range(1, l + 1):
            columns += [table[l, m].real, table[l, m].imag]
    return np.stack(columns, axis=1)
