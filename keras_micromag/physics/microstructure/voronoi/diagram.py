"""Laguerre diagrams in a box: neighbours, volumes, faces and centroids of all cells at once.

The cell of seed i is where |x - x_i|² - w_i is less than for any other seed; without weights it is
the Voronoi cell. Everything follows from the regular triangulation, which is the lower hull of the
lifted points (x, |x|² - w) (F. Aurenhammer, SIAM J. Comput. 16 (1987) 78-96).
"""

from itertools import permutations
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.spatial import ConvexHull

_FILL_TOL = 1e-9
"""Share of the box that the cells may leave out. More shows that mirror images were missing."""

_FLAT = 1e-11
"""Volume, in units of the cube of its size, below which a tetrahedron is flat."""


class Triangulation(NamedTuple):
    """The regular triangulation of seeds and their mirror images.

    Attributes:
        points: (m, 3) the seeds, then their images.
        weights: (m,) of the points.
        tetrahedra: (s, 4) indices of points.
        centres: (s, 3) points for which |x - x_i|² - w_i is the same at all four corners of the
            tetrahedron. They are the corners of the cells.
    """

    points: np.ndarray
    weights: np.ndarray
    tetrahedra: np.ndarray
    centres: np.ndarray


class Cells(NamedTuple):
    """Volumes, centroids and face areas of n cells.

    Attributes:
        volumes: (n,) of the cells.
        centroids: (n, 3), nan where a cell is empty.
        areas: (n, n) sparse array: the area of the face between two cells.
    """

    volumes: np.ndarray
    centroids: np.ndarray
    areas: csr_array


