"""The baselines: exact where the loops are as simple as they assume."""

import numpy as np
import pytest

from keras_micromag.baselines import LinearLatent, mean_loop, persistence

FIELD = np.linspace(1.0, -1.0, 30)


def linear_loops(s=6, g=4, d=2, seed=0):
    """Loops in d latent variables that obey a linear recursion with the field."""
    rng = np.random.default_rng(seed)
    latent = [rng.normal(size=(s, d))]
    turn = np.array([[0.9, 0.2], [-0.2, 0.9]])
    for h in FIELD[1:]:
        latent.append(latent[-1] @ turn + h * np.array([0.1, -0.3]))
    return np.stack(latent, axis=1) @ rng.normal(size=(d, 3 * g)).reshape(d, -1), g


def test_linear_loops_are_predicted_exactly():
    flat, g = linear_loops()
    loops = flat.reshape(*flat.shape[:2], g, 3)
    linear = LinearLatent(loops[:-1], FIELD, size=2, window=2)
    np.testing.assert_allclose(linear.reconstruct(loops[-1:]), loops[-1:], atol=1e-9)
    np.testing.assert_allclose(linear.predict(loops[-1:, :2]), loops[-1:], atol=1e-6)


def test_components_are_those_of_the_singular_value_decomposition():
    loops = np.random.default_rng(1).normal(size=(4, 30, 5, 3))
    flat = loops.reshape(-1, 15)
    centred = flat - flat.mean(axis=0)
    rows = np.linalg.svd(centred, full_matrices=False)[2][:3]
    expected = centred @ rows.T @ rows + flat.mean(axis=0)
    found = LinearLatent(loops, FIELD, size=3).reconstruct(loops)
    np.testing.assert_allclose(found.reshape(expected.shape), expected, atol=1e-9)


def test_mean_and_persistence():
    loops = np.random.default_rng(2).normal(size=(3, 6, 2, 3))
    np.testing.assert_allclose(mean_loop(loops), loops.mean(axis=0))
    held = persistence(loops[:, :2], 6)
    np.testing.assert_array_equal(held[:, :2], loops[:, :2])
    np.testing.assert_array_equal(held[:, 5], loops[:, 1])


def test_bad_input():
    with pytest.raises(ValueError, match=r"`training` must have shape \(s, t, g, 3\)"):
        mean_loop(np.zeros((3, 4)))
    with pytest.raises(ValueError, match="`states` must be finite"):
        persistence(np.full((1, 2, 2, 3), np.nan), 4)
    with pytest.raises(ValueError, match="`field` must have shape"):
        LinearLatent(np.zeros((2, 30, 2, 3)), FIELD[:-1])
    with pytest.raises(ValueError, match="`training` must be those of at least one magnet"):
        mean_loop(np.zeros((0, 30, 2, 3)))
    with pytest.raises(ValueError, match="`steps` must be at least 4; received 3"):
        persistence(np.zeros((1, 4, 2, 3)), 3)
    with pytest.raises(ValueError, match="`size` must be at most 3 g = 6; received 7"):
        LinearLatent(np.zeros((2, 30, 2, 3)), FIELD, size=7)
    with pytest.raises(ValueError, match="`window` must be less than t = 30; received 30"):
        LinearLatent(np.zeros((2, 30, 2, 3)), FIELD, size=2, window=30)
    with pytest.raises(ValueError, match=r"`states` must have shape .* with t = 4; received"):
        LinearLatent(np.zeros((2, 30, 2, 3)), FIELD, size=2).predict(np.zeros((1, 6, 2, 3)))
