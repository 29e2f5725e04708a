"""Building and training of a predictor by a recipe, in the latent space of an autoencoder."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_micromag.data import Lattices, Polycrystals, Windows, sample_weights
from keras_micromag.losses import RolloutLoss
from keras_micromag.models import (
    Autoencoder,
    RecursiveRolloutModel,
    microstructure_encoder,
    predictor,
)
from keras_micromag.recipes import fitting
from keras_micromag.recipes.autoencoders import encode
from keras_micromag.recipes.settings import Recipe


class Encoded(NamedTuple):
    """Encoded loops, the training data of predictors; computed once for any number of predictors.

    Attributes:
        latent: (s, t, d) latent states.
        eq8: (s, t) weights of Eq. 8, with any mean.
        start: (s, g, e) features of the grains for a `microstructure_encoder`: the first states, or
            the embedding of an autoencoder that has one.
        embedded: whether `start` is an embedding.
    """

    latent: np.ndarray
    eq8: np.ndarray
    start: np.ndarray
    embedded: bool

    @classmethod
    def from_loops(cls, autoencoder: Autoencoder, loops: Lattices | Polycrystals) -> "Encoded":
        """Encode loops."""
        latent, embedding = encode(autoencoder, loops)
        start = loops.moments[:, 0] if embedding is None else embedding
        return cls(latent, sample_weights(loops.moments), start, embedding is not None)


def build_predictor(recipe: Recipe, training: Encoded, field: ArrayLike) -> RecursiveRolloutModel:
    """Return a compiled predictor of encoded loops along a field (t,), µ0·H in tesla."""
    microstructure = None
    if recipe.microstructure_size:
        microstructure = _microstructure_encoder(recipe.microstructure_size, training)
    network = predictor(
        recipe.latent_size,
        recipe.window,
        hidden_layers=recipe.hidden_layers,
        width=recipe.width,
        activation=recipe.predictor_activation,
        output_activation=recipe.predictor_output_activation,
        field_scale=float(np.abs(field).max()),
        input_noise=recipe.input_noise,
        microstructure_size=recipe.microstructure_size,
    )
    model = RecursiveRolloutModel(network, recipe.window, recipe.horizon, microstructure)
    optimizer = fitting.optimizer(recipe, recipe.predictor_rate, recipe.predictor_batches)
    model.compile(optimizer, RolloutLoss())
    return model


def _microstructure_encoder(size, training):
    features = training.start.shape[-1]
    if training.embedded:
        options = {"width": 64, "mean": np.zeros(features), "spread": np.ones(features)}
        return microstructure_encoder(size, features=features, weighted=True, **options)
    grains = training.start.reshape(-1, features)
    spread = np.maximum(grains.std(axis=0), 1e-3)
    return microstructure_encoder(size, mean=grains.mean(axis=0), spread=spread)


def fit_predictor(
    recipe: Recipe,
    model: RecursiveRolloutModel,
    training: Encoded,
    validation: Encoded,
    field: ArrayLike,
    *,
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
) -> keras.callbacks.History:
    """Train a predictor that was built by the same recipe.

    The other arguments and the errors are those of `train_predictor`.
    """

    def windows(loops, **kwargs):
        return Windows(
            loops.latent,
            field,
            recipe.window,
            recipe.horizon,
            step_weights=fitting.mix_weights(recipe.predictor_eq8_share, loops.eq8),
            start=loops.start if recipe.microstructure_size else None,
            batch_size=recipe.batch_size,
            seed=seed,
            **kwargs,
        )

    data = windows(training)
    per_epoch, epochs = fitting.epoch_length(recipe.predictor_batches, len(data))
    history = model.fit(
        _FirstBatches(data, per_epoch) if per_epoch < len(data) else data,
        validation_data=windows(validation, shuffle=False),
        epochs=epochs,
        callbacks=[*fitting.callbacks(recipe), *callbacks],
        verbose=verbose,
    )
    fitting.separate_averages(model)
    return history


class _FirstBatches(keras.utils.PyDataset):
    """The first batches of windows, which are shuffled again in each epoch."""

    def __init__(self, windows, batches):
        super().__init__()
        self.windows, self.batches = windows, batches

    def __len__(self):
        return self.batches

    def __getitem__(self, index):
        return self.windows[index]

    def on_epoch_end(self):
        self.windows.on_epoch_end()
