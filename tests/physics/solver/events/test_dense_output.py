"""Interpolation between nodes."""

import numpy as np
import pytest
from scipy.interpolate import BarycentricInterpolator

from keras_micromag.physics.solver.events.dense_output import DenseOutput

GRAINS = 2


def moments_of(coefficients, u):
    """Return (n, 3, GRAINS) polynomials of u (n,) with coefficients (k, 3, GRAINS)."""
    powers = u[:, None] ** np.arange(len(coefficients))
    return np.einsum("nk,kig->nig", powers, coefficients)


def dense_output(coefficients, nodes=10, root=-0.5):
    """Return the dense output of one arc from 2 T down to its root, for polynomials of u."""
    dense = DenseOutput(np.array([root]))
    field = np.linspace(2.0, root, nodes)
    arc = np.zeros(nodes, int)
    dense.add(arc, np.sqrt(field - root), moments_of(coefficients, np.sqrt(field - root)))
    return dense


def interpolated(dense, field):
    """Return the states at `field` (n,) on arc 0, and their error estimates."""
    arc = np.zeros(len(field), int)
    index, weights, error = dense.stencils(arc, dense.coordinate(arc, field))
    return dense.combine(index, weights), dense.combine(index, error)


PLACES = np.linspace(1.99, -0.49, 37)


@pytest.mark.parametrize("degree", [0, 3, 6])
def test_polynomials_are_interpolated_exactly_and_known_to_be(degree):
    coefficients = np.random.default_rng(degree).normal(size=(degree + 1, 3, GRAINS))
    moments, error = interpolated(dense_output(coefficients), PLACES)
    exact = moments_of(coefficients, np.sqrt(PLACES + 0.5))
    np.testing.assert_allclose(moments, exact, rtol=0, atol=1e-10)
    np.testing.assert_allclose(error, 0.0, atol=1e-10)


def test_the_error_is_that_of_one_degree_less():
    coefficients = np.random.default_rng(7).normal(size=(8, 3, GRAINS))
    dense = dense_output(coefficients, nodes=8)
    moments, error = interpolated(dense, PLACES)
    u = np.sqrt(PLACES + 0.5)
    np.testing.assert_allclose(moments, moments_of(coefficients, u), rtol=0, atol=1e-10)
    for place, moment, difference in zip(u, moments, error, strict=True):
        kept = np.argsort(np.abs(dense.u - place))[:7]
        less = BarycentricInterpolator(dense.u[kept], dense.moments[kept])(place)
        np.testing.assert_allclose(difference, moment - less, rtol=0, atol=1e-10)
    assert np.abs(error).max() > 1e-6


def test_beside_an_edge_the_error_leaves_out_the_edge():
    coefficients = np.random.default_rng(7).normal(size=(8, 3, GRAINS))
    dense = dense_output(coefficients, nodes=8)
    dense.edge[0] = True  # sorted by u: the root
    place = 0.5 * (dense.u[0] + dense.u[1])
    moments, error = interpolated(dense, np.array([place**2 - 0.5]))
    less = BarycentricInterpolator(dense.u[1:], dense.moments[1:])(place)
    np.testing.assert_allclose(error[0], moments[0] - less, rtol=0, atol=1e-10)


def test_few_nodes_give_polynomials_of_lower_degree():
    coefficients = np.random.default_rng(2).normal(size=(3, 3, GRAINS))
    moments, error = interpolated(dense_output(coefficients, nodes=4), PLACES)
    exact = moments_of(coefficients, np.sqrt(PLACES + 0.5))
    np.testing.assert_allclose(moments, exact, rtol=0, atol=1e-12)
    np.testing.assert_allclose(error, 0.0, atol=1e-12)
    # Of two nodes nobody knows how good the line between them is, but at a node.
    dense = dense_output(coefficients, nodes=2)
    _, error = interpolated(dense, np.array([2.0, 1.0, -0.5]))
    assert np.isnan(error[1]).all()
    np.testing.assert_array_equal(error[[0, 2]], 0.0)


def test_arcs_are_interpolated_from_their_own_nodes():
    rng = np.random.default_rng(3)
    dense = DenseOutput(np.array([0.0, np.nan]))
    fields, coefficients = np.linspace(3.0, 0.0, 9), rng.normal(size=(2, 4, 3, GRAINS))
    # On the last arc, without a root, the coordinate is the field itself.
    for arc, u in enumerate((np.sqrt(fields), fields)):
        dense.add(np.full(9, arc), u, moments_of(coefficients[arc], u))
    place, arc = np.array([1.3, 1.3]), np.array([0, 1])
    u = dense.coordinate(arc, place)
    np.testing.assert_allclose(u, [np.sqrt(1.3), 1.3])
    index, weights, _ = dense.stencils(arc, u)
    moments = dense.combine(index, weights)
    exact = [moments_of(coefficients[i], u[i : i + 1])[0] for i in arc]
    np.testing.assert_allclose(moments, exact, rtol=0, atol=1e-11)


def test_nodes_are_sorted_and_the_first_at_a_place_stays():
    dense, arc = DenseOutput(np.array([np.nan])), np.zeros(3, int)
    values = np.ones((3, 3, GRAINS)) * np.array([1.0, 2.0, 3.0])[:, None, None]
    dense.add(arc, np.array([0.5, -1.0, 2.0]), values, edge=np.array([True, False, False]))
    dense.add(arc, np.array([0.5, 0.0, 3.0]), 10 * values)
    np.testing.assert_array_equal(dense.u, [-1.0, 0.0, 0.5, 2.0, 3.0])
    np.testing.assert_array_equal(dense.moments[:, 0, 0], [2.0, 20.0, 1.0, 3.0, 30.0])
    np.testing.assert_array_equal(dense.edge, [False, False, True, False, False])
    places = np.array([-2.0, 0.0, 0.25, 5.0])
    at = np.zeros(4, int)
    np.testing.assert_array_equal(dense.locate(at, places), [0, 1, 2, 5])
    np.testing.assert_array_equal(dense.contains(at, places), [False, True, False, False])
