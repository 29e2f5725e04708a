"""Interpolation stencils: the mesh nodes that replace a source or a particle among them."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from keras_micromag.physics.field.precorrected import harmonics
from keras_micromag.utils.indices import grid

_FIT_DEGREE = 14
"""Degree up to which the fit counts errors, beyond the degree that it must get right."""

_RANK = 1e-9
"""Singular values, over the largest, below which the fit ignores a combination of nodes."""


class Stencil:
    """The nodes of a mesh of spacing 1 within a sphere about the centre of a cell or a node.

    Charges on the nodes can have any multipole moments up to `degree`. Any potential without
    charges among the nodes is, up to that degree, a sum over its values there. Both use the same
    `weights`.

    Args:
        width: nodes along each edge of the cube that the sphere is cut out of.
        square: largest squared distance of a node from the centre, in squared spacings.
        degree: of the solid harmonics.
        reach: distance in spacings from which the fit must be accurate.

    Attributes:
        offsets: (nodes, 3) int, from the cube's lower corner.
        nodes: (nodes, 3) from the centre.
        weights: (nodes, k) charges on the nodes per multipole moment.
    """

    def __init__(self, width: int, square: float, degree: int, reach: float):
        self.width, self.degree = width, degree
        offsets = grid(*[np.arange(width)] * 3).reshape(-1, 3)
        centre = (width - 1) / 2
        self.offsets = offsets[((offsets - centre) ** 2).sum(axis=1) <= square]
        self.nodes = self.offsets - centre
        self.weights = self._fit(reach)

    def __len__(self):
        return len(self.nodes)

    def corner(self, points: np.ndarray, every: int = 1) -> np.ndarray:
        """Return the node (n, 3) at the lower corner of the stencil about each point, as int.

        Args:
            points: (n, 3) in spacings.
            every: the corners are restricted to nodes whose numbers are multiples of it.
        """
        return every * np.round((points - (self.width - 1) / 2) / every).astype(np.int64)

    def centre(self, corner: np.ndarray) -> np.ndarray:
        """Return the centres (n, 3), in spacings, of the stencils with lower corners (n, 3)."""
        return corner + (self.width - 1) / 2

    def gradient_weights(self, points: np.ndarray) -> np.ndarray:
        """Return the weights (n, nodes, 3) of the nodes' potentials in the gradient at a point."""
        return self.weights @ harmonics.gradients(
            points - self.centre(self.corner(points)), self.degree
        )

    def _fit(self, reach):
        """Return the weights (nodes, k) that fit the potential beyond `reach` in least squares."""
        # A moment of degree l makes a potential that falls as 1/R^(l + 1).
        rms = np.sqrt((harmonics.harmonics(_sphere(), _FIT_DEGREE) ** 2).mean(axis=0))
        weight = 1 / (rms * reach ** harmonics.degrees(_FIT_DEGREE))
        of_nodes = (harmonics.harmonics(self.nodes, _FIT_DEGREE) * weight).T
        of_moments = np.diag(weight)[:, : harmonics.count(self.degree)]
        return np.linalg.pinv(of_nodes, rcond=_RANK) @ of_moments


@lru_cache(maxsize=1)
def _sphere():
    """Return points (n, 3) spread evenly over the unit sphere."""
    n = 2000
    z = (2 * np.arange(n) + 1) / n - 1
    angle = np.pi * (3 - np.sqrt(5)) * np.arange(n)
    radius = np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


class Precision(NamedTuple):
    """The settings of a precorrected FFT; lengths are in spacings of the mesh."""

    error: float  # root mean square, relative to that of the field
    sources: tuple  # arguments of the `Stencil` about source grains
    targets: tuple  # arguments of the `Stencil` about particles
    reach: float  # within this distance of a source, a particle belongs to its near field
    extent: float  # grains that are larger are split into pieces of this size

    @property
    def stencils(self) -> tuple[Stencil, Stencil]:
        """The stencils of sources and of targets."""
        return _stencil(*self.sources), _stencil(*self.targets)


_stencil = lru_cache(maxsize=None)(Stencil)
