"""Step control: from one equilibrium a magnet moves on by one field, or strides over several.

Equilibria in a row without a flip between them predict the next: a quadratic through three of them
interpolates the states between, and its extrapolation is where the next iteration starts. Tensors
and axes as in `field_steps`.
"""

from keras import ops

from keras_micromag.utils.backend import namespace, take_along_rows

LONGEST_STRIDE = 0.03
"""Longest stride, in units of the smallest anisotropy field."""

LARGEST_TURN = 0.01
"""Largest change of the demagnetising field over a stride, in the same units. An estimate: it takes
Js times the largest change of a moment for the field's; near an edge that is a few times more."""

STABLE = 0.89
"""Strides need (|h∥|^⅔ + h⊥^⅔)³ below this at their end; see `_next_stride`."""


def reach(field, longest, end: int):
    """Return (b, t) the index of the last field that a stride from each field may end on.

    A stride covers at most `longest` tesla and ends at a turning point of the field. One that
    starts there goes to the next field, since the quadratic needs two equilibria behind it.

    Args:
        field: (b, t) in tesla, of which the first `end` count; NumPy, like `longest`, or tensors.
        longest: (b, 1).
    """
    xp, field = namespace(field)
    direction = xp.sign(field[:, 1:] - field[:, :-1])
    # With a 0 for the first and the last field; a single field is both.
    ends = xp.zeros_like(field[:, : min(2, field.shape[1])], dtype="int32")
    # Not 1 and 0, of which Keras would make integers of a dtype that depends on its floatx.
    zeros = xp.zeros_like(field[:, 1:-1], dtype="int32")
    turning = xp.where(xp.not_equal(direction[:, 1:], direction[:, :-1]), zeros + 1, zeros)
    turning = xp.concatenate([ends[:, :1], turning, ends[:, 1:]], axis=1)
    turns = xp.cumsum(turning, axis=1, dtype="int32") - turning  # before each field

    index = xp.zeros_like(turns) + xp.arange(field.shape[1], dtype="int32")
    last = xp.zeros_like(turns) + (end - 1)
    following = xp.minimum(index + 1, last)
    run = xp.take_along_axis(turns, following, axis=1)
    furthest = index
    # By bisection: between turning points the field is monotonic.
    ahead = 2 ** (field.shape[1].bit_length() - 1)
    while ahead:
        further = xp.minimum(furthest + ahead, last)
        away = xp.abs(xp.take_along_axis(field, further, axis=1) - field)
        same = xp.equal(xp.take_along_axis(turns, further, axis=1), run)
        furthest = xp.where(same & (away <= longest), further, furthest)
        ahead //= 2
    starts = xp.equal(index, 0) | (run > turns)
    return xp.where(starts, xp.minimum(furthest, following), furthest)


def interpolate(moments, slope, bend, back, before):
    """Return the quadratic through three equilibria, the last being `moments`; not normalised.

    Args:
        back, before: the field, from that of the last equilibrium, and from that of the one before.
    """
    return moments + back * (slope + before * bend)


def trial_moments(magnet, state):
    """Return the moments at the field to be solved, extrapolated from the last equilibria."""
    return extrapolate(state, at(magnet.field, ops.minimum(state.target, magnet.end - 1)))


def extrapolate(state, field):
    """Return the moments at `field` (b,), extrapolated from the last three equilibria."""
    ahead = (field - state.last_field)[:, None, None]
    further = (field - state.field_before)[:, None, None]
    return state.last + ahead * (state.slope + further * state.bend)


def move_on(magnet, state, moments, field, trusted, longer):
    """Return the state after an equilibrium at `field`, but for its `trial_moments`."""
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
    return state._replace(
        origin=state.target,
        target=_next_stride(magnet, state, smooth, trusted, longer),
        last=moments,
        slope=slope,
        bend=bend,
        last_field=field,
        field_before=ops.where(repeated, state.field_before, state.last_field),
        smooth=smooth,
        flipped=ops.zeros_like(state.flipped),
        products=ops.zeros_like(state.products),
    )


def _next_stride(magnet, state, smooth, trusted, longer):
    """Return the index of the field to solve next: up to twice as far as before, where safe.

    Two things could go wrong between two equilibria. The quadratic through the last three could
    miss the moments: its error is at most 4/27 of that of extrapolating the one before, which is
    known, so `surprise` <= 6 tol keeps it below `tol`. And a grain could become unstable and
    stable again: |h∥|^⅔ + h⊥^⅔ along a straight line exceeds its values at both ends by at most
    2·(4/27)·L^⅔ if h moves by L, which for L = LONGEST_STRIDE + LARGEST_TURN stays below
    1 - STABLE^⅓. See `reach` for turning points of the field.
    """
    stride = state.target - state.origin
    stride = ops.where(trusted, ops.where(longer, 2 * stride, stride), ops.ones_like(stride))
    stride = ops.where(smooth >= 4, stride, ops.ones_like(stride))
    limit = at(magnet.reach, ops.minimum(state.target, magnet.end - 1))
    return ops.maximum(ops.minimum(state.target + stride, limit), state.target + 1)


def half_stride(state):
    """Return the index of the field at the end of half the stride from the last equilibrium."""
    # Keras casts a Python integer to a dtype that depends on its floatx.
    half = (state.target - state.origin) // 2
    return state.origin + ops.maximum(half, ops.ones_like(half))


def at(values, index):
    """Return (b,) the values (b, t) at index (b,)."""
    return take_along_rows(values, index[:, None])[:, 0]


def where(condition, x, y):
    """Select by a condition per magnet, (b,), for any further axes of y."""
    return ops.where(ops.expand_dims(condition, tuple(range(1, len(y.shape)))), x, y)


def select(condition, x, y):
    """Select between two states by a condition per magnet; parts that they share stay."""
    return type(y)(*(b if a is b else where(condition, a, b) for a, b in zip(x, y, strict=True)))
