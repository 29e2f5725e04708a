"""The experiments of the paper, as a list of pieces: trainings, each with its measurements."""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import keras
import numpy as np

from keras_micromag import recipes
from keras_micromag.data import Lattices
from keras_micromag.models import LatentHysteresis
from keras_micromag.models.base import DivergenceError
from keras_micromag.paper import datasets, folder, measures
from keras_micromag.paper.logs import tensorboard
from keras_micromag.paper.prediction import predict, reconstruct
from keras_micromag.physics import Hysteresis
from keras_micromag.utils.files import atomic_path

if TYPE_CHECKING:
    from tfds_esw import Config

PAPER_LOSS = (0.85, 0.15)
PAPER_WINDOW, PAPER_HORIZON, PAPER_DEPTH = 4, 8, 4
# A training on nine magnets needs fewer batches.
NINE = dataclasses.replace(
    recipes.RECIPES["by_hand"], autoencoder_batches=4_000, predictor_batches=8_000
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """Settings of the experiments, and their numbers of repetitions.

    In repetition r everything has the seed r, and magnet r is held out of the training. So runs
    that are compared within a repetition differ in nothing else, and no result depends on a single
    magnet.

    Args:
        losses: (a1, a2) of Eq. 9, for Fig. 5 and 6.
        windows, horizons: t and l, for Fig. 8.
        depths: numbers of hidden layers of predictors with t = 4, l = 8.
        folds: repetitions of the ten-fold comparison of `paper`, and of `default` trained on the
            same nine magnets.
        loss_folds, grid_folds: repetitions of Fig. 5 and of Fig. 8.
        magnets: numbers of magnets to train `default` on, for the learning curve.
        seeded, seeds: the number of magnets for which `default` is trained with several seeds, and
            the number of these seeds.
        paper, default: the recipes.
        nine: `default` for nine magnets and their images.
        test, train: configurations of `tfds_esw`, by name or as a `Config`.
    """

    losses: tuple = ((1.0, 0.0), PAPER_LOSS, (0.5, 0.5))
    windows: tuple = (2, 4, 8)
    horizons: tuple = (1, 2, 4, 8, 16)
    depths: tuple = (1, 2, 4, 8)
    folds: int = 10
    loss_folds: int = 5
    grid_folds: int = 3
    magnets: tuple = (9, 30, 100, 300, 1000)
    seeded: int = 300
    seeds: int = 3
    paper: recipes.Recipe = recipes.RECIPES["paper"]
    default: recipes.Recipe = recipes.RECIPES["by_hand"]
    nine: recipes.Recipe = NINE
    test: str | Config = "paper"
    train: str | Config = "large"

    def settings(self) -> dict:
        """Return all settings as JSON values."""
        test, train = datasets.name_of(self.test), datasets.name_of(self.train)
        return dataclasses.asdict(dataclasses.replace(self, test=test, train=train))


class Piece(NamedTuple):
    """One training with its measurements: a kind in `FUNCTIONS`, and the function's arguments."""

    kind: str
    arguments: tuple

    @property
    def name(self) -> str:
        """Name of the files of the piece."""
        return "-".join([self.kind, *map(str, self.arguments)])


EXPERIMENTS = ("losses", "grid", "depth", "folds", "learning")


def pieces(plan: Plan, experiments: Sequence[str] = EXPERIMENTS) -> list[list[Piece]]:
    """Return the pieces of experiments, in stages; a piece needs only results of earlier stages."""
    # Dicts as ordered sets: experiments share pieces. The longest pieces come first.
    first: dict[Piece, None] = {}
    second: dict[Piece, None] = {}
    predictors = []
    folds = 0
    if "learning" in experiments:
        sizes = [(n, 0) for n in sorted(plan.magnets, reverse=True)]
        sizes += [(plan.seeded, seed) for seed in range(1, plan.seeds)]
        second |= {Piece("learning", size): None for size in sizes}
    if "losses" in experiments:
        for loss in plan.losses:
            first |= {Piece("autoencoder", (*loss, r)): None for r in range(plan.loss_folds)}
        folds = max(folds, plan.loss_folds)
    if "folds" in experiments:
        setting = (PAPER_WINDOW, PAPER_HORIZON, PAPER_DEPTH)
        second |= {Piece("nine", (r,)): None for r in range(plan.folds)}
        predictors += [(*setting, r) for r in range(plan.folds)]
    if "grid" in experiments:
        grid = [(t, l, PAPER_DEPTH) for t in plan.windows for l in plan.horizons]
        predictors += [(*setting, r) for setting in grid for r in range(plan.grid_folds)]
    if "depth" in experiments:
        depths = [(PAPER_WINDOW, PAPER_HORIZON, n) for n in plan.depths]
        predictors += [(*setting, r) for setting in depths for r in range(plan.grid_folds)]
    folds = max([folds, *(arguments[-1] + 1 for arguments in predictors)])
    second |= {Piece("baselines", (r,)): None for r in range(folds)}
    first |= {Piece("autoencoder", (*PAPER_LOSS, arguments[-1])): None for arguments in predictors}
    second |= {Piece("predictor", arguments): None for arguments in predictors}
    return [list(first), list(second)]


class Work(NamedTuple):
    """A piece to run, with the folders of the run and of the data sets."""

    plan: Plan
    out: Path
    data_dir: Path | None
    piece: Piece

    def training(self, seed: int, part: str = "") -> dict:
        """Return keyword arguments for a training; `part` names its log."""
        callbacks = tensorboard(self.out, f"{self.piece.name}/{part}")
        return {"seed": seed, "callbacks": callbacks, "verbose": 0}

    def save(self, model: keras.Model) -> None:
        """Save the piece's model."""
        with atomic_path(_model_path(self.out, self.piece)) as partial:
            model.save(partial)

    def fold(self, number: int) -> tuple[Lattices, Hysteresis]:
        """Return the loops of all magnets but one to train on, and that of this magnet."""
        loops, lattices = _test_loops(self.plan.test, self.data_dir)
        return lattices[np.arange(len(lattices)) != number], loops[number : number + 1]


def run_piece(
    piece: Piece, plan: Plan, out: Path, data_dir: str | os.PathLike | None = None
) -> dict:
    """Run a piece, or read its result from the file of an earlier run.

    Returns:
        The result of the piece, with its time in `seconds`; or the error under `diverged`.
    """

    def make():
        keras.backend.clear_session()
        began = time.perf_counter()
        result = FUNCTIONS[piece.kind](Work(plan, out, data_dir, piece), *piece.arguments)
        return {**result, "seconds": time.perf_counter() - began}

    try:
        return folder.cached(out / "pieces" / f"{piece.name}.json", make)
    except DivergenceError as error:
        return {"diverged": str(error)}  # `reproduce` raises it after all other pieces


def _autoencoder(work, a1, a2, fold):
    """Train the paper's autoencoder with a loss, with the errors of every epoch (Fig. 5 and 6)."""
    training, unseen = work.fold(fold)
    recipe = dataclasses.replace(work.plan.paper, mse_weight=a1, norm_weight=a2)
    model, history = recipes.train_autoencoder(recipe, training, **work.training(fold))
    work.save(model)
    decoded = reconstruct(model, unseen.magnetization)
    return {
        "history": {k: [float(v) for v in values] for k, values in history.history.items()},
        "measures": measures.of(unseen, decoded),
        "curve": _curve(unseen, decoded),
    }


def _predictor(work, window, horizon, depth, fold):
    """Train a predictor in the latent space of the paper's autoencoder (Fig. 8)."""
    training, unseen = work.fold(fold)
    recipe = dataclasses.replace(
        work.plan.paper, window=window, horizon=horizon, hidden_layers=depth
    )
    path = _model_path(work.out, Piece("autoencoder", (*PAPER_LOSS, fold)))
    autoencoder = folder.load_model(path, "a model of the run must be as it was written")
    rollout, history = recipes.train_predictor(
        recipe, autoencoder, training, unseen.field, **work.training(fold)
    )
    model = LatentHysteresis(autoencoder, rollout, trained_along=unseen.field)
    work.save(model)
    loop = predict(model, unseen.magnetization[:, :window], unseen.field)
    return {
        "epochs": len(history.epoch),
        "val_loss": float(min(history.history["val_loss"])),
        "measures": measures.of(unseen, loop),
        "curve": _curve(unseen, loop),
    }


def _baselines(work, fold):
    """Fit the baselines to the nine magnets."""
    training, unseen = work.fold(fold)
    baselines, measured = _measure_baselines(work.plan.paper, training, unseen)
    return {
        "measures": measured,
        "curve": _curve(unseen, baselines.mean),
        "true": _curve(unseen, unseen.magnetization),
    }


def _nine(work, fold):
    """Train the default recipe on the same nine magnets, and their images."""
    training, unseen = work.fold(fold)
    return _train(work, work.plan.nine, training, unseen, fold)


def _learning(work, magnets, seed):
    """Train the default recipe on more magnets, and evaluate it on all of the paper's."""
    unseen, _ = _test_loops(work.plan.test, work.data_dir)
    _, training = datasets.load(work.plan.train, work.data_dir, stop=magnets)
    datasets.require_unseen(work.plan.test, work.plan.train, magnets)
    result = _train(work, work.plan.default, training, unseen, seed)
    _, baselines = _measure_baselines(work.plan.default, training, unseen)
    return {**result, "baselines": baselines}


FUNCTIONS = {
    "autoencoder": _autoencoder,
    "predictor": _predictor,
    "baselines": _baselines,
    "nine": _nine,
    "learning": _learning,
}


def _train(work, recipe, training, unseen, seed):
    """Train a recipe on a lattice, and measure its predictions and reconstructions."""
    autoencoder, _ = recipes.train_autoencoder(
        recipe, training, **work.training(seed, "autoencoder")
    )
    rollout, _ = recipes.train_predictor(
        recipe,
        autoencoder,
        training,
        unseen.field,
        **work.training(seed, "predictor"),
    )
    model = LatentHysteresis(autoencoder, rollout, trained_along=unseen.field)
    work.save(model)
    true = unseen.magnetization
    loop = predict(model, true[:, : recipe.window], unseen.field)
    return {
        "measures": measures.of(unseen, loop),
        "reconstruction": measures.of(unseen, reconstruct(autoencoder, true)),
        "curve": _curve(unseen, loop),
    }


def _measure_baselines(recipe, training, unseen):
    """Return the baselines that are fitted to training loops, and their errors by their names."""
    size, window = recipe.latent_size, recipe.window
    baselines = measures.Baselines(training, unseen.field, size, window)
    magnets = Lattices(unseen.magnetization, training.grid)
    results = {**baselines.reconstructions(magnets), **baselines.predictions(magnets)}
    return baselines, {name: measures.of(unseen, states) for name, states in results.items()}


def _curve(unseen, states):
    """Return M/Ms along the field, (b, t), rounded for figures; None where it is not finite."""
    states = np.broadcast_to(states, unseen.magnetization.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        curves = states.mean(axis=2, dtype=float) @ unseen.field_direction
    return [[round(v, 4) if np.isfinite(v) else None for v in c] for c in curves.tolist()]


def _model_path(out, piece):
    return out / "models" / f"{piece.name}.keras"


@functools.lru_cache(maxsize=1)
def _test_loops(config, data_dir):
    return datasets.load(config, data_dir)


def repetitions(results: dict[Piece, dict], kind: str, *arguments) -> dict[int, dict]:
    """Return {r: result} of the repetitions r of a piece, whose last argument is r."""
    n = len(arguments)
    return {
        piece.arguments[-1]: result
        for piece, result in results.items()
        if piece.kind == kind and piece.arguments[:n] == arguments and len(piece.arguments) == n + 1
    }


def common_repetitions(runs: dict) -> list[int]:
    """Return the repetitions that all of several pieces have."""
    return sorted(set.intersection(*map(set, runs.values()))) if runs else []


def total_variation(curves: list[list[float | None]]) -> float | None:
    """Return the total variation of one curve, (1, t), divided by that of a loop from 1 to -1.

    It is 1 for a monotonic curve, and larger for an oscillating recursion.
    """
    (curve,) = curves
    return None if None in curve else float(np.abs(np.diff(np.array(curve, float))).sum() / 2)
