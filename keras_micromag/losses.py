"""Losses: of moments of unit length (Eq. 9), and of a rollout in latent space (Eq. 11, 12)."""

import keras
from keras import ops
from keras.src.backend import get_keras_mask  # which has no public name

from keras_micromag import _loss_inputs
from keras_micromag.utils import checks

__all__ = [
    "GrainLoss",
    "NormPreservingLoss",
    "RolloutLoss",
    "norm_error",
    "norm_preserving",
    "rollout_error",
    "squared_error",
    "total_moment_error",
]

_WEIGHTS = ("mse_weight", "norm_weight", "moment_weight")


def squared_error(y_true, y_pred):
    """Return L_MSE of Eq. 9: the squared error of moments, summed over grains and components.

    Args:
        y_true, y_pred: (b, ..., 3).

    Returns:
        (b,) tensor.
    """
    return _sum_all_but_first(ops.square(y_true - y_pred))


def norm_error(y_pred):
    """Return L_Norm of Eq. 9: the squared error of the moments' lengths, summed over grains.

    The derivative at a zero vector, where it has no direction, is 0.

    Args:
        y_pred: (b, ..., 3) moments, which should have length 1.

    Returns:
        (b,) tensor.
    """
    return _sum_all_but_first(ops.square(1.0 - _lengths(y_pred)))


def _lengths(vectors):
    """Return the lengths (...) of vectors (..., 3); their derivative at 0 is 0."""
    square = ops.sum(ops.square(vectors), axis=-1)
    nonzero = square > 0
    # Both `where` are needed: otherwise the root's infinite slope times 0 would be NaN.
    length = ops.sqrt(ops.where(nonzero, square, ops.ones_like(square)))
    return ops.where(nonzero, length, ops.zeros_like(length))


def norm_preserving(y_true, y_pred, mse_weight: float = 0.85, norm_weight: float = 0.15):
    """Return a1 · L_MSE + a2 · L_Norm (Eq. 9), (b,), of moments (b, ..., 3)."""
    return mse_weight * squared_error(y_true, y_pred) + norm_weight * norm_error(y_pred)


def total_moment_error(y_true, y_pred):
    """Return the squared error of the total moment of g grains, divided by g.

    The total moment is what a magnetometer measures.

    Args:
        y_true, y_pred: (b, ..., 3), the g grains on the axes between.

    Returns:
        (b,) tensor.
    """
    grain_axes = tuple(range(1, len(y_pred.shape) - 1))
    # The squared mean, times g: the number of grains may be known only in the graph.
    error = ops.mean(y_true - y_pred, axis=grain_axes)
    grains = ops.prod(ops.convert_to_tensor([ops.shape(y_pred)[axis] for axis in grain_axes]))
    return ops.sum(ops.square(error), axis=-1) * ops.cast(grains, error.dtype)


class _WeightedLoss(checks.Configured, keras.losses.Loss):
    """Base class of the losses of moments: stores the weights of their terms."""

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
            if not weight >= 0:
                raise ValueError(f"`{argument}` must be at least 0; received {weight!r}.")
            setattr(self, argument, float(weight))

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), **{name: getattr(self, name) for name in _WEIGHTS}}


