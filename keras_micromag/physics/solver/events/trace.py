"""Loops by events: magnets traced along the field, and their states at the fields asked for."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from keras import ops

from keras_micromag.physics.hysteresis import Events
from keras_micromag.physics.solver import field_steps
from keras_micromag.physics.solver.equilibria import ConvergenceError
from keras_micromag.physics.solver.events import continuation
from keras_micromag.physics.solver.events.continuation import FLIP, NODE
from keras_micromag.physics.solver.events.dense_output import (
    DenseOutput,
    EventLog,
    Segments,
    without_reopened,
)
from keras_micromag.physics.solver.events.equilibrate import Equilibrator
from keras_micromag.physics.solver.problem import Solution
from keras_micromag.utils import memory
from keras_micromag.utils.backend import tensors

ROOT_TOL = 2.5e-7
"""Tesla by which the last trial may miss a root, or `tol` where that is larger; roots are right to
1e-6 then."""

_ASTROID_TOL = 1e-4
"""How far outside the astroid an equilibrium between two avalanches may seem: a root is rounded."""

_MAX_CHANGE = 6
"""Change in the last iteration, over `tol`, beyond which a node is relaxed further: an iteration
leaves a seventh of it or less, see `equilibrate`."""

_ROOT_MATVECS = 4
"""Matvecs for the state at a root, which need not be known better than the root itself."""

_MAX_ROUNDS = 20
"""States computed at most in the search for the coercivity; four do as a rule."""

_BEFORE, _AFTER, _NODE, _ASKED = range(4)
"""Kinds of points on the curve of a magnet's moment: before and after an avalanche, at a node, at a
field asked for. Of those with one path length it goes through these in this order."""

_LENGTH_TOL = 1e-9
"""Path length in tesla by which an event may seem to lie behind a field at which it happens."""


class _Avalanches(NamedTuple):
    """The m avalanches in a log of n entries, magnet by magnet."""

    begins: np.ndarray  # (n,) bool, whether an avalanche begins with the entry
    number: np.ndarray  # (n,) avalanches of all magnets up to the entry
    first: np.ndarray  # (m,) entry with which each begins
    magnet: np.ndarray  # (m,)
    root: np.ndarray  # (m,) tesla
    path_length: np.ndarray  # (m,) tesla, of the root

    @classmethod
    def of(cls, log: EventLog, segments: Segments) -> "_Avalanches":
        """Find the avalanches: flips in a row of one magnet."""
        flip = log.kind == FLIP
        begins = flip.copy()
        begins[1:] &= ~(flip[:-1] & (np.diff(log.magnet) == 0))
        first = np.flatnonzero(begins)
        root = log.root[first]
        length = segments.path_length(log.segment[first], root)
        return cls(begins, np.cumsum(begins), first, log.magnet[first], root, length)


class _Arcs(NamedTuple):
    """The arcs of all magnets: each magnet begins one, and each avalanche begins one."""

    magnet: np.ndarray  # (n,)
    branch: np.ndarray  # (n, g) ±1


class EventTracer:
    """Traces b magnets of g grains along t fields.

    Args:
        magnet: b magnets, padded to the solver's capacity; NumPy.
        branch: (b, g + padding) ±1 at the first field.
        field: (t,) in tesla.
        share: (b, g) or (1, g) of each grain in its magnet's moment.
        direction: (3,) of the field.
        avalanche: "weakest_first" or "simultaneous".
        dtype: to compute in.
        refuse: whether a field without an equilibrium raises.
    """

    def __init__(
        self,
        magnet: field_steps.Magnet,
        branch: np.ndarray,
        field: np.ndarray,
        share: np.ndarray,
        direction: np.ndarray,
        *,
        avalanche: str,
        dtype: str,
        refuse: bool,
    ):
        self.branch, self.field = branch, field
        self.share, self.direction = share, direction
        self.avalanche, self.segments = avalanche, Segments.along(field)
        self.dtype, self.refuse = dtype, refuse
        self.tol, self.max_iterations = magnet.tol, magnet.max_iterations
        self.iterations = np.zeros((len(branch), len(field)), int)
        self.converged = np.ones((len(branch), len(field)), bool)
        self._reached = np.zeros(len(branch), int)
        path = self._padded_path(magnet)
        start = continuation.start(magnet, path, branch)
        self._magnet, self._path, self._start = tensors((magnet, path, start), dtype)
        self._equilibrator = Equilibrator(self._magnet, self.max_iterations)
        self._logs: list[EventLog] = []
        self._arcs = None  # known once all magnets are traced

    # For a progress bar.

    @property
    def done(self) -> int:
        """Return the number of field steps behind all magnets."""
        return int(self._reached.sum())

    @property
    def products(self) -> int:
        """Return the number of matvecs up to the last records, over all magnets."""
        return int(self.iterations.sum())

    @property
    def field_behind(self) -> float:
        """Return the field in tesla of the magnet that is furthest behind."""
        last = len(self.field) - 1
        return float(self.field[min(self._reached.min(initial=last), last)])

    def trace(self, report: Callable) -> None:
        """Trace all magnets to the last field.

        Args:
            report: called with the state after each call of the compiled loop.

        Raises:
            ConvergenceError: where an equilibrium is not found, with `refuse`.
            MemoryError: before the records need more memory than there is.
        """
        segments, state = self.segments, self._start
        while len(self.branch):
            state, records = continuation.advance(self._magnet, self._path, state, self.avalanche)
            self._append(records)
            if self.refuse:
                self._refuse_unconverged()
            segment = ops.convert_to_numpy(state.segment)
            field = ops.convert_to_numpy(state.field).astype(float)
            length = segments.path_length(np.minimum(segment, len(segments.ends) - 1), field)
            ended = segment == len(segments.ends)
            reached = np.searchsorted(segments.field_path_length, length)
            self._reached = np.where(ended, len(self.field), reached)
            report(state)
            if ended.all():
                break

    def result(self) -> Solution:
        """Return the states at all fields, and the events.

        Raises:
            ConvergenceError: as in `trace`.
        """
        b, t = self.converged.shape
        if not b:
            nothing = np.zeros((0, t, self.share.shape[1], 3), self.dtype)
            return Solution(nothing, self.converged, self.iterations, Events.none())
        log = without_reopened(EventLog.concatenate(self._logs))
        self._logs = []
        avalanches = _Avalanches.of(log, self.segments)
        self._arcs = self._divide_into_arcs(log, avalanches)
        given_up = ~self.converged
        dense = self._nodes(log, avalanches)
        arc = self._arc_of_fields(avalanches)
        self._refine(dense, arc, ~given_up)
        states = self._states(dense, arc)
        states[given_up] = np.nan
        events = self._events(log, avalanches, dense, states, arc)
        if self.refuse:
            self._refuse_unconverged()
        return Solution(states, self.converged, self.iterations, events)

    # The continuation.

    def _padded_path(self, magnet):
        """Return the path in padded arrays: each length of them is compiled on its own."""
        segments, softness = self.segments, magnet.softness[magnet.softness > 0]
        capacity = 4 ** int(np.ceil(np.log2(max(len(segments.ends), 4)) / 2))
        return continuation.Path(
            segments=len(segments.ends),
            start=float(segments.start),
            ends=np.resize(segments.ends, capacity).astype(float),
            direction=np.resize(segments.direction, capacity).astype(float),
            longest=np.full(len(self.branch), continuation.LONGEST_STEP / magnet.softness.max()),
            high=continuation.HIGH * (1.0 / softness.min() + magnet.strength.max()),
            root_tol=max(ROOT_TOL, self.tol),
        )

    def _append(self, records):
        """Log the records of a call, and count their matvecs at the next field each."""
        log = EventLog.from_records(records, self.segments, self.share.shape[1])
        self._logs.append(log)
        step = self._step(self.segments.path_length(log.segment, log.field))
        np.add.at(self.iterations, (log.magnet, step), log.matvecs)
        # A magnet that is given up has no states from there on.
        for i in np.flatnonzero(~log.converged):
            self.converged[log.magnet[i], step[i] :] = False
        # `result` copies all logs twice, to concatenate and to sort them.
        held = sum(part.nbytes for log in self._logs for part in log)
        memory.require(
            2 * held,
            f"the record of {len(self.branch)} magnets up to {self.field_behind:.3g} T",
            "fewer magnets at a time do, or `method` 'steps'",
        )

    def _step(self, path_length):
        """Return (n,) the index of the first field that is not before each path length."""
        step = np.searchsorted(self.segments.field_path_length, path_length - _LENGTH_TOL)
        return np.minimum(step, len(self.field) - 1)

    def _refuse_unconverged(self):
        if not self.converged.all():
            magnet, step = np.argwhere(~self.converged)[0]
            raise ConvergenceError(
                f"field step {step} ({self.field[step]:g} T) of magnet {magnet}, or what comes "
                f"before it, found no equilibrium within `max_iterations` = {self.max_iterations}."
            )

    # Arcs, and the states along them.

    def _divide_into_arcs(self, log, avalanches):
        """Return the arcs, with the branches that flips have led to."""
        b, g = len(self.branch), log.flips.shape[1]
        n = b + len(avalanches.first)
        begin = np.searchsorted(log.magnet, np.arange(b))
        before = np.append(avalanches.number, 0)[begin - 1] * (begin > 0)
        first_arc = np.arange(b) + before
        magnet = np.searchsorted(first_arc, np.arange(n), side="right") - 1
        flips = np.zeros((n, g), int)
        np.add.at(flips, self._arc_after(log, avalanches), log.flips)
        total = np.cumsum(flips, axis=0)
        total -= (total - flips)[first_arc][magnet]
        return _Arcs(magnet, self.branch[magnet, :g] * (1 - 2 * (total % 2)))

    @staticmethod
    def _arc_after(log, avalanches):
        """Return (n,) the arc on which each entry of the log ends."""
        return log.magnet + avalanches.number

    def _nodes(self, log, avalanches):
        """Return the dense output through all nodes, and through the states at roots.

        States of the log that are not accurate enough are relaxed further, in place.
        """
        first, lengths = avalanches.first, self.segments.path_length(log.segment, log.field)
        # The state before an avalanche belongs to the arc that ends there.
        arc = self._arc_after(log, avalanches) - avalanches.begins
        root = np.full(len(self._arcs.magnet), np.nan)
        root[arc[first]] = avalanches.root
        node = np.flatnonzero(log.kind == NODE)
        for rows, matvecs in ((node, None), (first, _ROOT_MATVECS)):
            # The error is a fraction of the last change.
            rows = rows[log.change[rows] > _MAX_CHANGE * self.tol]
            log.moments[rows] = self._equilibrate(
                arc[rows], log.field[rows], log.moments[rows], self._step(lengths[rows]), matvecs
            )
        dense = DenseOutput(root)
        turns = log.field[node] == self.segments.ends[log.segment[node]]
        dense.add(arc[node], log.field[node], log.moments[node], edge=turns)
        direction = self.segments.direction[log.segment]
        short = np.maximum(direction * (log.root - log.field), 0.0)[first]
        dense.add(arc[first], log.field[first], log.moments[first], np.sqrt(short), edge=True)
        return dense

    def _arc_of_fields(self, avalanches):
        """Return (b, t) the arc of each field asked for, after the avalanches at it."""
        b, lengths = len(self.branch), self.segments.field_path_length
        # One axis for all magnets, each with a range of its own.
        reach = 2 * (lengths[-1] + 1.0)
        event = avalanches.magnet * reach + avalanches.path_length
        asked = np.arange(b)[:, None] * reach + lengths
        return np.arange(b)[:, None] + np.searchsorted(event, asked, side="right")

    def _equilibrate(self, arc, field, moments, step, max_matvecs=None):
        """Return (n, 3, g) the equilibria at `field` (n,) on arcs (n,) near `moments` (n, 3, g).

        Args:
            step: (n,) index of the field asked for, at which the matvecs are counted.
            max_matvecs: for each state, after which it need not have converged.
        """
        if not len(arc):
            return moments
        g = moments.shape[2]
        padding = [(0, 0), (0, self.branch.shape[1] - g)]
        magnet = self._arcs.magnet[arc]
        relaxed = self._equilibrator(
            magnet,
            np.pad(self._arcs.branch[arc], padding, constant_values=1),
            field,
            # Grains that are padding lie along their axes, all of which are (1, 1, 1) / √3.
            np.pad(moments, [(0, 0), *padding], constant_values=3**-0.5),
            max_matvecs,
        )
        np.add.at(self.iterations, (magnet, step), relaxed.matvecs)
        unstable = relaxed.outside > 1.0 + _ASTROID_TOL
        bad = (max_matvecs is None) & (~relaxed.converged | unstable)
        self.converged[magnet[bad], step[bad]] = False
        return relaxed.moments[..., :g]

    def _refine(self, dense, arc, wanted):
        """Compute states at fields asked for, until the others can be interpolated to `tol`.

        Args:
            arc, wanted: (b, t) arc of each field asked for, and whether its state is wanted.
        """
        step = np.nonzero(wanted)[1]
        arc, field = arc[wanted], self.field[step]
        u = dense.coordinate(arc, field)
        while True:
            chosen = self._inaccurate(dense, arc, u)
            if not len(chosen):
                return
            index, weights, _ = dense.stencils(arc[chosen], u[chosen])
            start = dense.combine(index, weights)
            moments = self._equilibrate(arc[chosen], field[chosen], start, step[chosen])
            dense.add(arc[chosen], field[chosen], moments)

    def _inaccurate(self, dense, arc, u):
        """Return the places whose interpolation is off by more than `tol`, one per interval.

        Of the places between two nodes the one in the middle is looked at.
        """
        interval = dense.locate(arc, u)
        order = np.lexsort((u, interval))
        order = order[~dense.contains(arc, u)[order]]
        if not len(order):
            return order
        begin = np.flatnonzero(np.diff(interval[order], prepend=-1))
        middle = order[(begin + np.append(begin[1:], len(order))) // 2]
        index, _, weights = dense.stencils(arc[middle], u[middle])
        error = np.abs(dense.combine(index, weights)).max(axis=(1, 2))
        # Sorted, since states with alike errors take alike many matvecs; nan, of places with too
        # few nodes, comes last.
        return middle[np.argsort(error)][np.sum(error <= self.tol) :]

    def _states(self, dense, arc):
        """Return (b, t, g, 3) the interpolated states."""
        b, t = arc.shape
        states = np.empty((b, t, dense.moments.shape[2], 3), self.dtype)
        for magnet in range(b):
            u = dense.coordinate(arc[magnet], self.field)
            index, weights, _ = dense.stencils(arc[magnet], u)
            moments = dense.combine(index, weights)
            norm = np.sqrt((moments * moments).sum(axis=1, keepdims=True))
            states[magnet] = np.swapaxes(moments / norm, 1, 2)
        return states

    # Events.

    def _mean_moment(self, magnet, moments):
        """Return (n,) the mean component along the field of states (n, 3, g)."""
        share = self.share[magnet] if len(self.share) > 1 else self.share
        return np.einsum(
            "nig,ng,i->n",
            moments,
            np.broadcast_to(share, (len(moments), share.shape[1])),
            self.direction,
        )

    def _events(self, log, avalanches, dense, states, arc):
        """Return the flips, the avalanches to which they belong, and the coercivity."""
        entry, grain = np.nonzero(log.flips & (log.kind == FLIP)[:, None])
        avalanche = avalanches.number[entry] - 1
        magnet = log.magnet[entry]
        first_of_magnet = np.searchsorted(avalanches.magnet, np.arange(len(self.branch)))
        moment = self._moments_around(log, avalanches)
        step = np.searchsorted(
            self.segments.field_path_length, avalanches.path_length - _LENGTH_TOL
        )
        return Events(
            magnet=magnet,
            grain=grain,
            field=avalanches.root[avalanche],
            avalanche=avalanche - first_of_magnet[magnet],
            step=step[avalanche],
            moment=moment[avalanche],
            crossing=self._crossings(log, avalanches, moment, dense, states, arc),
        )

    def _moments_around(self, log, avalanches):
        """Return (m, 2) the mean moment along the field before and after each avalanche."""
        flip = log.kind == FLIP
        last = len(flip) - 1
        # The first node after an avalanche is the state in which it ended.
        ended = avalanches.first + 1
        while (more := flip[np.minimum(ended, last)]).any():
            ended = ended + more
        return np.stack(
            [
                self._mean_moment(log.magnet[rows], log.moments[rows])
                for rows in (avalanches.first, np.minimum(ended, last))
            ],
            axis=1,
        ).reshape(-1, 2)

    # The coercivity.

    def _crossings(self, log, avalanches, moment, dense, states, arc):
        """Return (b,) the field at which the mean moment along the field first vanishes, or nan.

        Args:
            moment: (m, 2) before and after each avalanche. states: (b, t, g, 3). arc: (b, t).
        """
        crossing = np.full(len(states), np.nan)
        nodes = self._moments_at_nodes(log)
        brackets = []
        for magnet, own_states in enumerate(states):
            values, fields, kinds = self._moment_curve(
                magnet, nodes, avalanches, moment, own_states
            )
            crossed = np.flatnonzero(values[:-1] * values[1:] <= 0)
            if values[0] == 0:
                crossing[magnet] = fields[0]
            elif len(crossed):
                i = crossed[0]
                crossing[magnet] = fields[i]
                if not (kinds[i] == _BEFORE and kinds[i + 1] == _AFTER):
                    own_arc = arc[magnet, 0] + np.count_nonzero(kinds[: i + 1] == _AFTER)
                    brackets.append((magnet, own_arc, *fields[i : i + 2], *values[i : i + 2]))
        if brackets:
            magnet, own_arc, *bracket = (np.array(part) for part in zip(*brackets, strict=True))

            def moment_at(rows, field):
                return self._moment_on_arcs(dense, magnet[rows], own_arc[rows], field)

            crossing[magnet] = _find_roots(moment_at, *bracket, self.tol)
        return crossing

    def _moments_at_nodes(self, log):
        """Return the magnet, path length, field and mean moment of all nodes inside arcs.

        A node in which an avalanche ends counts as the state after it instead.
        """
        flip = log.kind == FLIP
        nodes = log.select(np.flatnonzero(~flip & ~np.append(False, flip[:-1])))
        length = self.segments.path_length(nodes.segment, nodes.field)
        return nodes.magnet, length, nodes.field, self._mean_moment(nodes.magnet, nodes.moments)

    def _moment_curve(self, magnet, nodes, avalanches, moment, states):
        """Return mean moments, fields and kinds of points of one magnet, from the first field on.

        Args:
            nodes: of all magnets, as by `_moments_at_nodes`. moment: (m, 2) as in `_crossings`.
            states: (t, g, 3) of this magnet.
        """
        node_magnet, *node_parts = nodes
        lengths, fields, values = (part[node_magnet == magnet] for part in node_parts)
        own = avalanches.magnet == magnet
        asked = self._mean_moment(np.full(len(states), magnet), np.swapaxes(states, 1, 2))
        root, root_length = avalanches.root[own], avalanches.path_length[own]
        values = [values, *moment[own].T, asked]
        fields = [fields, root, root, self.field]
        lengths = [lengths, root_length, root_length, self.segments.field_path_length]
        kinds = np.repeat([_NODE, _BEFORE, _AFTER, _ASKED], [len(part) for part in lengths])
        values, fields, lengths = (np.concatenate(part) for part in (values, fields, lengths))
        order = np.lexsort((kinds, lengths))
        order = order[np.argmax(kinds[order] == _ASKED) :]
        return values[order], fields[order], kinds[order]

    def _moment_on_arcs(self, dense, magnet, arc, field):
        """Return (n,) the mean moment along the field of the equilibria at `field` (n,)."""
        index, weights, _ = dense.stencils(arc, dense.coordinate(arc, field))
        start = dense.combine(index, weights)
        step = np.abs(self.field - field[:, None]).argmin(axis=1)
        return self._mean_moment(magnet, self._equilibrate(arc, field, start, step))


def _find_roots(function, low, high, low_value, high_value, tol):
    """Return the (n,) roots of n functions, each between its `low` and its `high`.

    Regula falsi in the form of Illinois (M. Dowell and P. Jarratt, BIT 11 (1971) 168-174): the
    value at an end that stays twice is halved, without which the other end would converge ever more
    slowly on a curved function.

    Args:
        function: called with rows (k,), those that have not converged yet, and a place for each.
        low_value, high_value: (n,) of the functions at `low` and `high`, of opposite signs.
        tol: absolute value of a function at which its root is accepted.
    """
    root, left, stayed = low.copy(), np.arange(len(low)), np.zeros(len(low))
    for _ in range(_MAX_ROUNDS):
        change = np.where(high_value == low_value, 1.0, high_value - low_value)
        place = low - low_value * (high - low) / change
        root[left] = place
        value = function(left, place)
        lower = value * low_value > 0
        side = np.where(lower, 1, -1)
        factor = np.where(side == stayed, 0.5, 1.0)
        low, high = np.where(lower, place, low), np.where(lower, high, place)
        low_value, high_value = (
            np.where(lower, value, factor * low_value),
            np.where(lower, factor * high_value, value),
        )
        unconverged = np.abs(value) > tol
        if not unconverged.any():
            break
        left, stayed = left[unconverged], side[unconverged]
        low, high, low_value, high_value = (
            part[unconverged] for part in (low, high, low_value, high_value)
        )
    return root
