"""Training by one recipe, prediction of the loops of unseen magnets, and a report."""

from __future__ import annotations

import dataclasses
import os
import time
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
    magnets: int = 800,
    seed: int = 0,
    test: str | Config = "paper",
    train: str | Config = "large",
    progress: bool = True,
) -> dict:
    """Train by a recipe, evaluate on the paper's ten magnets, and write a report.

    A run that was killed continues after the last part that it finished: a data set, the
    autoencoder, the model of whole loops.

    Args:
        out: folder for all files.
        data_dir: folder of the data sets, that of TFDS if None. Data sets are built if they do not
            exist.
        recipe: a name in `keras_micromag.recipes.RECIPES`.
        magnets: number of magnets of the configuration `train` to train on, the first ones. None
            of them is in `test`.
        seed: seed of the training.
        test, train: configurations of `tfds_esw`, by name or as a `Config`. The loops of all
            magnets of `test` are predicted, and of those of `train` that were not trained on.
        progress: whether to announce each stage on standard error.

    Returns:
        The content of metrics.json.

    Raises:
        ValueError: for an unknown recipe, fewer than two magnets or more than there are, test
            magnets that are trained on, or a folder with a run of other settings.
    """
    out, recipe_settings = Path(out), recipes.settings.get_recipe(recipe)
    settings = {
        "recipe": {"name": recipe, **dataclasses.asdict(recipe_settings)},
        "magnets": magnets,
        "seed": seed,
        "test": datasets.name_of(test),
        "train": datasets.name_of(train),
    }
    if checks.count(magnets, "magnets") < 2:
        raise ValueError("`magnets` must be at least 2, one to validate on; received 1.")
    datasets.require_magnets(train, magnets)
    datasets.require_unseen(test, train, magnets)
    folder.prepare(out, settings)
    stage = Stages(5, progress)
    with stage(f"Simulate tfds_esw/{settings['test']}, the magnets to predict: {SIMULATED}"):
        unseen, _ = datasets.all_loops(test, data_dir)
        draw_loops(unseen, out / SIMULATED)
    with stage(f"Simulate tfds_esw/{settings['train']}, the magnets to learn from (1 to 3 min)"):
        training = datasets.first_loops(train, magnets, data_dir)
        held_out = datasets.later_loops(train, magnets, data_dir)
    model, history = train_model(out, recipe_settings, training, unseen.field, seed, stage)
    with stage(f"Predict the loops of unseen magnets: {PREDICTED}, {folder.REPORT} (30 s)"):
        window = model.rollout.window
        began = time.perf_counter()
        predicted = predict(model, unseen.magnetization[:, :window], unseen.field)
        seconds = time.perf_counter() - began
        size = recipe_settings.latent_size
        baselines = measures.Baselines(training.moments, unseen.field, size, window)
        measured = _measure(model, unseen, predicted, baselines)
        metrics = {"measures": measured, "seconds_to_predict": seconds, "history": history}
        if held_out is not None:
            loops = predict(model, held_out.magnetization[:, :window], held_out.field)
            metrics["more"] = _measure(model, held_out, loops, baselines)
        folder.write_json(out / folder.METRICS, metrics)
        figures.draw_prediction(out / PREDICTED, unseen, predicted, baselines.mean)
        figures.draw_history(out / LOSSES, history)
        text = reports.of_training(settings, measured, metrics.get("more"))
        folder.write_text(out / folder.REPORT, text)
    return metrics


def _measure(model, loops, predicted, baselines):
    states = reconstruct(model.autoencoder, loops.magnetization)
    return measures.of_reconstruction_and_prediction(loops, states, predicted, baselines)


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
