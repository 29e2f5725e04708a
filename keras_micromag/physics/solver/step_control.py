"""Step control: from one equilibrium a magnet moves on by one field, or strides over several.

Equilibria in a row without a flip between them predict the next: a quadratic through three of them
interpolates the states between, and its extrapolation is where the next iteration starts. Tensors
and axes as in `field_steps`.
"""

from keras import ops

from keras_micromag.utils.backend import take_along_rows

LONGEST_STRIDE = 0.03
"""Longest stride, in units of the smallest anisotropy field."""

LARGEST_TURN = 0.01
"""Largest change of the demagnetising field over a stride, in the same units. An estimate: it takes
Js times the largest change of a moment for the field's; near an edge that is a few times more."""

STABLE = 0.89
"""Strides need (|h∥|^⅔ + h⊥^⅔)³ below this at their end; see `_next_stride`."""


def interpolate(moments, slope, bend, back, before):
    """Return the quadratic through three equilibria, the last being `moments`; not normalised.

    Args:
        back, before: the field, from that of the last equilibrium, and from that of the one before.
    """
    return moments + back * (slope + before * bend)


def extrapolate(state, field):
    """Return the moments at `field` (b,), extrapolated from the last three equilibria."""
    ahead = (field - state.last_field)[:, None, None]
    further = (field - state.field_before)[:, None, None]
    return state.last + ahead * (state.slope + further * state.bend)


def move_on(magnet, state, moments, field, trusted, longer):
    """Return the state after an equilibrium at `field`, and its first two divided differences."""
    quiet = ~ops.any(state.flipped > 0.5, axis=1)
    ahead, span = field - state.last_field, field - state.field_before
    repeated = ops.equal(ahead, ops.zeros_like(ahead))
    first = quiet & (state.smooth >= 1) & ~repeated
    # Not across a turning point of the field, where the span can vanish.
    second = first & (state.smooth >= 2) & (ahead * (span - ahead) > 0)
    one = ops.ones_like(ahead)
    # Where grains flipped, the others keep the slope that they had: it has hardly changed.
    slope = where(
        first,
        (moments - state.last) / ops.where(first, ahead, one)[:, None, None],
        state.slope * ops.cast(state.flipped < 0.5, state.slope.dtype)[:, None],
    )
    bend = where(
        second,
        (slope - state.slope) / ops.where(second, span, one)[:, None, None],
        where(quiet & repeated, state.bend, ops.zeros_like(slope)),
    )
    further = ops.where(repeated, state.smooth, state.smooth + 1)
    smooth = ops.where(quiet, further, ops.ones_like(state.smooth))
    target = _next_stride(magnet, state, smooth, trusted, longer)
    on = state._replace(
        origin=state.target,
        target=target,
        last=moments,
        slope=slope,
        bend=bend,
        last_field=field,
        field_before=ops.where(repeated, state.field_before, state.last_field),
        smooth=smooth,
        flipped=ops.zeros_like(state.flipped),
        products=ops.zeros_like(state.products),
        relaxing=ops.zeros_like(state.products),
        damping=ops.zeros_like(state.products),
    )
    return on._replace(moments=extrapolate(on, _field_at(magnet, target))), slope, bend


def _next_stride(magnet, state, smooth, trusted, longer):
    """Return the index of the field to solve next: up to twice as far as before, where safe.

    Two things could go wrong between two equilibria. The quadratic through the last three could
    miss the moments: its error is at most 4/27 of that of extrapolating the one before, which is
    known, so `surprise` <= 6 tol keeps it below `tol`. And a grain could become unstable and
    stable again: |h∥|^⅔ + h⊥^⅔ along a straight line exceeds its values at both ends by at most
    2·(4/27)·L^⅔ if h moves by L, which for L = LONGEST_STRIDE + LARGEST_TURN stays below
    1 - STABLE^⅓. Turning points of the field end a stride, and none longer than one field starts
    there (`_reach`), since the quadratic needs two equilibria behind it.
    """
    stride = state.target - state.origin
    stride = ops.where(trusted, ops.where(longer, 2 * stride, stride), ops.ones_like(stride))
    stride = ops.where(smooth >= 4, stride, ops.ones_like(stride))
    limit = _reach(magnet, ops.minimum(state.target, magnet.end - 1))
    return ops.maximum(ops.minimum(state.target + stride, limit), state.target + 1)


def _reach(magnet, index):
    """Return (b,) the last field that a stride from `index` may end on."""
    turns = at(magnet.turns, ops.minimum(index + 1, magnet.end - 1))
    starts = (index == 0) | (turns > at(magnet.turns, index))
    away = ops.abs(magnet.field - at(magnet.field, index)[:, None])
    # As far as the field is monotonic: no turning point between.
    each = ops.arange(magnet.field.shape[1], dtype="int32")
    ahead = (
        (each > index[:, None])
        & (each < magnet.end)
        & ops.equal(magnet.turns, turns[:, None])
        & (away <= magnet.longest)
    )
    # JAX in its x64 mode counts in int64.
    steps = ops.cast(ops.sum(ops.cast(ahead, "int32"), axis=1), "int32")
    one = ops.ones_like(steps)
    return index + ops.where(starts, ops.minimum(steps, one), steps)


def retreat(magnet, state):
    """Return the state that tries half the stride from the last equilibrium."""
    # Keras casts a Python integer to a dtype that depends on its floatx.
    half = (state.target - state.origin) // 2
    target = state.origin + ops.maximum(half, ops.ones_like(half))
    none = ops.zeros_like(state.relaxing)
    back = state._replace(target=target, relaxing=none, damping=none)
    return back._replace(moments=extrapolate(back, _field_at(magnet, target)))


def _field_at(magnet, index):
    return at(magnet.field, ops.minimum(index, magnet.end - 1))


def at(values, index):
    """Return (b,) the values (b, t) at index (b,)."""
    return take_along_rows(values, index[:, None])[:, 0]


def where(condition, x, y):
    """Select by a condition per magnet, (b,), for any further axes of y."""
    return ops.where(ops.reshape(condition, (-1,) + (1,) * (len(y.shape) - 1)), x, y)


def select(condition, x, y):
    """Select between two states by a condition per magnet; parts that they share stay."""
    return type(y)(*(b if a is b else where(condition, a, b) for a, b in zip(x, y, strict=True)))
