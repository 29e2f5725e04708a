"""Who must agree with whom.

====================================  =====================================================
`read_surfaces`                       held to
====================================  =====================================================
volumes of meshes in every format     trimesh's own, of the file that it reads itself
prisms of U, L and stars, in each      the area of their outline times their height, whichever
format of polygons                     corner their faces begin with
Voronoi cells in files of 32 bits      the cells that were written
a cube of STL triangles               six faces, eight corners
what cannot be joined                 the triangles as they are
bodies in one file                    each by itself, in order
triangles wound this way and that     the same body, outside out
bad files                             one sentence with the file and the body
====================================  =====================================================
"""

import struct
import subprocess
import sys

import numpy as np
import pytest
import trimesh

from keras_micromag.physics import Microstructure, Polyhedron, voronoi_grains
from keras_micromag.physics.io.surfaces import read_surfaces

FORMATS = ["stl", "stl_ascii", "ply", "obj", "off"]

SHAPES = {
    "box": trimesh.creation.box((1.0, 2.0, 3.0)),
    "cylinder": trimesh.creation.cylinder(1.0, 2.0, sections=12),
    "sphere": trimesh.creation.icosphere(subdivisions=2),
    "annulus": trimesh.creation.annulus(0.5, 1.0, 1.0, sections=12),
    "torus": trimesh.creation.torus(1.0, 0.3, major_sections=12, minor_sections=8),
}

OUTLINES = {
    "U": ([(0, 0), (3, 0), (3, 3), (2, 3), (2, 1), (1, 1), (1, 3), (0, 3)], 7.0),
    "L": ([(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)], 3.0),
    "star": ([(4, 0), (1, 1), (0, 4), (-1, 1), (-4, 0), (-1, -1), (0, -4), (1, -1)], 16.0),
    # Corners in the middle of edges: of a square, and of a T.
    "square": ([(0, 0), (1, 0), (2, 0), (2, 1), (2, 2), (1, 2), (0, 2), (0, 1)], 4.0),
    "T": ([(0, 2), (1, 2), (1, 0), (2, 0), (2, 2), (3, 2), (3, 3), (2, 3), (1, 3), (0, 3)], 5.0),
}
"""Corners of polygons, counter-clockwise, and their areas."""

PLY_HEADER = """\
ply
format ascii 1.0
comment vertices have colours
element vertex 3
property float x
property float y
property float z
element face 1
property list uchar int vertex_index
end_header
"""

PLY_BINARY = PLY_HEADER.replace("ascii", "binary_little_endian").encode()


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


def prism(outline, first, height=2.0):
    """Return vertices and faces of a prism whose polygons begin with their corner `first`."""
    n = len(outline)
    vertices = [(*point, z) for z in (0.0, height) for point in outline]
    ends = [[*range(n - 1, -1, -1)], [*range(n, 2 * n)]]
    sides = [[i, (i + 1) % n, (i + 1) % n + n, i + n] for i in range(n)]
    return vertices, [np.roll(face, -first).tolist() for face in (*ends, *sides)]


def off_text(vertices, faces):
    lines = ["OFF # a comment", f"{len(vertices)} {len(faces)} 0", ""]
    lines += [" ".join(map(repr, vertex)) for vertex in vertices]
    lines += [" ".join(map(str, (len(face), *face, 255, 0, 0))) for face in faces]
    return "\n".join(lines).encode()


def obj_text(vertices, faces, first=1, first_normal=1):
    """Return an OBJ file with a normal of each face, as Blender writes it."""
    lines = ["o body", *("v " + " ".join(map(repr, vertex)) for vertex in vertices)]
    for number, face in enumerate(faces, first_normal):
        u, v, w = (np.array(vertices[k]) for k in face[:3])
        lines.append("vn " + " ".join(map(str, np.cross(v - u, w - v))))
        lines.append("f " + " ".join(f"{k + first}//{number}" for k in face))
    return "\n".join(lines).encode() + b"\n"


def relative_obj_text(vertices, faces):
    """Return an OBJ file that counts vertices back from the last, with a line that goes on."""
    lines = ["v " + " ".join(map(repr, vertex)) for vertex in vertices]
    lines += ["f " + " \\\n ".join(str(k - len(vertices)) for k in face) for face in faces]
    return "\n".join(lines).encode()


def ply_text(vertices, faces):
    return ply("ascii", vertices, faces, lambda layout, *numbers: f"{numbers}".encode())


