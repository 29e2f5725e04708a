"""HyperModels: recipes with settings to search, and the score of each choice.

Both can be used with any tuner of KerasTuner and `objective=keras_tuner.Objective("score", "min")`.
`fit` returns the `scores.Score` of the loops of the validation magnets, which the trained model
predicts from their first states.
"""

import copy
import dataclasses
import zlib
from collections.abc import Sequence

import keras
import keras_tuner
import numpy as np
from numpy.typing import ArrayLike

from keras_micromag import recipes
from keras_micromag.data import Lattices
from keras_micromag.models import Autoencoder, LatentHysteresis, RecursiveRolloutModel
from keras_micromag.models.base import DivergenceError
from keras_micromag.paper.prediction import predict
from keras_micromag.recipes import autoencoders, predictors
from keras_micromag.recipes.predictors import Encoded
from keras_micromag.utils import checks
from tuning import spaces
from tuning.scores import Score

EPOCHS = 27
"""`max_epochs` of Hyperband: a trial of n epochs trains on n/27 of the recipe's batches."""

# A training whose error is this many times that of the mean is stopped.
HOPELESS_RATIO = 10.0
# Validation magnets for the loss during a training; the score uses all of them.
WATCHED = 4


class _RecipeHyperModel(keras_tuner.HyperModel):
    """Base class: has the loops to train on and to score with, and the recipe of each choice."""

    space: dict

    def __init__(
        self,
        training: Lattices,
        validation: Lattices,
        field: ArrayLike,
        base: recipes.Recipe,
        *,
        only: Sequence[str] | None = None,
        seed: int = 0,
    ):
        super().__init__()
        for loops, argument in ((training, "training"), (validation, "validation")):
            checks.instance(loops, argument, Lattices)
            checks.finite_array(loops.moments, argument, (None, *training.moments.shape[1:]))
        self.training, self.validation = training, validation
        steps = (training.moments.shape[1],)
        self.field = checks.finite_array(field, "field", steps, "one per state")
        self.base = checks.instance(base, "base", recipes.Recipe)
        self.searched = spaces.part(self.space, only)
        self.seed = seed
        self.score = Score(training.moments, validation.moments, self.field)

    def settings(self) -> dict:
        """Return everything that a score depends on, as JSON values."""
        hp = keras_tuner.HyperParameters()
        self.suggest(hp)
        return {
            "hypermodel": type(self).__name__,
            **{f"base.{name}": value for name, value in dataclasses.asdict(self.base).items()},
            **{f"space.{each.name}": each.get_config() for each in hp.space},
            "seed_of_trainings": self.seed,
            **{f"sum_of_{name}": checksum(array) for name, array in self._data().items()},
        }

    def _data(self) -> dict:
        """Return the arrays that a score depends on."""
        loops = {"training": self.training.on_grid, "validation": self.validation.on_grid}
        return {**loops, "field": self.field}

    def suggest(self, hp: keras_tuner.HyperParameters) -> dict:
        """Return the settings of a recipe that `hp` chooses."""
        return spaces.suggest(self.searched, hp, self.base, self.training.grid)

    def recipe(self, hp: keras_tuner.HyperParameters) -> recipes.Recipe:
        """Return the base with the settings that `hp` chooses, and with Hyperband's epochs."""
        return dataclasses.replace(self._base_for_epochs(hp), **self.suggest(hp))

    def _base_for_epochs(self, hp):
        share = hp.values.get("tuner/epochs", EPOCHS) / EPOCHS
        if share == 1:
            return self.base
        batches = {
            name: max(round(getattr(self.base, name) * share), 1)
            for name in ("autoencoder_batches", "predictor_batches")
        }
        # The weights are averaged over the same fraction of the training.
        averaging = max(1 - (1 - self.base.averaging) / share, 0.0)
        return dataclasses.replace(self.base, **batches, averaging=averaging)

    def with_seed(self, seed: int) -> "_RecipeHyperModel":
        """Return a copy that trains with another seed."""
        copied = copy.copy(self)
        # KerasTuner stores bound methods, which would belong to the original.
        del copied.build, copied._build
        keras_tuner.HyperModel.__init__(copied)
        copied.seed = seed
        return copied

    def measure(self, hp: keras_tuner.HyperParameters, **kwargs) -> dict[str, float]:
        """Build a model, and return the result of `fit`."""
        keras.backend.clear_session()
        return self.fit(hp, self.build(hp), **kwargs)

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: keras.Model,
        *,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: str | int = 0,
        epochs: int | None = None,
        initial_epoch: int = 0,
    ) -> dict[str, float]:
        """Train a model, predict loops, and return their score.

        Args:
            hp: the hyperparameters that `build` got.
            model: the model that `build` returned.
            callbacks, verbose: passed to `keras.Model.fit`.
            epochs, initial_epoch: passed by KerasTuner's Hyperband, and not used: `build` has read
                the number of epochs from `hp`.

        Returns:
            `score` (lower is better, 1 is the mean training loop), `curve_rmse` of M/Ms,
            `coercivity_error` in tesla; `diverged`, 1 if the loss was not finite, else 0; and
            `stopped`, 1 if the training was stopped by `StopHopeless`, else 0.
        """
        options = {"seed": self.seed, "verbose": verbose}
        try:
            loops, stopped = self._loops(self.recipe(hp), model, callbacks, options)
        except DivergenceError:
            return {**self.score.worst(), "diverged": 1.0, "stopped": 0.0}
        return {**self.score.of(loops), "diverged": 0.0, "stopped": float(stopped)}

    def _predict(self, recipe, model, autoencoder, encoded, callbacks, options):
        """Train a predictor, and return its loops for the validation, and whether it was stopped.

        The loops are (b, t, g, 3).
        """
        training, watched = encoded
        mean = training.latent.mean(axis=(0, 1))
        errors = np.square(watched.latent - mean).sum(axis=-1)  # as `RolloutLoss`
        stop = StopHopeless("val_loss", recipe.horizon * errors.mean())
        options = {**options, "callbacks": [*callbacks, stop]}
        predictors.fit_predictor(recipe, model, training, watched, self.field, **options)
        loop_model = LatentHysteresis(autoencoder, model)
        loops = predict(loop_model, self.validation.moments[:, : recipe.window], self.field)
        return loops, stop.stopped

    def _encode(self, autoencoder):
        watched = self.validation[:WATCHED]
        return [Encoded.from_loops(autoencoder, loops) for loops in (self.training, watched)]


