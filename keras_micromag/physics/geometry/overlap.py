"""Whether two grains share a volume."""

import numpy as np

from keras_micromag.physics.geometry.polyhedron import Polyhedron

TOUCH = 1e-9
"""Grains may overlap by this part of their size: rounding, where they touch."""


def overlap(a: Polyhedron, b: Polyhedron) -> bool:
    """Whether two polyhedra share a volume, by more than touching.

    Two bodies do if an edge of one pierces a face of the other, or one lies inside the other.
    Convex ones are tested by the separating axis theorem, which is exact; of non-convex ones two
    that only cross along edges of their triangulated faces can slip through.
    """
    room = TOUCH * min(a.size, b.size)
    if not (a.is_convex and b.is_convex):
        inside = (_inside(a, b, room), _inside(b, a, room), pierces(a, b), pierces(b, a))
        return any(inside)
    # Neighbours are nearly always parted by a face; the many edge pairs come last.
    if _parted(np.concatenate([a.normals, b.normals]), a, b, room):
        return False
    along_a, along_b = (np.diff(x.vertices[x.edges], axis=1)[:, 0] / x.size for x in (a, b))
    axes = np.cross(along_a[:, None], along_b[None]).reshape(-1, 3)
    length = np.linalg.norm(axes, axis=-1)
    axes = axes[length > TOUCH] / length[length > TOUCH, None]
    return not _parted(axes, a, b, room)


def _parted(axes, a, b, room):
    on_a, on_b = ((x.vertices - a.centroid) @ axes.T for x in (a, b))
    gaps = np.maximum(on_b.min(axis=0) - on_a.max(axis=0), on_a.min(axis=0) - on_b.max(axis=0))
    return bool((gaps >= -room).any())


def _inside(body, other, room):
    """Whether a corner, an edge's midpoint or the centroid of `other` lies inside `body`."""
    centroid = other.centroid[None]
    points = [other.vertices, other.vertices[other.edges].mean(axis=1)]
    points += [centroid] * bool(other.contains(centroid, -room)[0])  # not the hole of a shell
    return bool(body.contains(np.concatenate(points), -room).any())


def pierces(edges_of, body):
    """Whether an edge of one passes through the inside of a triangle of the other's faces."""
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
