"""Loops by events: courses followed, and states given at the fields that are asked for."""

from typing import NamedTuple

import numpy as np
from keras import ops

from keras_micromag.physics.hysteresis import Events
from keras_micromag.physics.solver.equilibria import ConvergenceError
from keras_micromag.physics.solver.events import continuation
from keras_micromag.physics.solver.events.continuation import FLIP, NODE
from keras_micromag.physics.solver.events.dense_output import Legs, Pieces, Seen, without_reopened
from keras_micromag.physics.solver.events.equilibrate import Settler
from keras_micromag.utils import memory
from keras_micromag.utils.backend import tensors

FINEST = 2.5e-7
"""Tesla by which the last trial may miss a root, or `tol` where that is larger; roots are right to
1e-6 then."""

_BEYOND = 1e-4
"""How far outside the astroid a state between two avalanches may seem, at a root's own rounding."""

_ROUGH = 6
"""Change in the last iteration, over `tol`, beyond which a state on the way is settled further: an
iteration leaves a seventh of it or less, see `settling`."""

_AT_ROOT = 4
"""Products for the state at a root, where it need not settle further than a root is known."""

_ROUNDS = 20
"""Most states in the search for the field at which the mean moment vanishes; four do as a rule."""


class Followed(NamedTuple):
    """Loops of b magnets."""

    moments: np.ndarray  # (b, t, g, 3)
    converged: np.ndarray  # (b, t) bool
    iterations: np.ndarray  # (b, t) products
    events: Events


