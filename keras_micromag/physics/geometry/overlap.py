"""A test whether two grains overlap."""

from typing import NamedTuple

import numpy as np

from keras_micromag.physics.geometry.polyhedron import Polyhedron

TOUCH = 1e-9
"""Grains that overlap by less than this part of their size touch: it is rounding."""

_ROUNDING = 4 * 2.0**-24
"""Bodies that overlap by less than this part of their largest coordinate touch. Files such as STL
hold numbers of 32 bits, which round a coordinate x by up to 2^-24·|x|. A corner so moves by up to
√3·2^-24 of the largest coordinate, and the points of a face by no more than its corners. Two
bodies in contact can then overlap by twice that."""

_MOST = 1e-3
"""Largest tolerance in units of the size of the smaller body. Where rounding moves corners by more,
because the body lies thousands of times its size from the origin, it has no shape left."""


def touch_tol(size: np.ndarray | float, largest: np.ndarray | float) -> np.ndarray:
    """Return how far bodies in contact may overlap by rounding, in metres.

    Args:
        size: of the smaller body in metres.
        largest: magnitude of the largest coordinate of the bodies in metres.
    """
    rounding = np.minimum(_ROUNDING * np.asarray(largest), _MOST * np.asarray(size))
    return np.maximum(TOUCH * np.asarray(size), rounding)


def overlap(a: Polyhedron, b: Polyhedron) -> bool:
    """Return whether two polyhedra share a volume; to touch is not to overlap.

    Convex bodies are tested by the separating axis theorem, which is exact. Others overlap if one
    holds a corner, a part of an edge, the centroid, or a point just below a face of the other.
    Overlaps no deeper than `touch_tol` are rounding.
    """
    largest = max(np.abs(body.vertices).max() for body in (a, b))
    tol = float(touch_tol(min(a.size, b.size), largest))
    if not (a.is_convex and b.is_convex):
        return _holds_part(a, b, tol) or _holds_part(b, a, tol)
    # A face separates nearly all neighbours; the many pairs of edges come last.
    if _separated(np.concatenate([a.normals, b.normals]), a, b, tol):
        return False
    along_a, along_b = (np.diff(x.vertices[x.edges], axis=1)[:, 0] / x.size for x in (a, b))
    axes = np.cross(along_a[:, None], along_b[None]).reshape(-1, 3)
    length = np.linalg.norm(axes, axis=-1)
    axes = axes[length > TOUCH] / length[length > TOUCH, None]
    return not _separated(axes, a, b, tol)


def _separated(axes, a, b, tol):
    """Return whether the bodies' projections onto any of the axes (n, 3) are separate."""
    on_a, on_b = ((x.vertices - a.centroid) @ axes.T for x in (a, b))
    gaps = np.maximum(on_b.min(axis=0) - on_a.max(axis=0), on_a.min(axis=0) - on_b.max(axis=0))
    return bool((gaps >= -tol).any())


def _holds_part(body, other, tol):
    """Return whether `body` holds one of some points of `other`, more than `tol` below its faces.

    The points are the corners, the middle of each part of an edge between faces of `body`, the
    centroid, and points just below the faces.
    """
    corners = other.vertices[other.surface]
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(faces, axis=1, keepdims=True)
    below = corners.mean(axis=1) - 4 * tol * faces / np.where(length > 0, length, 1.0)
    # The centroid of a shell lies in its hole.
    inner = np.concatenate([below, other.centroid[None]])
    inner = inner[other.contains(inner, -tol)]
    points = np.concatenate([other.vertices, _edge_parts(other, body), inner])
    low, high = body.vertices.min(axis=0) + tol, body.vertices.max(axis=0) - tol
    points = points[((points > low) & (points < high)).all(axis=1)]
    return bool(body.contains(points, -tol).any())


def _edge_parts(edges_of, body):
    """Return the middles (n, 3) of the parts into which the faces of `body` cut the edges."""
    s, margin = _crossings(edges_of, body)
    # A crossing too many does no harm. One on the edge between two triangles must not be missed.
    edge, triangle = np.nonzero(margin >= -TOUCH)
    ends = np.arange(len(edges_of.edges))
    edge = np.concatenate([edge, ends, ends])
    s = np.concatenate([s[edge[: len(triangle)], triangle], 0.0 * ends, 0.0 * ends + 1.0])
    order = np.lexsort((s, edge))
    edge, s = edge[order], s[order]
    same = edge[1:] == edge[:-1]
    middle = (0.5 * (s[1:] + s[:-1]))[same, None]
    start, end = np.moveaxis(edges_of.vertices[edges_of.edges[edge[1:][same]]], 1, 0)
    return start + middle * (end - start)


def pierces(edges_of: Polyhedron, body: Polyhedron) -> bool:
    """Return whether an edge of one body passes through the inside of a face of the other.

    The faces are triangulated. An edge that passes between two triangles counts as outside.
    """
    return bool((_crossings(edges_of, body).margin > TOUCH).any())


class _Crossings(NamedTuple):
    """Where each edge of a body meets the plane of each triangle of another.

    Attributes:
        s: (e, t) position on the edge, from 0 at its start to 1 at its end.
        margin: (e, t) the smallest of s, 1 - s and the point's three barycentric coordinates in the
            triangle; -inf where the edge runs along the plane.
    """

    s: np.ndarray
    margin: np.ndarray


def _crossings(edges_of, body):
    """Return the `_Crossings` of the edges of one body with the triangles of the other."""
    start = edges_of.vertices[edges_of.edges[:, 0]][:, None]
    along = edges_of.vertices[edges_of.edges[:, 1]][:, None] - start
    corner, u, v = np.moveaxis(body.vertices[body.surface], 1, 0)
    u, v = u - corner, v - corner
    # start + s·along = corner + p·u + q·v, by Cramer's rule.
    normal = np.cross(u, v)
    steep = -np.einsum("eti,ti->et", np.broadcast_to(along, (len(along), *u.shape)), normal)
    flat = np.abs(steep) <= TOUCH * body.size**2 * edges_of.size
    steep = np.where(flat, 1.0, steep)
    to = start - corner
    turn = np.cross(to, along)
    s = np.einsum("eti,ti->et", to, normal) / steep
    p = np.einsum("ti,eti->et", v, turn) / steep
    q = -np.einsum("ti,eti->et", u, turn) / steep
    margin = np.minimum.reduce([s, 1.0 - s, p, q, 1.0 - p - q])
    return _Crossings(s, np.where(flat, -np.inf, margin))
