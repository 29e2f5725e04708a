"""Flat polygons that need not be convex."""

import numpy as np

_FLAT = 1e-9
"""How far, in units of a polygon's size, a corner may lie off what it is compared with."""


def convex_parts(vertices, face, normal) -> list[tuple[int, ...]]:
    """A flat simple polygon as convex ones: itself, or triangles made by clipping its ears.

    Args:
        vertices: (v, 3). face: indices, counter-clockwise seen against `normal` (3,).

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
    left, triangles = list(range(len(face))), []
    while len(left) > 3:
        place = next((k for k in range(len(left)) if _is_ear(flat, left, k)), 0)
        triangles.append((left[place - 1], left[place], left[(place + 1) % len(left)]))
        del left[place]
    return [tuple(face[i] for i in triangle) for triangle in [*triangles, left]]


def _is_ear(flat, left, k):
    """Whether the triangle of a corner and its neighbours is inside, has an area, and is empty."""
    corners = [left[k - 1], left[k], left[(k + 1) % len(left)]]
    a, b, c = flat[corners]
    if cross(b - a, c - a) < _FLAT:
        return False
    others = flat[[i for i in left if i not in corners]]
    inside = [cross(q - p, others - p) > _FLAT for p, q in ((a, b), (b, c), (c, a))]
    return not np.logical_and.reduce(inside).any()


def cross(a, b):
    """(...) a × b of vectors in the plane (..., 2)."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
