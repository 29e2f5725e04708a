"""The magnet: which faces are drawn, in which colours."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from keras_micromag import physics, plots
from keras_micromag.plots import style
from keras_micromag.plots.magnet import camera, project
from tests.plots.magnets import (
    HORSESHOE,
    PYRAMID,
    moved,
    only_collection,
    prism,
    ragged,
)


def test_magnet_has_one_polygon_per_face_turned_to_the_viewer():
    structure = physics.cubic_grains((3, 2, 2))
    ax = plots.plot_magnet(structure, np.tile([0, 0, 1.0], (12, 1)))
    assert len(only_collection(ax).get_paths()) == 3 * 12
    assert ax.get_aspect() == 1.0


def test_magnet_colors_follow_m_z_between_fixed_limits():
    structure = physics.cubic_grains((2, 1, 1))
    ax = plots.plot_magnet(structure, [[0, 0.6, 0.8], [0, 0.6, -0.8]])
    scale = ax.figure.axes[1]
    assert scale.get_ylim() == (-1, 1) and "m_z" in scale.get_title()
    red, _, blue = only_collection(ax).get_facecolors()[:, :3].T
    # Grain 1 lies to the right at +x and is nearer to the default viewer: it is painted last.
    assert (red > blue).tolist() == [True] * 3 + [False] * 3


def test_magnet_looks_the_same_at_any_length_scale():
    grains = [(1e-9 * v, f) for v, f in (moved(PYRAMID, (0, 0, 0)), moved(PYRAMID, (2, 1, 0)))]
    moments = [[0, 0, 1], [0, 0, -1]]
    paths = []
    for factor in (1.0, 1e9):
        structure = physics.Microstructure([(factor * v, f) for v, f in grains], depth=0.0)
        ax = plots.plot_magnet(structure, moments)
        paths.append(np.concatenate([p.vertices for p in only_collection(ax).get_paths()]))
    np.testing.assert_allclose(*paths, atol=1e-12)


def test_magnet_of_ragged_polyhedra_is_drawn_to_its_edges():
    structure = ragged(0)
    ax = plots.plot_magnet(structure, np.tile([0, 0, 1.0], (len(structure), 1)))
    corners = {len(path.vertices) - 1 for path in only_collection(ax).get_paths()}
    assert corners == {3, 4}


def test_magnet_refuses_moments_of_another_shape():
    with pytest.raises(ValueError, match=r"shape \(g, 3\) with g = 8; received \(3, 8\)"):
        plots.plot_magnet(physics.cubic_grains((2, 2, 2)), np.ones((3, 8)))


def test_magnet_refuses_a_scale_that_is_none():
    for limits, sentence in (([0], r"must have shape \(2,\)"), ([1, 0], "must rise; received")):
        with pytest.raises(ValueError, match=f"`limits` {sentence}"):
            plots.plot_magnet(physics.cubic_grains((2, 1, 1)), values=[0.0, 1.0], limits=limits)
    with pytest.raises(ValueError, match=r"`values` must be below 1e\+50; received -1e\+308 at"):
        plots.plot_magnet(physics.cubic_grains((2, 1, 1)), values=[np.inf, -1e308], limits=(0, 1))


@pytest.mark.integration
def test_magnet_of_a_thousand_grains_is_drawn_in_seconds(tmp_path):
    structure = physics.cubic_grains((10, 10, 10))
    ax = plots.plot_magnet(structure, np.tile([0, 0, 1.0], (1000, 1)))
    style.save_figure(ax.figure, tmp_path / "magnet.pdf")
    assert (tmp_path / "magnet.pdf").stat().st_size < 1_000_000


def test_values_have_a_scale_of_their_own_with_a_label():
    structure = physics.cubic_grains((3, 1, 1))
    ax = plots.plot_magnet(structure, values=[-3.0, -5.0, -4.0], label="Switching field (T)")
    scale = ax.figure.axes[1]
    assert scale.get_ylim() == (-5.0, -3.0)
    assert scale.get_ylabel() == "Switching field (T)"
    assert not scale.texts
    ax = plots.plot_magnet(structure, values=[1.0, 2.0, 3.0], limits=(0.0, 90.0))
    assert ax.figure.axes[1].get_ylim() == (0.0, 90.0)


def test_grains_without_a_value_are_grey_and_the_scale_says_so():
    structure = physics.cubic_grains((2, 1, 1))
    for values in ([-3.0, np.nan], [np.nan, np.nan]):
        ax = plots.plot_magnet(structure, values=values)
        colors = only_collection(ax).get_facecolors()[:, :3]
        grey = np.ptp(colors, axis=1) < 1e-9
        # Grain 1 is painted last.
        assert grey.tolist() == [np.isnan(values[0])] * 3 + [True] * 3
        assert [text.get_text() for text in ax.figure.axes[1].texts] == ["none"]


def test_values_and_moments_exclude_each_other():
    structure = physics.cubic_grains((2, 1, 1))
    for kwargs in ({}, {"moments": [[0, 0, 1]] * 2, "values": [1, 2]}):
        with pytest.raises(ValueError, match="either `moments` or `values`"):
            plots.plot_magnet(structure, **kwargs)
    with pytest.raises(ValueError, match=r"`values` must have shape \(g,\) with g = 2; rec"):
        plots.plot_magnet(structure, values=[1, 2, 3])


def _area(polygon):
    x, y = np.transpose(polygon)
    return 0.5 * (x @ np.roll(y, -1) - y @ np.roll(x, -1))


def _faces_from(structure, normal, **kwargs):
    """Return the area (g,) in m² of each grain that is visible along the normal of a plane."""
    elevation = np.degrees(np.arcsin(normal[2]))
    azimuth = np.degrees(np.arctan2(normal[1], normal[0]))
    scene = project(structure, view=(elevation, azimuth), **kwargs)
    right, up, _ = camera((elevation, azimuth))
    corners = np.concatenate([grain.vertices for grain in structure.grains])
    size = max(np.ptp(corners @ right), np.ptp(corners @ up))
    areas = np.zeros(len(structure))
    np.add.at(areas, scene.grains, [_area(p) for p in scene.polygons])
    return areas * size**2


def test_the_cut_shows_the_cross_sections_of_the_grains():
    structure = physics.cubic_grains((2, 2, 2), size=2.0, gap=0.5, depth=0.0)
    # Seen along the cut: nothing but the sections, and they have the cubes' area.
    areas = _faces_from(structure, (0, 0, 1), cut=((0, 0, 3), 0.5))
    np.testing.assert_allclose(areas, [4.0] * 8)
    # Through grains 1, 3, 5, 7, which are on top: the others are covered by them.
    scene = project(structure, view=(20.0, 30.0), cut=((0, 0, -1), -0.5))
    assert set(scene.grains) == {1, 3, 5, 7}


def test_exploded_grains_keep_their_faces_and_part():
    structure = physics.cubic_grains((2, 1, 1), size=1.0, gap=0.0, depth=0.0)
    kwargs = {"view": (90.0, -90.0)}
    together, apart = project(structure, **kwargs), project(structure, **kwargs, explode=0.5)
    # Two squares side by side, with half a grain between them when exploded.
    np.testing.assert_allclose(together.size, (1.0, 0.5))
    np.testing.assert_allclose(apart.size, (1.0, 0.4))
    assert len(apart.polygons) == 2


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        (3.0, r"`cut` must be a pair \(normal, offset\); received 3.0"),
        (((0, 0, 0), 0.0), "`cut` must have a normal that is not 0"),
        (((0, 1), 0.0), r"`cut` must have shape \(3,\) as its normal; received \(2,\)"),
        (((0, 0, 1), "x"), "`cut` must be a number"),
        (((0, 0, 1), -1.0), "`cut` must leave something of the magnet; received .* -1 m"),
    ],
)
def test_planes_that_are_none_are_refused(cut, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_magnet(physics.cubic_grains((1, 1, 1)), values=[1.0], cut=cut)


def test_a_grain_that_is_not_convex_is_outlined_as_a_whole():
    structure = physics.Microstructure([prism(HORSESHOE, 0, 1)], depth=0.0)
    scene = project(structure, view=(90.0, -90.0))
    sides = [polygon for polygon in scene.polygons if len(polygon) == 2]
    # Eight sides of the horseshoe; the triangles that fill it have none of their own.
    assert len(sides) == 8
    assert not scene.outlined[[len(p) > 2 for p in scene.polygons]].any()
    ax = plots.plot_magnet(structure, values=[1.0], limits=(0, 1), cut=((0, 0, 1), 0.5))
    ax.figure.canvas.draw()


@pytest.mark.parametrize(("view", "toward"), [((0.0, 0.0), "x"), ((0, 90), "y"), ((90, 0), "z")])
def test_the_letter_of_an_axis_toward_the_viewer_stands_beside_its_point(view, toward):
    ax = plots.plot_magnet(physics.cubic_grains((1, 1, 1)), np.array([[0, 0, 1.0]]), view=view)
    beyond = {text.get_text(): text.get_position() for text in ax.texts if text.get_text()}
    assert beyond.keys() == {"$x$", "$y$", "$z$"}
    assert beyond[f"${toward}$"] == pytest.approx((-2.8, -2.8))
    assert all(np.hypot(*place) == pytest.approx(4.0, rel=0.02) for place in beyond.values())
