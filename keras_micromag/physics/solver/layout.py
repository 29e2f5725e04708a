"""The layout of particles in the solver: columns, each of one grain.

Where all grains have the same number of particles, each has one column. Otherwise columns are
short, and a grain has several: with one column each, as long as the largest grain needs, more than
half of the array would be padding.
"""

from typing import NamedTuple

import numpy as np

from keras_micromag.physics.field.exchange import Pairs
from keras_micromag.physics.microstructure.structure import Microstructure

_ROWS = 8
"""Particles in a column, where grains have different numbers of them."""


class Sizes(NamedTuple):
    """The sizes of padded arrays."""

    grains: int
    rows: int  # particles in a column
    columns: int
    most: int  # columns of a grain
    particles: int  # in all

    @classmethod
    def of(cls, structure: Microstructure) -> "Sizes":
        """Return the sizes of a structure without padding."""
        counts = _counts(structure)
        g, n = len(counts), int(counts.sum())
        if (counts == counts[0]).all():
            return cls(g, int(counts[0]), g, 1, n)
        each = _columns(counts, _ROWS)
        # And an empty one, for grains with fewer columns than the most.
        return cls(g, _ROWS, int(each.sum()) + 1, int(each.max()), n)

    @property
    def shared(self) -> "Sizes":
        """Sizes rounded up by a fourth at most, so that irregular magnets share a compiled loop.

        Compiling takes as long as a loop of a hundred grains.
        """
        if self.columns == self.grains:
            return self
        grains, most, particles = map(_rounded_up, (self.grains, self.most, self.particles))
        # Each grain that is padding has a column, too.
        columns = _rounded_up(self.columns + grains - self.grains)
        return Sizes(grains, self.rows, columns, most, particles)


class Exchange(NamedTuple):
    """The fields of neighbours at the particles in c columns of p rows, with s of them at most."""

    neighbors: np.ndarray  # (s·c,) int, the grains that act on a column
    strength: np.ndarray  # (b, s, p, c) µ0·H in tesla of their unit moments, 0 on padding


class Columns(NamedTuple):
    """The places of particles in c columns of p rows, for g grains; NumPy arrays."""

    weights: np.ndarray  # (p, c) share of a particle in its grain's moment, 0 on padding
    places: np.ndarray  # (p·c,) of the particles; empty where that is their own number
    grain: np.ndarray  # (c,) whose column it is
    of_grains: np.ndarray  # (k, g) columns of each grain; both empty where each has one, in order


def in_columns(structure: Microstructure, places, sizes: Sizes) -> Columns:
    """Lay particles out in columns.

    Args:
        places: (g, p) of the particles on the last axis of the operator's fields.
        sizes: of the padded arrays, at least `Sizes.of` the structure. Grains that are padding are
            the last ones, with one particle each.
    """
    counts = _counts(structure)
    each, first = _columns_of(counts, sizes)
    row, column = _positions(structure, sizes)
    owner, which = np.nonzero(structure.weights > 0)
    row, column = row[owner, which], column[owner, which]

    weights = np.zeros((sizes.rows, sizes.columns))
    weights[row, column] = structure.weights[owner, which]
    weights[0, first[len(counts) :]] = 1
    place = np.zeros((sizes.rows, sizes.columns), int)
    place[row, column] = places[owner, which]
    place = place.ravel()
    if np.array_equal(place, np.arange(place.size)):
        place = place[:0]
    if sizes.columns == sizes.grains:
        return Columns(weights, place, np.zeros(0, int), np.zeros((0, 0), int))
    grain = np.zeros(sizes.columns, int)
    grain[: each.sum()] = np.repeat(np.arange(sizes.grains), each)
    of_grains = np.full((sizes.most, sizes.grains), sizes.columns - 1)
    for k, own in enumerate(of_grains):
        own[each > k] = first[each > k] + k
    return Columns(weights, place, grain, of_grains)


def exchange_in_columns(structure: Microstructure, pairs: Pairs, sizes: Sizes) -> Exchange:
    """Lay the pairs of particles and neighbours out in columns, as `in_columns` does particles."""
    row, column = _positions(structure, sizes)
    row, column = row[pairs.grain, pairs.particle], column[pairs.grain, pairs.particle]
    distinct, which = np.unique(np.stack([column, pairs.neighbor]), axis=1, return_inverse=True)
    # The number of each neighbour among those of its column.
    slot = np.arange(distinct.shape[1]) - np.searchsorted(distinct[0], distinct[0])
    neighbors = np.zeros((slot.max(initial=-1) + 1, sizes.columns), int)
    neighbors[slot, distinct[0]] = distinct[1]
    strength = np.zeros((len(pairs.strength), len(neighbors), sizes.rows, sizes.columns))
    for total, terms in zip(strength, pairs.strength, strict=True):
        np.add.at(total, (slot[which.ravel()], row, column), terms)
    return Exchange(neighbors.ravel(), strength)


def _positions(structure, sizes):
    """Return the row and the column (g, p) of each particle; they mean nothing at padding."""
    _, first = _columns_of(_counts(structure), sizes)
    number = np.cumsum(structure.weights > 0, axis=1) - 1
    return number % sizes.rows, first[: len(number), None] + number // sizes.rows


def _columns_of(counts, sizes):
    """Return (g,) the number of columns of each grain, padding among them, and its first one."""
    each = np.ones(sizes.grains, int)
    each[: len(counts)] = _columns(counts, sizes.rows)
    return each, np.cumsum(each) - each


def _counts(structure):
    return (structure.weights > 0).sum(axis=1)


def _columns(counts, rows):
    return -(-counts // rows)


def _rounded_up(n: int) -> int:
    """Round up to three binary digits."""
    step = 2 ** max(n.bit_length() - 3, 0)
    return -(-n // step) * step
