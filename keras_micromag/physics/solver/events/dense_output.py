"""The courses of magnets from one avalanche to the next, and their states at the fields asked for.

Between two avalanches a magnet's state is a function of the field alone, smooth but where the next
grain gives way: there its moments go as the square root of the distance. So states are interpolated
in that root, by curves through eight known states, and where the curve through seven of these
disagrees, one of the fields asked for is settled, and known from then on.
"""

from typing import NamedTuple

import numpy as np
from keras import ops
from scipy import sparse

from keras_micromag.physics.solver.events.continuation import FLIP, NODE, Record

_POINTS = 8
"""States through which a curve goes, where as many are known in a piece."""


class Legs(NamedTuple):
    """A sequence of t fields as l legs, along each of which the field runs one way.

    Attributes:
        start: tesla. ends: (l,) tesla. direction: (l,) ±1. way: (l,) how far the field has come in
            all when a leg begins, in tesla. of: (t,) way of each field.
    """

    start: float
    ends: np.ndarray
    direction: np.ndarray
    way: np.ndarray
    of: np.ndarray

    @classmethod
    def along(cls, field) -> "Legs":
        """Those of fields (t,) in tesla, in any order; a single field is a leg without length."""
        moves = np.diff(field)
        real = np.flatnonzero(moves)
        sign = np.sign(moves[real])
        last = np.flatnonzero(np.diff(sign, append=0) != 0)
        end = real[last] + 1 if len(real) else np.zeros(1, int)
        direction = sign[last] if len(real) else np.ones(1)
        lengths = np.abs(np.diff(field[end], prepend=field[0]))
        way = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
        legs = cls(float(field[0]), field[end], direction, way, np.zeros(0))
        # To the last digit as that of what happens there, which a sum of all moves would not be.
        leg = np.minimum(np.searchsorted(end, np.arange(len(field))), len(end) - 1)
        return legs._replace(of=legs.travelled(leg, field))

    @property
    def starts(self) -> np.ndarray:
        """(l,) tesla."""
        return np.concatenate([[self.start], self.ends[:-1]])

    def travelled(self, leg, field):
        """How far the field has come at `field` on `leg`, in tesla."""
        return self.way[leg] + self.direction[leg] * (field - self.starts[leg])

    def unrounded(self, leg, field):
        """Fields (n,) in float64, as tried in their dtype: where legs begin and end exactly so.

        Or what happens at a field that is asked for could seem to happen behind it.
        """
        found = field.astype(float)
        for exact in (self.starts[leg], self.ends[leg]):
            found = np.where(field == exact.astype(field.dtype), exact, found)
        return found


class Seen(NamedTuple):
    """What happened to magnets, in the order in which it did; joined, magnet by magnet."""

    magnet: np.ndarray  # (n,)
    kind: np.ndarray  # (n,)
    leg: np.ndarray  # (n,)
    field: np.ndarray  # (n,) tesla, as tried
    root: np.ndarray  # (n,) tesla, of a flip
    moments: np.ndarray  # (n, 3, g)
    flips: np.ndarray  # (n, g) bool
    change: np.ndarray  # (n,)
    products: np.ndarray  # (n,)
    converged: np.ndarray  # (n,) bool

    @classmethod
    def of(cls, record: Record, legs: Legs, grains: int) -> "Seen":
        """From what a call of `continuation.advance` told; padding is left out."""
        kind = ops.convert_to_numpy(record.kind)
        when, magnet = np.nonzero(kind)
        own = Record(*(ops.convert_to_numpy(part)[when, magnet] for part in record))
        field = legs.unrounded(own.leg, own.field)
        # No root is beyond its leg.
        left = np.abs(legs.ends[own.leg] - field)
        return cls(
            magnet=magnet,
            kind=own.kind,
            leg=own.leg,
            field=field,
            root=field + np.clip(own.off, -left, left),
            moments=own.moments[..., :grains],
            flips=own.flips[..., :grains] > 0.5,
            change=own.change,
            products=own.products,
            converged=own.converged > 0,
        )

    @classmethod
    def joined(cls, parts) -> "Seen":
        """All calls' records, magnet by magnet."""
        whole = cls(*(np.concatenate(part) for part in zip(*parts, strict=True)))
        order = np.argsort(whole.magnet, kind="stable")
        return whole.some(order)

    def some(self, which) -> "Seen":
        """Those of an index or a mask."""
        return Seen(*(part[which] for part in self))


