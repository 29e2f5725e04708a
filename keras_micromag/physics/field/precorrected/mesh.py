"""A regular mesh that carries the far field: charges that stand for grains, and who sees them.

Precorrected FFT: J. R. Phillips and J. K. White, IEEE Trans. CAD 16 (1997) 1059-1072; the nodes'
charges are fitted to multipole moments, as there.
"""

from typing import NamedTuple

import numpy as np
from scipy import fft

from keras_micromag.physics.field.precorrected import harmonics
from keras_micromag.physics.field.precorrected.stencils import Precision
from keras_micromag.physics.microstructure.structure import Microstructure

_CHUNK = 2**10
"""Triangles whose moments, or particles whose slopes, are taken at once: while in the cache."""

_EDGE = 0.7
"""Longest edge of a large grain's triangles, over the extent that a piece may have."""

_COARSE = 2
"""Nodes between the stencils that such triangles share: with both, no piece exceeds the extent."""


class Sources(NamedTuple):
    """Charges on nodes that stand for the grains; a large grain has several such pieces."""

    grain: np.ndarray  # (s,)
    corner: np.ndarray  # (s, 3) node at its stencil's lower corner
    charges: np.ndarray  # (s, nodes, 3) per unit moment of the grain, in squared spacings


class Mesh:
    """The mesh that serves a structure.

    Args:
        structure: g grains with n particles in all.
        spacing: of the nodes, in metres.

    Attributes:
        shape: (3,) nodes along x, y, z.
        points: (n, 3) particles in metres; particles: in spacings; grain: (n,) whose they are.
        first: (g + 1,) particles of grain i are those from first[i] up to first[i + 1].
        corner: (n, 3) node at the lower corner of each particle's stencil.
    """

    def __init__(self, structure: Microstructure, spacing: float, precision: Precision):
        self.structure, self.spacing, self.precision = structure, spacing, precision
        self.of_sources, self.of_targets = precision.stencils
        widest = max(self.of_sources.width, self.of_targets.width)
        # No round number, or the sample's walls and equal grains on a lattice would lie where
        # stencils change, and rounding would share them out.
        self.origin = structure.bounds[0] / spacing - widest - 0.283
        upper = structure.bounds[1] / spacing - self.origin
        # The transform has twice as many, and is fast for some numbers only.
        wanted = (np.ceil(upper) + widest + 1).astype(int)
        self.shape = tuple(fft.next_fast_len(int(n), real=True) for n in wanted)
        self.grain = np.nonzero(structure.weights > 0)[0]
        self.first = np.searchsorted(self.grain, np.arange(len(structure) + 1))
        self.points = structure.particles[structure.weights > 0]
        self.particles = self.places(self.points)
        self.corner = self.of_targets.corner(self.particles)

    def places(self, points):
        """(…, 3) in spacings from the mesh's first node, of points in metres."""
        return points / self.spacing - self.origin

    def slopes(self):
        """Some particles at a time, as a slice, and theirs (k, nodes, 3): see `Stencil.slopes`."""
        for first in range(0, len(self.particles), _CHUNK):
            some = slice(first, first + _CHUNK)
            yield some, self.of_targets.slopes(self.particles[some])

    def sources(self) -> Sources:
        """The pieces of all grains, by grain."""
        triangles, grain, corner = self._surfaces()
        order = np.lexsort((*corner.T[::-1], grain))
        triangles, grain, corner = triangles[order], grain[order], corner[order]
        changed = (np.diff(grain) != 0) | (np.diff(corner, axis=0) != 0).any(axis=1)
        piece = np.concatenate([[0], np.cumsum(changed)])
        first = np.concatenate([[0], np.flatnonzero(changed) + 1])
        moments = np.zeros((len(first), harmonics.count(self.of_sources.degree), 3))
        for start in range(0, len(grain), _CHUNK):
            part = slice(start, start + _CHUNK)
            found = _moments(
                triangles[part] - self.of_sources.centre(corner[part])[:, None],
                self.of_sources.degree,
            )
            starts = np.flatnonzero(np.diff(piece[part], prepend=-1))
            moments[piece[part][starts]] += np.add.reduceat(found, starts, axis=0)
        charges = np.einsum("nk,skj->snj", self.of_sources.weights, moments, optimize=True)
        return Sources(grain[first], corner[first], charges)

    def _surfaces(self):
        """Triangles (t, 3, 3) of all grains, whose each is, and the stencil that stands for it."""
        grains = self.structure.grains
        counts = [len(grain.triangles) for grain in grains]
        triangles = self.places(
            np.concatenate([grain.vertices[np.asarray(grain.triangles)] for grain in grains])
        )
        grain = np.repeat(np.arange(len(grains)), counts)
        centres = self.of_sources.corner(self.places(self.structure.centroids))
        away = triangles - self.of_sources.centre(centres)[grain][:, None]
        extent = np.zeros(len(grains))
        np.maximum.at(extent, grain, np.linalg.norm(away, axis=-1).max(axis=1))
        whole = extent[grain] <= self.precision.extent
        parts, owners = _split(triangles[~whole], grain[~whole], _EDGE * self.precision.extent)
        return (
            np.concatenate([triangles[whole], parts]),
            np.concatenate([grain[whole], owners]),
            np.concatenate(
                [centres[grain[whole]], self.of_sources.corner(parts.mean(axis=1), _COARSE)]
            ),
        )


def _split(triangles, owners, longest):
    """Triangles cut into four until no edge is longer than `longest`."""
    done, whose = [], []
    while len(triangles):
        middle = (triangles + np.roll(triangles, -1, axis=1)) / 2  # of edges 01, 12, 20
        edges = np.linalg.norm(triangles - np.roll(triangles, -1, axis=1), axis=-1)
        small = edges.max(axis=1) <= longest
        done.append(triangles[small])
        whose.append(owners[small])
        (a, b, c), (ab, bc, ca) = (np.moveaxis(x[~small], 1, 0) for x in (triangles, middle))
        quarters = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        triangles = np.concatenate([np.stack(corners, axis=1) for corners in quarters])
        owners = np.tile(owners[~small], 4)
    return np.concatenate([*done, np.zeros((0, 3, 3))]), np.concatenate([*whose, owners])


def _moments(triangles, degree):
    """(t, k, 3) ∫ n R dS over each triangle, exact to the degree."""
    share, weight = _rule(degree)
    area = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]) / 2
    points = np.einsum("qc,tci->tqi", share, triangles)
    values = harmonics.harmonics(points.reshape(-1, 3), degree)
    values = values.reshape(len(triangles), len(weight), -1)
    return np.einsum("q,tqk,ti->tki", weight, values, area, optimize=True)


def _rule(degree):
    """Barycentric points (q, 3) and weights of Gauss's rule on a triangle collapsed to a line."""
    points, weights = np.polynomial.legendre.leggauss(degree // 2 + 1 + degree % 2)
    points, weights = (points + 1) / 2, weights / 2
    u, v = (part.ravel() for part in np.meshgrid(points, points, indexing="ij"))
    share = np.stack([1 - u, u * (1 - v), u * v], axis=1)
    return share, 2 * (np.outer(weights * points, weights)).ravel()