class Follower:
    """Follows b magnets of g grains along t fields; with padding, of what the solver has room for.

    Args:
        magnet: see `solver.magnet`; NumPy. branch: (b, g + padding) ±1 at the first field.
        field: (t,) in tesla. share: (b, g) or (1, g) of each grain in its magnet's moment.
        direction: (3,) of the field. dtype: to compute in.
        refuse: whether a field without an equilibrium raises.
    """

    def __init__(
        self, magnet, branch, field, share, direction, *, avalanche: str, dtype: str, refuse: bool
    ):
        self.branch, self.field = branch, field
        self.share, self.direction = share, direction
        self.avalanche, self.legs = avalanche, Legs.along(field)
        self.dtype, self.refuse = dtype, refuse
        self.tol, self.max_iterations = magnet.tol, magnet.max_iterations
        self.iterations = np.zeros((len(branch), len(field)), int)
        self.converged = np.ones((len(branch), len(field)), bool)
        self._reached = np.zeros(len(branch), int)
        path = self._path_of(magnet)
        start = continuation.start(magnet, path, branch)
        self._magnet, self._path, self._start = tensors((magnet, path, start), dtype)
        self._settle = Settler(self._magnet, self.max_iterations)
        self._seen = []

    # What a progress bar wants to know.

    @property
    def done(self) -> int:
        """Field steps that the magnets have behind them."""
        return int(self._reached.sum())

    @property
    def products(self) -> int:
        """Products that led to what is recorded, over all magnets."""
        return int(self.iterations.sum())

    @property
    def field_behind(self) -> float:
        """The field, in tesla, at which the magnet is that is furthest behind."""
        last = len(self.field) - 1
        return float(self.field[min(self._reached.min(initial=last), last)])

    def follow(self, report) -> None:
        """Go along all of the field.

        Args:
            report: called with the state, from time to time.

        Raises:
            ConvergenceError: where an equilibrium is not found, if that is to be refused.
            MemoryError: before what is recorded takes more than there is.
        """
        legs, state = self.legs, self._start
        while len(self.branch):
            state, records = continuation.advance(self._magnet, self._path, state, self.avalanche)
            self._keep(records)
            if self.refuse:
                self._refuse_unconverged()
            leg = ops.convert_to_numpy(state.leg)
            at = np.minimum(leg, len(legs.ends) - 1)
            way = legs.travelled(at, ops.convert_to_numpy(state.field).astype(float))
            ended = leg == len(legs.ends)
            reached = np.searchsorted(legs.of, way)
            self._reached = np.where(ended, len(self.field), reached)
            report(state)
            if ended.all():
                break

    def _path_of(self, magnet):
        legs, softness = self.legs, magnet.softness[magnet.softness > 0]
        room = 4 ** int(np.ceil(np.log2(max(len(legs.ends), 4)) / 2))
        return continuation.Path(
            legs=len(legs.ends),
            start=float(legs.start),
            ends=np.resize(legs.ends, room).astype(float),
            direction=np.resize(legs.direction, room).astype(float),
            longest=np.full(len(self.branch), continuation.LONGEST_STEP / magnet.softness.max()),
            high=continuation.HIGH * (1.0 / softness.min() + magnet.strength.max()),
            resolution=max(FINEST, self.tol),
        )

    def _keep(self, records):
        seen = Seen.of(records, self.legs, self.share.shape[1])
        self._seen.append(seen)
        step = self._step(self.legs.travelled(seen.leg, seen.field))
        np.add.at(self.iterations, (seen.magnet, step), seen.products)
        # Where a magnet was given up there is nothing to come.
        for i in np.flatnonzero(~seen.converged):
            self.converged[seen.magnet[i], step[i] :] = False
        # All of it is copied twice, to be put together and in order.
        held = sum(part.nbytes for seen in self._seen for part in seen)
        memory.require(
            2 * held,
            f"what {len(self.branch)} magnets leave behind on the way to {self.field_behind:.3g} T",
            "fewer magnets at a time do, or `method` 'steps'",
        )

    def result(self) -> Followed:
        """The states at all fields, and what happened.

        Raises:
            ConvergenceError: as in `follow`.
        """
        b, t = self.converged.shape
        if not b:
            nothing = np.zeros((0, t, self.share.shape[1], 3), self.dtype)
            return Followed(nothing, self.converged, self.iterations, Events.none())
        seen = without_reopened(Seen.joined(self._seen))
        self._seen = []
        legs, of = self.legs, self._step
        flip = seen.kind == FLIP
        first = flip.copy()
        first[1:] &= ~(flip[:-1] & (np.diff(seen.magnet) == 0))
        number = np.cumsum(first)
        piece = seen.magnet + number  # each magnet begins one, and each avalanche
        way = legs.travelled(seen.leg, seen.field)
        lost = ~self.converged

        began = np.flatnonzero(first)
        starts = np.searchsorted(seen.magnet, np.arange(b))
        pieces_of = np.arange(b) + np.append(number, 0)[starts - 1] * (starts > 0)
        count = b + len(began)
        end = np.full(count, np.nan)
        end[piece[began] - 1] = seen.root[began]
        self.owner = np.searchsorted(pieces_of, np.arange(count), side="right") - 1
        self.branches = self._branches(seen, piece, pieces_of, count)

        known = Pieces(end)
        node = np.flatnonzero(seen.kind == NODE)
        moments = seen.moments
        # Those before a flip belong to the piece that it ends.
        piece = piece - first
        for rough, most in ((node, None), (began, _AT_ROOT)):
            # What is left of a change is a fraction of it.
            rough = rough[seen.change[rough] > _ROUGH * self.tol]
            moments[rough] = self._settled(
                piece[rough], seen.field[rough], moments[rough], of(way[rough]), most
            )
        turns = seen.field[node] == legs.ends[seen.leg[node]]
        known.add(piece[node], seen.field[node], moments[node], edge=turns)
        short = np.maximum(legs.direction[seen.leg] * (seen.root - seen.field), 0.0)[began]
        known.add(piece[began], seen.field[began], moments[began], np.sqrt(short), edge=True)

        # The piece of each field asked for, after what happens at it.
        reach = 2 * (legs.of[-1] + 1.0)
        event = seen.magnet[began] * reach + legs.travelled(seen.leg[began], seen.root[began])
        asked = np.arange(b)[:, None] * reach + legs.of
        where = np.arange(b)[:, None] + np.searchsorted(event, asked, side="right")
        self._fill(known, where, ~lost)
        states = self._states(known, where)
        states[lost] = np.nan
        events = self._events(seen, flip, first, number, known, states, where)
        if self.refuse:
            self._refuse_unconverged()
        return Followed(states, self.converged, self.iterations, events)

    def _refuse_unconverged(self):
        if not self.converged.all():
            magnet, step = np.argwhere(~self.converged)[0]
            raise ConvergenceError(
                f"field step {step} ({self.field[step]:g} T) of magnet {magnet}, or what comes "
                f"before it, found no equilibrium within `max_iterations` = {self.max_iterations}."
            )

    def _step(self, way):
        """(n,) index of the first field that is not before it."""
        return np.minimum(np.searchsorted(self.legs.of, way - 1e-9), len(self.field) - 1)

    def _branches(self, seen, piece, pieces_of, count):
        """(pieces, g) ±1."""
        g = seen.flips.shape[1]
        flips = np.zeros((count, g), int)
        np.add.at(flips, piece, seen.flips)
        total = np.cumsum(flips, axis=0)
        total -= (total - flips)[pieces_of][self.owner]
        return self.branch[self.owner, :g] * (1 - 2 * (total % 2))

    def _settled(self, piece, field, moments, step, most=None):
        """(n, 3, g) equilibria in pieces (n,) near some moments; counts what they take.

        Args:
            step: (n,) of the fields asked for, to count it there. most: products for each, after
                which it does as it is.
        """
        if not len(piece):
            return moments
        g = moments.shape[2]
        missing = [(0, 0), (0, self.branch.shape[1] - g)]
        # Grains that are not there are as they began: along their axes, whichever these are.
        padding = 3**-0.5
        magnet = self.owner[piece]
        found = self._settle(
            magnet,
            np.pad(self.branches[piece], missing, constant_values=1),
            field,
            np.pad(moments, [(0, 0), *missing], constant_values=padding),
            most,
        )
        np.add.at(self.iterations, (magnet, step), found.products)
        bad = (most is None) & (~found.converged | (found.outside > 1.0 + _BEYOND))
        self.converged[magnet[bad], step[bad]] = False
        return found.moments[..., :g]

    def _fill(self, known, where, wanted):
        """Settle fields that are asked for until the rest can be interpolated.

        Args:
            where, wanted: (b, t) piece of each, and whether it counts.
        """
        step = np.nonzero(wanted)[1]
        piece, field = where[wanted], self.field[step]
        u = known.coordinate(piece, field)
        while True:
            gap = known.gap(piece, u)
            order = np.lexsort((u, gap))
            order = order[~known.holds(piece, u)[order]]
            if not len(order):
                return
            begin = np.flatnonzero(np.diff(gap[order], prepend=-1))
            middle = order[(begin + np.append(begin[1:], len(order))) // 2]
            index, _, error = known.stencils(piece[middle], u[middle])
            wrong = np.abs(known.combined(index, error)).max(axis=(1, 2))
            # Those together that take alike many products; nan, of which nothing is known, last.
            middle = middle[np.argsort(wrong)][np.sum(wrong <= self.tol) :]
            if not len(middle):
                return
            index, weights, _ = known.stencils(piece[middle], u[middle])
            start = known.combined(index, weights)
            found = self._settled(piece[middle], field[middle], start, step[middle])
            known.add(piece[middle], field[middle], found)

    def _states(self, known, where):
        """(b, t, g, 3) interpolated."""
        b, t = where.shape
        states = np.empty((b, t, known.moments.shape[2], 3), self.dtype)
        for magnet in range(b):
            u = known.coordinate(where[magnet], self.field)
            index, weights, _ = known.stencils(where[magnet], u)
            moments = known.combined(index, weights)
            norm = np.sqrt((moments * moments).sum(axis=1, keepdims=True))
            states[magnet] = np.swapaxes(moments / norm, 1, 2)
        return states

    def _along(self, magnet, moments):
        """(n,) mean component along the field of states (n, 3, g)."""
        share = self.share[magnet] if len(self.share) > 1 else self.share
        return np.einsum(
            "nig,ng,i->n",
            moments,
            np.broadcast_to(share, (len(moments), share.shape[1])),
            self.direction,
        )

    def _events(self, seen, flip, first, number, known, states, where):
        row, grain = np.nonzero(seen.flips & flip[:, None])
        began = np.flatnonzero(first)
        avalanche = number[row] - 1
        magnet = seen.magnet[row]
        before_it = np.searchsorted(seen.magnet[began], np.arange(len(self.branch)))
        # The first state that is known after an avalanche is where it ended.
        ended = began + 1
        while (more := flip[np.minimum(ended, len(flip) - 1)]).any():
            ended = ended + more
        moment = np.stack(
            [
                self._along(seen.magnet[rows], seen.moments[rows])
                for rows in (began, np.minimum(ended, len(flip) - 1))
            ],
            axis=1,
        ).reshape(-1, 2)
        root, way = seen.root[began], self.legs.travelled(seen.leg[began], seen.root[began])
        return Events(
            magnet=magnet,
            grain=grain,
            field=root[avalanche],
            avalanche=avalanche - before_it[magnet],
            step=np.searchsorted(self.legs.of, way - 1e-9)[avalanche],
            moment=moment[avalanche],
            crossing=self._crossing(seen, began, way, moment, known, states, where),
        )

    def _crossing(self, seen, began, way, moment, known, states, where):
        """(b,) field at which the mean moment along the field first vanishes."""
        b, t = where.shape
        legs = self.legs
        flat = np.swapaxes(states, 2, 3)
        crossing = np.full(b, np.nan)
        smooth = []
        # But those in which avalanches end: these are told by what is after them.
        flip = seen.kind == FLIP
        node = np.flatnonzero(~flip & ~np.append(False, flip[:-1]))
        node_way = legs.travelled(seen.leg[node], seen.field[node])
        node_along = self._along(seen.magnet[node], seen.moments[node])
        for magnet in range(b):
            mine, nodes = seen.magnet[began] == magnet, seen.magnet[node] == magnet
            along = [node_along[nodes], *moment[mine].T]
            along.append(self._along(np.full(t, magnet), flat[magnet]))
            ways = [node_way[nodes], way[mine], way[mine], legs.of]
            fields = [seen.field[node][nodes], *2 * [seen.root[began][mine]], self.field]
            rank = np.repeat([2, 0, 1, 3], [len(part) for part in ways])
            way_, along, at = (np.concatenate(part) for part in (ways, along, fields))
            order = np.lexsort((rank, way_))
            order = order[np.argmax(rank[order] == 3) :]  # from the first field's state on
            along, at, rank = along[order], at[order], rank[order]
            crossed = np.flatnonzero(along[:-1] * along[1:] <= 0)
            if along[0] == 0 or not len(crossed):
                crossing[magnet] = at[0] if along[0] == 0 else np.nan
                continue
            i = crossed[0]
            crossing[magnet] = at[i]
            if not (rank[i] == 0 and rank[i + 1] == 1):
                piece = where[magnet, 0] + np.count_nonzero(rank[: i + 1] == 1)
                smooth.append((magnet, piece, at[i], at[i + 1], along[i], along[i + 1]))
        if smooth:
            magnet, piece, *bracket = (np.array(part) for part in zip(*smooth, strict=True))
            crossing[magnet] = self._root(known, magnet, piece, *bracket)
        return crossing

    def _root(self, known, magnet, piece, low, high, under, over):
        """Return the (n,) fields between `low` and `high` where the mean moment vanishes.

        Regula falsi in the form of Illinois (M. Dowell and P. Jarratt, BIT 11 (1971) 168-174): an
        end that stays twice counts half, or the other would come ever slower where the moments
        curve.

        Args:
            under, over: (n,) mean moments along the field at `low` and `high`, of opposite signs.
        """
        root, left, stayed = low.copy(), np.arange(len(low)), np.zeros(len(low))
        for _ in range(_ROUNDS):
            change = np.where(over == under, 1.0, over - under)
            field = low - under * (high - low) / change
            root[left] = field
            index, weights, _ = known.stencils(piece[left], known.coordinate(piece[left], field))
            start = known.combined(index, weights)
            step = np.abs(self.field - field[:, None]).argmin(axis=1)
            along = self._along(magnet[left], self._settled(piece[left], field, start, step))
            lower = along * under > 0
            side = np.where(lower, 1, -1)
            half = np.where(side == stayed, 0.5, 1.0)
            low, under = np.where(lower, field, low), np.where(lower, along, half * under)
            high, over = np.where(lower, high, field), np.where(lower, half * over, along)
            open_ = np.abs(along) > self.tol
            if not open_.any():
                break
            left, stayed = left[open_], side[open_]
            low, high, under, over = (part[open_] for part in (low, high, under, over))
        return root
