"""Who must agree with whom.

====================================  =====================================================
`read_neper`                          held to
====================================  =====================================================
a file of each format, by hand        volumes by arithmetic
cells with bent faces                 volumes by arithmetic, which add up to the cube's
orientations of each format           one easy axis, whatever the format calls active
what is skipped                       the same cells with and without it
`Tessellation.microstructure`         insets by arithmetic; a cell that vanishes, by its id
bad files                             one sentence with the line or the cell
mutated files                         such a sentence or a tessellation; never another error
====================================  =====================================================
"""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_micromag.physics import cubic_grains
from keras_micromag.physics.io.neper import read_neper, write_neper
from tests.physics.io.neper.files import DOMAIN, bent_interface, two_tetrahedra

VERSIONS = tuple(DOMAIN)

CELL = """\
  *id
   7 3
  *crysym
   hexagonal
  *seed
   1 0.250000000000 0.250000000000 0.250000000000 0.100000000000
   2 0.500000000000 0.500000000000 0.500000000000 0.200000000000
  *ori
   {descriptor}
   1.0 0.0 0.0
   0.0 0.0 0.0
"""

SKIPPED = """\
  *lam
   1 2
  *mode
   1 1
  *group
   1 2
  *orispread
   normal(theta=3)
   normal(theta=3)
  *weight
   1.0
   1.0
"""

PERIODIC = """\
 **periodicity
  *general
   1 1 1
   1.0 1.0 1.0
  *seed
   1
   3 1 -1 -1 -1
  *vertex
   0
  *edge
   0
  *face
   0
 **scale
  *general
   1
  *cellid
   1 1
   2 2
"""


@pytest.fixture
def read(tmp_path):
    def read(text, **kwargs):
        path = tmp_path / "n.tess"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_neper(path, **kwargs)

    return read


# ---------------------------------------------------------------------------------------------
# Good files
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_every_format(version, read):
    cells = read(two_tetrahedra(version), unit=1e-7)
    np.testing.assert_allclose(cells.volumes, [1e-21 / 6, 1e-21 / 3], rtol=1e-14)
    assert [len(cell.faces) for cell in cells.cells] == [4, 4]
    assert len(cells) == 2
    assert cells.unit == 1e-7
    assert not cells.periodic
    np.testing.assert_array_equal(cells.ids, [1, 2])
    for absent in (cells.seeds, cells.weights, cells.orientations, cells.crystal_symmetry):
        assert absent is None
    with pytest.raises(ValueError, match="must have orientations"):
        _ = cells.easy_axes


def test_a_file_is_of_a_micrometre(read):
    assert read(two_tetrahedra()).volumes.sum() == pytest.approx(0.5e-18, rel=1e-14)


# A turn by 90° about x of the sample takes c to −y; the opposite one takes it to y.
@pytest.mark.parametrize(
    ("version", "descriptor", "y"),
    [
        ("2.0", "R", -1),
        ("3.4", "rodrigues:active", -1),
        ("3.4", "rodrigues:passive", 1),
        ("3.5", "rodrigues", -1),
        ("3.5", "rodrigues:passive", -1),
        ("3.5", "rodrigues:active", 1),
    ],
)
def test_the_active_convention_of_each_format(version, descriptor, y, read):
    cells = read(two_tetrahedra(version, cell=CELL.format(descriptor=descriptor)), unit=1e-6)
    np.testing.assert_allclose(cells.easy_axes, [[0, y, 0], [0, 0, 1]], atol=1e-15)
    np.testing.assert_array_equal(cells.ids, [7, 3])
    np.testing.assert_allclose(cells.seeds, [[0.25e-6] * 3, [0.5e-6] * 3], rtol=1e-15)
    np.testing.assert_allclose(cells.weights, [0.1e-6, 0.2e-6], rtol=1e-15)
    assert cells.crystal_symmetry == "hexagonal"


def test_sections_without_use_are_skipped(read):
    bare = read(two_tetrahedra(tail=""))
    full = read(two_tetrahedra(cell=SKIPPED, tail=DOMAIN["3.5"] + PERIODIC))
    assert full.periodic
    for a, b in zip(bare.cells, full.cells, strict=True):
        np.testing.assert_array_equal(a.vertices, b.vertices)
        assert a.faces == b.faces


def test_lines_do_not_matter(read):
    a = read(two_tetrahedra(cell=CELL.format(descriptor="R")))
    b = read(" \r\n".join(two_tetrahedra(cell=CELL.format(descriptor="R")).split()))
    np.testing.assert_array_equal(a.volumes, b.volumes)
    np.testing.assert_array_equal(a.orientations, b.orientations)


