"""Who must agree with whom.

=====================================  ====================================================
`Microstructure`, `cubic_grains`       held to
=====================================  ====================================================
lattice sites, sizes, volumes,         arithmetic
packing fraction, bounds
the 27 particles of a cube             the 3 x 3 x 3 grid at `depth` below its faces
sets of schemes                        counts of corners, edges, faces of the inset body
weights                                rows sum to 1, 0 on padding, equal otherwise
every length times 1e-9 to 1e9         the same structure
touching grains                        welcome; overlapping ones are refused, by name
bad input                              one sentence that names what is wrong
=====================================  ====================================================
"""

import copy
import json
import pickle
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from keras_micromag.physics import (
    MATERIALS,
    ND2FE14B,
    Microstructure,
    Polyhedron,
    calibrated_depth,
    core_shell,
    cubic_grains,
)
from tests import oracles

BAFE12O19 = MATERIALS["BaFe12O19"]

TILT = Rotation.from_rotvec([0.3, -0.5, 0.7]).as_matrix()
SCHEME = ("vertices", "edges", "faces", "centroid")
SCALES = (1e-9, 1.0, 1e9)

property_test = settings(max_examples=15, deadline=None, derandomize=True, database=None)


def cubes(*shifts, size=1.0):
    return [oracles.moved(oracles.cube(size), shift=np.asarray(shift)) for shift in shifts]


def sorted_rows(points):
    """Return the rows in an order that is independent of rounding."""
    rounded = np.round(points, 9) + 0.0
    return points[np.lexsort(rounded.T)]


# ---------------------------------------------------------------------------------------------
# cubic_grains
# ---------------------------------------------------------------------------------------------


def test_the_papers_magnet():
    magnet = cubic_grains()
    assert len(magnet) == len(magnet.grains) == 64
    assert magnet.particles.shape == (64, 27, 3)
    assert magnet.weights.shape == (64, 27)
    np.testing.assert_allclose(magnet.weights, 1 / 27, rtol=1e-15)
    np.testing.assert_allclose(magnet.volumes, (50e-9) ** 3, rtol=1e-12)
    np.testing.assert_allclose(magnet.bounds, np.outer([-1, 1], [104.5e-9] * 3), rtol=1e-12)
    assert magnet.volume == pytest.approx((209e-9) ** 3, rel=1e-12)
    assert magnet.packing_fraction == pytest.approx((200 / 209) ** 3, rel=1e-12)
    np.testing.assert_allclose(magnet.centroids.mean(axis=0), 0, atol=1e-20)


def test_grain_order():
    shape = (2, 3, 4)
    magnet = cubic_grains(shape, size=50e-9, gap=3e-9)
    assert len(magnet) == 24
    for i, j, k in np.ndindex(shape):
        site = (np.array([i, j, k]) - (np.array(shape) - 1) / 2) * 53e-9
        index = i * 3 * 4 + j * 4 + k
        np.testing.assert_allclose(magnet.centroids[index], site, rtol=0, atol=1e-20)


def test_particles_of_a_cube():
    depth = calibrated_depth(ND2FE14B)
    magnet = cubic_grains((2, 1, 1))
    reach = np.array([-1, 0, 1]) * (25e-9 - depth)
    grid = np.stack(np.meshgrid(reach, reach, reach, indexing="ij"), axis=-1).reshape(-1, 3)
    for particles, centroid in zip(magnet.particles, magnet.centroids, strict=True):
        actual = sorted_rows((particles - centroid) / 50e-9)
        np.testing.assert_allclose(actual, sorted_rows(grid / 50e-9), rtol=0, atol=1e-13)


def test_particles_come_corners_first():
    # In the order of the scheme, whatever order the caller names it in.
    magnet = cubic_grains((1, 1, 1), size=2.0, gap=0.0, depth=0.5, scheme=SCHEME[::-1])
    zeros = (np.abs(magnet.particles[0]) < 1e-12).sum(axis=1)
    np.testing.assert_array_equal(zeros, [0] * 8 + [1] * 12 + [2] * 6 + [3])


def test_every_grain_has_its_particles_in_the_same_order():
    magnet = cubic_grains((3, 2, 2))
    offsets = magnet.particles - magnet.centroids[:, None]
    np.testing.assert_allclose(offsets, np.broadcast_to(offsets[0], offsets.shape), atol=1e-20)


