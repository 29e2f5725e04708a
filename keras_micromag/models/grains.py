"""Network of an autoencoder for irregular grains: a set with neighbours, not a lattice.

Graph convolutions turn the features of each grain and its neighbours into an embedding, once per
magnet. The encoder takes a weighted mean over the grains, of their embeddings and moments. The
decoder computes the moment of each grain from the latent state and the grain's embedding. So the
same weights serve any number of grains, in any order.
"""

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from keras_micromag.layers.grain_convolution import GrainConvolution
from keras_micromag.layers.rescaling import Rescaling
from keras_micromag.models.autoencoder import Autoencoder
from keras_micromag.utils import checks


def grain_autoencoder(
    features: int = 13,
    latent_size: int = 16,
    *,
    embedding_size: int = 32,
    convolutions: int = 2,
    width: int = 64,
    activation: str = "elu",
    spread: ArrayLike | None = None,
    name: str = "grain_autoencoder",
) -> Autoencoder:
    """Make an autoencoder of the moments of grains that are a set with neighbours.

    Args:
        features: c, the number of features of each grain; the first is its share in the magnet's
            moment, 0 on padding, see `grain_features`.
        latent_size: d.
        embedding_size: e - c: the embedding also contains the features.
        convolutions: number of `GrainConvolution` layers in the embedding, and so the distance, in
            grains, over which one grain influences another's embedding.
        width, activation: size and activation of all layers; kernels have He normal initial values.
        spread: (c,) standard deviations by which the features are divided; by default 1. Features
            that vary by a few percent, such as Ku, are hard to learn from otherwise.
        name: name of the model.

    Returns:
        A built, uncompiled model.

    Raises:
        ValueError: when a size is not a positive integer, or `spread` is not positive.

    Example:
        >>> from keras_micromag.models import grain_autoencoder
        >>> model = grain_autoencoder(latent_size=16)
        >>> model.encoder.output_shape, model.decoder.output_shape
        ((None, None, 16), (None, None, None, 3))
    """
    features = checks.count(features, "features")
    latent_size = checks.count(latent_size, "latent_size")
    embedding_size = checks.count(embedding_size, "embedding_size")
    convolutions = checks.count(convolutions, "convolutions")
    width = checks.count(width, "width")
    spread = checks.finite_array(
        np.ones(features) if spread is None else spread, "spread", (features,)
    )
    if not (spread > 1 / checks.LARGEST).all():
        raise ValueError(f"`spread` must be positive; received {spread.tolist()}.")
    # The share stays as it is: means over grains are weighted by it.
    scale = np.append(1.0, 1 / spread[1:]).tolist()
    layers = keras.layers

    def dense(x, units=width):
        return layers.Dense(units, activation=activation, kernel_initializer="he_normal")(x)

    grains = keras.Input((None, features), name="grains")
    neighbors = keras.Input((None, None), name="neighbors")
    x = dense(Rescaling(scale)(grains))
    for _ in range(convolutions):
        x = GrainConvolution(width, activation)({"features": x, "neighbors": neighbors})
    x = layers.LayerNormalization()(layers.Dense(embedding_size)(x))
    x = layers.Concatenate()([grains, x])
    embedding = keras.Model({"grains": grains, "neighbors": neighbors}, x, name="embedding")

    magnet = keras.Input((None, features + embedding_size), name="embedding")
    states = keras.Input((None, None, 3), name="states")
    axis = ops.expand_dims(magnet[:, :, 1:4], 1)
    # The moment along the easy axis, which gives the branch: a product of two inputs, which dense
    # layers cannot compute.
    x = layers.Concatenate()([states, ops.sum(states * axis, axis=-1, keepdims=True)])
    # Equal to a dense layer on both inputs; the part on the grains is computed once for all states.
    x = layers.Dense(width)(x) + ops.expand_dims(layers.Dense(width)(magnet), 1)
    x = dense(layers.Activation(activation)(x))
    x = ops.einsum("btgc,bg->btc", x, ops.cast(magnet[:, :, 0], x.dtype))
    x = layers.Dense(latent_size)(dense(x))
    encoder = keras.Model({"states": states, "embedding": magnet}, x, name="encoder")

    magnet = keras.Input((None, features + embedding_size), name="embedding")
    latent = keras.Input((None, latent_size), name="latent")
    x = ops.expand_dims(layers.Dense(width)(dense(latent)), 2)
    x = x + ops.expand_dims(layers.Dense(width)(magnet), 1)
    x = layers.Activation(activation)(x)
    for _ in range(2):
        x = dense(x)
    # The moment is a component along the easy axis plus a vector.
    axis = ops.cast(ops.expand_dims(magnet[:, :, 1:4], 1), x.dtype)
    x = layers.Dense(1)(x) * axis + layers.Dense(3)(x)
    present = ops.cast(magnet[:, :, :1] > 0, x.dtype)
    x = x * ops.expand_dims(present, 1)
    decoder = keras.Model({"latent": latent, "embedding": magnet}, x, name="decoder")
    return Autoencoder(encoder, decoder, embedding, name=name)
