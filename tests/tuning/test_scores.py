"""The score: 0 for the truth, 1 for the mean loop, and bounded for what has no bound."""

import numpy as np
import pytest

from keras_micromag.baselines import mean_loop
from tuning.scores import WORST, Score

FIELD = np.linspace(1.0, -1.0, 41)


def loops(*switching):
    """(s, 41, 1, 3) loops of single grains that switch at these fields."""
    along = np.where(FIELD > np.array(switching)[:, None], 1.0, -1.0)
    moments = np.zeros((*along.shape, 1, 3))
    moments[..., 2] = along[..., None]
    return moments


TRAINING, VALIDATION = loops(-0.2, -0.42, -0.61), loops(-0.33, -0.77)


def test_its_unit_is_the_mean_training_loop():
    score = Score(TRAINING, VALIDATION, FIELD)
    assert score.of(VALIDATION) == {"score": 0.0, "curve_rmse": 0.0, "coercivity_error": 0.0}
    mean = mean_loop(TRAINING)
    mean = np.broadcast_to(mean[None], (2, *mean.shape))
    assert score.of(mean)["score"] == pytest.approx(1.0)
    assert 0 < score.of(loops(-0.33, -0.6))["score"] < 1


def test_a_loop_without_bound_scores_as_the_worst():
    score = Score(TRAINING, VALIDATION, FIELD)
    assert score.worst()["score"] == pytest.approx(WORST)
    for wrong in (np.nan, np.inf, 1e30):
        assert score.of(np.full_like(VALIDATION, wrong))["score"] == pytest.approx(WORST)
    half = VALIDATION.copy()
    half[0] = np.nan
    assert 0 < score.of(half)["score"] <= WORST / 2 + 3
    never = np.abs(VALIDATION)  # never crosses zero: no coercivity
    assert score.of(never)["coercivity_error"] == pytest.approx(
        WORST * score.units["coercivity_error"]
    )


def test_loops_that_give_no_unit_are_refused():
    with pytest.raises(ValueError, match="`validation` must have loops that the mean loop"):
        Score(TRAINING[:1], TRAINING[:1], FIELD)
