"""Autoencoders of magnetisation states: their contract, and the network for a lattice (Table 1)."""

import math
from collections.abc import Sequence

import keras
from keras import ops

from keras_micromag.layers.base import require_inputs, require_one_batch, shapes_of
from keras_micromag.models.base import ComposedModel
from keras_micromag.utils import checks


@keras.saving.register_keras_serializable(package="keras_micromag")
class Autoencoder(ComposedModel):
    """Encodes and decodes states of magnets: x -> decoder(encoder(x)).

    Grains on a lattice are given by their moments alone, see `autoencoder`. Other grains also have
    features and neighbours, which an embedding summarises once per magnet, see `grain_autoencoder`.

    Args:
        encoder: a model from states (b, t, g, 3) to latent states (b, t, d).
        decoder: a model from latent states to states.
        embedding: a model from `grains` (b, g, c) and `neighbors` (b, g, g) to (b, g, e), or None.
            With it the encoder takes a dict of `states` and `embedding`, and the decoder one of
            `latent` and `embedding`.

    Input:
        States (b, t, g, 3), any t states of each of b magnets. With an embedding a dict of these
        `states`, of `grains` (b, g, c), the `grain_features`, and of `neighbors` (b, g, g), such as
        `contact_areas`.

    Output:
        (b, t, g, 3), 0 on padding.

    Raises:
        ValueError: when a shape does not fit.

    Notes:
        Single states (b, g, 3) are loops of one step: `states[:, None]`.

    Example:
        >>> from keras_micromag.models import autoencoder
        >>> model = autoencoder()
        >>> model.encoder.output_shape, model.decoder.output_shape, model.count_params()
        ((None, None, 16), (None, None, 64, 3), 4983)
    """

    parts = ("encoder", "decoder", "embedding")

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        embedding: keras.Model | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.embedding, self.encoder, self.decoder = embedding, encoder, decoder
        if all(part is None or part.built for part in (encoder, decoder, embedding)):
            shapes = self.input_shapes()
            self.require_shapes(shapes)
            self.build(shapes["states"] if embedding is None else shapes)

    @property
    def magnet_inputs(self) -> tuple[str, ...]:
        """Names of the inputs that describe the grains of a magnet."""
        return () if self.embedding is None else ("grains", "neighbors")

    @property
    def grid(self) -> tuple[int, ...] | None:
        """Lattice (x, y, z) of the grains, None for an encoder without a lattice."""
        lattices = [layer for layer in self.encoder.layers if isinstance(layer, OnLattice)]
        return lattices[0].layer.input_shape[1:-1] if lattices else None

    def input_shapes(self) -> dict[str, tuple]:
        """Return the static shapes of the inputs, by their names."""
        if self.embedding is None:
            return {"states": tuple(self.encoder.input_shape)}
        grains = tuple(self.embedding.input["grains"].shape)
        states = tuple(self.encoder.input["states"].shape)
        return {"states": states, "grains": grains, "neighbors": (None, None, None)}

    def require_shapes(self, shapes: dict[str, tuple], t: int | None = None) -> None:
        """Raise unless the static shapes are those of `states` of t steps, and of a magnet."""
        states = shapes["states"]
        decoded: tuple = self.decoder.output_shape if self.decoder.built else ()
        sizes = {"t": t, "g": decoded[2] if len(decoded) == 4 else None}
        if (
            len(states) != 4
            or states[3] != 3
            or not checks.compatible(states[1:3], [*sizes.values()])
        ):
            known = " and ".join(f"{name} = {n}" for name, n in sizes.items() if n is not None)
            raise ValueError(
                f"`states` must have shape (b, t, g, 3){' with ' if known else ''}{known}; "
                f"received {states}."
            )
        grains = shapes.get("grains", (None, None, None))
        if len(grains) != 3 or not checks.compatible(grains[1:2], states[2:3]):
            raise ValueError(
                f"`grains` must have shape (b, g, c) with the g of `states`, {states[2]}; received "
                f"{grains}."
            )
        require_one_batch(**shapes)

    def build(self, input_shape):
        """Mark the model as built: its parts are built already."""
        self.built = True

    def call(self, inputs, training=None):
        """Return the decoded states."""
        is_dict = isinstance(inputs, dict)
        self.compute_output_shape(shapes_of(inputs) if is_dict else tuple(inputs.shape))
        embedding = self.embed(inputs, training=training)
        states = inputs if embedding is None else inputs["states"]
        latent = self.encode(states, embedding, training=training)
        return self.decode(latent, embedding, training=training)

    def embed(self, inputs, training=None):
        """Return the embedding (b, g, e) of a dict of `grains` and `neighbors`, or None."""
        if self.embedding is None:
            return None
        magnet = {name: inputs[name] for name in self.magnet_inputs}
        return self.embedding(magnet, training=training)

    def encode(self, states, embedding=None, training=None):
        """Return the latent states (b, t, d) of states (b, t, g, 3)."""
        return self.encoder(with_embedding("states", states, embedding), training=training)

    def decode(self, latent, embedding=None, training=None):
        """Return the states (b, t, g, 3) of latent states (b, t, d)."""
        return self.decoder(with_embedding("latent", latent, embedding), training=training)

    def compute_output_shape(self, input_shape):
        """Return the shape of the states."""
        if self.embedding is None:
            shapes = {"states": tuple(input_shape)}
        else:
            shapes = shapes_by_name(input_shape, "states", *self.magnet_inputs)
        self.require_shapes(shapes)
        return shapes["states"]


