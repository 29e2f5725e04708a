"""Convolutional autoencoder of magnetisation states on a lattice (Table 1)."""

from collections.abc import Sequence

import keras

from keras_micromag.models.base import ComposedModel, FiniteFit
from keras_micromag.utils import checks


@keras.saving.register_keras_serializable(package="keras_micromag")
class Autoencoder(FiniteFit, ComposedModel):
    """Encoder and decoder, trained as one model: x -> decoder(encoder(x)).

    Args:
        encoder: a model from states (b, x, y, z, 3) to latent states (b, d).
        decoder: a model from latent states to states.

    Example:
        >>> from keras_micromag.models import autoencoder
        >>> model = autoencoder()
        >>> model.encoder.output_shape, model.decoder.output_shape, model.count_params()
        ((None, 16), (None, 4, 4, 4, 3), 4983)
    """

    parts = ("encoder", "decoder")

    def __init__(self, encoder: keras.Model, decoder: keras.Model, **kwargs):
        super().__init__(**kwargs)
        self.encoder, self.decoder = encoder, decoder
        if encoder.built and decoder.built:
            self.build(encoder.input_shape)

    def build(self, input_shape):
        """Mark the model as built: encoder and decoder are built already."""
        self.built = True

    def call(self, states, training=None):
        """Return the decoded states."""
        return self.decoder(self.encoder(states, training=training), training=training)

    def compute_output_shape(self, input_shape):
        """Return the shape of the input."""
        return input_shape


def autoencoder(
    grid: Sequence[int] = (4, 4, 4),
    latent_size: int = 16,
    *,
    filters: Sequence[int] = (4,),
    units: Sequence[int] = (32, 32),
    activation: str = "elu",
    output_activation: str = "linear",
    name: str = "autoencoder",
) -> Autoencoder:
    """Make a convolutional autoencoder of moments on a lattice (Table 1: 4,983 parameters).

    The encoder has a convolution with kernel size and stride 2 for each of `filters`, then dense
    layers of `units`, and a dense layer of the latent size d. The decoder has dense layers of d, d,
    the `units` without the first in reverse order, and the input size of the first transposed
    convolution; then it has transposed convolutions.

    Args:
        grid: (x, y, z), each a multiple of 2^len(filters).
        latent_size: d.
        filters: number of filters of each convolution.
        units: sizes of the encoder's dense layers before the latent one; at least one.
        activation: activation of every layer but the last; kernels have He normal initial values.
        output_activation: activation of the last layer. The paper has "elu" there too. ELU reaches
            -1, the m_z of a reversed magnet, only in the limit.
        name: name of the model.

    Returns:
        A built, uncompiled model, (b, x, y, z, 3) -> (b, x, y, z, 3).

    Raises:
        ValueError: when the strides do not divide the grid, or a size is not a positive integer.

    Example:
        >>> from keras_micromag.models import autoencoder
        >>> autoencoder((8, 4, 12), latent_size=32, filters=(8, 16)).decoder.output_shape
        (None, 8, 4, 12, 3)
    """
    grid, filters = checks.counts(grid, "grid"), checks.counts(filters, "filters")
    units = checks.counts(units, "units")
    latent_size = checks.count(latent_size, "latent_size")
    if not filters or not units:
        raise ValueError(
            "`filters` and `units` must name at least one layer each; received "
            f"{filters} and {units}."
        )
    stride = 2 ** len(filters)
    if len(grid) != 3 or any(n % stride for n in grid):
        raise ValueError(
            f"`grid` must be three multiples of {stride}, for {len(filters)} convolutions with "
            f"stride 2; received {grid}."
        )
    coarsest = (*(n // stride for n in grid), filters[-1])
    flat = coarsest[0] * coarsest[1] * coarsest[2] * coarsest[3]
    options = {"activation": activation, "kernel_initializer": "he_normal"}
    layers = keras.layers

    # Functional, not Sequential: a wrong input shape then gives a clear error.
    states = x = keras.Input((*grid, 3), name="states")
    for n in filters:
        x = layers.Conv3D(n, 2, strides=2, **options)(x)
    x = layers.Flatten()(x)
    for n in (*units, latent_size):
        x = layers.Dense(n, **options)(x)
    encoder = keras.Model(states, x, name="encoder")

    latent = x = keras.Input((latent_size,), name="latent")
    for n in (latent_size, latent_size, *reversed(units[1:]), flat):
        x = layers.Dense(n, **options)(x)
    x = layers.Reshape(coarsest)(x)
    for n in reversed(filters[:-1]):
        x = layers.Conv3DTranspose(n, 2, strides=2, **options)(x)
    options["activation"] = output_activation
    x = layers.Conv3DTranspose(3, 2, strides=2, **options)(x)
    decoder = keras.Model(latent, x, name="decoder")

    return Autoencoder(encoder, decoder, name=name)