def ply(encoding, vertices, faces, pack):
    header = f"ply\nformat {encoding} 1.0\nelement vertex {len(vertices)}\n"
    header += "".join(f"property double {axis}\n" for axis in "xyz")
    header += f"element face {len(faces)}\nproperty uchar red\n"
    header += "property list uchar int vertex_indices\nproperty list uchar float texcoord\n"
    data = [pack("ddd", *vertex) for vertex in vertices]
    for face in faces:
        corners = (len(face), *face, 2, 0.25 * len(data), 0.5)  # texture of its own
        data.append(pack(f"BB{len(face)}iB2f", 255, *corners))
    if encoding == "ascii":
        data = [row.translate(None, b"(),") + b"\n" for row in data]
    return header.encode() + b"end_header\n" + b"".join(data)


def packed_ply(order, encoding):
    def pack(layout, *numbers):
        return struct.pack(order + layout, *numbers)

    return lambda vertices, faces: ply(encoding, vertices, faces, pack)


POLYGON_FILES = {
    "off": (".off", off_text),
    "obj": (".obj", obj_text),
    "relative obj": (".OBJ", relative_obj_text),
    "ply": (".ply", ply_text),
    "little-endian ply": (".ply", packed_ply("<", "binary_little_endian")),
    "big-endian ply": (".ply", packed_ply(">", "binary_big_endian")),
}


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


@pytest.mark.parametrize("kind", POLYGON_FILES)
@pytest.mark.parametrize("name", OUTLINES)
def test_the_first_corner_of_a_polygon_is_any(name, kind, tmp_path):
    suffix, write = POLYGON_FILES[kind]
    outline, area = OUTLINES[name]
    perimeter = np.linalg.norm(np.roll(outline, 1, axis=0) - outline, axis=1).sum()
    particles = []
    for first in range(len(outline)):
        path = tmp_path / f"{first}{suffix}"
        path.write_bytes(write(*prism(outline, first)))
        [body] = read_surfaces(path)
        corners = body.vertices[body.surface]
        sides = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        assert body.volume == pytest.approx(2 * area, rel=1e-14)
        surface = np.linalg.norm(sides, axis=1).sum() / 2
        assert surface == pytest.approx(2 * area + 2 * perimeter, rel=1e-14)
        particles.append(np.sort(Microstructure([body], depth=0.1).particles[0].round(9), axis=0))
    np.testing.assert_allclose(particles, particles[:1] * len(particles), rtol=0, atol=1e-9)


def test_a_polygon_in_a_slanted_plane(tmp_path):
    # A turned U, in 32 bits: its faces leave their planes by rounding and stay triangles.
    vertices, faces = prism(*OUTLINES["U"][:1], 0)
    turned = np.array(vertices) @ np.linalg.qr([[1.0, 2, 3], [4, 5, 6], [7, 8, 10]])[0]
    turned = turned.astype(np.float32).tolist()
    for first in range(8):
        path = tmp_path / f"{first}.off"
        path.write_bytes(off_text(turned, [np.roll(face, first).tolist() for face in faces]))
        [body] = read_surfaces(path)
        assert abs(body.volume) == pytest.approx(14, rel=1e-6)


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


def test_bodies_that_touch_in_an_obj_file_with_normals(tmp_path):
    path = tmp_path / "mesh.obj"
    outline, area = OUTLINES["L"]
    vertices, faces = prism(outline, 0)
    other = [(4.0 - x, 2.0 - y, z) for x, y, z in vertices]
    second = obj_text(other, faces, len(vertices) + 1, len(faces) + 1)
    path.write_bytes(obj_text(vertices, faces) + second)
    assert [body.volume for body in read_surfaces(path)] == pytest.approx([2 * area, 2 * area])


@pytest.mark.parametrize("name", ["mesh.glb", "mesh.stl"])
def test_meshes_of_a_scene_that_touch(name, tmp_path):
    def export(*meshes):
        if name == "mesh.glb":  # with the vertices of each triangle for itself
            for mesh in meshes:
                mesh.unmerge_vertices()
            return trimesh.Scene(meshes).export(file_type="glb")
        return "\n".join(mesh.export(file_type="stl_ascii") for mesh in meshes).encode()

    path, box = tmp_path / name, SHAPES["box"]
    path.write_bytes(export(bare(box.vertices, box.faces), moved(box, (1, 0, 0))))
    assert [body.volume for body in read_surfaces(path)] == pytest.approx([6, 6])
    # Here each mesh is one part of the surface of one body.
    path.write_bytes(export(bare(box.vertices, box.faces[:5]), bare(box.vertices, box.faces[5:])))
    assert [body.volume for body in read_surfaces(path)] == pytest.approx([6])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["stl", "ply"])
