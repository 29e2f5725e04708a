"""Training on polycrystals by one recipe, prediction of unseen magnets, and a report."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

from keras_micromag import recipes
from keras_micromag.baselines import GrainsInOrder, MeanByTilt
from keras_micromag.paper import datasets, figures, folder, measures, reports
from keras_micromag.paper.prediction import predict, reconstruct
from keras_micromag.paper.training import LOSSES, PREDICTED, SIMULATED, train_model
from keras_micromag.summary import draw_loops
from keras_micromag.utils.progress import Stages

if TYPE_CHECKING:
    from tfds_esw import Config


def train(
    out: str | os.PathLike,
    *,
    data_dir: str | os.PathLike | None = None,
    recipe: str = "polycrystals",
    magnets: int | None = None,
    seed: int = 0,
    config: str | Config = "polycrystal",
    progress: bool = True,
) -> dict:
    """Train by a recipe on the split `train` of a configuration, and evaluate on its `test`.

    A run that was killed continues after the last file that it finished.

    Args:
        out: folder for all files.
        data_dir: folder of the data set, that of TFDS if None. The data set is built if it does not
            exist.
        recipe: a name in `keras_micromag.recipes.RECIPES`.
        magnets: number of magnets to train on, the first ones; None for all.
        seed: seed of the training.
        config: a configuration of `tfds_esw` with `grains`, by name or as a `Config`.
        progress: whether to announce each stage on standard error.

    Returns:
        The content of metrics.json.

    Raises:
        ValueError: for an unknown recipe, a configuration of cubes, or a folder with a run of other
            settings.
    """
    out, recipe_settings = Path(out), recipes.settings.get_recipe(recipe)
    stage, name = Stages(4, progress), datasets.name_of(config)
    with stage(f"Simulate tfds_esw/{name}: {SIMULATED} (some minutes)"):
        unseen, test = datasets.polycrystals(config, "test", data_dir)
        simulated, training = datasets.polycrystals(config, "train", data_dir, magnets)
    settings = {
        "recipe": {"name": recipe, **dataclasses.asdict(recipe_settings)},
        "magnets": len(training.moments),
        "seed": seed,
        "test": f"{name}, split `test`",
        "train": name,
    }
    folder.prepare(out, settings)
    draw_loops(unseen, out / SIMULATED)
    field = simulated.field
    model, history = train_model(out, recipe_settings, training, field, seed, stage)
    with stage(f"Predict the loops of unseen magnets: {PREDICTED}, {folder.REPORT} (some minutes)"):
        window = model.rollout.window
        predicted = predict(model, test.moments[:, :window], unseen.field, test.magnet)
        reconstructed = reconstruct(model.autoencoder, test.moments, test.magnet)
        baselines = _Baselines(training, field, recipe_settings.latent_size, window)
        measured = measures.of_reconstruction_and_prediction(
            unseen, reconstructed, predicted, baselines, test
        )
        metrics = {"measures": measured, "history": history}
        folder.write_json(out / folder.METRICS, metrics)
        figures.draw_prediction(out / PREDICTED, unseen, predicted, baselines.mean)
        figures.draw_history(out / LOSSES, history)
        folder.write_text(out / folder.REPORT, reports.of_training(settings, measured))
    return metrics


class _Baselines:
    """The baselines of lattices, for grains in the order of their tilt, and `MeanByTilt`."""

    def __init__(self, training, field, size, window):
        self._places = training.moments.shape[2]
        ordered = self._order(training).ordered(training.moments)
        self._in_order = measures.Baselines(ordered, field, size, window)
        self._by_tilt = MeanByTilt(training.moments, training.easy_axes, training.shares)
        self.mean = self._in_order.mean

    def _order(self, magnets):
        return GrainsInOrder(magnets.easy_axes, magnets.shares, self._places)

    def reconstructions(self, magnets):
        return self._apply(self._in_order.reconstructions, magnets)

    def predictions(self, magnets):
        by_tilt = self._by_tilt.predict(magnets.easy_axes)
        return {**self._apply(self._in_order.predictions, magnets), "mean by tilt": by_tilt}

    def _apply(self, baselines, magnets):
        """Return `baselines` of the ordered grains, in the grains' own order."""
        order = self._order(magnets)
        results = baselines(order.ordered(magnets.moments))
        return {name: order.back(states) for name, states in results.items()}
