"""Products with the demagnetising operator and with its adjoint, in NumPy and in Keras graphs.

Each kind is a tuple of arrays, so that compiled functions take it as an argument. `field` maps
polarisations (b, 3, g) to fields (b, 3, n) at n places, in the polarisations' unit; `adjoint` maps
back. Which of the places are which grain's particles, the operator knows.
"""

from math import prod
from typing import Any, NamedTuple

import numpy as np

from keras_micromag.physics.field.convolution import convolved
from keras_micromag.utils import backend

UNROLLED = 8
"""Nodes of a stencil that are summed up in one round."""


class Dense(NamedTuple):
    """All of the matrix."""

    matrix: Any  # (3g, 3n): rows (component, grain), columns (component, place)

    @property
    def places(self) -> int:
        """n."""
        return self.matrix.shape[1] // 3

    def field(self, polarized):
        """(b, 3, n) from (b, 3, g)."""
        xp, flat = _flat(polarized)
        field = backend.einsum(xp, "bs,st->bt", flat, self.matrix)
        return xp.reshape(field, (-1, 3, self.matrix.shape[1] // 3))

    def adjoint(self, field):
        """(b, 3, g) from (b, 3, n)."""
        xp, flat = _flat(field)
        polarized = backend.einsum(xp, "bt,st->bs", flat, self.matrix)
        return xp.reshape(polarized, (-1, 3, self.matrix.shape[0] // 3))


class Lattice(NamedTuple):
    """Equal grains on a lattice: a convolution. Places are (particle, site)."""

    kernel: Any  # complex (Z // 2 + 1, 3, p, 3, Y, X): transform of [to component, particle, from]
    sites: Any  # int (x, y, z) the grain at each site

    @property
    def places(self) -> int:
        """p·g."""
        return self.kernel.shape[2] * prod(self.sites.shape)

    def field(self, polarized):
        """(b, 3, p·g) from (b, 3, g)."""
        xp = backend.namespace(polarized)[0]

        def through(waves, planes):
            kernel = self.kernel[planes, None]
            x, y, z = (kernel[:, :, :, :, j] * waves[:, :, None, None, j] for j in range(3))
            return x + y + z

        at_sites = xp.take(polarized, self.sites, axis=2)
        field = convolved(xp, at_sites, self.kernel.shape, through)
        return xp.reshape(field, (-1, 3, self.places))

    def adjoint(self, field):
        """(b, 3, g) from (b, 3, p·g)."""
        xp = backend.namespace(field)[0]
        shape, p = self.sites.shape, self.kernel.shape[2]

        def through(waves, planes):
            kernel = xp.conj(self.kernel[planes, None])
            total = 0.0
            for i in range(3):
                for particle in range(p):
                    total = total + kernel[:, :, i, particle] * waves[:, :, i, particle, None]
            return total

        # All planes at once: so many terms would take long to compile in several rounds.
        of_particles = xp.reshape(field, (-1, 3, p, *shape))
        at_sites = convolved(xp, of_particles, self.kernel.shape, through, rounds=1)
        at_sites = xp.reshape(at_sites, (-1, 3, prod(shape)))
        return backend.summed_by(xp, at_sites, xp.reshape(self.sites, (-1,)), prod(shape))


class Hierarchical(NamedTuple):
    """Near grains by dense blocks, far ones by a convolution over a mesh.

    Blocks have rooms for particles, one block after another: (grain, particle), with padding; as
    many for each grain as the columns hold whole, p = c // 3. Places are the particles in the order
    of their nodes, so that the mesh is read from one end to the other.
    The mesh has half as many nodes along each axis as its transform, so that nothing wraps around.
    """

    blocks: Any  # of (k, 3s, c): rows (source, component), columns (component, particle), padding
    sources: Any  # of int (k, s) grains
    charges: Any  # (nodes, 3, s) of each piece per unit polarisation
    grain: Any  # int (s,) whose piece it is
    onto: Any  # int (s,) first node of each piece's stencil, flat
    source_steps: Any  # int (nodes,) from there to its others
    kernel: Any  # real (Z // 2 + 1, Y, X) transform of a charge's potential
    room: Any  # int (n,) each place's in the blocks
    slopes: Any  # (nodes, 3, n) from potentials to fields; padded to whole rounds
    at: Any  # int (n,) first node of each place's stencil, flat
    target_steps: Any  # int (nodes,) from there to its others

    @property
    def places(self) -> int:
        """n."""
        return self.at.shape[0]

    @property
    def mesh(self):
        """Its nodes along x, y, z."""
        z, y, x = self.kernel.shape
        return (x // 2, y // 2, z - 1)

    def field(self, polarized):
        """(b, 3, n) from (b, 3, g)."""
        xp = backend.namespace(polarized)[0]
        near = []
        for block, sources in zip(self.blocks, self.sources, strict=True):
            k, s = sources.shape
            seen = xp.take(polarized, sources, axis=2)
            seen = xp.reshape(xp.transpose(seen, (0, 2, 3, 1)), (-1, k, 3 * s))
            p = block.shape[2] // 3
            field = backend.by_blocks(xp, seen, block)[:, :, : 3 * p]
            field = xp.swapaxes(xp.reshape(field, (-1, k, 3, p)), 1, 2)
            near.append(xp.reshape(field, (-1, 3, k * p)))
        of_pieces = backend.taken(xp, polarized, self.grain)
        # Written out: as a matrix product, of each piece alone, it takes seven times as long.
        charges = sum(of_pieces[:, None, j] * self.charges[:, j] for j in range(3))
        node = self.onto + self.source_steps[:, None]
        potential = self._potential(xp, backend.summed_by(xp, charges, node, prod(self.mesh)))
        near = backend.taken(xp, xp.concatenate(near, axis=2), self.room)
        return near + self._interpolated(xp, potential)

    def adjoint(self, field):
        """(b, 3, g) from (b, 3, n)."""
        xp = backend.namespace(field)[0]
        # By number: TensorFlow iterates over no tensor of a graph.
        steps = range(self.slopes.shape[0])
        seen = [xp.sum(field * self.slopes[step], axis=1) for step in steps]
        node = self.at + self.target_steps[:, None]
        potential = backend.summed_by(xp, xp.stack(seen, axis=1), node, prod(self.mesh))
        potential = self._potential(xp, potential)
        node = self.onto + self.source_steps[:, None]
        of_pieces = backend.einsum(
            xp, "bns,njs->bjs", xp.take(potential, node, axis=1), self.charges
        )
        parts, grains = [of_pieces], [self.grain]
        rooms = sum(block.shape[0] * (block.shape[2] // 3) for block in self.blocks)
        field = backend.summed_by(xp, field, self.room, rooms)
        first = 0
        for block, sources in zip(self.blocks, self.sources, strict=True):
            k, s = sources.shape
            p = block.shape[2] // 3
            part = xp.reshape(field[:, :, first : first + k * p], (-1, 3, k, p))
            part = xp.reshape(xp.swapaxes(part, 1, 2), (-1, k, 3 * p))
            part = backend.by_blocks(xp, part, xp.swapaxes(block[:, :, : 3 * p], 1, 2))
            part = xp.transpose(xp.reshape(part, (-1, k, s, 3)), (0, 3, 1, 2))
            parts.append(xp.reshape(part, (-1, 3, k * s)))
            grains.append(xp.reshape(sources, (-1,)))
            first += k * p
        g = sum(block.shape[0] for block in self.blocks)
        parts, grains = xp.concatenate(parts, axis=2), xp.concatenate(grains, axis=0)
        return backend.summed_by(xp, parts, grains, g)

    def _interpolated(self, xp, potential):
        """(b, 3, n) from the potentials (b, M) at the nodes."""

        def some(first, far):
            for step in range(UNROLLED):
                step = first * UNROLLED + step
                node = self.at + xp.take(self.target_steps, step)
                seen = xp.take(potential, node, axis=1)[:, None]
                far = far + xp.take(self.slopes, step, axis=0) * seen
            return far

        far = xp.zeros_like(potential[:, :1, None]) + xp.zeros_like(self.slopes[0])
        rounds = self.slopes.shape[0] // UNROLLED
        # A loop, since XLA would compute a sum written out anew for each of its readers.
        if xp is not np:
            return xp.fori_loop(0, rounds, some, far)
        for first in range(rounds):
            far = some(first, far)
        return far

    def _potential(self, xp, charges):
        """(b, M) potentials of charges (b, M) at the nodes; its own adjoint."""

        def through(waves, planes):
            return waves * backend.complexed(xp, self.kernel[planes, None])

        charges = xp.reshape(charges, (-1, *self.mesh))
        potential = convolved(xp, charges, self.kernel.shape, through)
        return xp.reshape(potential, (-1, prod(self.mesh)))


def _flat(vectors):
    xp = backend.namespace(vectors)[0]
    return xp, xp.reshape(vectors, (-1, 3 * vectors.shape[2]))