def test_records_may_come_in_any_order(read):
    lines = two_tetrahedra().splitlines()
    at = lines.index(" **vertex") + 2
    lines[at : at + 5] = lines[at : at + 5][::-1]
    at = lines.index(" **polyhedron") + 2
    lines[at : at + 2] = lines[at : at + 2][::-1]
    np.testing.assert_allclose(read("\n".join(lines), unit=1.0).volumes, [1 / 6, 1 / 3])


@pytest.mark.parametrize(
    ("point", "low"),
    [
        ("0 0.5 0.5 0.5", 0.5),  # four triangles about the centre
        ("0 0.5 0.5 0.55", 0.5 + 0.05 / 3),  # it need not be the mean
        ("0 0.0 0.0 0.0", 0.5),  # not given: the mean
        ("-1 0.0 0.0 0.0", 0.5),
        ("1 0.0 0.0 0.4", (0.4 + 0.6 + 0.4) / 3),  # two triangles from the first corner
        ("2 1.0 0.0 0.6", (0.6 + 0.4 + 0.6) / 3),
    ],
)
def test_bent_faces(point, low, read):
    cells = read(bent_interface(point), unit=1.0)
    np.testing.assert_allclose(cells.volumes, [low, 1 - low], rtol=1e-14)
    triangles = 2 if point[0] in "12" else 4
    assert [len(cell.faces) for cell in cells.cells] == [5 + triangles] * 2
    corners = [{tuple(v) for v in cell.vertices if 0.1 < v[2] < 0.9} for cell in cells.cells]
    assert corners[0] == corners[1]


# ---------------------------------------------------------------------------------------------
# microstructure
# ---------------------------------------------------------------------------------------------


def test_gaps(tmp_path):
    cubes = cubic_grains((2, 2, 2), size=1e-7, gap=0.0)
    write_neper(tmp_path / "cubes.tess", cubes)
    cells = read_neper(tmp_path / "cubes.tess")
    magnet = cells.microstructure(gap=4e-9, depth=3e-9, scheme="vertices")
    np.testing.assert_allclose(magnet.volumes, (96e-9) ** 3, rtol=1e-12)
    assert magnet.packing_fraction == pytest.approx(0.96**3, rel=1e-12)
    assert magnet.particles.shape == (8, 8, 3)
    reach = np.abs(magnet.particles - magnet.centroids[:, None])
    np.testing.assert_allclose(reach, 45e-9, rtol=1e-9)
    touching = cells.microstructure()
    assert touching.grains == cells.cells
    assert touching.packing_fraction == pytest.approx(1, rel=1e-14)


def test_a_cell_that_vanishes(read):
    cells = read(two_tetrahedra(cell="  *id\n   7 3\n"))
    with pytest.raises(
        ValueError, match=r"^cell 7 is too small for a gap of 5e-07 m: `depth` must"
    ):
        cells.microstructure(gap=5e-7)
    with pytest.raises(ValueError, match="`gap` must be at least 0"):
        cells.microstructure(gap=-1e-9)


# ---------------------------------------------------------------------------------------------
# Bad files
# ---------------------------------------------------------------------------------------------

