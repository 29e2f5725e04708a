"""Losses: of moments of unit length (Eq. 9), and of a rollout in latent space (Eq. 11, 12).

The functions below the losses are the terms of Eq. 9, which `metrics` computes too. Moments are
(b, g, 3) or, over loops, (b, t, g, 3); grains on a lattice may have the axes (x, y, z) in place of
g. Targets may have a fourth column on the last axis: the weight of each grain, such as its share in
the magnet's moment, and 0 on padding. Without it every grain has the weight 1.
"""

import keras
from keras import ops
from keras.src.backend.common.masking import get_keras_mask  # which has no public name

from keras_micromag.utils import checks

__all__ = ["NormPreservingLoss", "RolloutLoss"]

_WEIGHTS = ("mse_weight", "norm_weight", "moment_weight")


@keras.saving.register_keras_serializable(package="keras_micromag")
class NormPreservingLoss(checks.Configured, keras.losses.Loss):
    """Squared error of the moments plus that of their lengths (Eq. 9).

    The error of a state is the sum over grains and components. The loss is the mean over all
    states.

    Args:
        mse_weight: a1.
        norm_weight: a2.
        moment_weight: weight of the squared error of the total moment, divided by the number of
            grains, which is not in the paper. Without it an autoencoder may reconstruct most grains
            correctly, and yet the demagnetisation curve is wrong by several percent.

    Input:
        `y_pred` (b, g, 3), or (b, t, g, 3) for loops; grains on a lattice may have the axes
        (x, y, z) in place of g. `y_true` has the same shape, or a fourth column with the weight of
        each grain, such as its share in the magnet's moment, and 0 on padding. Without it every
        grain has the weight 1. `sample_weight` (b,), or (b, t) for loops.

    Raises:
        ValueError: for a negative weight, moments whose last axis is not 3, or two shapes that
            differ.

    Notes:
        Grains that a Keras mask (b, ...) on `y_pred` leaves out have the weight 0. With shares that
        add up to 1, the loss of n equal grains is 1/n of that without weights.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.losses import NormPreservingLoss
        >>> up = np.tile([0.0, 0.0, 1.0], (2, 5, 64, 1))
        >>> round(float(NormPreservingLoss()(up, 0.5 * up)), 6)  # 64 · (0.85 + 0.15) · 0.25
        16.0
        >>> target = np.concatenate([up, np.full((2, 5, 64, 1), 1 / 64)], axis=-1)
        >>> round(float(NormPreservingLoss()(target, 0.5 * up)), 6)
        0.25
    """

    def __init__(
        self,
        mse_weight: float = 0.85,
        norm_weight: float = 0.15,
        moment_weight: float = 0.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        weights = dict(zip(_WEIGHTS, (mse_weight, norm_weight, moment_weight), strict=True))
        for argument, weight in weights.items():
            setattr(self, argument, checks.number(weight, argument, least=0))

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Return the loss, reduced as `reduction` says."""
        mask = get_keras_mask(y_pred)
        if mask is not None and len(mask.shape) == len(y_pred.shape) - 1 > 1:
            # Keras would weight samples, not grains, by the mask. The new `y_pred` has none.
            y_true, y_pred = self._without_masked_grains(y_true, y_pred, mask)
        return super().__call__(y_true, y_pred, sample_weight=sample_weight)

    def _without_masked_grains(self, y_true, y_pred, mask):
        """Return `y_true` with the weight 0 for masked grains, and `y_pred` without a mask."""
        require_moments(y_true, y_pred)
        y_true, y_pred = (ops.convert_to_tensor(y, self.dtype) for y in (y_true, y_pred))
        present = ops.cast(mask, "bool")[..., None]
        weights = y_true[..., 3:] if y_true.shape[-1] == 4 else ops.ones_like(y_true[..., :1])
        weights = ops.where(present, weights, ops.zeros_like(weights))
        y_true = ops.concatenate([y_true[..., :3], weights], axis=-1)
        return y_true, ops.where(present, y_pred, ops.zeros_like(y_pred))

    def call(self, y_true, y_pred):
        """Return the losses, (b,), or (b, t) for loops."""
        true, predicted, weights = checked_moments(y_true, y_pred)
        loss = self.mse_weight * squared_error(true, predicted, weights)
        loss = loss + self.norm_weight * norm_error(predicted, weights)
        if self.moment_weight:
            moment_error = total_moment_error(true, predicted, weights)
            loss = loss + self.moment_weight * moment_error
        return loss

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), **{name: getattr(self, name) for name in _WEIGHTS}}


# Files of compiled models for irregular grains have this loss under its earlier name.
keras.saving.get_custom_objects()["keras_micromag>GrainLoss"] = NormPreservingLoss


@keras.saving.register_keras_serializable(package="keras_micromag")
class RolloutLoss(checks.Configured, keras.losses.Loss):
    """Squared error of l predictions, each made from those before (Eq. 11, 12).

    It sums over the latent variables and over the l steps, and then takes the mean over the batch.
    Losses of different l are therefore sums of different length.

    Input:
        `y_true`, `y_pred` (b, l, d). `sample_weight` one per window, (b,) or (b, 1), one per step,
        (b, l), or one number.

    Raises:
        ValueError: for other shapes.

    Notes:
        With reduction "none" it returns the (b, l) errors of Eq. 11.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.losses import RolloutLoss
        >>> float(RolloutLoss()(np.zeros((2, 8, 16)), np.ones((2, 8, 16))))
        128.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "rollout_loss",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Return the loss, reduced as `reduction` says."""
        if sample_weight is not None:
            require_latents(y_true, y_pred)
            sample_weight = ops.convert_to_tensor(sample_weight, self.dtype)
            sample_weight = step_weights(sample_weight, y_pred)
        loss = super().__call__(y_true, y_pred, sample_weight=sample_weight)
        if self.reduction in ("sum", "none", None):
            return loss
        # Keras takes the mean over the steps, too; Eq. 12 has their sum.
        return loss * float(y_pred.shape[1])

    def call(self, y_true, y_pred):
        """Return the (b, l) errors."""
        require_latents(y_true, y_pred)
        return ops.sum(ops.square(y_true - y_pred), axis=-1)


def require_moments(y_true, y_pred, min_axes: int = 2) -> None:
    """Raise unless the static shapes are those of moments, with at least `min_axes` axes."""
    true, predicted = tuple(y_true.shape), tuple(y_pred.shape)
    columns = true[-1:] in ((3,), (4,), (None,)) and predicted[-1:] in ((3,), (None,))
    fits = columns and len(true) >= min_axes and checks.compatible(true[:-1], predicted[:-1])
    expected = "(b, ..., 3)" if min_axes == 2 else "(b, ..., g, 3)"
    require_same_shape(fits, expected, true, predicted)


def checked_moments(y_true, y_pred, min_axes: int = 2) -> tuple:
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


def require_latents(y_true, y_pred) -> None:
    """Raise unless both static shapes are the same, (b, l, d)."""
    true, predicted = tuple(y_true.shape), tuple(y_pred.shape)
    require_same_shape(
        len(true) == 3 and checks.compatible(true, predicted), "(b, l, d)", true, predicted
    )


def require_same_shape(fits: bool, expected: str, true: tuple, predicted: tuple) -> None:
    """Raise an error with the static shapes of `y_true` and `y_pred` unless they fit."""
    if not fits:
        raise ValueError(
            f"`y_true` and `y_pred` must have the same shape {expected}; received "
            f"{true} and {predicted}."
        )


def step_weights(weights, y):
    """Return weights (b, l) for the errors of latent states y (b, l, d).

    Args:
        weights: a tensor, (b,) or (b, 1), one per window, (b, l), one per step, or a number.
        y: a tensor or NumPy array.

    Raises:
        ValueError: for weights of another shape.
    """
    zeros = ops.zeros_like(y[:, :, 0], dtype=weights.dtype)
    # TensorFlow forgets the rank where weights of both kinds come to one compiled function.
    if getattr(weights.shape, "rank", 0) is not None:
        shape, (b, steps) = tuple(weights.shape), y.shape[:2]
        if not any(
            checks.compatible(shape, expected) for expected in ((), (b,), (b, 1), (b, steps))
        ):
            raise ValueError(
                "`sample_weight` must have shape (b,), one per window, or (b, l), one per step, "
                f"with b = {b} and l = {steps}; received {shape}."
            )
        if not shape:
            return weights + zeros
    return ops.reshape(weights, (ops.shape(y)[0], -1)) + zeros
