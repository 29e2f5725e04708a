"""Scaling of features by known numbers."""

import keras
from keras import ops

from keras_micromag.layers.base import at_least_float32
from keras_micromag.utils import checks


@keras.saving.register_keras_serializable(package="keras_micromag")
class Rescaling(checks.Configured, keras.layers.Layer):
    """Computes scale * inputs + offset along the last axis.

    `keras.layers.Rescaling` scales another axis where Keras's image data format is
    "channels_first", and rounds its inputs to half precision first, which loses small fields.

    Args:
        scale, offset: numbers, or one for each feature.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.layers.rescaling import Rescaling
        >>> [float(x) for x in Rescaling([0.5, 2.0], 1.0)(np.array([4.0, 4.0], "float32"))]
        [3.0, 9.0]
    """

    def __init__(self, scale: float | list[float], offset: float | list[float] = 0.0, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.scale, self.offset = scale, offset
        self.supports_masking = True

    def call(self, inputs):
        """Return the scaled inputs."""
        dtype = at_least_float32(self)
        scale, offset = (ops.convert_to_tensor(part, dtype) for part in (self.scale, self.offset))
        return ops.cast(ops.cast(inputs, dtype) * scale + offset, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Return the shape of the input."""
        return input_shape

    def get_config(self):
        """Return the arguments."""
        return {**super().get_config(), "scale": self.scale, "offset": self.offset}
