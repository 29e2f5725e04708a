"""The hierarchical operator, a precorrected FFT: the near field exactly, the rest by a mesh.

docs/development/design_notes.md explains why it is no tree or H-matrix; `benchmarks/large.py`
measures it.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np
from scipy import fft

from keras_micromag.physics.field.demag import Kernel, without_nucleus
from keras_micromag.physics.field.memory_advice import memory_advice
from keras_micromag.physics.field.precorrected import near
from keras_micromag.physics.field.precorrected.mesh import Mesh
from keras_micromag.physics.field.precorrected.precorrection import green_function
from keras_micromag.physics.field.precorrected.stencils import Precision
from keras_micromag.physics.field.products import UNROLLED, Hierarchical
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.utils import checks, memory
from keras_micromag.utils.indices import grid

PRECISIONS = (
    Precision(1e-3, sources=(4, 6.0, 5, 5.0), targets=(4, 3.0, 4, 4.0), reach=4.5, extent=3.0),
    Precision(1e-4, sources=(5, 8.0, 7, 6.0), targets=(4, 6.0, 5, 5.0), reach=6.0, extent=3.5),
    Precision(1e-5, sources=(5, 8.0, 7, 6.0), targets=(5, 8.0, 7, 7.0), reach=7.5, extent=3.5),
    Precision(1e-6, sources=(6, 12.0, 9, 8.0), targets=(6, 12.0, 9, 9.0), reach=10.0, extent=3.5),
)
"""From coarse to fine. Their errors were measured on polycrystals; that of every operator is
measured when it is built."""

_SPACING = 0.4
"""Spacing of the mesh over the cube root of the median grain's volume."""

_NODES_PER_GRAIN = 40
"""Most nodes for each grain: where grains are far apart the spacing is larger."""

_RIM = 8
"""Most nodes together with those of the rim, over their number for a cube."""

_PROBED = 256
"""Particles at which the error is measured."""

_STATES = 16, 4, 2048
"""Number of probed states of each kind: at most, at least, and times the number of grains. The more
grains, the more alike are the errors of states of one kind."""

ROUNDING = {"float32": 5e-6, "float64": 5e-7}
"""Smallest error that can be asked for: set by the dtype, and by the finest precision."""


def hierarchical_product(
    structure: Microstructure,
    self_field: checks.SelfField,
    dtype: str,
    rtol: float,
    progress: bool | None = False,
) -> tuple[Hierarchical, np.ndarray, float]:
    """Build the coarsest product whose measured error is within `rtol`.

    Returns:
        The product, the places (g, p) of the particles, and the measured error.

    Raises:
        ValueError: where no precision is fine enough.
        MemoryError: when the blocks do not fit into memory.
    """
    probe = Probe(structure, self_field)
    errors = []
    for precision in [p for p in PRECISIONS if p.error <= rtol] or PRECISIONS[-1:]:
        product, places = build_product(structure, self_field, dtype, precision, progress)
        errors.append(probe.error(product, places))
        if errors[-1] <= rtol:
            return product, places, errors[-1]
        del product
    # Rounded up, so that the `rtol` that the message names is met.
    least = f"{1.05 * min(errors):.2g}"
    if not float(least) < 1:
        size, extent = structure.grains[0].size, np.ptp(structure.bounds, axis=0).max()
        raise ValueError(
            "`structure` must have its grains nearer to each other for the operator "
            f"'hierarchical', while 'dense' serves it; received grains of {size:.2g} m over "
            f"{extent:.2g} m."
        )
    raise ValueError(
        f"`rtol` must be at least {least} for this structure, or the operator 'dense'; "
        f"received {rtol:g}."
    )


