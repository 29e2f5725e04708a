"""Read Neper's tessellation files."""

import os
import re
from collections import Counter
from dataclasses import dataclass
from itertools import islice

import numpy as np

from keras_micromag.physics import checks
from keras_micromag.physics.neper import orientations
from keras_micromag.physics.neper.tessellation import Tessellation
from keras_micromag.physics.overlap import _pierces
from keras_micromag.physics.polyhedron import Polyhedron

VERSIONS = ("2.0", "3.3", "3.4", "3.5")
"""Of the format: Neper 3.0 to 3.3 wrote 2.0, up to 4.9 3.4, since then 3.5."""

_SECTIONS = {
    "format": (),
    "general": (),
    "cell": (
        *("id", "lam", "lamid", "mode", "modeid", "group", "crysym", "seed", "ori"),
        *("orispread", "orispreadtheta", "oridistrib", "weight"),
    ),
    "vertex": (),
    "edge": (),
    "face": (),
    "polyhedron": (),
    "domain": ("general", "vertex", "edge", "face"),
    "periodicity": ("general", "seed", "vertex", "edge", "face"),
    "scale": ("general", "cellid"),
}
"""Every section with its subsections."""

_NEEDED = ("format", "general", "cell", "vertex", "edge", "face", "polyhedron")

