"""Convex bodies as intersections of half-spaces."""

import numpy as np
from scipy.optimize import linprog
from scipy.spatial import HalfspaceIntersection, QhullError
from scipy.spatial.distance import cdist

_CLEARANCE = 1e-3
"""Least distance of a point that counts as well inside to a plane, over its mean distance to the
planes. Nearer to a plane, Qhull's dual points lie so far away that digits are lost."""

_SAME = 1e-10
"""Corners nearer to each other than this part of the body's size are merged."""


class EmptyBodyError(ValueError):
    """The half-spaces have no volume in common."""


def convex_body(
    normals: np.ndarray, offsets: np.ndarray, inside: np.ndarray | None = None
) -> tuple[np.ndarray, list[tuple[int, ...]], np.ndarray]:
    """Return the convex polyhedron of the points x with normals @ x <= offsets.

    Args:
        normals: (n, 3) unit vectors.
        offsets: (n,) in metres.
        inside: (3,) a point that is likely to lie well inside. Where it does not, or is None, the
            centre of the largest inscribed ball is computed.

    Returns:
        corners: (v, 3) of the polyhedron.
        faces: tuples of corner indices, counter-clockwise seen from outside.
        plane: (f,) index of the plane of each face. Planes that touch the body in an edge, a
            corner, or nowhere have no face.

    Raises:
        EmptyBodyError: when the intersection is empty, or the radius of its largest inscribed ball
            is at most `_SAME` of the planes' mean distance.
        ValueError: when the body is not bounded.

    Notes:
        By Qhull's intersection of half-spaces (C. B. Barber et al., ACM Trans. Math. Softw. 22
        (1996) 469-483). It gives three planes per corner, so that a corner of four planes occurs
        twice, and is merged. The order of the corners does not depend on rounding.
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
    # Merge equal points, and collect the planes that meet in each. Corners are sorted by their
    # planes, which do not depend on rounding.
    same = (cdist(points, points, "chebyshev") <= _SAME * size).argmax(axis=1)
    planes_of: dict[int, set] = {corner: set() for corner in same.tolist()}
    for corner, three_planes in zip(same.tolist(), planes, strict=True):
        planes_of[corner].update(three_planes)
    order = sorted(planes_of, key=lambda corner: sorted(planes_of[corner]))
    corners = points[order]
    corner = np.repeat(np.arange(len(order)), [len(planes_of[c]) for c in order])
    plane = np.concatenate([list(planes_of[c]) for c in order])
    faces, of_plane = _rings(corners, normals, corner, plane)
    if len(faces) < 4:
        raise EmptyBodyError("the half-spaces have no volume in common.")
    # Corners that no face uses are dropped: a plane touches the body there.
    used, renumbered = np.unique(np.concatenate(faces), return_inverse=True)
    ends = np.cumsum([len(face) for face in faces])
    renumbered = renumbered.tolist()
    faces = [tuple(renumbered[a:b]) for a, b in zip([0, *ends[:-1]], ends.tolist(), strict=True)]
    return inside + scale * corners[used], faces, of_plane


def _well_inside(normals, offsets, inside):
    """Return a point well inside, and its distances (n,) to the planes."""
    if inside is not None:
        depths = offsets - normals @ inside
        if depths.min() > _CLEARANCE * depths.mean():
            return inside, depths
    # About a point near the body, and in units of its size.
    origin = np.zeros(3) if inside is None else inside
    depths = offsets - normals @ origin
    scale = np.abs(depths).mean() or 1.0
    # The centre and radius of the largest inscribed ball.
    ball = linprog(
        [0, 0, 0, -1],
        A_ub=np.column_stack([normals, np.ones(len(normals))]),
        b_ub=depths / scale,
        bounds=[(None, None)] * 4,
    )
    if not ball.success or ball.x[3] <= _SAME:
        raise EmptyBodyError("the half-spaces have no volume in common.")
    inside = origin + scale * ball.x[:3]
    return inside, offsets - normals @ inside


def _rings(corners, normals, corner, plane):
    """Return the faces as rings of corners, and the plane of each.

    Args:
        corners: (v, 3). normals: (n, 3) of all planes.
        corner, plane: (m,) indices of the pairs of a corner and a plane that meet.
    """
    # A plane that meets fewer than three corners has no face.
    corner_counts = np.bincount(plane, minlength=len(normals))
    kept = corner_counts[plane] >= 3
    corner, plane = corner[kept], plane[kept]
    order = np.lexsort((corner, plane))
    corner, plane = corner[order], plane[order]
    of_plane, starts, count = np.unique(plane, return_index=True, return_counts=True)
    if not len(of_plane):
        return [], of_plane
    face = np.repeat(np.arange(len(of_plane)), count)
    centre = np.add.reduceat(corners[corner], starts) / count[:, None]
    # Corners are sorted by their angle about the face's centre, from the direction of its first.
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
    """Rotate a ring so that it begins with its lowest index."""
    start = ring.index(min(ring))
    return ring[start:] + ring[:start]
