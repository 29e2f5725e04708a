"""The parts of an iteration that both solvers share: relaxation, the flips it predicts, flipping.

Magnets and axes are those of `field_steps`; states are any named tuples with the fields used.

**Every avalanche ends.** Particles of one grain may lie outside the astroid on both of its
branches, and the grain would flip for ever. So it takes the branch on which its furthest particle
is less far outside. That alone ends an avalanche only where the fields do not change: coupled
grains, or a grain in its own field, can still flip in a cycle. Therefore no grain flips more than
`MOST_FLIPS` times at one field. A pass of an avalanche flips at least one grain, so an avalanche of
g grains has at most `MOST_FLIPS` g passes.
"""

import numpy as np
from keras import ops

from keras_micromag.physics.solver import step_control
from keras_micromag.physics.solver.stoner_wohlfarth import (
    astroid,
    at_least,
    at_most,
    euler_step,
    fold_across,
)
from keras_micromag.utils import checks
from keras_micromag.utils.backend import gather, max_over, minimum, sum_over

_SAFETY = 4.0
"""A prediction counts when each grain is this many times its remaining change away from a flip.

In trials half of this predicted every flip correctly."""

_PASSED_ON = 8.0
"""Largest change of one grain that counts for the others, over the root mean square of all changes.

No grain of up to 64 can change by more, so this is for large magnets, in which the largest change
is that of a few grains, far from most others: to wait for it takes more products and foresees
nothing more."""

_SLOWEST = 0.9
"""Ratio of two changes at most that is expected."""

MOST_FLIPS = 2
"""Flips of a grain at one field at most: it may flip back. Then it stays until the next field, by
events until the next equilibrium between two avalanches."""

_OF_NEIGHBOURS = 0.25
"""Coupling by the fields of other grains, over that by a grain's own field."""

_STRONG_COUPLING = 1.0
"""Coupling by a grain's own field above which steps are damped from the first."""

_PATIENCE = 30
"""Iterations without a flip after which steps of the other magnets are damped, too."""

_STEPS = 4
"""Damped steps of a cycle.

They are steps of Richardson's iteration at Chebyshev's roots: in a hard grain the four together
damp all modes that a whole step multiplies by -1 to 0.6, in an order that is stable. In a softer
grain they are shorter, by its coupling."""

_CYCLES = 20
"""Cycles of a round; in the last two the steps are shorter, for what is still not at rest.

In the k-th round all steps are k times as short."""

_STIFFNESS = 0.3
"""Stiffness of damped particles, in units of their grain's coupling.

Near its fold a particle turns without bound in a small change of the field: its moment would jump
to and fro across the equilibrium."""

_LEAST_LEFT = 1e-2
"""Share of the astroid that heat leaves at least: a superparamagnetic grain follows the field."""

MOST_ITERATIONS = _PATIENCE + _CYCLES * _STEPS
"""Iterations after which unstable grains flip, come what may.

The particles that make them flip have no equilibrium, so moments need not come to rest before."""


def coupling(
    polarization, anisotropy_field, self_field: checks.SelfField, exchange=0.0
) -> np.ndarray:
    """Return (b, g) how strongly the field of the moments turns each grain's.

    The field of a soft grain's moment turns it back by more than it has turned, and whole steps
    would go to and fro without end. In a damped step a moment takes only a share of its change.

    Args:
        polarization, anisotropy_field: (b, g) in tesla. self_field: whether a grain's own field
            acts on it. exchange: (b, g) in tesla, the mean field of the neighbours by exchange.
    """
    strength = polarization.max(axis=1, keepdims=True) / anisotropy_field
    strength = strength if self_field else _OF_NEIGHBOURS * strength
    return strength + exchange / anisotropy_field


def patience(coupling, self_field: checks.SelfField) -> np.ndarray:
    """Return (b,) the iterations without a flip after which steps are damped."""
    strong = bool(self_field) & (coupling.max(axis=1) > _STRONG_COUPLING)
    return np.where(strong, 0, _PATIENCE).astype("int32")


