"""Near grains exactly, far ones over a mesh.

Why this and no other kind: docs/large_magnets.md. What near grains do to the few dozen particles of
a grain has at 1e-4 no low rank: no factors are smaller than the exact blocks of the nearest
hundred, whose product runs at the speed of memory. What is far is carried by two Fourier
transforms; by the count of operations, a tree's translations would cost several times more.
`benchmarks/large.py` measures those ranks, and the product beside such a tree, fmm3dpy.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np
from scipy import fft

from keras_micromag.physics.field.demag import Kernel
from keras_micromag.physics.field.precorrected import near
from keras_micromag.physics.field.precorrected.mesh import Mesh
from keras_micromag.physics.field.precorrected.precorrection import inverse_distance
from keras_micromag.physics.field.precorrected.stencils import Precision
from keras_micromag.physics.field.products import UNROLLED, Hierarchical
from keras_micromag.physics.field.remedy import remedy
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.utils import memory
from keras_micromag.utils.indices import grid

PRECISIONS = (
    Precision(1e-3, sources=(4, 6.0, 5, 5.0), targets=(4, 3.0, 4, 4.0), reach=4.5, extent=3.0),
    Precision(1e-4, sources=(5, 8.0, 7, 6.0), targets=(4, 6.0, 5, 5.0), reach=6.0, extent=3.5),
    Precision(1e-5, sources=(5, 8.0, 7, 6.0), targets=(5, 8.0, 7, 7.0), reach=7.5, extent=3.5),
    Precision(1e-6, sources=(6, 12.0, 9, 8.0), targets=(6, 12.0, 9, 9.0), reach=10.0, extent=3.5),
)
"""From coarse to fine; found by trial on polycrystals, and checked on every structure."""

_SPACING = 0.4
"""Spacing of the mesh over the cube root of the median grain's volume."""

_NODES = 40
"""Nodes for each grain, at most: where grains are far apart the mesh is wider."""

_RIM = 8
"""Nodes with those of the rim, over what they are for a cube, at most."""

_PROBED = 256
"""Particles at which the error is measured."""

_STATES = 16, 4, 2048
"""States of each sort in which it is, at most and at least, and over the number of grains: the
more grains, the more alike are the errors of states of a sort."""

ROUNDING = {"float32": 5e-6, "float64": 5e-7}
"""Smallest error that can be asked for: of the dtype, and of the finest precision."""


