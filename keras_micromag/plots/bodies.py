"""Grains as they are drawn: surfaces of convex rings, which a plane may have cut open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_FLAT = 1e-9
"""Corners nearer to the cutting plane than this part of a body's size lie on it."""


@dataclass(frozen=True)
class Body:
    """A closed surface.

    Attributes:
        vertices: (v, 3) in metres.
        rings: convex polygons, counter-clockwise seen from outside, as indices of vertices.
        normals: (r, 3) outward unit normals of the rings.
        convex: whether the body is.
    """

    vertices: np.ndarray
    rings: list
    normals: np.ndarray
    convex: bool


def body_of(grain) -> Body:
    """A `Polyhedron` as a body."""
    if grain.is_convex:
        return Body(grain.vertices, list(grain.faces), grain.normals, True)
    rings, normals = [], []
    for face, normal in zip(grain.faces, grain.normals, strict=True):
        parts = _convex_parts(grain.vertices, face, normal)
        rings += parts
        normals += [normal] * len(parts)
    return Body(grain.vertices, rings, np.array(normals), False)


def cut_open(body: Body, normal: np.ndarray, offset: float) -> Body | None:
    """What lies on the inner side, normal @ x <= offset, closed by its cross-section.

    Args:
        body: to be cut.
        normal: (3,) unit vector.
        offset: in metres.

    Returns:
        The part, or None where nothing is left.

    Raises:
        ValueError: when the cross-section has a hole, or touches itself.
    """
    height = body.vertices @ normal - offset
    height[np.abs(height) <= _FLAT * np.ptp(body.vertices, axis=0).max()] = 0.0
    if height.max() <= 0:
        return body
    if height.min() >= 0:
        return None
    vertices, crossings = list(body.vertices), {}

    def crossing(i, j):
        """The vertex where the edge from i, which is kept, to j meets the plane."""
        if height[i] == 0:
            return i
        # By its edge, so that the rings on both sides of it share the vertex.
        if (i, j) not in crossings:
            crossings[i, j] = len(vertices)
            share = height[i] / (height[i] - height[j])
            vertices.append(vertices[i] + share * (vertices[j] - vertices[i]))
        return crossings[i, j]

    rings, normals, along = [], [], {}
    for ring, outward in zip(body.rings, body.normals, strict=True):
        part, entry, leave = [], None, None
        for i, j in zip(ring, (*ring[1:], ring[0]), strict=True):
            if height[i] <= 0:
                part.append(i)
            if height[i] <= 0 < height[j]:
                leave = crossing(i, j)
                part.append(leave)
            elif height[j] <= 0 < height[i]:
                entry = crossing(j, i)
                part.append(entry)
        part = list(dict.fromkeys(part))
        if len(part) >= 3:
            rings.append(tuple(part))
            normals.append(outward)
        if entry != leave:
            _require_simple(entry not in along)
            along[entry] = leave
    vertices = np.array(vertices)
    for section in _closed(along):
        parts = [section] if body.convex else _convex_parts(vertices, section, normal)
        rings += parts
        normals += [normal] * len(parts)
    used, renumbered = np.unique(np.concatenate(rings), return_inverse=True)
    ends = np.cumsum([len(ring) for ring in rings])
    rings = [tuple(ring) for ring in np.split(renumbered, ends[:-1])]
    return Body(vertices[used], rings, np.array(normals), body.convex)


def _closed(along):
    """Closed rings of vertices, from the vertex that follows each."""
    while along:
        start, vertex = along.popitem()
        ring = [start]
        while vertex != start:
            ring.append(vertex)
            vertex = along.pop(vertex)
        yield tuple(ring)


def _require_simple(simple):
    """Raise unless a section is a polygon that neither has holes nor meets itself."""
    if not simple:
        raise ValueError(
            "`cut` must meet each grain in areas without holes that touch nowhere; received a "
            "plane that meets one otherwise."
        )


def _convex_parts(vertices, face, normal):
    """A flat simple polygon as convex ones: itself, or triangles made by clipping its ears."""
    points = vertices[list(face)]
    side = (points[1] - points[0]) / np.linalg.norm(points[1] - points[0])
    flat = (points - points[0]) @ np.stack([side, np.cross(normal, side)], axis=1)
    flat = flat / np.ptp(flat, axis=0).max()
    before, after = np.roll(flat, 1, axis=0), np.roll(flat, -1, axis=0)
    _require_simple(cross(flat, after).sum() > 0)  # a hole runs the other way round
    if (cross(flat - before, after - flat) >= -_FLAT).all():
        return [tuple(face)]
    left, triangles = list(range(len(face))), []
    while len(left) > 3:
        place = next((k for k in range(len(left)) if _is_ear(flat, left, k)), 0)
        triangles.append((left[place - 1], left[place], left[(place + 1) % len(left)]))
        del left[place]
    return [tuple(face[i] for i in triangle) for triangle in [*triangles, left]]


def _is_ear(flat, left, k):
    """Whether the triangle of a corner and its neighbours lies inside and is empty."""
    corners = [left[k - 1], left[k], left[(k + 1) % len(left)]]
    a, b, c = flat[corners]
    if cross(b - a, c - a) < -_FLAT:
        return False
    others = flat[[i for i in left if i not in corners]]
    inside = [cross(q - p, others - p) > _FLAT for p, q in ((a, b), (b, c), (c, a))]
    return not np.logical_and.reduce(inside).any()


def cross(a, b):
    """(...) a × b of vectors in the plane (..., 2)."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
