"""Every experiment of the paper, piece by piece: what there is to do, and the doing of a piece."""

import dataclasses
import functools
import time
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from keras_micromag import recipes
from keras_micromag.models.base import DivergenceError
from keras_micromag.paper import datasets, folder, measures
from keras_micromag.paper.logs import tensorboard
from keras_micromag.paper.prediction import predict, reconstruct

PAPERS_LOSS = (0.85, 0.15)
PAPERS_WINDOW, PAPERS_HORIZON, PAPERS_DEPTH = 4, 8, 4
# Nine magnets are soon learnt.
NINE = dataclasses.replace(
    recipes.RECIPES["by_hand"], autoencoder_batches=4_000, predictor_batches=8_000
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What the experiments are, and how often each is repeated.

    In repetition r everything has the seed r, and magnet r is the one that is not trained on; so
    all that is compared within a repetition differs in nothing else, and no claim rests on one
    magnet.

    Args:
        losses: (a1, a2) of Eq. 9, for Fig. 5 and 6.
        windows, horizons: t and l, for Fig. 8.
        depths: hidden layers of predictors with t = 4, l = 8.
        folds: repetitions of the ten-fold comparison: of `paper`, and of `default` trained on the
            same nine magnets.
        loss_folds, grid_folds: repetitions of Fig. 5 and of Fig. 8.
        magnets: how many to train `default` on, for the learning curve.
        seeded, seeds: for so many of them it is trained with several seeds, with one elsewhere.
        paper, default: the recipes.
        nine: `default` for nine magnets and their images.
        test, train: configurations of `tfds_esw`, by name or as a `Config`.
    """

    losses: tuple = ((1.0, 0.0), PAPERS_LOSS, (0.5, 0.5))
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
    test: object = "paper"
    train: object = "large"

    def settings(self) -> dict:
        """All of it, for a file."""
        names = {"test": datasets.name_of(self.test), "train": datasets.name_of(self.train)}
        return dataclasses.asdict(dataclasses.replace(self, **names))


class Piece(NamedTuple):
    """One thing to do: a function of this module by its name, and its arguments."""

    kind: str
    arguments: tuple

    @property
    def name(self) -> str:
        """That of its file."""
        return "-".join([self.kind, *map(str, self.arguments)])


EXPERIMENTS = ("losses", "grid", "depth", "folds", "learning")


def pieces(plan: Plan, experiments=EXPERIMENTS) -> list[list[Piece]]:
    """What there is to do, in stages: a piece needs nothing but what earlier stages made."""
    # Several experiments share pieces, and all the baselines. The longest pieces come first.
    first, second, wanted = {}, {}, []
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
        papers = (PAPERS_WINDOW, PAPERS_HORIZON, PAPERS_DEPTH)
        second |= {Piece("nine", (r,)): None for r in range(plan.folds)}
        wanted += [(*papers, r) for r in range(plan.folds)]
    if "grid" in experiments:
        grid = [(t, l, PAPERS_DEPTH) for t in plan.windows for l in plan.horizons]
        wanted += [(*setting, r) for setting in grid for r in range(plan.grid_folds)]
    if "depth" in experiments:
        depths = [(PAPERS_WINDOW, PAPERS_HORIZON, n) for n in plan.depths]
        wanted += [(*setting, r) for setting in depths for r in range(plan.grid_folds)]
    folds = max([folds, *(setting[-1] + 1 for setting in wanted)])
    second |= {Piece("baselines", (r,)): None for r in range(folds)}
    first |= {Piece("autoencoder", (*PAPERS_LOSS, setting[-1])): None for setting in wanted}
    second |= {Piece("predictor", setting): None for setting in wanted}
    return [list(first), list(second)]


class Work(NamedTuple):
    """A piece in the doing, with the folders of the run and of the data sets."""

    plan: Plan
    out: Path
    data_dir: Path | None
    piece: Piece

    def training(self, seed: int, part: str = "") -> dict:
        """Arguments of every training, or of a part of it."""
        callbacks = tensorboard(self.out, f"{self.piece.name}/{part}")
        return {"seed": seed, "callbacks": callbacks, "verbose": 0}

    def keep(self, model) -> None:
        """Save what was trained."""
        folder.write(_model(self.out, self.piece), model.save)

    def fold(self, number: int):
        """Loops of all magnets but one, (s, t, x, y, z, 3), and the `Hysteresis` of that one."""
        all_, lattice = _test(self.plan.test, self.data_dir)
        others = np.arange(len(all_.magnetization)) != number
        training = datasets.on_lattice(all_.magnetization[others], lattice)
        return training, all_[number : number + 1]


def do(piece: Piece, plan: Plan, out: Path, data_dir=None) -> dict:
    """Do a piece, or read what an earlier run found.

    Returns:
        What the piece found, and the `seconds` that it took; or how it `diverged`.
    """

    def make():
        keras.backend.clear_session()
        began = time.perf_counter()
        found = DOING[piece.kind](Work(plan, out, data_dir, piece), *piece.arguments)
        return {**found, "seconds": time.perf_counter() - began}

    try:
        return folder.kept(out / "pieces" / f"{piece.name}.json", make)
    except DivergenceError as error:
        return {"diverged": str(error)}  # for `reproduce` to tell, when all others are done


def _autoencoder(work, a1, a2, fold):
    """Fig. 5 and 6: the paper's autoencoder with a loss, the errors of every epoch."""
    training, unseen = work.fold(fold)
    recipe = dataclasses.replace(work.plan.paper, mse_weight=a1, norm_weight=a2)
    model, history = recipes.train_autoencoder(recipe, training, **work.training(fold))
    work.keep(model)
    decoded = reconstruct(model, unseen.magnetization)
    return {
        "history": {k: [float(v) for v in values] for k, values in history.history.items()},
        "measures": measures.of(unseen, decoded),
        "curve": _curve(unseen, decoded),
    }


def _predictor(work, window, horizon, depth, fold):
    """Fig. 8: a predictor in the latent space of the paper's autoencoder, and its whole loop."""
    training, unseen = work.fold(fold)
    recipe = dataclasses.replace(
        work.plan.paper, window=window, horizon=horizon, hidden_layers=depth
    )
    path = _model(work.out, Piece("autoencoder", (*PAPERS_LOSS, fold)))
    autoencoder = keras.saving.load_model(path, compile=False)
    rollout, history = recipes.train_predictor(
        recipe, autoencoder.encoder, training, unseen.field, **work.training(fold)
    )
    model = recipes.whole(autoencoder, rollout, unseen.field)
    work.keep(model)
    loop = predict(model, unseen.magnetization[:, :window], unseen.field)
    return {
        "epochs": len(history.epoch),
        "val_loss": float(min(history.history["val_loss"])),
        "measures": measures.of(unseen, loop),
        "curve": _curve(unseen, loop),
    }


def _baselines(work, fold):
    """The baselines, fitted to the nine magnets."""
    training, unseen = work.fold(fold)
    fitted = _fitted(work.plan.paper, training, unseen)
    return {
        "measures": _measured(unseen, fitted),
        "curve": _curve(unseen, fitted.mean),
        "true": _curve(unseen, unseen.magnetization),
    }


def _nine(work, fold):
    """The default recipe on the same nine magnets, and their images."""
    training, unseen = work.fold(fold)
    return _trained(work, work.plan.nine, training, unseen, fold)


def _learning(work, magnets, seed):
    """The default recipe on more magnets, judged on all of the paper's."""
    unseen, _ = _test(work.plan.test, work.data_dir)
    training = datasets.first_moments(work.plan.train, magnets, work.data_dir)
    datasets.require_unseen(unseen, training)
    found = _trained(work, work.plan.default, training, unseen, seed)
    return {**found, "baselines": _measured(unseen, _fitted(work.plan.default, training, unseen))}


DOING = {
    "autoencoder": _autoencoder,
    "predictor": _predictor,
    "baselines": _baselines,
    "nine": _nine,
    "learning": _learning,
}


def _trained(work, recipe, training, unseen, seed):
    autoencoder, _ = recipes.train_autoencoder(
        recipe, training, **work.training(seed, "autoencoder")
    )
    rollout, _ = recipes.train_predictor(
        recipe,
        autoencoder.encoder,
        training,
        unseen.field,
        **work.training(seed, "predictor"),
    )
    model = recipes.whole(autoencoder, rollout, unseen.field)
    work.keep(model)
    true = unseen.magnetization
    loop = predict(model, true[:, : recipe.window], unseen.field)
    return {
        "measures": measures.of(unseen, loop),
        "reconstruction": measures.of(unseen, reconstruct(model, true)),
        "curve": _curve(unseen, loop),
    }


def _fitted(recipe, training, unseen):
    return measures.Baselines(training, unseen.field, recipe.latent_size, recipe.window)


def _measured(unseen, fitted):
    states = unseen.magnetization
    named = {**fitted.reconstructions(states), **fitted.predictions(states)}
    return {name: measures.of(unseen, found) for name, found in named.items()}


def _curve(unseen, states):
    """(b, t) M/Ms along the field, to the digits of a figure; None where it is not finite."""
    states = np.broadcast_to(states, unseen.magnetization.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        curves = states.mean(axis=2, dtype=float) @ unseen.field_direction
    return [[round(v, 4) if np.isfinite(v) else None for v in c] for c in curves.tolist()]


def _model(out, piece):
    return out / "models" / f"{piece.name}.keras"


@functools.lru_cache(maxsize=1)
def _test(config, data_dir):
    return datasets.all_loops(config, data_dir)


def repeated(found: dict, kind: str, *arguments) -> dict[int, dict]:
    """What was found in all repetitions of a piece, by the repetition."""
    n = len(arguments)
    return {
        piece.arguments[-1]: each
        for piece, each in found.items()
        if piece.kind == kind and piece.arguments[:n] == arguments and len(piece.arguments) == n + 1
    }


def common(runs: dict) -> list[int]:
    """The repetitions that each of several pieces has."""
    return sorted(set.intersection(*map(set, runs.values()))) if runs else []


def variation(curves) -> float | None:
    """Total variation of one curve, (1, t), over that of a loop from 1 to -1.

    1 is what a magnet does that only ever reverses; an oscillating recursion has more.
    """
    (curve,) = curves
    return None if None in curve else float(np.abs(np.diff(curve)).sum() / 2)
