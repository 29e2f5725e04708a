"""What the trainings of a recipe share: optimizer, callbacks, weights, and how long an epoch is."""

import keras

from keras_micromag.data import sample_weights

AT_ONCE = 16  # batches per call of what TensorFlow compiled: a call costs as much as half of one
EPOCHS = 20  # of a training at least, for validation and callbacks; more where the data is small


def optimizer(recipe, rate: float, batches: int) -> keras.optimizers.Optimizer:
    """Nadam, with the recipe's schedule over so many batches."""
    if recipe.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, batches)
    # The mean of the last weights: single ones leave a recursion of a thousand steps to chance.
    average = {"use_ema": True, "ema_momentum": recipe.averaging} if recipe.averaging else {}
    return keras.optimizers.Nadam(rate, **average)


def callbacks(recipe) -> list:
    """Those of the recipe's schedule."""
    if recipe.schedule == "cosine":
        return []
    return [
        # The paper has "a certain amount of epochs".
        keras.callbacks.ReduceLROnPlateau(factor=recipe.rate_factor, patience=recipe.rate_patience),
        keras.callbacks.EarlyStopping(patience=recipe.stop_patience, restore_best_weights=True),
    ]


def weights(eq8_share: float, moments):
    """(s, t) weights of the states of (s, t, x, y, z, 3), with a mean of 1."""
    eq8 = sample_weights(moments.reshape(*moments.shape[:2], -1, 3))
    return mixed(eq8_share, eq8)


def mixed(eq8_share: float, eq8):
    """The weights of Eq. 8, with a mean of 1, and uniform ones."""
    mean = eq8.mean() or 1.0  # of magnets that never move
    return eq8_share * eq8 / mean + (1 - eq8_share)


def epoch(batches: int, there: int) -> tuple[int, int]:
    """How many batches an epoch has, of those that are there, and how many epochs there are."""
    part = max(batches // EPOCHS, 1)
    part = part - part % AT_ONCE if part > AT_ONCE else part
    part = min(part, there)
    return part, max(batches // part, 1)