def test_the_order_of_particles_does_not_depend_on_scale():
    unit = cubic_grains((2, 2, 2), size=1.0, gap=0.06, depth=0.05)
    for scale in (1e-9, 50e-9, 3.0, 1e9):
        scaled = cubic_grains((2, 2, 2), size=scale, gap=0.06 * scale, depth=0.05 * scale)
        np.testing.assert_allclose(scaled.particles / scale, unit.particles, rtol=0, atol=1e-12)


def test_depth_and_material():
    for kwargs, depth in (
        ({"depth": 7e-9}, 7e-9),
        ({"material": BAFE12O19}, calibrated_depth(BAFE12O19)),
        ({"material": BAFE12O19, "depth": 7e-9}, 7e-9),
    ):
        magnet = cubic_grains((1, 1, 1), **kwargs)
        assert magnet.particles.max() == pytest.approx(25e-9 - depth, rel=1e-12)


@pytest.mark.parametrize(
    "scheme", [s for n in range(1, 5) for s in combinations(SCHEME, n)], ids="+".join
)
def test_schemes(scheme):
    count = {"vertices": 8, "edges": 12, "faces": 6, "centroid": 1}
    magnet = cubic_grains((2, 1, 1), scheme=scheme)
    total = sum(count[place] for place in scheme)
    assert magnet.particles.shape == (2, total, 3)
    np.testing.assert_allclose(magnet.weights, 1 / total, rtol=1e-15)


def test_touching_cubes():
    magnet = cubic_grains((3, 3, 3), gap=0)
    assert magnet.packing_fraction == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("scale", SCALES)
def test_cubes_at_every_scale(scale):
    size, gap = 50.0, 3.0
    unit = cubic_grains((2, 3, 1), size=size, gap=gap, depth=2.4)
    scaled = cubic_grains((2, 3, 1), size=size * scale, gap=gap * scale, depth=2.4 * scale)
    np.testing.assert_allclose(scaled.volumes, unit.volumes * scale**3, rtol=1e-12)
    np.testing.assert_allclose(scaled.centroids, unit.centroids * scale, atol=1e-12 * size * scale)
    np.testing.assert_allclose(scaled.bounds, unit.bounds * scale, rtol=1e-12)
    assert scaled.packing_fraction == pytest.approx(unit.packing_fraction, rel=1e-12)


def test_bad_cubes():
    for shape in ((4, 4), (4, 4, 4, 4), 4, (4, 0, 4), (4, 4, -1), (4, 4, 2.5), (4, np.nan, 4)):
        with pytest.raises(ValueError, match=r"`shape` must be three positive whole numbers"):
            cubic_grains(shape)
    for size in (0, -50e-9, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"`size` must be greater than 0; received"):
            cubic_grains((1, 1, 1), size=size)
    for gap in (-3e-9, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"`gap` must be at least 0; received"):
            cubic_grains((2, 1, 1), gap=gap)
    for depth in (-1e-9, np.nan):
        with pytest.raises(ValueError, match=r"`depth` must be at least 0; received"):
            cubic_grains((1, 1, 1), depth=depth)
    with pytest.raises(ValueError, match=r"`size` must be a number; received 'big'"):
        cubic_grains((1, 1, 1), size="big")


@pytest.mark.parametrize("depth", [25e-9, 26e-9, 1.0])
def test_depth_that_empties_a_cube(depth):
    with pytest.raises(ValueError, match=r"grain 0 is too thin for its particles"):
        cubic_grains((2, 2, 2), depth=depth)


def least_depths(structure):
    """Distance (g,) from the surface of the particle nearest to it, of each convex grain."""
    return np.array(
        [
            (grain.offsets - (particles - grain.centroid) @ grain.normals.T).min()
            for grain, particles in zip(structure.grains, structure.particles, strict=True)
        ]
    )


def test_each_grain_has_the_depth_of_its_material():
    materials = list(MATERIALS.values())[:4]
    for depth, expected in (
        ("calibrated", [calibrated_depth(m) for m in materials]),
        (3e-9, [3e-9] * 4),
    ):
        magnet = cubic_grains((2, 2, 1), depth=depth, material=materials)
        np.testing.assert_allclose(least_depths(magnet), expected, rtol=1e-12)
        assert magnet.particles.shape == (4, 27, 3)
    alike = cubic_grains((2, 1, 1), depth="calibrated", material=MATERIALS["SmCo5"])
    by_number = cubic_grains((2, 1, 1), depth=calibrated_depth(MATERIALS["SmCo5"]))
    np.testing.assert_array_equal(alike.particles, by_number.particles)


