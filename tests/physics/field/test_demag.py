"""Who must agree with whom, and how closely (in units of Ms unless it says relative).

=====================================  ====================================================
`demag_tensor`                         held to
=====================================  ====================================================
inside, and 1e-4 of the size from a    50 digits, 1e-12
face
1e-3 of the size from an edge, and     50 digits, 1e-11
from a vertex
1e-6 of the size from an edge, and     50 digits, 1e-9
from a vertex
10 sizes away                          50 digits, relative 1e-9
100 sizes away                         50 digits, relative 1e-8
all of these                           at length scales 1e-9 to 1e9, and off the origin
a rectangular prism                    magpylib's Cuboid, and Aharoni's volume mean
a tetrahedron                          magpylib's Tetrahedron
any body                               quadrature of Eq. 4, which knows no closed form
a cube                                 -1/3 at the centre and in the volume mean
trace                                  -1 inside, 0 outside
a body cut in two                      the sum of its parts
the mean field of A in B, times B      that of B in A, times A: reciprocity
triangles                              the polygons that they make up
rotation, translation, scale           covariance
=====================================  ====================================================

=====================================  ====================================================
`demag_matrix`                         held to
=====================================  ====================================================
every block, any structure             `demag_tensor` of the source grain, 1e-12
a lattice, whose offsets repeat        the same, without knowledge of the lattice
a grain's block on itself              0 unless asked for
padding                                0
its memory                             tracemalloc: a few times the result
=====================================  ====================================================

The tensors are of order 1 near and inside a body, so absolute bounds are digits; the bounds grow
towards an edge because the field's slope there is 1 / distance, and no formula can return what the
rounding of its input has lost. Bodies are tilted, so that no zero of theirs is an exact one.
"""

import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from keras_micromag.physics import Microstructure, cubic_grains, demag_matrix, demag_tensor
from tests import oracles

TILT = Rotation.from_rotvec([0.3, -0.5, 0.7]).as_matrix()
BODIES = {
    "cube": oracles.cube(),
    "tilted prism": oracles.moved(oracles.prism(1.0, 0.7, 0.3), rotation=TILT),
    "tetrahedron": oracles.tetrahedron(),
    "truncated octahedron": oracles.moved(oracles.truncated_octahedron(0.4), rotation=TILT),
    "L": oracles.moved(oracles.l_prism(), rotation=TILT),
    "hull": oracles.random_convex_hull(seed=3),
    # Triangles: a polygon's corners rounded at 300 sizes from the origin are not in a plane.
    "far from the origin": oracles.moved(
        oracles.random_convex_hull(seed=5), shift=(300.0, -200.0, 100.0)
    ),
}
SCALES = (1e-9, 1e-3, 1e4, 1e9)

property_test = settings(max_examples=15, deadline=None, derandomize=True, database=None)
seeds = st.integers(min_value=0, max_value=2**32 - 1)


@pytest.fixture(params=BODIES)
def body(request):
    return BODIES[request.param]


def size_of(body):
    return np.ptp(body[0], axis=0).max()


def unit_vectors(rng, n):
    directions = rng.normal(size=(n, 3))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def points_inside(body, n=6):
    """Points in the tetrahedra under the faces' triangles: everywhere, edges excepted."""
    vertices, faces = body
    rng = np.random.default_rng(0)
    _, centroid = oracles.volume_and_centroid(vertices, faces)
    triangles = oracles.fan(faces)
    chosen = rng.integers(len(triangles), size=n)
    corners = np.array([[vertices[i] for i in triangles[t]] for t in chosen])
    share = rng.dirichlet([4.0, 4.0, 4.0, 4.0], size=n)
    points = np.einsum("nk,nki->ni", share[:, :3], corners) + share[:, 3:] * centroid
    return np.concatenate([centroid[None], points])


