"""Unit vectors by construction."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_micromag")
class UnitNorm(keras.layers.Layer):
    """Vectors along the last axis, scaled to length 1; a zero vector stays zero.

    Unlike `keras.layers.UnitNormalization` it has finite gradients at zero vectors (they are 0).

    Example:
        >>> import numpy as np
        >>> from keras_micromag.layers import UnitNorm
        >>> [round(float(m), 6) for m in UnitNorm()(np.array([3.0, 0.0, 4.0]))]
        [0.6, 0.0, 0.8]
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, vectors):
        """Return unit vectors."""
        square = ops.sum(vectors * vectors, axis=-1, keepdims=True)
        some = square > 0
        return ops.where(
            some, vectors / ops.sqrt(ops.where(some, square, ops.ones_like(square))), vectors * 0
        )

    def compute_output_shape(self, input_shape):
        """That of the input."""
        return input_shape