@pytest.mark.parametrize("share", [0.01, 0.5, 1.79, 1.81, 1.999, 2.001, 5.0])
def test_at_the_calibrated_depth_a_face_moves_nine_tenths_of_its_way_at_most(share):
    depth = calibrated_depth(ND2FE14B)
    size = share * depth
    magnet = cubic_grains((2, 1, 1), size=size, depth="calibrated")
    assert magnet.particles.shape == (2, 27, 3)
    reach = size / 2 - min(depth, 0.9 * size / 2)
    offsets = magnet.particles - magnet.centroids[:, None]
    np.testing.assert_allclose(offsets.max(axis=1), reach, rtol=1e-9)
    np.testing.assert_allclose(offsets.min(axis=1), -reach, rtol=1e-9)


def test_in_a_thin_grain_each_face_moves_as_far_as_it_may():
    # A plate thinner than two nuclei, and as long as eight, beside one in its position.
    depth = calibrated_depth(ND2FE14B)
    extent = np.array([8.0, 8.0, 1.5]) * depth
    vertices, faces = oracles.cube()
    plate = Microstructure([((np.array(vertices) - 0.5) * extent, faces)], depth="calibrated")
    reach = (plate.particles[0] - plate.centroids[0]).max(axis=0)
    np.testing.assert_allclose(reach, np.array([3.0, 3.0, 0.075]) * depth, rtol=1e-9)
    # Any scheme, beside grains of other materials, and once more from its config.
    materials = [MATERIALS["BaFe12O19"], ND2FE14B]
    options = {"size": 20e-9, "depth": "calibrated", "material": materials}
    mixed = cubic_grains((2, 1, 1), scheme=("vertices",), **options)
    np.testing.assert_array_equal((mixed.weights > 0).sum(axis=1), [8, 8])
    np.testing.assert_allclose(least_depths(mixed), [9e-9, calibrated_depth(ND2FE14B)], rtol=1e-9)
    again = Microstructure.from_config(mixed.get_config())
    assert again.fingerprint == mixed.fingerprint


def test_a_thin_grain_that_is_not_convex_has_its_centroid():
    depth = calibrated_depth(ND2FE14B)
    vertices, faces = oracles.l_prism()
    thin = Microstructure([(np.array(vertices) * depth, faces)], depth="calibrated")
    assert not thin.grains[0].is_convex
    np.testing.assert_allclose(thin.particles, thin.centroids[:, None], rtol=0, atol=1e-24)


def test_a_thin_grain_whose_centroid_lies_outside_is_refused():
    shell = core_shell(cubic_grains((1, 1, 1)), 2e-9).grains[1]
    with pytest.raises(ValueError, match="grain 0 is too thin for its particles"):
        Microstructure([shell], depth="calibrated")
    assert Microstructure([shell], depth=0.5e-9).particles.shape[1] > 1


def test_particles_move_to_the_depth_of_a_loops_material():
    smco5 = MATERIALS["SmCo5"]
    magnet = cubic_grains((2, 1, 1))
    assert magnet.is_movable and magnet.calibrated_for(ND2FE14B) is magnet
    moved = magnet.calibrated_for([smco5, ND2FE14B])
    expected = [calibrated_depth(smco5), calibrated_depth(ND2FE14B)]
    np.testing.assert_allclose(least_depths(moved), expected, rtol=1e-12)
    np.testing.assert_allclose(least_depths(magnet), expected[1], rtol=1e-12)
    np.testing.assert_array_equal(moved.particle_class, [0, 1])
    given = cubic_grains((2, 1, 1), material=[smco5, ND2FE14B])
    assert moved.fingerprint == given.fingerprint and moved.grains is magnet.grains
    assert not moved.particles.flags.writeable
    for fixed in (moved, given, cubic_grains((2, 1, 1), depth=3e-9)):
        assert not fixed.is_movable and fixed.calibrated_for(smco5) is fixed


