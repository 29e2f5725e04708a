"""Groups of mesh nodes that stand for what is between them, as seen from far away."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from keras_micromag.physics.field.precorrected import harmonics
from keras_micromag.utils.indices import grid

_SEEN = 14
"""Degree up to which the fit looks, beyond the one that it must get right."""

_RANK = 1e-9
"""Singular values, over the largest, below which the fit ignores a combination of nodes."""


class Stencil:
    """Nodes of a mesh with spacing 1, within a sphere about a cell's or a node's centre.

    Charges on its nodes can have any multipole moments up to `degree`, and any potential without
    charges between the nodes is, up to that degree, a sum over its values there: both with the
    same `weights`.

    Args:
        width: of the cube of nodes that the sphere is cut out of, in nodes.
        square: squared distance from there, in spacings, up to which nodes belong to it.
        degree: of the harmonics.
        reach: distance in spacings from which it must look right.
    """

    def __init__(self, width: int, square: float, degree: int, reach: float):
        self.width, self.degree = width, degree
        steps = grid(*[np.arange(width)] * 3).reshape(-1, 3)
        centre = (width - 1) / 2
        self.steps = steps[((steps - centre) ** 2).sum(axis=1) <= square]
        self.nodes = self.steps - centre
        self.weights = self._fit(reach)

    def __len__(self):
        return len(self.nodes)

    def corner(self, points, every: int = 1) -> np.ndarray:
        """(n, 3) int: the node at the cube's lower corner, for points in spacings.

        Args:
            every: corners are nodes whose numbers this divides.
        """
        return every * np.round((points - (self.width - 1) / 2) / every).astype(np.int64)

    def centre(self, corner) -> np.ndarray:
        """(n, 3) of the stencil, in spacings."""
        return corner + (self.width - 1) / 2

    def slopes(self, points) -> np.ndarray:
        """(n, nodes, 3): the gradient at each point, from potentials at the nodes about it."""
        return self.weights @ harmonics.gradients(
            points - self.centre(self.corner(points)), self.degree
        )

    def _fit(self, reach):
        """(nodes, k) that make the potentials beyond `reach` most alike, in the square mean."""
        # A moment of degree l makes a potential that falls as 1/R^(l + 1).
        size = np.sqrt((harmonics.harmonics(_sphere(), _SEEN) ** 2).mean(axis=0))
        weight = 1 / (size * reach ** harmonics.degrees(_SEEN))
        made = (harmonics.harmonics(self.nodes, _SEEN) * weight).T
        wanted = np.diag(weight)[:, : harmonics.count(self.degree)]
        return np.linalg.pinv(made, rcond=_RANK) @ wanted


@lru_cache(maxsize=1)
def _sphere():
    """Points all over the unit sphere."""
    n = 2000
    z = (2 * np.arange(n) + 1) / n - 1
    angle = np.pi * (3 - np.sqrt(5)) * np.arange(n)
    across = np.sqrt(1 - z * z)
    return np.stack([across * np.cos(angle), across * np.sin(angle), z], axis=1)


class Precision(NamedTuple):
    """How finely the far field is computed; lengths in spacings of the mesh."""

    error: float  # relative to the field, in the square mean
    sources: tuple  # arguments of the `Stencil` about grains
    targets: tuple  # and of that about particles
    reach: float  # nearer than this a particle sees a grain exactly
    extent: float  # larger grains are seen as pieces of this size

    @property
    def stencils(self):
        """(sources, targets)."""
        return _stencil(*self.sources), _stencil(*self.targets)


_stencil = lru_cache(maxsize=None)(Stencil)
