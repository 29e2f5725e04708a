"""The main job: train by one recipe, predict the loops of magnets never seen, and report."""

import dataclasses
import time
from pathlib import Path

from keras_micromag import recipes
from keras_micromag.paper import datasets, figures, folder, measures, reports
from keras_micromag.paper.logs import tensorboard
from keras_micromag.paper.prediction import predict, reconstruct
from keras_micromag.utils import checks

AUTOENCODER, MODEL = "autoencoder.keras", "model.keras"
FILES = (AUTOENCODER, MODEL, folder.METRICS, folder.REPORT, folder.SETTINGS)
FIGURES = ("predicted.png", "training.png")


def train(
    out: Path,
    *,
    data_dir=None,
    recipe: str = "default",
    magnets: int = 800,
    seed: int = 0,
    test="paper",
    train="large",
    verbose="auto",
) -> dict:
    """Train by a recipe, judge on the paper's ten magnets, and write a report.

    A run that was killed goes on after the last piece that it finished: a data set, the
    autoencoder, the whole model.

    Args:
        out: folder for everything that is made.
        data_dir: of the data sets, TFDS's own if None; they are built where they are not there.
        recipe: a name of `keras_micromag.recipes.RECIPES`.
        magnets: how many of the configuration `train` to train on, the first ones. None are among
            the ten, so that each of the ten is a magnet never seen.
        seed: of the training.
        test, train: configurations of `tfds_esw`, by name or as a `Config`; all magnets of `test`
            are predicted, and those of `train` that were not trained on.
        verbose: of Keras's `fit`.

    Returns:
        What is written to metrics.json.

    Raises:
        ValueError: for an unknown recipe, fewer than two magnets or more than there are, magnets to
            test by that are trained on, or a folder that holds a run of other settings.
    """
    out, chosen = Path(out), recipes.recipe(recipe)
    settings = {
        "recipe": {"name": recipe, **dataclasses.asdict(chosen)},
        "magnets": magnets,
        "seed": seed,
        "test": datasets.name_of(test),
        "train": datasets.name_of(train),
    }
    if checks.count(magnets, "magnets") < 2:
        raise ValueError("`magnets` must be at least 2, one to validate on; received 1.")
    unseen, _ = datasets.all_loops(test, data_dir)
    training = datasets.first_moments(train, magnets, data_dir)
    datasets.require_unseen(unseen, training)
    folder.settle(out, settings)
    model, history = trained(out, chosen, training, unseen.field, seed, verbose)

    window = model.rollout.window
    began = time.perf_counter()
    predicted = predict(model, unseen.magnetization[:, :window], unseen.field)
    seconds = time.perf_counter() - began
    baselines = measures.Baselines(training, unseen.field, chosen.latent_size, window)
    judged = _judged(model, unseen, predicted, baselines)
    metrics = {"measures": judged, "seconds_to_predict": seconds, "history": history}
    more, _ = datasets.all_loops(train, data_dir, after=magnets)
    if more is not None:
        others = predict(model, more.magnetization[:, :window], more.field)
        metrics["more"] = _judged(model, more, others, baselines)
    folder.write_json(out / folder.METRICS, metrics)
    figures.draw_prediction(out / FIGURES[0], unseen, predicted, baselines.mean)
    figures.draw_history(out / FIGURES[1], history)
    text = reports.of_training(settings, judged, metrics.get("more"))
    folder.write_text(out / folder.REPORT, text)
    return metrics


def _judged(model, loops, predicted, baselines):
    states = reconstruct(model, loops.magnetization)
    return measures.of_reconstruction_and_prediction(loops, states, predicted, baselines)


def trained(out, recipe, training, field, seed, verbose):
    """The model that an earlier run finished, or a new one; and what its trainings told."""
    autoencoder, history = folder.kept_model(
        out / AUTOENCODER,
        lambda: recipes.train_autoencoder(
            recipe, training, seed=seed, verbose=verbose, callbacks=tensorboard(out, "autoencoder")
        ),
    )

    def whole():
        rollout, history = recipes.train_predictor(
            recipe,
            autoencoder.encoder,
            training,
            field,
            seed=seed,
            verbose=verbose,
            callbacks=tensorboard(out, "predictor"),
        )
        return recipes.whole(autoencoder, rollout, field), history

    model, history_too = folder.kept_model(out / MODEL, whole)
    return model, {"autoencoder": history, "predictor": history_too}
