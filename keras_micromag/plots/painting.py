"""The painter's algorithm: an order of drawing in which nothing covers what is nearer."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from keras_micromag.physics.geometry.polygons import cross
from keras_micromag.plots.bodies import Body, sides_of

_EDGE_ON = 1e-9
"""Component of a face's normal toward the viewer up to which the face is invisible."""

_MIN_OVERLAP = 1e-6
"""Overlaps thinner than this, in units of the picture, are ignored: grains that touch have them."""

_BLOCK = 2000
"""Number of pairs that are compared at once, which limits the memory."""


@dataclass(frozen=True)
class Piece:
    """A part of a body that is painted at once: the visible side of a convex body, or one ring.

    Lengths are in units of the picture.

    Attributes:
        body: number of the body.
        rings: numbers of its rings that belong to the piece.
        polygons: one (n, 2) per ring.
        outline: (e, 2, 2) edges around all rings, from start to end, counter-clockwise.
        planes: (r, 3) coefficients a, b, c of the planes of the rings, which have the height
            a + b x + c y toward the viewer.
        depth: mean height of the corners toward the viewer.
    """

    body: int
    rings: list[int]
    polygons: list[np.ndarray]
    outline: np.ndarray
    planes: np.ndarray
    depth: float


def pieces(number: int, body: Body, projected: np.ndarray, camera: np.ndarray) -> list[Piece]:
    """Return the pieces of a body, not yet in the order of painting.

    Args:
        number: of the body.
        body: to be drawn.
        projected: (v, 3) coordinates of its vertices in the picture: right, up, toward the viewer.
        camera: (3, 3) axes of the viewer as rows: right, up and toward the viewer.
    """
    normals = body.normals @ camera.T
    front = np.flatnonzero(normals[:, 2] > _EDGE_ON).tolist()
    groups = [front] if body.convex else [[ring] for ring in front]
    return [_piece(number, body.rings, group, normals, projected) for group in groups if group]


def _piece(number, rings, group, normals, projected):
    """Return the piece that consists of a group of rings."""
    corners = [projected[list(rings[r])] for r in group]
    sides = {(i, j) for r in group for i, j in sides_of(rings[r])}
    outline = [(i, j) for i, j in sorted(sides) if (j, i) not in sides]
    normal = normals[group]
    level = np.einsum("ri,ri->r", normal, np.array([points[0] for points in corners]))
    return Piece(
        body=number,
        rings=group,
        polygons=[points[:, :2] for points in corners],
        outline=projected[np.array(outline), :2],
        planes=np.column_stack([level, -normal[:, :2]]) / normal[:, 2:],
        depth=float(np.concatenate(corners)[:, 2].mean()),
    )


def back_to_front(pieces: list[Piece]) -> list[int]:
    """Return an order of painting in which no piece of disjoint bodies covers a nearer one.

    Two convex pieces whose outlines overlap are compared at one point inside the overlap. The piece
    that is nearer there is nearer in the entire overlap, since the pieces do not intersect. The
    order is a topological sort of these comparisons. Pieces that cover each other in a cycle are
    sorted by their depth.

    Notes:
        Voronoi and Laguerre cells have an order from every viewpoint (H. Edelsbrunner,
        Combinatorica 10 (1990) 251-260), and so have parts cut from them. Exploded grains keep
        their order: a convex cell that moves away from a centre with its centroid, by the share s,
        stays inside the cell enlarged by 1 + s about that centre.
    """
    depth = [piece.depth for piece in pieces]
    farther, nearer = _comparisons(pieces)
    unpainted_behind = np.bincount(nearer, minlength=len(pieces))
    in_front: list[list[int]] = [[] for _ in pieces]
    for far, near in zip(farther.tolist(), nearer.tolist(), strict=True):
        in_front[far].append(near)
    ready = [(depth[p], p) for p in np.flatnonzero(unpainted_behind == 0).tolist()]
    heapq.heapify(ready)
    order, unpainted = [], set(range(len(pieces)))
    while unpainted:
        _, p = heapq.heappop(ready) if ready else min((depth[p], p) for p in unpainted)
        if p not in unpainted:
            continue
        unpainted.remove(p)
        order.append(p)
        for other in in_front[p]:
            unpainted_behind[other] -= 1
            if unpainted_behind[other] == 0:
                heapq.heappush(ready, (depth[other], other))
    return order


