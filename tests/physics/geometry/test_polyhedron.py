"""Who must agree with whom.

=====================================  ====================================================
`Polyhedron`                           held to
=====================================  ====================================================
volume, centroid                       the textbook; signed tetrahedra; their rotation,
                                       translation and scale
edges, faces, vertices                 Euler: v - e + f = 2
normals                                away from the centroid, where the body is convex
`inset` of a cube and of a truncated   the textbook, through the vanishing of the squares
octahedron
`inset` of any convex body             every face `depth` nearer; two steps make one
bad input                              one sentence that names what is wrong
=====================================  ====================================================
"""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from keras_micromag.physics import Polyhedron
from tests import oracles

TILT = Rotation.from_rotvec([0.3, -0.5, 0.7]).as_matrix()
BODIES = {
    "cube": oracles.cube(),
    "prism": oracles.prism(1.0, 0.7, 0.3),
    "tetrahedron": oracles.tetrahedron(),
    "truncated octahedron": oracles.truncated_octahedron(),
    "L": oracles.l_prism(),
    "hull": oracles.random_convex_hull(seed=3),
}
VOLUMES = {
    "cube": 1.0,
    "prism": 0.21,
    "tetrahedron": 1 / 3,
    "truncated octahedron": 8 * np.sqrt(2),
    "L": 0.75,
}
SCALES = (1e-9, 1.0, 1e9)

property_test = settings(max_examples=15, deadline=None, derandomize=True, database=None)
seeds = st.integers(min_value=0, max_value=2**32 - 1)


@pytest.fixture(params=BODIES)
def body(request):
    return BODIES[request.param]


@pytest.mark.parametrize("name", VOLUMES)
@pytest.mark.parametrize("scale", SCALES)
def test_volume(name, scale):
    grain = Polyhedron(*oracles.moved(BODIES[name], scale=scale, rotation=TILT))
    assert grain.volume == pytest.approx(VOLUMES[name] * scale**3, rel=1e-13)


@pytest.mark.parametrize("scale", SCALES)
def test_volume_and_centroid(body, scale):
    moved = oracles.moved(body, scale=scale, rotation=TILT, shift=np.array([5, -7, 9]) * scale)
    grain = Polyhedron(*moved)
    volume, centroid = oracles.volume_and_centroid(*moved)
    assert grain.volume == pytest.approx(volume, rel=1e-12)
    np.testing.assert_allclose(grain.centroid, centroid, rtol=0, atol=1e-13 * scale)
    # A pyramid over each face, with the centroid as its tip.
    assert (grain.areas * grain.offsets).sum() / 3 == pytest.approx(volume, rel=1e-11)


def test_volume_far_from_the_origin():
    # 1e6 sizes away the coordinates keep ten digits; so must the volume.
    grain = Polyhedron(*oracles.moved(oracles.cube(), rotation=TILT, shift=(1e6, -2e6, 3e6)))
    assert grain.volume == pytest.approx(1, rel=1e-8)
    np.testing.assert_allclose(grain.centroid, (1e6, -2e6, 3e6), rtol=0, atol=1e-8)