def without_reopened(seen: Seen) -> Seen:
    """Without the ends of avalanches that were none, since more grains flip at the same field."""
    same = np.diff(seen.magnet) == 0
    flip, node = seen.kind == FLIP, seen.kind == NODE
    follows = same & (np.diff(seen.leg) == 0) & (np.diff(seen.field) == 0)
    after = np.zeros(len(flip), bool)
    after[1:] = flip[:-1] & same
    dropped = np.zeros(len(flip), bool)
    dropped[:-1] = (node & after)[:-1] & flip[1:] & follows
    return seen.some(~dropped)


class Pieces:
    """Known states between avalanches: piece by piece, in the order of a coordinate.

    Args:
        end: (n,) tesla, the root that ends each of n pieces; nan where none does.
    """

    def __init__(self, end):
        self.end = end
        self.piece, self.u = np.zeros(0, int), np.zeros(0)
        self.field, self.moments = np.zeros(0), None
        self.edge = np.zeros(0, bool)

    def coordinate(self, piece, field):
        """In which states are smooth."""
        away = np.sqrt(np.abs(self.end[piece] - field))
        return np.where(np.isnan(away), field, away)

    def add(self, piece, field, moments, u=None, edge=False):
        """States (n, 3, g) at fields (n,) of pieces (n,); those known already stay.

        Args:
            u: (n,) their coordinates, if not of these fields.
            edge: (n,) whether a grain may give way just behind.
        """
        u = self.coordinate(piece, field) if u is None else u
        edge = np.concatenate([self.edge, np.broadcast_to(edge, piece.shape)])
        piece = np.concatenate([self.piece, piece])
        field = np.concatenate([self.field, field])
        u = np.concatenate([self.u, u])
        known = moments if self.moments is None else np.concatenate([self.moments, moments])
        order = np.lexsort((u, piece))
        new = np.ones(len(order), bool)
        new[1:] = (np.diff(piece[order]) > 0) | (np.diff(u[order]) > 1e-7)
        order = order[new]
        self.piece, self.u, self.field = piece[order], u[order], field[order]
        self.moments, self.edge = known[order], edge[order]

    def gap(self, piece, u):
        """(n,) of each place the number of the first known state that is not before it."""
        reach = 1.0 + max(np.abs(self.u).max(), np.abs(u).max(initial=0.0))
        return np.searchsorted(self.piece * 4 * reach + self.u, piece * 4 * reach + u - 1e-7)

    def holds(self, piece, u):
        """(n,) whether the state at each place is known."""
        at = np.minimum(self.gap(piece, u), len(self.u) - 1)
        return (self.piece[at] == piece) & (np.abs(self.u[at] - u) < 1e-7)

    def stencils(self, piece, u):
        """Known states (n, 8) for each place, weights of the curve through them, and of its error.

        The error is the curve's difference from that through all but one of them: the furthest,
        or, beside an edge, the state there: it alone tells of a grain that gives way behind, and at
        a root is known least. Where fewer than three states are known in the piece, it is nan, but
        at a known state itself.
        """
        first = np.searchsorted(self.piece, piece)
        count = np.searchsorted(self.piece, piece, side="right") - first
        width = np.minimum(count, _POINTS)
        gap = self.gap(piece, u)
        begin = np.clip(gap - _POINTS // 2, first, first + count - width)
        index = begin[:, None] + np.arange(_POINTS)
        there = np.arange(_POINTS) < width[:, None]
        index = np.where(there, index, begin[:, None])
        at = self.u[index]
        away = np.where(there, np.abs(at - u[:, None]), -1.0)
        left_out = away.argmax(axis=1)
        for beside in (np.minimum(gap, first + count - 1), np.maximum(gap - 1, first)):
            left_out = np.where(self.edge[beside], beside - begin, left_out)
        others = there & (np.arange(_POINTS) != left_out[:, None])
        weights = _lagrange(at, there, u)
        error = weights - _lagrange(at, others, u)
        known = (np.abs(at - u[:, None]) < 1e-7) & there
        error[(width < 3) & ~known.any(axis=1)] = np.nan
        return index, weights, error

    def combined(self, index, weights):
        """(n, 3, g) sums of known states with weights (n, 8)."""
        (n, k), (known, *shape) = index.shape, self.moments.shape
        weights = weights.astype(self.moments.dtype).ravel()
        sums = sparse.csr_array((weights, index.ravel(), np.arange(0, n * k + 1, k)), (n, known))
        return (sums @ self.moments.reshape(known, -1)).reshape(n, *shape)


def _lagrange(at, there, u):
    """(n, k) weights at u (n,) of values at (n, k), those that are `there`."""
    weights = np.where(there, 1.0, 0.0)
    for j in range(at.shape[1]):
        for i in range(at.shape[1]):
            if i != j:
                both = there[:, i] & there[:, j]
                step = np.where(both, at[:, j] - at[:, i], 1.0)
                weights[:, j] *= np.where(both, (u - at[:, i]) / step, 1.0)
    return weights
