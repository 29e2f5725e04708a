"""Grains from the files of surface meshes: STL, PLY, OBJ, OFF and what else `trimesh` reads."""

import os
from collections import Counter

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from keras_micromag.physics.geometry.polyhedron import Polyhedron
from keras_micromag.utils import checks

_FLAT = 0.5e-9
"""Half of what `Polyhedron` allows a face to leave its plane, in units of the body's size."""

_LARGEST = 1e50
"""Of coordinates: products of four of them must not overflow."""


def read_surfaces(paths, *, unit: float = 1.0) -> tuple[Polyhedron, ...]:
    r"""Read grains from files of surface meshes, through the package `trimesh`.

    Args:
        paths: of the files, or one of them.
        unit: metres per unit of length of the files, such as 1e-9 for nanometres.

    Returns:
        Every closed body of every file, in the order of the files and of their triangles. Triangles
        that lie in one plane (to 1e-9 of the body's size) and touch are one face, unless that had
        holes; corners that are then in the middle of an edge are left out.

    Raises:
        ModuleNotFoundError: when `trimesh` is not installed.
        FileNotFoundError: when there is no such file.
        ValueError: naming file and body, when a file is no mesh or a body is not closed.

    Notes:
        Where the triangles do not close the bodies as they are, corners with equal coordinates are
        made one: STL has no other way to say that triangles touch. Bodies in one STL file must
        therefore not touch; put each into a file of its own. Bodies are turned outside out. A
        cavity would be a body of its own, inside another. Whether faces run through each other is
        not looked at.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from keras_micromag.physics.io.surfaces import read_surfaces
        >>> text = "OFF,4 4 0,0 0 0,1 0 0,0 1 0,0 0 1,3 0 2 1,3 0 1 3,3 0 3 2,3 1 2 3"
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "corner.off")
        ...     _ = path.write_text(text.replace(",", "\n"))
        ...     [corner] = read_surfaces(path, unit=1e-9)
        >>> corner.size, round(corner.volume * 1e27, 6)
        (1e-09, 0.166667)
    """
    unit = checks.number(unit, "unit", above=0)
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    return tuple(body for path in paths for body in _read(os.fspath(path), unit))


def _read(path, unit):
    vertices, triangles = _load(path)
    if not _closed(triangles):
        vertices, index = np.unique(vertices, axis=0, return_inverse=True)
        triangles = index[triangles]
        a, b, c = triangles.T
        triangles = triangles[(a != b) & (b != c) & (c != a)]
    bodies = []
    for k, body in enumerate(_bodies(triangles)):
        try:
            bodies.append(_polyhedron(vertices, body, unit))
        except ValueError as error:
            raise ValueError(f"body {k} of {path} is no closed polyhedron: {error}") from error
    return bodies


def _load(path):
    """Vertices (v, 3) and triangles (n, 3) of a file."""
    try:
        import trimesh
    except ModuleNotFoundError as error:
        if error.name != "trimesh":
            raise
        raise ModuleNotFoundError(
            "Surface meshes need trimesh, which is not installed: "
            'pip install "keras-micromag[mesh]".',
            name=error.name,
        ) from None
    with open(path, "rb"):  # what is missing is no bad mesh
        pass
    try:
        mesh = trimesh.load_mesh(path, process=False)
        vertices, triangles = np.asarray(mesh.vertices, float), np.asarray(mesh.faces)
    except Exception as error:  # trimesh raises whatever its readers happen to run into
        raise ValueError(
            f"`paths` must name meshes that trimesh can read; {path} is none: {error!r:.200}."
        ) from error
    if not len(triangles):
        raise ValueError(f"`paths` must name surface meshes; {path} has no triangles.")
    if vertices.shape[1:] != (3,) or triangles.shape[1:] != (3,):
        raise ValueError(f"`paths` must name meshes of triangles in space; {path} is none.")
    if triangles.min() < 0 or triangles.max() >= len(vertices):
        raise ValueError(f"`paths` must name surface meshes; {path} has triangles without corners.")
    if not (np.abs(vertices) < _LARGEST).all():
        raise ValueError(
            f"`paths` must name meshes of coordinates smaller than {_LARGEST:g}; {path} has others."
        )
    return vertices + 0.0, triangles  # no −0, which np.unique tells from 0


# ---------------------------------------------------------------------------------------------
# Triangles that touch
# ---------------------------------------------------------------------------------------------


def _sides(triangles):
    """(3n, 2) directed edges, those of each triangle together."""
    return triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)


def _closed(triangles):
    _, times = np.unique(np.sort(_sides(triangles), axis=1), axis=0, return_counts=True)
    return bool((times == 2).all())


