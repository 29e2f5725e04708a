"""Which grains are neighbours, and by how much of their surface."""

import numpy as np
from scipy.spatial import cKDTree

from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.utils import checks

_PARALLEL = 1e-9
"""How far from -1 the cosine between the normals of two faces may be that face each other."""


def contact_areas(structure: Microstructure, gap: float) -> np.ndarray:
    """Areas over which grains face each other: a weighted graph of neighbours.

    Args:
        structure: g convex grains.
        gap: how far apart, in metres, two parallel faces may be: the thickness of the boundaries.

    Returns:
        (g, g) in m², symmetric, 0 between grains that are no neighbours.

    Raises:
        ValueError: when a grain is not convex.

    Example:
        >>> from keras_micromag.physics import contact_areas, cubic_grains
        >>> areas = contact_areas(cubic_grains((4, 4, 4), size=50e-9, gap=3e-9), gap=3e-9)
        >>> (areas > 0).sum(axis=1)[:4].tolist()  # along an edge of the magnet
        [3, 4, 4, 3]
    """
    gap = checks.number(gap, "gap", least=0)
    for index, grain in enumerate(structure.grains):
        if not grain.is_convex:
            raise ValueError(f"`structure` must have convex grains; grain {index} is not.")
    areas = np.zeros((len(structure), len(structure)))
    for i, j in _near(structure, gap):
        a, b = structure.grains[i], structure.grains[j]
        room = _PARALLEL * min(a.size, b.size)
        # Heights of the planes of b's faces over those of a's, each about a's centroid.
        shift = b.normals @ (b.centroid - a.centroid)
        apart = -(b.offsets + shift) - a.offsets[:, None]
        facing = a.normals @ b.normals.T <= _PARALLEL - 1
        for f, h in np.argwhere(facing & (apart >= -room) & (apart <= gap + room)):
            areas[i, j] += _common_area(a, f, b, h)
        areas[j, i] = areas[i, j]
    return areas


def _near(structure, gap):
    low = np.array([grain.vertices.min(axis=0) for grain in structure.grains])
    high = np.array([grain.vertices.max(axis=0) for grain in structure.grains])
    reach = np.linalg.norm(high - low, axis=1).max() + gap
    i, j = cKDTree(structure.centroids).query_pairs(reach, output_type="ndarray").T
    # Oblique boundaries reach further along the axes than they are thick, but not further than
    # the grains' boxes do.
    near = ((low[i] <= high[j] + 2 * gap) & (low[j] <= high[i] + 2 * gap)).all(axis=1)
    return np.stack([i, j], axis=1)[near]


def _common_area(a, f, b, h):
    """Of face f of a, and face h of b projected on it."""
    normal, origin = a.normals[f], a.centroid
    across = a.vertices[a.faces[f][1]] - a.vertices[a.faces[f][0]]
    u = across / np.linalg.norm(across)
    frame = np.stack([u, np.cross(normal, u)], axis=1)
    polygon = ((b.vertices[list(b.faces[h])[::-1]] - origin) @ frame).tolist()
    window = ((a.vertices[list(a.faces[f])] - origin) @ frame).tolist()
    for start, end in zip(window, window[1:] + window[:1], strict=True):
        polygon = _clipped(polygon, start, end)
    return 0.5 * abs(
        sum(
            x * next_y - next_x * y
            for (x, y), (next_x, next_y) in zip(polygon, polygon[1:] + polygon[:1], strict=True)
        )
    )


def _clipped(polygon, start, end):
    """The part of a convex polygon to the left of a line (Sutherland and Hodgman)."""
    (x0, y0), (x1, y1) = start, end
    heights = [(x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) for x, y in polygon]
    kept = []
    for k, (point, height) in enumerate(zip(polygon, heights, strict=True)):
        before, height_before = polygon[k - 1], heights[k - 1]
        if (height < 0) != (height_before < 0):
            share = height_before / (height_before - height)
            kept.append([p + share * (q - p) for p, q in zip(before, point, strict=True)])
        if height >= 0:
            kept.append(point)
    return kept
