"""Cut grains: closed surfaces with the right volume and cross-section."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from keras_micromag import physics
from keras_micromag.plots.bodies import body_of, cut_open
from tests.plots.magnets import HORSESHOE, PYRAMID, TETRAHEDRON, box, polycrystal, prism

BODIES = {
    "box": box((0, 0, 0), (1, 2, 3)),
    "pyramid": PYRAMID,
    "tetrahedron": TETRAHEDRON,
    "horseshoe": prism(HORSESHOE, 0, 1),
    "arrow": prism([(0, 0), (2, 1), (0, 2), (1, 1)], 0, 2),
}


def vector_areas(body):
    """Return the vector areas (r, 3) of the rings."""
    return np.array(
        [
            0.5 * np.cross(corners, np.roll(corners, -1, axis=0)).sum(axis=0)
            for corners in (body.vertices[list(ring)] for ring in body.rings)
        ]
    )


def volume(body):
    """Return the volume by the divergence theorem; it is wrong unless the surface is closed."""
    first = body.vertices[[ring[0] for ring in body.rings]]
    return np.einsum("ri,ri->", first, vector_areas(body)) / 3


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_the_grain_in_convex_rings(name):
    grain = physics.Polyhedron(*BODIES[name])
    body = body_of(grain)
    np.testing.assert_allclose(volume(body), grain.volume, rtol=1e-12)
    for ring, normal, area in zip(body.rings, body.normals, vector_areas(body), strict=True):
        corners = body.vertices[list(ring)]
        side = np.roll(corners, -1, axis=0) - corners
        assert (np.cross(side, np.roll(side, -1, axis=0)) @ normal > -1e-12).all()
        np.testing.assert_allclose(area, np.linalg.norm(area) * normal, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", BODIES)
def test_both_sides_of_a_cut_are_closed_and_make_up_the_whole(name, seed):
    rng = np.random.default_rng(seed)
    grain = physics.Polyhedron(*BODIES[name])
    normal = rng.normal(size=3)
    normal /= np.linalg.norm(normal)
    offset = rng.dirichlet(np.ones(len(grain.vertices))) @ grain.vertices @ normal
    sides = [cut_open(body_of(grain), sign * normal, sign * offset) for sign in (1, -1)]
    for side in sides:
        np.testing.assert_allclose(vector_areas(side).sum(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(sum(map(volume, sides)), grain.volume, rtol=1e-12)
    # The section is the same from both sides.
    sections = [
        vector_areas(side)[side.normals @ (sign * normal) > 1 - 1e-12].sum(axis=0)
        for side, sign in zip(sides, (1, -1), strict=True)
    ]
    np.testing.assert_allclose(sections[0], -sections[1], atol=1e-12)


@pytest.mark.parametrize("offset", [0.0, 1.0, 2.0, 3.0])
def test_a_plane_through_faces_and_corners_cuts_cleanly(offset):
    grain = physics.Polyhedron(*BODIES["box"])
    part = cut_open(body_of(grain), np.array([0.0, 0.0, 1.0]), offset)
    assert part is None if offset == 0 else np.isclose(volume(part), 2 * offset)
    # Through the diagonal: four of its corners lie on the plane.
    normal = np.array([2.0, -1.0, 0.0]) / np.sqrt(5)
    np.testing.assert_allclose(volume(cut_open(body_of(grain), normal, 0.0)), 3.0, rtol=1e-12)


def test_a_horseshoe_is_cut_into_two_sections():
    body = body_of(physics.Polyhedron(*BODIES["horseshoe"]))
    normal = np.array([0.0, 1.0, 0.0])
    part = cut_open(body, normal, 2.0)
    sections = vector_areas(part)[part.normals @ normal > 1 - 1e-12]
    # With the bottom between its arms, which faces the same way.
    np.testing.assert_allclose(sections[:, 1].sum(), 3.0)
    np.testing.assert_allclose(volume(part), 5.0)


def test_a_section_with_a_hole_is_refused():
    # A cup, whose wall is cut in a ring.
    outer, inner = box((0, 0, 0), (3, 3, 3)), box((1, 1, 1), (2, 2, 3))
    vertices = np.concatenate([outer[0], inner[0]])
    faces = [f for f in outer[1] if f != (1, 5, 7, 3)]
    faces += [tuple(i + 8 for i in f)[::-1] for f in inner[1] if f != (1, 5, 7, 3)]
    # The rim, as four trapezia.
    faces += [(1, 5, 13, 9), (5, 7, 15, 13), (7, 3, 11, 15), (3, 1, 9, 11)]
    cup = physics.Polyhedron(vertices, faces)
    np.testing.assert_allclose(cup.volume, 25.0)
    with pytest.raises(ValueError, match="`cut` must meet each grain in areas without holes"):
        cut_open(body_of(cup), np.array([0.0, 0.0, 1.0]), 2.0)
    half = cut_open(body_of(cup), np.array([1.0, 0.0, 0.0]), 1.5)
    np.testing.assert_allclose(volume(half), 12.5)


def test_sections_of_touching_cells_fill_the_whole_plane():
    normal = np.array([1.0, 2.0, 2.0]) / 3
    (cube,) = physics.cubic_grains((1, 1, 1), size=1.0, depth=0.0).grains

    def section(grains):
        parts = [cut_open(body_of(grain), normal, 0.1) for grain in grains]
        return sum(
            vector_areas(part)[part.normals @ normal > 1 - 1e-12].sum(axis=0)
            for part in parts
            if part is not None
        )

    expected = section([cube])
    assert expected @ normal > 1.0
    np.testing.assert_allclose(section(polycrystal(40, seed=2).grains), expected, atol=1e-9)