def points_near_faces(body, distance, n=12):
    """Points `distance` of the size on either side of the faces.

    One over the middle of each face, where the diagonals of a fan may cross although the body has
    no edge there, and one over the inside of a triangle.
    """
    vertices, faces = body
    rng = np.random.default_rng(1)
    feet, normals = [], []
    for f in rng.permutation(len(faces))[: n // 2]:
        corners = vertices[faces[f]]
        inside = rng.dirichlet([6.0, 6.0, 6.0]) @ corners[[0, 1, 2]]
        normal = np.cross(corners[1] - corners[0], corners[2] - corners[1])
        middle = corners if len(corners) == 3 else corners[[0, len(corners) // 2]]
        feet += [middle.mean(axis=0), inside]
        normals += [normal, normal]
    normals = np.array(normals) * rng.choice([-1, 1], size=(len(feet), 1))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return feet + distance * size_of(body) * normals


def points_near_edges(body, distance, n=12):
    """Points `distance` of the size from edges, in any direction across them."""
    vertices, faces = body
    rng = np.random.default_rng(2)
    edges = edges_of(faces)
    chosen = edges[rng.choice(len(edges), size=min(n, len(edges)), replace=False)]
    start, end = vertices[chosen[:, 0]], vertices[chosen[:, 1]]
    across = np.cross(end - start, unit_vectors(rng, len(chosen)))
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    share = rng.uniform(0.05, 0.95, size=(len(chosen), 1))
    return start + share * (end - start) + distance * size_of(body) * across


def points_near_vertices(body, distance, n=8):
    """Points `distance` of the size from vertices, in any direction."""
    vertices, _ = body
    rng = np.random.default_rng(3)
    chosen = rng.choice(len(vertices), size=min(n, len(vertices)), replace=False)
    return vertices[chosen] + distance * size_of(body) * unit_vectors(rng, len(chosen))


def points_on_extensions(body, n=6):
    """Points on the lines that edges lie on, beyond their ends."""
    vertices, faces = body
    rng = np.random.default_rng(4)
    edges = edges_of(faces)
    chosen = edges[rng.choice(len(edges), size=min(n, len(edges)), replace=False)]
    start, end = vertices[chosen[:, 0]], vertices[chosen[:, 1]]
    return end + 4.0 * (end - start)


def points_away(body, sizes, n=6):
    """Points at `sizes` times the size from the centroid, in all directions and along the axes."""
    rng = np.random.default_rng(5)
    directions = np.concatenate([np.eye(3)[:2], unit_vectors(rng, n - 2)])
    return oracles.volume_and_centroid(*body)[1] + sizes * size_of(body) * directions


def edges_of(faces):
    return np.array(sorted({tuple(sorted((f[i - 1], f[i]))) for f in faces for i in range(len(f))}))


def worst_error(points, body, *, relative=False):
    """Largest deviation of an element from the extended-precision tensor."""
    exact = np.array([oracles.demag_tensor_mp(point, *body) for point in points])
    error = np.abs(demag_tensor(points, *body) - exact).max(axis=(1, 2))
    return (error / np.abs(exact).max(axis=(1, 2)) if relative else error).max()


# Points, how they are made, the bound, and whether it is relative: the table.
ROWS = {
    "inside": (points_inside, (), 1e-12, False),
    "1e-4 from a face": (points_near_faces, (1e-4,), 1e-12, False),
    "1e-3 from an edge": (points_near_edges, (1e-3,), 1e-11, False),
    "1e-3 from a vertex": (points_near_vertices, (1e-3,), 1e-11, False),
    "1e-6 from an edge": (points_near_edges, (1e-6,), 1e-9, False),
    "1e-6 from a vertex": (points_near_vertices, (1e-6,), 1e-9, False),
    "on an edge's extension": (points_on_extensions, (), 1e-12, False),
    "10 sizes away": (points_away, (10.0,), 1e-9, True),
    "100 sizes away": (points_away, (100.0,), 1e-8, True),
}


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS)
def test_extended_precision(body, row):
    points, arguments, bound, relative = ROWS[row]
    assert worst_error(points(body, *arguments), body, relative=relative) <= bound


@pytest.mark.slow
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("row", ROWS)
def test_extended_precision_at_every_scale(row, scale):
    points, arguments, bound, relative = ROWS[row]
    scaled = oracles.moved(BODIES["truncated octahedron"], scale=scale)
    assert worst_error(points(scaled, *arguments, n=4), scaled, relative=relative) <= bound


@pytest.mark.slow
def test_quadrature(body):
    centroid = oracles.volume_and_centroid(*body)[1]
    directions = unit_vectors(np.random.default_rng(6), 4)
    points = np.concatenate([centroid[None], centroid + 0.9 * size_of(body) * directions])
    exact = oracles.demag_tensor_quadrature(points, *body, levels=4)
    # 1e-10: what 6,400 points on each triangle of up to half the size give nearest to a face.
    np.testing.assert_allclose(demag_tensor(points, *body), exact, rtol=0, atol=1e-10)


def field_tensor(magnet, points):
    """H / M of a magpylib magnet, (n, 3, 3), from its fields for M along x, y and z."""
    columns = []
    for magnetization in np.eye(3) * 1e6:
        magnet.magnetization = magnetization
        columns.append(magnet.getH(points) / 1e6)
    return np.stack(columns, axis=-1)


def test_magpylib_cuboid():
    magpylib = pytest.importorskip("magpylib")
    dimension = (1.0, 0.7, 0.3)
    vertices, faces = oracles.prism(*dimension)
    rng = np.random.default_rng(7)
    points = np.concatenate(
        [rng.uniform(-0.49, 0.49, size=(50, 3)) * dimension, rng.uniform(-2, 2, size=(50, 3))]
    )
    peer = field_tensor(magpylib.magnet.Cuboid(dimension=dimension), points)
    # magpylib's cuboid loses digits near its edges' extensions; 1e-11 is its accuracy here.
    np.testing.assert_allclose(demag_tensor(points, vertices, faces), peer, rtol=0, atol=1e-11)


def test_magpylib_tetrahedron():
    magpylib = pytest.importorskip("magpylib")
    vertices, faces = oracles.moved(oracles.tetrahedron(), rotation=TILT)
    rng = np.random.default_rng(8)
    inside = rng.dirichlet([2.0] * 4, size=50) @ vertices
    points = np.concatenate([inside, rng.uniform(-2, 2, size=(50, 3))])
    peer = field_tensor(magpylib.magnet.Tetrahedron(vertices=vertices), points)
    # The peer's formula cancels near an edge: 1e-10 is what it holds at these points.
    np.testing.assert_allclose(demag_tensor(points, vertices, faces), peer, rtol=0, atol=1e-10)


def test_cube_centre():
    for body in (oracles.cube(), oracles.moved(oracles.cube(50e-9), rotation=TILT)):
        centre = demag_tensor((0.0, 0.0, 0.0), *body)
        np.testing.assert_allclose(centre, -np.eye(3) / 3, rtol=0, atol=1e-15)


def test_cube_volume_mean():
    mean = oracles.mean_over_prism(lambda x: demag_tensor(x, *oracles.cube()), 1.0, 1.0, 1.0)
    # The quadrature's error, at the logarithm along the edges.
    np.testing.assert_allclose(mean, -np.eye(3) / 3, rtol=0, atol=1e-8)


@pytest.mark.parametrize("edges", [(1.0, 1.0, 1.0), (1.0, 2.0, 3.0), (1.0, 0.5, 0.2)])
def test_aharoni_prism(edges):
    a, b, c = edges
    expected = [oracles.prism_demagnetizing_factor(*p) for p in [(b, c, a), (c, a, b), (a, b, c)]]
    assert sum(expected) == pytest.approx(1, abs=1e-12)
    mean = oracles.mean_over_prism(lambda x: demag_tensor(x, *oracles.prism(*edges)), *edges)
    np.testing.assert_allclose(mean, -np.diag(expected), rtol=0, atol=1e-7)


def test_trace_and_symmetry(body):
    centroid = oracles.volume_and_centroid(*body)[1]
    inside = points_inside(body, n=100)
    outside = centroid + size_of(body) * unit_vectors(np.random.default_rng(9), 100) * 1.8
    for points, trace in ((inside, -1.0), (outside, 0.0)):
        tensor = demag_tensor(points, *body)
        np.testing.assert_allclose(np.trace(tensor, axis1=-2, axis2=-1), trace, rtol=0, atol=1e-12)
        np.testing.assert_allclose(tensor, np.swapaxes(tensor, -1, -2), rtol=0, atol=1e-12)


@pytest.mark.parametrize("distance", [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-7, 1e-9])
def test_trace_jumps_at_a_face(distance):
    # Closer than 1e-4 the digits may go as they do towards an edge (1e-9 at 1e-6), but a point
    # must not come out on the wrong side.
    bound = max(1e-12, 1e-15 / distance)
    for name in ("cube", "tilted prism", "truncated octahedron", "tetrahedron"):
        body = BODIES[name]
        for face in body[1]:
            corners = body[0][face]
            normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
            normal /= np.linalg.norm(normal)
            feet = [corners.mean(axis=0), 0.7 * corners.mean(axis=0) + 0.3 * corners[0]]
            for side, trace in ((-1, -1), (1, 0)):
                points = feet + side * distance * size_of(body) * normal
                assert np.all(side * (points - feet) @ normal > 0)
                actual = np.trace(demag_tensor(points, *body), axis1=-2, axis2=-1)
                np.testing.assert_allclose(actual, trace, rtol=0, atol=bound)


def test_on_a_face_is_finite():
    # There the field jumps; any of the two limits or their mean will do, NaN will not.
    for name in ("cube", "truncated octahedron", "hull"):
        vertices, faces = BODIES[name]
        for face in faces:
            trace = np.trace(demag_tensor(vertices[face].mean(axis=0), vertices, faces))
            assert -1 - 1e-9 < trace < 1e-9


def cube_with_a_centred_face():
    """The cube with its upper face cut into four triangles about a vertex in its middle."""
    vertices, faces = oracles.cube()
    top = next(f for f in faces if all(vertices[i, 2] > 0 for i in f))
    triangles = [[8, i, j] for i, j in zip(top, top[1:] + top[:1], strict=True)]
    return np.concatenate([vertices, [[0, 0, 0.5]]]), [f for f in faces if f != top] + triangles


@pytest.mark.parametrize("offset", [(0.0, 0.0, 1e-6), (0.0, 0.0, -1e-6), (0.1, 0.1, -1e-6)])
def test_vertex_within_a_flat_face(offset):
    # Neither that vertex nor its edges carry any singularity: the charge is smooth there.
    point = np.array([0, 0, 0.5]) + offset
    expected = demag_tensor(point, *oracles.cube())
    actual = demag_tensor(point, *cube_with_a_centred_face())
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-9)


def test_on_a_vertex_within_a_flat_face_is_finite_or_refused():
    try:
        tensor = demag_tensor((0.0, 0.0, 0.5), *cube_with_a_centred_face())
    except ValueError as error:
        assert "lies on an edge" in str(error)
    else:
        assert np.isfinite(tensor).all()


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_on_an_edge_or_vertex(body, scale):
    vertices, faces = oracles.moved(body, scale=scale)
    start, end = edges_of(faces)[0]
    on = [vertices[start], vertices[end], (vertices[start] + vertices[end]) / 2]
    for point in on:
        with pytest.raises(ValueError, match=r"lies on an edge"):
            demag_tensor(point, vertices, faces)
    with pytest.raises(ValueError, match=r"point 2 lies on an edge"):
        demag_tensor([on[0] * 9, on[1] * 9, on[2]], vertices, faces)


def test_near_an_edge_is_not_on_it(body):
    # 1e-9 of the size is far above the rounding of the coordinates, off the origin as well.
    for points in (points_near_edges(body, 1e-9), points_near_vertices(body, 1e-9)):
        assert np.isfinite(demag_tensor(points, *body)).all()


def cut(body, normal, offset):
    """The two parts of a convex body on either side of the plane n·x = offset."""
    vertices, faces = body
    height = vertices @ normal - offset
    crossing = [
        vertices[i] + (vertices[j] - vertices[i]) * height[i] / (height[i] - height[j])
        for i, j in edges_of(faces)
        if height[i] * height[j] < 0
    ]
    return tuple(
        oracles.convex_polyhedron(np.concatenate([vertices[side], crossing]))
        for side in (height > 0, height < 0)
    )


def distance_to_edges(points, body):
    vertices, faces = body
    start, end = np.moveaxis(vertices[edges_of(faces)], 1, 0)
    along = end - start
    share = np.einsum("nei,ei->ne", points[:, None] - start, along) / (along**2).sum(axis=-1)
    nearest = start + np.clip(share, 0, 1)[..., None] * along
    return np.linalg.norm(points[:, None] - nearest, axis=-1).min(axis=1)


@property_test
@given(seeds)
def test_parts_add_up(seed):
    rng = np.random.default_rng(seed)
    body = oracles.random_convex_hull(seed, points=int(rng.integers(5, 14)))
    normal = unit_vectors(rng, 1)[0]
    heights = np.sort(body[0] @ normal)
    offset = rng.uniform(heights[0], heights[-1])
    assume(np.abs(heights - offset).min() > 1e-3)
    parts = cut(body, normal, offset)
    points = rng.uniform(-1, 1, size=(40, 3))
    for part in parts:
        points = points[distance_to_edges(points, part) > 1e-3]
    of_body = demag_tensor(points, *body)
    np.testing.assert_allclose(
        sum(demag_tensor(points, *part) for part in parts), of_body, rtol=0, atol=1e-11
    )


def test_l_is_a_cube_without_a_quarter():
    quarter = oracles.moved(oracles.prism(0.5, 0.5, 1.0), shift=(0.25, 0.25, 0))
    points = np.random.default_rng(10).uniform(-1, 1, size=(200, 3))
    total = demag_tensor(points, *oracles.l_prism()) + demag_tensor(points, *quarter)
    np.testing.assert_allclose(total, demag_tensor(points, *oracles.cube()), rtol=0, atol=1e-12)


@property_test
@given(seeds)
def test_reciprocity(seed):
    # ∫_B N_A dV = (∫_A N_B dV)ᵀ, since the energy of A in the field of B is that of B in A's.
    rng = np.random.default_rng(seed)
    rotations = Rotation.random(2, rng).as_matrix()
    a = oracles.moved(oracles.prism(0.8, 0.5, 0.6), rotation=rotations[0])
    b = oracles.moved(
        oracles.tetrahedron(), rotation=rotations[1], shift=unit_vectors(rng, 1)[0] * 1.8
    )
    means = []
    for source, target in ((a, b), (b, a)):
        points, weights = oracles.quadrature_over_volume(*target)
        means.append(np.einsum("n,nij->ij", weights, demag_tensor(points, *source)))
    # 1e-8: the quadrature's error for bodies that nearly touch.
    np.testing.assert_allclose(means[0], means[1].T, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", ["cube", "truncated octahedron", "L", "tilted prism"])
def test_triangles_are_the_polygons(name):
    vertices, faces = BODIES[name]
    body = vertices, faces
    points = np.concatenate(
        [
            points_inside(body, n=50),
            points_near_edges(body, 1e-3),
            points_near_faces(body, 1e-4),
            points_away(body, 3.0),
        ]
    )
    polygons = demag_tensor(points, vertices, faces)
    triangles = demag_tensor(points, vertices, oracles.fan(faces))
    np.testing.assert_allclose(triangles, polygons, rtol=0, atol=1e-11)


@property_test
@given(seeds)
def test_joint_rotation_translation_and_scale(seed):
    rng = np.random.default_rng(seed)
    body = oracles.random_convex_hull(seed)
    points = rng.uniform(-1, 1, size=(30, 3))
    points = points[distance_to_edges(points, body) > 1e-2]
    rotation = Rotation.random(None, rng).as_matrix()
    scale = 10 ** rng.uniform(-9, 9)
    shift = rng.uniform(-10, 10, size=3) * scale
    moved = oracles.moved(body, rotation=rotation, scale=scale, shift=shift)
    actual = demag_tensor(points @ rotation.T * scale + shift, *moved)
    expected = rotation @ demag_tensor(points, *body) @ rotation.T
    # Coordinates up to 17 sizes from the origin lose two digits when the shift is added.
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-11)


@property_test
@given(seeds, st.integers(min_value=4, max_value=20))
def test_trace_of_random_hulls(seed, count):
    rng = np.random.default_rng(seed)
    body = vertices, faces = oracles.random_convex_hull(seed, points=count)
    points = rng.uniform(-0.6, 0.6, size=(50, 3))
    points = points[distance_to_edges(points, body) > 1e-3]
    corners = np.array([vertices[face[:3]] for face in faces])
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    height = np.einsum("nfi,fi->nf", points[:, None] - corners[:, 0], normals)
    assume(len(points) and np.abs(height).min() > 1e-9)
    tensor = demag_tensor(points, *body)
    trace = np.trace(tensor, axis1=-2, axis2=-1)
    np.testing.assert_allclose(trace, -(height < 0).all(axis=1).astype(float), rtol=0, atol=1e-11)
    np.testing.assert_allclose(tensor, np.swapaxes(tensor, -1, -2), rtol=0, atol=1e-11)


@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3), (0,), (2, 0, 4)])
def test_leading_axes(shape):
    points = np.random.default_rng(11).uniform(-1, 1, size=(*shape, 3))
    tensor = demag_tensor(points, *oracles.cube())
    assert tensor.shape == (*shape, 3, 3)
    assert tensor.dtype == np.float64
    flat = [demag_tensor(point, *oracles.cube()) for point in points.reshape(-1, 3)]
    np.testing.assert_allclose(tensor.reshape(-1, 9), np.reshape(flat, (-1, 9)), atol=1e-15)


