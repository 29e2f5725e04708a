"""Building and training of a predictor by a recipe, in the latent space of an encoder."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_micromag.data import Windows, sample_weights
from keras_micromag.losses import RolloutLoss
from keras_micromag.models import RecursiveRolloutModel, microstructure_encoder, predictor
from keras_micromag.recipes import fitting
from keras_micromag.recipes.autoencoders import encode
from keras_micromag.recipes.settings import Recipe


class Encoded(NamedTuple):
    """Encoded loops, the training data of predictors; computed once for any number of predictors.

    Attributes:
        latent: (s, t, d) latent states.
        eq8: (s, t) weights of Eq. 8, with any mean.
        start: (s, x, y, z, 3) first states; of polycrystals (s, g, e) embeddings of the grains.
    """

    latent: np.ndarray
    eq8: np.ndarray
    start: np.ndarray

    @classmethod
    def from_moments(cls, encoder: keras.Model, moments: np.ndarray) -> "Encoded":
        """Encode loops (s, t, x, y, z, 3)."""
        eq8 = sample_weights(moments.reshape(*moments.shape[:2], -1, 3))
        return cls(encode(encoder, moments), eq8, moments[:, 0])


def build_predictor(recipe: Recipe, start: np.ndarray, field: ArrayLike) -> RecursiveRolloutModel:
    """Return a compiled predictor for grains on a lattice.

    Args:
        recipe: the settings.
        start: (s, x, y, z, 3) first states of the loops to train on.
        field: (t,) µ0·H in tesla.
    """
    microstructure = None
    if recipe.microstructure_size:
        grains = start.reshape(-1, 3)
        microstructure = microstructure_encoder(
            start.shape[1:4],
            recipe.microstructure_size,
            mean=grains.mean(axis=0),
            spread=np.maximum(grains.std(axis=0), 1e-3),
        )
    return compile_rollout(recipe, field, microstructure)


def compile_rollout(
    recipe: Recipe, field: ArrayLike, microstructure: keras.Model | None
) -> RecursiveRolloutModel:
    """Return a compiled predictor.

    Args:
        recipe: the settings.
        field: (t,) µ0·H in tesla.
        microstructure: a network for the predictor's input `microstructure`, or None.
    """
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

    Args:
        recipe: the settings.
        model: the compiled predictor.
        training, validation: the encoded loops.
        field: (t,) µ0·H in tesla.
        seed: seed of the order of the batches.
        callbacks, verbose: see `train`.

    Returns:
        The training's history.

    Raises:
        DivergenceError: when the loss is not finite.
    """

    def windows(loops, **kwargs):
        latent, eq8, start = loops
        return Windows(
            latent,
            field,
            recipe.window,
            recipe.horizon,
            step_weights=fitting.mix_weights(recipe.predictor_eq8_share, eq8),
            start=start if recipe.microstructure_size else None,
            batch_size=recipe.batch_size,
            seed=seed,
            **kwargs,
        )

    data = windows(training)
    per_epoch, epochs = fitting.epoch_length(recipe.predictor_batches, len(data))
    return model.fit(
        _FirstBatches(data, per_epoch) if per_epoch < len(data) else data,
        validation_data=windows(validation, shuffle=False),
        epochs=epochs,
        callbacks=[*fitting.callbacks(recipe), *callbacks],
        verbose=verbose,
    )


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
