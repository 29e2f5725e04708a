"""The log of a traced batch: nodes and flips in their order, and the avalanches among them."""

from typing import NamedTuple

import numpy as np
from keras import ops

from keras_micromag.physics.solver.events.continuation import FLIP, NODE, Record

_LENGTH_TOL = 1e-9
"""Path length in tesla by which an event may seem to lie behind a field at which it happens."""


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

    def next_step(self, path_length: np.ndarray) -> np.ndarray:
        """Return (n,) the index of the first field not before each path length; t if none is."""
        return np.searchsorted(self.field_path_length, path_length - _LENGTH_TOL)

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


class Avalanches(NamedTuple):
    """The m avalanches in a log, magnet by magnet, and the arcs between them.

    A magnet's solution curve falls into arcs: it begins with one, and each avalanche begins
    another. Arcs count through all magnets.
    """

    first: np.ndarray  # (m,) entry of the log with which each begins
    end: np.ndarray  # (m,) entry of the node in which it ends
    magnet: np.ndarray  # (m,)
    root: np.ndarray  # (m,) tesla
    path_length: np.ndarray  # (m,) tesla, of the root
    arc_of_entry: np.ndarray  # (n,) of each entry of the log; a flip's is the one it leads to

    @classmethod
    def of(cls, log: EventLog, segments: Segments) -> "Avalanches":
        """Find the avalanches: flips in a row of one magnet."""
        flip = log.kind == FLIP
        begins = flip.copy()
        begins[1:] &= ~(flip[:-1] & (np.diff(log.magnet) == 0))
        first, nodes = np.flatnonzero(begins), np.flatnonzero(~flip)
        root = log.root[first]
        return cls(
            first=first,
            end=nodes[np.searchsorted(nodes, first)],
            magnet=log.magnet[first],
            root=root,
            path_length=segments.path_length(log.segment[first], root),
            arc_of_entry=log.magnet + np.cumsum(begins),
        )

    @property
    def arc(self) -> np.ndarray:
        """Return (m,) the arc that ends with each avalanche; the next one begins with it."""
        return self.magnet + np.arange(len(self.magnet))

    @property
    def number(self) -> np.ndarray:
        """Return (m,) the number of each avalanche in its magnet, from 0 on."""
        return np.arange(len(self.magnet)) - np.searchsorted(self.magnet, self.magnet)