def test_counts(body):
    vertices, faces = body
    grain = Polyhedron(vertices, faces)
    assert grain.edges.shape == (sum(map(len, faces)) // 2, 2)
    assert len({tuple(sorted(edge)) for edge in grain.edges.tolist()}) == len(grain.edges)
    assert len(grain.vertices) - len(grain.edges) + len(grain.faces) == 2
    assert grain.normals.shape == (len(faces), 3)


def test_normals(body):
    grain = Polyhedron(*body)
    np.testing.assert_allclose(np.linalg.norm(grain.normals, axis=1), 1, rtol=0, atol=1e-15)
    for face, normal in zip(grain.faces, grain.normals, strict=True):
        spokes = grain.vertices[list(face)] - grain.vertices[face[0]]
        np.testing.assert_allclose(spokes @ normal, 0, rtol=0, atol=1e-14)
        if grain.is_convex:
            assert (grain.vertices[face[0]] - grain.centroid) @ normal > 0


def test_a_reentrant_face_knows_its_outside():
    # The outline of the L's ends turns both ways; the mean of its corners' turns decides.
    grain = Polyhedron(*oracles.l_prism())
    np.testing.assert_allclose(grain.normals[:2], [[0, 0, -1], [0, 0, 1]], rtol=0, atol=1e-15)


def test_is_convex(body):
    assert Polyhedron(*body).is_convex == (body is not BODIES["L"])


@pytest.mark.parametrize("scale", SCALES)
def test_is_convex_at_every_scale(scale):
    assert Polyhedron(*oracles.moved(BODIES["hull"], scale=scale, rotation=TILT)).is_convex
    assert not Polyhedron(*oracles.moved(BODIES["L"], scale=scale, rotation=TILT)).is_convex


def test_input_is_copied():
    vertices, faces = oracles.cube()
    grain = Polyhedron(vertices, faces)
    vertices[0] += 1.0  # the caller's array stays the caller's
    np.testing.assert_array_equal(grain.vertices, oracles.cube()[0])
    with pytest.raises(ValueError, match=r"read-only"):
        grain.vertices[0] = 0.0


@pytest.mark.parametrize("rotation", [np.eye(3), TILT])
def test_points_in_the_plane_of_a_reentrant_face(rotation):
    # They lie in the notch of the L, from whichever corner its faces begin.
    vertices, faces = oracles.moved(BODIES["L"], rotation=rotation)
    points = np.array([(x, y, z) for x in (0.1, 0.4) for y in (0.1, 0.3) for z in (-0.5, 0.5)])
    for first in range(6):
        body = Polyhedron(vertices, [np.roll(face, first) for face in faces])
        assert not body.contains(points @ rotation.T).any()
        assert not body.contains(points @ rotation.T, -1e-9).any()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_are_read_only(copied):
    grain = Polyhedron(*BODIES["L"])
    for body in (grain, copied(grain)):
        assert body.faces == grain.faces
        names = ("vertices", "edges", "edge_faces", "normals", "centroid")
        for name in (*names, "triangles", "surface", "offsets"):
            np.testing.assert_array_equal(getattr(body, name), getattr(grain, name))
            with pytest.raises(ValueError, match="read-only"):
                getattr(body, name)[0] = 0


def test_points_near_edges():
    # No face lies across from a point inside near the reentrant edge of the L, which is along z
    # through the origin, nor from one outside near another edge.
    body = Polyhedron(*BODIES["L"])
    points = np.array([(-0.003, -0.004, 0.1), (-0.503, -0.504, 0.1)])
    inside = np.array([True, False])
    np.testing.assert_array_equal(body.contains(points), inside)
    for margin, near in ((0.004, False), (0.006, True)):
        np.testing.assert_array_equal(body.contains(points, margin), inside | near)
        np.testing.assert_array_equal(body.contains(points, -margin), inside & (not near))


def test_other_sequences():
    vertices, faces = oracles.tetrahedron()
    grain = Polyhedron(vertices.tolist(), np.array(faces))
    assert grain.volume == pytest.approx(1 / 3)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("rotation", [np.eye(3), TILT])
@pytest.mark.parametrize("depth", [0.0, 1e-6, 0.05, 0.4, 0.4999])
def test_inset_of_a_cube(depth, rotation, scale):
    shift = np.array([2.0, 3.0, -1.0]) * scale
    grain = Polyhedron(*oracles.moved(oracles.cube(), rotation=rotation, scale=scale, shift=shift))
    inner = grain.inset(depth * scale)
    assert (len(inner.vertices), len(inner.edges), len(inner.faces)) == (8, 12, 6)
    assert inner.volume == pytest.approx(((1 - 2 * depth) * scale) ** 3, rel=1e-10)
    np.testing.assert_allclose(inner.centroid, grain.centroid, rtol=0, atol=1e-14 * scale)
    corners = grain.centroid + (1 - 2 * depth) * (grain.vertices - grain.centroid)
    distance = np.linalg.norm(inner.vertices[:, None] - corners, axis=-1).min(axis=1)
    np.testing.assert_allclose(distance, 0, rtol=0, atol=1e-13 * scale)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("depth", [0.1, 0.5, 0.95, 0.98, 1.2])
def test_inset_of_a_truncated_octahedron(depth, scale):
    # |x| + |y| + |z| <= k and |x|, |y|, |z| <= m: an octahedron less six pyramids of height k - m.
    k, m = np.sqrt(4.5) - np.sqrt(3) * depth, np.sqrt(2) - depth
    body = oracles.moved(oracles.truncated_octahedron(), rotation=TILT, scale=scale)
    inner = Polyhedron(*body).inset(depth * scale)
    counts = len(inner.vertices), len(inner.edges), len(inner.faces)
    assert counts == ((24, 36, 14) if k > m else (6, 12, 8))  # the squares go where k = m
    volume = (4 / 3 * k**3 - 4 * max(k - m, 0) ** 3) * scale**3
    assert inner.volume == pytest.approx(volume, rel=1e-10)


@property_test
@given(seeds, st.floats(min_value=0.01, max_value=0.8))
def test_inset_moves_every_face(seed, share):
    grain = Polyhedron(*oracles.random_convex_hull(seed))
    height = np.array(
        [
            (grain.vertices[face[0]] - grain.centroid) @ normal
            for face, normal in zip(grain.faces, grain.normals, strict=True)
        ]
    )
    depth = share * height.min()  # the centroid stays inside
    inner = grain.inset(depth)
    reach = ((inner.vertices - grain.centroid) @ grain.normals.T).max(axis=0)
    assert (reach <= height - depth + 1e-9).all()
    assert inner.is_convex
    # Its faces are among the old ones, and lie `depth` further in.
    for face, normal in zip(inner.faces, inner.normals, strict=True):
        old = np.argmax(grain.normals @ normal)
        assert grain.normals[old] @ normal == pytest.approx(1, abs=1e-6)
        assert (inner.vertices[face[0]] - grain.centroid) @ grain.normals[old] == pytest.approx(
            height[old] - depth, abs=1e-8
        )
    twice = grain.inset(depth / 2).inset(depth / 2)
    assert twice.volume == pytest.approx(inner.volume, rel=1e-7)
    # Steiner: to first order the volume falls by depth times the surface.
    thin = 1e-3 * depth
    lost = (grain.volume - grain.inset(thin).volume) / thin
    area = [
        np.linalg.norm(np.cross(b - a, c - a)) / 2
        for a, b, c in (grain.vertices[list(face)] for face in oracles.fan(grain.faces))
    ]
    assert lost == pytest.approx(sum(area), rel=1e-2)


@pytest.mark.parametrize("depth", [1e-8, 1e-6, 1e-4, 1e-2])
@pytest.mark.parametrize("seed", range(6))
def test_thin_inset(seed, depth):
    # Where more than three faces meet, a corner splits into several that are close together.
    grain = Polyhedron(*oracles.random_convex_hull(seed))
    inner = grain.inset(depth)
    assert inner.is_convex
    assert 0 < grain.volume - inner.volume < depth * np.pi  # the surface of the ball around it


def test_inset_order_does_not_hang_on_rounding():
    # Particles are distinguished by their index, so equal grains must have equal orders.
    reference = Polyhedron(*oracles.cube()).inset(0.05).vertices
    rng = np.random.default_rng(0)
    for scale in [1e-9, 50e-9, 1e9, *10 ** rng.uniform(-9, 9, size=10)]:
        shift = rng.uniform(-3, 3, size=3) * scale
        grain = Polyhedron(*oracles.moved(oracles.cube(), scale=scale, shift=shift))
        actual = (grain.inset(0.05 * scale).vertices - shift) / scale
        np.testing.assert_allclose(actual, reference, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("name", "radius"), [("cube", 0.5), ("truncated octahedron", 1.5**0.5)])
def test_inset_that_leaves_nothing(name, radius, scale):
    grain = Polyhedron(*oracles.moved(BODIES[name], scale=scale, rotation=TILT))
    for depth in (radius, 1.001 * radius, 30 * radius):
        with pytest.raises(ValueError, match=r"`depth` must leave something of the polyhedron"):
            grain.inset(depth * scale)
    assert grain.inset(0.999 * radius * scale).volume > 0


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ["cube", "truncated octahedron"])
def test_inset_by_a_share_of_the_distance_from_the_centroid(name, scale):
    grain = Polyhedron(*oracles.moved(BODIES[name], scale=scale, rotation=TILT))
    # At any depth a tenth is left; where no face is so near, nothing changes.
    inner = grain.inset(30 * scale, at_most=0.9)
    assert len(inner.faces) == len(grain.faces)
    assert inner.volume == pytest.approx(1e-3 * grain.volume, rel=1e-9)
    np.testing.assert_array_equal(
        grain.inset(0.2 * scale, at_most=0.9).vertices, grain.inset(0.2 * scale).vertices
    )


