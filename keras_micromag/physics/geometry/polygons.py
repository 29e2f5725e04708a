"""Flat polygons that need not be convex."""

from collections.abc import Sequence

import numpy as np

_FLAT = 1e-9
"""Tolerance of areas and of the convexity of corners, for polygons of size 1."""


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
    points = vertices[list(face)]
    side = (points[1] - points[0]) / np.linalg.norm(points[1] - points[0])
    flat = (points - points[0]) @ np.stack([side, np.cross(normal, side)], axis=1)
    flat = flat / np.ptp(flat, axis=0).max()
    before, after = np.roll(flat, 1, axis=0), np.roll(flat, -1, axis=0)
    if cross(flat, after).sum() <= 0:
        raise ValueError("a polygon must be counter-clockwise; this one is not.")
    if (cross(flat - before, after - flat) >= -_FLAT).all():
        return [tuple(face)]
    remaining, triangles = list(range(len(face))), []
    while len(remaining) > 3:
        count = len(remaining)
        ear = next((k for k in range(count) if _is_ear(flat, remaining, k)), 0)
        triangles.append((remaining[ear - 1], remaining[ear], remaining[(ear + 1) % count]))
        del remaining[ear]
    return [tuple(face[i] for i in triangle) for triangle in [*triangles, remaining]]


def _is_ear(flat, remaining, k):
    """Return whether a corner and its neighbours form a triangle that can be cut off.

    It must be convex there, have an area, and hold none of the other corners.
    """
    corners = [remaining[k - 1], remaining[k], remaining[(k + 1) % len(remaining)]]
    a, b, c = flat[corners]
    if cross(b - a, c - a) < _FLAT:
        return False
    others = flat[[i for i in remaining if i not in corners]]
    inside = [cross(q - p, others - p) > _FLAT for p, q in ((a, b), (b, c), (c, a))]
    return not np.logical_and.reduce(inside).any()


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the cross product (...) of vectors in the plane (..., 2)."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
