"""Training by a recipe: from simulated loops to a model that predicts loops."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_micromag.data import Lattices, Polycrystals, split_by_simulation
from keras_micromag.models import Autoencoder, LatentHysteresis, RecursiveRolloutModel
from keras_micromag.recipes.autoencoders import build_autoencoder, fit_autoencoder
from keras_micromag.recipes.predictors import Encoded, build_predictor, fit_predictor
from keras_micromag.recipes.settings import Recipe
from keras_micromag.utils import checks

# Images are added up to this number of loops, enough for some ten thousand batches.
LOOPS = 1600


class Trained(NamedTuple):
    """Result of `train`.

    Attributes:
        model: the model that predicts loops.
        autoencoder: history of the training of its autoencoder.
        predictor: history of the training of its predictor.
    """

    model: LatentHysteresis
    autoencoder: keras.callbacks.History
    predictor: keras.callbacks.History


def train(
    recipe: Recipe,
    loops: Lattices | Polycrystals,
    field: ArrayLike,
    *,
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
) -> Trained:
    """Train the paper's method on simulated loops: an autoencoder, then a predictor.

    Args:
        recipe: the settings, one of `RECIPES` or your own.
        loops: loops of at least two magnets along the same fields, as `Lattices` or `Polycrystals`.
        field: (t,) µ0·H in tesla.
        seed: seed of the initial weights, the order of the batches, and the noise.
        callbacks: callbacks for both trainings, in addition to those of the recipe.
        verbose: passed to `keras.Model.fit`.

    Returns:
        The model that predicts loops, and the histories of both trainings.

    Raises:
        ValueError: when a shape does not fit, a moment is not finite, or there is only one loop.
        DivergenceError: when a loss is not finite.

    Example:
        >>> import numpy as np
        >>> from dataclasses import replace
        >>> from keras_micromag.data import Lattices
        >>> from keras_micromag.recipes import RECIPES, train
        >>> short = replace(RECIPES["default"], autoencoder_batches=1, predictor_batches=1)
        >>> loops = Lattices(np.tile([0.0, 0.0, 1.0], (5, 20, 8, 1)), (2, 2, 2))
        >>> train(short, loops, np.linspace(8, -8, 20), verbose=0).model.rollout.horizon
        8
    """
    options: dict[str, Any] = {"seed": seed, "callbacks": callbacks, "verbose": verbose}
    autoencoder, autoencoder_history = train_autoencoder(recipe, loops, **options)
    rollout, history = train_predictor(recipe, autoencoder, loops, field, **options)
    model = LatentHysteresis(autoencoder, rollout, trained_along=field)
    return Trained(model, autoencoder_history, history)


def train_autoencoder(
    recipe: Recipe,
    loops: Lattices | Polycrystals,
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
    training, validation = split(recipe, loops)
    if isinstance(training, Lattices):  # batches of polycrystals are turned at random
        training = with_images(recipe, training, seed)
    keras.utils.set_random_seed(seed)
    model = build_autoencoder(recipe, training)
    options: dict[str, Any] = {"seed": seed, "callbacks": callbacks, "verbose": verbose}
    return fit_autoencoder(recipe, model, training, validation, **options)


def train_predictor(
    recipe: Recipe,
    autoencoder: Autoencoder,
    loops: Lattices | Polycrystals,
    field: ArrayLike,
    *,
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
) -> tuple[RecursiveRolloutModel, keras.callbacks.History]:
    """Train a predictor in the latent space of an autoencoder.

    The other arguments are those of `train`.

    Returns:
        The `RecursiveRolloutModel`, and the training's history.
    """
    training, validation = split(recipe, loops)
    steps = training.moments.shape[1]
    field = checks.finite_array(field, "field", (steps,), "one per state")
    encoded = Encoded.from_loops(autoencoder, with_images(recipe, training, seed))
    held_out = Encoded.from_loops(autoencoder, validation)
    keras.utils.set_random_seed(seed)
    model = build_predictor(recipe, encoded, field)
    options: dict[str, Any] = {"seed": seed, "callbacks": callbacks, "verbose": verbose}
    history = fit_predictor(recipe, model, encoded, held_out, field, **options)
    return model, history


def split(
    recipe: Recipe, loops: Lattices | Polycrystals
) -> tuple[Lattices | Polycrystals, Lattices | Polycrystals]:
    """Return the loops to train on, and those to validate on.

    Raises:
        ValueError: when a moment is not finite, or there is only one loop.
    """
    checks.finite(loops.moments, "moments")
    training, validation = split_by_simulation(len(loops), recipe.validation)
    return loops[training], loops[validation]


def with_images(
    recipe: Recipe, loops: Lattices | Polycrystals, seed: int
) -> Lattices | Polycrystals:
    """Return loops with the recipe's number of images of each."""
    images = LOOPS // len(loops) if recipe.images is None else recipe.images
    return loops.images(images, np.random.default_rng(seed)) if images > 1 else loops
