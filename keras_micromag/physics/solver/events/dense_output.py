"""Dense output of the continuation: states at any field, interpolated between computed ones.

The solution curve of a magnet falls into arcs, from one avalanche to the next. Along an arc the
state is a function of the field alone, smooth but at the arc's end: where the next grain becomes
unstable (a fold), the moments go as the square root of the distance in field. So states are
interpolated in that root, by polynomials through eight computed states, the nodes. The polynomial
through seven of them gives an error estimate; where it disagrees, the state is computed and becomes
a node.
"""

from typing import NamedTuple

import numpy as np
from keras import ops
from scipy import sparse

from keras_micromag.physics.solver.events.continuation import FLIP, NODE, Record

_POINTS = 8
"""Nodes of an interpolating polynomial, where an arc has as many."""

_SAME = 1e-7
"""Distance of two coordinates up to which they count as one."""


class Segments(NamedTuple):
    """A sequence of t fields as l segments, along each of which the field is monotonic.

    The path length is the distance in field that a magnet has covered since the first field: it
    grows along the sequence, also where the field turns.

    Attributes:
        start: first field in tesla.
        ends: (l,) field in tesla at the end of each segment.
        direction: (l,) ±1.
        start_path_length: (l,) tesla, at the start of each segment.
        field_path_length: (t,) tesla, at each field of the sequence.
    """

    start: float
    ends: np.ndarray
    direction: np.ndarray
    start_path_length: np.ndarray
    field_path_length: np.ndarray

    @classmethod
    def along(cls, field: np.ndarray) -> "Segments":
        """Divide the fields (t,) in tesla at their turning points.

        A single field is a segment of length 0.
        """
        moves = np.diff(field)
        moved = np.flatnonzero(moves)
        sign = np.sign(moves[moved])
        last = np.flatnonzero(np.diff(sign, append=0) != 0)
        end = moved[last] + 1 if len(moved) else np.zeros(1, int)
        direction = sign[last] if len(moved) else np.ones(1)
        lengths = np.abs(np.diff(field[end], prepend=field[0]))
        begin = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
        segments = cls(float(field[0]), field[end], direction, begin, np.zeros(0))
        # By `path_length`, and not as a sum of all moves: fields and events then compare exactly.
        segment = np.minimum(np.searchsorted(end, np.arange(len(field))), len(end) - 1)
        return segments._replace(field_path_length=segments.path_length(segment, field))

    @property
    def starts(self) -> np.ndarray:
        """Return (l,) the field in tesla at the start of each segment."""
        return np.concatenate([[self.start], self.ends[:-1]])

    def path_length(self, segment: np.ndarray, field: np.ndarray) -> np.ndarray:
        """Return the path length in tesla at `field` on `segment`."""
        travelled = self.direction[segment] * (field - self.starts[segment])
        return self.start_path_length[segment] + travelled

    def snap_to_ends(self, segment: np.ndarray, field: np.ndarray) -> np.ndarray:
        """Return fields (n,) in float64, with exact values where segments begin and end.

        Those were rounded to the dtype of the computation, so that an event at one of them could
        seem to lie behind it.
        """
        exact_field = field.astype(float)
        for exact in (self.starts[segment], self.ends[segment]):
            exact_field = np.where(field == exact.astype(field.dtype), exact, exact_field)
        return exact_field


class EventLog(NamedTuple):
    """Nodes and flips in their order; of several calls magnet by magnet."""

    magnet: np.ndarray  # (n,)
    kind: np.ndarray  # (n,) NODE or FLIP
    segment: np.ndarray  # (n,)
    field: np.ndarray  # (n,) of the trial, tesla
    root: np.ndarray  # (n,) field in tesla at which the grain becomes unstable; of a flip
    moments: np.ndarray  # (n, 3, g)
    flips: np.ndarray  # (n, g) bool
    change: np.ndarray  # (n,) largest change of a moment's component in the last iteration
    matvecs: np.ndarray  # (n,)
    converged: np.ndarray  # (n,) bool

    @classmethod
    def from_records(cls, records: Record, segments: Segments, grains: int) -> "EventLog":
        """Return the log of one call of `continuation.advance`, without padded grains."""
        kind = ops.convert_to_numpy(records.kind)
        iteration, magnet = np.nonzero(kind)
        rows = Record(*(ops.convert_to_numpy(part)[iteration, magnet] for part in records))
        field = segments.snap_to_ends(rows.segment, rows.field)
        # No root is beyond its segment.
        left = np.abs(segments.ends[rows.segment] - field)
        return cls(
            magnet=magnet,
            kind=rows.kind,
            segment=rows.segment,
            field=field,
            root=field + np.clip(rows.root_offset, -left, left),
            moments=rows.moments[..., :grains],
            flips=rows.flips[..., :grains] > 0.5,
            change=rows.change,
            matvecs=rows.matvecs,
            converged=rows.converged > 0,
        )

    @classmethod
    def concatenate(cls, logs: list["EventLog"]) -> "EventLog":
        """Return the logs of all calls as one, magnet by magnet."""
        log = cls(*(np.concatenate(parts) for parts in zip(*logs, strict=True)))
        return log.select(np.argsort(log.magnet, kind="stable"))

    def select(self, index: np.ndarray) -> "EventLog":
        """Return the entries of an index or a mask."""
        return EventLog(*(part[index] for part in self))


