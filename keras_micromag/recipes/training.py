"""Both trainings of a recipe, from simulated loops to a model of the whole loop."""

from typing import NamedTuple

import keras

from keras_micromag.data import split_by_simulation, symmetric_images
from keras_micromag.models import Autoencoder, LatentHysteresis, RecursiveRolloutModel
from keras_micromag.recipes.autoencoders import build_autoencoder, fit_autoencoder
from keras_micromag.recipes.predictors import Encoded, build_predictor, fit_predictor
from keras_micromag.recipes.settings import Recipe
from keras_micromag.utils import checks

LOOPS = 1600  # what a training of some ten thousand batches can take in


class Trained(NamedTuple):
    """What `train` returns."""

    model: LatentHysteresis
    autoencoder: keras.callbacks.History
    predictor: keras.callbacks.History


def train(
    recipe: Recipe, moments, field, *, seed: int = 0, callbacks=(), verbose="auto"
) -> Trained:
    """Train the paper's method on simulated loops: `train_autoencoder`, then `train_predictor`.

    Args:
        recipe: the settings, of `RECIPES` or your own.
        moments: (s, t, x, y, z, 3) unit moments of s loops along the same fields, at least two.
        field: (t,) µ0·H in tesla.
        seed: of the weights, the batches and the noise.
        callbacks: for both trainings, beside those of the recipe.
        verbose: of Keras's `fit`.

    Returns:
        The whole model, and the histories of both trainings.

    Raises:
        ValueError: when a shape does not fit, or there is but one loop.
        DivergenceError: when a loss came to NaN.

    Example:
        >>> import numpy as np
        >>> from dataclasses import replace
        >>> from keras_micromag.recipes import RECIPES, train
        >>> short = replace(RECIPES["default"], autoencoder_batches=1, predictor_batches=1)
        >>> loops = np.tile([0.0, 0.0, 1.0], (5, 20, 2, 2, 2, 1))
        >>> train(short, loops, np.linspace(8, -8, 20), verbose=0).model.rollout.horizon
        8
    """
    told = {"seed": seed, "callbacks": callbacks, "verbose": verbose}
    autoencoder, history = train_autoencoder(recipe, moments, **told)
    rollout, history_too = train_predictor(recipe, autoencoder.encoder, moments, field, **told)
    return Trained(whole(autoencoder, rollout, field), history, history_too)


def whole(autoencoder: Autoencoder, rollout: RecursiveRolloutModel, field) -> LatentHysteresis:
    """Both parts, trained along a field (t,) in tesla, as one model of the whole loop."""
    return LatentHysteresis(
        autoencoder.encoder, rollout, autoencoder.decoder, unit_moments=False, trained_along=field
    )


def train_autoencoder(recipe: Recipe, moments, *, seed: int = 0, callbacks=(), verbose="auto"):
    """Train an autoencoder of states; arguments as for `train`.

    Returns:
        The autoencoder, on its principal axes if the recipe has it so, and the training's history.
    """
    training, validation = split(recipe, moments)
    keras.utils.set_random_seed(seed)
    model = build_autoencoder(recipe, training.shape[2:5])
    told = {"seed": seed, "callbacks": callbacks, "verbose": verbose}
    return fit_autoencoder(recipe, model, training, validation, **told)


def train_predictor(
    recipe: Recipe, encoder, moments, field, *, seed: int = 0, callbacks=(), verbose="auto"
):
    """Train a predictor in the latent space of an encoder; other arguments as for `train`.

    Returns:
        The `RecursiveRolloutModel`, and the training's history.
    """
    parts = split(recipe, moments)
    field = checks.finite_array(field, "field", (parts[0].shape[1],), "one per state")
    training, validation = (Encoded.by(encoder, part) for part in parts)
    keras.utils.set_random_seed(seed)
    model = build_predictor(recipe, training.start, field)
    told = {"seed": seed, "callbacks": callbacks, "verbose": verbose}
    return model, fit_predictor(recipe, model, training, validation, field, **told)


def split(recipe: Recipe, moments):
    """Loops to train on, images included, and loops to validate on.

    Args:
        moments: (s, t, x, y, z, 3) unit moments of s loops, at least two.

    Raises:
        ValueError: when a shape does not fit, or there is but one loop.
    """
    shape = (None, None, None, None, None, 3)
    moments = checks.finite_array(moments, "moments", shape).astype("float32")
    training, validation = (
        moments[indices] for indices in split_by_simulation(len(moments), recipe.validation)
    )
    return with_images(recipe, training), validation


def with_images(recipe: Recipe, moments):
    """Loops (s, t, x, y, z, 3), and as many symmetric images of each as the recipe has."""
    images = LOOPS // len(moments) if recipe.images is None else recipe.images
    if images < 2:
        return moments
    return symmetric_images(moments, images).reshape(-1, *moments.shape[1:])