def _bodies(triangles):
    """Sets of triangles that hang together by edges, wound alike where they can be."""
    n = len(triangles)
    first, second, alike = _neighbours(triangles)
    # Each triangle is two nodes, as it is and turned over; nodes that fit are linked.
    links = np.concatenate(
        [
            np.stack([first, np.where(alike, second, second + n)]),
            np.stack([first + n, np.where(alike, second + n, second)]),
        ],
        axis=1,
    )
    graph = coo_array((np.ones(links.shape[1], bool), links), shape=(2 * n, 2 * n))
    side = connected_components(graph, directed=False)[1]
    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(n, n))
    body = connected_components(graph, directed=False)[1]
    for members in np.split(np.argsort(body, kind="stable"), np.cumsum(np.bincount(body))[:-1]):
        turned = side[members] != side[members[0]]
        part = triangles[members]
        part[turned] = part[turned, ::-1]
        yield part


def _neighbours(triangles):
    """Pairs of triangles with a common edge, and whether they run along it in opposite ways."""
    sides = _sides(triangles)
    owner = np.repeat(np.arange(len(triangles)), 3)
    order = np.lexsort(np.sort(sides, axis=1).T)
    sides, owner = sides[order], owner[order]
    same = (np.sort(sides[1:], axis=1) == np.sort(sides[:-1], axis=1)).all(axis=1)
    opposite = sides[:-1, 0] != sides[1:, 0]
    return owner[:-1][same], owner[1:][same], opposite[same]


# ---------------------------------------------------------------------------------------------
# Polygons
# ---------------------------------------------------------------------------------------------


def _polyhedron(vertices, triangles, unit):
    edges, times = np.unique(np.sort(_sides(triangles), axis=1), axis=0, return_counts=True)
    if (times != 2).any():
        k = np.flatnonzero(times != 2)[0]
        at = ", ".join(f"{x:g}" for x in vertices[edges[k]].mean(axis=0))
        raise ValueError(f"the edge at ({at}) must be in 2 triangles; it is in {times[k]}.")
    corner, u, v = np.moveaxis(vertices[triangles] - vertices[triangles[0, 0]], 1, 0)
    if np.einsum("ti,ti->", corner, np.cross(u, v)) < 0:
        triangles = triangles[:, ::-1]
    faces = _without_straight_corners(vertices, _joined(vertices, triangles))
    used, index = np.unique([v for face in faces for v in face], return_inverse=True)
    ends = np.cumsum([len(face) for face in faces])[:-1]
    return Polyhedron(vertices[used] * unit, np.split(index, ends))


def _joined(vertices, triangles):
    """Polygons: triangles that touch in one plane are one, if its edge is one ring."""
    first, second, _ = _neighbours(triangles)
    points = vertices[triangles]
    size = np.ptp(points.reshape(-1, 3), axis=0).max()
    area = np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0])
    length = np.linalg.norm(area, axis=1, keepdims=True)
    normal = area / np.where(length > 0, length, 1.0)

    def height(a, b):
        return np.abs(np.einsum("nvi,ni->nv", points[b] - points[a, :1], normal[a])).max(axis=1)

    level = np.maximum(height(first, second), height(second, first)) <= _FLAT * size
    level &= np.einsum("ni,ni->n", normal[first], normal[second]) > 0
    pairs = first[level], second[level]
    graph = coo_array((np.ones(level.sum(), bool), pairs), shape=(len(triangles),) * 2)
    plane = connected_components(graph, directed=False)[1]
    faces = []
    for members in np.split(np.argsort(plane, kind="stable"), np.cumsum(np.bincount(plane))[:-1]):
        ring = _ring(triangles[members]) if len(members) > 1 else None
        if ring is not None:
            total = area[members].sum(axis=0)
            off = (vertices[ring] - vertices[ring[0]]) @ (total / np.linalg.norm(total))
        if ring is not None and np.abs(off).max() <= _FLAT * size:
            faces.append(ring)
        else:
            faces.extend(triangles[members].tolist())
    return faces


def _ring(triangles):
    """The vertices around touching triangles, or None when their edge is not one simple ring."""
    sides = {(a, b) for a, b in _sides(triangles).tolist()}
    following = {a: b for a, b in sides if (b, a) not in sides}
    ring = [min(following)]
    while (vertex := following[ring[-1]]) != ring[0] and len(ring) < len(following):
        ring.append(vertex)
    outer = sum((b, a) not in sides for a, b in sides)
    return ring if len(ring) == outer else None


def _without_straight_corners(vertices, faces):
    """The polygons without the corners that are in the middle of an edge of two of them."""
    times = Counter(v for face in faces for v in face)
    bent = set()
    for face in faces:
        corners = vertices[face]
        along = np.roll(corners, -1, axis=0) - np.roll(corners, 1, axis=0)
        to = corners - np.roll(corners, 1, axis=0)
        length = np.linalg.norm(along, axis=1)
        off = np.linalg.norm(np.cross(to, along), axis=1)
        room = _FLAT * np.ptp(corners, axis=0).max()
        between = (np.einsum("vi,vi->v", to, along) > 0) & (off <= room * length)
        bent.update(v for v, straight in zip(face, between, strict=True) if not straight)
    return [[v for v in face if times[v] != 2 or v in bent] for face in faces]
