"""Losses: of moments that should keep their length (Eq. 9), of a rollout (Eq. 11, 12)."""

import keras
from keras import ops
from keras.src.backend import get_keras_mask  # which has no public name

from keras_micromag.utils import checks

_WEIGHTS = ("mse_weight", "norm_weight", "moment_weight")


def squared_error(y_true, y_pred):
    """L_MSE of Eq. 9: (b,) squared differences of (b, ..., 3) summed over grains and components."""
    return _sum_but_first(ops.square(y_true - y_pred))


def norm_error(y_pred):
    """L_Norm of Eq. 9: (b,) squared errors of the lengths of (b, ..., 3), summed over grains.

    The derivative at a zero vector, where it has no direction, is 0.
    """
    return _sum_but_first(ops.square(1.0 - _lengths(y_pred)))


def _lengths(vectors):
    """(...) of vectors (..., 3); the derivative at 0 is 0."""
    square = ops.sum(ops.square(vectors), axis=-1)
    some = square > 0
    # Twice, or the root's infinite slope times 0 would be NaN.
    length = ops.sqrt(ops.where(some, square, ops.ones_like(square)))
    return ops.where(some, length, ops.zeros_like(length))


def norm_preserving(y_true, y_pred, mse_weight: float = 0.85, norm_weight: float = 0.15):
    """a1 · L_MSE + a2 · L_Norm (Eq. 9), (b,) from moments (b, ..., 3)."""
    return mse_weight * squared_error(y_true, y_pred) + norm_weight * norm_error(y_pred)


def total_moment_error(y_true, y_pred):
    """(b,) squared error of the total moment of g grains, over g: of what a magnetometer sees."""
    grains = tuple(range(1, len(y_pred.shape) - 1))
    # The mean, squared, times g: the number of grains may be known only in the graph.
    error = ops.mean(y_true - y_pred, axis=grains)
    number = ops.prod(ops.convert_to_tensor([ops.shape(y_pred)[axis] for axis in grains]))
    return ops.sum(ops.square(error), axis=-1) * ops.cast(number, error.dtype)