def with_embedding(name: str, value, embedding):
    """Return the input of an encoder or decoder: `value` alone, or a dict with an embedding."""
    return value if embedding is None else {name: value, "embedding": embedding}


def shapes_by_name(shapes, *names: str) -> dict[str, tuple]:
    """Return static shapes as tuples, by the names that a dict of them must have."""
    return dict(zip(names, map(tuple, require_inputs(shapes, *names)), strict=True))


# A file of a class that is now the same as another is loaded, or refused by its `from_config`.
keras.saving.get_custom_objects()["keras_micromag>GrainAutoencoder"] = Autoencoder


@keras.saving.register_keras_serializable(package="keras_micromag")
class OnLattice(keras.layers.Wrapper):
    """Applies a network for single states of grains on a lattice to all states of loops.

    For the network b and t are one axis, that of the batch, and the g grains lie on (x, y, z).
    (`keras.layers.TimeDistributed` would go through the steps one by one.)

    Args:
        layer: a model from states (n, x, y, z, 3) to latent states (n, d), or back.

    Input:
        States (b, t, g, 3), or latent states (b, t, d).

    Output:
        Latent states, or states.
    """

    def build(self, input_shape):
        """Mark the layer as built: its network is built already."""
        self.built = True

    def call(self, inputs, training=None):
        """Return the network's output for each state."""
        loops_and_steps = ops.shape(inputs)[:2]
        states = ops.reshape(inputs, (-1, *self.layer.input_shape[1:]))
        outputs = self.layer(states, training=training)
        return ops.reshape(outputs, (*loops_and_steps, *self._output_axes()))

    def compute_output_shape(self, input_shape):
        """Return (b, t, d) or (b, t, g, 3)."""
        return (*input_shape[:2], *self._output_axes())

    def _output_axes(self):
        *lattice, last = self.layer.output_shape[1:]
        return (math.prod(lattice), last) if lattice else (last,)


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
        grid: (x, y, z), each a multiple of 2^len(filters); z is the fastest axis of the g grains.
        latent_size: d.
        filters: number of filters of each convolution.
        units: sizes of the encoder's dense layers before the latent one; at least one.
        activation: activation of every layer but the last; kernels have He normal initial values.
        output_activation: activation of the last layer. The paper has "elu" there too. ELU reaches
            -1, the m_z of a reversed magnet, only in the limit.
        name: name of the model.

    Returns:
        A built, uncompiled model, (b, t, g, 3) -> (b, t, g, 3) with g = x·y·z.

    Raises:
        ValueError: when the strides do not divide the grid, or a size is not a positive integer.

    Example:
        >>> from keras_micromag.models import autoencoder
        >>> autoencoder((8, 4, 12), latent_size=32, filters=(8, 16)).decoder.output_shape
        (None, None, 384, 3)
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
    # Whatever Keras's image data format is: the components of a moment are the last axis.
    last = {"data_format": "channels_last"}
    layers = keras.layers

    # Functional, not Sequential: a wrong input shape then gives a clear error.
    state = x = keras.Input((*grid, 3))
    for n in filters:
        x = layers.Conv3D(n, 2, strides=2, **last, **options)(x)
    x = layers.Flatten(**last)(x)
    for n in (*units, latent_size):
        x = layers.Dense(n, **options)(x)
    encoder = keras.Model(state, x)

    latent = x = keras.Input((latent_size,))
    for n in (latent_size, latent_size, *reversed(units[1:]), flat):
        x = layers.Dense(n, **options)(x)
    x = layers.Reshape(coarsest)(x)
    for n in reversed(filters[:-1]):
        x = layers.Conv3DTranspose(n, 2, strides=2, **last, **options)(x)
    options["activation"] = output_activation
    x = layers.Conv3DTranspose(3, 2, strides=2, **last, **options)(x)
    decoder = keras.Model(latent, x)

    loops = keras.Input((None, math.prod(grid), 3), name="states")
    encoder = keras.Model(loops, OnLattice(encoder)(loops), name="encoder")
    latent = keras.Input((None, latent_size), name="latent")
    decoder = keras.Model(latent, OnLattice(decoder)(latent), name="decoder")
    return Autoencoder(encoder, decoder, name=name)