def test_inset_moves_near_faces_less():
    vertices, faces = oracles.cube()
    plate = Polyhedron(np.array(vertices) * [1, 1, 0.2], faces)
    inner = plate.inset(0.25, at_most=0.5)
    np.testing.assert_allclose(np.ptp(inner.vertices, axis=0), [0.5, 0.5, 0.1], rtol=1e-12)


def test_bad_inset():
    grain = Polyhedron(*oracles.cube())
    for depth in (-0.1, np.nan, np.inf, "deep"):
        with pytest.raises(ValueError, match=r"`depth` must be"):
            grain.inset(depth)
    with pytest.raises(ValueError, match=r"convex"):
        Polyhedron(*oracles.l_prism()).inset(0.1)


def flat_cube(height):
    """A cube with a corner of its upper face lifted: two faces bend."""
    vertices, faces = oracles.cube()
    vertices[7, 2] += height
    return vertices, faces


def test_bad_vertices():
    vertices, faces = oracles.cube()
    for bad in (np.nan, np.inf):
        broken = vertices.copy()
        broken[2, 1] = bad
        with pytest.raises(ValueError, match=r"`vertices` must be finite; .* at index \(2, 1\)"):
            Polyhedron(broken, faces)
    with pytest.raises(ValueError, match=r"`vertices` must have shape \(n, 3\); received \(8, 2\)"):
        Polyhedron(vertices[:, :2], faces)
    with pytest.raises(ValueError, match=r"`vertices` must have shape \(n, 3\); received \(24,\)"):
        Polyhedron(vertices.ravel(), faces)
    with pytest.raises(ValueError, match=r"`vertices` must be an array of numbers"):
        Polyhedron([["a", "b", "c"]] * 8, faces)


