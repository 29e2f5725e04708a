"""Read grains from surface meshes: OBJ, OFF, PLY, STL and other formats that `trimesh` reads."""

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from keras_micromag.physics.geometry.polygons import triangulate
from keras_micromag.physics.geometry.polyhedron import Polyhedron
from keras_micromag.physics.io.mesh_files import read_obj, read_off, read_ply
from keras_micromag.utils import checks

_FLAT = 0.5e-9
"""Distance from a plane, in units of the size of the body, up to which a corner lies in the plane:
half of the tolerance of `Polyhedron`."""

_READERS = {".obj": read_obj, ".off": read_off, ".ply": read_ply}
"""Readers of files of polygons. All other formats are read by `trimesh`."""


def read_surfaces(
    paths: str | os.PathLike | Sequence[str | os.PathLike], *, unit: float = 1.0
) -> tuple[Polyhedron, ...]:
    r"""Read grains from files of surface meshes.

    Files of OBJ, OFF and PLY may hold any flat simple polygons, convex or not. Others, such as STL,
    are read by the package `trimesh`.

    Args:
        paths: one path or several.
        unit: metres per unit of length of the files, such as 1e-9 for nanometres.

    Returns:
        Every closed body of every file, in the order of the files and of their triangles. Touching
        triangles in one plane (to 1e-9 of the size of the body) become one face, unless it would
        have holes. Corners that then lie in the middle of an edge are removed.

    Raises:
        ModuleNotFoundError: when `trimesh` is needed and not installed.
        FileNotFoundError: when a file does not exist.
        ValueError: when a file is not a mesh, or a body is not closed. The message names the file
            and the body.

    Notes:
        Where the triangles do not form closed surfaces, corners with equal coordinates are merged:
        in an STL file, touching triangles have nothing else in common. Bodies in one binary STL
        file must therefore not touch each other; write each to a file of its own. The solids of an
        STL file of text, and the meshes of a scene (GLB, 3MF), are merged each for itself where
        that closes all of them. Triangles are wound anew where normals point inwards. A cavity
        would become a body of its own inside another. Intersections between faces are not searched
        for.

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
    """Return the polyhedra of one file."""
    meshes = [(vertices, triangulate(vertices, polygons)) for vertices, polygons in _load(path)]
    merged = [_merge_corners(*mesh) for mesh in meshes]
    if len(meshes) > 1 and not all(_closed(triangles) for _, triangles in merged):
        # Each mesh may be a part of the surface of a body.
        together = _merge_corners(*_concatenated(meshes))
        merged = [together] if _closed(together[1]) else merged
    bodies = []
    for vertices, triangles in merged:
        for body in _bodies(triangles):
            try:
                bodies.append(_polyhedron(vertices, body, unit))
            except ValueError as error:
                raise ValueError(
                    f"body {len(bodies)} of {path} is not a closed polyhedron: {error}"
                ) from error
    return bodies


def _merge_corners(vertices, triangles):
    """Return a mesh with corners of equal coordinates merged, unless it is closed without that."""
    if _closed(triangles):
        return vertices, triangles
    vertices, index = np.unique(vertices, axis=0, return_inverse=True)
    triangles = index[triangles]
    a, b, c = triangles.T
    return vertices, triangles[(a != b) & (b != c) & (c != a)]


def _concatenated(meshes):
    """Return several meshes as one."""
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in meshes)])[:-1]
    return (
        np.concatenate([vertices for vertices, _ in meshes]),
        np.concatenate([start + mesh[1] for start, mesh in zip(starts, meshes, strict=True)]),
    )


def _load(path):
    """Return the meshes of a file: vertices (v, 3), and polygons as lists of vertex indices."""
    read = _READERS.get(os.path.splitext(path)[1].lower())
    trimesh = None if read else _import_trimesh()
    with open(path, "rb"):  # raises FileNotFoundError, which trimesh's errors would hide
        pass
    try:
        meshes = [read(path)] if read else _triangles(trimesh, path)
        meshes = [(np.array(vertices, float), polygons) for vertices, polygons in meshes]
    except Exception as error:  # the readers raise errors of many types
        raise ValueError(
            f"`paths` must name meshes that can be read; {path} is none: {error!r:.200}."
        ) from error
    meshes = [
        (vertices, [polygon for polygon in map(_distinct, polygons) if len(polygon) > 2])
        for vertices, polygons in meshes
    ]
    meshes = [_checked(path, *mesh) for mesh in meshes if mesh[1]]
    if not meshes:
        raise ValueError(f"`paths` must name surface meshes; {path} has no faces.")
    return meshes


def _checked(path, vertices, polygons):
    """Return a mesh; raise where it is not one of polygons in space."""
    if vertices.shape[1:] != (3,):
        raise ValueError(f"`paths` must name meshes of faces in space; {path} is none.")
    if min(map(min, polygons)) < 0 or max(map(max, polygons)) >= len(vertices):
        raise ValueError(f"`paths` must name surface meshes; {path} has faces without corners.")
    if not (np.abs(vertices) < checks.LARGEST).all():
        raise ValueError(
            f"`paths` must name meshes of coordinates smaller than {checks.LARGEST:g}; {path} has "
            "others."
        )
    return vertices + 0.0, polygons  # turns −0 into 0, from which np.unique distinguishes it


def _import_trimesh():
    """Return the package `trimesh`; raise a sentence where it is not installed."""
    try:
        import trimesh
    except ModuleNotFoundError as error:
        if error.name != "trimesh":
            raise
        raise ModuleNotFoundError(
            "Surface meshes but OBJ, OFF and PLY need trimesh, which is not installed: "
            'pip install "keras-micromag[mesh]".',
            name=error.name,
        ) from None
    return trimesh


def _triangles(trimesh, path):
    """Return the vertices and triangles of each mesh of a file, which may hold lines too."""
    with _silent("trimesh"), np.errstate(all="ignore"):
        scene = trimesh.load_scene(path, process=False)
        meshes = (mesh for mesh in scene.dump() if hasattr(mesh, "faces"))
        return [(np.array(mesh.vertices), mesh.faces.tolist()) for mesh in meshes]


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """Hold back what a package logs: `trimesh` logs tracebacks of errors that it goes on from."""
    logger, nowhere = logging.getLogger(name), logging.NullHandler()
    before, logger.propagate = logger.propagate, False
    logger.addHandler(nowhere)  # without any handler, warnings would go to stderr
    try:
        yield
    finally:
        logger.removeHandler(nowhere)
        logger.propagate = before


def _distinct(polygon):
    """Return a polygon without corners that repeat the one before."""
    return [v for k, v in enumerate(polygon) if v != polygon[k - 1]]


# ---------------------------------------------------------------------------------------------
# Connected triangles
# ---------------------------------------------------------------------------------------------


def _directed_edges(triangles):
    """Return (3n, 2) directed edges, the three of a triangle one after another."""
    return triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)


def _undirected_edges(triangles):
    """Return the distinct edges (e, 2), and (e,) in how many triangles each is."""
    edges = np.sort(_directed_edges(triangles), axis=1)
    return np.unique(edges, axis=0, return_counts=True)


def _closed(triangles):
    """Return whether every edge belongs to two triangles."""
    _, counts = _undirected_edges(triangles)
    return bool((counts == 2).all())


def _bodies(triangles):
    """Yield the triangles (k, 3) of each connected body, wound consistently if that is possible."""
    n = len(triangles)
    first, second, consistent = _neighbours(triangles)
    # Each triangle is two nodes of a graph: as it is, and reversed. Nodes of neighbours that are
    # wound consistently are connected, so that the component of a node is an orientation.
    links = np.concatenate(
        [
            np.stack([first, np.where(consistent, second, second + n)]),
            np.stack([first + n, np.where(consistent, second + n, second)]),
        ],
        axis=1,
    )
    orientation = _components(links, 2 * n)
    for members in _groups(_components(np.stack([first, second]), n)):
        reverse = orientation[members] != orientation[members[0]]
        body = triangles[members]
        body[reverse] = body[reverse, ::-1]
        yield body


def _components(links, n):
    """Return (n,) the component of each node of a graph with the given links (2, k)."""
    graph = coo_array((np.ones(links.shape[1], bool), links), shape=(n, n))
    return connected_components(graph, directed=False)[1]


def _groups(labels):
    """Return the indices that have each label, label by label, in rising order."""
    ends = np.cumsum(np.bincount(labels))[:-1]
    return np.split(np.argsort(labels, kind="stable"), ends)


def _neighbours(triangles):
    """Return pairs of triangles with a common edge, and whether their windings are consistent.

    Consistently wound neighbours run along their common edge in opposite directions.
    """
    edges = _directed_edges(triangles)
    owner = np.repeat(np.arange(len(triangles)), 3)
    order = np.lexsort(np.sort(edges, axis=1).T)
    edges, owner = edges[order], owner[order]
    same = (np.sort(edges[1:], axis=1) == np.sort(edges[:-1], axis=1)).all(axis=1)
    opposite = edges[:-1, 0] != edges[1:, 0]
    return owner[:-1][same], owner[1:][same], opposite[same]


# ---------------------------------------------------------------------------------------------
# Polygons
# ---------------------------------------------------------------------------------------------


def _polyhedron(vertices, triangles, unit):
    """Return the polyhedron of a closed surface, in metres."""
    edges, counts = _undirected_edges(triangles)
    if (counts != 2).any():
        k = np.flatnonzero(counts != 2)[0]
        position = ", ".join(f"{x:g}" for x in vertices[edges[k]].mean(axis=0))
        raise ValueError(f"the edge at ({position}) must be in 2 triangles; it is in {counts[k]}.")
    corner, u, v = np.moveaxis(vertices[triangles] - vertices[triangles[0, 0]], 1, 0)
    if np.einsum("ti,ti->", corner, np.cross(u, v)) < 0:  # the volume: normals point inwards
        triangles = triangles[:, ::-1]
    faces = _without_straight_corners(vertices, _merged_faces(vertices, triangles))
    used, index = np.unique([v for face in faces for v in face], return_inverse=True)
    ends = np.cumsum([len(face) for face in faces])[:-1]
    return Polyhedron(vertices[used] * unit, np.split(index, ends))


def _merged_faces(vertices, triangles):
    """Return polygons: touching triangles in one plane merged, where they have a simple outline."""
    points = vertices[triangles]
    size = np.ptp(points.reshape(-1, 3), axis=0).max()
    areas = np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0])
    coplanar = _coplanar_neighbours(triangles, points, areas, _FLAT * size)
    faces = []
    for members in _groups(_components(coplanar, len(triangles))):
        outline = _outline(triangles[members]) if len(members) > 1 else None
        if outline is not None:
            area = areas[members].sum(axis=0)
            height = (vertices[outline] - vertices[outline[0]]) @ (area / np.linalg.norm(area))
        if outline is not None and np.abs(height).max() <= _FLAT * size:
            faces.append(outline)
        else:
            faces.extend(triangles[members].tolist())
    return faces


def _coplanar_neighbours(triangles, points, areas, tol):
    """Return pairs (2, k) of neighbouring triangles that lie in one plane and face the same way.

    `points` (n, 3, 3) are the corners of the triangles, `areas` (n, 3) their vector areas, twice.
    """
    length = np.linalg.norm(areas, axis=1, keepdims=True)
    normals = areas / np.where(length > 0, length, 1.0)

    def height(a, b):
        """Return how far the corners of triangles b are from the planes of triangles a."""
        heights = np.einsum("nvi,ni->nv", points[b] - points[a, :1], normals[a])
        return np.abs(heights).max(axis=1)

    first, second, _ = _neighbours(triangles)
    coplanar = np.maximum(height(first, second), height(second, first)) <= tol
    coplanar &= np.einsum("ni,ni->n", normals[first], normals[second]) > 0
    return np.stack([first[coplanar], second[coplanar]])


def _outline(triangles):
    """Return the vertices around connected triangles; None when these are not one simple ring."""
    edges = {(a, b) for a, b in _directed_edges(triangles).tolist()}
    outer = [(a, b) for a, b in edges if (b, a) not in edges]
    next_vertex = dict(outer)
    ring = [min(next_vertex)]
    while (vertex := next_vertex[ring[-1]]) != ring[0] and len(ring) < len(next_vertex):
        ring.append(vertex)
    return ring if len(ring) == len(outer) else None


def _without_straight_corners(vertices, faces):
    """Return the polygons without corners that lie in the middle of an edge of two polygons."""
    face_counts = Counter(v for face in faces for v in face)
    of_two = {v for v, count in face_counts.items() if count == 2}
    bent = set()
    for face in faces:
        if of_two.isdisjoint(face):  # as in most files of triangles
            continue
        corners = vertices[face]
        previous = np.roll(corners, 1, axis=0)
        chord = np.roll(corners, -1, axis=0) - previous
        from_previous = corners - previous
        chord_length = np.linalg.norm(chord, axis=1)
        twice_area = np.linalg.norm(np.cross(from_previous, chord), axis=1)
        tol = _FLAT * np.ptp(corners, axis=0).max()
        # The distance of a corner from the chord between its neighbours is twice_area / length.
        straight = np.einsum("vi,vi->v", from_previous, chord) > 0
        straight &= twice_area <= tol * chord_length
        bent.update(v for v, on_chord in zip(face, straight, strict=True) if not on_chord)
    straight_corners = of_two - bent
    return [[v for v in face if v not in straight_corners] for face in faces]
