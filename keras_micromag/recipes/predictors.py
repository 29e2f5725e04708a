"""A predictor by a recipe, in the latent space of an encoder."""

from typing import NamedTuple

import keras
import numpy as np

from keras_micromag.data import Windows, sample_weights
from keras_micromag.losses import RolloutLoss
from keras_micromag.models import RecursiveRolloutModel, microstructure_encoder, predictor
from keras_micromag.recipes import fitting
from keras_micromag.recipes.autoencoders import encode


class Encoded(NamedTuple):
    """Loops as a predictor sees them: computed once, for any number of predictors.

    Attributes:
        latent: (s, t, d) states.
        eq8: (s, t) weights of Eq. 8, with any mean.
        start: (s, x, y, z, 3) first states.
    """

    latent: np.ndarray
    eq8: np.ndarray
    start: np.ndarray

    @classmethod
    def by(cls, encoder, moments) -> "Encoded":
        """Loops (s, t, x, y, z, 3), encoded."""
        eq8 = sample_weights(moments.reshape(*moments.shape[:2], -1, 3))
        return cls(encode(encoder, moments), eq8, moments[:, 0])


def build_predictor(recipe, start, field) -> RecursiveRolloutModel:
    """A compiled predictor.

    Args:
        start: (s, x, y, z, 3) first states of the loops that it is to be trained on.
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
    return compiled_rollout(recipe, field, microstructure)


def compiled_rollout(recipe, field, microstructure) -> RecursiveRolloutModel:
    """A predictor with what tells it the microstructure, or None, compiled."""
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
    recipe,
    model,
    training: Encoded,
    validation: Encoded,
    field,
    *,
    seed: int = 0,
    callbacks=(),
    verbose="auto",
) -> keras.callbacks.History:
    """Train a predictor that `build_predictor` made by the same recipe.

    Args:
        field: (t,) µ0·H in tesla.
        seed: of the batches.
        callbacks, verbose: see `train`.

    Raises:
        DivergenceError: when the loss came to NaN.
    """
    told = {"seed": seed, "callbacks": callbacks, "verbose": verbose}
    return fit_windows(recipe, model, training, validation, field, **told)


def fit_windows(recipe, model, training, validation, field, *, seed, callbacks, verbose):
    """Train a `RecursiveRolloutModel` on latent loops, their weights of Eq. 8, and their starts."""

    def windows(loops, **kwargs):
        latent, eq8, start = loops
        return Windows(
            latent,
            field,
            recipe.window,
            recipe.horizon,
            step_weights=fitting.mixed(recipe.predictor_eq8_share, eq8),
            start=start if recipe.microstructure_size else None,
            batch_size=recipe.batch_size,
            seed=seed,
            **kwargs,
        )

    data = windows(training)
    per_epoch, epochs = fitting.epoch(recipe.predictor_batches, len(data))
    return model.fit(
        _Part(data, per_epoch) if per_epoch < len(data) else data,
        validation_data=windows(validation, shuffle=False),
        epochs=epochs,
        callbacks=[*fitting.callbacks(recipe), *callbacks],
        verbose=verbose,
    )


class _Part(keras.utils.PyDataset):
    """The first batches of windows that are shuffled anew in every epoch."""

    def __init__(self, windows, batches):
        super().__init__()
        self.windows, self.batches = windows, batches

    def __len__(self):
        return self.batches

    def __getitem__(self, index):
        return self.windows[index]

    def on_epoch_end(self):
        self.windows.on_epoch_end()
