"""Who must agree with whom.

==================================  =======================================================
`write_neper`                       held to
==================================  =======================================================
grains, through `read_neper`        the same grains, to the last digits
cubes that touch                    counts of vertices, edges and faces of a lattice
cubes that do not                   as many as they have alone
the domain of a box                 Neper's labels, and what lies on them by coordinates
a tessellation                      its ids, seeds, weights, orientations and symmetry
an error                            no file, and no other file touched
==================================  =======================================================
"""

import re

import numpy as np
import pytest

from keras_micromag.physics import Microstructure, Polyhedron, cubic_grains, random_easy_axes
from keras_micromag.physics.io.neper import read_neper, write_neper
from tests import oracles
from tests.physics.io.neper.files import bent_interface, two_tetrahedra


def counts(path):
    """Return the numbers of vertices, edges, faces and polyhedra in the file."""
    words = path.read_text().split()
    return [int(words[words.index(f"**{s}") + 1]) for s in ("vertex", "edge", "face", "polyhedron")]


def boxes(*bounds):
    """Return cuboids between lower and upper corners, with particles at their centroids."""
    grains = []
    for low, high in bounds:
        vertices, faces = oracles.cube(1.0)
        span = np.ptp(vertices, axis=0)
        vertices = np.array(low) + (vertices - vertices.min(axis=0)) / span * np.subtract(high, low)
        grains.append(Polyhedron(vertices, faces))
    return Microstructure(grains, particles=[[grain.centroid] for grain in grains])


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_grains_come_back(scale, tmp_path):
    bodies = [oracles.moved(body, scale=scale) for body in oracles.voronoi_cells(seed=2, count=20)]
    grains = [Polyhedron(*body) for body in bodies]
    written = Microstructure(grains, particles=[[grain.centroid] for grain in grains])
    write_neper(tmp_path / "n.tess", written, unit=0.3 * scale)
    read = read_neper(tmp_path / "n.tess", unit=0.3 * scale)
    np.testing.assert_allclose(read.volumes, written.volumes, rtol=1e-12)
    for a, b in zip(read.cells, written.grains, strict=True):
        np.testing.assert_allclose(a.centroid, b.centroid, rtol=0, atol=1e-13 * scale)
        assert sorted(map(len, a.faces)) == sorted(map(len, b.faces))
        assert a.is_convex
    vertices, edges, faces, cells = counts(tmp_path / "n.tess")
    assert vertices - edges + faces - cells == 1  # Euler, of a complex that is joined up


def test_cubes_share_vertices_edges_and_faces(tmp_path):
    write_neper(tmp_path / "n.tess", cubic_grains((2, 3, 4), gap=0.0))
    edges = 2 * 4 * 5 + 3 * 3 * 5 + 3 * 4 * 4
    faces = 3 * 3 * 4 + 2 * 4 * 4 + 2 * 3 * 5
    assert counts(tmp_path / "n.tess") == [3 * 4 * 5, edges, faces, 24]


def test_cubes_with_gaps_share_nothing(tmp_path):
    write_neper(tmp_path / "n.tess", cubic_grains((2, 1, 1), gap=3e-9))
    assert counts(tmp_path / "n.tess") == [16, 24, 12, 2]
    assert "*general\n   unknown\n" in (tmp_path / "n.tess").read_text()
    np.testing.assert_allclose(read_neper(tmp_path / "n.tess").volumes, (50e-9) ** 3, rtol=1e-12)


def test_bricks_in_a_wall_share_corners_alone(tmp_path):
    # The long one's face touches two others, and is none of theirs.
    wall = boxes(((0, 0, 0), (2, 1, 1)), ((0, 1, 0), (1, 2, 1)), ((1, 1, 0), (2, 2, 1)))
    write_neper(tmp_path / "n.tess", wall, unit=1.0)
    assert counts(tmp_path / "n.tess")[2] == 3 * 6 - 1
    assert "*general\n   cube\n" in (tmp_path / "n.tess").read_text()
    np.testing.assert_allclose(read_neper(tmp_path / "n.tess", unit=1.0).volumes, [2, 1, 1])


def test_short_edges_are_written(tmp_path):
    # Shorter than the distance at which corners of two grains are one.
    ring = [(0, 0), (1, 0), (3e-11, 1), (0, 1)]
    vertices = [(x, y, z) for z in (0, 1) for x, y in ring]
    walls = [(k, (k + 1) % 4, (k + 1) % 4 + 4, k + 4) for k in range(4)]
    wedge = Polyhedron(vertices, [(3, 2, 1, 0), (4, 5, 6, 7), *walls])
    upper = wedge.translated((0, 0, 1))
    pair = Microstructure([wedge, upper], particles=[[wedge.centroid], [upper.centroid]])
    write_neper(tmp_path / "n.tess", pair, unit=1.0)
    assert counts(tmp_path / "n.tess") == [12, 20, 11, 2]
    np.testing.assert_allclose(read_neper(tmp_path / "n.tess", unit=1.0).volumes, pair.volumes)


