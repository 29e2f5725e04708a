"""Matvecs with the demagnetising operator and with its adjoint, in NumPy and in Keras graphs.

Each kind is a tuple of arrays, so that compiled functions take it as an argument. `field` maps
polarisations (b, 3, g) to fields (b, 3, n) in the same unit, and `adjoint` maps back. The last axis
of the fields is the layout of the kind: particle k of grain i is at its place `places[i, k]` of
`Arrays`.
"""

from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple

import numpy as np

from keras_micromag.physics.field.convolution import fft_convolve
from keras_micromag.utils import backend

UNROLLED = 8
"""Nodes of an interpolation stencil that are summed in one iteration of the loop over them."""


class Dense(NamedTuple):
    """The demagnetising matrix itself."""

    matrix: Any  # (3g, 3n): rows (component, grain), columns (component, place)

    @property
    def places(self) -> int:
        """Number of places, n."""
        return self.matrix.shape[1] // 3

    def field(self, polarization: Any) -> Any:
        """Return fields (b, 3, n) of polarisations (b, 3, g)."""
        xp, flat = _flat(polarization)
        field = backend.einsum(xp, "bs,st->bt", flat, self.matrix)
        return xp.reshape(field, (-1, 3, self.matrix.shape[1] // 3))

    def adjoint(self, field: Any) -> Any:
        """Apply the adjoint of `field`: (b, 3, g) from (b, 3, n)."""
        xp, flat = _flat(field)
        polarization = backend.einsum(xp, "bt,st->bs", flat, self.matrix)
        return xp.reshape(polarization, (-1, 3, self.matrix.shape[0] // 3))


class Lattice(NamedTuple):
    """A convolution over equal grains on a lattice. Places are ordered by (particle, site)."""

    kernel: Any  # complex (Z // 2 + 1, 3, p, 3, Y, X): transform of [component, particle, source]
    sites: Any  # int (x, y, z), the grain at each site

    @property
    def places(self) -> int:
        """Number of places, p·g."""
        return self.kernel.shape[2] * prod(self.sites.shape)

    def field(self, polarization: Any) -> Any:
        """Return fields (b, 3, p·g) of polarisations (b, 3, g)."""
        xp = backend.namespace(polarization)[0]

        def multiply(transform, planes):
            kernel = self.kernel[planes, None]
            x, y, z = (kernel[:, :, :, :, j] * transform[:, :, None, None, j] for j in range(3))
            return x + y + z

        at_sites = xp.take(polarization, self.sites, axis=2)
        field = fft_convolve(xp, at_sites, self.kernel.shape, multiply)
        return xp.reshape(field, (-1, 3, self.places))

    def adjoint(self, field: Any) -> Any:
        """Apply the adjoint of `field`: (b, 3, g) from (b, 3, p·g)."""
        xp = backend.namespace(field)[0]
        shape, p = self.sites.shape, self.kernel.shape[2]

        def multiply(transform, planes):
            kernel = xp.conj(self.kernel[planes, None])
            total = 0.0
            for i in range(3):
                for particle in range(p):
                    total = total + kernel[:, :, i, particle] * transform[:, :, i, particle, None]
            return total

        # A single chunk of planes: so many terms would take long to compile for several.
        of_particles = xp.reshape(field, (-1, 3, p, *shape))
        at_sites = fft_convolve(xp, of_particles, self.kernel.shape, multiply, max_chunks=1)
        at_sites = xp.reshape(at_sites, (-1, 3, prod(shape)))
        return backend.segment_sum(xp, at_sites, xp.reshape(self.sites, (-1,)), prod(shape))


class Hierarchical(NamedTuple):
    """A precorrected FFT: dense blocks for the near field, a convolution on a mesh for the rest.

    A large source grain is split into pieces, each with an interpolation stencil of its own.

    Each near-field block serves k target grains, which see s source grains each. Its columns hold
    p = c // 3 slots for the particles of a target grain, some of which may be padding. Slots are
    numbered by (block, target grain, particle).

    Places are the particles in the order of their stencils' first nodes, so that the potentials on
    the mesh are read from one end to the other. The FFT is taken over twice the mesh's nodes along
    each axis, so that nothing wraps around.
    """

    blocks: Any  # of (k, 3s, c): rows (source, component), columns (component, particle), padding
    block_sources: Any  # of int (k, s), the source grains of each target grain
    charges: Any  # (nodes, 3, pieces) on the stencil of each piece, per unit polarisation
    piece_grain: Any  # int (pieces,), the grain that each piece belongs to
    source_node: Any  # int (pieces,), flat index of the first node of each piece's stencil
    source_offsets: Any  # int (nodes,), flat offsets of the stencil's nodes from its first
    kernel: Any  # real (Z // 2 + 1, Y, X), transform of the potential of a unit charge
    block_slot: Any  # int (n,), the slot in the blocks of the particle at each place
    gradient_weights: Any  # (nodes, 3, n), field from potentials; padded to a multiple of UNROLLED
    target_node: Any  # int (n,), flat index of the first node of the stencil of each place
    target_offsets: Any  # int (nodes,), flat offsets of the stencil's nodes from its first

    @property
    def places(self) -> int:
        """Number of places, n."""
        return self.target_node.shape[0]

    @property
    def mesh(self) -> tuple[int, int, int]:
        """Number of the mesh's nodes along x, y and z."""
        z, y, x = self.kernel.shape
        return (x // 2, y // 2, z - 1)

    def field(self, polarization: Any) -> Any:
        """Return fields (b, 3, n) of polarisations (b, 3, g)."""
        xp = backend.namespace(polarization)[0]
        near = self._near_field(xp, polarization)
        of_pieces = backend.gather(xp, polarization, self.piece_grain)
        # Written out: as a matrix product, of each piece alone, it takes seven times as long.
        charges = sum(of_pieces[:, None, j] * self.charges[:, j] for j in range(3))
        node = self.source_node + self.source_offsets[:, None]
        potential = self._potential(xp, backend.segment_sum(xp, charges, node, prod(self.mesh)))
        near = backend.gather(xp, near, self.block_slot)
        return near + self._interpolated_field(xp, potential)

    def adjoint(self, field: Any) -> Any:
        """Apply the adjoint of `field`: (b, 3, g) from (b, 3, n)."""
        xp = backend.namespace(field)[0]
        # By number: TensorFlow iterates over no tensor of a graph.
        nodes = range(self.gradient_weights.shape[0])
        on_nodes = [xp.sum(field * self.gradient_weights[node], axis=1) for node in nodes]
        node = self.target_node + self.target_offsets[:, None]
        potential = backend.segment_sum(xp, xp.stack(on_nodes, axis=1), node, prod(self.mesh))
        potential = self._potential(xp, potential)
        node = self.source_node + self.source_offsets[:, None]
        of_pieces = backend.einsum(
            xp, "bns,njs->bjs", xp.take(potential, node, axis=1), self.charges
        )
        parts, grains = self._near_adjoint(xp, field)
        g = sum(block.shape[0] for block in self.blocks)
        parts = xp.concatenate([of_pieces, *parts], axis=2)
        grains = xp.concatenate([self.piece_grain, *grains], axis=0)
        return backend.segment_sum(xp, parts, grains, g)

    def _near_field(self, xp, polarization):
        """Return the near field (b, 3, slots) by the dense blocks."""
        near = []
        for block, sources in zip(self.blocks, self.block_sources, strict=True):
            k, s = sources.shape
            rows = xp.take(polarization, sources, axis=2)
            rows = xp.reshape(xp.transpose(rows, (0, 2, 3, 1)), (-1, k, 3 * s))
            p = block.shape[2] // 3
            field = backend.block_matmul(xp, rows, block)[:, :, : 3 * p]
            field = xp.swapaxes(xp.reshape(field, (-1, k, 3, p)), 1, 2)
            near.append(xp.reshape(field, (-1, 3, k * p)))
        return xp.concatenate(near, axis=2)

    def _near_adjoint(self, xp, field):
        """Apply the adjoints of the blocks; return parts (b, 3, k·s) and their grains (k·s,)."""
        parts, grains = [], []
        slots = sum(block.shape[0] * (block.shape[2] // 3) for block in self.blocks)
        field = backend.segment_sum(xp, field, self.block_slot, slots)
        first = 0
        for block, sources in zip(self.blocks, self.block_sources, strict=True):
            k, s = sources.shape
            p = block.shape[2] // 3
            part = xp.reshape(field[:, :, first : first + k * p], (-1, 3, k, p))
            part = xp.reshape(xp.swapaxes(part, 1, 2), (-1, k, 3 * p))
            part = backend.block_matmul(xp, part, xp.swapaxes(block[:, :, : 3 * p], 1, 2))
            part = xp.transpose(xp.reshape(part, (-1, k, s, 3)), (0, 3, 1, 2))
            parts.append(xp.reshape(part, (-1, 3, k * s)))
            grains.append(xp.reshape(sources, (-1,)))
            first += k * p
        return parts, grains

    def _interpolated_field(self, xp, potential):
        """Interpolate the field (b, 3, n) from the potentials (b, M) at the nodes."""

        def add_nodes(iteration, field):
            for k in range(UNROLLED):
                node = iteration * UNROLLED + k
                index = self.target_node + xp.take(self.target_offsets, node)
                at_node = xp.take(potential, index, axis=1)[:, None]
                field = field + xp.take(self.gradient_weights, node, axis=0) * at_node
            return field

        field = xp.zeros_like(potential[:, :1, None]) + xp.zeros_like(self.gradient_weights[0])
        iterations = self.gradient_weights.shape[0] // UNROLLED
        # A loop, since XLA would compute a sum written out anew for each of its readers.
        if xp is not np:
            return xp.fori_loop(0, iterations, add_nodes, field)
        for iteration in range(iterations):
            field = add_nodes(iteration, field)
        return field

    def _potential(self, xp, charges):
        """Return potentials (b, M) of charges (b, M) at the nodes; the map is its own adjoint."""

        def multiply(transform, planes):
            return transform * backend.to_complex(xp, self.kernel[planes, None])

        charges = xp.reshape(charges, (-1, *self.mesh))
        potential = fft_convolve(xp, charges, self.kernel.shape, multiply)
        return xp.reshape(potential, (-1, prod(self.mesh)))


Product = Dense | Lattice | Hierarchical


class Arrays(NamedTuple):
    """The arrays of a demagnetising operator."""

    product: Product
    places: np.ndarray  # (g, p) int, of each particle; padding has the place of one that is real
    error: float = 0.0  # measured, relative; 0 for products that are exact to rounding


def arrays_of(product: Product) -> Iterator:
    """Yield all arrays of a product."""
    for part in product:
        if isinstance(part, tuple):
            yield from part
        else:
            yield part


def _flat(vectors):
    """Return the namespace of vectors (b, 3, k), and the vectors as rows (b, 3k)."""
    xp = backend.namespace(vectors)[0]
    return xp, xp.reshape(vectors, (-1, 3 * vectors.shape[2]))
