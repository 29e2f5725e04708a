"""Which grains a grain's particles see exactly, and the blocks of the matrix that say how."""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from keras_micromag.physics.field.demag import Kernel, OnEdgeError, on_edge
from keras_micromag.physics.field.precorrected.mesh import Mesh, Sources
from keras_micromag.physics.field.precorrected.precorrection import meshed
from keras_micromag.utils import memory
from keras_micromag.utils.indices import ranges
from keras_micromag.utils.progress import tracked

_WHOLE = 8
"""Blocks have columns by as many: others are multiplied half as fast again."""

_BLOCK = 1 / 512
"""What a further block costs, as part of the numbers in all: as much padding is worth it."""

_LARGE = 3.0
"""Grains this much larger than the median are looked up on their own."""

_LEFT = 4 / 3
"""Distance of a particle from all pieces of a near grain, over the reach, from which it leaves that
grain to the mesh."""


class Pairs(NamedTuple):
    """Near pairs of a target grain and a source grain, by target."""

    target: np.ndarray  # (m,)
    source: np.ndarray  # (m,)

    def counts(self, g):
        """(g,) sources of each target."""
        return np.bincount(self.target, minlength=g)


class Blocks(NamedTuple):
    """Dense blocks that grains share: rows (source, component), columns (component, particle)."""

    grains: tuple  # of (k,) targets
    sources: tuple  # of (k, s) grains that these see; padding is grain 0
    columns: tuple  # of int

    @property
    def size(self) -> int:
        """Numbers in all blocks."""
        return sum(3 * s.size * c for s, c in zip(self.sources, self.columns, strict=True))

    @property
    def particles(self) -> list:
        """For how many particles of a grain each block has room."""
        return [columns // 3 for columns in self.columns]


def near_pairs(mesh: Mesh, sources: Sources) -> Pairs:
    """Pairs of which the target has a particle nearer to a piece of the source than the reach."""
    reach, g = mesh.precision.reach, len(mesh.structure)
    centres = mesh.of_sources.centre(sources.corner)
    middles = mesh.places(mesh.structure.centroids)
    away = np.linalg.norm(mesh.particles - middles[mesh.grain], axis=1)
    extent = np.zeros(g)
    np.maximum.at(extent, mesh.grain, away)
    large = extent > _LARGE * np.median(extent)
    usual = np.flatnonzero(~large)
    pieces = cKDTree(centres)
    longest = reach + extent[usual].max(initial=0.0)
    found = cKDTree(middles[usual]).sparse_distance_matrix(pieces, longest, output_type="ndarray")
    target, piece = usual[found["i"]], found["j"]
    kept = found["v"] <= reach + extent[target]
    target, piece = target[kept], piece[kept]
    for t in np.flatnonzero(large):
        seen = pieces.query_ball_point(middles[t], reach + extent[t])
        target = np.concatenate([target, np.full(len(seen), t)])
        piece = np.concatenate([piece, np.asarray(seen, int)])
    kept = _any_within(mesh, centres, target, piece, reach)
    # A grain is near to itself, whatever its shape: its own field is not that of the mesh.
    own = np.arange(g)
    pair = np.concatenate([target[kept], own]) * g + np.concatenate(
        [sources.grain[piece[kept]], own]
    )
    pair = np.unique(pair)
    return Pairs(pair // g, pair % g)


def _any_within(mesh, centres, target, piece, reach):
    """Whether any particle of the target is within reach of the piece."""
    first, count = mesh.first[target], np.diff(mesh.first)[target]
    near = np.zeros(len(target), bool)
    for part in np.array_split(np.arange(len(target)), 1 + count.sum() // 2**22):
        pair, particle = ranges(first[part], first[part] + count[part])
        away = mesh.particles[particle] - centres[piece[part[pair]]]
        near[part[pair[(away**2).sum(axis=1) <= reach * reach]]] = True
    return near


def blocks(pairs: Pairs, particles, place) -> Blocks:
    """Grains in blocks with little padding.

    Args:
        particles: (g,) number of each grain's.
        place: (g,) number of the node that each is at: within a block grains come in this order,
            in which their particles are read too.
    """
    seen = pairs.counts(len(particles))
    first = np.cumsum(seen) - seen
    columns = -(-3 * particles // _WHOLE) * _WHOLE
    cost = _BLOCK * 3 * float(columns @ seen)
    grains, sources, widths = [], [], []
    for some in alike(columns, 3.0 * seen, cost):
        for part in alike(seen[some], np.full(len(some), 3.0 * columns[some].max()), cost):
            block = some[part]
            block = block[np.argsort(place[block], kind="stable")]
            width = seen[block].max()
            index = np.minimum(first[block][:, None] + np.arange(width), len(pairs.source) - 1)
            there = np.arange(width) < seen[block][:, None]
            grains.append(block)
            sources.append(np.where(there, pairs.source[index], 0).astype(np.int32))
            widths.append(int(columns[block].max()))
    return Blocks(tuple(grains), tuple(sources), tuple(widths))


def alike(number, weight, cost) -> list:
    """Indices in parts with alike numbers: those with the smallest sum of their costs.

    Args:
        number: (n,) that all of a part are filled up to. weight: (n,) what that costs for each.
        cost: of a part.
    """
    values, which = np.unique(number, return_inverse=True)
    weight = np.concatenate([[0.0], np.cumsum(np.bincount(which, weight))])
    # The least for the smallest values, and where the last of their parts begins.
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


def fill(
    mesh: Mesh,
    sources: Sources,
    slopes,
    pairs: Pairs,
    layout: Blocks,
    self_field: bool,
    dtype,
    progress: bool | None = False,
) -> tuple:
    """The blocks (k, 3s, c): exact fields, less those that the mesh carries too.

    Args:
        slopes: (n, nodes, 3) of all particles, see `Stencil.slopes`.
        progress: whether to show a bar over the source grains; on a terminal if None.

    Raises:
        ValueError: when a particle lies on an edge of a grain whose field acts on it.
    """
    g = len(mesh.structure)
    numbers, blocks, first = _room(layout, dtype)
    # Where among the numbers each grain's part of a block begins, and how wide that is.
    begin, columns = np.zeros(g, int), np.zeros(g, int)
    for grains, block, at in zip(layout.grains, blocks, first, strict=True):
        begin[grains] = at + block[0].size * np.arange(len(grains))
        columns[grains] = block.shape[2]
    rank = np.arange(len(pairs.target)) - np.searchsorted(pairs.target, pairs.target)
    order = np.argsort(pairs.source, kind="stable")
    start = np.searchsorted(pairs.source[order], np.arange(g + 1))
    first_piece = np.searchsorted(sources.grain, np.arange(g + 1))

    def one(source):
        chosen = order[start[source] : start[source + 1]]
        targets = pairs.target[chosen]
        owner, particle = ranges(mesh.first[targets], mesh.first[targets + 1])
        pieces = slice(*first_piece[source : source + 2])
        corner, charges = sources.corner[pieces], sources.charges[pieces]
        # By a tree: of a grain as large as the sample, pieces times particles would not fit.
        away, _ = cKDTree(mesh.of_sources.centre(corner)).query(mesh.particles[particle])
        seen = (away <= _LEFT * mesh.precision.reach) | (mesh.grain[particle] == source)
        owner, particle = owner[seen], particle[seen]
        field = _exact(mesh, source, particle, self_field)
        field += meshed(mesh.precision, corner, charges, mesh.corner[particle], slopes[particle])
        wide = columns[targets]
        row = (begin[targets] + 3 * rank[chosen] * wide)[owner]
        row += particle - mesh.first[targets[owner]]
        of_source = np.arange(3)[:, None] * wide[owner, None, None]
        of_target = np.arange(3) * (wide // 3)[owner, None, None]
        numbers[row[:, None, None] + of_source + of_target] = np.swapaxes(field, 1, 2)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for _ in tracked(threads.map(one, range(g)), "fields of grains", g, progress):
            pass
    return blocks


def _room(layout, dtype):
    """One array for the numbers of all blocks; the blocks, which share it; where each begins."""
    shapes = [
        (len(sources), 3 * sources.shape[1], columns)
        for sources, columns in zip(layout.sources, layout.columns, strict=True)
    ]
    # Each at an address that is as good as that of the whole.
    aligned = memory.ALIGNED // np.dtype(dtype).itemsize
    room = [-(-math.prod(shape) // aligned) * aligned for shape in shapes]
    first = np.cumsum(room) - room
    numbers = memory.zeros((sum(room),), dtype)
    blocks = tuple(
        numbers[at : at + math.prod(shape)].reshape(shape)
        for at, shape in zip(first, shapes, strict=True)
    )
    return numbers, blocks, first


def _exact(mesh, source, particle, self_field):
    """(n, 3, 3) tensors of a grain at some particles; 0 at its own, unless they feel it."""
    structure, body = mesh.structure, mesh.structure.grains[source]
    acts = np.ones(len(particle), bool) if self_field else mesh.grain[particle] != source
    # Not back from the mesh, where rounding may have moved a particle off an edge.
    points = mesh.points[particle[acts]] - body.centroid
    field = np.zeros((len(particle), 3, 3))
    try:
        field[acts] = Kernel(body)(points)
    except OnEdgeError as error:
        which = particle[acts][error.index]
        target = mesh.grain[which]
        place = np.flatnonzero(structure.weights[target] > 0)[which - mesh.first[target]]
        raise ValueError(on_edge(place, target, source)) from None
    return field