def _comparisons(pieces):
    """Return the pairs of pieces that overlap in the picture: the farther (n,) and nearer (n,)."""
    outlines = _padded([piece.outline for piece in pieces])
    planes = _padded([piece.planes for piece in pieces])
    low, high = outlines.min(axis=(1, 2)), outlines.max(axis=(1, 2))
    below = (low[:, None] < high[None] - _MIN_OVERLAP).all(axis=-1)
    first, second = np.nonzero(np.triu(below & below.T, 1))
    farther, nearer = [], []
    for start in range(0, len(first), _BLOCK):
        a, b = first[start : start + _BLOCK], second[start : start + _BLOCK]
        point, overlap = _common_point(outlines[a], outlines[b])
        a_is_nearer = _height(planes[a], point) > _height(planes[b], point)
        farther.append(np.where(a_is_nearer, b, a)[overlap])
        nearer.append(np.where(a_is_nearer, a, b)[overlap])
    none = np.zeros(0, int)  # np.concatenate needs at least one array
    return np.concatenate([none, *farther]), np.concatenate([none, *nearer])


def _padded(arrays):
    """Return arrays of different lengths as one, each padded with its first row."""
    longest = max(len(array) for array in arrays)
    return np.stack(
        [np.concatenate([array, *[array[:1]] * (longest - len(array))]) for array in arrays]
    )


def _height(planes, point):
    """Return (n,) the height at which a line of sight enters convex bodies.

    `planes` (n, r, 3) are those of the faces turned to the viewer, `point` (n, 2) lies in the
    picture.
    """
    return (planes[..., 0] + np.einsum("nri,ni->nr", planes[..., 1:], point)).min(axis=1)


def _common_point(first, second):
    """Return a point (n, 2) inside both of two convex outlines, and whether one exists (n,).

    `first` and `second` (n, e, 2, 2) are the outlines of n pairs. The point is the mean of the
    corners of the overlap: corners of one outline that lie inside the other, and intersections of
    their edges.
    """
    first_corners, second_corners = first[:, :, 0], second[:, :, 0]
    crossings, crossed = _edge_crossings(first, second)
    corners = np.concatenate([first_corners, second_corners, crossings], axis=1)
    belongs = np.concatenate(
        [
            _distances_inside(first_corners, second).min(axis=-1) >= -_EDGE_ON,
            _distances_inside(second_corners, first).min(axis=-1) >= -_EDGE_ON,
            crossed,
        ],
        axis=1,
    )
    count = belongs.sum(axis=1)
    total = np.where(belongs[..., None], corners, 0.0).sum(axis=1)
    point = total / np.maximum(count, 1)[:, None]
    depths = [_distances_inside(point[:, None], each).min(axis=(1, 2)) for each in (first, second)]
    return point, (count > 0) & (np.minimum(*depths) > _MIN_OVERLAP)


def _edge_crossings(first, second):
    """Return where the lines of the edges of two outlines meet, and whether the edges do.

    Both are arrays over all pairs of edges: (n, pairs, 2) and (n, pairs).
    """
    start, along = first[:, :, None, 0], (first[:, :, 1] - first[:, :, 0])[:, :, None]
    other, across = second[:, None, :, 0], (second[:, :, 1] - second[:, :, 0])[:, None]
    determinant = cross(along, across)
    parallel = determinant == 0
    determinant = np.where(parallel, 1.0, determinant)
    s = cross(other - start, across) / determinant
    t = cross(other - start, along) / determinant
    crossed = ~parallel & (s >= 0) & (s <= 1) & (t >= 0) & (t <= 1)
    points = start + s[..., None] * along
    return points.reshape(len(s), -1, 2), crossed.reshape(len(s), -1)


def _distances_inside(points, outline):
    """Return (n, p, e) distances of points (n, p, 2) from an outline's edges, negative outside."""
    start, along = outline[:, None, :, 0], (outline[:, :, 1] - outline[:, :, 0])[:, None]
    length = np.linalg.norm(along, axis=-1)
    # The edges that pad an outline may have no length, and bound nothing.
    degenerate = length == 0
    return np.where(
        degenerate,
        np.inf,
        cross(along, points[:, :, None] - start) / np.where(degenerate, 1.0, length),
    )