@keras.saving.register_keras_serializable(package="keras_micromag")
class NormPreservingLoss(_WeightedLoss):
    """Squared error of the moments plus that of their lengths (Eq. 9).

    It sums over grains and components, that is over all axes but the first, and then takes the
    mean over the batch.

    Args:
        mse_weight: a1.
        norm_weight: a2.
        moment_weight: weight of `total_moment_error`, which is not in the paper. Without it an
            autoencoder may reconstruct most grains correctly, and yet the demagnetisation curve is
            wrong by several percent.

    Raises:
        ValueError: for a negative weight, moments whose last axis is not 3, or two shapes that
            differ.

    Notes:
        Grains that a Keras mask (b, ...) on `y_pred` leaves out have no error.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.losses import NormPreservingLoss
        >>> up = np.tile([0.0, 0.0, 1.0], (2, 4, 4, 4, 1))
        >>> round(float(NormPreservingLoss()(up, 0.5 * up)), 6)  # 64 · (0.85 + 0.15) · 0.25
        16.0
    """

    def __call__(self, y_true, y_pred, sample_weight=None):
        """Return the loss, reduced as `reduction` says."""
        mask = get_keras_mask(y_pred)
        if mask is not None and len(mask.shape) == len(y_pred.shape) - 1 > 1:
            # Keras would weight whole samples by the mask. Instead, masked grains get the same unit
            # vector in both arrays, which has no error.
            y_pred = ops.convert_to_tensor(y_pred, self.dtype)
            y_true = ops.convert_to_tensor(y_true, self.dtype)
            unit = ops.ones_like(y_pred) / 3**0.5
            present = ops.cast(mask, "bool")[..., None]
            y_true, y_pred = (ops.where(present, y, unit) for y in (y_true, y_pred))
        return super().__call__(y_true, y_pred, sample_weight=sample_weight)

    def call(self, y_true, y_pred):
        """Return the (b,) losses."""
        _loss_inputs.require_moments(y_true, y_pred)
        loss = norm_preserving(y_true, y_pred, self.mse_weight, self.norm_weight)
        if self.moment_weight:
            loss = loss + self.moment_weight * total_moment_error(y_true, y_pred)
        return loss


@keras.saving.register_keras_serializable(package="keras_micromag")
class GrainLoss(_WeightedLoss):
    """`NormPreservingLoss` for polycrystals: each grain counts by its share in the moment.

    Args:
        mse_weight: a1 of Eq. 9.
        norm_weight: a2 of Eq. 9.
        moment_weight: weight of the squared error of the magnet's moment.

    Input:
        `y_true` (b, t, g, 4): unit moments and, last, the grain's share in the magnet's moment, 0
        on padding. `y_pred` (b, t, g, 3). `sample_weight` (b, t).

    Raises:
        ValueError: for a negative weight, or other shapes.

    Notes:
        With n equal grains, 1/n of `NormPreservingLoss` for each state.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.losses import GrainLoss
        >>> true = np.tile([0.0, 0.0, 1.0, 0.25], (2, 5, 4, 1))  # four grains up
        >>> round(float(GrainLoss(moment_weight=2.0)(true, 0.5 * true[..., :3])), 6)
        0.75
    """

    def call(self, y_true, y_pred):
        """Return the (b, t) losses."""
        shapes = tuple(y_true.shape), tuple(y_pred.shape)
        if [(len(shape), shape[-1]) for shape in shapes] != [(4, 4), (4, 3)]:
            raise ValueError(
                "`y_true` and `y_pred` must have shapes (b, t, g, 4) and (b, t, g, 3); received "
                f"{shapes[0]} and {shapes[1]}."
            )
        share, difference = y_true[..., 3], y_true[..., :3] - y_pred
        error = self.mse_weight * ops.sum(ops.square(difference), axis=-1)
        error = error + self.norm_weight * ops.square(1.0 - _lengths(y_pred))
        moment = ops.sum(share[..., None] * difference, axis=2)
        return ops.sum(share * error, axis=-1) + self.moment_weight * ops.sum(
            ops.square(moment), axis=-1
        )


def rollout_error(y_true, y_pred):
    """Return L_j of Eq. 11: (b, l) squared errors of latent states (b, l, d), summed over d."""
    return ops.sum(ops.square(y_true - y_pred), axis=-1)


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
            _loss_inputs.require_latents(y_true, y_pred)
            sample_weight = ops.convert_to_tensor(sample_weight, self.dtype)
            sample_weight = _loss_inputs.step_weights(sample_weight, y_pred)
        loss = super().__call__(y_true, y_pred, sample_weight=sample_weight)
        if self.reduction in ("sum", "none", None):
            return loss
        # Keras takes the mean over the steps, too; Eq. 12 has their sum.
        return loss * float(y_pred.shape[1])

    def call(self, y_true, y_pred):
        """Return the (b, l) errors."""
        _loss_inputs.require_latents(y_true, y_pred)
        return rollout_error(y_true, y_pred)


def _sum_all_but_first(values):
    return ops.sum(values, axis=tuple(range(1, len(values.shape))))