ORI = "  *ori\n   {}\n"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("***tess", "***tesr", r"line 1 of \S+ must begin with \*\*\*tess; received '\*\*\*tesr"),
        ("***end\n", "", r"line 82 of \S+ must end the file with \*\*\*end"),
        ("***end\n", "***end\n1", r"line 83 of \S+ must hold nothing after \*\*\*end; received 1"),
        ("3.5", "1.10", r"line 3 of \S+ must hold one of 2.0, 3.3, 3.4, 3.5; received 1.10"),
        ("3 standard", "2 standard", r"must be three-dimensional; \S+ has dim 2\.$"),
        ("3 standard", "1 standard", r"must be three-dimensional; \S+ has dim 1\.$"),
        ("3 standard", "4 standard", r"line 5 of \S+ must hold the dimension and"),
        (" **cell", " **cells", r"line 6 of \S+ must name a section of the format, once"),
        (" **edge", " **vertex", r"line 15 of \S+ must name a section of the format, once"),
        (" **cell\n  2\n", "", r"must be preceded by \*\*cell"),
        ("  2\n **v", "  2\n  *ids\n 1 2\n **v", r"line 8 of \S+ must name a section"),
        ("  2\n **v", "  2 3\n **v", r"line 7 of \S+ must hold nothing after the number of cells"),
        ("  2\n **v", "  0\n **v", r"line 7 of \S+ must hold a number of cells of at least 1"),
        ("  2\n **v", "  1000000000000\n **v", r"must hold the number of cells, 1000000000000"),
        ("  2\n **v", "  2\n *id 1 1\n **v", r"line 8 of \S+ must name each cell differently"),
        (
            "  2\n **v",
            "  2\n *id 1\n **v",
            r"must hold the 2 whole numbers that are the cells' ids",
        ),
        (
            " 5\n ",
            " 1000000000000\n ",
            r"must hold 1000000000000 vertices of 5 numbers; received 25",
        ),
        ("   2  1.0", "   2  nan", r"line 11 of \S+ must hold a number smaller than 1e\+50; rec"),
        ("   2  1.0", "   2  1e400", r"line 11 of \S+ must hold a number smaller than 1e\+50"),
        ("   2  1.0", "   2  1_0", r"line 11 of \S+ must hold a number smaller than 1e\+50"),
        ("   2  1.0", "   2  0x1", r"line 11 of \S+ must hold a number smaller than 1e\+50"),
        ("   2  1.0", "   1  1.0", r"line 11 of \S+ must number the vertices from 1 to 5, each"),
        ("   4  2 3 0", "   4  2 6 0", r"line 20 of \S+ must hold a vertex, 1 to 5; received 6"),
        ("   4  2 3 0", "   4  2 3", r"must hold 9 edges of 4 numbers; received 35 numbers"),
        (
            "   5 3 2 3 5",
            "   5 3 2 3 -5",
            r"line 44 of \S+ must hold a vertex, 1 to 5; received -5",
        ),
        ("   5 3 2 3 5", "   5 3 2 3.5 5", r"line 44 of \S+ must hold a vertex, 1 to 5"),
        ("3 4 8 -7", "3 4 8 -17", r"line 45 of \S+ must hold an edge, ±1 to ±9; received -17"),
        (
            "3 4 8 -7",
            "4 4 8 -7",
            r"line 45 of \S+ must hold as many edges as vertices, 3; received 4",
        ),
        ("   5 3 2 3 5", "   5 1000000000000 2 3 5", r"must hold a vertex, 1 to 5"),
        (
            " 7\n   1 3",
            " 8\n   1 3",
            r"line 27 of \S+ must hold the number of faces that follow, 7",
        ),
        (
            " 2\n   1 4",
            " 3\n   1 4",
            r"line 57 of \S+ must hold the number of cells, 2; received 3",
        ),
        (
            "5 6 7 -4",
            "5 6 7 4",
            r"line 59 of \S+ must hold a side of a face that no other cell has",
        ),
        ("5 6 7 -4", "5 6 7 -8", r"line 59 of \S+ must hold a face, ±1 to ±7; received -8"),
        ("5 6 7 -4", "5 6 -7 -4", r"^cell 2 of \S+ is not a closed polyhedron: `faces` must"),
        ("2 4 5 6 7 -4", "2 3 5 6 7", r"^cell 2 of \S+ is not a closed polyhedron: `faces` must"),
        (
            "1 4 1 2 3 4\n   2 4 5 6 7 -4",
            "1 4 -1 -2 -3 -4\n   2 4 5 6 7 4",
            "^cell 1 .* inside out",
        ),
        ("   5  1.0", "   5  -1.5", r"^cell 2 of \S+ is not a closed polyhedron"),
        (
            "  2\n **v",
            "  2\n" + ORI.format("rodrigues 1 2") + " **v",
            r"2 orientations of 3 numbers",
        ),
        ("  2\n **v", "  2\n" + ORI.format("m 1 2 3 1 2 3") + " **v", "one of Neper's descriptors"),
        (
            "  2\n **v",
            "  2\n" + ORI.format("q:left 1 2 3 1") + " **v",
            "one of Neper's descriptors",
        ),
        ("  2\n **v", "  2\n" + ORI.format("") + " **v", "one of Neper's descriptors"),
        (
            "  2\n **v",
            "  2\n" + ORI.format("q\n 1 0 0 0\n 0 0 0 0") + " **v",
            r"from line 10 of \S+ on must be rotations: `quaternion` must .* received length 0",
        ),
    ],
    ids=str,
)
def test_the_line_of_an_error_is_named(old, new, message, read):
    text = two_tetrahedra(tail=DOMAIN["3.5"])
    assert old in text
    with pytest.raises(ValueError, match=message):
        read(text.replace(old, new, 1))


