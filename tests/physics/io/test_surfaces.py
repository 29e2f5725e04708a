"""Who must agree with whom.

====================================  =====================================================
`read_surfaces`                       held to
====================================  =====================================================
volumes of meshes in every format     trimesh's own, of the file that it reads itself
a cube of STL triangles               six faces, eight corners
what cannot be joined                 the triangles as they are
bodies in one file                    each by itself, in order
triangles wound this way and that     the same body, outside out
bad files                             one sentence with the file and the body
====================================  =====================================================
"""

import subprocess
import sys

import numpy as np
import pytest
import trimesh

from keras_micromag.physics import Polyhedron
from keras_micromag.physics.io.surfaces import read_surfaces

FORMATS = ["stl", "stl_ascii", "ply", "obj", "off"]

SHAPES = {
    "box": trimesh.creation.box((1.0, 2.0, 3.0)),
    "cylinder": trimesh.creation.cylinder(1.0, 2.0, sections=12),
    "sphere": trimesh.creation.icosphere(subdivisions=2),
    "annulus": trimesh.creation.annulus(0.5, 1.0, 1.0, sections=12),
    "torus": trimesh.creation.torus(1.0, 0.3, major_sections=12, minor_sections=8),
}


def bare(vertices, triangles):
    return trimesh.Trimesh(vertices, triangles, process=False)


def moved(mesh, shift):
    return bare(mesh.vertices + np.asarray(shift), mesh.faces)


@pytest.fixture
def saved(tmp_path):
    def saved(mesh, name="mesh.off", **kwargs):
        mesh.export(tmp_path / name, **kwargs)
        return tmp_path / name

    return saved


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("shape", SHAPES)
def test_volumes(shape, kind, saved):
    path = saved(SHAPES[shape], f"mesh.{kind[:3]}", file_type=kind)
    [body] = read_surfaces([path], unit=1e-9)
    own = trimesh.load_mesh(path)
    assert body.volume == pytest.approx(1e-27 * own.volume, rel=1e-9)
    np.testing.assert_allclose(body.centroid, 1e-9 * own.center_mass, rtol=0, atol=1e-18)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_box_has_six_faces(kind, saved):
    mesh = SHAPES["box"].subdivide().subdivide()
    assert len(mesh.faces) == 192
    [body] = read_surfaces(saved(mesh, f"mesh.{kind[:3]}", file_type=kind))
    assert len(body.faces) == 6
    assert body.vertices.shape == (8, 3)
    assert body.is_convex
    assert body.volume == pytest.approx(6.0, rel=1e-14)


def test_a_prism_has_a_face_on_each_side(saved):
    [body] = read_surfaces(saved(SHAPES["cylinder"], "mesh.stl", file_type="stl_ascii"))
    assert sorted(map(len, body.faces)) == [4] * 12 + [12] * 2


def test_a_face_with_a_hole_stays_triangles(saved):
    [body] = read_surfaces(saved(SHAPES["annulus"], "mesh.stl", file_type="stl_ascii"))
    assert sorted(map(len, body.faces)) == [3] * 48 + [4] * 24


def test_bent_faces_stay_triangles(saved):
    vertices = np.array(SHAPES["box"].vertices)
    vertices[0] *= 1 + 1e-7
    [body] = read_surfaces(saved(bare(vertices, SHAPES["box"].faces), digits=15))
    assert 6 < len(body.faces) <= 12


def test_several_bodies_and_files(saved):
    three = [moved(SHAPES["box"], (shift, 0, 0)) for shift in (3.0, 0.0, 6.0)]
    both = saved(trimesh.util.concatenate(three[:2]), "two.stl")
    bodies = read_surfaces([both, str(saved(three[2], "one.ply"))])
    assert all(isinstance(body, Polyhedron) for body in bodies)
    np.testing.assert_allclose([body.centroid[0] for body in bodies], [3, 0, 6], atol=1e-15)


def test_bodies_that_touch(saved):
    pair = trimesh.util.concatenate([SHAPES["box"], moved(SHAPES["box"], (1, 0, 0))])
    assert [b.volume for b in read_surfaces(saved(pair))] == pytest.approx([6, 6])
    with pytest.raises(ValueError, match=r"^body 0 of .* must be in 2 triangles; it is in 4\.$"):
        read_surfaces(saved(pair, "mesh.stl"))


