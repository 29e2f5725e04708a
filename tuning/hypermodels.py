"""HyperModels: a recipe with settings to be found, and what each choice is worth.

Both go into any tuner of KerasTuner: `objective=keras_tuner.Objective("score", "min")`. `fit`
returns what `scores.Score` makes of the whole loops of the validation's magnets, predicted from
their first states by the trained model.
"""

import copy
import dataclasses
import zlib

import keras
import keras_tuner
import numpy as np

from keras_micromag import recipes
from keras_micromag.models.base import DivergenceError
from keras_micromag.paper.prediction import predict
from keras_micromag.utils import checks
from tuning import spaces
from tuning.scores import Score

EPOCHS = 27
"""`max_epochs` of a Hyperband: a trial of n epochs trains on n/27 of the recipe's batches."""

FAR = 10.0  # times the error of the mean: hopeless
WATCHED = 4  # magnets whose loss is looked at during a training: the score is of all


class _Recipe(keras_tuner.HyperModel):
    """What both share: loops to train on and to score by, and the recipe of a choice."""

    space: dict

    def __init__(self, training, validation, field, base, only, seed):
        super().__init__()
        shape = (None, None, None, None, None, 3)
        self.training = checks.finite_array(training, "training", shape).astype("float32")
        shape = (None, *self.training.shape[1:])
        self.validation = checks.finite_array(validation, "validation", shape).astype("float32")
        steps = (self.training.shape[1],)
        self.field = checks.finite_array(field, "field", steps, "one per state")
        self.base = checks.instance(base, "base", recipes.Recipe)
        self.searched = spaces.part(self.space, only)
        self.seed = seed
        self.score = Score(self.training, self.validation, self.field)

    @property
    def lattice(self):
        """(x, y, z)."""
        return self.training.shape[2:5]

    def settings(self) -> dict:
        """What a score depends on, as JSON holds it."""
        drawn = keras_tuner.HyperParameters()
        self.suggest(drawn)
        return {
            "hypermodel": type(self).__name__,
            **{f"base.{name}": value for name, value in dataclasses.asdict(self.base).items()},
            **{f"space.{each.name}": each.get_config() for each in drawn.space},
            "seed_of_trainings": self.seed,
            **{f"sum_of_{name}": checksum(array) for name, array in self._given().items()},
        }

    def _given(self) -> dict:
        """The arrays that a score depends on."""
        return {"training": self.training, "validation": self.validation, "field": self.field}

    def suggest(self, hp) -> dict:
        """The settings of a recipe that `hp` chooses."""
        return spaces.suggest(self.searched, hp, self.base, self.lattice)

    def recipe(self, hp) -> recipes.Recipe:
        """The base with what `hp` chooses, and the share of its batches that a Hyperband gives."""
        return dataclasses.replace(self._of_epochs(hp), **self.suggest(hp))

    def _of_epochs(self, hp):
        share = hp.values.get("tuner/epochs", EPOCHS) / EPOCHS
        if share == 1:
            return self.base
        batches = {
            name: max(round(getattr(self.base, name) * share), 1)
            for name in ("autoencoder_batches", "predictor_batches")
        }
        # The average is over as large a part of the training.
        averaging = max(1 - (1 - self.base.averaging) / share, 0.0)
        return dataclasses.replace(self.base, **batches, averaging=averaging)

    def with_seed(self, seed: int) -> "_Recipe":
        """The same, trained with another seed."""
        twin = copy.copy(self)
        # KerasTuner keeps `build` bound to the one that it was made for.
        del twin.build, twin._build
        keras_tuner.HyperModel.__init__(twin)
        twin.seed = seed
        return twin

    def measure(self, hp, **kwargs) -> dict[str, float]:
        """`fit` of what `build` builds."""
        keras.backend.clear_session()
        return self.fit(hp, self.build(hp), **kwargs)

    def fit(self, hp, model, *, callbacks=(), verbose=0, epochs=None, initial_epoch=0):
        """Train, predict whole loops, and score them.

        Args:
            hp, model: those of `build`.
            callbacks, verbose: of Keras's `fit`.
            epochs, initial_epoch: what KerasTuner's own Hyperband passes; `build` has read it.

        Returns:
            `score` (lower is better, 1 is the mean training loop), `curve_rmse` of M/Ms,
            `coercivity_error` in tesla; and 1 or 0 for `diverged` and `stopped`, of a training
            whose loss was not finite, and of one that was ended as hopeless, see `Hopeless`.
        """
        told = {"seed": self.seed, "verbose": verbose}
        try:
            loops, stopped = self._loops(self.recipe(hp), model, callbacks, told)
        except DivergenceError:
            return {**self.score.worst(), "diverged": 1.0, "stopped": 0.0}
        return {**self.score.of(loops), "diverged": 0.0, "stopped": float(stopped)}

    def _predicted(self, recipe, model, autoencoder, encoded, callbacks, told):
        """Train a predictor; loops (b, t, x, y, z, 3) for the validation, and if it was stopped."""
        training, watched = encoded
        mean = training.latent.mean(axis=(0, 1))
        errors = np.square(watched.latent - mean).sum(axis=-1)  # what `RolloutLoss` sums over
        hopeless = Hopeless("val_loss", recipe.horizon * errors.mean())
        told = {**told, "callbacks": [*callbacks, hopeless]}
        recipes.fit_predictor(recipe, model, training, watched, self.field, **told)
        whole = recipes.whole(autoencoder, model, self.field)
        loops = predict(whole, self.validation[:, : recipe.window], self.field)
        return loops, hopeless.stopped

    def _encoded(self, encoder):
        watched = self.validation[:WATCHED]
        return [recipes.Encoded.by(encoder, loops) for loops in (self.training, watched)]


