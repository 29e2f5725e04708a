"""Training by a recipe: from simulated loops of grains on a lattice to a model of whole loops."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_micromag.data import split_by_simulation, symmetric_images
from keras_micromag.models import (
    Autoencoder,
    GrainHysteresis,
    LatentHysteresis,
    RecursiveRolloutModel,
)
from keras_micromag.recipes.autoencoders import build_autoencoder, fit_autoencoder
from keras_micromag.recipes.predictors import Encoded, build_predictor, fit_predictor
from keras_micromag.recipes.settings import Recipe
from keras_micromag.utils import checks

# Symmetric images are added up to this number of loops, enough for some ten thousand batches.
LOOPS = 1600


class Trained(NamedTuple):
    """Result of `train` and `train_on_polycrystals`.

    Attributes:
        model: the model of whole loops.
        autoencoder: history of the training of its autoencoder.
        predictor: history of the training of its predictor.
    """

    model: LatentHysteresis | GrainHysteresis
    autoencoder: keras.callbacks.History
    predictor: keras.callbacks.History


def train(
    recipe: Recipe,
    moments: ArrayLike,
    field: ArrayLike,
    *,
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
) -> Trained:
    """Train the paper's method on simulated loops: an autoencoder, then a predictor.

    Args:
        recipe: the settings, one of `RECIPES` or your own.
        moments: (s, t, x, y, z, 3) unit moments of s loops along the same fields, at least two.
        field: (t,) µ0·H in tesla.
        seed: seed of the initial weights, the order of the batches, and the noise.
        callbacks: callbacks for both trainings, in addition to those of the recipe.
        verbose: passed to `keras.Model.fit`.

    Returns:
        The model of whole loops, and the histories of both trainings.

    Raises:
        ValueError: when a shape does not fit, or there is only one loop.
        DivergenceError: when a loss is not finite.

    Example:
        >>> import numpy as np
        >>> from dataclasses import replace
        >>> from keras_micromag.recipes import RECIPES, train
        >>> short = replace(RECIPES["default"], autoencoder_batches=1, predictor_batches=1)
        >>> loops = np.tile([0.0, 0.0, 1.0], (5, 20, 2, 2, 2, 1))
        >>> train(short, loops, np.linspace(8, -8, 20), verbose=0).model.rollout.horizon
        8
    """
    loops = split(recipe, moments)
    field = _checked_field(field, loops)
    options = {"seed": seed, "callbacks": callbacks, "verbose": verbose}
    autoencoder, autoencoder_history = _train_autoencoder(recipe, *loops, **options)
    rollout, history = _train_predictor(recipe, autoencoder.encoder, *loops, field, **options)
    return Trained(assemble_model(autoencoder, rollout, field), autoencoder_history, history)


def assemble_model(
    autoencoder: Autoencoder, rollout: RecursiveRolloutModel, field: ArrayLike
) -> LatentHysteresis:
    """Return the model of whole loops made of both parts, trained along a field (t,) in tesla."""
    return LatentHysteresis(
        autoencoder.encoder, rollout, autoencoder.decoder, unit_moments=False, trained_along=field
    )


def train_autoencoder(
    recipe: Recipe,
    moments: ArrayLike,
    *,
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
) -> tuple[Autoencoder, keras.callbacks.History]:
    """Train an autoencoder of states; the arguments are those of `train`.

    Returns:
        The autoencoder, with latent variables on their principal axes if the recipe says so, and
        the training's history.
    """
    options = {"seed": seed, "callbacks": callbacks, "verbose": verbose}
    return _train_autoencoder(recipe, *split(recipe, moments), **options)


def _train_autoencoder(recipe, training, validation, *, seed, callbacks, verbose):
    keras.utils.set_random_seed(seed)
    model = build_autoencoder(recipe, training.shape[2:5])
    options = {"seed": seed, "callbacks": callbacks, "verbose": verbose}
    return fit_autoencoder(recipe, model, training, validation, **options)


def train_predictor(
    recipe: Recipe,
    encoder: keras.Model,
    moments: ArrayLike,
    field: ArrayLike,
    *,
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
) -> tuple[RecursiveRolloutModel, keras.callbacks.History]:
    """Train a predictor in the latent space of an encoder; the other arguments are as for `train`.

    Returns:
        The `RecursiveRolloutModel`, and the training's history.
    """
    loops = split(recipe, moments)
    field = _checked_field(field, loops)
    options = {"seed": seed, "callbacks": callbacks, "verbose": verbose}
    return _train_predictor(recipe, encoder, *loops, field, **options)


def _train_predictor(recipe, encoder, training, validation, field, *, seed, callbacks, verbose):
    training, validation = (Encoded.from_moments(encoder, part) for part in (training, validation))
    keras.utils.set_random_seed(seed)
    model = build_predictor(recipe, training.start, field)
    options = {"seed": seed, "callbacks": callbacks, "verbose": verbose}
    return model, fit_predictor(recipe, model, training, validation, field, **options)


def split(recipe: Recipe, moments: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return loops to train on, symmetric images included, and loops to validate on.

    Args:
        recipe: the settings.
        moments: (s, t, x, y, z, 3) unit moments of s loops, at least two.

    Returns:
        Two float32 arrays of such loops.

    Raises:
        ValueError: when a shape does not fit, or there is only one loop.
    """
    moments = checks.numbers(moments, "moments", np.float32)
    if moments.ndim != 6 or moments.shape[-1] != 3:
        raise ValueError(f"`moments` must have shape (s, t, x, y, z, 3); received {moments.shape}.")
    checks.finite(moments, "moments")
    training, validation = (
        moments[indices] for indices in split_by_simulation(len(moments), recipe.validation)
    )
    return with_images(recipe, training), validation


def with_images(recipe: Recipe, moments: np.ndarray) -> np.ndarray:
    """Return loops (s, t, x, y, z, 3) with the recipe's number of symmetric images of each."""
    images = LOOPS // len(moments) if recipe.images is None else recipe.images
    if images < 2:
        return moments
    return symmetric_images(moments, images).reshape(-1, *moments.shape[1:])


def _checked_field(field, loops):
    training, _ = loops
    return checks.finite_array(field, "field", (training.shape[1],), "one per state")
