"""The near field: which pairs of grains belong to it, and the dense blocks that hold it."""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from keras_micromag.physics.field.demag import (
    Kernel,
    OnEdgeError,
    on_edge_message,
    without_nucleus,
)
from keras_micromag.physics.field.precorrected.mesh import Mesh, Pieces
from keras_micromag.physics.field.precorrected.precorrection import precorrection
from keras_micromag.utils import checks, memory
from keras_micromag.utils.indices import ranges
from keras_micromag.utils.progress import tracked

_COLUMN_MULTIPLE = 8
"""The columns of a block are a multiple of it: products with others take half as long again."""

_BLOCK_COST = 1 / 512
"""Cost of one more block, as part of the entries of all blocks: as much padding is worth it."""

_LARGE_GRAIN = 3.0
"""Grains this much larger than the median are looked up one by one."""

_NEAR_LIMIT = 4 / 3
"""A particle of a near pair leaves the source grain to the mesh where it is further from all of its
pieces than this many times the reach."""


class NearPairs(NamedTuple):
    """Near pairs of a target grain and a source grain, sorted by target and then by source."""

    target: np.ndarray  # (m,)
    source: np.ndarray  # (m,)

    def counts(self, g: int) -> np.ndarray:
        """Return the number of near source grains of each of the g targets."""
        return np.bincount(self.target, minlength=g)


