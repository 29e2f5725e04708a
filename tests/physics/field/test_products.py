"""The operators' matvecs in graphs, on each backend.

| who                                 | must agree with whom                | to                   |
| ----------------------------------- | ----------------------------------- | -------------------- |
| `field` and `adjoint`, compiled     | themselves in NumPy                 | rounding             |
| the derivative of `field`           | `adjoint` of what it is summed with | rounding             |
| the derivative of `adjoint`         | `field`                             | rounding             |
| the derivative of Σ |field|²        | 2 · adjoint(field)                  | rounding             |
| one compiled function               | any operator of the same shapes     | rounding             |

Rounding is 1e-5 of the largest in float32, of up to a thousand terms, and 1e-12 in float64.
"""

import numpy as np
import pytest
from keras import ops

from keras_micromag.physics import cubic_grains, demag_operator
from keras_micromag.physics.field.products import Lattice
from keras_micromag.utils.backend import compiled, linear, tensors
from tests.keras_parts import gradient, numpy
from tests.physics.field.magnets import CORNERS, made, unit_moments

pytestmark = pytest.mark.backend

ROUNDING = {"float32": 1e-5, "float64": 1e-12}
KINDS = ("dense", "lattice", "hierarchical")
kinds = pytest.mark.parametrize("kind", KINDS)


def product_of(kind, dtype="float32"):
    return made("few cubes" if kind == "lattice" else "few grains", kind, True, dtype).product


def polarized(product, dtype, b=3):
    """(b, 3, g)."""
    g = 8 if isinstance(product, Lattice) else 7
    return np.swapaxes(unit_moments(b, g), 1, 2).astype(dtype)


def fields(product, dtype, b=3):
    """(b, 3, n)."""
    return np.random.default_rng(7).normal(size=(b, 3, product.places)).astype(dtype)


def assert_close(computed, expected, dtype):
    computed = numpy(computed)
    assert computed.dtype == dtype and computed.shape == expected.shape
    np.testing.assert_allclose(
        computed, expected, rtol=0, atol=ROUNDING[dtype] * abs(expected).max()
    )


@pytest.mark.contract
@kinds
def test_the_graph_is_numpys(kind, dtype):
    product = product_of(kind, dtype)
    given, other = polarized(product, dtype), fields(product, dtype)
    # A tree of arguments, as the solver has it.
    field = compiled(lambda product, x: product.field(x))
    adjoint = compiled(lambda product, x: product.adjoint(x))
    inside = tensors(product, dtype)
    assert type(inside) is type(product)
    assert_close(field(inside, ops.convert_to_tensor(given)), product.field(given), dtype)
    assert_close(adjoint(inside, ops.convert_to_tensor(other)), product.adjoint(other), dtype)


@pytest.mark.slow
@pytest.mark.contract
@kinds
def test_derivatives(kind, dtype):
    product = product_of(kind, dtype)
    inside = tensors(product, dtype)
    given, other = polarized(product, dtype), fields(product, dtype)
    field = compiled(linear(inside.field, inside.adjoint))
    adjoint = compiled(linear(inside.adjoint, inside.field))

    def along(function, probe):
        return lambda x: ops.sum(function(x) * ops.convert_to_tensor(probe))

    assert_close(gradient(along(field, other), given), product.adjoint(other), dtype)
    assert_close(gradient(along(adjoint, given), other), product.field(given), dtype)
    twice = gradient(lambda x: ops.sum(field(x) ** 2), given)
    assert_close(twice, 2 * product.adjoint(product.field(given)), dtype)


def test_a_compiled_product_takes_any_operator_of_its_shapes():
    field = compiled(lambda product, x: product.field(x))
    for gap in (0.0, 3e-9):
        structure = cubic_grains((3, 2, 2), gap=gap, scheme=CORNERS)
        for kind in ("dense", "lattice"):
            product = demag_operator(structure, kind).product
            given = np.swapaxes(unit_moments(2, 12), 1, 2).astype("float32")
            computed = field(tensors(product, "float32"), ops.convert_to_tensor(given))
            assert_close(computed, product.field(given), "float32")
