"""The Stoner-Wohlfarth particle: astroid and equilibrium (Eq. 1, 2).

Reduced fields h = H_tot / H_n⁰ throughout: h∥ along the branch's easy direction s·k, h⊥ >= 0
across it. The functions take NumPy arrays (and compute in NumPy) or a Keras backend's tensors.

The angle φ between the moment and s·k is carried as τ = tan(φ/2), in which the torque
sinφ cosφ + h∥ sinφ - h⊥ cosφ = 0 is the polynomial h⊥τ⁴ + 2(h∥-1)τ³ + 2(h∥+1)τ - h⊥ = 0: a step
of its solution costs a dozen products, a division and a square root, no transcendental function,
and φ stays well conditioned from 0 to π/2. (The quartic's closed-form root
is of no use: it loses all digits.)
"""

import numpy as np
from keras import ops

from keras_micromag.utils import checks
from keras_micromag.utils.backend import maximum, minimum, namespace

_STEPS = 60
"""Euler steps of `equilibrium`: 5 do nearly everywhere, 60 at the cusp's triple root."""

_STEPS_IN_GRAPH = 20
"""Euler steps of `relaxed_moment`, unrolled: exact to float32 except at the cusp."""


def switching_field(angle):
    """Return the reduced switching field h_n = H_n / H_n⁰ of a Stoner-Wohlfarth particle (Eq. 2).

    Args:
        angle: between the field and the easy axis in radians; any shape.

    Returns:
        (cos^⅔ + sin^⅔)^(-3/2): 1 at 0 and 90°, 0.5 at 45°.

    Raises:
        ValueError: for NumPy input that is not finite.

    Notes:
        The slope is infinite at perfect alignment: 0.1° costs 2 %, 1° costs 9 %.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.physics import switching_field
        >>> switching_field(np.radians([0.0, 45.0])).round(6).tolist()
        [1.0, 0.5]
    """
    xp, angle = namespace(angle)
    if xp is np:
        checks.finite_array(angle, "angle")
    cos, sin = xp.abs(xp.cos(angle)), xp.abs(xp.sin(angle))
    return (_cube_root(xp, cos) ** 2 + _cube_root(xp, sin) ** 2) ** -1.5


def equilibrium(h_parallel, h_perpendicular):
    """Return the angle between a moment and the easy direction of its branch in equilibrium.

    Args:
        h_parallel: reduced field along s·k; any shape.
        h_perpendicular: reduced field across it, >= 0; shape broadcastable with `h_parallel`.

    Returns:
        φ in radians, in [0, π/2]. Where the branch has no equilibrium left (outside the astroid)
        the fold arctan((h⊥/|h∥|)^⅓) at which it ended.

    Raises:
        ValueError: for NumPy input that is not finite, where `h_perpendicular` < 0, and for shapes
            that cannot be broadcast.

    Notes:
        At the fold and at the hard-axis cusp (h∥, h⊥) = (0, 1) the root is double or triple, so
        that rounding moves φ by about its square or cube root: 3e-4 in float32, 1e-8 (1e-5 at the
        cusp) in float64.

    Example:
        >>> from keras_micromag.physics import equilibrium
        >>> round(float(equilibrium(0.0, 0.5)), 6)  # sinφ = h⊥ at remanence
        0.523599
    """
    xp, h_parallel, h_perpendicular = namespace(h_parallel, h_perpendicular)
    if xp is np:
        checks.finite_array(h_parallel, "h_parallel")
        checks.finite_array(h_perpendicular, "h_perpendicular")
        if (h_perpendicular < 0).any():
            raise ValueError(
                f"`h_perpendicular` must be at least 0; received {h_perpendicular.min():g}."
            )
        if not _broadcastable(h_parallel.shape, h_perpendicular.shape):
            raise ValueError(
                "`h_perpendicular` must have a shape that can be broadcast with "
                f"{h_parallel.shape}, that of `h_parallel`; received {h_perpendicular.shape}."
            )
    h_parallel = h_parallel + xp.zeros_like(h_perpendicular)
    h_perpendicular = h_perpendicular + xp.zeros_like(h_parallel)
    return 2.0 * xp.arctan(_relaxed_tau(xp, h_parallel, h_perpendicular, _STEPS)[0])


