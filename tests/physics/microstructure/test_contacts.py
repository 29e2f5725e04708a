"""Who must agree with whom: areas between grains, and what is known of them otherwise."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from keras_micromag.physics import (
    Microstructure,
    contact_areas,
    cubic_grains,
    voronoi_grains,
)
from keras_micromag.physics.microstructure.voronoi.diagram import measure_cells
from tests import oracles


def bricks(shift):
    """Return two prisms of 1 x 1 x 1, the upper one moved by `shift` along x."""
    return [oracles.cube(), oracles.moved(oracles.cube(), shift=np.array([shift, 0, 1.0]))]


@pytest.mark.parametrize("shift", [0.0, 0.25, 0.999, 1.0, 1.5])
def test_bricks_touch_over_parts_of_their_faces(shift):
    areas = contact_areas(Microstructure(bricks(shift), depth=0.01), gap=0.0)
    assert areas[0, 1] == areas[1, 0] == pytest.approx(max(0, 1 - shift), abs=1e-12)
    assert areas[0, 0] == areas[1, 1] == 0


def test_wedges_that_touch_at_their_thin_ends():
    # Their centroids are further apart than either is long.
    outline = np.array([[0.0, -0.1], [4.0, -1.0], [4.0, 1.0], [0.0, 0.1]])
    corners = np.array([[x, y, z] for z in (0.0, 1.0) for x, y in outline])
    wedge = oracles.convex_polyhedron(corners)
    mirror = oracles.convex_polyhedron(corners * [-1, 1, 1])
    areas = contact_areas(Microstructure([wedge, mirror], depth=0.01), gap=0.0)
    assert areas[0, 1] == areas[1, 0] == pytest.approx(0.2, rel=1e-12)


def test_a_lattice_has_six_neighbours_at_most():
    cubes = cubic_grains((3, 4, 5), size=1.0, gap=0.1)
    areas = contact_areas(cubes, gap=0.1)
    distance = np.linalg.norm(cubes.centroids[:, None] - cubes.centroids, axis=-1)
    np.testing.assert_allclose(areas, 1.0 * (np.abs(distance - 1.1) < 1e-9), atol=1e-9)
    assert not contact_areas(cubes, gap=0.09).any()


def test_cubes_rounded_to_32_bits():
    cubes = cubic_grains((3, 1, 1), size=0.1, gap=0.003)
    grains = [((1 + g.vertices).astype(np.float32), g.faces) for g in cubes.grains]
    areas = contact_areas(Microstructure(grains, depth=0.01), gap=0.003)
    expected = 0.01 * np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    np.testing.assert_allclose(areas, expected, rtol=1e-5)


def test_contacts_of_a_polycrystal_equal_the_faces_of_its_diagram():
    seeds = np.random.default_rng(1).random((40, 3))
    touching = voronoi_grains(seeds - 0.5, 1.0, gap=0.0, depth=0.0, scheme="centroid")
    expected = measure_cells(seeds, np.zeros(40), np.ones(3)).areas.toarray()
    computed = contact_areas(touching, gap=0.0)
    np.testing.assert_allclose(computed, expected, atol=1e-9)
    # What is left of a grain's surface lies on the box.
    surface = [
        sum(np.linalg.norm(_area(grain.vertices[list(face)])) for face in grain.faces)
        for grain in touching.grains
    ]
    assert sum(surface) - computed.sum() == pytest.approx(6, abs=1e-9)
    parted = voronoi_grains(seeds - 0.5, 1.0, gap=1e-3, depth=0.0, scheme="centroid")
    np.testing.assert_allclose(contact_areas(parted, gap=1e-3), expected, atol=0.01)


def test_a_turned_magnet_has_the_same_neighbours():
    magnet = voronoi_grains(20, 1.0, 2, 0.01, depth=0.0, scheme="centroid")
    turn = Rotation.from_rotvec([0.3, -0.5, 0.7]).as_matrix()
    turned = Microstructure([(g.vertices @ turn.T, g.faces) for g in magnet.grains], depth=0.0)
    computed = [contact_areas(each, gap=0.01) for each in (magnet, turned)]
    np.testing.assert_allclose(computed[1], computed[0], atol=1e-9)


def test_a_grain_that_is_not_convex_is_refused():
    magnet = Microstructure([oracles.l_prism()], depth=0.05)
    with pytest.raises(ValueError, match="`structure` must have convex grains; grain 0 is not"):
        contact_areas(magnet, gap=0.0)


def _area(ring):
    spokes = ring[1:] - ring[0]
    return 0.5 * np.cross(spokes[:-1], spokes[1:]).sum(axis=0)
