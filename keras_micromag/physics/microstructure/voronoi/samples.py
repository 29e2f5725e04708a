"""Shapes of a sample, as half-spaces."""

import functools
from typing import NamedTuple

import numpy as np

from keras_micromag.physics.geometry.halfspaces import convex_body
from keras_micromag.physics.geometry.polyhedron import Polyhedron

SAMPLES = ("box", "cylinder", "sphere")

_CYLINDER_SIDES = 48
_SPHERE_FACES = 200


class Sample(NamedTuple):
    """A convex body about the origin: the points x with normals @ x <= offsets.

    Attributes:
        normals: (n, 3) outward unit normals of its planes.
        offsets: (n,) distances of the planes from the origin in metres.
        volume: in m³.
    """

    normals: np.ndarray
    offsets: np.ndarray
    volume: float


def inscribed_sample(box: np.ndarray, shape: str) -> Sample:
    """Return the sample of a shape that is inscribed in a box about the origin.

    A cylinder or sphere is approximated by a polyhedron of the same volume. Its faces therefore lie
    a little outside the curved surface in their middle and a little inside at their edges: by 0.2 %
    of a cylinder's radius, and 2 % of a sphere's.

    Args:
        box: (3,) edges in metres.
        shape: one of `SAMPLES`.
    """
    normals, offsets, volume = _unit_sample(shape)
    # Stretching the body by a factor along an axis divides that component of a plane's normal.
    normals = normals / (box / 2)
    length = np.linalg.norm(normals, axis=1)
    return Sample(normals / length[:, None], offsets / length, volume * np.prod(box / 2))


@functools.cache
def _unit_sample(shape):
    """Return the sample in the box from -1 to 1."""
    walls = np.concatenate([np.eye(3), -np.eye(3)])
    if shape == "box":
        return Sample(walls, np.ones(6), 8.0)
    if shape == "cylinder":
        return _unit_cylinder(walls[[2, 5]])
    return _unit_sphere()


def _unit_cylinder(ends):
    """Return a prism with the volume of the cylinder; `ends` (2, 3) are normals along ±z."""
    angle = 2 * np.pi * np.arange(_CYLINDER_SIDES) / _CYLINDER_SIDES
    sides = np.column_stack([np.cos(angle), np.sin(angle), 0 * angle])
    # At this distance of its sides, the polygon has the area of the circle.
    distance = np.sqrt(np.pi / (_CYLINDER_SIDES * np.tan(np.pi / _CYLINDER_SIDES)))
    normals = np.concatenate([sides, ends])
    return Sample(normals, np.append(np.full(_CYLINDER_SIDES, distance), [1, 1]), 2 * np.pi)


def _unit_sphere():
    """Return a polyhedron with the volume of the sphere and nearly equal faces."""
    # A spiral that turns by the golden angle spreads the normals evenly.
    height = 1 - (2 * np.arange(_SPHERE_FACES) + 1) / _SPHERE_FACES
    angle = np.pi * (3 - np.sqrt(5)) * np.arange(_SPHERE_FACES)
    radius = np.sqrt(1 - height**2)
    normals = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), height])
    corners, faces, _ = convex_body(normals, np.ones(_SPHERE_FACES), np.zeros(3))
    volume = 4 * np.pi / 3
    distance = (volume / Polyhedron(corners, faces).volume) ** (1 / 3)
    return Sample(normals, np.full(_SPHERE_FACES, distance), volume)