def hierarchical(
    structure: Microstructure,
    self_field: bool,
    dtype: str,
    rtol: float,
    progress: bool | None = False,
):
    """The product, the places (g, p) of the particles, and the measured error.

    Raises:
        ValueError: where no precision is fine enough.
        MemoryError: when there is no room for the blocks.
    """
    probe = Probe(structure, self_field)
    errors = []
    for precision in [p for p in PRECISIONS if p.error <= rtol] or PRECISIONS[-1:]:
        product, places = made(structure, self_field, dtype, precision, progress)
        errors.append(probe.error(product, places))
        if errors[-1] <= rtol:
            return product, places, errors[-1]
        del product
    # Rounded up, so that what it asks for will do.
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
    """Exact fields at some particles, in saturated, random and partly reversed states.

    Args:
        most: how many particles, if there are as many.
    """

    def __init__(self, structure: Microstructure, self_field: bool, most: int = _PROBED):
        self.structure, self.self_field = structure, self_field
        grain, place = np.nonzero(structure.weights > 0)
        rng = np.random.default_rng(len(grain))
        chosen = rng.choice(len(grain), min(most, len(grain)), replace=False)
        self.grain, self.place = grain[chosen], place[chosen]
        g = len(structure)
        top, least, total = _STATES
        states = min(max(total // g, least), top)
        aligned, random = (rng.normal(size=(states, n, 3)) for n in (1, g))
        reversed_ = rng.normal(size=(states, 1, 3)) * rng.choice([-1, 1], (states, g, 1))
        moments = np.stack([np.broadcast_to(aligned, random.shape), random, reversed_])
        self.moments = moments / np.linalg.norm(moments, axis=-1, keepdims=True)

    @cached_property
    def field(self) -> np.ndarray:
        """(sort, state, n, 3) at the particles; the blocks have named those on edges before."""
        points = self.structure.particles[self.grain, self.place]

        def rows(some):
            field = np.zeros((*self.moments.shape[:2], len(points), 3))
            for source in some:
                acts = np.flatnonzero(self.self_field | (self.grain != source))
                body = self.structure.grains[source]
                tensors = Kernel(body)(points[acts] - body.centroid)
                field[:, :, acts] += np.einsum("nij,tsj->tsni", tensors, self.moments[:, :, source])
            return field

        with ThreadPoolExecutor(os.cpu_count()) as threads:
            parts = np.array_split(np.arange(len(self.structure)), 4 * os.cpu_count())
            return sum(threads.map(rows, parts))

    def error(self, product, places) -> float:
        """Of a product in nearly any state: three standard deviations above the usual of its sort.

        They are those of the logarithm. 0 where nothing acts, as on a grain without its own field.
        """
        if not self.field.any():
            return 0.0
        # No less than rounding, where a field is the same to the last digit.
        errors = np.log(np.maximum(self.errors(product, places), np.finfo(float).eps))
        return float(np.exp(errors.mean(axis=1) + 3.0 * errors.std(axis=1, ddof=1)).max())

    def errors(self, product, places) -> np.ndarray:
        """(sort, state): root mean square of a product's error over that of the field.

        That of all particles is below it, by two standard errors of what the chosen ones tell.
        """
        mine = places[self.grain, self.place]
        n, of = len(mine), int((self.structure.weights > 0).sum())
        errors = np.empty(self.moments.shape[:2])
        # One by one: several at once take as many times the memory, and no less time.
        for state in np.ndindex(errors.shape):
            moments = self.moments[state].T.astype(product.slopes.dtype)
            found = product.field(moments[None])[0][:, mine].T
            wrong = ((found - self.field[state]) ** 2).sum(axis=1)
            unseen = 2.0 * wrong.std() * np.sqrt((1.0 - n / of) / n)
            exact = (self.field[state] ** 2).sum(axis=1).mean()
            errors[state] = np.sqrt((wrong.mean() + unseen) / exact)
        return errors


def made(
    structure: Microstructure,
    self_field: bool,
    dtype: str,
    precision: Precision,
    progress: bool | None = False,
):
    """The product at a precision, and the place (g, p) of each particle; padding is the first."""
    g = len(structure)
    mesh = Mesh(structure, _spacing(structure, precision), precision)
    sources = mesh.sources()
    pairs = near.near_pairs(mesh, sources)
    real = structure.weights > 0
    counts = real.sum(axis=1)
    flat = np.array([mesh.shape[1] * mesh.shape[2], mesh.shape[2], 1])
    layout = near.blocks(pairs, counts, mesh.places(structure.centroids).astype(int) @ flat)
    _require_room(mesh, layout, dtype)
    nodes = len(mesh.of_targets)
    of_particles = np.empty((len(mesh.particles), nodes, 3), dtype)
    for some, slopes in mesh.slopes():
        of_particles[some] = slopes
    blocks = near.fill(mesh, sources, of_particles, pairs, layout, self_field, dtype, progress)
    # Computed again below, since both orders at once would not fit beside the blocks.
    del of_particles, pairs

    # Each particle's room in the blocks, which are (block, grain, particle), with padding.
    rooms = np.zeros(g, int)
    first = 0
    for grains, particles in zip(layout.grains, layout.particles, strict=True):
        rooms[grains] = first + particles * np.arange(len(grains))
        first += particles * len(grains)
    room = rooms[mesh.grain] + np.arange(len(mesh.grain)) - mesh.first[mesh.grain]
    # Places are particles in the order of their nodes; padding is its grain's first particle.
    at = mesh.corner @ flat
    along = np.argsort(at, kind="stable")
    place = np.empty(len(along), int)
    place[along] = np.arange(len(along))
    number = np.where(real, np.cumsum(real, axis=1) - 1, 0)
    places = place[mesh.first[:-1, None] + number]
    whole_rounds = -(-nodes // UNROLLED) * UNROLLED
    tilt = memory.zeros((whole_rounds, 3, len(along)), dtype)
    for some, slopes in mesh.slopes():
        tilt[:nodes, :, place[some]] = -np.moveaxis(slopes, 0, 2)
    # In the order of their nodes: what is written one after another is nearby.
    onto = sources.corner @ flat
    order = np.argsort(onto, kind="stable")
    product = Hierarchical(
        blocks=blocks,
        sources=layout.sources,
        charges=np.ascontiguousarray(np.moveaxis(sources.charges[order], 0, 2), dtype),
        grain=sources.grain[order].astype(np.int32),
        onto=onto[order].astype(np.int32),
        source_steps=(mesh.of_sources.steps @ flat).astype(np.int32),
        kernel=np.ascontiguousarray(_kernel(mesh.shape), dtype),
        room=room[along].astype(np.int32),
        slopes=tilt,
        at=at[along].astype(np.int32),
        target_steps=np.resize(mesh.of_targets.steps @ flat, whole_rounds).astype(np.int32),
    )
    return product, places


def _spacing(structure, precision):
    """Of the mesh, in metres."""
    edges = structure.bounds[1] - structure.bounds[0]
    nodes = _NODES * len(structure)
    usual = _SPACING * float(np.median(structure.volumes)) ** (1 / 3)
    spacing = max(usual, float(np.prod(edges) / nodes) ** (1 / 3))
    # Around thin samples most nodes are rim: of few grains far apart they would be millions.
    rim = 2 * max(stencil.width for stencil in precision.stencils)
    while np.prod(edges / spacing + rim) > _RIM * (nodes + rim**3):
        spacing *= 1.1
    return spacing


def _require_room(mesh, layout, dtype):
    there = len(mesh.particles)

    def need(particles, dtype):
        blocks = layout.size * particles / there
        slopes = 3 * (len(mesh.of_targets) + UNROLLED) * particles
        return (blocks + slopes + 32 * int(np.prod(mesh.shape))) * np.dtype(dtype).itemsize

    # The finest setting serves what only float64 can be asked for.
    shortest = "float32" if mesh.precision.error >= ROUNDING["float32"] else dtype
    memory.require(
        need(there, dtype),
        f"the hierarchical operator of {len(mesh.structure)} grains with {there} particles",
        remedy(mesh.structure, dtype, need, shortest),
    )


def _kernel(shape):
    """(Z // 2 + 1, Y, X) transform of 1/4πr between nodes; real, since it is even."""
    steps = [np.minimum(np.arange(2 * n), 2 * n - np.arange(2 * n)) for n in shape]
    return fft.rfftn(inverse_distance(grid(*steps)), workers=-1).real.T