def neighbours(seeds: np.ndarray, weights: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return the pairs (k, 2) of seeds whose cells share a face, and some whose cells merely touch.

    Args:
        seeds: (n, 3) in a box from the origin to `box` (3,).
        weights: (n,) of the seeds.

    Returns:
        Both (i, j) and (j, i) of each pair, in lexicographic order.
    """
    corners = _triangulation(seeds, weights, box, _near_walls(seeds, box)).tetrahedra
    pairs = np.concatenate([corners[:, [i, j]] for i in range(4) for j in range(4) if i != j])
    return np.unique(pairs[(pairs < len(seeds)).all(axis=1)], axis=0)


def measure_cells(seeds: np.ndarray, weights: np.ndarray, box: np.ndarray) -> Cells:
    """Return the volumes, centroids and face areas of the cells.

    Args:
        seeds, weights, box: as for `neighbours`.

    Notes:
        A cell is divided into signed simplices. Each has four corners: the seed, the feet of the
        perpendiculars from it on the plane of a face and on the line of an edge of that face, and
        an end of that edge. Their signed volumes add up to the volume of the cell wherever the feet
        lie.
    """
    mirrored = _near_walls(seeds, box)
    cells = _measured(_triangulation(seeds, weights, box, mirrored), len(seeds))
    if abs(cells.volumes.sum() / np.prod(box) - 1) > _FILL_TOL:
        all_mirrored = np.ones((2, 3, len(seeds)), bool)
        cells = _measured(_triangulation(seeds, weights, box, all_mirrored), len(seeds))
    return cells


def _near_walls(seeds, box):
    """Return (2, 3, n) whether a seed is so near to a wall that its image may have a face there.

    Every wall gets an image: seeds in one plane or on one line have no tetrahedra of their own.
    """
    spacing = (np.prod(box) / len(seeds)) ** (1 / 3)
    distance = np.stack([seeds.T, box[:, None] - seeds.T])
    nearest = distance.min(axis=2, keepdims=True)
    return distance < 3 * spacing + np.where(nearest < 3 * spacing, 0, nearest)


def _triangulation(seeds, weights, box, mirrored):
    """Return the triangulation of the seeds and of their images at the walls.

    A seed and its image share a face on the wall. The walls so become faces of the cells.
    `mirrored` (2, 3, n) selects the seeds that have an image at each wall.
    """
    points, image_weights = [seeds], [weights]
    for side, axis in np.ndindex(2, 3):
        images = seeds[mirrored[side, axis]].copy()
        images[:, axis] = 2 * side * box[axis] - images[:, axis]
        points.append(images)
        image_weights.append(weights[mirrored[side, axis]])
    points, weights = np.concatenate(points), np.concatenate(image_weights)
    # Coordinates about the middle, in units of the box: the lifted points then lose the fewest
    # digits.
    scale = box.max()
    scaled = (points - box / 2) / scale
    lifted = np.column_stack([scaled, (scaled * scaled).sum(axis=1) - weights / scale**2])
    hull = ConvexHull(lifted)
    lower = hull.equations[:, 3] < 0
    slopes = hull.equations[lower]
    centres = box / 2 - scale * slopes[:, :3] / (2 * slopes[:, 3:4])
    return Triangulation(points, weights, hull.simplices[lower], centres)


def _measured(triangulation, n):
    """Return the `Cells` of the first n points, as sums over signed simplices."""
    points, weights, corners, centres = triangulation
    signs = _orientations(points[corners])
    solid = signs != 0
    corners, centres, signs = corners[solid], centres[solid], signs[solid]
    volumes, moments = np.zeros(n), np.zeros((n, 3))
    pairs, areas = [], []
    for order in permutations(range(4)):
        own = corners[:, order[0]] < n
        i, j, k, _ = corners[own][:, order].T
        seed, centre = points[i], centres[own]
        sign = signs[own] * np.linalg.det(np.eye(4)[list(order)])
        on_line = _foot_on_line(seed, points[j], weights[i], weights[j])
        on_plane = _foot_on_plane(centre, seed, points[j], points[k])
        face = np.cross(on_plane - on_line, centre - on_line) * (sign / 2)[:, None]
        volume = np.einsum("ni,ni->n", on_line - seed, face) / 3
        volumes += np.bincount(i, volume, n)
        centroid = (seed + on_line + on_plane + centre) / 4
        for axis in range(3):
            moments[:, axis] += np.bincount(i, volume * centroid[:, axis], n)
        separation = points[j] - seed
        area = np.einsum("ni,ni->n", separation, face) / np.linalg.norm(separation, axis=1)
        inner = j < n
        pairs.append(np.stack([i, j])[:, inner])
        areas.append(area[inner])
    with np.errstate(divide="ignore", invalid="ignore"):
        centroids = np.where(volumes[:, None] > 0, moments / volumes[:, None], np.nan)
    faces = coo_array((np.concatenate(areas), np.concatenate(pairs, axis=1)), (n, n))
    return Cells(volumes, centroids, faces.tocsr())  # tocsr adds up the parts of each face


def _orientations(tetrahedra):
    """Return (s,) the sign of each tetrahedron's volume, 0 for a flat one.

    Two seeds and their images make many flat ones. The corners of such a tetrahedron lie on a
    circle, so that its contributions cancel.
    """
    a, b, c, d = np.moveaxis(tetrahedra, 1, 0)
    volume = np.einsum("ni,ni->n", np.cross(b - a, c - a), d - a)
    size = np.ptp(tetrahedra, axis=1).max(axis=1)
    return np.where(np.abs(volume) > _FLAT * size**3, np.sign(volume), 0.0)


def _foot_on_line(seed, other, weight, other_weight):
    """Return the point where the line between two seeds meets the plane between their cells."""
    separation = other - seed
    square = np.einsum("ni,ni->n", separation, separation)
    return seed + separation * ((square + weight - other_weight) / (2 * square))[:, None]


def _foot_on_plane(point, a, b, c):
    """Return the foot of the perpendicular from `point` on the plane through a, b and c."""
    normal = np.cross(b - a, c - a)
    height = np.einsum("ni,ni->n", point - a, normal) / np.einsum("ni,ni->n", normal, normal)
    return point - height[:, None] * normal
