"""Figures of a training and of the paper's experiments, in the style of `plots`."""

import dataclasses
from functools import partial
from pathlib import Path

import numpy as np

from keras_micromag import plots
from keras_micromag.data import sample_weights
from keras_micromag.paper import study
from keras_micromag.physics import Hysteresis, cubic_grains
from keras_micromag.plots import loops, style

COLORS = ("#2b5c8a", "#3d8a4f", "#b2401f", "#8fb2cf", "#e0a82e")


def draw_prediction(
    path: Path, simulated: Hysteresis, predicted: np.ndarray, mean: np.ndarray
) -> None:
    """Draw the simulated and the predicted loop of the last magnet, and the mean training loop.

    Args:
        path: file to write.
        simulated: the loops of b magnets.
        predicted: (b, t, g, 3) their predicted moments.
        mean: (t, g, 3) mean training loop.
    """
    predicted = dataclasses.replace(simulated, magnetization=predicted, events=None)
    figure = style.new_figure()
    loops.plot_prediction(simulated, predicted, magnet=-1, mean=mean, ax=figure.add_subplot())
    style.save_figure(figure, path)


def draw_history(path: Path, history: dict) -> None:
    """Draw the losses of both trainings, given as {name: history}."""
    figure = style.new_figure(width=2)
    for ax, (name, losses) in zip(figure.subplots(1, 2), history.items(), strict=True):
        loops.plot_history(losses, title=name, ax=ax)
    style.save_figure(figure, path)


def draw_study(
    out: Path,
    plan: study.Plan,
    unseen: Hysteresis,
    lattice: tuple[int, int, int],
    results: dict,
) -> list[str]:
    """Draw the figures of all experiments that have results, and return their file names.

    Args:
        out: folder to write to.
        plan: the experiments.
        unseen: the loops of the test magnets.
        lattice: (x, y, z) of these magnets.
        results: {piece: result}.
    """
    arguments = plan, unseen, results
    return style.save_figures(
        out,
        {
            "magnet.png": partial(_magnet, lattice, unseen),
            "weights.png": partial(_weights, unseen),
            "losses.png": partial(_losses, *arguments),
            "grid.png": partial(_grid, *arguments),
            "folds.png": partial(_folds, *arguments),
            "learning.png": partial(_learning, *arguments),
        },
    )


def _magnet(lattice, unseen):
    """Draw the first magnet's loop, and states along it (Fig. 3 and 4)."""
    figure = style.new_figure(height=1)
    return plots.plot_reversal(cubic_grains(lattice), unseen, figure=figure)


def _weights(unseen):
    """Draw the weights of Eq. 8 along the first magnet's loop."""
    figure = style.new_figure(height=0.6)
    ax = figure.add_subplot()
    ax.plot(unseen.field, sample_weights(unseen.magnetization[0]), color=style.INK, lw=0.7)
    ax.set(xlabel=style.FIELD_LABEL, ylabel="Weight of the state (Eq. 8)")
    ax.set_xlim(unseen.field.min(), unseen.field.max())
    return figure


def _losses(plan, unseen, results):
    """Draw errors against epochs (Fig. 5), and reconstructed loops of an unseen magnet (Fig. 6)."""
    runs = {loss: study.repetitions(results, "autoencoder", *loss) for loss in plan.losses}
    common = [r for r in study.common_repetitions(runs) if r < plan.loss_folds]
    if not common:
        return None
    figure = style.new_figure(width=2, height=1.5)
    axes = figure.subplots(2, 2)
    for (a1, a2), color in zip(plan.losses, COLORS, strict=False):
        each = [runs[a1, a2][r] for r in common]
        for row, key in zip(axes, ("squared_error", "norm_error"), strict=True):
            for line, prefix in (("-", ""), (":", "val_")):
                _band(row[0], [run["history"][prefix + key] for run in each], color, line)
        for ax in axes[:, 1]:
            label = f"$a_1$ = {a1}, $a_2$ = {a2}"
            ax.plot(unseen.field, each[0]["curve"][0], color=color, lw=0.8, label=label)
    for ax, label in zip(axes[:, 0], ("Squared error", "Norm error"), strict=True):
        ax.set(yscale="log", xlabel="Epoch", ylabel=f"{label} per state")
    axes[0, 0].plot([], [], "-", color=style.INK, label="training")
    axes[0, 0].plot([], [], ":", color=style.INK, label="validation")
    axes[0, 0].legend(frameon=False)
    true = unseen.magnetization_along_field[common[0]]
    for ax in axes[:, 1]:
        ax.plot(unseen.field, true, color=style.INK, lw=0.8, ls="--", label="simulated")
        ax.set(xlabel=style.FIELD_LABEL, ylabel=style.MAGNETIZATION_LABEL)
    axes[0, 1].legend(frameon=False)
    near = unseen.field[np.abs(true) < 0.9]
    axes[1, 1].set(xlim=(near.min() - 0.3, near.max() + 0.3), title="where it reverses")
    return figure


