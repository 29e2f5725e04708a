"""A test whether two grains overlap."""

import numpy as np

from keras_micromag.physics.geometry.polyhedron import Polyhedron

TOUCH = 1e-9
"""Grains that overlap by less than this part of their size touch: it is rounding."""


def overlap(a: Polyhedron, b: Polyhedron) -> bool:
    """Return whether two polyhedra share a volume; to touch is not to overlap.

    Convex bodies are tested by the separating axis theorem, which is exact. Others overlap if an
    edge of one pierces a face of the other, or one lies inside the other; two of them that cross
    only along edges of their triangulated faces are missed.
    """
    tol = TOUCH * min(a.size, b.size)
    if not (a.is_convex and b.is_convex):
        tests = (_inside(a, b, tol), _inside(b, a, tol), pierces(a, b), pierces(b, a))
        return any(tests)
    # A face separates nearly all neighbours; the many pairs of edges come last.
    if _separated(np.concatenate([a.normals, b.normals]), a, b, tol):
        return False
    along_a, along_b = (np.diff(x.vertices[x.edges], axis=1)[:, 0] / x.size for x in (a, b))
    axes = np.cross(along_a[:, None], along_b[None]).reshape(-1, 3)
    length = np.linalg.norm(axes, axis=-1)
    axes = axes[length > TOUCH] / length[length > TOUCH, None]
    return not _separated(axes, a, b, tol)


def _separated(axes, a, b, tol):
    """Return whether the bodies' projections onto any of the axes (n, 3) are separate."""
    on_a, on_b = ((x.vertices - a.centroid) @ axes.T for x in (a, b))
    gaps = np.maximum(on_b.min(axis=0) - on_a.max(axis=0), on_a.min(axis=0) - on_b.max(axis=0))
    return bool((gaps >= -tol).any())


def _inside(body, other, tol):
    """Return whether a corner, edge midpoint or the centroid of `other` lies inside `body`."""
    centroid = other.centroid[None]
    points = [other.vertices, other.vertices[other.edges].mean(axis=1)]
    points += [centroid] * bool(other.contains(centroid, -tol)[0])  # not the hole of a shell
    return bool(body.contains(np.concatenate(points), -tol).any())


def pierces(edges_of: Polyhedron, body: Polyhedron) -> bool:
    """Return whether an edge of one body passes through the inside of a face of the other.

    The faces are triangulated. An edge that passes between two triangles counts as outside.
    """
    start = edges_of.vertices[edges_of.edges[:, 0]][:, None]
    along = edges_of.vertices[edges_of.edges[:, 1]][:, None] - start
    corner, u, v = np.moveaxis(body.vertices[body.surface], 1, 0)
    u, v = u - corner, v - corner
    # start + s·along = corner + p·u + q·v, by Cramer's rule.
    normal = np.cross(u, v)
    steep = -np.einsum("eti,ti->et", np.broadcast_to(along, (len(along), *u.shape)), normal)
    flat = np.abs(steep) <= TOUCH * body.size**2 * edges_of.size
    steep = np.where(flat, 1.0, steep)
    to = start - corner
    turn = np.cross(to, along)
    s = np.einsum("eti,ti->et", to, normal) / steep
    p = np.einsum("ti,eti->et", v, turn) / steep
    q = -np.einsum("ti,eti->et", u, turn) / steep
    within = np.minimum.reduce([s, 1.0 - s, p, q, 1.0 - p - q]) > TOUCH
    return bool((within & ~flat).any())
