"""Laguerre diagrams in a box: neighbours, volumes, faces and centroids of all cells at once.

The cell of seed i is where |x - x_i|² - w_i is less than for any other seed; without weights it is
Voronoi's. All is read off the regular triangulation, the lower hull of the lifted points
(x, |x|² - w) (F. Aurenhammer, SIAM J. Comput. 16 (1987) 78-96).
"""

from itertools import permutations
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.spatial import ConvexHull

_COMPLETE = 1e-9
"""How much of the box the cells may leave out; more tells that images were missing."""


_FLAT = 1e-11
"""Volume, in units of the cube of its size, below which a tetrahedron is flat."""


class Triangulation(NamedTuple):
    """The regular triangulation of seeds and their mirror images.

    Attributes:
        points: (m, 3) the seeds, then images. weights: (m,) likewise.
        tetrahedra: (s, 4) indices of points. centres: (s, 3) equally far, in the sense of the
            diagram, from the four: corners of the cells.
    """

    points: np.ndarray
    weights: np.ndarray
    tetrahedra: np.ndarray
    centres: np.ndarray


class Cells(NamedTuple):
    """What is measured of n cells.

    Attributes:
        volumes: (n,). centroids: (n, 3), nan where a cell is empty.
        areas: (n, n) sparse array, of the face between two cells.
    """

    volumes: np.ndarray
    centroids: np.ndarray
    areas: csr_array


def neighbours(seeds, weights, box):
    """Pairs (k, 2) of seeds whose cells have a face in common, and some that merely touch.

    Args:
        seeds: (n, 3) in a box from the origin to `box` (3,). weights: (n,).
    """
    found = _triangulation(seeds, weights, box, _near_walls(seeds, box))
    corners = found.tetrahedra
    pairs = np.concatenate([corners[:, [i, j]] for i in range(4) for j in range(4) if i != j])
    return np.unique(pairs[(pairs < len(seeds)).all(axis=1)], axis=0)


def measure(seeds, weights, box) -> Cells:
    """Volumes, centroids and faces of the cells; arguments as for `neighbours`.

    Notes:
        A cell is cut into signed simplices from its seed to the feet of the perpendiculars on a
        face, on an edge of it, and to the corner. They add up wherever the feet lie.
    """
    cells = _measure(_triangulation(seeds, weights, box, _near_walls(seeds, box)), len(seeds))
    if abs(cells.volumes.sum() / np.prod(box) - 1) > _COMPLETE:
        everywhere = np.ones((2, 3, len(seeds)), bool)
        cells = _measure(_triangulation(seeds, weights, box, everywhere), len(seeds))
    return cells


def _near_walls(seeds, box):
    """(2, 3, n) whether a seed is so near to a wall that its image there may count."""
    spacing = (np.prod(box) / len(seeds)) ** (1 / 3)
    return np.stack([seeds.T, box[:, None] - seeds.T]) < 3 * spacing


def _triangulation(seeds, weights, box, mirrored):
    # A seed and its image share a face on the wall, which so becomes a face of the cell.
    points, image_weights = [seeds], [weights]
    for side, axis in np.ndindex(2, 3):
        images = seeds[mirrored[side, axis]].copy()
        images[:, axis] = 2 * side * box[axis] - images[:, axis]
        points.append(images)
        image_weights.append(weights[mirrored[side, axis]])
    points, weights = np.concatenate(points), np.concatenate(image_weights)
    # About the middle and in units of the box, where the lifted points lose the fewest digits.
    scale = box.max()
    placed = (points - box / 2) / scale
    lifted = np.column_stack([placed, (placed * placed).sum(axis=1) - weights / scale**2])
    hull = ConvexHull(lifted)
    lower = hull.equations[:, 3] < 0
    slopes = hull.equations[lower]
    centres = box / 2 - scale * slopes[:, :3] / (2 * slopes[:, 3:4])
    return Triangulation(points, weights, hull.simplices[lower], centres)


def _measure(found, n):
    points, weights, corners, centres = found
    handed = _handedness(points[corners])
    solid = handed != 0
    corners, centres, handed = corners[solid], centres[solid], handed[solid]
    volumes, moments = np.zeros(n), np.zeros((n, 3))
    pairs, areas = [], []
    for order in permutations(range(4)):
        own = corners[:, order[0]] < n
        i, j, k, _ = corners[own][:, order].T
        seed, centre = points[i], centres[own]
        turn = handed[own] * np.linalg.det(np.eye(4)[list(order)])
        on_line = _foot(seed, points[j], weights[i], weights[j])
        on_plane = _onto_plane(centre, seed, points[j], points[k])
        face = np.cross(on_plane - on_line, centre - on_line) * (turn / 2)[:, None]
        volume = np.einsum("ni,ni->n", on_line - seed, face) / 3
        volumes += np.bincount(i, volume, n)
        middle = (seed + on_line + on_plane + centre) / 4
        for axis in range(3):
            moments[:, axis] += np.bincount(i, volume * middle[:, axis], n)
        along = points[j] - seed
        area = np.einsum("ni,ni->n", along, face) / np.linalg.norm(along, axis=1)
        inner = j < n
        pairs.append(np.stack([i, j])[:, inner])
        areas.append(area[inner])
    with np.errstate(divide="ignore", invalid="ignore"):
        centroids = np.where(volumes[:, None] > 0, moments / volumes[:, None], np.nan)
    faces = coo_array((np.concatenate(areas), np.concatenate(pairs, axis=1)), (n, n))
    return Cells(volumes, centroids, faces.tocsr())  # which adds up the parts of each


def _handedness(tetrahedra):
    """(s,) 1 or -1, or 0 for flat ones: a seed, its image, and another's make many of those.

    Their corners lie on a circle, so that what they would add cancels.
    """
    a, b, c, d = np.moveaxis(tetrahedra, 1, 0)
    volume = np.einsum("ni,ni->n", np.cross(b - a, c - a), d - a)
    size = np.ptp(tetrahedra, axis=1).max(axis=1)
    return np.where(np.abs(volume) > _FLAT * size**3, np.sign(volume), 0.0)


def _foot(seed, other, weight, other_weight):
    """Where the line between two seeds meets the plane between their cells."""
    along = other - seed
    square = np.einsum("ni,ni->n", along, along)
    return seed + along * ((square + weight - other_weight) / (2 * square))[:, None]


def _onto_plane(point, a, b, c):
    """Foot of the perpendicular from `point` on the plane of three others."""
    normal = np.cross(b - a, c - a)
    height = np.einsum("ni,ni->n", point - a, normal) / np.einsum("ni,ni->n", normal, normal)
    return point - height[:, None] * normal