def relax(magnet, state, field, iterations, steps: int = 1):
    """Take one product with the operator, Euler steps of each particle, and the mean of each grain.

    Args:
        field: (b,) applied, in tesla. iterations: (b,) since the last flip.
        steps: of Euler's method for this product.

    Returns:
        moments (b, 3, g); tau (b, p, c); furthest (b, g), the largest (|h∥|^⅔ + h⊥^⅔)³ of the
        grain's particles with h∥ < 0; outside (b, g), above 1 where the grain is to flip:
        `furthest`, divided by the largest of the particles with h∥ > 0 where that is above 1,
        which would be the furthest after the flip, and 0 where the grain may not flip; and moving
        (b,), whether a particle is further than `tol` from the equilibrium in its present field.
    """
    weights, places = magnet.columns.weights, magnet.columns.places
    h = magnet.product.field(state.moments * magnet.strength)
    if places.shape[0]:
        h = gather(ops, h, places)
    h = ops.reshape(h, (-1, 3, *weights.shape)) + field[:, None, None, None] * magnet.direction
    if magnet.exchange.neighbors.shape[0]:
        h = h + _exchange_field(magnet.exchange, state.moments)
    h = h * magnet.softness
    easy_axes, branch = _of_columns(magnet, magnet.easy_axes), _of_columns(magnet, state.branch)
    axes = easy_axes[:, :, None]
    along = sum_over(h * axes, axis=1)
    sideways = h - along[:, None] * axes
    # Not from |h|² - along², which cancels for small angles.
    across = ops.sqrt(sum_over(sideways * sideways, axis=1))
    along = along * branch[:, None]

    fold, cubed = astroid(along, across)
    real = weights > 0
    unstable = (along < 0) & (cubed > 1.0)
    tau = state.tau
    late = ops.cast(iterations >= magnet.patience, tau.dtype)[:, None]
    stiffness = _of_columns(magnet, _STIFFNESS * magnet.coupling * late)[:, None]
    for _ in range(steps):
        step, error = euler_step(tau, along, across, fold, stiffness)
        tau = tau + step
    zero = ops.zeros_like(tau)
    measure = _warmed(magnet.thermal, cubed, along, across) if magnet.thermal.shape[1] else cubed
    furthest = max_over(ops.where((along < 0) & real, measure, zero), axis=1)
    furthest = _of_grains(magnet, max_over, furthest)
    opposite = max_over(ops.where((along > 0) & real, measure, zero), axis=1)
    opposite = _of_grains(magnet, max_over, opposite)
    # Of a grain that may stay although it has them, unstable particles are held where their moments
    # are steady functions of the field, or the iteration would not converge.
    stays = ops.cast((opposite > 1.0) | ~may_flip(state), tau.dtype)
    held = ops.where(of_particles(magnet, stays) > 0.5, fold_across(across), fold)
    tau = ops.where(unstable, held, tau)
    error = ops.where(real & ~unstable, error, zero)
    moving = ops.max(max_over(error, axis=1), axis=1) > magnet.tol

    # cosφ along s·k and sinφ along the field's part across; where there is none, sinφ is 0.
    share = weights / (1.0 + tau * tau)
    cos = sum_over((1.0 - tau * tau) * share, axis=1) * branch
    unit = sideways * (1.0 / at_least(across, np.finfo(ops.dtype(across)).tiny))[:, None]
    sin = sum_over((2.0 * tau * share)[:, None] * unit, axis=2)
    moments = _of_grains(magnet, sum_over, cos[:, None] * easy_axes + sin)
    moments = moments / ops.sqrt(sum_over(moments * moments, axis=1))[:, None]
    outside = ops.where(may_flip(state), furthest / at_least(opposite, 1.0), 0.0 * furthest)
    return moments, tau, furthest, outside, moving


def _exchange_field(exchange, moments):
    """Return the fields (b, 3, p, c) in tesla that neighbours with moments (b, 3, g) make."""
    strength = exchange.strength
    sources = gather(ops, moments, exchange.neighbors)
    sources = ops.reshape(sources, (-1, 3, strength.shape[1], strength.shape[3]))
    # A product, which XLA computes once; it would repeat a sum for each use of the field.
    if strength.shape[0] == 1:
        return ops.einsum("bisc,spc->bipc", sources, strength[0])
    return ops.einsum("bisc,bspc->bipc", sources, strength)


def _warmed(thermal, cubed, along, across):
    """Return (b, p, c) `cubed` as of an astroid that heat has shrunk.

    Args:
        thermal: (b, k, c) coefficients in h_sw. cubed: (|h∥|^⅔ + h⊥^⅔)³, that is (h / h_sw)².
        along, across: (b, p, c) the reduced field.
    """
    tiny = np.finfo(ops.dtype(cubed)).tiny
    h_sw = ops.sqrt((along * along + across * across + tiny) / (cubed + tiny))
    share = thermal[:, :1]
    for k in range(1, thermal.shape[1]):
        share = share * h_sw + thermal[:, k : k + 1]
    left = at_least(1.0 - share, _LEAST_LEFT)
    return cubed / (left * left)