def without_reopened(log: EventLog) -> EventLog:
    """Drop the ends of avalanches that had not ended: more grains flip at the same field."""
    same_magnet = np.diff(log.magnet) == 0
    flip, node = log.kind == FLIP, log.kind == NODE
    same_field = same_magnet & (np.diff(log.segment) == 0) & (np.diff(log.field) == 0)
    after_flip = np.zeros(len(flip), bool)
    after_flip[1:] = flip[:-1] & same_magnet
    dropped = np.zeros(len(flip), bool)
    dropped[:-1] = (node & after_flip)[:-1] & flip[1:] & same_field
    return log.select(~dropped)


class DenseOutput:
    """Interpolates the states of n arcs between nodes, sorted by arc and by a coordinate u.

    Args:
        root: (n,) field in tesla of the root that ends each arc; nan where none does.
    """

    def __init__(self, root: np.ndarray):
        self.root = root
        self.arc, self.u = np.zeros(0, int), np.zeros(0)
        self.moments, self.edge = np.zeros((0, 3, 0)), np.zeros(0, bool)

    def coordinate(self, arc: np.ndarray, field: np.ndarray) -> np.ndarray:
        """Return the coordinate u in which states are smooth: √|root - field|, or the field."""
        u = np.sqrt(np.abs(self.root[arc] - field))
        return np.where(np.isnan(u), field, u)

    def add(
        self,
        arc: np.ndarray,
        field: np.ndarray,
        moments: np.ndarray,
        u: np.ndarray | None = None,
        edge: np.ndarray | bool = False,
    ) -> None:
        """Add n nodes; where there is one already, it stays.

        Args:
            arc: (n,).
            field: (n,) in tesla.
            moments: (n, 3, g).
            u: (n,) their coordinates, if not those of `field`.
            edge: (n,) whether a grain may become unstable just behind the node.
        """
        u = self.coordinate(arc, field) if u is None else u
        edge = np.concatenate([self.edge, np.broadcast_to(edge, arc.shape)])
        arc = np.concatenate([self.arc, arc])
        u = np.concatenate([self.u, u])
        nodes = np.concatenate([self.moments, moments]) if len(self.moments) else moments
        order = np.lexsort((u, arc))
        new = np.ones(len(order), bool)
        new[1:] = (np.diff(arc[order]) > 0) | (np.diff(u[order]) > _SAME)
        order = order[new]
        self.arc, self.u = arc[order], u[order]
        self.moments, self.edge = nodes[order], edge[order]

    def locate(self, arc: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return (n,) the index of the first node that is not before each place."""
        reach = 1.0 + max(np.abs(self.u).max(), np.abs(u).max(initial=0.0))
        return np.searchsorted(self.arc * 4 * reach + self.u, arc * 4 * reach + u - _SAME)

    def contains(self, arc: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return (n,) whether there is a node at each place."""
        at = np.minimum(self.locate(arc, u), len(self.u) - 1)
        return (self.arc[at] == arc) & (np.abs(self.u[at] - u) < _SAME)

    def stencils(self, arc: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the stencils of n places for `combine`: nodes, weights, weights of the error.

        The error is the difference from the polynomial through all nodes but one: the furthest,
        or, beside an edge, the node there, which alone depends on a grain that becomes unstable
        behind it, and which at a root is the least accurate. Where an arc has fewer than three
        nodes, the error is nan, but at a node itself.

        Returns:
            Index (n, 8) of the nodes, weights (n, 8), and weights of the error (n, 8); a stencil
            of fewer nodes has weights of 0.
        """
        first = np.searchsorted(self.arc, arc)
        count = np.searchsorted(self.arc, arc, side="right") - first
        width = np.minimum(count, _POINTS)
        next_node = self.locate(arc, u)
        begin = np.clip(next_node - _POINTS // 2, first, first + count - width)
        index = begin[:, None] + np.arange(_POINTS)
        used = np.arange(_POINTS) < width[:, None]
        index = np.where(used, index, begin[:, None])
        nodes = self.u[index]
        distance = np.where(used, np.abs(nodes - u[:, None]), -1.0)
        left_out = distance.argmax(axis=1)
        last = first + count - 1
        for neighbour in (np.minimum(next_node, last), np.maximum(next_node - 1, first)):
            left_out = np.where(self.edge[neighbour], neighbour - begin, left_out)
        others = used & (np.arange(_POINTS) != left_out[:, None])
        weights = _lagrange_weights(nodes, used, u)
        error = weights - _lagrange_weights(nodes, others, u)
        at_node = (np.abs(nodes - u[:, None]) < _SAME) & used
        error[(width < 3) & ~at_node.any(axis=1)] = np.nan
        return index, weights, error

    def combine(self, index: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return (n, 3, g) the sums of the nodes `index` (n, 8) with `weights` (n, 8)."""
        (n, k), (nodes, *shape) = index.shape, self.moments.shape
        weights = weights.astype(self.moments.dtype).ravel()
        sums = sparse.csr_array((weights, index.ravel(), np.arange(0, n * k + 1, k)), (n, nodes))
        return (sums @ self.moments.reshape(nodes, -1)).reshape(n, *shape)


def _lagrange_weights(nodes, used, u):
    """Return (n, k) the weights, at u (n,), of values at the `used` ones of the nodes (n, k)."""
    weights = np.where(used, 1.0, 0.0)
    for j in range(nodes.shape[1]):
        for i in range(nodes.shape[1]):
            if i != j:
                both = used[:, i] & used[:, j]
                spacing = np.where(both, nodes[:, j] - nodes[:, i], 1.0)
                weights[:, j] *= np.where(both, (u - nodes[:, i]) / spacing, 1.0)
    return weights