class _WeightedLoss(checks.Configured, keras.losses.Loss):
    """What the losses of moments share: the weights of their terms."""

    def __init__(
        self,
        mse_weight: float = 0.85,
        norm_weight: float = 0.15,
        moment_weight: float = 0.0,
        reduction="sum_over_batch_size",
        name=None,
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        weights = dict(zip(_WEIGHTS, (mse_weight, norm_weight, moment_weight), strict=True))
        for argument, weight in weights.items():
            if not weight >= 0:
                raise ValueError(f"`{argument}` must be at least 0; received {weight!r}.")
            setattr(self, argument, float(weight))

    def get_config(self):
        """The arguments."""
        return {**super().get_config(), **{name: getattr(self, name) for name in _WEIGHTS}}


@keras.saving.register_keras_serializable(package="keras_micromag")
class NormPreservingLoss(_WeightedLoss):
    """Squared error of the moments plus that of their lengths (Eq. 9).

    Sums over grains and components, so over all axes but the first; then the mean over the batch.

    Args:
        mse_weight: a1. norm_weight: a2. moment_weight: of `total_moment_error`, which is not in the
            paper: without it an autoencoder may have most grains right and yet a demagnetisation
            curve that is wrong by several percent. All at least 0.

    Raises:
        ValueError: for a negative weight, moments whose last axis is not 3, or two shapes.

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
        """The loss, by `reduction`."""
        mask = get_keras_mask(y_pred)
        if mask is not None and len(mask.shape) == len(y_pred.shape) - 1 > 1:
            # Unit vectors without error in their place; Keras would weight whole samples.
            y_pred = ops.convert_to_tensor(y_pred, self.dtype)
            y_true = ops.convert_to_tensor(y_true, self.dtype)
            unit = ops.ones_like(y_pred) / 3**0.5
            there = ops.cast(mask, "bool")[..., None]
            y_true, y_pred = (ops.where(there, y, unit) for y in (y_true, y_pred))
        return super().__call__(y_true, y_pred, sample_weight=sample_weight)

    def call(self, y_true, y_pred):
        """(b,) losses."""
        require_moments(y_true, y_pred)
        loss = norm_preserving(y_true, y_pred, self.mse_weight, self.norm_weight)
        if self.moment_weight:
            loss = loss + self.moment_weight * total_moment_error(y_true, y_pred)
        return loss


@keras.saving.register_keras_serializable(package="keras_micromag")
class GrainLoss(_WeightedLoss):
    """`NormPreservingLoss` for polycrystals: every grain counts by its share in the moment.

    Args:
        mse_weight: a1 of Eq. 9. norm_weight: a2. moment_weight: of the squared error of the
            magnet's moment. All at least 0.

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
        """(b, t) losses."""
        shapes = tuple(y_true.shape), tuple(y_pred.shape)
        if [(len(shape), shape[-1]) for shape in shapes] != [(4, 4), (4, 3)]:
            raise ValueError(
                "`y_true` and `y_pred` must have shapes (b, t, g, 4) and (b, t, g, 3); received "
                f"{shapes[0]} and {shapes[1]}."
            )
        share, off = y_true[..., 3], y_true[..., :3] - y_pred
        error = self.mse_weight * ops.sum(ops.square(off), axis=-1)
        error = error + self.norm_weight * ops.square(1.0 - _lengths(y_pred))
        moment = ops.sum(share[..., None] * off, axis=2)
        return ops.sum(share * error, axis=-1) + self.moment_weight * ops.sum(
            ops.square(moment), axis=-1
        )


def rollout_error(y_true, y_pred):
    """L_j of Eq. 11: (b, l) squared errors of latent states (b, l, d), summed over d."""
    return ops.sum(ops.square(y_true - y_pred), axis=-1)


@keras.saving.register_keras_serializable(package="keras_micromag")
class RolloutLoss(checks.Configured, keras.losses.Loss):
    """Squared error of l predictions, each made from those before (Eq. 11, 12).

    Sums over the latent variables and over the l steps; then the mean over the batch. Losses of
    different l are therefore sums of different length.

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

    def __init__(self, reduction="sum_over_batch_size", name="rollout_loss", dtype=None):
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def __call__(self, y_true, y_pred, sample_weight=None):
        """The loss, by `reduction`."""
        if sample_weight is not None:
            require_latents(y_true, y_pred)
            sample_weight = step_weights(ops.convert_to_tensor(sample_weight, self.dtype), y_pred)
        loss = super().__call__(y_true, y_pred, sample_weight=sample_weight)
        if self.reduction in ("sum", "none", None):
            return loss
        return loss * float(y_pred.shape[1])  # a mean over the steps, too: Eq. 12 has their sum

    def call(self, y_true, y_pred):
        """(b, l) errors."""
        require_latents(y_true, y_pred)
        return rollout_error(y_true, y_pred)


def step_weights(weights, y):
    """Weights (b, l) of the errors of y (b, l, d).

    Args:
        weights: a tensor, (b,) or (b, 1), one per window, (b, l), one per step, or a number.
        y: a tensor or NumPy array.

    Raises:
        ValueError: for weights of another shape.
    """
    nothing = ops.zeros_like(y[:, :, 0], dtype=weights.dtype)
    # TensorFlow forgets the rank where weights of both kinds come to one compiled function.
    if getattr(weights.shape, "rank", 0) is not None:
        shape, (b, steps) = tuple(weights.shape), y.shape[:2]
        if not any(_fits(shape, wanted) for wanted in ((), (b,), (b, 1), (b, steps))):
            raise ValueError(
                "`sample_weight` must have shape (b,), one per window, or (b, l), one per step, "
                f"with b = {b} and l = {steps}; received {shape}."
            )
        if not shape:
            return weights + nothing
    return ops.reshape(weights, (ops.shape(y)[0], -1)) + nothing


def require_moments(y_true, y_pred, axes: int = 2) -> None:
    """Raise where static shapes are not the same, (b, ..., 3) with at least so many axes."""
    shape = tuple(y_pred.shape)
    right = len(shape) >= axes and shape[-1] in (3, None)
    _require_alike(y_true, y_pred, right, "(b, ..., 3)" if axes == 2 else "(b, ..., g, 3)")


def require_latents(y_true, y_pred) -> None:
    """Raise where static shapes are not the same, (b, l, d)."""
    _require_alike(y_true, y_pred, len(y_pred.shape) == 3, "(b, l, d)")


def _require_alike(y_true, y_pred, right, wanted):
    shapes = tuple(y_true.shape), tuple(y_pred.shape)
    if not (right and _fits(*shapes)):
        raise ValueError(
            f"`y_true` and `y_pred` must have the same shape {wanted}; received "
            f"{shapes[0]} and {shapes[1]}."
        )


def _fits(shape, wanted):
    """Whether two static shapes may be the same; None is any size."""
    return len(shape) == len(wanted) and all(
        None in sizes or sizes[0] == sizes[1] for sizes in zip(shape, wanted, strict=True)
    )


def _sum_but_first(values):
    return ops.sum(values, axis=tuple(range(1, len(values.shape))))