class BlockLayout(NamedTuple):
    """How target grains share dense blocks.

    Rows of a block are (source, component), its columns (component, particle).
    """

    grains: tuple  # of (k,) target grains of each block
    sources: tuple  # of (k, s) source grains of each of these; padding is grain 0
    columns: tuple  # of int, the number of columns of each block

    @property
    def size(self) -> int:
        """Number of entries in all blocks."""
        return sum(3 * s.size * c for s, c in zip(self.sources, self.columns, strict=True))

    @property
    def particles(self) -> list[int]:
        """Number of particles of each target grain that fit into each block."""
        return [columns // 3 for columns in self.columns]


def near_pairs(mesh: Mesh, pieces: Pieces) -> NearPairs:
    """Return the pairs of grains in the near field of each other.

    In a near pair a particle of the target lies within the reach of a piece of the source. Every
    grain makes a near pair with itself.
    """
    reach, g = mesh.precision.reach, len(mesh.structure)
    piece_centres = mesh.source_stencil.centre(pieces.corner)
    target, piece = _candidates(mesh, piece_centres, reach)
    kept = _any_within(mesh, piece_centres, target, piece, reach)
    # A grain is near to itself, whatever its shape: its own field is not that of the mesh.
    own = np.arange(g)
    pair = np.concatenate([target[kept], own]) * g + np.concatenate(
        [pieces.grain[piece[kept]], own]
    )
    pair = np.unique(pair)
    return NearPairs(pair // g, pair % g)


def _candidates(mesh, piece_centres, reach):
    """Return target grains and pieces (m,) of which the bounding spheres are within reach."""
    centroids = mesh.in_spacings(mesh.structure.centroids)
    from_centroid = np.linalg.norm(mesh.mesh_positions - centroids[mesh.particle_grain], axis=1)
    radius = np.zeros(len(mesh.structure))
    np.maximum.at(radius, mesh.particle_grain, from_centroid)
    large = radius > _LARGE_GRAIN * np.median(radius)
    usual = np.flatnonzero(~large)
    tree = cKDTree(piece_centres)
    longest = reach + radius[usual].max(initial=0.0)
    distances = cKDTree(centroids[usual]).sparse_distance_matrix(
        tree, longest, output_type="ndarray"
    )
    target, piece = usual[distances["i"]], distances["j"]
    kept = distances["v"] <= reach + radius[target]
    target, piece = target[kept], piece[kept]
    for t in np.flatnonzero(large):
        within = tree.query_ball_point(centroids[t], reach + radius[t])
        target = np.concatenate([target, np.full(len(within), t)])
        piece = np.concatenate([piece, np.asarray(within, int)])
    return target, piece


def _any_within(mesh, centres, target, piece, reach):
    """Return for each pair (m,) whether any particle of the target is within reach of the piece."""
    first, count = mesh.first_particle[target], np.diff(mesh.first_particle)[target]
    near = np.zeros(len(target), bool)
    for part in np.array_split(np.arange(len(target)), 1 + count.sum() // 2**22):
        pair, particle = ranges(first[part], first[part] + count[part])
        offset = mesh.mesh_positions[particle] - centres[piece[part[pair]]]
        near[part[pair[(offset**2).sum(axis=1) <= reach * reach]]] = True
    return near


def block_layout(pairs: NearPairs, particles: np.ndarray, node: np.ndarray) -> BlockLayout:
    """Group the target grains into blocks with little padding.

    Args:
        pairs: of g grains.
        particles: (g,) number of particles of each grain.
        node: (g,) flat index of the node at each grain. Within a block grains have this order, in
            which their particles are read too.
    """
    source_counts = pairs.counts(len(particles))
    first_pair = np.cumsum(source_counts) - source_counts
    columns = -(-3 * particles // _COLUMN_MULTIPLE) * _COLUMN_MULTIPLE
    cost = _BLOCK_COST * 3 * float(columns @ source_counts)
    block_grains, block_sources, block_columns = [], [], []
    for group in partition(columns, 3.0 * source_counts, cost):
        width = np.full(len(group), 3.0 * columns[group].max())
        for part in partition(source_counts[group], width, cost):
            grains = group[part]
            grains = grains[np.argsort(node[grains], kind="stable")]
            block_grains.append(grains)
            block_sources.append(_padded_sources(pairs, first_pair, source_counts, grains))
            block_columns.append(int(columns[grains].max()))
    return BlockLayout(tuple(block_grains), tuple(block_sources), tuple(block_columns))


def _padded_sources(pairs, first_pair, source_counts, grains):
    """Return the sources (k, s) of target grains (k,); those beyond a grain's count are grain 0."""
    number = np.arange(source_counts[grains].max())
    pair = np.minimum(first_pair[grains][:, None] + number, len(pairs.source) - 1)
    real = number < source_counts[grains][:, None]
    return np.where(real, pairs.source[pair], 0).astype(np.int32)


def partition(number: np.ndarray, weight: np.ndarray, cost: float) -> list[np.ndarray]:
    """Partition items so that those of similar numbers are together, at the least total cost.

    A part costs `cost`, and the weight of its items times the largest of their numbers, to which
    all of them are padded. The least total is found by dynamic programming over the sorted numbers.

    Args:
        number: (n,) of each item.
        weight: (n,) of each item.
        cost: of one more part.

    Returns:
        The indices of the items of each part.
    """
    values, which = np.unique(number, return_inverse=True)
    weight = np.concatenate([[0.0], np.cumsum(np.bincount(which, weight))])
    # The least cost of the smallest values, and where the last of their parts begins.
    least, start = np.zeros(len(values) + 1), np.zeros(len(values) + 1, int)
    for end, value in enumerate(values, 1):
        costs = least[:end] + value * (weight[end] - weight[:end]) + cost
        start[end] = np.argmin(costs)
        least[end] = costs[start[end]]
    parts, end = [], len(values)
    while end:
        parts.append(np.flatnonzero((start[end] <= which) & (which < end)))
        end = start[end]
    return parts


def near_blocks(
    mesh: Mesh,
    pieces: Pieces,
    gradient_weights: np.ndarray,
    pairs: NearPairs,
    layout: BlockLayout,
    self_field: checks.SelfField,
    dtype: str,
    progress: bool | None = False,
) -> tuple[np.ndarray, ...]:
    """Return the dense blocks (k, 3s, c): exact fields less the precorrection.

    Args:
        gradient_weights: (n, nodes, 3) of all particles, see `Stencil.gradient_weights`.
        progress: whether to show a bar over the source grains; on a terminal if None.

    Raises:
        ValueError: when a particle lies on an edge of a grain whose field acts on it.
    """
    g = len(mesh.structure)
    storage = _allocate(layout, g, dtype)
    # The row of each pair in its target's part of a block, and the pairs sorted by source.
    rank = np.arange(len(pairs.target)) - np.searchsorted(pairs.target, pairs.target)
    by_source = np.argsort(pairs.source, kind="stable")
    first_pair = np.searchsorted(pairs.source[by_source], np.arange(g + 1))
    first_piece = np.searchsorted(pieces.grain, np.arange(g + 1))

    def fill_source(source):
        own_pairs = by_source[first_pair[source] : first_pair[source + 1]]
        targets = pairs.target[own_pairs]
        own_pieces = slice(*first_piece[source : source + 2])
        corners, charges = pieces.corner[own_pieces], pieces.charges[own_pieces]
        owner, particle = _near_particles(mesh, corners, source, targets)
        field = _exact_field(mesh, source, particle, self_field)
        # The gradient of the potential is minus the field.
        field += precorrection(
            mesh.precision,
            corners,
            charges,
            mesh.stencil_corner[particle],
            gradient_weights[particle],
        )
        number = particle - mesh.first_particle[targets[owner]]
        storage.write(field, targets[owner], rank[own_pairs][owner], number)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for _ in tracked(threads.map(fill_source, range(g)), "fields of grains", g, progress):
            pass
    return storage.blocks


class _Storage(NamedTuple):
    """One array for the entries of all blocks, so that a source writes to them all at once."""

    entries: np.ndarray  # of all blocks, one block after another
    blocks: tuple  # of (k, 3s, c), views of the entries
    first: np.ndarray  # (g,) where the entries of each target grain begin
    columns: np.ndarray  # (g,) number of columns of the block of each target grain

    def write(self, field, target, rank, number):
        """Write tensors (n, 3, 3) of one source.

        Args:
            field: [target's component, source's component].
            target: (n,) grain. rank: (n,) of the source among its near ones. number: (n,) of the
                particle in it.
        """
        columns = self.columns[target]
        entry = self.first[target] + 3 * rank * columns + number
        of_source = np.arange(3)[:, None] * columns[:, None, None]
        of_target = np.arange(3) * (columns // 3)[:, None, None]
        self.entries[entry[:, None, None] + of_source + of_target] = np.swapaxes(field, 1, 2)


def _allocate(layout, g, dtype):
    """Return the storage of a layout for g grains, all of it 0."""
    shapes = [
        (len(sources), 3 * sources.shape[1], columns)
        for sources, columns in zip(layout.sources, layout.columns, strict=True)
    ]
    # Each block begins at an address that is aligned as well as that of the first.
    aligned = memory.ALIGNED // np.dtype(dtype).itemsize
    sizes = [-(-math.prod(shape) // aligned) * aligned for shape in shapes]
    first_entry = np.cumsum(sizes) - sizes
    entries = memory.zeros((sum(sizes),), dtype)
    blocks = tuple(
        entries[first : first + math.prod(shape)].reshape(shape)
        for first, shape in zip(first_entry, shapes, strict=True)
    )
    grain_first, grain_columns = np.zeros(g, int), np.zeros(g, int)
    for grains, block, first in zip(layout.grains, blocks, first_entry, strict=True):
        grain_first[grains] = first + block[0].size * np.arange(len(grains))
        grain_columns[grains] = block.shape[2]
    return _Storage(entries, blocks, grain_first, grain_columns)


def _near_particles(mesh, corners, source, targets):
    """Return the particles of the targets that feel the source directly, not through the mesh.

    Returns:
        owner: (n,) index into the targets. particle: (n,) index into the mesh's particles.
    """
    owner, particle = ranges(mesh.first_particle[targets], mesh.first_particle[targets + 1])
    # By a tree: of a grain as large as the sample, pieces times particles would not fit.
    tree = cKDTree(mesh.source_stencil.centre(corners))
    distance, _ = tree.query(mesh.mesh_positions[particle])
    near = distance <= _NEAR_LIMIT * mesh.precision.reach
    near |= mesh.particle_grain[particle] == source
    return owner[near], particle[near]


def _exact_field(mesh, source, particle, self_field):
    """Return the tensors (n, 3, 3) of a grain at some particles, by its surface charges.

    Those at its own particles are 0 without `self_field`.
    """
    structure, body = mesh.structure, mesh.structure.grains[source]
    own = mesh.particle_grain[particle] == source
    acts = ~own | bool(self_field)
    # Not back from the mesh, where rounding may have moved a particle off an edge.
    points = mesh.positions[particle[acts]] - body.centroid
    field = np.zeros((len(particle), 3, 3))
    try:
        field[acts] = Kernel(body)(points)
    except OnEdgeError as error:
        on_edge = particle[acts][error.index]
        target = mesh.particle_grain[on_edge]
        real = np.flatnonzero(structure.weights[target] > 0)
        number = real[on_edge - mesh.first_particle[target]]
        raise ValueError(on_edge_message(number, target, source)) from None
    if self_field == "nucleus":
        field[own] = without_nucleus(field[own])
    return field