def test_a_config_keeps_whether_particles_move():
    weights = np.tile([2.0, *[1.0] * 7], (2, 1))
    magnet = Microstructure(
        cubic_grains((2, 1, 1)).grains, scheme=("vertices",), weights=weights, volume=1e-21
    )
    weights[:] = 1  # its own
    again = Microstructure.from_config(json.loads(json.dumps(magnet.get_config())))
    assert again.is_movable and again.fingerprint == magnet.fingerprint
    pair = [each.calibrated_for(MATERIALS["SmCo5"]) for each in (magnet, again)]
    assert pair[0].fingerprint == pair[1].fingerprint != magnet.fingerprint
    np.testing.assert_allclose(pair[0].weights[:, 0], 2 / 9)


def test_bad_depths_and_materials():
    with pytest.raises(ValueError, match="`depth` must be a number or 'calibrated'; received 'de"):
        cubic_grains((1, 1, 1), depth="deep")
    for material in ([ND2FE14B], "Nd2Fe14B", [ND2FE14B, "SmCo5"]):
        with pytest.raises(ValueError, match="`material` must be a Material or a sequence of g = "):
            cubic_grains((2, 1, 1), depth="calibrated", material=material)
    # Only the calibrated depth is never too much.
    assert cubic_grains((1, 1, 1), size=1e-9).particles.shape == (1, 27, 3)
    with pytest.raises(ValueError, match="grain 0 is too thin for its particles"):
        cubic_grains((1, 1, 1), size=9e-9, depth=calibrated_depth(ND2FE14B))


def test_bad_scheme():
    with pytest.raises(ValueError, match=r"`scheme` must be one of 'vertices', .*; received 'corn"):
        cubic_grains((1, 1, 1), scheme=("corners",))
    with pytest.raises(ValueError, match=r"`scheme` must name at least one"):
        cubic_grains((1, 1, 1), scheme=())
    with pytest.raises(ValueError, match=r"`scheme` must be a sequence of names; received -3"):
        cubic_grains((1, 1, 1), scheme=-3)


# ---------------------------------------------------------------------------------------------
# Microstructure
# ---------------------------------------------------------------------------------------------


def mixed_grains(scale=1.0):
    """Return a cube, a tetrahedron and a truncated octahedron, with 27, 15 and 75 particles."""
    return [
        oracles.moved(oracles.cube(), scale=scale),
        oracles.moved(oracles.tetrahedron(), scale=scale, shift=(2 * scale, 0, 0)),
        oracles.moved(
            oracles.truncated_octahedron(0.4), rotation=TILT, scale=scale, shift=(0, 3 * scale, 0)
        ),
    ]


@pytest.mark.parametrize("scale", SCALES)
def test_mixed_grains(scale):
    structure = Microstructure(mixed_grains(scale), depth=0.05 * scale)
    counts = np.array([27, 15, 75])
    assert structure.particles.shape == (3, 75, 3)
    expected = (np.arange(75) < counts[:, None]) / counts[:, None]
    np.testing.assert_allclose(structure.weights, expected, rtol=1e-15)
    np.testing.assert_allclose(structure.weights.sum(axis=1), 1, rtol=1e-15)
    assert np.isfinite(structure.particles).all()
    volumes = np.array([1, 1 / 3, 8 * np.sqrt(2) * 0.4**3]) * scale**3
    np.testing.assert_allclose(structure.volumes, volumes, rtol=1e-12)
    box = np.prod(np.ptp(np.concatenate([v for v, _ in mixed_grains(scale)]), axis=0))
    assert structure.volume == pytest.approx(box, rel=1e-12)
    assert structure.packing_fraction == pytest.approx(volumes.sum() / box, rel=1e-12)
    np.testing.assert_allclose(
        structure.centroids / scale, [(0, 0, 0), (2, 0, 0), (0, 3, 0)], rtol=0, atol=1e-12
    )
    # Padding sits where the field is harmless, at the centroid.
    padding = structure.weights == 0
    assert padding.any()
    grain, _ = np.nonzero(padding)
    np.testing.assert_array_equal(structure.particles[padding], structure.centroids[grain])


