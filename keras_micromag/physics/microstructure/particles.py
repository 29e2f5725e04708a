"""Where in a grain its Stoner-Wohlfarth particles sit."""

import numpy as np

from keras_micromag.physics.geometry.polyhedron import Polyhedron

SCHEME = ("vertices", "edges", "faces", "centroid")
"""Where on the inset polyhedron particles can sit: corners, edge midpoints, face centres …"""

_STEEP = 1e-2
"""Singular values, over the largest, below which the faces at a corner are nearly parallel."""


def places(grain: Polyhedron, depth: float, scheme) -> np.ndarray:
    """(p, 3) places of the particles in metres, `depth` metres below the surface.

    Args:
        scheme: names out of `SCHEME`, at least one.

    Raises:
        ValueError: when the grain has no room for them.
    """
    if grain.is_convex:
        return _on(grain.inset(depth), scheme)
    moved = _corners_moved_in(grain, depth)
    found = _on(grain, scheme, moved)
    found = found[grain.contains(found, -depth / 2)] if depth else found
    if not len(found):
        raise ValueError(f"`depth` must leave something of the polyhedron; received {depth:g} m.")
    return found


def _on(body, scheme, vertices=None):
    """Places on a polyhedron, whose vertices may have been moved."""
    vertices = body.vertices if vertices is None else vertices
    found = {
        "vertices": vertices,
        "edges": vertices[body.edges].mean(axis=1),
        "faces": np.array([vertices[list(face)].mean(axis=0) for face in body.faces]),
        "centroid": body.centroid[None],
    }
    return np.concatenate([found[place] for place in SCHEME if place in scheme])


def _corners_moved_in(grain, depth):
    """(v, 3) every corner, shifted by the least with which each of its faces moves in by `depth`.

    Nearly parallel faces, of which a slightly bent one may be made, move as one.
    """
    moved = grain.vertices.copy()
    at = [[] for _ in moved]
    for f, face in enumerate(grain.faces):
        for v in face:
            at[v].append(f)
    for v, faces in enumerate(at):
        wanted = np.full(len(faces), -depth)
        moved[v] += np.linalg.lstsq(grain.normals[faces], wanted, rcond=_STEEP)[0]
    return moved