def may_flip(state):
    """Return (b, g) whether each grain has flipped less than `MOST_FLIPS` times at this field."""
    return state.flipped < MOST_FLIPS - 0.5


def foreseen(magnet, state, iterations, change, outside, unstable):
    """Return (b,) whether the `unstable` grains (b, g) are certain before the moments converge.

    Changes fall like a geometric series, by about ten in each iteration, so the last two tell how
    much is left: of a grain's own change, and of what its neighbours pass on. Flips need not wait
    for more. States that are recorded do, since their differences predict the next.

    The last two damped steps are no measure of what is left. And in the end changes fall no faster
    than by the coupling, although the first ones after a flip may.

    Args:
        iterations: (b,) since the last flip.
    """
    before = ops.where(state.change > 0, state.change, ops.ones_like(change))
    ratio = ops.where(change < before, change / before, ops.ones_like(change))
    falling = (state.relaxing >= 1) & (ratio < 0.5)
    ratio = at_least(ratio, at_most(ops.max(magnet.coupling, axis=1), _SLOWEST))
    ratio = ops.where(falling, ratio, 0.5 * ops.ones_like(change))[:, None]
    moved = ops.abs(outside - state.outside)
    usual = ops.sqrt(ops.mean(moved * moved, axis=1, keepdims=True))
    passed_on = minimum(ops.max(moved, axis=1, keepdims=True), _PASSED_ON * usual)
    left = (moved + ratio * passed_on) * ratio / (1.0 - ratio)
    # The least of the unstable, and the most of the others; or the edge of the astroid.
    stable = unstable < 0.5
    zero = ops.zeros_like(outside)
    most = ops.max(ops.where(stable, outside, zero), axis=1, keepdims=True)
    least = ops.min(ops.where(stable, zero + np.inf, outside), axis=1, keepdims=True)
    edge = ops.where(most > 1.0, 0.5 * (most + least), ops.ones_like(most))
    certain = ops.all(ops.abs(outside - edge) > _SAFETY * left, axis=1)
    return falling & certain & (iterations < magnet.patience)


def flip(magnet, state, moments, tau, flips):
    """Return the state at trial `moments`, the grains in `flips` (b, g) on their other branch."""
    branch = state.branch * (1.0 - 2.0 * flips)
    turned = flips[:, None] > 0.5
    return state._replace(
        branch=branch,
        tau=tau * _of_columns(magnet, 1.0 - flips)[:, None],
        moments=ops.where(turned, branch[:, None] * magnet.easy_axes, moments),
        flipped=state.flipped + flips,
    )


def damped(magnet, iterations, before, moments):
    """Return the next trial moments (b, 3, g): a share of the step to `moments` after a while.

    The share falls from round to round. So the steps become small enough in the end where one
    particle at its fold makes the mean of a grain steep.

    Args:
        iterations: (b,) so far. before: (b, 3, g) the last trial moments.
    """
    over = iterations - magnet.patience
    phase = (np.pi / _STEPS) * (ops.cast(over % _STEPS, moments.dtype) + 0.5)
    late = ops.cast(over // _STEPS % _CYCLES >= _CYCLES - 2, moments.dtype)
    rounds = ops.cast(over // (_STEPS * _CYCLES), moments.dtype) + 1.0
    share = (1.0 - 0.75 * late) / ((1.2 + 0.8 * ops.cos(phase)) * at_least(rounds, 1.0))
    share = share[:, None] / (1.0 + magnet.coupling)
    share = ops.where(share < 1.0, share, ops.ones_like(share))[:, None]
    mixed = share * moments + (1.0 - share) * before
    return step_control.where(over >= 0, mixed, moments)


def of_particles(magnet, values):
    """Return (b, p, c) from (b, g): each particle gets the value of its grain."""
    return _of_columns(magnet, values)[:, None] + ops.zeros_like(magnet.columns.weights)


def _of_columns(magnet, values):
    """(…, c) from (…, g)."""
    grain = magnet.columns.grain
    return gather(ops, values, grain) if grain.shape[0] else values


def _of_grains(magnet, over, values):
    """(…, g) from (…, c): over each grain's columns."""
    columns = magnet.columns.of_grains
    if not columns.shape[0]:
        return values
    lead = values.shape[1:-1]
    values = gather(ops, values, ops.reshape(columns, (-1,)))
    return over(ops.reshape(values, (-1, *lead, *columns.shape)), axis=len(lead) + 1)
