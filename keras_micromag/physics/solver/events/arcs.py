"""The arcs of traced magnets, from one avalanche to the next, and the states along them."""

import numpy as np

from keras_micromag.physics.solver.equilibria import Loops
from keras_micromag.physics.solver.events.continuation import NODE
from keras_micromag.physics.solver.events.dense_output import DenseOutput
from keras_micromag.physics.solver.events.equilibrate import Equilibrator
from keras_micromag.physics.solver.events.log import Avalanches, EventLog, Segments
from keras_micromag.physics.solver.relaxation import MOST_FLIPS

_ASTROID_TOL = 1e-4
"""How far outside the astroid an equilibrium between two avalanches may seem: a root is rounded."""

_MAX_CHANGE = 6
"""Change in the last iteration, over `tol`, beyond which a node is relaxed further: an iteration
leaves a seventh of it or less, see `equilibrate`."""

_ROOT_MATVECS = 4
"""Matvecs for the state at a root, which need not be known better than the root itself."""


class Arcs:
    """The n arcs of b magnets, with the states computed along them.

    Args:
        log: of all magnets. States that are not accurate enough are relaxed further, in place.
        segments: of the field.
        branch: (b, g + padding) ±1 at the first field.
        equilibrator: of these magnets.
        loops: to which matvecs and states are added; of the fields asked for.
        tol: error of a moment's component that is allowed.

    Attributes:
        avalanches: between the arcs.
        magnet: (n,) whose arc it is.
        branch: (n, g + padding) ±1 on each arc.
        of_field: (b, t) the arc of each field asked for, behind the avalanches at it.
    """

    def __init__(
        self,
        log: EventLog,
        segments: Segments,
        branch: np.ndarray,
        equilibrator: Equilibrator,
        loops: Loops,
        tol: float,
    ):
        self.log, self.segments, self.loops, self.tol = log, segments, loops, tol
        self._equilibrator = equilibrator
        self.avalanches = avalanches = Avalanches.of(log, segments)
        magnets = np.arange(len(branch))
        self.magnet = np.sort(np.concatenate([magnets, avalanches.magnet]))
        first = np.searchsorted(self.magnet, magnets)
        flips = self._count_flips(branch.shape[1])
        self.branch = self._branches(branch, flips, first)
        self._flipped = self._carry_over(flips, first)
        self.of_field = np.empty(loops.converged.shape, int)
        for magnet in magnets:
            events = avalanches.path_length[avalanches.magnet == magnet]
            before = np.searchsorted(events, segments.field_path_length, side="right")
            self.of_field[magnet] = first[magnet] + before
        self._dense = self._nodes()

    def compute_states(self) -> None:
        """Compute the states at all fields that a magnet has reached."""
        self._refine()
        for magnet, arc in enumerate(self.of_field):
            moments = self._dense.interpolate(arc, self.loops.field)
            norm = np.sqrt((moments * moments).sum(axis=1, keepdims=True))
            self.loops.moments[magnet] = np.swapaxes(moments / norm, 1, 2)

    def equilibria(self, arc: np.ndarray, field: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Return (n, 3, g) the equilibria at `field` (n,) on arcs (n,).

        Args:
            step: (n,) index of the field asked for, at which the matvecs are counted.
        """
        return self._equilibrate(arc, field, self._dense.interpolate(arc, field), step)

    def padded(self, moments: np.ndarray) -> np.ndarray:
        """Return moments (n, 3, g) with the grains that are padding.

        These lie along their axes, all of which are (1, 1, 1) / √3.
        """
        missing = self.branch.shape[1] - moments.shape[2]
        return np.pad(moments, [(0, 0), (0, 0), (0, missing)], constant_values=3**-0.5)

    def _count_flips(self, grains):
        """Return (n, g + padding) how often each grain flipped in the avalanche before each arc."""
        flips = np.zeros((len(self.magnet), grains), int)
        np.add.at(flips[:, : self.log.flips.shape[1]], self.avalanches.arc_of_entry, self.log.flips)
        return flips

    def _carry_over(self, flips, first):
        """Return `flips` (n, g), but of a grain that rests those before its last equilibrium."""
        arc = self.avalanches.arc_of_entry[self.log.kind == NODE]
        nodes = np.bincount(arc, minlength=len(flips))
        flipped = flips.copy()
        # The first node of an arc is the end of its avalanche.
        for k in np.setdiff1d(np.flatnonzero(nodes < 2) + 1, [*first, len(flips)]):
            rests = flipped[k - 1] >= MOST_FLIPS
            flipped[k, rests] = flipped[k - 1, rests]
        return flipped

    def _branches(self, branch, flips, first):
        """Return (n, g + padding) the branches on each arc, `first` (b,) being those of magnets."""
        # No grain has flipped on a magnet's first arc.
        flips = np.cumsum(flips, axis=0)
        flips -= flips[first][self.magnet]
        return branch[self.magnet] * (1 - 2 * (flips % 2))

    def _nodes(self):
        """Return the dense output through all nodes, and through the states at roots."""
        log, avalanches, segments = self.log, self.avalanches, self.segments
        root = np.full(len(self.magnet), np.nan)
        root[avalanches.arc] = avalanches.root
        dense = DenseOutput(root)
        node, first = np.flatnonzero(log.kind == NODE), avalanches.first
        arc = avalanches.arc_of_entry[node]
        self._relax_further(node, arc)
        at_turn = log.field[node] == segments.ends[log.segment[node]]
        dense.add(arc, dense.coordinate(arc, log.field[node]), log.moments[node], edge=at_turn)
        # The state before an avalanche belongs to the arc that ends there.
        self._relax_further(first, avalanches.arc, _ROOT_MATVECS)
        before_root = segments.direction[log.segment[first]] * (avalanches.root - log.field[first])
        u = np.sqrt(np.maximum(before_root, 0.0))
        dense.add(avalanches.arc, u, log.moments[first], edge=True)
        return dense

    def _relax_further(self, entry, arc, max_matvecs=None):
        """Relax the states of entries (n,) of the log on arcs (n,) that are not accurate enough."""
        log = self.log
        # The error is a fraction of the last change.
        inaccurate = log.change[entry] > _MAX_CHANGE * self.tol
        entry, arc = entry[inaccurate], arc[inaccurate]
        step = self.segments.next_step(
            self.segments.path_length(log.segment[entry], log.field[entry])
        )
        log.moments[entry] = self._equilibrate(
            arc, log.field[entry], log.moments[entry], step, max_matvecs
        )

    def _equilibrate(self, arc, field, moments, step, max_matvecs=None):
        """Return the equilibria near `moments` (n, 3, g), as `equilibria` does.

        Args:
            max_matvecs: for each state, after which it need not have converged.
        """
        if not len(arc):
            return moments
        g = moments.shape[2]
        magnet = self.magnet[arc]
        relaxed = self._equilibrator(
            magnet,
            self.branch[arc],
            field,
            self.padded(moments),
            self._flipped[arc],
            max_matvecs,
        )
        np.add.at(self.loops.iterations, (magnet, step), relaxed.matvecs)
        if max_matvecs is None:
            failed = ~relaxed.converged | (relaxed.outside > 1.0 + _ASTROID_TOL)
            self.loops.converged[magnet[failed], step[failed]] = False
        return relaxed.moments[..., :g]

    def _refine(self):
        """Compute states at fields asked for, until the others can be interpolated to `tol`."""
        # A magnet that is given up has no states from there on.
        reached = self.loops.converged.copy()
        step = np.nonzero(reached)[1]
        arc, field = self.of_field[reached], self.loops.field[step]
        u = self._dense.coordinate(arc, field)
        while len(chosen := self._inaccurate(arc, u)):
            moments = self.equilibria(arc[chosen], field[chosen], step[chosen])
            self._dense.add(arc[chosen], u[chosen], moments)

    def _inaccurate(self, arc, u):
        """Return the places whose interpolation is off by more than `tol`, one per interval.

        Of the places between two nodes the one in the middle is looked at.
        """
        interval = self._dense.locate(arc, u)
        order = np.lexsort((u, interval))
        order = order[~self._dense.contains(arc, u)[order]]
        if not len(order):
            return order
        begin = np.flatnonzero(np.diff(interval[order], prepend=-1))
        middle = order[(begin + np.append(begin[1:], len(order))) // 2]
        error = self._dense.error(arc[middle], u[middle])
        # Sorted, since states with alike errors take alike many matvecs; nan, of places with too
        # few nodes, comes last.
        return middle[np.argsort(error)][np.sum(error <= self.tol) :]
