"""Surfaces of grains as convex rings, and cuts through them along a plane."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from keras_micromag.physics.geometry.polygons import convex_parts
from keras_micromag.physics.geometry.polyhedron import Polyhedron

_FLAT = 1e-9
"""Distance, in units of the size of a body, up to which a corner lies on the cutting plane."""

_NOT_SIMPLE = (
    "`cut` must meet each grain in areas without holes that touch nowhere; received a plane that "
    "meets one otherwise."
)


@dataclass(frozen=True)
class Body:
    """A closed surface.

    Attributes:
        vertices: (v, 3) in metres.
        rings: convex polygons, counter-clockwise seen from outside, as indices of vertices.
        normals: (r, 3) outward unit normals of the rings.
        convex: whether the body is convex.
    """

    vertices: np.ndarray
    rings: list[tuple[int, ...]]
    normals: np.ndarray
    convex: bool


def body_of(grain: Polyhedron) -> Body:
    """Return a grain as a body, whose faces are divided into convex rings."""
    if grain.is_convex:
        return Body(grain.vertices, list(grain.faces), grain.normals, True)
    rings, normals = [], []
    for face, normal in zip(grain.faces, grain.normals, strict=True):
        parts = convex_parts(grain.vertices, face, normal)
        rings += parts
        normals += [normal] * len(parts)
    return Body(grain.vertices, rings, np.array(normals), False)


def sides_of(ring: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Return the sides of a ring as pairs of vertices."""
    return zip(ring, (*ring[1:], ring[0]), strict=True)


def cut_open(body: Body, normal: np.ndarray, offset: float) -> Body | None:
    """Return the part of a body where normal @ x <= offset, closed by its cross-section.

    Args:
        body: to be cut.
        normal: (3,) unit vector of the plane.
        offset: distance of the plane from the origin along the normal, in metres.

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
        """Return the vertex where the edge from i, which is kept, to j meets the plane."""
        if height[i] == 0:
            return i
        # Looked up by its edge, so that the rings on both sides of the edge share the vertex.
        if (i, j) not in crossings:
            crossings[i, j] = len(vertices)
            share = height[i] / (height[i] - height[j])
            vertices.append(vertices[i] + share * (vertices[j] - vertices[i]))
        return crossings[i, j]

    # next_vertex follows the outline of the cross-section.
    rings, normals, next_vertex = [], [], {}
    for ring, outward in zip(body.rings, body.normals, strict=True):
        part, entry, leave = [], None, None
        for i, j in sides_of(ring):
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
            if entry in next_vertex:
                raise ValueError(_NOT_SIMPLE)
            next_vertex[entry] = leave
    vertices = np.array(vertices)
    for section in _closed_rings(next_vertex):
        parts = [section] if body.convex else _convex_section(vertices, section, normal)
        rings += parts
        normals += [normal] * len(parts)
    used, renumbered = np.unique(np.concatenate(rings), return_inverse=True)
    ends = np.cumsum([len(ring) for ring in rings])
    rings = [tuple(ring) for ring in np.split(renumbered, ends[:-1])]
    return Body(vertices[used], rings, np.array(normals), body.convex)


def _convex_section(vertices, section, normal):
    """Return the convex parts of a cross-section."""
    try:
        return convex_parts(vertices, section, normal)
    except ValueError:  # the section is the outline of a hole, which runs clockwise
        raise ValueError(_NOT_SIMPLE) from None


def _closed_rings(next_vertex):
    """Yield closed rings of vertices, given the vertex that follows each."""
    while next_vertex:
        start, vertex = next_vertex.popitem()
        ring = [start]
        while vertex != start:
            ring.append(vertex)
            vertex = next_vertex.pop(vertex)
        yield tuple(ring)