def test_particles_lie_at_their_depth():
    structure = Microstructure(mixed_grains(), depth=0.05)
    for grain, particles, weights in zip(
        structure.grains, structure.particles, structure.weights, strict=True
    ):
        foot = grain.vertices[[face[0] for face in grain.faces]]
        inward = -np.einsum("pfi,fi->pf", particles[:, None] - foot, grain.normals)
        nearest = inward[weights > 0].min(axis=1)
        assert (nearest > 0.05 - 1e-12).all()
        # All but the centroid are on the inset body's surface.
        np.testing.assert_allclose(np.sort(nearest)[:-1], 0.05, rtol=0, atol=1e-12)


def test_similar_grains_of_different_sizes_have_their_own_particles():
    # Equal up to a factor is not equal: the depth is the same in a big and in a small cube.
    structure = Microstructure(cubes((0, 0, 0)) + cubes((3, 0, 0), size=0.5), depth=0.1)
    reach = np.abs(structure.particles - structure.centroids[:, None]).max(axis=(1, 2))
    np.testing.assert_allclose(reach, [0.4, 0.15], rtol=1e-12)


def test_small_faces_vanish():
    # At depth 1 the squares of a truncated octahedron of edge 1 are gone: 6 + 12 + 8 + 1.
    body = oracles.truncated_octahedron()
    assert Microstructure([body], depth=0.1).particles.shape == (1, 75, 3)
    assert Microstructure([body], depth=1.0).particles.shape == (1, 27, 3)


def test_the_grain_that_is_emptied_is_named():
    grains = cubes((0, 0, 0), (2, 0, 0), (4, 0, 0)) + cubes((6, 0, 0), size=0.3)
    with pytest.raises(ValueError, match=r"grain 3 is too thin for its particles"):
        Microstructure(grains, depth=0.2)


def test_polyhedra_and_pairs():
    pairs = mixed_grains()
    polyhedra = [Polyhedron(*pair) for pair in pairs]
    for grains in (pairs, polyhedra, tuple(polyhedra), [polyhedra[0], *pairs[1:]]):
        structure = Microstructure(grains, depth=0.05)
        assert all(isinstance(grain, Polyhedron) for grain in structure.grains)
        np.testing.assert_array_equal(structure.volumes, [grain.volume for grain in polyhedra])


def test_given_volume():
    structure = Microstructure(cubes((0, 0, 0)), depth=0.1, volume=2.0)
    assert structure.volume == 2.0
    assert structure.packing_fraction == pytest.approx(0.5, rel=1e-12)
    for volume in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match=r"`volume` must be greater than 0"):
            Microstructure(cubes((0, 0, 0)), depth=0.1, volume=volume)
    with pytest.raises(ValueError, match=r"`volume` must hold the grains"):
        Microstructure(cubes((0, 0, 0)), depth=0.1, volume=0.9)


def test_given_particles_and_weights():
    particles = np.zeros((2, 3, 3))
    particles[1] += [2, 0, 0]
    particles[:, :, 2] = [0.1, 0.2, 0.3]
    grains = cubes((0, 0, 0), (2, 0, 0))
    structure = Microstructure(grains, particles=particles)
    np.testing.assert_array_equal(structure.particles, particles)
    np.testing.assert_allclose(structure.weights, 1 / 3, rtol=1e-15)
    structure = Microstructure(grains, particles=particles, weights=[[2, 1, 1], [3, 1, 0]])
    np.testing.assert_allclose(structure.weights, [[0.5, 0.25, 0.25], [0.75, 0.25, 0]])


def test_non_convex_grain_takes_given_particles():
    structure = Microstructure([oracles.l_prism()], particles=[[(-0.25, -0.25, 0)]])
    assert structure.packing_fraction == pytest.approx(0.75, rel=1e-12)


def test_corners_of_a_non_convex_grain_move_in_with_their_faces():
    [grain] = (structure := Microstructure([oracles.l_prism()], depth=0.05)).grains
    particles = structure.particles[0, : len(grain.vertices)]
    height = (particles - grain.centroid) @ grain.normals.T - grain.offsets
    for f, face in enumerate(grain.faces):
        np.testing.assert_allclose(height[list(face), f], -0.05, atol=1e-12)
    assert grain.contains(structure.particles[0], -0.999 * 0.025).all()


