"""The painter's algorithm: in which order to draw, so that nothing covers what is nearer."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from keras_micromag.physics.geometry.polygons import cross
from keras_micromag.plots.bodies import Body

_EDGE_ON = 1e-9
"""Faces whose normal has a smaller part toward the viewer are not seen."""

_THIN = 1e-6
"""Overlaps thinner than this part of the picture do not count: grains that touch have them."""

_BLOCK = 2000
"""Pairs that are compared at once, so that the arrays stay small."""


@dataclass(frozen=True)
class Piece:
    """A part of a body that is painted at once: all that is seen of a convex one, or one ring.

    Lengths are in units of the picture.

    Attributes:
        body: number of the body.
        rings: which of its rings.
        polygons: one (n, 2) per ring.
        outline: (e, 2, 2) the edges about all of them, from start to end, counter-clockwise.
        planes: (r, 3) a, b, c of each ring's plane: its height toward the viewer is a + b x + c y.
        depth: mean height of the corners.
    """

    body: int
    rings: list
    polygons: list
    outline: np.ndarray
    planes: np.ndarray
    depth: float


def pieces(number: int, body: Body, seen: np.ndarray, camera: np.ndarray) -> list[Piece]:
    """The pieces of a body, not yet in order.

    Args:
        number: of the body.
        body: as it is drawn.
        seen: (v, 3) its vertices in the picture: right, up, toward the viewer.
        camera: (3, 3) rows: right, up, and toward the viewer.
    """
    normals = body.normals @ camera.T
    front = np.flatnonzero(normals[:, 2] > _EDGE_ON).tolist()
    groups = [front] if body.convex else [[ring] for ring in front]
    return [_piece(number, body.rings, group, normals, seen) for group in groups if group]


def _piece(number, rings, group, normals, seen):
    corners = [seen[list(rings[r])] for r in group]
    sides = {(i, j) for r in group for i, j in sides_of(rings[r])}
    outline = [(i, j) for i, j in sorted(sides) if (j, i) not in sides]
    normal = normals[group]
    level = np.einsum("ri,ri->r", normal, np.array([points[0] for points in corners]))
    return Piece(
        body=number,
        rings=group,
        polygons=[points[:, :2] for points in corners],
        outline=seen[np.array(outline), :2],
        planes=np.column_stack([level, -normal[:, :2]]) / normal[:, 2:],
        depth=float(np.concatenate(corners)[:, 2].mean()),
    )


def sides_of(ring):
    """Pairs of vertices along a ring."""
    return zip(ring, (*ring[1:], ring[0]), strict=True)


def back_to_front(pieces: list[Piece]) -> list[int]:
    """Order in which to paint pieces of disjoint bodies so that none covers a nearer one.

    Two convex pieces whose outlines overlap are compared at one point inside the overlap: what is
    nearer there is so wherever they overlap, or they would meet. Rings of pieces that cover each
    other fall back on their depth.

    Notes:
        Voronoi and Laguerre cells have an order from everywhere (H. Edelsbrunner, Combinatorica 10
        (1990) 251-260), and so has what is cut from them. Exploded grains keep theirs: a convex
        cell that moves away from a centre with its centroid, by the share s, stays inside the cell
        enlarged by 1 + s about that centre.
    """
    depth = [piece.depth for piece in pieces]
    farther, nearer = _comparisons(pieces)
    waiting = np.bincount(nearer, minlength=len(pieces))
    after = [[] for _ in pieces]
    for far, near in zip(farther.tolist(), nearer.tolist(), strict=True):
        after[far].append(near)
    ready = [(depth[p], p) for p in np.flatnonzero(waiting == 0).tolist()]
    heapq.heapify(ready)
    order, rest = [], set(range(len(pieces)))
    while rest:
        _, p = heapq.heappop(ready) if ready else min((depth[p], p) for p in rest)
        if p not in rest:
            continue
        rest.remove(p)
        order.append(p)
        for other in after[p]:
            waiting[other] -= 1
            if waiting[other] == 0:
                heapq.heappush(ready, (depth[other], other))
    return order


def _comparisons(pieces):
    """Pairs of pieces that overlap in the picture: (n,) the farther and (n,) the nearer ones."""
    outlines = _padded([piece.outline for piece in pieces])
    planes = _padded([piece.planes for piece in pieces])
    low, high = outlines.min(axis=(1, 2)), outlines.max(axis=(1, 2))
    below = (low[:, None] < high[None] - _THIN).all(axis=-1)
    first, second = np.nonzero(np.triu(below & below.T, 1))
    farther, nearer = [], []
    for start in range(0, len(first), _BLOCK):
        a, b = first[start : start + _BLOCK], second[start : start + _BLOCK]
        point, overlap = _common_point(outlines[a], outlines[b])
        ahead = _height(planes[a], point) > _height(planes[b], point)
        farther.append(np.where(ahead, b, a)[overlap])
        nearer.append(np.where(ahead, a, b)[overlap])
    none = np.zeros(0, int)
    return np.concatenate([none, *farther]), np.concatenate([none, *nearer])


def _padded(arrays):
    """Arrays of unlike length in one, each filled up with its first row."""
    longest = max(len(array) for array in arrays)
    return np.stack(
        [np.concatenate([array, *[array[:1]] * (longest - len(array))]) for array in arrays]
    )


def _height(planes, point):
    """(n,) where a view ray enters convex bodies, given the planes (n, r, 3) turned to it."""
    return (planes[..., 0] + np.einsum("nri,ni->nr", planes[..., 1:], point)).min(axis=1)


def _common_point(first, second):
    """A point (n, 2) inside both of two convex outlines (n, e, 2, 2), and whether there is one."""
    corners = [first[:, :, 0], second[:, :, 0]]
    shared = [
        _room(corners[0], second).min(axis=-1) >= -_EDGE_ON,
        _room(corners[1], first).min(axis=-1) >= -_EDGE_ON,
    ]
    # Where edges cross; together with the corners these are the corners of what is common.
    start, along = first[:, :, None, 0], (first[:, :, 1] - first[:, :, 0])[:, :, None]
    other, across = second[:, None, :, 0], (second[:, :, 1] - second[:, :, 0])[:, None]
    turn = cross(along, across)
    parallel = turn == 0
    turn = np.where(parallel, 1.0, turn)
    s = cross(other - start, across) / turn
    t = cross(other - start, along) / turn
    shared.append((~parallel & (s >= 0) & (s <= 1) & (t >= 0) & (t <= 1)).reshape(len(s), -1))
    corners.append((start + s[..., None] * along).reshape(len(s), -1, 2))
    corners, shared = np.concatenate(corners, axis=1), np.concatenate(shared, axis=1)
    number = shared.sum(axis=1)
    point = np.where(shared[..., None], corners, 0.0).sum(axis=1) / np.maximum(number, 1)[:, None]
    room = [_room(point[:, None], outline).min(axis=(1, 2)) for outline in (first, second)]
    return point, (number > 0) & (np.minimum(*room) > _THIN)


def _room(points, outline):
    """(n, p, e) distances of points (n, p, 2) to an outline's edges, negative outside."""
    start, along = outline[:, None, :, 0], (outline[:, :, 1] - outline[:, :, 0])[:, None]
    length = np.linalg.norm(along, axis=-1)
    # An edge without length bounds nothing.
    none = length == 0
    return np.where(
        none, np.inf, cross(along, points[:, :, None] - start) / np.where(none, 1.0, length)
    )
