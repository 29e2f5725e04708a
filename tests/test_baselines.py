"""The baselines: exact where the loops are as simple as they assume."""

import numpy as np
import pytest

from keras_micromag.baselines import (
    GrainsInOrder,
    LinearLatent,
    MeanByTilt,
    mean_loop,
    persistence,
)
from keras_micromag.physics import random_easy_axes

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
    actual = LinearLatent(loops, FIELD, size=3).reconstruct(loops)
    np.testing.assert_allclose(actual.reshape(expected.shape), expected, atol=1e-9)


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
    with pytest.raises(MemoryError, match=r"the prediction needs .* GB"):
        persistence(np.zeros((1, 4, 2, 3)), 2**60)
    order = GrainsInOrder(random_easy_axes((2, 4), seed=1), np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"`moments` must have shape .* = \(2, 4\); received"):
        order.ordered(np.zeros((3, 5, 4, 3)))
    with pytest.raises(ValueError, match="`shares` must be positive for at least one grain"):
        MeanByTilt(np.zeros((2, 5, 4, 3)), np.zeros((2, 4, 3)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match="`size` must be at most 3 g = 6; received 7"):
        LinearLatent(np.zeros((2, 30, 2, 3)), FIELD, size=7)
    with pytest.raises(ValueError, match="`window` must be less than t = 30; received 30"):
        LinearLatent(np.zeros((2, 30, 2, 3)), FIELD, size=2, window=30)
    with pytest.raises(ValueError, match=r"`states` must have shape .* with t = 4; received"):
        LinearLatent(np.zeros((2, 30, 2, 3)), FIELD, size=2).predict(np.zeros((1, 6, 2, 3)))
    with pytest.raises(
        ValueError, match=r"`states` must have shape \(\.\.\., g, 3\) with g = 2; rec"
    ):
        LinearLatent(np.zeros((2, 30, 2, 3)), FIELD, size=2).predict(np.zeros((1, 4, 1, 3)))


def unlike_magnets():
    """Moments (b, t, g, 3), easy axes and shares of magnets with 4 and 6 grains."""
    axes = random_easy_axes((2, 6), cone=60, seed=1)
    moments = random_easy_axes((2, 5, 6), cone=180, seed=2)
    shares = np.ones((2, 6))
    shares[0, 4:] = 0
    for array in (axes, np.swapaxes(moments, 1, 2)):
        array[0, 4:] = 0
    return moments, axes, shares


def test_grains_come_back_from_their_order():
    moments, axes, shares = unlike_magnets()
    order = GrainsInOrder(axes, shares, places=9)
    ordered = order.ordered(moments)
    assert ordered.shape == (2, 5, 9, 3)
    np.testing.assert_allclose(order.back(ordered), moments, atol=1e-15)
    # Easy axes themselves: in the order of their tilt, and in the xz plane.
    x, y, z = np.moveaxis(order.ordered(axes[:, None])[:, 0], -1, 0)
    assert (np.diff(z, axis=1) <= 1e-15).all() and (x >= 0).all()
    np.testing.assert_allclose(y, 0, atol=1e-15)


def test_the_order_of_the_grains_does_not_matter_to_it():
    moments, axes, shares = unlike_magnets()
    turn = np.random.default_rng(3).permutation(6)
    orders = GrainsInOrder(axes, shares, 6), GrainsInOrder(axes[:, turn], shares[:, turn], 6)
    actual = [o.ordered(m) for o, m in zip(orders, (moments, moments[:, :, turn]), strict=True)]
    np.testing.assert_allclose(actual[1], actual[0], atol=1e-15)
    with pytest.raises(ValueError, match="`places` must be at least the number of grains, 1 to 6"):
        GrainsInOrder(axes, shares, places=5)


def test_the_mean_by_tilt():
    moments, axes, shares = unlike_magnets()
    alone = MeanByTilt(moments, axes, shares, classes=10)  # one grain in each
    np.testing.assert_allclose(alone.predict(axes)[1], moments[1], atol=1e-12)
    all_grains = MeanByTilt(moments, axes, shares, classes=1).predict(axes)
    along = np.concatenate([moments[0, :, :4, 2], moments[1, :, :, 2]], axis=1).mean(axis=1)
    np.testing.assert_allclose(all_grains[..., 2], np.broadcast_to(along[:, None], (2, 5, 6)))