def test_many_points_are_the_few():
    points = np.random.default_rng(12).uniform(-1, 1, size=(20_000, 3))
    body = BODIES["truncated octahedron"]
    every = demag_tensor(points, *body)
    few = demag_tensor(points[::997], *body)
    np.testing.assert_allclose(every[::997], few, rtol=0, atol=1e-14)


def test_input_is_left_alone():
    vertices, faces = oracles.cube()
    points = np.zeros((2, 3))
    demag_tensor(points, vertices, faces)
    assert vertices.flags.writeable
    assert points.flags.writeable
    np.testing.assert_array_equal(vertices, oracles.cube()[0])


def test_bad_tensor_input():
    vertices, faces = oracles.cube()
    with pytest.raises(
        ValueError, match=r"`points` must have shape \(\.\.\., 3\); received \(4, 2\)"
    ):
        demag_tensor(np.zeros((4, 2)), vertices, faces)
    with pytest.raises(
        ValueError, match=r"`points` must be finite; received nan at index \(1, 2\)"
    ):
        demag_tensor([[0, 0, 0], [0, 0, np.nan]], vertices, faces)
    with pytest.raises(ValueError, match=r"`vertices` must have shape \(n, 3\)"):
        demag_tensor(np.zeros(3), vertices[:, :2], faces)
    with pytest.raises(ValueError, match=r"close"):
        demag_tensor(np.zeros(3), vertices, faces[:-1])
    with pytest.raises(ValueError, match=r"inside out"):
        demag_tensor(np.zeros(3), vertices, [f[::-1] for f in faces])