def _band(ax, series, color, line):
    """Draw the mean and the range of several series, over the epochs that all of them have."""
    epochs = min(map(len, series))
    values = np.array([each[:epochs] for each in series])
    steps = np.arange(1, epochs + 1)
    ax.plot(steps, values.mean(axis=0), line, color=color, lw=0.9)
    ax.fill_between(steps, values.min(axis=0), values.max(axis=0), color=color, alpha=0.12, lw=0)


def _grid(plan, unseen, results):
    """Draw the predicted loops, with a column per window and a row per horizon (Fig. 8)."""
    runs = {
        (window, horizon): study.repetitions(
            results, "predictor", window, horizon, study.PAPER_DEPTH
        )
        for window in plan.windows
        for horizon in plan.horizons
    }
    common = [r for r in study.common_repetitions(runs) if r < plan.grid_folds]
    if not common:
        return None
    figure, axes = _panels(len(plan.horizons), len(plan.windows), 0.42)
    for i, horizon in enumerate(plan.horizons):
        for j, window in enumerate(plan.windows):
            ax = axes[i, j]
            for fold, color in zip(common, COLORS, strict=False):
                run = runs[window, horizon][fold]
                true = unseen.magnetization_along_field[fold]
                ax.plot(unseen.field, true, color=color, lw=0.6, ls="--", alpha=0.7)
                _draw_curve(ax, unseen, run, color=color)
            ax.set_title(f"t = {window}, l = {horizon}", fontsize=7, pad=2)
            ax.set(ylim=(-1.4, 1.4), xlim=(unseen.field.min(), unseen.field.max()))
    return figure


def _panels(rows, columns, height):
    """Return a figure with the labels of a loop, and its axes (rows, columns)."""
    figure = style.new_figure(width=2, height=height * rows + 0.1)
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    figure.supxlabel(style.FIELD_LABEL, fontsize=8)
    figure.supylabel(style.MAGNETIZATION_LABEL, fontsize=8)
    return figure, axes


def _draw_curve(ax, unseen, run, **kwargs):
    """Draw the first curve of a result, cut off where a recursion diverges."""
    curve = np.array(run["curve"][0], dtype=float)  # None becomes nan
    ax.plot(unseen.field, np.clip(curve, -3, 3), lw=0.8, **kwargs)


def _folds(plan, unseen, results):
    """Draw each magnet's simulated loop, and its predictions by models trained on the others."""
    setting = study.PAPER_WINDOW, study.PAPER_HORIZON, study.PAPER_DEPTH
    paper = study.repetitions(results, "predictor", *setting)
    nine = study.repetitions(results, "nine")
    common = study.common_repetitions({"paper": paper, "nine": nine})
    if not common:
        return None
    columns = min(5, len(common))
    figure, axes = _panels(-(-len(common) // columns), columns, 0.55)
    for ax, fold in zip(axes.flat, common, strict=False):
        true = unseen.magnetization_along_field[fold]
        ax.plot(unseen.field, true, color=style.INK, lw=0.8, label="simulated")
        for runs, color, label in (
            (paper, COLORS[0], "paper"),
            (nine, COLORS[2], "default, nine magnets"),
        ):
            _draw_curve(ax, unseen, runs[fold], color=color, label=label)
        ax.set_title(f"magnet {fold}", fontsize=7, pad=2)
        ax.set(ylim=(-1.4, 1.4), xlim=(unseen.field.min(), 0))
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    return figure


def _learning(plan, unseen, results):
    """Draw mean errors, with standard errors, against the number of training magnets."""
    runs = {p.arguments[0]: v for p, v in sorted(results.items()) if p.arguments[1:] == (0,)}
    runs = {n: v for n, v in runs.items() if "baselines" in v}
    if len(runs) < 2:
        return None
    figure = style.new_figure(width=2)
    labels = {"curve_rmse": "RMSE of $M/M_s$", "coercivity_error": "Coercivity error (T)"}
    for ax, (measure, label) in zip(figure.subplots(1, 2), labels.items(), strict=True):
        series = {
            "default recipe": [run["measures"][measure] for run in runs.values()],
            "mean training loop": [
                run["baselines"]["mean training loop"][measure] for run in runs.values()
            ],
        }
        for (name, values), color in zip(series.items(), (COLORS[2], style.INK), strict=True):
            values = np.array(values, dtype=float)
            error = values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
            line = {"color": color, "lw": 0.9, "ms": 3, "marker": "o", "capsize": 2}
            ax.errorbar(list(runs), values.mean(axis=1), yerr=error, label=name, **line)
        ax.set(xscale="log", xlabel="Magnets trained on", ylabel=label)
        ax.set_xticks(list(runs), list(map(str, runs)))
        ax.minorticks_off()
        ax.legend(frameon=False)
    return figure