def test_the_domain(tmp_path):
    write_neper(
        tmp_path / "n.tess", boxes(((0, 0, 0), (1, 1, 1)), ((1, 0, 0), (2, 1, 1))), unit=1.0
    )
    text = (tmp_path / "n.tess").read_text()
    places = {
        int(k): tuple(map(float, xyz.split()))
        for k, xyz in re.findall(r"^  (\d+) (\S+ \S+ \S+) 0$", text.split("**edge")[0], re.M)
    }
    domain = text.partition("**domain")[2]
    corners = re.findall(r"(\S+ \S+ \S+) x(\d)y(\d)z(\d)\n +1 (\d+)", domain)
    assert len(corners) == 8
    for place, *ends, vertex in corners:
        x, y, z = map(int, ends)
        assert places[int(vertex)] == tuple(map(float, place.split())) == (2 * x, y, z)
    edges = re.findall(r"line\n +0\n +(\w\d\w\d)\n +(\d) ", domain)
    assert sorted(label for label, _ in edges) == sorted(
        f"{a}{i}{b}{j}" for a, b in ("xy", "xz", "yz") for i in (0, 1) for j in (0, 1)
    )
    assert {label: int(n) for label, n in edges}["y0z1"] == 2  # along x, where both cells are
    assert {label: int(n) for label, n in edges}["x0y1"] == 1
    faces = re.findall(r"plane\n +4 (.+)\n +(\w\d)\n +(\d) ", domain)
    assert [(label, int(n)) for _, label, n in faces] == [
        *[("x0", 1), ("x1", 1), ("y0", 2), ("y1", 2), ("z0", 2), ("z1", 2)],
    ]
    for plane, label, _ in faces:
        d, *normal = map(float, plane.split())
        side = "xyz".index(label[0])
        inside = np.array([1.0, 0.5, 0.5])
        assert normal @ inside > d
        assert abs(normal[side]) == 1


def test_easy_axes(tmp_path):
    axes = np.concatenate([random_easy_axes(5, cone=180, seed=3), np.eye(3)[2:], -np.eye(3)[2:]])
    magnet = cubic_grains((7, 1, 1), gap=0.0)
    write_neper(tmp_path / "n.tess", magnet, easy_axes=axes, crystal_symmetry="4/mmm")
    read = read_neper(tmp_path / "n.tess")
    np.testing.assert_allclose(read.easy_axes, axes, atol=1e-14)
    assert read.crystal_symmetry == "4/mmm"
    np.testing.assert_array_equal(read.ids, np.arange(1, 8))
    write_neper(tmp_path / "m.tess", magnet, orientations=read.orientations)
    again = read_neper(tmp_path / "m.tess")
    np.testing.assert_allclose(again.orientations, read.orientations, atol=1e-14)
    assert again.crystal_symmetry == "hexagonal"


def test_a_written_tessellation_is_read_back(tmp_path):
    cell = "  *id\n   7 3\n  *crysym\n   cubic\n  *seed\n   1 .1 .2 .3 .4\n   2 .5 .6 .7 .8\n"
    cell += "  *ori\n   e:active\n   10 20 30\n   40 50 60\n"
    (tmp_path / "a.tess").write_text(two_tetrahedra(cell=cell))
    a = read_neper(tmp_path / "a.tess")
    write_neper(tmp_path / "b.tess", a, unit=3e-9)
    b = read_neper(tmp_path / "b.tess", unit=3e-9)
    for name in ("ids", "seeds", "weights", "orientations", "volumes"):
        np.testing.assert_allclose(getattr(b, name), getattr(a, name), rtol=1e-12, err_msg=name)
    assert b.crystal_symmetry == "cubic"
    write_neper(tmp_path / "b.tess", a, easy_axes=[[0, 0, 1], [1, 0, 0]])
    turned = read_neper(tmp_path / "b.tess").easy_axes
    np.testing.assert_allclose(turned, [[0, 0, 1], [1, 0, 0]], atol=1e-15)


def test_bent_cells_come_back(tmp_path):
    (tmp_path / "a.tess").write_text(bent_interface("0 0.5 0.5 0.5"))
    a = read_neper(tmp_path / "a.tess")
    write_neper(tmp_path / "b.tess", a)
    b = read_neper(tmp_path / "b.tess")
    np.testing.assert_allclose(b.volumes, a.volumes, rtol=1e-14)
    assert counts(tmp_path / "b.tess") == [13, 24, 14, 2]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"unit": 0}, "`unit` must be greater than 0"),
        ({"crystal_symmetry": "tetragonal"}, "`crystal_symmetry` must be one of 'triclinic'"),
        (
            {"easy_axes": np.eye(3)},
            r"`easy_axes` must have shape \(2, 3\) with g = 2; received \(3",
        ),
        ({"easy_axes": np.ones((2, 3))}, "`easy_axes` must hold unit vectors"),
        (
            {"orientations": np.ones((2, 3, 3))},
            "`orientations` must hold rotations; that at index 0",
        ),
        ({"orientations": np.eye(3)}, r"`orientations` must have shape \(2, 3, 3\)"),
        (
            {"easy_axes": [[0, 0, 1]] * 2, "orientations": [np.eye(3)] * 2},
            "`easy_axes` or `orientations` must be given, not both",
        ),
    ],
    ids=str,
)
def test_bad_arguments_leave_the_file_alone(kwargs, message, tmp_path):
    path = tmp_path / "n.tess"
    path.write_text("before")
    with pytest.raises(ValueError, match=message):
        write_neper(path, cubic_grains((2, 1, 1)), **kwargs)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_no_part_of_a_file_is_left(tmp_path):
    (tmp_path / "n.tess").mkdir()  # so that the finished file cannot take its place
    with pytest.raises(OSError, match=r"n\.tess"):
        write_neper(tmp_path / "n.tess", cubic_grains((1, 1, 1)))
    assert [entry.name for entry in tmp_path.iterdir()] == ["n.tess"]