# ---------------------------------------------------------------------------------------------
# demag_matrix
# ---------------------------------------------------------------------------------------------


def brute_force(structure, self_field):
    """B one block at a time, each from the source grain where it stands."""
    g, p = structure.weights.shape
    matrix = np.zeros((g, p, 3, g, 3))
    for target in range(g):
        real = structure.weights[target] > 0
        for source, grain in enumerate(structure.grains):
            if source != target or self_field:
                points = structure.particles[target][real]
                matrix[target, real, :, source] = demag_tensor(points, grain.vertices, grain.faces)
    return matrix


def assert_equals_brute_force(structure):
    for self_field in (False, True):
        actual = demag_matrix(structure, self_field=self_field)
        expected = brute_force(structure, self_field)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12)


def mixed_structure(**kwargs):
    """Four grains of different shapes, sizes and particle counts, well apart."""
    return Microstructure(
        [
            oracles.moved(oracles.cube(50e-9), shift=(0.0, 0.0, 0.0)),
            oracles.moved(oracles.tetrahedron(60e-9), shift=(70e-9, 0.0, 0.0)),
            oracles.moved(oracles.truncated_octahedron(18e-9), shift=(0.0, 80e-9, 5e-9)),
            oracles.moved(oracles.random_convex_hull(3), scale=40e-9, shift=(50e-9, 50e-9, -40e-9)),
        ],
        **kwargs,
    )