@pytest.mark.parametrize("seed", range(3))
def test_touching_grains_in_files_of_32_bits(seed, kind, saved):
    magnet = voronoi_grains(25, 100e-9, seed, gap=0.0, depth=1e-9)
    # The corner of the box is at the origin, as in files of most programs, or far from it.
    for shift in (50.0, 50.3, 1000.0):
        paths = [
            saved(bare(1e9 * grain.vertices + shift, grain.triangles), f"{index}.{kind}")
            for index, grain in enumerate(magnet.grains)
        ]
        bodies = read_surfaces(paths, unit=1e-9)
        back = Microstructure(bodies, depth=1e-9, volume=magnet.volume)
        np.testing.assert_allclose(back.volumes, magnet.volumes, rtol=1e-3)
        # Grains that overlap by more are still refused.
        deep = bodies[0].translated((bodies[1].centroid - bodies[0].centroid) / 10)
        with pytest.raises(ValueError, match="must not overlap; grains 0 and"):
            Microstructure([deep, *bodies[1:]], depth=1e-9)


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


def test_messages_of_trimesh_are_suppressed(tmp_path, caplog, monkeypatch):
    text = SHAPES["box"].export(file_type="stl_ascii").replace("facet normal", "facet normal x", 1)
    (tmp_path / "box.stl").write_text(text)
    load = trimesh.load_scene

    def noisy(*args, **kwargs):  # trimesh itself logs such normals only with some releases of NumPy
        trimesh.util.log.warning("normals that cannot be read")
        return load(*args, **kwargs)

    monkeypatch.setattr(trimesh, "load_scene", noisy)
    trimesh.load_scene(tmp_path / "box.stl")
    assert caplog.records, "of normals that cannot be read"
    caplog.clear()
    read_surfaces(tmp_path / "box.stl")
    assert not caplog.records


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("mesh.stl", b"", "has no faces"),
        ("mesh.stl", b"hello", "has no faces"),
        ("mesh.ply", b"ply\nfoo", "that can be read"),
        ("mesh.ply", b"ply\nend_header\n", "must name its format"),
        ("mesh.ply", b"ply\nformat ascii 1.0\nelement face 1\nproperty list", "'property list'"),
        ("mesh.ply", PLY_HEADER.encode() + b"0 0 0\n1 0 0\n0 1 0\n3 0 1", "ends before its last"),
        ("mesh.ply", PLY_BINARY + b"\0" * 9, "ends before its last"),
        (
            "mesh.ply",
            PLY_HEADER.replace("face 1", "face 1\nelement no 99999999999").encode(),
            "none",
        ),
        ("mesh.ply", b"OFF\n", "first line of a PLY file must be ply"),
        ("mesh.off", b"OFF\n1 2", "that can be read"),
        ("mesh.off", b"OFF\n3 1 0\n0 0 0\n1 0 0\n", "ends before its last vertex"),
        ("mesh.off", b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n4 0 1 2\n", "has fewer corners"),
        ("mesh.off", b"4OFF\n", "first word of an OFF file must be OFF"),
        ("mesh.obj", b"\xff\xfe\x00", "has no faces"),
        ("mesh.foo", b"hello", "that can be read"),
        ("mesh.off", b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 7\n", "faces without corners"),
        ("mesh.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n", "faces without corners"),
        ("mesh.obj", b"v 0 0\nv 1 0\nv 0 1\nf 1 2 3\n", "faces in space"),
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
    path = saved(SHAPES["box"], "mesh.stl")
    code = "import sys; sys.modules['trimesh'] = None\n"
    code += "from keras_micromag.physics.io.surfaces import read_surfaces\n"
    code += f"read_surfaces({str(path)!r})"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120
    )
    *_, sentence = result.stderr.splitlines()
    assert sentence.startswith(
        "ModuleNotFoundError: Surface meshes but OBJ, OFF and PLY need trimesh,"
    )
    assert 'pip install "keras-micromag[mesh]"' in sentence
