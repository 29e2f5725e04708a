"""Checks of the inputs of losses and metrics, and the weights of a rollout's steps."""

from keras import ops

from keras_micromag.utils import checks


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