def test_matrix_of_mixed_grains():
    structure = mixed_structure()
    counts = (structure.weights > 0).sum(axis=1)
    assert len(set(counts)) > 1
    assert demag_matrix(structure).shape == (4, counts.max(), 3, 4, 3)
    assert demag_matrix(structure).dtype == np.float64
    assert_equals_brute_force(structure)


def test_matrix_axes_order():
    # A grain magnetised along x, seen from a particle beside it in the xy plane: H_y only if the
    # component axes are where the shape says.
    structure = mixed_structure()
    matrix = demag_matrix(structure)
    grain = structure.grains[1]
    moment = np.array([1.0, 0.0, 0.0])
    expected = demag_tensor(structure.particles[2, 5], grain.vertices, grain.faces) @ moment
    np.testing.assert_allclose(matrix[2, 5, :, 1] @ moment, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("gap", [0.0, 3e-9])
def test_matrix_of_a_lattice(gap):
    assert_equals_brute_force(cubic_grains((3, 2, 2), gap=gap))


@pytest.mark.parametrize("depth", [0.05e-9, 2e-9, 24e-9])
def test_matrix_at_every_depth(depth):
    assert_equals_brute_force(cubic_grains((2, 2, 1), depth=depth))


def test_matrix_of_similar_grains_of_different_sizes():
    # Equal up to a factor is not equal: a big and a small cube make different fields.
    shifts = [(0, 0, 0), (60e-9, 0, 0), (0, 60e-9, 0), (60e-9, 60e-9, 0)]
    sizes = [50e-9, 30e-9, 30e-9, 50e-9]
    grains = [
        oracles.moved(oracles.cube(size), shift=shift)
        for size, shift in zip(sizes, shifts, strict=True)
    ]
    assert_equals_brute_force(Microstructure(grains))


def test_matrix_of_a_permuted_lattice():
    lattice = cubic_grains((3, 2, 2))
    order = np.random.default_rng(13).permutation(len(lattice))
    permuted = Microstructure([lattice.grains[i] for i in order])
    expected = demag_matrix(lattice)[order][:, :, :, order]
    np.testing.assert_allclose(demag_matrix(permuted), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("displacement", [1e-10, 1e-7, 1e-4])
def test_matrix_of_a_disturbed_lattice(displacement):
    # A grain off its site by any part of its size must not be taken for one on it.
    lattice = cubic_grains((2, 2, 2))
    grains = list(lattice.grains)
    grains[3] = grains[3].translated(np.full(3, displacement * 50e-9))
    assert_equals_brute_force(Microstructure(grains))


def test_matrix_of_equal_grains_with_particles_of_their_own():
    lattice = cubic_grains((2, 2, 1))
    rng = np.random.default_rng(14)
    particles = lattice.centroids[:, None] + rng.uniform(-20e-9, 20e-9, size=(4, 5, 3))
    particles[2] = particles[1] + lattice.centroids[2] - lattice.centroids[1]
    weights = rng.uniform(0.5, 1, size=(4, 5))
    weights[3, 2:] = 0
    structure = Microstructure(lattice.grains, particles=particles, weights=weights)
    assert_equals_brute_force(structure)
    assert not demag_matrix(structure, self_field=True)[3, 2:].any()


def test_self_field():
    structure = mixed_structure()
    without, with_it = (demag_matrix(structure, self_field=own) for own in (False, True))
    grains = np.arange(len(structure))
    assert not without[grains, :, :, grains].any()
    traces = np.array([np.einsum("pii->p", with_it[i, :, :, i]) for i in grains])
    np.testing.assert_allclose(traces, -(structure.weights > 0).astype(float), rtol=0, atol=1e-11)
    with_it[grains, :, :, grains] = 0
    np.testing.assert_allclose(without, with_it, rtol=0, atol=1e-15)


def test_padding_rows_are_zero():
    structure = mixed_structure()
    padding = structure.weights == 0
    assert padding.any()
    for self_field in (False, True):
        assert not demag_matrix(structure, self_field=self_field)[padding].any()


def test_padding_rows_are_zero_where_other_equal_grains_have_a_particle():
    lattice = cubic_grains((2, 2, 1))
    weights = np.ones(lattice.weights.shape)
    weights[3, 2:] = 0
    structure = Microstructure(lattice.grains, particles=lattice.particles, weights=weights)
    matrix = demag_matrix(structure)
    assert not matrix[3, 2:].any()
    expected = demag_matrix(lattice)
    np.testing.assert_allclose(matrix[weights > 0], expected[weights > 0], rtol=0, atol=1e-15)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_matrix_scale(scale):
    unit = cubic_grains((2, 2, 2), size=1.0, gap=0.06, depth=0.05)
    scaled = cubic_grains((2, 2, 2), size=scale, gap=0.06 * scale, depth=0.05 * scale)
    np.testing.assert_allclose(
        demag_matrix(scaled, self_field=True),
        demag_matrix(unit, self_field=True),
        rtol=0,
        atol=1e-12,
    )


def test_a_row_of_cubes_is_a_prism():
    # Touching cubes magnetised alike are one bar, their inner faces' charges cancelling.
    row = cubic_grains((4, 1, 1), size=1.0, gap=0.0, depth=0.1)
    total = demag_matrix(row, self_field=True).sum(axis=3)
    bar = demag_tensor(row.particles, *oracles.prism(4.0, 1.0, 1.0))
    np.testing.assert_allclose(total, bar, rtol=0, atol=1e-12)


def test_the_field_of_a_nucleus_is_that_of_a_sphere_less():
    structure = mixed_structure()
    with_it, nuclei = (demag_matrix(structure, self_field=f) for f in (True, "nucleus"))
    real = structure.weights > 0
    assert not nuclei[~real].any()
    own = np.arange(len(structure))
    difference = nuclei - with_it
    expected = real[:, :, None, None] * np.eye(3) / 3
    np.testing.assert_allclose(difference[own, :, :, own], expected, rtol=0, atol=1e-15)
    difference[own, :, :, own] = 0
    assert not difference.any()
    # Trace 0 inside, since it is -1 with the whole own field.
    traces = np.array([np.einsum("pii->p", nuclei[i, :, :, i]) for i in own])
    np.testing.assert_allclose(traces, 0.0, rtol=0, atol=1e-11)


@pytest.mark.parametrize("body", [oracles.prism(), oracles.tetrahedron()], ids=["cube", "regular"])
def test_no_own_field_acts_on_a_nucleus_in_the_centre_of_a_regular_body(body):
    structure = Microstructure([body], depth=0.0, scheme=("centroid",))
    moments = np.array([0.6, 0.0, 0.8])
    whole = demag_matrix(structure, self_field=True)[0, 0, :, 0] @ moments
    nucleus = demag_matrix(structure, self_field="nucleus")[0, 0, :, 0] @ moments
    np.testing.assert_allclose(whole, -moments / 3, rtol=0, atol=1e-14)
    assert not nucleus.any()  # not even rounding, which would turn an aligned moment


def test_the_field_on_a_nucleus_depends_on_the_shape():
    # A needle along z has N_zz = 0 in its middle, a plate 1: less 1/3, with the sign of -N.
    for edges, along in (((1, 1, 1e4), 1 / 3), ((1e4, 1e4, 1), -2 / 3)):
        structure = Microstructure([oracles.prism(*edges)], depth=0.1, scheme=("centroid",))
        own = demag_matrix(structure, self_field="nucleus")[0, 0, :, 0]
        assert own[2, 2] == pytest.approx(along, abs=2e-4)


def test_a_self_field_is_one_of_three():
    with pytest.raises(
        ValueError, match=r"`self_field` must be False, True or 'nucleus'; received 'no'"
    ):
        demag_matrix(cubic_grains((1, 1, 1)), self_field="no")


def test_particle_on_an_edge():
    on_edge = cubic_grains((2, 1, 1), depth=0.0)
    demag_matrix(on_edge, self_field=False)  # only the grain itself has it on its edge
    for own in (True, "nucleus"):
        with pytest.raises(ValueError, match=r"particle \d+ of grain 0 lies on an edge of grain 0"):
            demag_matrix(on_edge, self_field=own)
    with pytest.raises(ValueError, match=r"particle \d+ of grain \d lies on an edge of grain \d"):
        demag_matrix(cubic_grains((2, 1, 1), depth=0.0, gap=0.0), self_field=False)


def general_structure(n=3):
    """n³ truncated octahedra, no two alike in size or attitude, on a lattice."""
    rng = np.random.default_rng(15)
    attitudes = Rotation.random(n**3, rng).as_matrix()
    sites = np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    return Microstructure(
        [
            oracles.moved(
                oracles.truncated_octahedron(rng.uniform(14e-9, 16e-9)),
                rotation=rotation,
                shift=site * 52e-9,
            )
            for rotation, site in zip(attitudes, sites, strict=True)
        ]
    )


@pytest.mark.slow
@pytest.mark.parametrize("make", [cubic_grains, general_structure])
@pytest.mark.parametrize("self_field", [False, True])
def test_memory(make, self_field):
    structure = make()
    demag_matrix(structure)  # what is cached on the structure is not a temporary
    tracemalloc.start()
    matrix = demag_matrix(structure, self_field=self_field)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The result is the first time of B; on top come temporaries of a fixed size of some MB.
    assert peak <= 4 * matrix.nbytes