@pytest.mark.parametrize("bend", [1e-7, 1e-4, -1e-3, -0.02])
def test_a_slightly_bent_grain_has_nearly_the_particles_of_a_flat_one(bend):
    vertices, faces = oracles.cube()
    # The top has a corner in its middle, pushed out, or in.
    vertices = np.append(vertices, [[0, 0, 0.5 + bend]], axis=0)
    top = next(face for face in faces if (vertices[face, 2] == 0.5).all())
    faces = [face for face in faces if face is not top]
    faces += [[8, a, b] for a, b in zip(top, top[1:] + top[:1], strict=True)]
    bent = Microstructure([(vertices, faces)], depth=0.05)
    flat = cubic_grains((1, 1, 1), size=1.0, depth=0.05)
    distance = np.linalg.norm(flat.particles[0][:, None] - bent.particles[0], axis=-1)
    assert distance.min(axis=1).max() < 1.5 * abs(bend) + 1e-12


def test_a_non_convex_grain_that_is_too_thin():
    with pytest.raises(ValueError, match="grain 0 is too thin for its particles: `depth` must le"):
        Microstructure([oracles.l_prism()], depth=0.9)


def test_weights_for_embedded_particles():
    grains = mixed_grains()
    weights = Microstructure(grains, depth=0.05).weights * np.arange(1, 76)
    structure = Microstructure(grains, depth=0.05, weights=weights)
    np.testing.assert_allclose(structure.weights.sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(
        structure.weights, weights / weights.sum(axis=1, keepdims=True), rtol=1e-13
    )
    with pytest.raises(ValueError, match=r"`weights` must be 0 on padding; grain 0 has 27"):
        Microstructure(grains, depth=0.05, weights=np.ones((3, 75)))


def test_bad_particles_and_weights():
    grains = cubes((0, 0, 0), (2, 0, 0))
    with pytest.raises(
        ValueError, match=r"`particles` must have shape .* with g = 2; received \(3"
    ):
        Microstructure(grains, particles=np.zeros((3, 5, 3)))
    with pytest.raises(ValueError, match=r"`particles` must be finite"):
        Microstructure(grains, particles=np.full((2, 5, 3), np.nan))
    with pytest.raises(ValueError, match=r"`particles` must"):
        Microstructure(grains, particles=np.zeros((2, 0, 3)))
    particles = np.zeros((2, 5, 3))
    particles[1] += [2, 0, 0]
    with pytest.raises(ValueError, match=r"`weights` must have shape \(2, 5\)"):
        Microstructure(grains, particles=particles, weights=np.ones((2, 4)))
    for weights in (np.zeros((2, 5)), -np.ones((2, 5)), [[1] * 5, [0] * 5]):
        with pytest.raises(ValueError, match=r"`weights` must be non-negative"):
            Microstructure(grains, particles=particles, weights=weights)


def test_particle_outside_its_grain():
    # A moment is embedded in its own grain; anywhere else the indices are mixed up.
    with pytest.raises(ValueError, match=r"particle 1 of grain 0"):
        Microstructure(cubes((0, 0, 0)), particles=[[(0, 0, 0), (0, 0, 0.7)]])


def test_results_are_read_only():
    structure = cubic_grains((2, 1, 1))
    for same in (structure, copy.deepcopy(structure), pickle.loads(pickle.dumps(structure))):
        assert same.fingerprint == structure.fingerprint
        arrays = (same.particles, same.weights, same.volumes, same.centroids, same.bounds)
        for array in (*arrays, same.shape_class, same.grains[1].vertices):
            with pytest.raises(ValueError, match=r"read-only"):
                array[0] = 0.0


def test_particles_and_volumes_rounded_to_32_bits():
    # As files hold them: tenths are no numbers of 32 bits. The boxes touch, and fill `volume`.
    grains = [
        oracles.moved(
            oracles.moved(oracles.prism(0.1, 0.3, 0.7), shift=(0.1 * k, 0, 0)),
            rotation=TILT,
            shift=(0.7, 0.3, 0.9),
        )
        for k in range(8)
    ]
    volume = 8 * 0.1 * 0.3 * 0.7
    corners = np.array([vertices for vertices, _ in grains], np.float32)
    assert Microstructure(grains, particles=corners).particles.shape == (8, 8, 3)
    larger = [(vertices * (1 + 1e-8), faces) for vertices, faces in grains]
    assert len(Microstructure(larger, depth=0.0, volume=volume)) == 8
    with pytest.raises(ValueError, match="`volume` must hold the grains"):
        Microstructure(grains, depth=0.0, volume=volume * (1 - 1e-3))


def test_input_is_left_alone():
    grains = cubes((0, 0, 0))
    particles, weights = np.zeros((1, 2, 3)), np.ones((1, 2))
    structure = Microstructure(grains, particles=particles, weights=weights)
    particles += 0.1
    weights[0, 0] = 5
    grains[0][0][:] = 9.0
    assert not structure.particles.any()
    np.testing.assert_array_equal(structure.weights, [[0.5, 0.5]])
    assert structure.grains[0].vertices.max() == 0.5


# ---------------------------------------------------------------------------------------------
# Overlap
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("rotation", [np.eye(3), TILT])
def test_touching_grains_are_fine(rotation, scale):
    shifts = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 1), (0.5, 0.5, -1)])
    grains = [
        oracles.moved(oracles.moved(oracles.cube(), shift=shift), rotation=rotation, scale=scale)
        for shift in shifts
    ]
    assert len(Microstructure(grains, depth=0.1 * scale)) == 5


