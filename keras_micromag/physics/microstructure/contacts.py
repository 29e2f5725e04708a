"""Neighbouring grains and the areas of their contacts."""

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from keras_micromag.physics.geometry.overlap import touch_tol
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.utils import checks

_PARALLEL = 1e-9
"""Tolerance of the cosine between the normals of parallel faces."""

_SAME = 1e-9
"""Tolerance of two equal offsets of grains, over the size of a grain."""

_WIDE = 0.25
"""Thickness of a boundary at most, over the cube root of a grain's volume."""


class Contacts(NamedTuple):
    """The contacts of faces with neighbours, each of them twice: seen from both grains."""

    grain: np.ndarray  # (k,) int
    face: np.ndarray  # (k,) int, of that grain
    neighbor: np.ndarray  # (k,) int, the grain on the other side
    area: np.ndarray  # (k,) in m²


def contact_areas(structure: Microstructure, gap: float | None = None) -> np.ndarray:
    """Return the areas over which grains face each other: a weighted graph of neighbours.

    Args:
        structure: g convex grains.
        gap: largest distance in metres between two parallel faces that are in contact: the
            thickness of the grain boundaries. By default a quarter of the cube root of the smaller
            grain's volume, which is more than a boundary and less than a grain.

    Returns:
        (g, g) in m², symmetric, 0 between grains that are not neighbours.

    Raises:
        ValueError: when a grain is not convex.

    Example:
        >>> from keras_micromag.physics import contact_areas, cubic_grains
        >>> areas = contact_areas(cubic_grains((4, 4, 4), size=50e-9, gap=3e-9))
        >>> (areas > 0).sum(axis=1)[:4].tolist()  # along an edge of the magnet
        [3, 4, 4, 3]
    """
    areas = np.zeros((len(structure), len(structure)))
    contacts = face_contacts(structure, gap)
    np.add.at(areas, (contacts.grain, contacts.neighbor), contacts.area)
    return areas


def face_contacts(structure: Microstructure, gap: float | None = None) -> Contacts:
    """Return the contacts of all faces; arguments and errors as of `contact_areas`."""
    gap = None if gap is None else checks.number(gap, "gap", least=0)
    for index, grain in enumerate(structure.grains):
        if not grain.is_convex:
            raise ValueError(f"`structure` must have convex grains; grain {index} is not.")
    thickest = _WIDE * np.cbrt(structure.volumes) if gap is None else np.full(len(structure), gap)
    rows, contacts = [], {}
    for i, j in _nearby_pairs(structure, thickest.max()):
        a, b = structure.grains[i], structure.grains[j]
        # Equal grains at equal offsets, as on a lattice, have the same contacts.
        offset = np.rint((b.centroid - a.centroid) / (_SAME * a.size))
        kind = structure.shape_class[i], structure.shape_class[j], *offset.tolist()
        if kind not in contacts:
            contacts[kind] = list(_of_pair(a, b, min(thickest[i], thickest[j])))
        for f, h, area in contacts[kind]:
            rows += [(i, f, j, area), (j, h, i, area)]
    grain, face, neighbor, area = np.array(rows, dtype=float).reshape(-1, 4).T
    return Contacts(grain.astype(int), face.astype(int), neighbor.astype(int), area)


def _of_pair(a, b, gap):
    """Yield the faces of grains a and b in contact, and the area of each contact."""
    largest = max(np.abs(body.vertices).max() for body in (a, b))
    tol = float(touch_tol(min(a.size, b.size), largest))
    # Distances (f, h) from the planes of a's faces to those of b's, along the normals of a.
    shift = b.normals @ (b.centroid - a.centroid)
    distance = -(b.offsets + shift) - a.offsets[:, None]
    facing = a.normals @ b.normals.T <= _PARALLEL - 1
    for f, h in np.argwhere(facing & (distance >= -tol) & (distance <= gap + tol)):
        area = _common_area(a, f, b, h)
        if area > 0:
            yield f, h, area


def _nearby_pairs(structure, gap):
    """Return the pairs (n, 2) of grains whose bounding boxes are near enough for a contact."""
    low = np.array([grain.vertices.min(axis=0) for grain in structure.grains])
    high = np.array([grain.vertices.max(axis=0) for grain in structure.grains])
    radius = max(
        np.linalg.norm(grain.vertices - grain.centroid, axis=1).max() for grain in structure.grains
    )
    reach = 2 * radius + gap
    i, j = cKDTree(structure.centroids).query_pairs(reach, output_type="ndarray").T
    # Points of two faces in contact differ by at most `gap` along each axis; twice that leaves a
    # margin for rounding.
    near = ((low[i] <= high[j] + 2 * gap) & (low[j] <= high[i] + 2 * gap)).all(axis=1)
    return np.stack([i, j], axis=1)[near]


def _common_area(a, f, b, h):
    """Return the area common to face f of grain a and the projection on it of face h of grain b."""
    normal, origin = a.normals[f], a.centroid
    edge = a.vertices[a.faces[f][1]] - a.vertices[a.faces[f][0]]
    u = edge / np.linalg.norm(edge)
    frame = np.stack([u, np.cross(normal, u)], axis=1)
    polygon = ((b.vertices[list(b.faces[h])[::-1]] - origin) @ frame).tolist()
    window = ((a.vertices[list(a.faces[f])] - origin) @ frame).tolist()
    for start, end in zip(window, window[1:] + window[:1], strict=True):
        polygon = _clip(polygon, start, end)
    return 0.5 * abs(
        sum(
            x * next_y - next_x * y
            for (x, y), (next_x, next_y) in zip(polygon, polygon[1:] + polygon[:1], strict=True)
        )
    )


def _clip(polygon, start, end):
    """Return the part of a convex polygon to the left of a line (Sutherland and Hodgman)."""
    (x0, y0), (x1, y1) = start, end
    heights = [(x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) for x, y in polygon]
    clipped = []
    for k, (point, height) in enumerate(zip(polygon, heights, strict=True)):
        previous, previous_height = polygon[k - 1], heights[k - 1]
        if (height < 0) != (previous_height < 0):
            share = previous_height / (previous_height - height)
            clipped.append([p + share * (q - p) for p, q in zip(previous, point, strict=True)])
        if height >= 0:
            clipped.append(point)
    return clipped
