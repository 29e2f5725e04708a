"""Errors of moments with a weight for each grain, which losses and metrics share.

Moments are (b, g, 3) or, over loops, (b, t, g, 3); grains on a lattice may have the axes (x, y, z)
in place of g. Targets may have a fourth column on the last axis: the weight of each grain, such as
its share in the magnet's moment, and 0 on padding. Without it every grain has the weight 1.
"""

from keras import ops

from keras_micromag import _loss_inputs
from keras_micromag.utils import checks


def require_moments(y_true, y_pred, min_axes: int = 2) -> None:
    """Raise unless the static shapes are those of moments, with at least `min_axes` axes."""
    true, predicted = tuple(y_true.shape), tuple(y_pred.shape)
    columns = true[-1:] in ((3,), (4,), (None,)) and predicted[-1:] in ((3,), (None,))
    fits = columns and len(true) >= min_axes and checks.compatible(true[:-1], predicted[:-1])
    expected = "(b, ..., 3)" if min_axes == 2 else "(b, ..., g, 3)"
    _loss_inputs.require_same_shape(fits, expected, true, predicted)


def checked(y_true, y_pred, min_axes: int = 2) -> tuple:
    """Return true and predicted moments (..., g, 3), and the weights (..., g) of the grains.

    Raises:
        ValueError: when a static shape does not fit; see `require_moments`.
    """
    require_moments(y_true, y_pred, min_axes)
    y_true, y_pred = _grains_on_one_axis(y_true), _grains_on_one_axis(y_pred)
    if y_true.shape[-1] == 4:
        return y_true[..., :3], y_pred, y_true[..., 3]
    return y_true, y_pred, ops.ones_like(y_true[..., 0])


def _grains_on_one_axis(moments):
    """Return (b, c) as (b, 1, c), and (..., x, y, z, c) as (..., g, c)."""
    axes = len(moments.shape)
    if axes == 2:
        return moments[:, None]
    if axes >= 5:
        return ops.reshape(moments, (*ops.shape(moments)[:-4], -1, moments.shape[-1]))
    return moments


def squared_error(true, predicted, weights):
    """Return L_MSE of Eq. 9, (...): the squared error, summed over grains and components."""
    return ops.sum(weights * ops.sum(ops.square(true - predicted), axis=-1), axis=-1)


def norm_error(predicted, weights):
    """Return L_Norm of Eq. 9, (...): the squared error of the lengths, summed over grains.

    The derivative at a zero vector, which has no direction, is 0.
    """
    return ops.sum(weights * ops.square(1.0 - _lengths(predicted)), axis=-1)


def total_moment_error(true, predicted, weights):
    """Return the squared error (...) of the total moment, divided by the sum of the weights.

    The total moment is what a magnetometer measures.
    """
    error = ops.sum(weights[..., None] * (true - predicted), axis=-2)
    return ops.sum(ops.square(error), axis=-1) / total_weight(weights)


def total_weight(weights):
    """Return the sum (...) of the grains' weights, 1 where there is no grain."""
    total = ops.sum(weights, axis=-1)
    return ops.where(total > 0, total, ops.ones_like(total))


def _lengths(vectors):
    """Return the lengths (...) of vectors (..., 3); their derivative at 0 is 0."""
    square = ops.sum(ops.square(vectors), axis=-1)
    nonzero = square > 0
    # Both `where` are needed: otherwise the root's infinite slope times 0 would be NaN.
    length = ops.sqrt(ops.where(nonzero, square, ops.ones_like(square)))
    return ops.where(nonzero, length, ops.zeros_like(length))