@pytest.mark.parametrize("byte", [b"\0", b"\xff", b"\x1b", "é".encode()])
def test_bytes_that_are_no_text(byte, read):
    text = two_tetrahedra().encode().replace(b"standard", b"stan" + byte + b"dard")
    with pytest.raises(ValueError, match=r"line 5 of \S+ must be text \(Neper has no binary"):
        read(text)


def test_an_empty_file(read):
    with pytest.raises(ValueError, match=r"line 1 of \S+ must begin with \*\*\*tess; received ''"):
        read("")


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_neper(tmp_path / "none.tess")
    with pytest.raises(ValueError, match="`unit` must be greater than 0"):
        read_neper(tmp_path / "none.tess", unit=0)


def test_faces_that_run_through_each_other(read):
    # The point of the face between them lies above the upper cell.
    with pytest.raises(ValueError, match=r"^cell 1 of \S+ .* its faces run through each other\.$"):
        read(bent_interface("0 1.3 0.5 0.5"))


# ---------------------------------------------------------------------------------------------
# Mutated files
# ---------------------------------------------------------------------------------------------

SEEDS = [
    two_tetrahedra("3.5", cell=CELL.format(descriptor="rodrigues:passive"), tail=PERIODIC),
    two_tetrahedra("2.0", cell=CELL.format(descriptor="R")),
    bent_interface("0 0.5 0.5 0.5"),
    bent_interface("1 0.0 0.0 0.4"),
]

WORDS = (
    "nan",
    "inf",
    "1e400",
    "-1",
    "0",
    "1",
    "2",
    "3",
    "1000000000000",
    "1e12",
    "1e49",
    "-1e-300",
)
WORDS += ("0.5", "1_0", "0x1p3", "*ori", "**cell", "***end", "***tess", "**", "*", "q", "9" * 5000)


@st.composite
def mutated(draw):
    """Draw a valid text with some of its lines, words or bytes changed."""
    text = draw(st.sampled_from(SEEDS)).encode()
    for _ in range(draw(st.integers(1, 3))):
        way = draw(st.sampled_from(["lines", "words", "word", "number", "bytes", "cut"]))
        if way == "cut":
            text = text[: draw(st.integers(0, len(text)))]
            continue
        if way == "bytes":
            at = draw(st.integers(0, len(text)))
            text = text[:at] + draw(st.binary(max_size=3)) + text[at + draw(st.integers(0, 3)) :]
            continue
        parts = re.split(rb"(\n)" if way == "lines" else rb"(\s+)", text)
        a, b = (2 * draw(st.integers(0, len(parts) // 2)) for _ in range(2))
        if way == "word":
            parts[a] = draw(st.sampled_from(WORDS)).encode()
        elif way == "number":
            parts[a] = repr(draw(st.floats(-2, 2))).encode()
        else:
            change = draw(st.sampled_from(["delete", "double", "swap"]))
            if change == "delete":
                del parts[a : a + 2]
            elif change == "double":
                parts[a:a] = parts[a : a + 2]
            else:
                parts[a], parts[b] = parts[b], parts[a]
        text = b"".join(parts)
    return text


def check_mutant(path, text):
    """Return whether a text is still a tessellation; if not, check that the error is a sentence."""
    path.write_bytes(text)
    try:
        tessellation = read_neper(path)
    except ValueError as error:
        message = str(error)
        assert re.search(r"(line|cell|dim) \d", message), message
        assert message.endswith(".") and "\n" not in message, message
        assert not re.search(r"\. [A-Z]", message), message
        assert len(message) < 600, message
        return False
    assert (tessellation.volumes > 0).all()
    return True


@pytest.fixture(scope="module")
def mutant_path(tmp_path_factory):
    return tmp_path_factory.mktemp("mutants") / "mutant.tess"


@pytest.mark.slow
@settings(max_examples=400, deadline=5000, derandomize=True, database=None)
@given(text=mutated())
def test_mutants(text, mutant_path):
    check_mutant(mutant_path, text)


@pytest.mark.parametrize("text", SEEDS, ids=range(len(SEEDS)))
def test_cut_anywhere(text, mutant_path):
    complete = text.rstrip()
    for end in range(0, len(complete), 7):
        assert not check_mutant(mutant_path, complete[:end].encode())
    assert check_mutant(mutant_path, complete.encode())