def _broadcastable(shape, other):
    pairs = zip(reversed(shape), reversed(other), strict=False)
    return all(1 in pair or pair[0] == pair[1] for pair in pairs)


def relaxed_moment(field, direction):
    """Return the equilibrium moment on a branch, as a graph that can be differentiated.

    Args:
        field: (..., 3) reduced total field h. A backend's tensor, like all here.
        direction: (..., 3) the branch's easy direction s·k, a unit vector.

    Returns:
        (moment, unstable): (..., 3) unit vectors and (...) bool, whether the branch has no
        equilibrium left (Eq. 2); its moment is then that of the fold at which it ended.

    Notes:
        The derivative is that of the equilibrium, not of the iteration. With h_eff = h + (m·k) k
        the torque vanishes where h_eff = λ m; to first order, with r the change of h_eff across m
        at m held and q the part of k across m, the moment turns by (r + q (q·r) / (λ - q²)) / λ.
        It grows without bound towards the fold, where λ = q², and is 0 beyond it. Right where the
        field is along the axis, too. Second derivatives are not meaningful.
    """
    h, k = ops.stop_gradient(field), ops.stop_gradient(direction)
    along = ops.sum(h * k, axis=-1)
    sideways = h - along[..., None] * k
    across = ops.sqrt(ops.sum(sideways * sideways, axis=-1))
    tau, unstable = _relaxed_tau(ops, along, across, _STEPS_IN_GRAPH)
    share = 1.0 / (1.0 + tau * tau)
    cos, sin = (1.0 - tau * tau) * share, 2.0 * tau * share
    info = np.finfo(ops.dtype(tau))
    moment = cos[..., None] * k + (sin / at_least(across, info.tiny))[..., None] * sideways

    stiffness = ops.sum(moment * (h + cos[..., None] * k), axis=-1)
    q = k - cos[..., None] * moment
    bend = stiffness - ops.sum(q * q, axis=-1)
    torque = field + ops.sum(moment * direction, axis=-1)[..., None] * direction
    torque = torque - ops.sum(torque * moment, axis=-1)[..., None] * moment
    change = torque - ops.stop_gradient(torque)
    turned = ops.sum(q * change, axis=-1) / at_least(bend, info.eps)
    turn = (change + turned[..., None] * q) / at_least(stiffness, info.eps)[..., None]
    return moment + ops.where(unstable[..., None], ops.zeros_like(turn), turn), unstable


def _relaxed_tau(xp, h_parallel, h_perpendicular, steps):
    """Relax particles from the easy direction; return τ, and whether their branch has ended."""
    fold, cubed = astroid(h_parallel, h_perpendicular)
    unstable = (h_parallel < 0) & (cubed > 1.0)
    tau = xp.zeros_like(h_parallel)
    for _ in range(steps):
        tau = tau + euler_step(tau, h_parallel, h_perpendicular, fold)[0]
    return xp.where(unstable, fold, tau), unstable


def astroid(h_parallel, h_perpendicular):
    """Return where the branch ends, and how far the field is from there.

    Returns:
        (fold, cubed): τ of the fold, at tanφ = (h⊥/|h∥|)^⅓ where h∥ < 0 (else 1, which is
        φ = π/2), and (|h∥|^⅔ + h⊥^⅔)³. The branch is unstable where h∥ < 0 **and** `cubed` > 1
        (Eq. 2). The paper tests only the magnitude, which would flip a magnet saturated along its
        field.
    """
    xp = namespace(h_parallel)[0]
    # Below this |h∥|^⅔ is nothing beside 1, and the powers of tan below do not overflow.
    least = np.finfo(_dtype_name(h_parallel)).tiny ** (1 / 3)
    strength = at_least(xp.abs(h_parallel), least)
    tan = _cube_root(xp, h_perpendicular / strength)
    secant = 1.0 + tan * tan
    fold = xp.where(h_parallel < 0, tan / (1.0 + xp.sqrt(secant)), xp.ones_like(tan))
    # |h∥|^⅔ + h⊥^⅔ = |h∥|^⅔ (1 + tan²): cubed, so that one cube root serves fold and test.
    product = strength * secant
    return fold, product * product * secant


