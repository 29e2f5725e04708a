"""Settings of a search by `python -m tuning`, and its HyperModel."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import keras_tuner

from keras_micromag import recipes
from keras_micromag.data import Lattices
from keras_micromag.paper import datasets, folder
from keras_micromag.utils import checks
from tuning import spaces
from tuning.hypermodels import WATCHED, AutoencoderHyperModel, RolloutHyperModel
from tuning.search import TUNERS, check_budget

if TYPE_CHECKING:
    from tfds_esw import Config

SPACES = {"autoencoder": spaces.AUTOENCODER, "rollout": spaces.ROLLOUT}
AUTOENCODER = "autoencoder.keras"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """Settings of a search, from the data set to the final model.

    Args:
        kind: "autoencoder" or "rollout".
        tuner, trials, minutes, seed: see `search`.
        only: names of the hyperparameters to search, all if None.
        base: the recipe that the search starts from. The final training uses its other settings.
        batches: batches of the predictor in a trial, and of the autoencoder if that is searched.
        batch_size: batch size in a trial.
        magnets: number of magnets of `config`, the first ones, for the search and the final
            training.
        trained_on: number of these magnets, the first ones, that a trial is trained on.
        validated_on: number of the magnets after those, for the score.
        seeds: number of trainings of each of the best three choices, with the trial.
        config, test: configurations of `tfds_esw`, by name or as a `Config`. No trial uses a magnet
            of `test`.

    Raises:
        ValueError: for an invalid setting, which it names.
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
    config: str | Config = "large"
    test: str | Config = "paper"

    def __post_init__(self):
        checks.one_of(self.kind, "kind", tuple(SPACES))
        checks.one_of(self.tuner, "tuner", tuple(TUNERS))
        check_budget(self.trials, self.minutes)
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
        """The base with the budget of a trial.

        The weights are averaged over the same fraction of the training.
        """
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
        """Return the settings that may not change when a search continues; the budget may."""
        names: dict[str, Any] = {
            name: datasets.name_of(getattr(self, name)) for name in ("config", "test")
        }
        settings = dataclasses.asdict(dataclasses.replace(self, **names))
        base = {f"base.{name}": value for name, value in settings.pop("base").items()}
        return {k: v for k, v in settings.items() if k not in ("trials", "minutes")} | base

    def require_data(self, data_dir: str | os.PathLike | None = None) -> None:
        """Raise unless the data sets exist and have enough magnets."""
        for name in ("config", "test"):
            datasets.require_built(getattr(self, name), name, data_dir)
        datasets.require_same_setup(self.test, self.config)
        datasets.require_magnets(self.config, self.magnets)

    def hypermodel(
        self, out: Path, data_dir: str | os.PathLike | None = None
    ) -> AutoencoderHyperModel | RolloutHyperModel:
        """Return the HyperModel of the search.

        That of rollouts needs an autoencoder, which is read from `out`, or first trained by the
        base on the magnets that trials are trained on.
        """
        used = self.trained_on + self.validated_on
        loops, magnets = datasets.load(self.config, data_dir, stop=used)
        magnets = checks.instance(magnets, "config", Lattices)
        training, validation = magnets[: self.trained_on], magnets[self.trained_on :]
        options: dict[str, Any] = {"only": self.only, "seed": self.seed}
        if self.kind == "autoencoder":
            return AutoencoderHyperModel(training, validation, loops.field, self.short, **options)
        with folder.locked(out):
            autoencoder, _ = folder.cached_model(
                out / AUTOENCODER, lambda: self._autoencoder(training, validation)
            )
        return RolloutHyperModel(
            autoencoder, training, validation, loops.field, self.short, **options
        )

    def suggested(self, hp: keras_tuner.HyperParameters) -> dict:
        """Return the settings of a recipe that `hp` chooses."""
        space = spaces.part(SPACES[self.kind], self.only)
        return spaces.suggest(space, hp, self.short, datasets.lattice_of(self.config))

    def _autoencoder(self, training, validation):
        keras.utils.set_random_seed(self.seed)
        model = recipes.autoencoders.build_autoencoder(self.base, training)
        images = recipes.training.with_images(self.base, training, self.seed)
        return recipes.autoencoders.fit_autoencoder(
            self.base, model, images, validation[:WATCHED], seed=self.seed, verbose=0
        )
