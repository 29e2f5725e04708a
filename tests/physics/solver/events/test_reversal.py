"""The search for the coercivity."""

import numpy as np
import pytest

from keras_micromag.physics.solver.events.reversal import _MAX_ROUNDS, _find_roots

TOL = 1e-7


def solve(moment, low, high, tol=TOL):
    """Return the roots of `moment(rows, field)`, and the rows of every call."""
    calls = []

    def function(rows, field):
        calls.append(rows.copy())
        return moment(rows, field)

    low, high = np.array(low, float), np.array(high, float)
    rows = np.arange(len(low))
    values = moment(rows, low), moment(rows, high)
    return _find_roots(function, low, high, *values, tol), calls


def test_the_coercivity_of_a_straight_line_is_found_at_once():
    at = np.array([-3.2, -3.0])
    roots, calls = solve(lambda rows, field: field - at[rows], [-2.0, -2.5], [-4.0, -3.5])
    np.testing.assert_allclose(roots, at, rtol=0, atol=TOL)
    assert len(calls) == 1


@pytest.mark.parametrize(
    "moment",
    [np.tanh, lambda x: np.expm1(3 * x), lambda x: np.sqrt(x + 1.0) - 1.0, lambda x: x + x**3],
    ids=["tanh", "exponential", "square root", "cubic"],
)
def test_the_coercivity_of_a_curved_moment(moment):
    # Fields fall, and the moment with them; each magnet has its root elsewhere in its bracket.
    at = np.array([-3.9, -3.5, -3.1])
    low, high = np.full(3, -3.0), np.full(3, -4.0)
    roots, calls = solve(lambda rows, field: moment(field - at[rows]), low, high)
    assert (np.abs(moment(roots - at)) <= TOL).all()
    assert len(calls) < 10


def test_magnets_that_have_converged_are_not_evaluated_again():
    # One straight line, one strongly curved.
    def moment(rows, field):
        x = field + 3.3
        return np.where(rows == 0, x, np.expm1(10 * x))

    roots, calls = solve(moment, [-3.0, -3.0], [-4.0, -4.0])
    np.testing.assert_allclose(roots, -3.3, rtol=0, atol=TOL)
    np.testing.assert_array_equal(calls[0], [0, 1])
    assert all(np.array_equal(rows, [1]) for rows in calls[1:])


def test_the_search_ends_where_no_field_is_good_enough():
    # A step, as of a moment that is rounded: no value is within the tolerance.
    roots, calls = solve(lambda rows, field: np.where(field > -3.3, 1.0, -1.0), [-3.0], [-4.0])
    assert len(calls) == _MAX_ROUNDS and abs(roots[0] + 3.3) < 1e-3
