"""The pole figure: angles, places, and a density that is normalised."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from keras_micromag import physics, plots
from keras_micromag.plots import texture
from keras_micromag.plots.texture import _projected, _unprojected


def test_misorientation_has_no_sign_and_keeps_its_digits():
    angle = np.radians([0.0, 1e-7, 30.0, 89.0, 90.0, 150.0, 180.0])
    axes = np.stack([np.sin(angle), np.zeros(7), np.cos(angle)], axis=-1)
    expected = [0.0, 1e-7, 30.0, 89.0, 90.0, 30.0, 0.0]
    np.testing.assert_allclose(plots.misorientation(axes), expected, rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(plots.misorientation(axes, (-1, 0, 0))[2], 60.0)
    assert plots.misorientation(np.stack([axes, -axes])).shape == (2, 7)


@pytest.mark.parametrize("halfwidth", [3.0, 15.0, 60.0])
def test_mean_density_over_the_hemisphere_is_one(halfwidth):
    rng = np.random.default_rng(0)
    axes = rng.normal(size=(20, 3))
    axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
    # Gauss-Legendre in cos θ, equal steps in the azimuth.
    nodes, shares = np.polynomial.legendre.leggauss(80)
    cos, shares = (nodes + 1) / 2, shares / 2
    azimuth = np.linspace(0, 2 * np.pi, 160, endpoint=False)
    sin = np.sqrt(1 - cos**2)[:, None]
    points = np.stack(
        np.broadcast_arrays(sin * np.cos(azimuth), sin * np.sin(azimuth), cos[:, None]), axis=-1
    )
    density = texture.pole_density(axes, points, weights=rng.random(20), halfwidth=halfwidth)
    np.testing.assert_allclose(shares @ density.mean(axis=1), 1.0, atol=1e-3)


def test_density_falls_to_half_at_the_halfwidth_and_is_the_same_at_both_ends():
    angle = np.radians([0.0, 10.0, 180.0])
    points = np.stack([np.sin(angle), np.zeros(3), np.cos(angle)], axis=-1)
    top, half, other = texture.pole_density([[0, 0, 1]], points, halfwidth=10.0)
    np.testing.assert_allclose([half, other], [top / 2, top], rtol=1e-9)


def test_random_axes_have_a_density_near_one_and_aligned_ones_far_above():
    axes = physics.random_easy_axes(20_000, cone=90.0, seed=0)
    points = physics.random_easy_axes(50, cone=90.0, seed=1)
    np.testing.assert_allclose(texture.pole_density(axes, points, halfwidth=20.0), 1.0, atol=0.15)


def test_the_projection_keeps_areas_and_angles_have_their_circles():
    axes = physics.random_easy_axes(40_000, cone=90.0, seed=0)
    place = _projected(axes)
    radius = np.hypot(*place.T)
    # Equal solid angles, equal areas: a third of the axes within a third of the disc.
    np.testing.assert_allclose(np.mean(radius**2 < 1 / 3), 1 / 3, atol=0.01)
    theta = np.arccos(axes[:, 2])
    np.testing.assert_allclose(radius, np.sqrt(2) * np.sin(theta / 2), rtol=1e-9)
    np.testing.assert_allclose(_unprojected(*place.T), axes, atol=1e-12)
    np.testing.assert_allclose(_projected(-axes), place)


def test_pole_figure_shows_each_axis_sized_by_its_weight():
    axes = [[0, 0, -1], [1, 0, 0], [0, 0.6, 0.8]]
    ax = plots.plot_pole_figure(axes, weights=[1.0, 2.0, 3.0])
    (points,) = ax.collections
    np.testing.assert_allclose(points.get_offsets()[0], [0, 0], atol=1e-12)
    np.testing.assert_allclose(points.get_offsets()[1], [1, 0], atol=1e-12)
    np.testing.assert_allclose(points.get_sizes() / points.get_sizes()[0], [1, 2, 3])
    assert [text.get_text() for text in ax.texts] == ["30°", "60°", "90°", "$x$", "$y$"]
    assert "m.u.d." in ax.figure.axes[1].get_ylabel()


def test_pole_figure_about_x_has_y_at_the_right_and_z_above():
    ax = plots.plot_pole_figure([[0, 0, 1], [0, 1, 0]], direction=(1, 0, 0))
    np.testing.assert_allclose(ax.collections[0].get_offsets(), [[0, 1], [1, 0]], atol=1e-12)
    assert [text.get_text() for text in ax.texts[3:]] == ["$y$", "$z$"]


@pytest.mark.parametrize("weights", [[1.0, -1.0], [0.0, 0.0]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match="`weights` must be non-negative and positive somewhere"):
        plots.plot_pole_figure([[0, 0, 1], [1, 0, 0]], weights=weights)
