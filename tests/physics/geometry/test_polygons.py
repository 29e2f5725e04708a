"""Who must agree with whom.

====================================  ======================================================
`triangulate`, `convex_parts`         held to
====================================  ======================================================
the triangles of a polygon            its area, without overlap, from every first corner
a corner on the line of a cut         triangles that all have an area
====================================  ======================================================
"""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from keras_micromag.physics.geometry.polygons import convex_parts, cross, triangulate

OUTLINES = {
    "U": [(0, 0), (3, 0), (3, 3), (2, 3), (2, 1), (1, 1), (1, 3), (0, 3)],
    "star": [(4, 0), (1, 1), (0, 4), (-1, 1), (-4, 0), (-1, -1), (0, -4), (1, -1)],
    # The cut between two corners of the square would run through a third.
    "square": [(0, 0), (1, 0), (2, 0), (2, 1), (2, 2), (1, 2), (0, 2), (0, 1)],
    "triangle": [(0, 0), (1, 0), (2, 0), (0, 2)],
    "W": [(0, 0), (5, 0), (5, 3), (4, 3), (4, 1), (3, 1), (3, 3), (2, 3), (2, 1), (0, 1)],
}
TILT = Rotation.from_rotvec([0.3, -0.5, 0.7]).as_matrix()


def areas(points, triangles):
    a, b, c = np.moveaxis(points[triangles], 1, 0)
    return cross(b - a, c - a) / 2


@pytest.mark.parametrize("name", OUTLINES)
def test_triangles_cover_the_polygon_once(name):
    points = np.array(OUTLINES[name], float)
    total = cross(points, np.roll(points, -1, axis=0)).sum() / 2
    vertices = np.column_stack([points, np.zeros(len(points))]) @ TILT.T
    for first in range(len(points)):
        face = np.roll(np.arange(len(points)), first).tolist()
        triangles = triangulate(vertices, [face])
        assert len(triangles) == len(points) - 2
        # None is turned over, so that triangles which add up to the area cannot overlap.
        assert areas(points, triangles).min() > 0.1
        assert areas(points, triangles).sum() == pytest.approx(total, rel=1e-14)


def test_the_parts_of_a_polygon_have_areas():
    # An arrow with a corner in the middle of its left edge.
    points = np.array([(0, 0), (4, 0), (2, 1), (4, 4), (0, 4), (0, 2)], float)
    vertices = np.column_stack([points, np.zeros(len(points))])
    for first in range(len(points)):
        face = np.roll(np.arange(len(points)), first).tolist()
        parts = convex_parts(vertices, face, np.array([0.0, 0, 1]))
        assert areas(points, np.array(parts)).min() > 0.1


def test_convex_polygons_are_fans_in_their_order():
    hexagon = np.exp(2j * np.pi * np.arange(6) / 6)
    vertices = np.column_stack([hexagon.real, hexagon.imag, 0 * hexagon.real])
    triangles = triangulate(vertices, [(1, 2, 3), (5, 0, 1, 2), (0, 2, 4)])
    assert triangles.tolist() == [[1, 2, 3], [5, 0, 1], [5, 1, 2], [0, 2, 4]]


def test_polygons_without_area_or_with_corners_in_one_place():
    vertices = np.array([(0, 0, 0), (1, 0, 0), (2, 0, 0), (2, 2, 0), (0, 0, 0)], float)
    assert triangulate(vertices, [(0, 2, 1, 4)]).tolist() == [[0, 2, 1], [0, 1, 4]]
    triangles = triangulate(vertices, [(0, 4, 1, 2, 3)])
    assert areas(vertices[:, :2], triangles).sum() == pytest.approx(2)
