"""The events of traced magnets: their flips, the moment around avalanches, and the coercivity."""

from collections.abc import Callable
from functools import partial

import numpy as np

from keras_micromag.physics.hysteresis import Events
from keras_micromag.physics.solver.events.arcs import Arcs
from keras_micromag.physics.solver.events.continuation import FLIP, NODE

_MAX_ROUNDS = 20
"""States computed at most in the search for the coercivity; four do as a rule."""

_BEGIN, _INSIDE, _END = range(3)
"""Places on an arc: behind an avalanche, between two, and before the next."""


def find_events(arcs: Arcs, share: np.ndarray, direction: np.ndarray) -> Events:
    """Return the flips, their avalanches, and the coercivity.

    Args:
        arcs: of b magnets, with the states at all fields asked for.
        share: (b, g) of each grain in its magnet's moment.
        direction: (3,) of the field.
    """
    log, avalanches = arcs.log, arcs.avalanches
    mean_moment = partial(_mean_moment, share, direction)
    before_and_after = np.stack([avalanches.first, avalanches.end], axis=1)
    moment = mean_moment(avalanches.magnet[:, None], log.moments[before_and_after])
    entry, grain = np.nonzero(log.flips & (log.kind == FLIP)[:, None])
    avalanche = avalanches.arc_of_entry[entry] - log.magnet[entry] - 1
    return Events(
        magnet=log.magnet[entry],
        grain=grain,
        field=avalanches.root[avalanche],
        avalanche=avalanches.number[avalanche],
        step=arcs.segments.next_step(avalanches.path_length)[avalanche],
        moment=moment[avalanche],
        crossing=_crossings(arcs, moment, mean_moment),
    )


def _mean_moment(share, direction, magnet, moments):
    """Return the mean component along the field of states (..., 3, g) of magnets (...)."""
    return np.einsum("...ig,...g,i->...", moments, share[magnet], direction)


def _crossings(arcs, moment, mean_moment):
    """Return (b,) the field at which the mean moment along the field first vanishes, or nan.

    Args:
        moment: (m, 2) before and after each avalanche.
        mean_moment: function of magnets (...) and their states (..., 3, g).
    """
    arc, field, value = _moment_curve(arcs, moment, mean_moment)
    magnet = arcs.magnet[arc]
    zero = value == 0
    changes_sign = (np.diff(magnet) == 0) & (value[:-1] * value[1:] < 0)
    crossed = np.flatnonzero(zero | np.append(changes_sign, False))
    crossed = crossed[np.unique(magnet[crossed], return_index=True)[1]]
    crossing = np.full(len(arcs.of_field), np.nan)
    crossing[magnet[crossed]] = field[crossed]
    # Between two arcs the moment changes its sign in an avalanche, at a field that is known. Along
    # one it does so between two known states.
    low = crossed[~zero[crossed]]
    low = low[arc[low] == arc[low + 1]]

    def moment_at(row, place):
        step = np.abs(arcs.loops.field - place[:, None]).argmin(axis=1)
        return mean_moment(magnet[low[row]], arcs.equilibria(arc[low[row]], place, step))

    bracket = field[low], field[low + 1], value[low], value[low + 1]
    crossing[magnet[low]] = _find_roots(moment_at, *bracket, arcs.tol)
    return crossing


def _moment_curve(arcs, moment, mean_moment):
    """Return the arc, field and mean moment of known states, in their order, magnet by magnet.

    Args:
        moment, mean_moment: as in `_crossings`.
    """
    avalanches = arcs.avalanches
    at_root = avalanches.path_length, avalanches.root
    parts = [
        (avalanches.arc + 1, _BEGIN, *at_root, moment[:, 1]),
        *_moments_inside(arcs, mean_moment),
        (avalanches.arc, _END, *at_root, moment[:, 0]),
    ]
    parts = [np.broadcast_arrays(*part) for part in parts]
    arc, place, length, field, value = map(np.concatenate, zip(*parts, strict=True))
    order = np.lexsort((length, place, arc))
    # Not before the avalanches at the first field.
    order = order[arc[order] >= arcs.of_field[arcs.magnet[arc[order]], 0]]
    return arc[order], field[order], value[order]


def _moments_inside(arcs, mean_moment):
    """Return arc, place, path length, field and mean moment: at nodes, and at fields asked for."""
    log, segments, loops = arcs.log, arcs.segments, arcs.loops
    # The node in which an avalanche ends counts as the state after it.
    node = np.setdiff1d(np.flatnonzero(log.kind == NODE), arcs.avalanches.end)
    length = segments.path_length(log.segment[node], log.field[node])
    moment = mean_moment(log.magnet[node], log.moments[node])
    nodes = arcs.avalanches.arc_of_entry[node], _INSIDE, length, log.field[node], moment
    everyone = np.arange(len(loops.moments))[:, None]
    known = loops.converged
    moment = mean_moment(everyone, np.swapaxes(loops.moments, 2, 3))[known]
    step = np.nonzero(known)[1]
    length = segments.field_path_length[step]
    return nodes, (arcs.of_field[known], _INSIDE, length, loops.field[step], moment)


def _find_roots(
    function: Callable,
    low: np.ndarray,
    high: np.ndarray,
    low_value: np.ndarray,
    high_value: np.ndarray,
    tol: float,
) -> np.ndarray:
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
        if not len(left):
            break
        place = low - low_value * (high - low) / (high_value - low_value)
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
        left, stayed, low, high, low_value, high_value = (
            part[unconverged] for part in (left, side, low, high, low_value, high_value)
        )
    return root
