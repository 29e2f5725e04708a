"""Unit vectors by construction."""

import keras
from keras import ops

from keras_micromag.layers.base import at_least_float32
from keras_micromag.utils import checks


@keras.saving.register_keras_serializable(package="keras_micromag")
class UnitNorm(checks.Configured, keras.layers.Layer):
    """Scales vectors along the last axis to length 1; a zero vector stays zero.

    Unlike `keras.layers.UnitNormalization` it has finite gradients at zero vectors (they are 0).

    Raises:
        ValueError: for tensors without an axis of components.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.layers import UnitNorm
        >>> [round(float(m), 6) for m in UnitNorm()(np.array([3.0, 0.0, 4.0]))]
        [0.6, 0.0, 0.8]
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True

    def call(self, vectors):
        """Return unit vectors."""
        if not vectors.shape or vectors.shape[-1] == 0:
            raise ValueError(
                f"`vectors` must have shape (..., n); received {tuple(vectors.shape)}."
            )
        vectors = ops.cast(vectors, at_least_float32(self))
        # Squares leave the range of float32 above 1e19 and below 1e-19. A constant to derivatives:
        # the result does not depend on it.
        largest = ops.stop_gradient(ops.max(ops.abs(vectors), axis=-1, keepdims=True))
        some = largest > 0
        root = ops.sqrt(ops.where(some, largest, ops.ones_like(largest)))
        # Twice by the root, since the reciprocal of the largest, which XLA takes, may be nothing.
        scaled = vectors / root / root
        square = ops.sum(scaled * scaled, axis=-1, keepdims=True)
        length = ops.sqrt(ops.where(some, square, ops.ones_like(square)))
        unit = ops.where(some, scaled / length, ops.zeros_like(scaled))
        return ops.cast(unit, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Return the shape of the input."""
        return input_shape
