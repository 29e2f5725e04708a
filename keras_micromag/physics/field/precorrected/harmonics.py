"""Regular solid harmonics: the potentials that charges far away can make."""

import numpy as np


def count(degree: int) -> int:
    """How many real solid harmonics there are up to a degree."""
    return (degree + 1) ** 2


def degrees(degree: int) -> np.ndarray:
    """(k,) degree of each of them."""
    return np.repeat(np.arange(degree + 1), 2 * np.arange(degree + 1) + 1)


def harmonics(points, degree: int) -> np.ndarray:
    """(n, k) real regular solid harmonics of all degrees up to `degree`.

    Of each degree l first that of order 0, then real and imaginary parts of orders 1 … l of

        R_l^m = r^l P_l^m(cosθ) exp(imφ) / (l + m)!

    with the sign (-1)^m, by the recursions of C. A. White and M. Head-Gordon, J. Chem. Phys. 101
    (1994) 6593-6605.

    Args:
        points: (n, 3), about the origin.
    """
    return _real(_complex(points, degree), degree)


def gradients(points, degree: int) -> np.ndarray:
    """(n, k, 3) gradients of `harmonics`.

    ∂z R_l^m = R_{l-1}^m, (∂x + i∂y) R_l^m = R_{l-1}^{m+1}, (∂x - i∂y) R_l^m = -R_{l-1}^{m-1}.
    """
    table = _complex(points, degree)
    nothing = np.zeros(len(points), complex)

    def below(order, m):
        if order < 1 or abs(m) > order - 1:
            return nothing
        return table[order - 1, m] if m >= 0 else (-1) ** m * table[order - 1, -m].conj()

    slopes = {}
    for order, m in table:
        up, down = below(order, m + 1), -below(order, m - 1)
        slopes[order, m] = np.stack([(up + down) / 2, (up - down) / 2j, below(order, m)], axis=-1)
    return _real(slopes, degree)


def _complex(points, degree):
    x, y, z = np.asarray(points, float).T
    square = x * x + y * y + z * z
    table = {(0, 0): np.ones(len(x), complex)}
    for order in range(1, degree + 1):
        for m in range(order):
            lower = square * table[order - 2, m] if m <= order - 2 else 0.0
            table[order, m] = ((2 * order - 1) * z * table[order - 1, m] - lower) / (
                (order + m) * (order - m)
            )
        table[order, order] = -(x + 1j * y) / (2 * order) * table[order - 1, order - 1]
    return table


def _real(table, degree):
    columns = []
    for order in range(degree + 1):
        columns.append(table[order, 0].real)
        for m in range(1, order + 1):
            columns += [table[order, m].real, table[order, m].imag]
    return np.stack(columns, axis=1)
