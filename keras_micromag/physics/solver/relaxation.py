"""The parts of an iteration that both solvers share: relaxation, the flips it predicts, flipping.

Magnets and axes are those of `field_steps`; states are any named tuples with the fields used.
"""

import numpy as np
from keras import ops

from keras_micromag.physics.solver import step_control
from keras_micromag.physics.solver.stoner_wohlfarth import astroid, at_least, euler_step
from keras_micromag.utils.backend import gather, max_over, sum_over

_SAFETY = 4.0
"""A prediction counts when each grain is this many times its remaining change away from a flip.

In trials half of this predicted every flip correctly."""

_PASSED_ON = 8.0
"""Largest change of one grain that counts for the others, over the root mean square of all changes.

No grain of up to 64 can change by more, so this is for large magnets, in which the largest change
is that of a few grains, far from most others: to wait for it takes more products and foresees
nothing more."""

_DAMPED_AFTER = 30
"""Iterations without a flip after which moments take half of each step, to break cycles of two."""


def relax(magnet, state, field, steps: int = 1):
    """Take one product with the operator, Euler steps of each particle, and the mean of each grain.

    Args:
        field: (b,) applied, in tesla. steps: of Euler's method for this product.

    Returns:
        moments (b, 3, g); tau (b, p, c); outside (b, g), the largest (|h∥|^⅔ + h⊥^⅔)³ of the
        grain's particles with h∥ < 0, above 1 where the grain is unstable; and moving (b,),
        whether a particle is further than `tol` from the equilibrium in its present field.
    """
    weights, places = magnet.columns.weights, magnet.columns.places
    h = magnet.product.field(state.moments * magnet.strength)
    if places.shape[0]:
        h = gather(ops, h, places)
    h = ops.reshape(h, (-1, 3, *weights.shape)) + field[:, None, None, None] * magnet.direction
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
    for _ in range(steps):
        step, error = euler_step(tau, along, across, fold)
        tau = tau + step
    tau = ops.where(unstable, fold, tau)
    zero = ops.zeros_like(tau)
    outside = max_over(ops.where((along < 0) & real, cubed, zero), axis=1)
    error = ops.where(real & ~unstable, error, zero)
    moving = ops.max(max_over(error, axis=1), axis=1) > magnet.tol

    # cosφ along s·k and sinφ along the field's part across; where there is none, sinφ is 0.
    share = weights / (1.0 + tau * tau)
    cos = sum_over((1.0 - tau * tau) * share, axis=1) * branch
    unit = sideways * (1.0 / at_least(across, np.finfo(ops.dtype(across)).tiny))[:, None]
    sin = sum_over((2.0 * tau * share)[:, None] * unit, axis=2)
    moments = _of_grains(magnet, sum_over, cos[:, None] * easy_axes + sin)
    outside = _of_grains(magnet, max_over, outside)
    moments = moments / ops.sqrt(sum_over(moments * moments, axis=1))[:, None]
    return moments, tau, outside, moving


def foreseen(state, change, outside, unstable):
    """Return (b,) whether the `unstable` grains (b, g) are certain before the moments converge.

    Changes fall like a geometric series, by about ten in each iteration, so the last two tell how
    much is left: of a grain's own change, and of what its neighbours pass on. Flips need not wait
    for more. States that are recorded do, since their differences predict the next.
    """
    before = ops.where(state.change > 0, state.change, ops.ones_like(change))
    ratio = ops.where(change < before, change / before, ops.ones_like(change))
    falling = (state.relaxing >= 1) & (ratio < 0.5)
    ratio = ops.where(falling, ratio, 0.5 * ops.ones_like(change))[:, None]
    moved = ops.abs(outside - state.outside)
    usual = ops.sqrt(ops.mean(moved * moved, axis=1, keepdims=True))
    passed_on = ops.minimum(ops.max(moved, axis=1, keepdims=True), _PASSED_ON * usual)
    left = (moved + ratio * passed_on) * ratio / (1.0 - ratio)
    # The least of the unstable, and the most of the others; or the edge of the astroid.
    stable = unstable < 0.5
    zero = ops.zeros_like(outside)
    most = ops.max(ops.where(stable, outside, zero), axis=1, keepdims=True)
    least = ops.min(ops.where(stable, zero + np.inf, outside), axis=1, keepdims=True)
    edge = ops.where(most > 1.0, 0.5 * (most + least), ops.ones_like(most))
    certain = ops.all(ops.abs(outside - edge) > _SAFETY * left, axis=1)
    return falling & certain


def flip(magnet, state, moments, tau, flips):
    """Return the state with the grains in `flips` (b, g) turned to their other branch."""
    branch = state.branch * (1.0 - 2.0 * flips)
    turned = flips[:, None] > 0.5
    damped = state.relaxing >= _DAMPED_AFTER
    moments = step_control.where(damped, 0.5 * (moments + state.moments), moments)
    return state._replace(
        branch=branch,
        tau=tau * _of_columns(magnet, 1.0 - flips)[:, None],
        moments=ops.where(turned, branch[:, None] * magnet.easy_axes, moments),
        flipped=ops.where(flips > 0.5, flips, state.flipped),
    )


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
