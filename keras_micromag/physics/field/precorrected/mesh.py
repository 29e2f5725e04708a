"""The regular mesh of the far field: charges that replace grains, and stencils about particles.

Precorrected FFT: J. R. Phillips and J. K. White, IEEE Trans. CAD 16 (1997) 1059-1072; the nodes'
charges are fitted to multipole moments, as there.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import fft

from keras_micromag.physics.field.precorrected import harmonics
from keras_micromag.physics.field.precorrected.stencils import Precision
from keras_micromag.physics.microstructure.structure import Microstructure

_CHUNK = 2**10
"""Triangles or particles that are processed at once, so that they stay in the cache."""

_EDGE = 0.7
"""Longest edge of a large grain's triangles, over the extent that a piece may have."""

_COARSE = 2
"""Spacing in nodes of the stencils that such triangles share. With it and the longest edge above,
no piece exceeds the extent."""


class Pieces(NamedTuple):
    """Charges on nodes that replace the grains; a large grain is split into several pieces."""

    grain: np.ndarray  # (s,) that each piece belongs to
    corner: np.ndarray  # (s, 3) node at the lower corner of its stencil
    charges: np.ndarray  # (s, nodes, 3) per unit moment of the grain, in squared spacings


class Mesh:
    """A regular mesh about all grains, with the interpolation stencils of their particles.

    Args:
        structure: g grains with n particles in all.
        spacing: of the nodes, in metres.
        precision: with the stencils of sources and of targets.

    Attributes:
        shape: nodes along x, y, z.
        strides: (3,) int; a node (i, j, k) has the flat index (i, j, k) @ strides.
        source_stencil: about pieces of grains. target_stencil: about particles.
        positions: (n, 3) of the particles in metres; mesh_positions: in spacings from the first
            node.
        particle_grain: (n,) the grain that each particle belongs to.
        first_particle: (g + 1,) grain i has the particles first_particle[i] up to, and without,
            first_particle[i + 1].
        stencil_corner: (n, 3) node at the lower corner of each particle's stencil.
    """

    def __init__(self, structure: Microstructure, spacing: float, precision: Precision):
        self.structure, self.spacing, self.precision = structure, spacing, precision
        self.source_stencil, self.target_stencil = precision.stencils
        widest = max(self.source_stencil.width, self.target_stencil.width)
        # No round number: else walls of the sample and grains of a lattice would lie halfway
        # between two stencils, and rounding would choose one.
        self.origin = structure.bounds[0] / spacing - widest - 0.283
        upper = structure.bounds[1] / spacing - self.origin
        # The FFT is taken over twice as many nodes, and is fast for some numbers only.
        least = (np.ceil(upper) + widest + 1).astype(int)
        self.shape = tuple(fft.next_fast_len(int(n), real=True) for n in least)
        self.strides = np.array([self.shape[1] * self.shape[2], self.shape[2], 1])
        real = structure.weights > 0
        self.particle_grain = np.nonzero(real)[0]
        self.first_particle = np.searchsorted(self.particle_grain, np.arange(len(structure) + 1))
        self.positions = structure.particles[real]
        self.mesh_positions = self.in_spacings(self.positions)
        self.stencil_corner = self.target_stencil.corner(self.mesh_positions)

    def in_spacings(self, points: np.ndarray) -> np.ndarray:
        """Convert points (…, 3) from metres to spacings from the mesh's first node."""
        return points / self.spacing - self.origin

    def gradient_weights(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield chunks of particles, and their (k, nodes, 3) `Stencil.gradient_weights`."""
        for first in range(0, len(self.mesh_positions), _CHUNK):
            chunk = slice(first, first + _CHUNK)
            yield chunk, self.target_stencil.gradient_weights(self.mesh_positions[chunk])

    def pieces(self) -> Pieces:
        """Return the pieces of all grains, with charges fitted to their multipole moments.

        A piece is made of the triangles of one grain that share a stencil. Pieces are sorted by
        grain.
        """
        triangles, grain, corner = self._surfaces()
        order = np.lexsort((*corner.T[::-1], grain))
        triangles, grain, corner = triangles[order], grain[order], corner[order]
        changed = (np.diff(grain) != 0) | (np.diff(corner, axis=0) != 0).any(axis=1)
        piece = np.concatenate([[0], np.cumsum(changed)])
        first = np.concatenate([[0], np.flatnonzero(changed) + 1])
        degree = self.source_stencil.degree
        moments = np.zeros((len(first), harmonics.count(degree), 3))
        for start in range(0, len(grain), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            centres = self.source_stencil.centre(corner[chunk])
            of_triangles = _moments(triangles[chunk] - centres[:, None], degree)
            starts = np.flatnonzero(np.diff(piece[chunk], prepend=-1))
            moments[piece[chunk][starts]] += np.add.reduceat(of_triangles, starts, axis=0)
        charges = np.einsum("nk,skj->snj", self.source_stencil.weights, moments, optimize=True)
        return Pieces(grain[first], corner[first], charges)

    def _surfaces(self):
        """Return the triangles (t, 3, 3) of all grains, their grains, and their stencils' corners.

        All triangles of a small grain share the stencil about its centroid. Those of a large grain
        are split until they are small, and share the stencils nearest to them.
        """
        grains = self.structure.grains
        counts = [len(grain.triangles) for grain in grains]
        triangles = self.in_spacings(
            np.concatenate([grain.vertices[np.asarray(grain.triangles)] for grain in grains])
        )
        grain = np.repeat(np.arange(len(grains)), counts)
        corners = self.source_stencil.corner(self.in_spacings(self.structure.centroids))
        from_centre = triangles - self.source_stencil.centre(corners)[grain][:, None]
        extent = np.zeros(len(grains))
        np.maximum.at(extent, grain, np.linalg.norm(from_centre, axis=-1).max(axis=1))
        small = extent[grain] <= self.precision.extent
        parts, owners = _split(triangles[~small], grain[~small], _EDGE * self.precision.extent)
        part_corners = self.source_stencil.corner(parts.mean(axis=1), _COARSE)
        return (
            np.concatenate([triangles[small], parts]),
            np.concatenate([grain[small], owners]),
            np.concatenate([corners[grain[small]], part_corners]),
        )


def _split(triangles, owners, longest):
    """Cut triangles (t, 3, 3) into four until no edge is longer than `longest`.

    Returns:
        The triangles, and the owner of each.
    """
    done, done_owners = [], []
    while len(triangles):
        middle = (triangles + np.roll(triangles, -1, axis=1)) / 2  # of edges 01, 12, 20
        edges = np.linalg.norm(triangles - np.roll(triangles, -1, axis=1), axis=-1)
        small = edges.max(axis=1) <= longest
        done.append(triangles[small])
        done_owners.append(owners[small])
        (a, b, c), (ab, bc, ca) = (np.moveaxis(x[~small], 1, 0) for x in (triangles, middle))
        quarters = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        triangles = np.concatenate([np.stack(corners, axis=1) for corners in quarters])
        owners = np.tile(owners[~small], 4)
    return np.concatenate([*done, np.zeros((0, 3, 3))]), np.concatenate([*done_owners, owners])


def _moments(triangles, degree):
    """Return the multipole moments (t, k, 3), ∫ n R dS over each triangle, exact to the degree."""
    barycentric, weight = _triangle_quadrature(degree)
    area = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]) / 2
    points = np.einsum("qc,tci->tqi", barycentric, triangles)
    values = harmonics.harmonics(points.reshape(-1, 3), degree)
    values = values.reshape(len(triangles), len(weight), -1)
    return np.einsum("q,tqk,ti->tki", weight, values, area, optimize=True)


def _triangle_quadrature(degree):
    """Return barycentric points (q, 3) and weights (q,) of Gauss quadrature on a triangle.

    The rule is a product of two rules on a line, on a square collapsed to the triangle.
    """
    points, weights = np.polynomial.legendre.leggauss(degree // 2 + 1 + degree % 2)
    points, weights = (points + 1) / 2, weights / 2
    u, v = (part.ravel() for part in np.meshgrid(points, points, indexing="ij"))
    barycentric = np.stack([1 - u, u * (1 - v), u * v], axis=1)
    return barycentric, 2 * (np.outer(weights * points, weights)).ravel()
