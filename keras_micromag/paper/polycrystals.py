"""The main job for polycrystals: train by one recipe, predict magnets never seen, and report."""

import dataclasses
from pathlib import Path

import numpy as np

from keras_micromag import recipes
from keras_micromag.baselines import GrainsInOrder, MeanByTilt
from keras_micromag.data import Polycrystals
from keras_micromag.models import GrainHysteresis
from keras_micromag.paper import datasets, figures, folder, measures, reports
from keras_micromag.paper.logs import tensorboard
from keras_micromag.paper.training import AUTOENCODER, FIGURES, MODEL

_AT_ONCE = 10  # magnets: a thousand states of sixty grains each


def train(
    out: Path,
    *,
    data_dir=None,
    recipe: str = "polycrystals",
    magnets: int | None = None,
    seed: int = 0,
    config="polycrystal",
    verbose="auto",
) -> dict:
    """Train by a recipe on the split `train` of a configuration, and judge on its `test`.

    A run that was killed goes on after the last piece that it finished.

    Args:
        out: folder for everything that is made.
        data_dir: of the data set, TFDS's own if None; it is built where it is not there.
        recipe: a name of `keras_micromag.recipes.RECIPES`.
        magnets: how many to train on, the first ones; None for all.
        seed: of the training.
        config: a configuration of `tfds_esw` with `grains`, by name or as a `Config`.
        verbose: of Keras's `fit`.

    Returns:
        What is written to metrics.json.

    Raises:
        ValueError: for an unknown recipe, a configuration of cubes, or a folder that holds a run of
            other settings.
    """
    out, chosen = Path(out), recipes.recipe(recipe)
    unseen, test = datasets.polycrystals(config, "test", data_dir)
    training, seen = datasets.polycrystals(config, "train", data_dir, magnets)
    settings = {
        "recipe": {"name": recipe, **dataclasses.asdict(chosen)},
        "magnets": len(seen.moments),
        "seed": seed,
        "test": f"{datasets.name_of(config)}, split `test`",
        "train": datasets.name_of(config),
    }
    folder.settle(out, settings)
    model, history = _trained(out, chosen, seen, training.field, seed, verbose)
    predicted = predict(model, test, unseen.field)
    baselines = _Baselines(seen, training.field, chosen.latent_size, model.rollout.window)
    found = {
        "reconstruction": {
            "autoencoder": reconstruct(model, test),
            **baselines.reconstructions(test),
        },
        reports.PREDICTION: {"predictor": predicted, **baselines.predictions(test)},
    }
    judged = {
        kind: {name: measures.of(unseen, states, test.shares) for name, states in each.items()}
        for kind, each in found.items()
    }
    metrics = {"measures": judged, "history": history}
    folder.write_json(out / folder.METRICS, metrics)
    figures.draw_prediction(out / FIGURES[0], unseen, predicted, baselines.mean)
    figures.draw_history(out / FIGURES[1], history)
    folder.write_text(out / folder.REPORT, reports.of_training(settings, judged))
    return metrics


def _trained(out, recipe, seen, field, seed, verbose):
    """The model that an earlier run finished, or a new one; and what its trainings told."""
    told = {"seed": seed, "verbose": verbose}
    autoencoder, history = folder.kept_model(
        out / AUTOENCODER,
        lambda: recipes.train_grain_autoencoder(
            recipe, seen, callbacks=tensorboard(out, "autoencoder"), **told
        ),
    )

    def whole():
        rollout, history = recipes.train_grain_predictor(
            recipe, autoencoder, seen, field, callbacks=tensorboard(out, "predictor"), **told
        )
        return recipes.whole_of_grains(autoencoder, rollout, field), history

    model, history_too = folder.kept_model(out / MODEL, whole)
    return model, {"autoencoder": history, "predictor": history_too}


def predict(model: GrainHysteresis, magnets: Polycrystals, field):
    """(b, t, g, 3) loops from the first states of magnets, and t fields in tesla."""
    window = model.rollout.window
    parts = (
        {
            "states": part.moments[:, :window],
            "field": np.tile(field, (len(part.moments), 1)),
            "grains": part.grains,
            "neighbors": part.neighbors,
        }
        for part in _parts(magnets)
    )
    return np.concatenate([model.predict(part, verbose=0) for part in parts])


def reconstruct(model, magnets: Polycrystals):
    """States (b, t, g, 3) of magnets through encoder and decoder."""
    decoded = []
    for part in _parts(magnets):
        latent, embedding = recipes.encode_polycrystals(model, part)
        told = {"latent": latent, "embedding": embedding}
        decoded.append(model.decoder.predict(told, verbose=0))
    return np.concatenate(decoded)


def _parts(magnets):
    starts = range(0, len(magnets.moments), _AT_ONCE)
    return (magnets[start : start + _AT_ONCE] for start in starts)


class _Baselines:
    """Those of lattices, for grains in the order of their tilt, and one that is stronger."""

    def __init__(self, seen, field, size, window):
        self._places = seen.moments.shape[2]
        ordered = self._order(seen).ordered(seen.moments)
        self._of_order = measures.Baselines(ordered, field, size, window)
        self._by_tilt = MeanByTilt(seen.moments, seen.easy_axes, seen.shares)
        self.mean = self._of_order.mean

    def _order(self, magnets):
        return GrainsInOrder(magnets.easy_axes, magnets.shares, self._places)

    def reconstructions(self, magnets):
        return self._back(self._of_order.reconstructions, magnets)

    def predictions(self, magnets):
        by_tilt = self._by_tilt.predict(magnets.easy_axes)
        return {**self._back(self._of_order.predictions, magnets), "mean by tilt": by_tilt}

    def _back(self, made, magnets):
        order = self._order(magnets)
        found = made(order.ordered(magnets.moments))
        return {name: order.back(states) for name, states in found.items()}
