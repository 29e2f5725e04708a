"""Optimizer, callbacks, state weights and length of an epoch, for every training of a recipe."""

import keras
import numpy as np

from keras_micromag.recipes.settings import Recipe

# Batches per call of a compiled function on TensorFlow: the overhead of a call is about half the
# time of a batch.
STEPS_PER_EXECUTION = 16
# A training has at least so many epochs, for validation and callbacks; more if the data is small.
MIN_EPOCHS = 20


def optimizer(recipe: Recipe, rate: float, batches: int) -> keras.optimizers.Optimizer:
    """Return Nadam with the recipe's learning-rate schedule over this number of batches."""
    if recipe.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, batches)
    # Averaging the last weights makes a recursion of a thousand steps depend less on chance.
    average = {"use_ema": True, "ema_momentum": recipe.averaging} if recipe.averaging else {}
    return keras.optimizers.Nadam(rate, **average)


def callbacks(recipe: Recipe) -> list[keras.callbacks.Callback]:
    """Return the callbacks of the recipe's learning-rate schedule."""
    if recipe.schedule == "cosine":
        return []
    return [
        # The paper says "a certain amount of epochs", without a number.
        keras.callbacks.ReduceLROnPlateau(factor=recipe.rate_factor, patience=recipe.rate_patience),
        keras.callbacks.EarlyStopping(patience=recipe.stop_patience, restore_best_weights=True),
    ]


def separate_averages(model: keras.Model) -> None:
    """Copy the averaged weights, which on JAX model and optimizer share after a training.

    The next prediction would delete them, and the model could not be saved.
    """
    if model.optimizer.use_ema:
        for variable in model.optimizer.variables:
            variable.assign(np.array(keras.ops.convert_to_numpy(variable)))


def mix_weights(eq8_share: float, eq8: np.ndarray) -> np.ndarray:
    """Return a mixture of the weights of Eq. 8, scaled to a mean of 1, and of uniform weights."""
    mean = eq8.mean() or 1.0  # 0 if no magnet ever moves
    return eq8_share * eq8 / mean + (1 - eq8_share)


def epoch_length(batches: int, available: int) -> tuple[int, int]:
    """Return the number of batches in an epoch, and the number of epochs.

    Args:
        batches: total number of batches of the training.
        available: number of different batches in the data, which an epoch cannot exceed.
    """
    length = max(batches // MIN_EPOCHS, 1)
    if length > STEPS_PER_EXECUTION:
        length = length - length % STEPS_PER_EXECUTION
    length = min(length, available)
    return length, max(batches // length, 1)
