"""`random_easy_axes`: unit vectors, inside the cone, uniform on the cap, and reproducible."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from keras_micromag.physics import random_easy_axes

property_test = settings(max_examples=25, deadline=None, derandomize=True, database=None)


@property_test
@given(
    st.integers(min_value=1, max_value=200),
    st.floats(min_value=0, max_value=180),
    st.integers(min_value=0, max_value=2**32 - 1),
)
def test_unit_vectors_within_the_cone(n, cone, seed):
    axes = random_easy_axes(n, cone=cone, seed=seed)
    assert axes.shape == (n, 3)
    assert axes.dtype == np.float64
    np.testing.assert_allclose(np.linalg.norm(axes, axis=1), 1, rtol=0, atol=1e-15 * 4)
    # The tangent tells small angles, which the cosine cannot.
    angle = np.degrees(np.arctan2(np.hypot(axes[:, 0], axes[:, 1]), axes[:, 2]))
    assert (angle <= cone * (1 + 1e-9) + 1e-6).all()


@pytest.mark.parametrize("cone", [0.1, 5.0, 35.0, 90.0, 180.0])
def test_uniform_on_the_cap(cone):
    # Archimedes: area on the sphere is uniform in z and in the azimuth, and they are independent.
    axes = random_easy_axes(20_000, cone=cone, seed=1)
    lowest = np.cos(np.radians(cone))
    height = (axes[:, 2] - lowest) / (1 - lowest)
    azimuth = np.arctan2(axes[:, 1], axes[:, 0]) / (2 * np.pi) % 1
    assert stats.kstest(height, "uniform").pvalue > 0.01
    assert stats.kstest(azimuth, "uniform").pvalue > 0.01
    assert abs(stats.spearmanr(height, azimuth).statistic) < 0.03


def test_mean_of_the_cap():
    # <cos> = (1 + cos cone) / 2: the remanence of a textured magnet with no interaction.
    mean = random_easy_axes(100_000, cone=35.0, seed=2).mean(axis=0)
    expected = (0, 0, (1 + np.cos(np.radians(35))) / 2)
    # Five standard errors of the x component, the widest.
    np.testing.assert_allclose(mean, expected, rtol=0, atol=5 * 0.28 / np.sqrt(100_000))


def test_cone_of_zero_is_z():
    expected = np.broadcast_to([0.0, 0.0, 1.0], (7, 3))
    np.testing.assert_array_equal(random_easy_axes(7, cone=0, seed=3), expected)


def test_default_cone_is_the_papers():
    default = random_easy_axes(500, seed=4)
    np.testing.assert_array_equal(default, random_easy_axes(500, cone=35.0, seed=4))


def test_same_seed_same_axes():
    first, second = (random_easy_axes(64, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, random_easy_axes(64, seed=6))


def test_a_generator_goes_on():
    rng = np.random.default_rng(7)
    first, second = (random_easy_axes(64, seed=rng) for _ in range(2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("shape", [(1,), (10, 64), (2, 3, 4)])
def test_shapes(shape):
    axes = random_easy_axes(shape, seed=8)
    assert axes.shape == (*shape, 3)
    assert len(np.unique(axes.reshape(-1, 3), axis=0)) == np.prod(shape)


def test_needs_a_seed():
    with pytest.raises(TypeError, match=r"seed"):
        random_easy_axes(64)
    with pytest.raises(ValueError, match=r"`seed` must"):
        random_easy_axes(64, seed=None)


@pytest.mark.parametrize("cone", [-1, 180.5, np.nan, np.inf, "wide", None])
def test_bad_cone(cone):
    with pytest.raises(ValueError, match=r"`cone` must be"):
        random_easy_axes(64, cone=cone, seed=9)


@pytest.mark.parametrize("n", [0, -3, (10, 0), (), 2.5, (2, 2.5), "many", None])
def test_bad_n(n):
    with pytest.raises(ValueError, match=r"`n` must be"):
        random_easy_axes(n, seed=10)
