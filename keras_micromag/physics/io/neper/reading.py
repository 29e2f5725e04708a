"""Read Neper's tessellation files."""

import os
from itertools import pairwise

import numpy as np

from keras_micromag.physics.geometry.overlap import pierces
from keras_micromag.physics.geometry.polyhedron import Polyhedron
from keras_micromag.physics.io.neper import orientations
from keras_micromag.physics.io.neper.sections import read_sections
from keras_micromag.physics.io.neper.tessellation import Tessellation
from keras_micromag.utils import checks

VERSIONS = ("2.0", "3.3", "3.4", "3.5")
"""Of the format: Neper 3.0 to 3.3 wrote 2.0, up to 4.9 3.4, since then 3.5."""

_FLAT = 0.5e-9
"""Half of what `Polyhedron` allows, in units of the smaller cell's size: faces are measured here in
the file's unit, and there after rounding to metres."""

_SEARCHED = 1000
"""Cells of more triangles are not searched for faces that run through each other, for the search
takes each triangle with each edge. Neper's have some hundred."""


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

        Orientations: see `orientations`. Neper since 4.10 reads files of Neper 3, which name no
        convention, as if their rotations were opposite; here they mean what they meant to Neper 3.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from keras_micromag.physics import cubic_grains
        >>> from keras_micromag.physics.io.neper import read_neper, write_neper
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "cubes.tess")
        ...     write_neper(path, cubic_grains((2, 1, 1), size=1e-6, gap=0.0))
        ...     cubes = read_neper(path, unit=1e-6)
        >>> len(cubes), cubes.cells[0].volume, cubes.orientations
        (2, 1e-18, None)
    """
    unit = checks.number(unit, "unit", above=0)
    path = os.fspath(path)
    sections = read_sections(path)
    version = sections["format"].word(VERSIONS)
    n = sections["cell"].count("number of cells", alone=True)
    seeds, weights = _seeds(sections.get("cell/seed"), n)
    vertices = _vertices(sections["vertex"])
    edges = _check_edges(sections["edge"], len(vertices))
    loops, points = _loops(sections["face"], len(vertices), edges)
    surfaces = _surfaces(sections["polyhedron"], n, len(loops))
    ids = _ids(sections.get("cell/id"), n)
    vertices, faces = _with_flat_faces(vertices, loops, points, surfaces)
    return Tessellation(
        cells=tuple(
            _polyhedron(vertices, faces, surface, unit, f"cell {ids[k]} of {path}")
            for k, surface in enumerate(surfaces)
        ),
        ids=ids,
        seeds=None if seeds is None else seeds * unit,
        weights=None if weights is None else weights * unit,
        orientations=_orientations(sections.get("cell/ori"), n, version),
        crystal_symmetry=(sections["cell/crysym"].word() if "cell/crysym" in sections else None),
        periodic="periodicity" in sections,
        unit=unit,
    )


# ---------------------------------------------------------------------------------------------
# Meaning
# ---------------------------------------------------------------------------------------------


def _ids(section, n):
    if section is None:
        return np.arange(1, n + 1)
    section.read_numbers()
    ids = section.whole(0, n, 0, 2**53, f"the {n} whole numbers that are the cells' ids")
    if len(section.words) > n:
        raise section.wrong(n, f"end the ids of {n} cells")
    again = np.setdiff1d(np.arange(n), np.unique(ids, return_index=True)[1])
    if len(again):
        raise section.wrong(int(again[0]), "name each cell differently")
    return np.array(ids)


def _seeds(section, n):
    if section is None:
        return None, None
    section.read_numbers()
    rows = section.numbered(0, n, 5, "seeds")
    return rows[:, :3], rows[:, 3]


def _orientations(section, n, version):
    if section is None:
        return None
    try:
        name, opposite = orientations.parse_descriptor(" ".join(section.words[:1]), version)
    except ValueError:
        raise section.wrong(0, "name one of Neper's descriptors of orientations") from None
    section.read_numbers(start=1)
    values = section.table(1, n, orientations.width(name), "orientations")
    try:
        return orientations.matrices(name, opposite, values)
    except ValueError as error:
        raise ValueError(
            f"the orientations from line {section.line_of(1)} of {section.path} on must be "
            f"rotations: {error}"
        ) from error


def _vertices(section):
    n = section.count("number of vertices")
    return section.numbered(1, n, 5, "vertices")[:, :3]


def _check_edges(section, vertices):
    """The number of edges; the faces name their vertices themselves."""
    n = section.count("number of edges")
    section.numbered(1, n, 4, "edges")
    for k in range(2, len(section.words), 4):
        section.whole(k, 2, 1, vertices, f"a vertex, 1 to {vertices}")
    return n


def _loops(section, vertices, edges):
    """Of each face the vertices, from 1, and the corner or place that it is to be cut at."""
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
        section.whole(k + 1, corners, 1, edges, f"an edge, ±1 to ±{edges}", signed=True)
        k += 1 + corners
        if len(section.words) < k + 9:
            raise section.wrong(len(section.words), "hold a face's plane, state and point")
        [point] = section.whole(k + 5, 1, -1, corners, f"a face's point, -1 to {corners}")
        points.append((point, section.numbers[k + 6 : k + 9]))
        k += 9
    if len(loops) != n:
        raise section.wrong(0, f"hold the number of faces that follow, {len(loops)}")
    order = section.order(starts, numbers, "faces")
    return [loops[k] for k in order], [points[k] for k in order]


def _surfaces(section, cells, faces):
    """Of each cell the faces, from 1, with a minus where their vertices run the other way round."""
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
        surface = section.whole(k + 2, m, 1, faces, f"a face, ±1 to ±{faces}", signed=True)
        for j, side in enumerate(surface):
            if side in sides:
                raise section.wrong(k + 2 + j, "hold a side of a face that no other cell has")
            sides.add(side)
        surfaces.append(surface)
        k += 2 + m
    if len(surfaces) != n:
        raise section.wrong(0, f"hold the number of polyhedra that follow, {len(surfaces)}")
    return [surfaces[k] for k in section.order(starts, numbers, "polyhedra")]


# ---------------------------------------------------------------------------------------------
# Geometry
# ---------------------------------------------------------------------------------------------


def _with_flat_faces(vertices, loops, points, surfaces):
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
        point, place = points[f]
        if point > 0:
            loop = loop[point - 1 :] + loop[: point - 1]
            faces[f] = [[loop[0], a, b] for a, b in pairwise(loop[1:])]
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
    for n in np.unique(lengths[lengths > 3]):
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
        polygon if side > 0 else polygon[::-1]
        for side in surface
        for polygon in faces[abs(side) - 1]
    ]
    used = sorted({v for polygon in polygons for v in polygon})
    place = {v: k for k, v in enumerate(used)}
    try:
        body = Polyhedron(
            vertices[used] * unit, [[place[v] for v in polygon] for polygon in polygons]
        )
    except ValueError as error:
        raise ValueError(f"{name} is no closed polyhedron: {error}") from error
    if len(body.triangles) <= _SEARCHED and not body.is_convex and pierces(body, body):
        raise ValueError(f"{name} is no closed polyhedron: its faces run through each other.")
    return body
