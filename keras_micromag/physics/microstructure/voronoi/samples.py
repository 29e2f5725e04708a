"""Shapes of a sample, as half-spaces."""

import functools
from typing import NamedTuple

import numpy as np

from keras_micromag.physics.geometry.halfspaces import convex_body
from keras_micromag.physics.geometry.polyhedron import Polyhedron

SAMPLES = ("box", "cylinder", "sphere")

_SIDES = 48
_FACES = 200


class Sample(NamedTuple):
    """A convex body about the origin: the points x with normals @ x <= offsets.

    Attributes:
        normals: (n, 3) unit vectors. offsets: (n,) and volume: in metres and m³.
    """

    normals: np.ndarray
    offsets: np.ndarray
    volume: float


def sample_in(box, shape: str) -> Sample:
    """A sample that the box of edges (3,) has room for, centred on the origin.

    A curved one is a polyhedron of the same volume, so that its faces lie a little outside in the
    middle, and its edges a little inside: by 0.2 % of a cylinder's radius, and 2 % of a sphere's.
    """
    normals, offsets, volume = _unit(shape)
    # From a body in the box from -1 to 1: planes turn as the reciprocal of what stretches them.
    normals = normals / (box / 2)
    length = np.linalg.norm(normals, axis=1)
    return Sample(normals / length[:, None], offsets / length, volume * np.prod(box / 2))


@functools.cache
def _unit(shape):
    """A sample in the box from -1 to 1."""
    walls = np.concatenate([np.eye(3), -np.eye(3)])
    if shape == "box":
        return Sample(walls, np.ones(6), 8.0)
    if shape == "cylinder":
        angle = 2 * np.pi * np.arange(_SIDES) / _SIDES
        sides = np.column_stack([np.cos(angle), np.sin(angle), 0 * angle])
        # That the polygon has the circle's area.
        distance = np.sqrt(np.pi / (_SIDES * np.tan(np.pi / _SIDES)))
        normals = np.concatenate([sides, walls[[2, 5]]])
        return Sample(normals, np.append(np.full(_SIDES, distance), [1, 1]), 2 * np.pi)
    # Evenly spread on a spiral of the golden angle.
    height = 1 - (2 * np.arange(_FACES) + 1) / _FACES
    angle = np.pi * (3 - np.sqrt(5)) * np.arange(_FACES)
    radius = np.sqrt(1 - height**2)
    normals = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), height])
    corners, faces, _ = convex_body(normals, np.ones(_FACES), np.zeros(3))
    volume = 4 * np.pi / 3
    distance = (volume / Polyhedron(corners, faces).volume) ** (1 / 3)
    return Sample(normals, np.full(_FACES, distance), volume)