_FLAT = 0.5e-9
"""Half of what `Polyhedron` allows, in units of the smaller cell's size: faces are measured here in
the file's unit, and there after rounding to metres."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def read_neper(path, *, unit: float = 1e-6) -> Tessellation:
    """Read a tessellation file (`.tess`) of Neper 3 or 4: formats 2.0, 3.3, 3.4 and 3.5.

    Args:
        path: of the file, which must be three-dimensional.
        unit: metres per unit of length of the file. Neper has no unit, and its domain is a cube of
            edge 1 unless it is told otherwise: a magnet of 1 µm by default.

    Returns:
        The cells in the file's order.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: naming the line, when the file is not of this format; naming the cell, when one
            is no closed polyhedron.

    Notes:
        Read and used are the cells' ids, seeds, orientations and crystal symmetry, vertices, faces,
        polyhedra, and whether there is periodicity. Skipped are the cells' lamellae, modes, groups,
        orientation spreads and weights, the states of vertices and edges, the faces' equations, the
        domain, which vertices, edges and faces are periodic images, and the scales. Any other
        section is an error.

        Neper's regularisation bends faces, and a file has only twelve decimals. A face that leaves
        its plane by more than `Polyhedron` allows is cut into triangles about the point that the
        file gives for it (the mean of its corners where that is undefined), alike in both of its
        cells, so that they still fill the same space. Such cells are seldom convex. Curved domains
        (cylinders, spheres) are bounded by flat faces in Neper, too.

        Orientations: see `keras_micromag.physics.neper.orientations`. Neper since 4.10 reads files
        of Neper 3, which name no convention, as if their rotations were opposite; here they mean
        what they meant to Neper 3.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from keras_micromag.physics import cubic_grains
        >>> from keras_micromag.physics.neper import read_neper, write_neper
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "cubes.tess")
        ...     write_neper(path, cubic_grains((2, 1, 1), size=1e-6, gap=0.0))
        ...     cubes = read_neper(path, unit=1e-6)
        >>> len(cubes), cubes.cells[0].volume, cubes.orientations
        (2, 1e-18, None)
    """
    unit = checks.number(unit, "unit", above=0)
    path = os.fspath(path)
    sections = _sections(path)
    version = sections["format"].word(VERSIONS)
    n = sections["cell"].count("number of cells", alone=True)
    seeds, weights = _seeds(sections.get("cell/seed"), n)
    loops, surfaces = _topology(sections, n)
    ids = _ids(sections.get("cell/id"), n)
    vertices = _vertices(sections["vertex"])
    vertices, faces = _with_flat_faces(vertices, sections["face"], loops, surfaces)
    return Tessellation(
        cells=tuple(
            _polyhedron(vertices, faces, surface, unit, f"cell {ids[k]} of {path}")
            for k, surface in enumerate(surfaces)
        ),
        ids=ids,
        seeds=None if seeds is None else seeds * unit,
        weights=None if weights is None else weights * unit,
        orientations=_orientations(sections.get("cell/ori"), n, version),
        crystal_symmetry=(
            sections["cell/crysym"].word() if "cell/crysym" in sections else None
        ),
        periodic="periodicity" in sections,
        unit=unit,
    )


# ---------------------------------------------------------------------------------------------
# Text
# ---------------------------------------------------------------------------------------------


@dataclass
class _Section:
    """The words between one starred name and the next."""

    path: str
    line: int  # on which it begins
    text: str

    def __post_init__(self):
        self.words = self.text.split()

    def wrong(self, k, wanted, found=None):
        """The error about word `k`, which may be the one after the last."""
        words = re.finditer(r"\S+", self.text)
        word = next(islice(words, k, None), None)
        at = word.start() if word else len(self.text.rstrip())
        if found is None:
            found = f"{word[0]:.40}" if word else "the section's end"
        line = self.line + self.text.count("\n", 0, at)
        return _wrong(self.path, line, wanted, found)

    def word(self, choices=None):
        """The only word, one of `choices` if given."""
        if len(self.words) != 1:
            raise self.wrong(min(len(self.words), 1), "hold one word for the section")
        if choices and self.words[0] not in choices:
            raise self.wrong(0, f"hold one of {', '.join(choices)}")
        return self.words[0]

    def read_numbers(self, start=0):
        """Make `numbers` of the words from `start` on."""
        self.numbers = np.full(len(self.words), np.nan)
        try:
            self.numbers[start:] = np.fromiter(map(float, self.words[start:]), float)
            fine = "_" not in self.text and np.isfinite(self.numbers[start:]).all()
        except ValueError:
            fine = False
        if not fine:  # look for it only now: float() alone is fast, but takes nan, inf and 1_000
            for k, word in enumerate(self.words[start:], start):
                if not _NUMBER.fullmatch(word) or not np.isfinite(float(word)):
                    raise self.wrong(k, "hold a finite number")

    def whole(self, k, n, low, high, what):
        """`n` whole numbers from word `k` on, whose absolute values are `low` to `high`."""
        if not hasattr(self, "numbers"):
            self.read_numbers()
        run = self.numbers[k : k + n].tolist()
        for j, value in enumerate(run):
            if not low <= abs(value) <= high or not value.is_integer():
                raise self.wrong(k + j, f"hold {what}")
        if len(run) < n:
            raise self.wrong(len(self.words), f"hold {what}")
        return [int(value) for value in run]

    def count(self, what, alone=False):
        """The number with which the section begins, at least 1."""
        self.read_numbers()
        [n] = self.whole(0, 1, 1, np.inf, f"a {what} of at least 1")
        if self.numbers[0] < 1:
            raise self.wrong(0, f"hold a {what} of at least 1")
        if alone and len(self.words) > 1:
            raise self.wrong(1, f"hold nothing after the {what}")
        return n

    def table(self, start, rows, columns, what):
        """(rows, columns) numbers from word `start` on: all that are left."""
        have = len(self.words) - start
        if have != rows * columns:
            raise self.wrong(
                start + min(have, rows * columns),
                f"end {rows:.12g} {what} of {columns} numbers",
                f"{have} numbers",
            )
        return self.numbers[start:].reshape(rows, columns)

    def numbered(self, start, table, what):
        """The table without its first column, in the order of that: 1 to n."""
        order = self._order(table[:, 0], lambda row: start + row * table.shape[1], what)
        return table[order, 1:]

    def in_order(self, starts, numbers, values, what):
        """The list `values`, whose records begin at words `starts`, in the order of `numbers`."""
        order = self._order(np.array(numbers, float), starts.__getitem__, what)
        return [values[k] for k in order]

    def _order(self, numbers, position, what):
        order = np.argsort(numbers, kind="stable")
        off = np.flatnonzero(numbers[order] != np.arange(1, len(numbers) + 1))
        if len(off):
            row = int(order[off[0]])
            raise self.wrong(position(row), f"number the {what} from 1 to {len(numbers)}, each once")
        return order


def _wrong(path, line, wanted, found):
    return ValueError(
        f"`path` must be a tessellation of Neper; line {line} of {path} must {wanted}; "
        f"received {found}."
    )


def _sections(path):
    """{"cell": …, "cell/ori": …} of the file."""
    with open(path, "rb") as file:
        raw = file.read()
    stray = re.search(rb"[^\t-\r -~]", raw)
    if stray:
        line = raw.count(b"\n", 0, stray.start()) + 1
        raise _wrong(path, line, "be text (Neper has no binary .tess)", f"the byte {stray[0]!r}")
    text = raw.decode("ascii")
    names = list(re.finditer(r"(?<!\S)\*\S*", text))
    if not names or names[0][0] != "***tess" or text[: names[0].start()].strip():
        raise _wrong(path, 1, "begin with ***tess", repr(text.lstrip()[:20]))
    sections, top, line, last = {}, None, 1, 0
    for name, following in zip(names, [*names[1:], None], strict=True):
        line, last = line + text.count("\n", last, name.start()), name.start()
        section = _Section(path, line, text[name.end() : following and following.start()])
        if name[0] in ("***tess", "***end"):
            if (name[0] == "***end") != (following is None) or top and name[0] == "***tess":
                raise _wrong(path, line, "end the file with ***end, once", name[0])
            if section.words:
                raise section.wrong(0, f"hold nothing after {name[0]}")
            continue
        if name[0].startswith("**"):
            key = top = name[0][2:]
            known = top in _SECTIONS
        else:
            key = f"{top}/{name[0][1:]}"
            known = top is not None and name[0][1:] in _SECTIONS[top]
        if not known or key in sections:
            where = f" within **{top}" if name[0][1:2] != "*" and top else ""
            raise _wrong(
                path, line, f"name a section of the format{where}, once", f"{name[0]:.40}"
            )
        if following is None:
            raise section.wrong(len(section.words), "be followed by more, up to ***end")
        sections[key] = section
    for needed in _NEEDED:
        if needed not in sections:
            raise _wrong(path, line, f"be preceded by **{needed}", "none")
        if needed == "general":  # at once: a plane tessellation lacks what comes next
            _check_dimension(sections[needed])
    return sections


def _check_dimension(section):
    dim, *kind = section.words or [""]
    if dim not in ("1", "2", "3") or kind not in (["standard"], ["periodic"]):
        raise section.wrong(0, "hold the dimension and `standard` or `periodic`")
    if dim != "3":
        raise ValueError(f"`path` must be three-dimensional; {section.path} has dim {dim}.")


# ---------------------------------------------------------------------------------------------
# Meaning
# ---------------------------------------------------------------------------------------------


def _ids(section, n):
    if section is None:
        return np.arange(1, n + 1)
    ids = section.whole(0, n, 0, 2**53, f"the {n} whole numbers that are the cells' ids")
    if len(section.words) > n:
        raise section.wrong(n, f"end the ids of {n} cells")
    twice = [k for k, id in enumerate(ids) if ids.index(id) != k] if len(set(ids)) < n else ()
    if twice:
        raise section.wrong(twice[0], "name each cell differently")
    return np.array(ids)


def _seeds(section, n):
    if section is None:
        return None, None
    section.read_numbers()
    rows = section.numbered(0, section.table(0, n, 5, "seeds"), "seeds")
    return rows[:, :3], rows[:, 3]


def _orientations(section, n, version):
    if section is None:
        return None
    if not section.words:
        raise section.wrong(0, "name a descriptor of orientations")
    try:
        name, opposite = orientations.parse_descriptor(section.words[0], version)
    except ValueError as error:
        raise section.wrong(0, "name a descriptor of orientations", f"one of which {error}") from None
    section.read_numbers(start=1)
    values = section.table(1, n, orientations.width(name), "orientations")
    try:
        return orientations.matrices(name, opposite, values)
    except ValueError as error:
        raise section.wrong(1, f"begin rotations ({str(error).rstrip('.')})") from None


def _vertices(section):
    n = section.count("number of vertices")
    return section.numbered(1, section.table(1, n, 5, "vertices"), "vertices")[:, :3]


def _topology(sections, cells):
    """The vertices of every face and the signed faces of every cell, counted from 1."""
    vertices = sections["vertex"].count("number of vertices")
    edges = _check_edges(sections["edge"], vertices)
    loops = _loops(sections["face"], vertices, edges)
    surfaces = _surfaces(sections["polyhedron"], cells, len(loops))
    return loops, surfaces


def _check_edges(section, vertices):
    n = section.count("number of edges")
    rows = section.table(1, n, 4, "edges")
    section.numbered(1, rows, "edges")
    ends = rows[:, 1:3]
    wrong = np.flatnonzero((ends < 1) | (ends > vertices) | (ends % 1 != 0))
    if len(wrong):
        row, column = divmod(int(wrong[0]), 2)
        raise section.wrong(2 + 4 * row + column, f"hold a vertex, 1 to {vertices}")
    return n


def _loops(section, vertices, edges):
    """Of each face the vertices; and in `section.points` the corner or point that it is cut at."""
    n = section.count("number of faces")
    starts, numbers, loops, points = [], [], [], []
    k = 1
    while k < len(section.words):
        number, corners = section.whole(k, 2, 0, np.inf, "a face's number and that of its vertices")
        starts.append(k)
        numbers.append(number)
        loops.append(section.whole(k + 2, corners, 1, vertices, f"a vertex, 1 to {vertices}"))
        k += 2 + corners
        if section.whole(k, 1, 0, np.inf, "the number of a face's edges") != [corners]:
            raise section.wrong(k, f"hold as many edges as vertices, {corners}")
        section.whole(k + 1, corners, 1, edges, f"an edge, ±1 to ±{edges}")
        k += 1 + corners
        if len(section.words) < k + 9:
            raise section.wrong(len(section.words), "hold a face's plane, state and point")
        [point] = section.whole(k + 5, 1, 0, corners, f"a face's point, -1 to {corners}")
        points.append((point, section.numbers[k + 6 : k + 9]))
        k += 9
    if len(loops) != n:
        raise section.wrong(0, f"hold the number of faces that follow, {len(loops)}")
    section.points = section.in_order(starts, numbers, points, "faces")
    return section.in_order(starts, numbers, loops, "faces")


def _surfaces(section, cells, faces):
    n = section.count("number of polyhedra")
    if n != cells:
        raise section.wrong(0, f"hold the number of cells, {cells}")
    starts, numbers, surfaces = [], [], []
    sides = set()
    k = 1
    while k < len(section.words):
        number, m = section.whole(k, 2, 0, np.inf, "a polyhedron's number and that of its faces")
        starts.append(k)
        numbers.append(number)
        surface = section.whole(k + 2, m, 1, faces, f"a face, ±1 to ±{faces}")
        for j, side in enumerate(surface):
            if side in sides:
                raise section.wrong(k + 2 + j, "hold a side of a face that no other cell has")
            sides.add(side)
        surfaces.append(surface)
        k += 2 + m
    if len(surfaces) != n:
        raise section.wrong(0, f"hold the number of polyhedra that follow, {len(surfaces)}")
    return section.in_order(starts, numbers, surfaces, "polyhedra")


# ---------------------------------------------------------------------------------------------
# Geometry
# ---------------------------------------------------------------------------------------------


def _with_flat_faces(vertices, section, loops, surfaces):
    """All vertices, and of every face the flat polygons that it is made of."""
    smallest = np.full(len(loops), np.inf)
    for surface in surfaces:
        sides = [abs(side) - 1 for side in surface]
        corners = [v - 1 for side in sides for v in loops[side]]
        size = np.ptp(vertices[corners], axis=0).max() if corners else 0.0
        smallest[sides] = np.minimum(smallest[sides], size)
    faces = [[[v - 1 for v in loop]] for loop in loops]
    added = []
    for f in np.flatnonzero(_height(vertices, loops) > _FLAT * smallest):
        loop = faces[f][0]
        point, place = section.points[f]
        if point > 0:
            loop = loop[point - 1 :] + loop[: point - 1]
            faces[f] = [[loop[0], a, b] for a, b in zip(loop[1:], loop[2:], strict=False)]
            continue
        undefined = point < 0 or not place.any()  # Neper then writes the origin
        added.append(vertices[loop].mean(axis=0) if undefined else place)
        centre = len(vertices) + len(added) - 1
        faces[f] = [[centre, a, b] for a, b in zip(loop, loop[1:] + loop[:1], strict=True)]
    return np.concatenate([vertices, added]) if added else vertices, faces


def _height(vertices, loops):
    """(f,) how far each face leaves its plane, found as `Polyhedron` does."""
    lengths = np.array([len(loop) for loop in loops])
    height = np.zeros(len(loops))
    for n in Counter(lengths[lengths > 3]):
        same = np.flatnonzero(lengths == n)
        corners = vertices[np.array([loops[f] for f in same]) - 1]
        spokes = corners[:, 1:] - corners[:, :1]
        area = np.cross(spokes[:, :-1], spokes[:, 1:]).sum(axis=1)
        length = np.linalg.norm(area, axis=1)
        normal = area / np.where(length > 0, length, 1.0)[:, None]
        height[same] = np.abs(np.einsum("fvi,fi->fv", spokes, normal)).max(axis=1)
    return height


def _polyhedron(vertices, faces, surface, unit, name):
    polygons = [
        polygon if side > 0 else polygon[::-1] for side in surface for polygon in faces[abs(side) - 1]
    ]
    used = sorted({v for polygon in polygons for v in polygon})
    place = {v: k for k, v in enumerate(used)}
    try:
        body = Polyhedron(
            vertices[used] * unit, [[place[v] for v in polygon] for polygon in polygons]
        )
    except ValueError as error:
        raise ValueError(f"{name} is no closed polyhedron: {error}") from error
    if not body.is_convex and _pierces(body, body):
        raise ValueError(f"{name} is no closed polyhedron: its faces run through each other.")
    return body