class Probe:
    """Exact fields at some particles, against which a product's error is measured.

    They are those of saturated, random and partly reversed states.

    Args:
        structure: g grains.
        self_field: False, True or "nucleus", see `demag_matrix`.
        most: number of particles, if there are as many.
    """

    def __init__(
        self, structure: Microstructure, self_field: checks.SelfField, most: int = _PROBED
    ):
        self.structure, self.self_field = structure, self_field
        grain, place = np.nonzero(structure.weights > 0)
        rng = np.random.default_rng(len(grain))
        chosen = rng.choice(len(grain), min(most, len(grain)), replace=False)
        self.grain, self.place = grain[chosen], place[chosen]
        g = len(structure)
        most_states, fewest_states, total = _STATES
        states = min(max(total // g, fewest_states), most_states)
        aligned, random = (rng.normal(size=(states, n, 3)) for n in (1, g))
        reversed_ = rng.normal(size=(states, 1, 3)) * rng.choice([-1, 1], (states, g, 1))
        moments = np.stack([np.broadcast_to(aligned, random.shape), random, reversed_])
        self.moments = moments / np.linalg.norm(moments, axis=-1, keepdims=True)

    @cached_property
    def field(self) -> np.ndarray:
        """Exact field (kind, state, n, 3) at the probed particles.

        None of them lies on an edge: `build_product` has refused such structures before.
        """
        points = self.structure.particles[self.grain, self.place]

        def field_of(sources):
            field = np.zeros((*self.moments.shape[:2], len(points), 3))
            for source in sources:
                own = self.grain == source
                acts = np.flatnonzero(~own | bool(self.self_field))
                body = self.structure.grains[source]
                tensors = Kernel(body)(points[acts] - body.centroid)
                if self.self_field == "nucleus":
                    tensors[own] = without_nucleus(tensors[own])
                field[:, :, acts] += np.einsum("nij,tsj->tsni", tensors, self.moments[:, :, source])
            return field

        with ThreadPoolExecutor(os.cpu_count()) as threads:
            parts = np.array_split(np.arange(len(self.structure)), 4 * (os.cpu_count() or 1))
            return sum(threads.map(field_of, parts))

    def error(self, product: Hierarchical, places: np.ndarray) -> float:
        """Return a bound of the product's relative error that holds in nearly any state.

        It lies three standard deviations above the mean of the logarithms of the errors of a kind
        of state, for the worst kind. It is 0 where no field acts, as on a grain without its own
        field, or on a nucleus in the centre of a cube.
        """
        if not self.field.any():
            return 0.0
        # No less than rounding, where a field is the same to the last digit.
        errors = np.log(np.maximum(self.errors(product, places), np.finfo(float).eps))
        return float(np.exp(errors.mean(axis=1) + 3.0 * errors.std(axis=1, ddof=1)).max())

    def errors(self, product: Hierarchical, places: np.ndarray) -> np.ndarray:
        """Return the relative error (kind, state): root mean square over that of the field.

        Two standard errors are added for the particles that are not probed.
        """
        probed = places[self.grain, self.place]
        n, total = len(probed), int((self.structure.weights > 0).sum())
        errors = np.empty(self.moments.shape[:2])
        # One by one: several at once take as many times the memory, and no less time.
        for state in np.ndindex(errors.shape):
            moments = self.moments[state].T.astype(product.gradient_weights.dtype)
            field = product.field(moments[None])[0][:, probed].T
            squared = ((field - self.field[state]) ** 2).sum(axis=1)
            unprobed = 2.0 * squared.std() * np.sqrt((1.0 - n / total) / n)
            exact = (self.field[state] ** 2).sum(axis=1).mean()
            errors[state] = np.sqrt((squared.mean() + unprobed) / exact)
        return errors


def build_product(
    structure: Microstructure,
    self_field: checks.SelfField,
    dtype: str,
    precision: Precision,
    progress: bool | None = False,
) -> tuple[Hierarchical, np.ndarray]:
    """Build the product at a precision.

    Returns:
        The product, and the place (g, p) of each particle; padding has that of its grain's first.

    Raises:
        ValueError: when a particle lies on an edge of a grain whose field acts on it.
        MemoryError: when the blocks do not fit into memory.
    """
    mesh = Mesh(structure, _spacing(structure, precision), precision)
    pieces = mesh.pieces()
    blocks, layout = _near_field(mesh, pieces, self_field, dtype, progress)
    # Particles and pieces are stored in the order of their nodes, so that those that are read or
    # written one after another are near to each other on the mesh.
    target_node = mesh.stencil_corner @ mesh.strides
    by_target = np.argsort(target_node, kind="stable")
    source_node = pieces.corner @ mesh.strides
    by_source = np.argsort(source_node, kind="stable")
    place = _inverse(by_target)
    weights = _gradient_weights(mesh, place, dtype)
    charges = np.moveaxis(pieces.charges[by_source], 0, 2)
    product = Hierarchical(
        blocks=blocks,
        block_sources=layout.sources,
        charges=np.ascontiguousarray(charges, dtype),
        piece_grain=pieces.grain[by_source].astype(np.int32),
        source_node=source_node[by_source].astype(np.int32),
        source_offsets=(mesh.source_stencil.offsets @ mesh.strides).astype(np.int32),
        kernel=np.ascontiguousarray(_kernel(mesh.shape), dtype),
        block_slot=_block_slots(mesh, layout)[by_target].astype(np.int32),
        gradient_weights=weights,
        target_node=target_node[by_target].astype(np.int32),
        # Those of the padding are repeated: their weights are 0.
        target_offsets=np.resize(mesh.target_stencil.offsets @ mesh.strides, len(weights)).astype(
            np.int32
        ),
    )
    return product, _places(mesh, place)


def _near_field(mesh, pieces, self_field, dtype, progress):
    """Return the near-field blocks, and their layout."""
    pairs = near.near_pairs(mesh, pieces)
    counts = (mesh.structure.weights > 0).sum(axis=1)
    grain_node = mesh.in_spacings(mesh.structure.centroids).astype(int) @ mesh.strides
    layout = near.block_layout(pairs, counts, grain_node)
    _require_memory(mesh, layout, dtype)
    # By particle. `_gradient_weights` computes them again by node: both orders at once would not
    # fit into memory beside the blocks.
    weights = np.empty((len(mesh.mesh_positions), len(mesh.target_stencil), 3), dtype)
    for chunk, of_chunk in mesh.gradient_weights():
        weights[chunk] = of_chunk
    blocks = near.near_blocks(mesh, pieces, weights, pairs, layout, self_field, dtype, progress)
    return blocks, layout


def _gradient_weights(mesh, place, dtype):
    """Return the weights (nodes, 3, n) of potentials in the field at each place.

    The nodes are padded with weights of 0 to a multiple of `UNROLLED`.
    """
    nodes = len(mesh.target_stencil)
    padded_nodes = -(-nodes // UNROLLED) * UNROLLED
    weights = memory.zeros((padded_nodes, 3, len(place)), dtype)
    for chunk, of_chunk in mesh.gradient_weights():
        # The field is minus the gradient of the potential.
        weights[:nodes, :, place[chunk]] = -np.moveaxis(of_chunk, 0, 2)
    return weights


def _block_slots(mesh, layout):
    """Return the slot (n,) of each particle among those of the blocks.

    Slots are numbered by (block, target grain, particle), and include padding.
    """
    first_slot = np.zeros(len(mesh.structure), int)
    first = 0
    for grains, particles in zip(layout.grains, layout.particles, strict=True):
        first_slot[grains] = first + particles * np.arange(len(grains))
        first += particles * len(grains)
    grain = mesh.particle_grain
    return first_slot[grain] + np.arange(len(grain)) - mesh.first_particle[grain]


def _places(mesh, place):
    """Return the places (g, p), from those (n,) of the particles that are not padding."""
    real = mesh.structure.weights > 0
    number = np.where(real, np.cumsum(real, axis=1) - 1, 0)
    return place[mesh.first_particle[:-1, None] + number]


def _inverse(order):
    """Return the inverse of a permutation (n,)."""
    inverse = np.empty(len(order), int)
    inverse[order] = np.arange(len(order))
    return inverse


def _spacing(structure, precision):
    """Return the spacing of the mesh in metres."""
    edges = structure.bounds[1] - structure.bounds[0]
    nodes = _NODES_PER_GRAIN * len(structure)
    usual = _SPACING * float(np.median(structure.volumes)) ** (1 / 3)
    spacing = max(usual, float(np.prod(edges) / nodes) ** (1 / 3))
    # Around thin samples most nodes are rim: of few grains far apart they would be millions.
    rim = 2 * max(stencil.width for stencil in precision.stencils)
    while np.prod(edges / spacing + rim) > _RIM * (nodes + rim**3):
        spacing *= 1.1
    return spacing


def _require_memory(mesh, layout, dtype):
    """Raise where the operator does not fit into memory."""
    n = len(mesh.mesh_positions)

    def required_bytes(particles, dtype):
        blocks = layout.size * particles / n
        weights = 3 * (len(mesh.target_stencil) + UNROLLED) * particles
        on_mesh = 32 * int(np.prod(mesh.shape))
        return (blocks + weights + on_mesh) * np.dtype(dtype).itemsize

    # float32 is no advice where the finest precision serves an `rtol` that only float64 can keep.
    smallest = "float32" if mesh.precision.error >= ROUNDING["float32"] else dtype
    memory.require(
        required_bytes(n, dtype),
        f"the hierarchical operator of {len(mesh.structure)} grains with {n} particles",
        memory_advice(mesh.structure, dtype, required_bytes, smallest),
    )


def _kernel(shape):
    """Return the transform (Z // 2 + 1, Y, X) of 1/4πr between nodes; real, since it is even."""
    steps = [np.minimum(np.arange(2 * n), 2 * n - np.arange(2 * n)) for n in shape]
    return fft.rfftn(green_function(grid(*steps)), workers=-1).real.T
