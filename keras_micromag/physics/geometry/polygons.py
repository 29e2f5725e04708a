"""Flat polygons that need not be convex."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

_FLAT = 1e-9
"""Tolerance of areas and of the convexity of corners, for polygons of size 1."""


def triangulate(vertices: np.ndarray, polygons: Sequence[Sequence[int]]) -> np.ndarray:
    """Return the vertex indices (n, 3) of triangles that cover simple polygons, in their order.

    Polygons whose corners all bend the same way become fans from their first corner. Others are cut
    by ear clipping, so that their triangles neither leave the polygon nor overlap.

    Args:
        vertices: (v, 3).
        polygons: vertex indices around each, at least three. Of a polygon that is not quite flat,
            the projection along its mean normal must be simple.

    Example:
        >>> import numpy as np
        >>> arrow = np.array([[0.0, 0, 0], [2, 1, 0], [0, 2, 0], [1, 1, 0]])
        >>> triangulate(arrow, [(0, 1, 2, 3)]).tolist()
        [[3, 0, 1], [1, 2, 3]]
    """
    counts = np.array([len(polygon) for polygon in polygons])
    parts: dict[int, list] = {}
    # Polygons of as many corners are tested at once: a file may hold millions of quadrilaterals.
    for count in np.unique(counts).tolist():
        indices = np.flatnonzero(counts == count).tolist()
        points = vertices[[polygons[i] for i in indices]]
        before, after = np.roll(points, 1, axis=1), np.roll(points, -1, axis=1)
        turns = np.cross(points - before, after - points)
        normals = np.cross(points - points[:, :1], after - points[:, :1]).sum(axis=1)
        length = np.linalg.norm(normals, axis=1)
        size = np.ptp(points, axis=1).max(axis=1)
        bends = np.einsum("nki,ni->nk", turns, normals)
        fan = (bends > _FLAT * (size**2 * length)[:, None]).all(axis=1)
        # Three corners are a triangle; without an area there is nothing to cut.
        fan |= (count == 3) | (length <= _FLAT * size**2)
        for i, is_fan, normal in zip(indices, fan, normals, strict=True):
            polygon = tuple(polygons[i])
            parts[i] = [polygon] if is_fan else _ears(vertices, polygon, normal)
    return np.array(
        [(p[0], i, j) for k in range(len(polygons)) for p in parts[k] for i, j in pairwise(p[1:])]
    )


def _ears(vertices, polygon, normal):
    """Return the triangles of one polygon, by ear clipping."""
    return _clipped(polygon, _projected(vertices, polygon, normal / np.linalg.norm(normal)))


def convex_parts(
    vertices: np.ndarray, face: Sequence[int], normal: np.ndarray
) -> list[tuple[int, ...]]:
    """Split a flat simple polygon into convex ones: itself, or triangles by ear clipping.

    Args:
        vertices: (v, 3).
        face: vertex indices, counter-clockwise seen against `normal`.
        normal: (3,) unit vector.

    Raises:
        ValueError: when the polygon runs clockwise, as the edge of a hole does.

    Example:
        >>> import numpy as np
        >>> arrow = np.array([[0.0, 0, 0], [2, 1, 0], [0, 2, 0], [1, 1, 0]])
        >>> convex_parts(arrow, (0, 1, 2, 3), np.array([0.0, 0, 1]))
        [(3, 0, 1), (1, 2, 3)]
    """
    flat = _projected(vertices, face, normal)
    before, after = np.roll(flat, 1, axis=0), np.roll(flat, -1, axis=0)
    if cross(flat, after).sum() <= 0:
        raise ValueError("a polygon must be counter-clockwise; this one is not.")
    if (cross(flat - before, after - flat) >= -_FLAT).all():
        return [tuple(face)]
    return _clipped(face, flat)


def _projected(vertices, face, normal):
    """Return the corners (n, 2) of a polygon in a plane across `normal`, in units of its size."""
    points = vertices[list(face)]
    sides = points[1:] - points[0]
    side = sides[(sides != 0).any(axis=1).argmax()]  # the first two corners may coincide
    side = side / np.linalg.norm(side)
    flat = (points - points[0]) @ np.stack([side, np.cross(normal, side)], axis=1)
    return flat / np.ptp(flat, axis=0).max()


def _clipped(face, flat):
    """Return the triangles of a polygon with the corners `flat` (n, 2) in its plane."""
    remaining, triangles = list(range(len(face))), []
    while len(remaining) > 3:
        count = len(remaining)
        ear = next((k for k in range(count) if _is_ear(flat, remaining, k)), 0)
        triangles.append((remaining[ear - 1], remaining[ear], remaining[(ear + 1) % count]))
        del remaining[ear]
    return [tuple(face[i] for i in triangle) for triangle in [*triangles, remaining]]


def _is_ear(flat, remaining, k):
    """Return whether a corner and its neighbours form a triangle that can be cut off.

    It must be convex there, have an area, and hold none of the other corners, also not on the line
    along which it is cut off: what is left could have no area.
    """
    corners = [remaining[k - 1], remaining[k], remaining[(k + 1) % len(remaining)]]
    a, b, c = flat[corners]
    if cross(b - a, c - a) < _FLAT:
        return False
    others = flat[[i for i in remaining if i not in corners]]
    sides = ((a, b, _FLAT), (b, c, _FLAT), (c, a, -_FLAT))
    inside = [cross(q - p, others - p) > least for p, q, least in sides]
    return not np.logical_and.reduce(inside).any()


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the cross product (...) of vectors in the plane (..., 2)."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