def test_truncated_octahedra_fill_space():
    # The bcc lattice: hexagons and squares meet; all of their bounding boxes overlap.
    pitch = 2 * np.sqrt(2)
    cells = np.stack(np.meshgrid(*[np.arange(2)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    shifts = np.concatenate([cells, cells + 0.5]) * pitch
    grains = [
        oracles.moved(oracles.moved(oracles.truncated_octahedron(), shift=shift), rotation=TILT)
        for shift in shifts
    ]
    structure = Microstructure(grains, depth=0.1)
    np.testing.assert_allclose(structure.volumes, pitch**3 / 2, rtol=1e-12)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("seed", [0, 1])
def test_voronoi_cells_fill_a_cube(seed, scale):
    # A polycrystal without gaps: faces of all sizes, every bounding box overlapping others.
    cells = [oracles.moved(cell, scale=scale) for cell in oracles.voronoi_cells(seed, count=20)]
    structure = Microstructure(cells, depth=0.005 * scale)
    assert structure.volume == pytest.approx(scale**3, rel=1e-9)
    assert structure.packing_fraction == pytest.approx(1, rel=1e-9)
    np.testing.assert_allclose(structure.weights.sum(axis=1), 1, rtol=1e-14)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("shift", [(0, 0, 0), (0.5, 0.5, 0.5), (0.999, 0, 0), (0.99, 0.99, -0.99)])
def test_overlapping_cubes(shift, scale):
    grains = [
        oracles.moved(body, rotation=TILT, scale=scale)
        for body in cubes((5, 0, 0), (0, 0, 0), shift)
    ]
    with pytest.raises(ValueError, match=r"`grains` must not overlap; grains 1 and 2 do"):
        Microstructure(grains, depth=0.1 * scale)


def test_overlap_without_corners_inside():
    # A cross of two bars, and a grain within a grain: no vertex of one need be in the other.
    bars = [oracles.prism(3, 1, 1), oracles.prism(1, 3, 0.9)]
    with pytest.raises(ValueError, match=r"grains 0 and 1 do"):
        Microstructure(bars, depth=0.1)
    with pytest.raises(ValueError, match=r"grains 0 and 1 do"):
        Microstructure(cubes((0, 0, 0)) + cubes((0.1, 0.1, 0.1), size=0.3), depth=0.05)


def test_edges_that_cross_in_passing():
    # Only the cross product of two edges parts these; no face of either does.
    roof = oracles.moved(
        oracles.prism(1, 1, 4),
        rotation=Rotation.from_euler("zx", [45, 90], degrees=True).as_matrix(),
    )
    across = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    beam = oracles.moved(roof, rotation=across)
    touch = np.sqrt(2)
    apart = oracles.moved(beam, shift=(0, 0, touch + 1e-6))
    assert len(Microstructure([roof, apart], depth=0.1)) == 2
    with pytest.raises(ValueError, match=r"grains 0 and 1 do"):
        Microstructure([roof, oracles.moved(beam, shift=(0, 0, touch - 1e-3))], depth=0.1)


def test_a_grain_in_the_notch_of_another():
    # Only their hulls overlap.
    quarter = oracles.moved(oracles.prism(0.5, 0.5, 1.0), shift=(0.25, 0.25, 0))
    particles = [[(-0.25, -0.25, 0)], [(0.25, 0.25, 0)]]
    assert len(Microstructure([oracles.l_prism(), quarter], particles=particles)) == 2
    with pytest.raises(ValueError, match=r"grains 0 and 1 do"):
        Microstructure(
            [oracles.l_prism(), oracles.moved(quarter, shift=(-0.1, 0, 0))], particles=particles
        )


def test_a_rod_through_an_arm_of_a_non_convex_grain():
    rod = oracles.moved(oracles.prism(0.1, 0.1, 5.0), shift=(-0.3, 0.2, 1.0))
    particles = [[(-0.25, -0.25, 0)], [(-0.3, 0.2, 2.0)]]
    with pytest.raises(ValueError, match=r"grains 0 and 1 do"):
        Microstructure([oracles.l_prism(), rod], particles=particles)


@property_test
@given(
    st.integers(min_value=0, max_value=2**32 - 1),
    st.floats(min_value=1e-6, max_value=0.5),
)
def test_hulls_on_either_side_of_a_plane(seed, gap):
    rng = np.random.default_rng(seed)
    a, b = oracles.random_convex_hull(seed), oracles.random_convex_hull(seed + 1)
    rotation = Rotation.random(None, rng).as_matrix()
    a = oracles.moved(a, shift=(0, 0, -a[0][:, 2].max() - gap / 2))
    b = oracles.moved(b, shift=(0, 0, -b[0][:, 2].min() + gap / 2))
    apart = [oracles.moved(body, rotation=rotation, scale=1e-7) for body in (a, b)]
    assert len(Microstructure(apart, scheme=("centroid",), depth=0.0)) == 2
    centre = apart[0][0].mean(axis=0) - apart[1][0].mean(axis=0)
    with pytest.raises(ValueError, match=r"grains 0 and 1 do"):
        Microstructure(
            [apart[0], oracles.moved(apart[1], shift=centre)], scheme=("centroid",), depth=0.0
        )


def test_bad_grains():
    with pytest.raises(ValueError, match=r"`grains` must hold at least one grain"):
        Microstructure([])
    vertices, faces = oracles.moved(oracles.cube(), shift=(3, 0, 0))
    good = oracles.cube()
    broken = vertices.copy()
    broken[0, 0] = np.nan
    for bad, words in (
        ((vertices, faces[1:]), "close"),
        ((vertices, [face[::-1] for face in faces]), "inside out"),
        ((broken, faces), "finite"),
        ((vertices,), "polyhedron"),
        ("cube", "polyhedron"),
        (7, "polyhedron"),
    ):
        with pytest.raises(ValueError, match=rf"grain 1 .*{words}"):
            Microstructure([good, bad])


def horseshoe():
    """Return a prism, open at the top between two arms, whose flat ends are not convex."""
    outline = np.array([(0, 0), (3, 0), (3, 3), (2, 3), (2, 1), (1, 1), (1, 3), (0, 3)], float)
    n = len(outline)
    vertices = np.concatenate([np.column_stack([outline, np.full(n, z)]) for z in (0.0, 1.0)])
    faces = [list(range(n))[::-1], list(range(n, 2 * n))]
    faces += [[i, (i + 1) % n, n + (i + 1) % n, n + i] for i in range(n)]
    return vertices, faces


@pytest.mark.parametrize(("low", "welcome"), [(1.2, True), (0.8, False)])
def test_a_box_in_the_slot_of_a_horseshoe(low, welcome):
    box = oracles.moved(oracles.prism(0.6, 3 - low, 0.6), shift=np.array([1.5, (3 + low) / 2, 0.5]))
    if welcome:
        structure = Microstructure([horseshoe(), box], depth=0.05)
        assert structure.grains[0].volume == pytest.approx(7)
    else:
        with pytest.raises(ValueError, match="grains 0 and 1 do"):
            Microstructure([horseshoe(), box], depth=0.05)


def test_faces_that_are_not_convex_are_covered_once():
    grain = Microstructure([horseshoe()], depth=0.05).grains[0]
    a, b, c = np.moveaxis(grain.vertices[grain.surface], 1, 0)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2
    assert area == pytest.approx(2 * 7 + 16)