class AutoencoderHyperModel(_Recipe):
    """An autoencoder whose settings are to be found, for what its latent space is good for.

    Each is trained by the recipe, then a predictor by the base's settings in its latent space: a
    code that decodes well can still be one in which no recursion holds.

    Args:
        training: (s, t, x, y, z, 3) unit moments of loops to train on.
        validation: (b, t, x, y, z, 3) loops of other magnets, to score by.
        field: (t,) µ0·H in tesla.
        base: a recipe; what is searched starts from its values, all else stays as it has it.
        only: names of `spaces.AUTOENCODER`, all if None.
        seed: of every training.

    Raises:
        ValueError: when a shape does not fit, or a name is unknown.
    """

    space = spaces.AUTOENCODER

    def __init__(self, training, validation, field, base, *, only=None, seed=0):
        super().__init__(training, validation, field, base, only, seed)

    def build(self, hp):
        """The compiled autoencoder."""
        keras.utils.set_random_seed(self.seed)
        return recipes.build_autoencoder(self.recipe(hp), self.lattice)

    def _loops(self, recipe, model, callbacks, told):
        watched = self.validation[:WATCHED]
        errors = np.square(watched - self.training.mean(axis=(0, 1)))
        hopeless = Hopeless("val_squared_error", errors.sum(axis=(2, 3, 4, 5)).mean())
        watching = {**told, "callbacks": [*callbacks, hopeless]}
        model, _ = recipes.fit_autoencoder(recipe, model, self.training, watched, **watching)
        encoded = self._encoded(model.encoder)
        keras.utils.set_random_seed(self.seed)
        predictor = recipes.build_predictor(recipe, encoded[0].start, self.field)
        # The callbacks are for the model that was built: KerasTuner's keep its weights.
        loops, stopped = self._predicted(recipe, predictor, model, encoded, (), told)
        return loops, stopped or hopeless.stopped


class RolloutHyperModel(_Recipe):
    """A predictor whose settings are to be found, in the latent space of one autoencoder.

    Args:
        autoencoder: trained; the loops are encoded once.
        training, validation, field, base, seed: see `AutoencoderHyperModel`.
        only: names of `spaces.ROLLOUT`, all if None.
    """

    space = spaces.ROLLOUT

    def __init__(self, autoencoder, training, validation, field, base, *, only=None, seed=0):
        super().__init__(training, validation, field, base, only, seed)
        self.autoencoder = autoencoder
        self.base = dataclasses.replace(base, latent_size=autoencoder.encoder.output_shape[-1])
        self.encoded = self._encoded(autoencoder.encoder)

    def _given(self):
        weights = [weight.ravel() for weight in self.autoencoder.get_weights()]
        return {**super()._given(), "autoencoder": np.concatenate(weights)}

    def build(self, hp):
        """The compiled `RecursiveRolloutModel`."""
        keras.utils.set_random_seed(self.seed)
        return recipes.build_predictor(self.recipe(hp), self.encoded[0].start, self.field)

    def _loops(self, recipe, model, callbacks, told):
        return self._predicted(recipe, model, self.autoencoder, self.encoded, callbacks, told)


def checksum(array) -> list[int]:
    """What tells arrays apart: the shape, and a sum of all bytes."""
    return [*array.shape, zlib.crc32(np.ascontiguousarray(array))]


class Hopeless(keras.callbacks.Callback):
    """Stops a training that after a quarter of its epochs is far worse than to predict the mean.

    Not one that is just worse: a rate that is high at first makes up for that later.
    """

    def __init__(self, monitor: str, worth: float):
        super().__init__()
        self.monitor, self.worth, self.stopped = monitor, worth, False

    def on_epoch_end(self, epoch, logs=None):
        """Look, once."""
        if epoch + 1 == -(-self.params["epochs"] // 4) and logs[self.monitor] > FAR * self.worth:
            self.stopped = self.model.stop_training = True
