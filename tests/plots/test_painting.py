"""The painter's order, against rays cast through the grains."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.path import Path

from keras_micromag import physics
from keras_micromag.plots.bodies import body_of
from keras_micromag.plots.magnet import camera, project
from keras_micromag.plots.painting import back_to_front, pieces
from tests.plots.magnets import HORSESHOE, box, polycrystal, prism, ragged

VIEWS = [(24.0, -58.0), (5.0, -100.0), (-30.0, 130.0), (0.0, 0.0)]


def seen_in_the_picture(picture, points):
    """Return the grain of the polygon drawn last at each of the points (n, 2); -1 where none is."""
    grains = np.full(len(points), -1)
    for polygon, grain in zip(picture.polygons, picture.grains, strict=True):
        if len(polygon) > 2:
            grains[Path(polygon).contains_points(points)] = grain
    return grains


def rays(structure, view, points, *, cut=None, explode=0.0):
    """Return the grain that each ray through the picture meets first; -1 where none.

    Written as a viewer would put it: the ray comes from far off, every triangle of every grain
    that it pierces is a hit, unless the hit is beyond the cut; if the cut meets the ray inside a
    grain, it sees that.
    """
    look = camera(view)
    shifts = explode * (structure.centroids - structure.bounds.mean(axis=0))
    flat = []
    for grain, shift in zip(structure.grains, shifts, strict=True):
        vertices = grain.vertices
        if cut is not None:
            vertices = _corners_of_the_cut(grain, *cut)
        flat.append((vertices + shift) @ look.T)
    corners = np.concatenate(flat)
    low, size = corners.min(axis=0)[:2], np.ptp(corners[:, :2], axis=0).max()
    starts = np.column_stack([points * size + low, np.zeros(len(points))]) @ look
    heights = np.full((len(structure.grains), len(points)), -np.inf)
    for g, grain in enumerate(structure.grains):
        places = starts - shifts[g]
        spans = _spans(grain, places, look[2])
        if cut is not None:
            spans = [_up_to_the_cut(span, places, look[2], *cut) for span in spans]
        for span in spans:
            heights[g] = np.maximum(heights[g], span[1])
    return np.where(np.isfinite(heights.max(axis=0)), heights.argmax(axis=0), -1)


def _spans(grain, places, toward):
    """Return where lines enter and leave a grain, as pairs of (n,); exits are -inf where they miss.

    By all pierced triangles, sorted: inside between the first and the second, and so on.
    """
    a, b, c = np.moveaxis(grain.vertices[grain.triangles], 1, 0)
    normal = np.cross(b - a, c - a)
    slope = normal @ toward
    slope[np.abs(slope) < 1e-12] = np.nan
    height = np.einsum("ti,nti->nt", normal, a - places[:, None]) / slope
    hit = places[:, None] + height[..., None] * toward
    inside = np.logical_and.reduce(
        [
            np.einsum("nti,ti->nt", np.cross(q - p, hit - p), normal) >= 0
            for p, q in ((a, b), (b, c), (c, a))
        ]
    )
    ordered = np.sort(np.where(inside, height, np.inf), axis=1)
    spans = []
    for k in range(0, ordered.shape[1] - 1, 2):
        entry, leave = ordered[:, k], ordered[:, k + 1]
        if not np.isfinite(leave).any():
            break
        # Where triangles of a face that is not convex overlap, the line meets them at one height.
        real = np.isfinite(leave) & (leave > entry + 1e-9)
        spans.append((entry, np.where(real, leave, -np.inf)))
    return spans


def _up_to_the_cut(span, places, toward, normal, offset):
    entry, leave = span
    gap, slope = offset - places @ normal, normal @ toward
    if slope > 0:
        leave = np.minimum(leave, gap / slope)
    else:
        entry = np.maximum(entry, gap / slope)
    return entry, np.where(leave > entry, leave, -np.inf)


def _corners_of_the_cut(grain, normal, offset):
    """Return the ends of all edges of a grain that are left by a cut: they give its extent."""
    a, b = np.moveaxis(grain.vertices[grain.edges], 1, 0)
    ha, hb = a @ normal - offset, b @ normal - offset
    ends = [a[ha <= 0], b[hb <= 0]]
    across = ha * hb < 0
    share = (ha / np.where(across, ha - hb, 1.0))[across, None]
    return np.concatenate([*ends, a[across] + share * (b - a)[across]])


def agreement(structure, view, points, **kwargs):
    """Return the share of the rays that meet a grain whose first grain is that in the picture."""
    truth = rays(structure, view, points, **kwargs)
    drawn = seen_in_the_picture(project(structure, view=view, **kwargs), points)
    met = truth >= 0
    assert met.sum() > 200
    return np.mean(drawn[met] == truth[met])


def _points(seed, n=800):
    return np.random.default_rng(seed).random((n, 2))


CUT = (np.array([0.6, -0.64, 0.48]), 0.07)


@pytest.mark.slow
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(
    "kwargs",
    [{}, {"explode": 0.4}, {"cut": CUT}, {"cut": CUT, "explode": 0.7}],
    ids=["complete", "exploded", "cut", "cut and exploded"],
)
@pytest.mark.parametrize("gap", [0.0, 0.02])
def test_polycrystals_are_painted_as_rays_see_them(view, kwargs, gap):
    structure = polycrystal(40, seed=4, gap=gap)
    # Rays through an edge may see either grain: few do.
    assert agreement(structure, view, _points(1), **kwargs) > 0.999


@pytest.mark.parametrize("seed", [0, 2])
@pytest.mark.parametrize("view", VIEWS)
def test_ragged_grains_are_painted_as_rays_see_them(seed, view):
    assert agreement(ragged(seed), view, _points(seed, 5000) * (1.0, 0.2)) > 0.999


@pytest.mark.parametrize("view", [(24.0, -58.0), (-30.0, 130.0), (50.0, 80.0)])
def test_grains_inside_one_that_is_not_convex_are_painted_as_rays_see_them(view):
    grains = [
        prism(HORSESHOE, 0, 1),
        box((1.2, 1.5, -0.5), (1.8, 4.0, 1.5)),
        box((0.5, 0.2, 1.1), (2.5, 0.8, 1.6)),
    ]
    grains = [physics.Polyhedron(*grain) for grain in grains]
    # No Microstructure: its test of overlap takes faces that are not convex for larger than they
    # are.
    structure = SimpleNamespace(
        grains=grains,
        centroids=np.array([grain.centroid for grain in grains]),
        bounds=np.array([[0.0, 0.0, -0.5], [3.0, 4.0, 1.6]]),
    )
    assert agreement(structure, view, _points(3)) > 0.999
    cut = (np.array([0.0, 0.6, 0.8]), 1.9)
    assert agreement(structure, view, _points(4), cut=cut) > 0.999


def test_grains_that_cover_each_other_in_a_ring_are_all_painted_once():
    bars = [box((0, -0.2, 1), (3, 0.8, 2)), box((2.2, 0, -0.2), (3.2, 3, 0.8))]
    bars.append(box((-0.2, 2.2, 0), (0.8, 3.2, 3)))
    axes, parts = camera((35.0, 45.0)), []
    for number, bar in enumerate(bars):
        body = body_of(physics.Polyhedron(*bar))
        parts += pieces(number, body, body.vertices @ axes.T, axes)
    assert sorted(back_to_front(parts)) == [0, 1, 2]


@pytest.mark.integration
def test_five_hundred_cells_are_painted_right_in_seconds():
    structure = polycrystal(500, seed=5, gap=0.005)
    start = time.perf_counter()
    project(structure, view=VIEWS[0], explode=0.3)
    assert time.perf_counter() - start < 10
    assert agreement(structure, VIEWS[0], _points(6), explode=0.3) > 0.999