class AutoencoderHyperModel(_RecipeHyperModel):
    """HyperModel of autoencoders, with the score of a predictor in their latent spaces.

    Each autoencoder is trained by the recipe, and then a predictor with the base's settings in its
    latent space. An accurate reconstruction alone is not enough: the recursion may still diverge.

    Args:
        training: loops to train on.
        validation: loops of other magnets, for the score.
        field: (t,) µ0·H in tesla.
        base: a recipe with the first values of the settings that are searched, and with all others.
        only: names in `spaces.AUTOENCODER` to search, all if None.
        seed: seed of every training.

    Raises:
        ValueError: when a shape does not fit, or a name is unknown.
    """

    space = spaces.AUTOENCODER

    def build(self, hp: keras_tuner.HyperParameters) -> Autoencoder:
        """Return the compiled autoencoder."""
        keras.utils.set_random_seed(self.seed)
        return autoencoders.build_autoencoder(self.recipe(hp), self.training)

    def _loops(self, recipe, model, callbacks, options):
        watched = self.validation[:WATCHED]
        errors = np.square(watched.moments - self.training.moments.mean(axis=(0, 1)))
        stop = StopHopeless("val_squared_error", errors.sum(axis=(2, 3)).mean())
        model, _ = autoencoders.fit_autoencoder(
            recipe, model, self.training, watched, callbacks=[*callbacks, stop], **options
        )
        encoded = self._encode(model)
        keras.utils.set_random_seed(self.seed)
        predictor = predictors.build_predictor(recipe, encoded[0], self.field)
        # No callbacks: KerasTuner's save the weights of the model that `build` returned.
        loops, stopped = self._predict(recipe, predictor, model, encoded, (), options)
        return loops, stopped or stop.stopped


class RolloutHyperModel(_RecipeHyperModel):
    """HyperModel of predictors in the latent space of one autoencoder.

    Args:
        autoencoder: the trained autoencoder.
        training, validation, field, base, seed: see `AutoencoderHyperModel`.
        only: names in `spaces.ROLLOUT` to search, all if None.
    """

    space = spaces.ROLLOUT

    def __init__(
        self,
        autoencoder: Autoencoder,
        training: Lattices,
        validation: Lattices,
        field: ArrayLike,
        base: recipes.Recipe,
        *,
        only: Sequence[str] | None = None,
        seed: int = 0,
    ):
        super().__init__(training, validation, field, base, only=only, seed=seed)
        self.autoencoder = autoencoder
        self.base = dataclasses.replace(base, latent_size=autoencoder.encoder.output_shape[-1])
        self.encoded = self._encode(autoencoder)

    def _data(self):
        weights = [weight.ravel() for weight in self.autoencoder.get_weights()]
        return {**super()._data(), "autoencoder": np.concatenate(weights)}

    def build(self, hp: keras_tuner.HyperParameters) -> RecursiveRolloutModel:
        """Return the compiled predictor."""
        keras.utils.set_random_seed(self.seed)
        return predictors.build_predictor(self.recipe(hp), self.encoded[0], self.field)

    def _loops(self, recipe, model, callbacks, options):
        return self._predict(recipe, model, self.autoencoder, self.encoded, callbacks, options)


def checksum(array: np.ndarray) -> list[int]:
    """Return the shape of an array and the CRC-32 of its bytes."""
    return [*array.shape, zlib.crc32(np.ascontiguousarray(array).data)]


class StopHopeless(keras.callbacks.Callback):
    """Stops a training whose error, after a quarter of its epochs, is far above a baseline's.

    An error slightly above the baseline's does not stop it: a training with a high learning rate
    may still become the best.

    Args:
        monitor: name of the error in the logs.
        baseline: error of the mean as the prediction.

    Attributes:
        stopped: whether the training was stopped.
    """

    def __init__(self, monitor: str, baseline: float):
        super().__init__()
        self.monitor, self.baseline, self.stopped = monitor, baseline, False

    def on_epoch_end(self, epoch: int, logs: dict) -> None:
        """Check the error, once."""
        is_quarter = epoch + 1 == -(-self.params["epochs"] // 4)
        if is_quarter and logs[self.monitor] > HOPELESS_RATIO * self.baseline:
            self.stopped = self.model.stop_training = True
