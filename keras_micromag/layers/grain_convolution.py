"""A convolution over the graph of neighbouring grains, in place of a lattice."""

import keras
from keras import ops

from keras_micromag.layers.base import (
    at_least_float32,
    require_inputs,
    require_one_batch,
    require_shape,
    shapes_of,
)
from keras_micromag.utils import checks


@keras.saving.register_keras_serializable(package="keras_micromag")
class GrainConvolution(checks.Configured, keras.layers.Layer):
    """Applies a dense layer to each grain's features and to the mean of its neighbours'.

    activation(x_i U + Σ_j a_ij x_j V / Σ_j a_ij + b): the order of the grains does not matter, nor
    how many there are. (The graph convolution of W. L. Hamilton, R. Ying and J. Leskovec, NeurIPS
    2017, "GraphSAGE", with weighted neighbours.)

    Args:
        units: n.
        activation: name or function; kernels have He normal initial values.

    Input:
        A dict of `features` (b, g, c) and `neighbors` (b, g, g), the weight of each other grain
        (column) for a grain (row), at least 0, such as `contact_areas` in m²: only ratios count.
        Grains without neighbours, and padding, get the mean 0.

    Output:
        (b, g, n).

    Raises:
        ValueError: when the shapes do not fit.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.layers import GrainConvolution
        >>> layer = GrainConvolution(8, activation="elu")
        >>> tuple(layer({"features": np.ones((2, 5, 3)), "neighbors": np.ones((2, 5, 5))}).shape)
        (2, 5, 8)
    """

    def __init__(self, units: int, activation=None, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.units = checks.count(units, "units")
        self.activation = keras.activations.get(activation)

    def build(self, input_shape):
        """Make the kernels."""
        features, _ = self._checked(input_shape)
        kernel = {"shape": (features[-1], self.units), "initializer": "he_normal"}
        self.own = self.add_weight(name="own", **kernel)
        self.neighbors = self.add_weight(name="neighbors", **kernel)
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")
        self.built = True

    def call(self, inputs):
        """Return the new features."""
        self._checked(shapes_of(inputs))
        neighbors = ops.cast(inputs["neighbors"], at_least_float32(self))
        total = ops.sum(neighbors, axis=-1, keepdims=True)
        share = neighbors / ops.where(total > 0, total, ops.ones_like(total))
        share, features, to_neighbors, own, bias = (
            ops.cast(part, self.compute_dtype)
            for part in (share, inputs["features"], self.neighbors, self.own, self.bias)
        )
        around = ops.matmul(share, ops.matmul(features, to_neighbors))
        return self.activation(ops.matmul(features, own) + around + bias)

    def compute_output_shape(self, input_shape):
        """Return (b, g, n)."""
        features, _ = self._checked(input_shape)
        return (*features[:-1], self.units)

    def _checked(self, shapes):
        features, neighbors = map(tuple, require_inputs(shapes, "features", "neighbors"))
        if len(features) != 3 or len(neighbors) != 3:
            raise ValueError(
                "`features` and `neighbors` must have shapes (b, g, c) and (b, g, g); received "
                f"{features} and {neighbors}."
            )
        g = features[1]
        require_shape(neighbors, "neighbors", (g, g), f" with g = {g}" if g else "")
        require_one_batch(features=features, neighbors=neighbors)
        return features, neighbors

    def get_config(self):
        """Return the arguments."""
        activation = keras.activations.serialize(self.activation)
        return {**super().get_config(), "units": self.units, "activation": activation}
