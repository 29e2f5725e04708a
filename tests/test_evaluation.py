"""The measures, by hand."""

import numpy as np
import pytest

from keras_micromag.evaluation import MEASURES, evaluate

FIELD = np.array([1.0, 0.0, -1.0, -2.0])
UP = np.tile([0.0, 0.0, 1.0], (2, 1))
TRUE = np.stack([UP, UP, UP * [[1], [-1]], -UP])[None]


def test_a_loop_that_is_right():
    errors = evaluate(TRUE, TRUE, FIELD)
    assert set(errors) == set(MEASURES)
    wrong = {name: value.tolist() for name, value in errors.items() if name != "branch_accuracy"}
    assert all(value == [0.0] for value in wrong.values())
    assert errors["branch_accuracy"].tolist() == [1.0]


def test_a_loop_that_reverses_a_step_late():
    late = np.stack([UP, UP, UP, UP * [[1], [-1]]])
    errors = {name: value.item() for name, value in evaluate(TRUE, late, FIELD).items()}
    assert errors["squared_error"] == pytest.approx((4 + 4) / 4)
    assert errors["squared_error_switching"] == pytest.approx(4)
    assert errors["norm_error"] == 0
    assert errors["curve_rmse"] == pytest.approx(np.sqrt((1 + 1) / 4))
    assert errors["coercivity_error"] == pytest.approx(1.0)
    assert errors["coercivity_steps"] == pytest.approx(1.0)
    assert errors["branch_accuracy"] == pytest.approx(6 / 8)


def test_shrunken_moments_and_a_curve_that_never_crosses():
    errors = evaluate(TRUE, np.tile(0.5 * UP, (4, 1, 1)), FIELD)
    assert errors["norm_error"].item() == pytest.approx(2 * 0.25)
    assert np.isnan(errors["coercivity_error"]).all()


def test_bad_input():
    with pytest.raises(ValueError, match=r"`predicted` must have shape .*; received \(3, 2, 3\)"):
        evaluate(TRUE, TRUE[0, :3], FIELD)
    with pytest.raises(ValueError, match=r"`true` must have shape \(b, t, g, 3\)"):
        evaluate(TRUE[0], TRUE[0], FIELD)


def test_grains_count_by_their_shares_and_padding_not_at_all():
    rng = np.random.default_rng(1)
    true, predicted = (rng.normal(size=(2, 6, 5, 3)) for _ in range(2))
    true, predicted = (m / np.linalg.norm(m, axis=-1, keepdims=True) for m in (true, predicted))
    field = np.linspace(1, -1, 6)
    equal = evaluate(true[:, :, :3], predicted[:, :, :3], field)
    shares = np.array([[2.0, 2.0, 2.0, 0, 0]] * 2)
    padded = evaluate(true, predicted, field, shares=shares)
    for name in MEASURES:
        np.testing.assert_allclose(padded[name], equal[name], rtol=1e-12)
    one = evaluate(true, predicted, field, shares=np.eye(5)[:2])["curve_rmse"]
    for i in range(2):
        curve = true[i, :, i, 2] - predicted[i, :, i, 2]
        assert one[i] == pytest.approx(np.sqrt((curve**2).mean()))
    with pytest.raises(ValueError, match="`shares` must be at least 0, and positive somewhere"):
        evaluate(true, predicted, field, shares=np.zeros((2, 5)))
