"""Who must agree with whom.

====================================  ======================================================
`overlap`                             held to
====================================  ======================================================
boxes, prisms that are not convex     the length by which they are pushed into each other
the same body twice                   itself, where its centroid is outside
coordinates rounded to 32 bits        the bodies before
====================================  ======================================================

Tests of the checks that `Microstructure` makes with it are in `test_structure.py`.
"""

import itertools

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from keras_micromag.physics import Polyhedron
from keras_micromag.physics.geometry.overlap import overlap, touch_tol
from tests import oracles

TILT = Rotation.from_rotvec([0.3, -0.5, 0.7]).as_matrix()
U_OUTLINE = np.array([(0, 0), (3, 0), (3, 3), (2, 3), (2, 1), (1, 1), (1, 3), (0, 3)], float)


def prism(outline, height=1.0):
    """Return the vertices and faces of a prism on an outline."""
    n = len(outline)
    vertices = np.array([(*point, z) for z in (0.0, height) for point in outline])
    sides = [[i, (i + 1) % n, (i + 1) % n + n, i + n] for i in range(n)]
    return vertices, [list(range(n - 1, -1, -1)), list(range(n, 2 * n)), *sides]


U = prism(U_OUTLINE)
PLUG = oracles.moved(oracles.cube(), shift=(1.5, 1.5, 0.5))  # fills a third of the slot of the U


def placed(body, shift=0.0, scale=1.0):
    return Polyhedron(*oracles.moved(oracles.moved(body, shift=shift), rotation=TILT, scale=scale))


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("depth", [-1e-3, 0.0, 1e-3])
def test_bodies_pushed_into_each_other(depth, scale):
    boxes = [placed(oracles.cube(), (x, 0, 0), scale) for x in (0.0, 1.0 - depth)]
    u, plug = placed(U, scale=scale), placed(PLUG, (0, -depth, 0), scale)
    other = placed(U, (3.0 - depth, 0, 0), scale)
    for pair in (boxes, (u, plug), (u, other)):
        for a, b in itertools.permutations(pair):
            assert overlap(a, b) == (depth > 0)


def test_a_body_overlaps_itself():
    for body in (U, oracles.cube()):
        assert overlap(placed(body), placed(body))


def test_bodies_that_cross_on_the_edges_of_triangles():
    # The edges of the bar enter the U through the diagonals of its faces.
    bar = oracles.moved(oracles.prism(0.2, 0.2, 9.0), rotation=TILT, shift=(0.5, 1.5, 0.5))
    assert overlap(placed(U), placed(bar))
    cross = prism(np.array([(0, 0), (6, 0), (6, 1), (4, 2), (2, 1), (0, 1)], float))
    assert overlap(Polyhedron(*U), Polyhedron(*oracles.moved(cross, shift=(-1, 0, 0))))


@pytest.mark.parametrize("shift", [0.0, 10.0, 1000.0])
def test_bodies_rounded_to_32_bits(shift):
    def rounded(body, by=0.0):
        vertices, faces = oracles.moved(oracles.moved(body, shift=by), rotation=TILT, shift=shift)
        triangles = Polyhedron(vertices, faces).surface
        return Polyhedron(vertices.astype(np.float32), triangles)

    pieces = [U, PLUG, oracles.moved(U, shift=(3, 0, 0)), oracles.moved(U, shift=(0, 0, 1))]
    for a, b in itertools.permutations(pieces, 2):
        assert not overlap(rounded(a), rounded(b))
        assert overlap(rounded(a), rounded(a, 1e-2))


def test_the_tolerance():
    assert touch_tol(1.0, 1e-3) == 1e-9
    assert touch_tol(1.0, 10.0) == 40 * 2.0**-24
    # Two boxes far from the origin do not pass for neighbours.
    assert touch_tol(1.0, 1e9) == 1e-3
    far = [Polyhedron(*oracles.moved(oracles.cube(), shift=(x, 0, 0))) for x in (1e6, 1e6 + 0.5)]
    assert overlap(*far)