def fold_across(h_perpendicular):
    """Return τ of the fold in the same field across the axis; that of 90° in larger ones than 1.

    There sinφ = h⊥^⅓. Unlike the fold of `astroid` it does not depend on h∥, on which that one
    depends without bound where h∥ vanishes.
    """
    xp = namespace(h_perpendicular)[0]
    sin = _cube_root(xp, at_most(h_perpendicular, 1.0))
    return sin / (1.0 + xp.sqrt(at_least(1.0 - sin * sin, 0.0)))


def euler_step(tau, h_parallel, h_perpendicular, fold, stiffness=0.0):
    """Take one safeguarded Euler step of τ towards the equilibrium within [0, fold].

    Euler's method takes the rising root of the local parabola, so that its steps stay good where
    the two roots of the torque meet: at the fold, where Newton's overshoot without bound. It
    converges cubically to a simple root and costs one square root more than Newton.

    Args:
        stiffness: added to the slope of the torque polynomial. It shortens the step, most where the
            slope is small.

    Returns:
        (step, error): the change of τ, and about the distance that is left, |p‴|/6 · step³ / p′.
    """
    xp = namespace(tau)[0]
    # Half the polynomial, its first two derivatives and a sixth of the third.
    half, less, more = 0.5 * h_perpendicular, h_parallel - 1.0, h_parallel + 1.0
    product, square = half * tau, tau * tau
    value = ((product + less) * square + more) * tau - half
    slope = (4.0 * product + 3.0 * less) * square + more + 0.5 * stiffness
    bend = 6.0 * (2.0 * product + less) * tau
    third = 4.0 * product + less
    # What rounding leaves of the torque at its root: a step on less than that is noise, and near
    # a fold large noise.
    eps = float(np.finfo(_dtype_name(tau)).eps)
    noise = 2.0 * eps * (1.0 + xp.abs(h_parallel) + h_perpendicular)
    value = xp.where(xp.abs(value) <= noise, xp.zeros_like(value), value)
    root = xp.sqrt(at_least(slope * slope - 2.0 * value * bend, eps * eps))
    # The parabola's rising root, in the forms that do not cancel on the two sides of its top. Where
    # the torque falls it vanishes at a maximum of the energy: from there it is left.
    steepness = xp.abs(slope)
    falling = slope * steepness < -4.0 * noise * xp.abs(bend)
    steepness = steepness + root
    step = xp.where(falling, steepness / at_most(bend, -eps), -2.0 * value / steepness)
    step = xp.clip(tau + step, xp.zeros_like(tau), fold) - tau
    left = xp.abs(third * step * step * step) / root
    return step, left + stiffness * xp.abs(step)


def at_least(array, least):
    """Return the element-wise maximum with a number or a tensor, in the array's own dtype."""
    if isinstance(array, np.ndarray | np.floating):
        return np.maximum(array, least)
    return maximum(array, _in_dtype_of(array, least))


def at_most(array, most):
    """Return the element-wise minimum with a number or a tensor, in the array's own dtype."""
    if isinstance(array, np.ndarray | np.floating):
        return np.minimum(array, most)
    return minimum(array, _in_dtype_of(array, most))


def _in_dtype_of(array, limit):
    """Return the limit as a tensor: Keras would make a float32 of a bare number on PyTorch."""
    return limit if ops.is_tensor(limit) else ops.convert_to_tensor(limit, ops.dtype(array))


def _dtype_name(array):
    return array.dtype if isinstance(array, np.ndarray) else ops.dtype(array)


def _cube_root(xp, x):
    """Return the cube root of x >= 0; in a graph by exp and log, which compilers vectorise."""
    return np.cbrt(x) if xp is np else ops.exp(ops.log(x) * (1 / 3))
