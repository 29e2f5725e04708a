"""A convolutional autoencoder of magnetisation states on a lattice (Table 1)."""

from collections.abc import Sequence

import keras

from keras_micromag.models.base import ComposedModel, FiniteFit
from keras_micromag.utils import checks


@keras.saving.register_keras_serializable(package="keras_micromag")
class Autoencoder(FiniteFit, ComposedModel):
    """An encoder and a decoder, trained as one: x -> decoder(encoder(x)).

    Args:
        encoder: a model from states, (b, x, y, z, 3), to latent states, (b, d).
        decoder: a model back.

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
        """Nothing to do: encoder and decoder are models already."""
        self.built = True

    def call(self, states, training=None):
        """Return the decoded states."""
        return self.decoder(self.encoder(states, training=training), training=training)

    def compute_output_shape(self, input_shape):
        """That of the input."""
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
    """Convolutional autoencoder of moments on a lattice (Table 1: 4,983 parameters).

    Encoder: for each of `filters` a convolution with a kernel and a stride of 2, then dense layers
    of `units` and the latent one. Decoder: dense layers of d, d, the `units` but the first in
    reverse, and what the first transposed convolution takes; then transposed convolutions.

    Args:
        grid: (x, y, z), each a multiple of 2^len(filters).
        latent_size: d.
        filters: of each convolution.
        units: of the encoder's dense layers before the latent one; at least one.
        activation: of every layer but the last; kernels start as He's normal ones.
        output_activation: of the last layer. The paper has "elu" there too, which reaches -1 only
            in the limit, and that is where m_z of a reversed magnet lies: see the README for
            what that costs.
        name: the model's.

    Returns:
        A built, uncompiled model, (b, x, y, z, 3) -> (b, x, y, z, 3).

    Raises:
        ValueError: when the strides do not divide the grid, or a size is no positive integer.

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
    smallest = (*(n // stride for n in grid), filters[-1])
    flat = smallest[0] * smallest[1] * smallest[2] * smallest[3]
    common = {"activation": activation, "kernel_initializer": "he_normal"}
    layers = keras.layers

    # Functional, not Sequential: these say clearly which shape they take.
    states = x = keras.Input((*grid, 3), name="states")
    for n in filters:
        x = layers.Conv3D(n, 2, strides=2, **common)(x)
    x = layers.Flatten()(x)
    for n in (*units, latent_size):
        x = layers.Dense(n, **common)(x)
    encoder = keras.Model(states, x, name="encoder")

    latent = x = keras.Input((latent_size,), name="latent")
    for n in (latent_size, latent_size, *reversed(units[1:]), flat):
        x = layers.Dense(n, **common)(x)
    x = layers.Reshape(smallest)(x)
    for n in reversed(filters[:-1]):
        x = layers.Conv3DTranspose(n, 2, strides=2, **common)(x)
    common["activation"] = output_activation
    x = layers.Conv3DTranspose(3, 2, strides=2, **common)(x)
    decoder = keras.Model(latent, x, name="decoder")

    return Autoencoder(encoder, decoder, name=name)
