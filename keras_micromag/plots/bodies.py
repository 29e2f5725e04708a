"""Grains as they are drawn: surfaces of convex rings, which a plane may have cut open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from keras_micromag.physics.geometry.polygons import convex_parts

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
        parts = convex_parts(grain.vertices, face, normal)
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
        parts = [section] if body.convex else _parts(vertices, section, normal)
        rings += parts
        normals += [normal] * len(parts)
    used, renumbered = np.unique(np.concatenate(rings), return_inverse=True)
    ends = np.cumsum([len(ring) for ring in rings])
    rings = [tuple(ring) for ring in np.split(renumbered, ends[:-1])]
    return Body(vertices[used], rings, np.array(normals), body.convex)


def _parts(vertices, section, normal):
    try:
        return convex_parts(vertices, section, normal)
    except ValueError:  # the edge of a hole runs the other way round
        _require_simple(False)


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