@pytest.mark.parametrize("missing", range(6))
def test_open(missing):
    vertices, faces = oracles.cube()
    with pytest.raises(ValueError, match=r"`faces` must close the polyhedron"):
        Polyhedron(vertices, faces[:missing] + faces[missing + 1 :])


@pytest.mark.parametrize("scale", SCALES)
def test_inside_out(body, scale):
    vertices, faces = oracles.moved(body, scale=scale)
    with pytest.raises(ValueError, match=r"inside out"):
        Polyhedron(vertices, [face[::-1] for face in faces])


def test_one_face_turned():
    vertices, faces = oracles.cube()
    with pytest.raises(
        ValueError, match=r"`faces` must run along each edge once in each direction"
    ):
        Polyhedron(vertices, [faces[0][::-1], *faces[1:]])


@pytest.mark.parametrize("scale", SCALES)
def test_non_planar(scale):
    with pytest.raises(ValueError, match=r"`faces` must be flat"):
        Polyhedron(*oracles.moved(flat_cube(1e-3), scale=scale))
    vertices, faces = oracles.moved(flat_cube(1e-3), scale=scale)
    assert Polyhedron(vertices, oracles.fan(faces)).volume > scale**3  # triangles cannot bend


def test_bad_faces():
    vertices, faces = oracles.cube()
    with pytest.raises(ValueError, match=r"`faces` must hold at least 4 faces; received 0"):
        Polyhedron(vertices, [])
    with pytest.raises(ValueError, match=r"at least 3 different vertices; face 0"):
        Polyhedron(vertices, [[0, 1], *faces[1:]])
    with pytest.raises(ValueError, match=r"at least 3 different vertices; face 5"):
        Polyhedron(vertices, [*faces[:5], [1, 5, 5, 3]])
    for index in (8, -1):
        with pytest.raises(ValueError, match=r"`faces` must index the 8 vertices from 0"):
            Polyhedron(vertices, [*faces[:5], [1, 5, index, 3]])
    for other in (6.5, "6", None, 6j):
        with pytest.raises(ValueError, match="`faces` must be sequences of vertex indices; recei"):
            Polyhedron(vertices, [*faces[:5], [1, 5, other, 3]])


@pytest.mark.parametrize("scale", SCALES)
def test_degenerate(scale):
    vertices, faces = oracles.moved(oracles.cube(), scale=scale)
    with pytest.raises(ValueError, match=r"`(faces|vertices)` must"):
        Polyhedron(vertices * [1, 1, 0], faces)  # flat
    doubled = vertices.copy()
    doubled[1] = doubled[0]
    with pytest.raises(ValueError, match=r"`vertices` must differ; vertices 0 and 1 coincide"):
        Polyhedron(doubled, faces)
    with pytest.raises(ValueError, match=r"`(faces|vertices)` must"):
        Polyhedron(vertices * 0, faces)
    triangle = vertices[[0, 1, 2]]
    with pytest.raises(ValueError, match=r"`faces` must"):
        Polyhedron(triangle, [[0, 1, 2], [0, 2, 1]])  # two sides of one sheet
