"""Convex bodies as what half-spaces have in common."""

import numpy as np
from scipy.optimize import linprog
from scipy.spatial import HalfspaceIntersection, QhullError
from scipy.spatial.distance import cdist

_ROOM = 1e-3
"""Clearance, in units of the mean distance to the planes, at which a point counts as well inside.
Nearer to a plane, Qhull's dual points lie so far away that digits are lost."""

_SAME = 1e-10
"""Corners nearer to each other than this part of the body's size are one."""


class EmptyBodyError(ValueError):
    """Half-spaces have no volume in common."""


def convex_body(normals, offsets, inside=None):
    """The convex polyhedron of the points x with normals @ x <= offsets.

    Args:
        normals: (n, 3) unit vectors. offsets: (n,) in metres.
        inside: (3,) a point that is likely to lie well inside; the centre of the largest ball that
            fits is taken where it does not, or none is given.

    Returns:
        Its corners (v, 3); the faces, each a tuple of corners counter-clockwise seen from outside;
        and (f,) the plane that each face lies on. Planes that touch the body in an edge, a corner,
        or nowhere have no face.

    Raises:
        EmptyBodyError: when nothing is in common, or no more than `_SAME` of the planes' distance.
        ValueError: when the body is not bounded.

    Notes:
        By Qhull's intersection of half-spaces (C. B. Barber et al., ACM Trans. Math. Softw. 22
        (1996) 469-483). It gives three planes per corner, so that a corner of four comes twice.
        Their order is free of rounding.
    """
    inside, depths = _well_inside(normals, offsets, inside)
    # In units of the body's size, since Qhull's tolerances are absolute.
    scale = depths.mean()
    try:
        cut = HalfspaceIntersection(np.column_stack([normals, -depths / scale]), np.zeros(3))
    except QhullError as error:
        raise EmptyBodyError("the half-spaces have no volume in common.") from error
    points, planes = cut.intersections, cut.dual_facets
    if not np.isfinite(points).all():
        raise ValueError("the half-spaces must bound the body.")
    size = np.ptp(points, axis=0).max()
    same = (cdist(points, points, "chebyshev") <= _SAME * size).argmax(axis=1)
    labels = {corner: set() for corner in same.tolist()}
    for corner, meeting in zip(same.tolist(), planes, strict=True):
        labels[corner].update(meeting)
    order = sorted(labels, key=lambda corner: sorted(labels[corner]))
    corners = points[order]
    corner = np.repeat(np.arange(len(order)), [len(labels[c]) for c in order])
    plane = np.concatenate([list(labels[c]) for c in order])
    faces, of_plane = _rings(corners, normals, corner, plane)
    if len(faces) < 4:
        raise EmptyBodyError("the half-spaces have no volume in common.")
    # A corner on fewer than three faces is none: its plane touches the body there.
    used, renumbered = np.unique(np.concatenate(faces), return_inverse=True)
    ends = np.cumsum([len(face) for face in faces])
    renumbered = renumbered.tolist()
    faces = [tuple(renumbered[a:b]) for a, b in zip([0, *ends[:-1]], ends.tolist(), strict=True)]
    return inside + scale * corners[used], faces, of_plane


def _well_inside(normals, offsets, inside):
    """A point well inside, and its distances to the planes (n,)."""
    if inside is not None:
        depths = offsets - normals @ inside
        if depths.min() > _ROOM * depths.mean():
            return inside, depths
    # About a point near the body, in units of its size.
    origin = np.zeros(3) if inside is None else inside
    depths = offsets - normals @ origin
    scale = np.abs(depths).mean() or 1.0
    found = linprog(
        [0, 0, 0, -1],
        A_ub=np.column_stack([normals, np.ones(len(normals))]),
        b_ub=depths / scale,
        bounds=[(None, None)] * 4,
    )
    if not found.success or found.x[3] <= _SAME:
        raise EmptyBodyError("the half-spaces have no volume in common.")
    inside = origin + scale * found.x[:3]
    return inside, offsets - normals @ inside


def _rings(corners, normals, corner, plane):
    """Faces as rings of corners, and their planes, from the pairs of corner and plane that meet."""
    meeting = np.bincount(plane, minlength=len(normals))
    kept = meeting[plane] >= 3
    corner, plane = corner[kept], plane[kept]
    order = np.lexsort((corner, plane))
    corner, plane = corner[order], plane[order]
    of_plane, starts, count = np.unique(plane, return_index=True, return_counts=True)
    if not len(of_plane):
        return [], of_plane
    face = np.repeat(np.arange(len(of_plane)), count)
    centre = np.add.reduceat(corners[corner], starts) / count[:, None]
    spokes = corners[corner] - centre[face]
    first = spokes[starts]
    across = np.cross(normals[of_plane], first)
    angle = np.arctan2(
        np.einsum("ni,ni->n", spokes, across[face]), np.einsum("ni,ni->n", spokes, first[face])
    )
    ring = corner[np.lexsort((angle, face))].tolist()
    rings = (ring[a : a + n] for a, n in zip(starts.tolist(), count.tolist(), strict=True))
    return [_from_lowest(ring) for ring in rings], of_plane


def _from_lowest(ring):
    start = ring.index(min(ring))
    return ring[start:] + ring[:start]