@pytest.mark.parametrize("turn", [slice(None), slice(None, None, 3), slice(0, 1)])
def test_inside_out(turn, saved):
    triangles = np.array(SHAPES["torus"].faces)
    triangles[turn] = triangles[turn, ::-1]
    mesh = bare(SHAPES["torus"].vertices, triangles)
    [body] = read_surfaces(saved(mesh))
    assert body.volume == pytest.approx(SHAPES["torus"].volume, rel=1e-7)  # OFF has ten digits


def test_triangles_without_area_are_left_out(saved):
    box = SHAPES["box"]
    needle = [[0, 0, 1]]  # of a corner that comes twice
    mesh = bare(box.vertices, np.concatenate([box.faces, needle]))
    assert len(read_surfaces(saved(mesh))[0].faces) == 6


def test_an_open_mesh(saved):
    path = saved(bare(SHAPES["box"].vertices, SHAPES["box"].faces[1:]))
    with pytest.raises(
        ValueError, match=r"^body 0 of \S+mesh\.off is not a closed polyhedron: the "
    ):
        read_surfaces(path)


def test_a_strip_with_one_side(saved):
    # Projective plane of six corners: closed, but neither inside nor outside.
    triangles = [(0, 1, 2), (0, 2, 3), (0, 3, 4), (0, 4, 5), (0, 5, 1)]
    triangles += [(1, 2, 4), (2, 3, 5), (3, 4, 1), (4, 5, 2), (5, 1, 3)]
    vertices = np.random.default_rng(0).random((6, 3))
    with pytest.raises(
        ValueError, match=r"^body 0 of \S+ is not a closed polyhedron: `faces` must"
    ):
        read_surfaces(saved(bare(vertices, triangles)))


def test_a_flat_body(saved):
    vertices = [(0, 0, 0), (1, 0, 0), (0, 1, 0)]
    with pytest.raises(ValueError, match=r"^body 0 of \S+ is not a closed polyhedron"):
        read_surfaces(saved(bare(vertices, [(0, 1, 2), (0, 2, 1)])))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("mesh.stl", b"", "has no triangles"),
        ("mesh.stl", b"hello", "has no triangles"),
        ("mesh.ply", b"ply\nfoo", "that trimesh can read"),
        ("mesh.off", b"OFF\n1 2", "that trimesh can read"),
        ("mesh.obj", b"\xff\xfe\x00", "has no triangles"),
        ("mesh.foo", b"hello", "that trimesh can read"),
        ("mesh.off", b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 7\n", "that trimesh can|corners"),
        ("mesh.obj", b"v 0 0\nv 1 0\nv 0 1\nf 1 2 3\n", "triangles in space"),
        ("mesh.off", b"OFF\n3 1 0\n0 0 nan\n1 0 0\n0 1 0\n3 0 1 2\n", "smaller than 1e.50"),
        ("mesh.off", b"OFF\n3 1 0\n0 0 1e60\n1 0 0\n0 1 0\n3 0 1 2\n", "smaller than 1e.50"),
    ],
)
def test_bad_files(name, content, message, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"`paths` must name .*{message}") as info:
        read_surfaces([path])
    assert str(path) in str(info.value)
    assert "\n" not in str(info.value)


def test_bad_arguments(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_surfaces(tmp_path / "none.stl")
    with pytest.raises(ValueError, match="`unit` must be greater than 0"):
        read_surfaces([], unit=-1)
    assert read_surfaces([]) == ()


@pytest.mark.integration
def test_without_trimesh(saved):
    path = saved(SHAPES["box"])
    code = "import sys; sys.modules['trimesh'] = None\n"
    code += "from keras_micromag.physics.io.surfaces import read_surfaces\n"
    code += f"read_surfaces({str(path)!r})"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120
    )
    *_, sentence = result.stderr.splitlines()
    assert sentence.startswith("ModuleNotFoundError: Surface meshes need trimesh, which is not")
    assert 'pip install "keras-micromag[mesh]"' in sentence
