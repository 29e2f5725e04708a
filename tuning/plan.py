"""What a search of `python -m tuning` is: every setting, and the HyperModel that they make."""

import dataclasses
from pathlib import Path

import keras

from keras_micromag import recipes
from keras_micromag.paper import datasets, folder
from keras_micromag.utils import checks
from tuning import spaces
from tuning.hypermodels import WATCHED, AutoencoderHyperModel, RolloutHyperModel
from tuning.search import TUNERS, budget

SPACES = {"autoencoder": spaces.AUTOENCODER, "rollout": spaces.ROLLOUT}
AUTOENCODER = "autoencoder.keras"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """A search, from the data set to the model that it ends with.

    Args:
        kind: "autoencoder" or "rollout".
        tuner, trials, minutes, seed: see `search`.
        only: the hyperparameters to search, all if None.
        base: the recipe that the search starts from; and what is found is trained by it in the end.
        batches: of the predictor in a trial, and of an autoencoder that is searched.
        batch_size: in a trial.
        magnets: of the configuration, the first ones: to search with, and in the end to train on.
        trained_on: of them in a trial, the first ones.
        validated_on: the magnets after these, to score by.
        seeds: how often each of the best three is trained in all, the trial included.
        config, test: configurations of `tfds_esw`, by name or as a `Config`. No trial sees a magnet
            of `test`.

    Raises:
        ValueError: naming the setting.
    """

    kind: str
    tuner: str = "bayesian"
    trials: int | None = None
    minutes: float | None = None
    seed: int = 0
    only: tuple[str, ...] | None = None
    base: recipes.Recipe = recipes.RECIPES["default"]
    batches: int = 4000
    batch_size: int = 128
    magnets: int = 800
    trained_on: int = 200
    validated_on: int = 50
    seeds: int = 3
    config: object = "large"
    test: object = "paper"

    def __post_init__(self):
        checks.one_of(self.kind, "kind", tuple(SPACES))
        checks.one_of(self.tuner, "tuner", tuple(TUNERS))
        budget(self.trials, self.minutes)
        spaces.part(SPACES[self.kind], self.only)
        for name in ("batches", "batch_size", "magnets", "trained_on", "validated_on", "seeds"):
            checks.count(getattr(self, name), name)
        if datasets.name_of(self.config) == datasets.name_of(self.test):
            raise ValueError(
                "`test` must be another configuration than `config`, whose magnets are searched "
                f"with; received {datasets.name_of(self.test)!r} for both."
            )
        if self.trained_on + self.validated_on > self.magnets:
            raise ValueError(
                f"`magnets` must be at least `trained_on` + `validated_on` = {self.trained_on} + "
                f"{self.validated_on}; received {self.magnets}."
            )

    @property
    def short(self) -> recipes.Recipe:
        """The base with a trial's budget. The average is over as large a part of the training."""
        averaging = max(1 - 20 / self.batches, 0.0) if self.base.averaging else 0.0
        return dataclasses.replace(
            self.base,
            autoencoder_batches=self.batches,
            predictor_batches=self.batches,
            batch_size=self.batch_size,
            averaging=averaging,
            images=1,
        )

    def settings(self) -> dict:
        """What must stay as it was for a search to go on; the budget may grow."""
        names = {name: datasets.name_of(getattr(self, name)) for name in ("config", "test")}
        told = dataclasses.asdict(dataclasses.replace(self, **names))
        base = {f"base.{name}": value for name, value in told.pop("base").items()}
        return {k: v for k, v in told.items() if k not in ("trials", "minutes")} | base

    def require_data(self, data_dir=None) -> None:
        """Raise unless the data sets are there, with as many magnets as the search takes."""
        for name in ("config", "test"):
            datasets.require_built(getattr(self, name), name, data_dir)
        datasets.require_alike(self.test, self.config, data_dir)
        datasets.require(self.config, self.magnets, data_dir)

    def hypermodel(self, out: Path, data_dir=None):
        """The HyperModel; that of a rollout has its autoencoder from `out`, which is trained first.

        It is trained by the base, on the magnets that trials are trained on.
        """
        used = self.trained_on + self.validated_on
        moments = datasets.first_moments(self.config, used, data_dir)
        training, validation = moments[: self.trained_on], moments[self.trained_on :]
        field = datasets.field_of(self.config, data_dir)
        told = {"only": self.only, "seed": self.seed}
        if self.kind == "autoencoder":
            return AutoencoderHyperModel(training, validation, field, self.short, **told)
        with folder.locked(out):
            autoencoder, _ = folder.kept_model(
                out / AUTOENCODER, lambda: self._autoencoder(training, validation)
            )
        return RolloutHyperModel(autoencoder, training, validation, field, self.short, **told)

    def suggested(self, hp, data_dir=None) -> dict:
        """The settings of a recipe that `hp` chooses."""
        space = spaces.part(SPACES[self.kind], self.only)
        return spaces.suggest(space, hp, self.short, datasets.lattice_of(self.config, data_dir))

    def _autoencoder(self, training, validation):
        keras.utils.set_random_seed(self.seed)
        model = recipes.build_autoencoder(self.base, training.shape[2:5])
        images = recipes.with_images(self.base, training)
        return recipes.fit_autoencoder(
            self.base, model, images, validation[:WATCHED], seed=self.seed, verbose=0
        )
