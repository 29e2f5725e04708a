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
"""Versions of the format: Neper 3.0 to 3.3 wrote 2.0, Neper up to 4.9 3.4, and later ones 3.5."""

_FLAT = 0.5e-9
"""Distance, in units of the size of the smaller cell, up to which a corner lies in the plane of its
face. This is half of the tolerance of `Polyhedron`, which measures after rounding to metres."""

_MAX_SEARCHED = 1000
"""Number of triangles above which a cell is not searched for faces that intersect, since the search
compares each triangle with each edge. Cells of Neper have about a hundred."""


def read_neper(path: str | os.PathLike, *, unit: float = 1e-6) -> Tessellation:
    """Read a tessellation file (`.tess`) of Neper 3 or 4: formats 2.0, 3.3, 3.4 and 3.5.

    Args:
        path: of the file, which must be three-dimensional.
        unit: metres per unit of length of the file. Neper has no unit, and its default domain is a
            cube of edge 1: a magnet of 1 µm by default.

    Returns:
        The cells in the order of the file.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when the file is not of this format, or a cell is not a closed polyhedron. The
            message names the line or the cell.

    Notes:
        The reader uses the ids, seeds, orientations and crystal symmetry of the cells, the
        vertices, faces and polyhedra, and whether there is periodicity. It skips the lamellae,
        modes, groups, orientation spreads and weights of the cells, the states of vertices and
        edges, the equations of the faces, the domain, the scales, and which vertices, edges and
        faces are periodic images. Any other section is an error.

        Neper's regularisation bends faces, and a file has only twelve decimals. A face that leaves
        its plane by more than `Polyhedron` allows is divided into triangles about the point that
        the file gives for it (the mean of its corners where that is undefined). Both of its cells
        get the same triangles, so that they still fill the same space. Such cells are seldom
        convex. In Neper, too, curved domains (cylinders, spheres) are bounded by flat faces.

        Orientations: see `orientations`. Files of Neper 3 name no convention. Neper since 4.10
        reads them as if their rotations were opposite; this reader follows Neper 3.

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
# Contents of the sections
# ---------------------------------------------------------------------------------------------


def _ids(section, n):
    """Return the ids (n,) of the cells: 1 to n where the file has none."""
    if section is None:
        return np.arange(1, n + 1)
    section.read_numbers()
    ids = section.integers(0, n, 0, 2**53, f"the {n} whole numbers that are the cells' ids")
    if len(section.words) > n:
        raise section.error(n, f"end the ids of {n} cells")
    repeated = np.setdiff1d(np.arange(n), np.unique(ids, return_index=True)[1])
    if len(repeated):
        raise section.error(int(repeated[0]), "name each cell differently")
    return np.array(ids)


def _seeds(section, n):
    """Return the seeds (n, 3) and their weights (n,), or None and None."""
    if section is None:
        return None, None
    section.read_numbers()
    rows = section.numbered_table(0, n, 5, "seeds")
    return rows[:, :3], rows[:, 3]


def _orientations(section, n, version):
    """Return the rotation matrices (n, 3, 3) of the crystals, or None."""
    if section is None:
        return None
    try:
        name, opposite = orientations.parse_descriptor(" ".join(section.words[:1]), version)
    except ValueError:
        raise section.error(0, "name one of Neper's descriptors of orientations") from None
    section.read_numbers(start=1)
    values = section.table(1, n, orientations.descriptor_width(name), "orientations")
    try:
        return orientations.rotation_matrices(name, opposite, values)
    except ValueError as error:
        raise ValueError(
            f"the orientations from line {section.line_of(1)} of {section.path} on must be "
            f"rotations: {error}"
        ) from error


def _vertices(section):
    """Return the vertices (v, 3)."""
    n = section.count("number of vertices")
    return section.numbered_table(1, n, 5, "vertices")[:, :3]


def _check_edges(section, vertices):
    """Check the edges and return their number. The cells need no edges: faces list vertices."""
    n = section.count("number of edges")
    section.numbered_table(1, n, 4, "edges")
    for k in range(2, len(section.words), 4):
        section.integers(k, 2, 1, vertices, f"a vertex, 1 to {vertices}")
    return n


def _loops(section, vertices, edges):
    """Return for each face its vertices, counted from 1, and its point.

    A point is a pair (corner, position) about which to divide the face if it is not flat: a corner
    of the face, counted from 1; or, where this is 0, a position (3,); undefined where it is -1.
    """
    n = section.count("number of faces")
    starts, numbers, loops, points = [], [], [], []
    k = 1
    while k < len(section.words):
        number, corners = section.integers(
            k, 2, 0, np.inf, "a face's number and that of its vertices"
        )
        starts.append(k)
        numbers.append(number)
        loops.append(section.integers(k + 2, corners, 1, vertices, f"a vertex, 1 to {vertices}"))
        k += 2 + corners
        if section.integers(k, 1, 0, np.inf, "the number of a face's edges") != [corners]:
            raise section.error(k, f"hold as many edges as vertices, {corners}")
        section.integers(k + 1, corners, 1, edges, f"an edge, ±1 to ±{edges}", signed=True)
        k += 1 + corners
        if len(section.words) < k + 9:
            raise section.error(len(section.words), "hold a face's plane, state and point")
        [point] = section.integers(k + 5, 1, -1, corners, f"a face's point, -1 to {corners}")
        points.append((point, section.numbers[k + 6 : k + 9]))
        k += 9
    if len(loops) != n:
        raise section.error(0, f"hold the number of faces that follow, {len(loops)}")
    order = section.order(starts, numbers, "faces")
    return [loops[k] for k in order], [points[k] for k in order]


def _surfaces(section, cells, faces):
    """Return the faces of each cell, counted from 1.

    The number of a face is negative where its vertices run clockwise seen from outside the cell.
    """
    n = section.count("number of polyhedra")
    if n != cells:
        raise section.error(0, f"hold the number of cells, {cells}")
    starts, numbers, surfaces = [], [], []
    sides = set()
    k = 1
    while k < len(section.words):
        number, m = section.integers(k, 2, 0, np.inf, "a polyhedron's number and that of its faces")
        starts.append(k)
        numbers.append(number)
        surface = section.integers(k + 2, m, 1, faces, f"a face, ±1 to ±{faces}", signed=True)
        for j, side in enumerate(surface):
            if side in sides:
                raise section.error(k + 2 + j, "hold a side of a face that no other cell has")
            sides.add(side)
        surfaces.append(surface)
        k += 2 + m
    if len(surfaces) != n:
        raise section.error(0, f"hold the number of polyhedra that follow, {len(surfaces)}")
    return [surfaces[k] for k in section.order(starts, numbers, "polyhedra")]


# ---------------------------------------------------------------------------------------------
# Geometry
# ---------------------------------------------------------------------------------------------


def _with_flat_faces(vertices, loops, points, surfaces):
    """Return all vertices, and the flat polygons of which each face consists.

    Faces that are not flat are divided into triangles, about a vertex that may be a new one.
    """
    smaller_cell = np.full(len(loops), np.inf)
    for surface in surfaces:
        sides = [abs(side) - 1 for side in surface]
        corners = [v - 1 for side in sides for v in loops[side]]
        size = np.ptp(vertices[corners], axis=0).max() if corners else 0.0
        smaller_cell[sides] = np.minimum(smaller_cell[sides], size)
    faces = [[[v - 1 for v in loop]] for loop in loops]
    added = []
    for f in np.flatnonzero(_distance_from_plane(vertices, loops) > _FLAT * smaller_cell):
        loop = faces[f][0]
        corner, position = points[f]
        if corner > 0:
            loop = loop[corner - 1 :] + loop[: corner - 1]
            faces[f] = [[loop[0], a, b] for a, b in pairwise(loop[1:])]
            continue
        undefined = corner < 0 or not position.any()  # for which Neper writes the origin
        added.append(vertices[loop].mean(axis=0) if undefined else position)
        centre = len(vertices) + len(added) - 1
        faces[f] = [[centre, a, b] for a, b in zip(loop, loop[1:] + loop[:1], strict=True)]
    return np.concatenate([vertices, added]) if added else vertices, faces


def _distance_from_plane(vertices, loops):
    """Return (f,) the largest distance of a corner from the plane of its face.

    The computation is that of `Polyhedron`.
    """
    counts = np.array([len(loop) for loop in loops])
    distance = np.zeros(len(loops))
    for n in np.unique(counts[counts > 3]):
        same = np.flatnonzero(counts == n)
        corners = vertices[np.array([loops[f] for f in same]) - 1]
        spokes = corners[:, 1:] - corners[:, :1]
        area = np.cross(spokes[:, :-1], spokes[:, 1:]).sum(axis=1)
        length = np.linalg.norm(area, axis=1)
        normal = area / np.where(length > 0, length, 1.0)[:, None]
        distance[same] = np.abs(np.einsum("fvi,fi->fv", spokes, normal)).max(axis=1)
    return distance


def _polyhedron(vertices, faces, surface, unit, name):
    """Return the cell bounded by a surface, a list of signed faces, in metres."""
    polygons = [
        polygon if side > 0 else polygon[::-1]
        for side in surface
        for polygon in faces[abs(side) - 1]
    ]
    used = sorted({v for polygon in polygons for v in polygon})
    renumbered = {v: k for k, v in enumerate(used)}
    polygons = [[renumbered[v] for v in polygon] for polygon in polygons]
    try:
        body = Polyhedron(vertices[used] * unit, polygons)
    except ValueError as error:
        raise ValueError(f"{name} is not a closed polyhedron: {error}") from error
    if len(body.triangles) <= _MAX_SEARCHED and not body.is_convex and pierces(body, body):
        raise ValueError(f"{name} is not a closed polyhedron: its faces run through each other.")
    return body
