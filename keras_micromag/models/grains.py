"""The paper's method for polycrystals: grains are a set with neighbours, not a lattice.

Graph convolutions turn the features of each grain and its neighbours into an embedding, once per
magnet. The encoder takes a weighted mean over the grains, of their embeddings and moments. The
decoder computes the moment of each grain from the latent state and the grain's embedding. So the
same weights serve any number of grains, in any order.
"""

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from keras_micromag.layers.base import require_inputs, require_one_batch, shapes_of
from keras_micromag.layers.grain_convolution import GrainConvolution
from keras_micromag.models.base import ComposedModel, FiniteFit, require_more_fields
from keras_micromag.utils import checks


@keras.saving.register_keras_serializable(package="keras_micromag")
class GrainAutoencoder(FiniteFit, ComposedModel):
    """Autoencoder of the states of polycrystals, each with its own grains.

    Args:
        embedding: a model from `grains` (b, g, c) and `neighbors` (b, g, g) to (b, g, e).
        encoder: a model from `states` (b, t, g, 3) and `embedding` (b, g, e) to latent states
            (b, t, d).
        decoder: a model from `latent` (b, t, d) and `embedding` to states.

    Input:
        A dict of `states` (b, t, g, 3), any t states of each of b magnets; `grains` (b, g, c), the
        `grain_features`; and `neighbors` (b, g, g), such as `contact_areas`.

    Output:
        (b, t, g, 3), 0 on padding.

    Example:
        >>> from keras_micromag.models import grain_autoencoder
        >>> model = grain_autoencoder(latent_size=16)
        >>> model.encoder.output_shape, model.decoder.output_shape
        ((None, None, 16), (None, None, None, 3))
    """

    parts = ("embedding", "encoder", "decoder")

    def __init__(
        self, embedding: keras.Model, encoder: keras.Model, decoder: keras.Model, **kwargs
    ):
        super().__init__(**kwargs)
        self.embedding, self.encoder, self.decoder = embedding, encoder, decoder
        if embedding.built and encoder.built and decoder.built:
            c = embedding.input["grains"].shape[-1]
            shapes = {"states": (None, None, None, 3), "grains": (None, None, c)}
            self.build({**shapes, "neighbors": (None, None, None)})

    def build(self, input_shape):
        """Mark the model as built: its parts are built already."""
        self.built = True

    def call(self, inputs, training=None):
        """Return the decoded states."""
        self.compute_output_shape(shapes_of(inputs))
        magnet = {name: inputs[name] for name in ("grains", "neighbors")}
        embedding = self.embedding(magnet, training=training)
        states = {"states": inputs["states"], "embedding": embedding}
        latent = self.encoder(states, training=training)
        return self.decoder({"latent": latent, "embedding": embedding}, training=training)

    def compute_output_shape(self, input_shape):
        """Return the shape of the states."""
        names = ("states", "grains", "neighbors")
        shapes = dict(zip(names, map(tuple, require_inputs(input_shape, *names)), strict=True))
        states = shapes["states"]
        if len(states) != 4 or states[-1] != 3:
            raise ValueError(f"`states` must have shape (b, t, g, 3); received {states}.")
        _require_grains(shapes["grains"], states[2])
        require_one_batch(**shapes)
        return states


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
) -> GrainAutoencoder:
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
    """
    features = checks.count(features, "features")
    latent_size = checks.count(latent_size, "latent_size")
    embedding_size = checks.count(embedding_size, "embedding_size")
    convolutions = checks.count(convolutions, "convolutions")
    width = checks.count(width, "width")
    spread = checks.finite_array(
        np.ones(features) if spread is None else spread, "spread", (features,)
    )
    if not (spread > 0).all():
        raise ValueError(f"`spread` must be positive; received {spread.tolist()}.")
    # The share stays as it is: means over grains are weighted by it.
    scale = np.append(1.0, 1 / spread[1:]).tolist()
    layers = keras.layers

    def dense(x, units=width):
        return layers.Dense(units, activation=activation, kernel_initializer="he_normal")(x)

    grains = keras.Input((None, features), name="grains")
    neighbors = keras.Input((None, None), name="neighbors")
    x = dense(layers.Rescaling(scale)(grains))
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
    x = ops.einsum("btgc,bg->btc", x, magnet[:, :, 0])
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
    axis = ops.expand_dims(magnet[:, :, 1:4], 1)
    x = layers.Dense(1)(x) * axis + layers.Dense(3)(x)
    present = ops.cast(magnet[:, :, :1] > 0, keras.config.floatx())
    x = x * ops.expand_dims(present, 1)
    decoder = keras.Model({"latent": latent, "embedding": magnet}, x, name="decoder")
    return GrainAutoencoder(embedding, encoder, decoder, name=name)


def grains_encoder(
    embedding_size: int,
    size: int = 32,
    *,
    width: int = 64,
    activation: str = "elu",
    name: str = "grains_encoder",
) -> keras.Model:
    """Make a network that maps the grains' embedding to c numbers on the microstructure.

    It is the counterpart of `microstructure_encoder` for grains that are not on a lattice. Pass it
    to `RecursiveRolloutModel(microstructure=…)`, whose input `start` is then the embedding.

    Args:
        embedding_size: e, features included.
        size: c.
        width, activation: size and activation of the hidden layers.
        name: name of the model.

    Returns:
        A functional model, (b, g, e) -> (b, c).
    """
    embedding_size = checks.count(embedding_size, "embedding_size")
    size, width = checks.count(size, "size"), checks.count(width, "width")
    start = keras.Input((None, embedding_size), name="start")
    x = start
    for _ in range(2):
        x = keras.layers.Dense(width, activation=activation, kernel_initializer="he_normal")(x)
    x = ops.einsum("bgc,bg->bc", x, start[:, :, 0])
    return keras.Model(start, keras.layers.Dense(size)(x), name=name)


@keras.saving.register_keras_serializable(package="keras_micromag")
class GrainHysteresis(FiniteFit, ComposedModel):
    """Embedding, encoder, rollout and decoder as one model of the whole loops of polycrystals.

    It is the counterpart of `LatentHysteresis` for grains that are not on a lattice.

    Args:
        embedding, encoder, decoder: those of a `GrainAutoencoder`.
        rollout: a `RecursiveRolloutModel` over d latent variables. Its `microstructure`, if it has
            one, is a `grains_encoder`.
        trained_along: (m,) µ0·H in tesla of the loops that the model was trained on, or None; kept
            for users of the model.

    Input:
        A dict of `states` (b, t, g, 3), the first t of the loop; `field` (b, n), µ0·H in tesla at
        all its n steps, n > t; and `grains` (b, g, c) and `neighbors` (b, g, g) as for the
        `GrainAutoencoder`.

    Output:
        (b, n, g, 3) moments: the t given states, and n - t predicted ones.

    Raises:
        ValueError: when the number of states is not t, that of the fields not greater than t, or
            that of the grains not g.
    """

    parts = ("embedding", "encoder", "rollout", "decoder")
    any_number_of_fields = True

    def __init__(
        self,
        embedding: keras.Model,
        encoder: keras.Model,
        rollout: keras.Model,
        decoder: keras.Model,
        trained_along: ArrayLike | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if trained_along is not None:
            trained_along = checks.finite_array(trained_along, "trained_along", (None,)).tolist()
        self.trained_along = trained_along
        self.embedding, self.encoder = embedding, encoder
        self.rollout, self.decoder = rollout, decoder
        if all(part.built for part in (embedding, encoder, rollout, decoder)):
            c = embedding.input["grains"].shape[-1]
            shapes = {"states": (None, rollout.window, None, 3), "grains": (None, None, c)}
            self.build({**shapes, "field": (None, None), "neighbors": (None, None, None)})

    def build(self, input_shape):
        """Mark the model as built: its parts are built already."""
        self.built = True

    def call(self, inputs, training=None):
        """Return the loops."""
        self.compute_output_shape(shapes_of(inputs))
        # Keras casts the inputs, except in its JAX trainer.
        first, field = (ops.cast(inputs[name], self.compute_dtype) for name in ("states", "field"))
        magnet = {name: inputs[name] for name in ("grains", "neighbors")}
        embedding = self.embedding(magnet, training=training)
        latent = self.encoder({"states": first, "embedding": embedding}, training=training)
        rollout_inputs = {"states": latent, "field": field[:, self.rollout.window :]}
        if self.rollout.microstructure is not None:
            rollout_inputs["start"] = embedding
        latents = self.rollout(rollout_inputs, training=training)
        predicted = self.decoder({"latent": latents, "embedding": embedding}, training=training)
        return ops.concatenate([first, ops.cast(predicted, first.dtype)], axis=1)

    def compute_output_shape(self, input_shape):
        """Return (b, n, g, 3)."""
        names = ("states", "field", "grains", "neighbors")
        shapes = dict(zip(names, map(tuple, require_inputs(input_shape, *names)), strict=True))
        states, field, t = shapes["states"], shapes["field"], self.rollout.window
        if len(states) != 4 or states[1] != t or states[-1] != 3:
            raise ValueError(
                f"`states` must have shape (b, t, g, 3) with t = {t}; received {states}."
            )
        require_more_fields(field, t)
        _require_grains(shapes["grains"], states[2])
        require_one_batch(**shapes)
        return (states[0], field[1], *states[2:])

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "trained_along": self.trained_along}


def _require_grains(shape, g):
    """Raise unless a static shape is (b, g, c); None stands for an unknown size."""
    known = None not in (g, shape[1] if len(shape) == 3 else None)
    if len(shape) != 3 or (known and shape[1] != g):
        raise ValueError(
            f"`grains` must have shape (b, g, c) with the g of `states`, {g}; received {shape}."
        )
