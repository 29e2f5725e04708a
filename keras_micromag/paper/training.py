"""Training by one recipe, prediction of the loops of unseen magnets, and a report."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np

from keras_micromag import recipes
from keras_micromag.data import Lattices, Polycrystals
from keras_micromag.models import LatentHysteresis
from keras_micromag.paper import datasets, figures, folder, measures, reports
from keras_micromag.paper.logs import tensorboard
from keras_micromag.paper.prediction import predict, reconstruct
from keras_micromag.summary import draw_loops
from keras_micromag.utils import checks
from keras_micromag.utils.progress import Stages

if TYPE_CHECKING:
    from tfds_esw import Config

AUTOENCODER, MODEL = "autoencoder.keras", "model.keras"
FILES = (AUTOENCODER, MODEL, folder.METRICS, folder.REPORT, folder.SETTINGS)
SIMULATED, PREDICTED, LOSSES = FIGURES = ("simulated.png", "predicted.png", "training.png")


def train(
    out: str | os.PathLike,
    *,
    data_dir: str | os.PathLike | None = None,
    recipe: str = "default",
    magnets: int | None = 800,
    seed: int = 0,
    test: str | Config | None = "paper",
    train: str | Config = "large",
    progress: bool = True,
) -> dict:
    """Train by a recipe, evaluate on magnets never seen, and write a report.

    A run that was killed continues after the last part that it finished: a data set, the
    autoencoder, the model of loops.

    Args:
        out: folder for all files.
        data_dir: folder of the data sets, that of TFDS if None. Data sets are built if they do not
            exist.
        recipe: a name in `keras_micromag.recipes.RECIPES`.
        magnets: number of magnets of `train` to train on, the first ones; None for all.
        seed: seed of the training.
        test, train: configurations of `tfds_esw`, by name or as a `Config`. The loops of all
            magnets of `test` are predicted, none of which may be trained on, and of those of
            `train` that were not trained on. With None as `test` these are the splits `test` and
            `train` of the configuration `train`.
        progress: whether to announce each stage on standard error.

    Returns:
        The content of metrics.json.

    Raises:
        ValueError: for an unknown recipe, fewer than two magnets or more than there are, test
            magnets that are trained on, or a folder with a run of other settings or one that
            another process is at work in.
    """
    out, recipe_settings = Path(out), recipes.settings.get_recipe(recipe)
    split = "train" if test is None else None
    magnets = datasets.magnet_count(train, split) if magnets is None else magnets
    train_name = datasets.name_of(train)
    settings = {
        "recipe": {"name": recipe, **dataclasses.asdict(recipe_settings)},
        "magnets": magnets,
        "seed": seed,
        "test": f"{train_name}, split `test`" if test is None else datasets.name_of(test),
        "train": train_name,
    }
    if checks.count(magnets, "magnets") < 2:
        raise ValueError("`magnets` must be at least 2, one to validate on; received 1.")
    datasets.require_magnets(train, magnets, split)
    if test is not None:
        datasets.require_unseen(test, train, magnets)
    datasets.builder_of(train, data_dir)  # a bad `data_dir` is refused before anything is written
    folder.prepare(out, settings)
    with folder.locked(out, wait=False):
        stage = Stages(5, progress)
        with stage(f"Simulate tfds_esw/{settings['test']}, the magnets to predict: {SIMULATED}"):
            if test is None:
                loops, unseen = datasets.load(train, data_dir, split="test")
            else:
                loops, unseen = datasets.load(test, data_dir)
            draw_loops(loops, out / SIMULATED)
        with stage(f"Simulate tfds_esw/{train_name}, the magnets to learn from (some minutes)"):
            _, training = datasets.load(train, data_dir, split=split, stop=magnets)
        model, history = train_model(out, recipe_settings, training, loops.field, seed, stage)
        with stage(f"Predict the loops of unseen magnets: {PREDICTED}, {folder.REPORT} (30 s)"):
            window = model.rollout.window
            baselines = measures.Baselines(
                training, loops.field, recipe_settings.latent_size, window
            )
            predicted, measured = _predict_and_measure(model, loops, unseen, baselines)
            metrics = {"measures": measured, "history": history}
            if magnets < datasets.magnet_count(train, split):
                held_out = datasets.load(train, data_dir, split=split, start=magnets)
                metrics["more"] = _predict_and_measure(model, *held_out, baselines)[1]
            folder.write_json(out / folder.METRICS, metrics)
            figures.draw_prediction(out / PREDICTED, loops, predicted, baselines.mean)
            figures.draw_history(out / LOSSES, history)
            text = reports.of_training(settings, measured, metrics.get("more"))
            folder.write_text(out / folder.REPORT, text)
        return metrics


def _predict_and_measure(model, loops, magnets, baselines):
    """Return the predicted loops, and {kind: {name: {measure: values}}} of model and baselines."""
    first = magnets.moments[:, : model.rollout.window]
    predicted = predict(model, first, loops.field, magnets.magnet)
    reconstructed = reconstruct(model.autoencoder, magnets.moments, magnets.magnet)
    states = {
        "reconstruction": {"autoencoder": reconstructed, **baselines.reconstructions(magnets)},
        measures.PREDICTION: {"predictor": predicted, **baselines.predictions(magnets)},
    }
    shares = magnets.shares if isinstance(magnets, Polycrystals) else None
    measured = {
        kind: {name: measures.of(loops, each, shares) for name, each in by_name.items()}
        for kind, by_name in states.items()
    }
    return predicted, measured


def train_model(
    out: Path,
    recipe: recipes.Recipe,
    training: Lattices | Polycrystals,
    field: np.ndarray,
    seed: int,
    stage: Stages,
) -> tuple[LatentHysteresis, dict]:
    """Return a trained model, from the files of an earlier run if there are any, and its history.

    Args:
        out: folder of the files.
        recipe: the settings.
        training: the loops.
        field: (t,) µ0·H in tesla.
        seed: seed of the training.
        stage: announces the two trainings.
    """

    def options(name, report):
        callbacks = [*tensorboard(out, name), _ReportBatches(report)]
        return {"seed": seed, "verbose": 0, "callbacks": callbacks}

    def make_autoencoder():
        with stage("Train the autoencoder of states") as report:
            return recipes.train_autoencoder(recipe, training, **options("autoencoder", report))

    autoencoder, history = folder.cached_model(out / AUTOENCODER, make_autoencoder)

    def make_model():
        with stage("Train the predictor, through its own recursion") as report:
            rollout, history = recipes.train_predictor(
                recipe, autoencoder, training, field, **options("predictor", report)
            )
        return LatentHysteresis(autoencoder, rollout, trained_along=field), history

    model, predictor_history = folder.cached_model(out / MODEL, make_model)
    return model, {"autoencoder": history, "predictor": predictor_history}


class _ReportBatches(keras.callbacks.Callback):
    """Reports how many batches of a training are done, and how many there are."""

    def __init__(self, report: Callable[[int, int], None]):
        super().__init__()
        self._report = report

    def on_epoch_begin(self, epoch, logs=None):
        self._before = epoch * self.params["steps"]

    def on_train_batch_end(self, batch, logs=None):
        self._report(self._before + batch + 1, self.params["epochs"] * self.params["steps"])
