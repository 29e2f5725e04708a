"""Figures of a search: the score over the trials, its dependence on settings, a map of t and l."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from keras_micromag.plots import style
from tuning.search import Trial, drawn_names, drawn_values

SCORE = "Score (mean training loop: 1)"
COLORS = "viridis"  # the darker the better
DEPENDENCE = {
    "autoencoder": ("latent_size", "dense_layers", "convolutions"),
    "rollout": ("window", "horizon", "hidden_layers"),
}
LABELS = {
    "window": "Window t",
    "horizon": "Horizon l",
    "hidden_layers": "Hidden layers",
    "latent_size": "Latent size d",
    "dense_layers": "Dense layers",
    "convolutions": "Convolutions",
}


def draw(out: Path, kind: str, trials: list[Trial]) -> list[str]:
    """Draw all figures for which there are enough trials, and return their file names."""
    drawers: dict[str, Callable[[], Figure | None]] = {
        "trials.png": partial(_trials, trials),
        "parallel.png": partial(_parallel, trials),
        "dependence.png": partial(_dependence, trials, DEPENDENCE[kind]),
        "map.png": partial(_map, trials, "window", "horizon"),
    }
    return style.save_figures(out, drawers, dpi=150)


def _trials(trials):
    """Draw the score of each trial in their order, and the best so far."""
    figure = style.new_figure()
    ax = figure.add_subplot()
    number, scores = [t.number + 1 for t in trials], [t.score for t in trials]
    ax.plot(number, scores, "o", ms=3, color=style.THIN, label="trial")
    best = np.minimum.accumulate(scores)
    ax.step(number, best, where="post", color=style.ACCENT, lw=1, label="best so far")
    ax.axhline(1, color=style.INK, lw=0.6, ls="--", label="mean training loop")
    ax.set(yscale="log", xlabel="Trial", ylabel=SCORE)
    _plain(ax.yaxis)
    ax.legend(frameon=False)
    return figure


def _parallel(trials):
    """Draw a line for each trial through its values; the best trials are drawn last."""
    values = {trial.number: drawn_values(trial.values) for trial in trials}
    names = drawn_names(trials)
    scales = {name: _scale([v[name] for v in values.values() if name in v]) for name in names}
    figure = style.new_figure(width=2.2, height=0.9)
    ax = figure.add_subplot()
    colors = _colors(trials)
    for trial in sorted(trials, key=lambda trial: -trial.score):
        own = values[trial.number]
        heights = [scales[name][0](own[name]) if name in own else np.nan for name in names]
        width = 1.6 if trial.score == min(t.score for t in trials) else 0.6
        color = colors.to_rgba(trial.score)
        ax.plot(heights, color=color, lw=width, marker=".", ms=3, alpha=0.85)
    for x, name in enumerate(names):
        ax.axvline(x, color=style.INK, lw=0.4, zorder=0)
        for height, text in scales[name][1]:
            ax.annotate(text, (x, height), (2, 2), textcoords="offset points", fontsize=6)
    ax.set_xticks(range(len(names)), names, rotation=35, ha="right")
    ax.set_yticks([])
    ax.set_xlim(-0.2, len(names) - 0.4)
    _plain(figure.colorbar(colors, ax=ax, label=SCORE, pad=0.01).ax.yaxis)
    return figure


def _scale(values):
    """Return a function from values to heights between 0 and 1, and the marks of the axis."""
    if all(isinstance(value, float) for value in values) and len(set(values)) > 6:
        low, high = min(values), max(values)
        change = np.log if low > 0 and high / low > 10 else float
        span = change(high) - change(low)
        return (lambda value: (change(value) - change(low)) / span), [
            (0.0, f"{low:.2g}"),
            (1.0, f"{high:.2g}"),
        ]
    levels = sorted(set(values), key=lambda value: (str(type(value)), value))
    step = 1 / max(len(levels) - 1, 1)
    marks = [
        (i * step, f"{value:g}" if isinstance(value, float) else str(value))
        for i, value in enumerate(levels)
    ]
    return (lambda value: levels.index(value) * step), marks


def _dependence(trials, names):
    """Draw the scores of all trials, and medians, against the values of single hyperparameters."""
    names = [name for name in names if len({t.values.get(name) for t in trials}) > 1]
    if not names:
        return None
    figure = style.new_figure(width=2)
    axes = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    count = {"xycoords": ("data", "axes fraction"), "fontsize": 5, "ha": "center", "va": "top"}
    for ax, name in zip(axes, names, strict=True):
        levels = sorted({t.values[name] for t in trials if name in t.values})
        groups = [[t.score for t in trials if t.values.get(name) == v] for v in levels]
        for x, scores in enumerate(groups):
            ax.plot([x] * len(scores), scores, "o", ms=3, color=style.THIN, alpha=0.7)
            ax.annotate(f"n = {len(scores)}", (x, 0.98), **count)
        medians = [np.median(scores) for scores in groups]
        ax.plot(medians, "-", color=style.ACCENT, marker="_", ms=12, lw=0.9)
        ax.axhline(1, color=style.INK, lw=0.6, ls="--")
        ax.set_xticks(range(len(levels)), [str(v) for v in levels])
        ax.set(xlabel=LABELS.get(name, name), yscale="log")
        _plain(ax.yaxis)
        ax.set_xlim(-0.5, len(levels) - 0.5)
    axes[0].set_ylabel("Score; line: median")
    return figure


def _map(trials, across, up):
    """Draw a map of the median score in each cell, with the best score and the number of trials."""
    trials = [t for t in trials if across in t.values and up in t.values]
    columns, rows = (sorted({t.values[name] for t in trials}) for name in (across, up))
    if len(columns) < 2 or len(rows) < 2:
        return None
    figure = style.new_figure(width=1.2, height=0.9)
    ax = figure.add_subplot()
    medians = np.full((len(rows), len(columns)), np.nan)
    colors = _colors(trials)
    for i, j in np.ndindex(medians.shape):
        cell = (rows[i], columns[j])
        scores = [t.score for t in trials if (t.values[up], t.values[across]) == cell]
        if scores:
            medians[i, j] = np.median(scores)
            text = f"{medians[i, j]:.2f}\n{min(scores):.2f} of {len(scores)}"
            color = "w" if colors.norm(medians[i, j]) < 0.5 else "k"
            ax.text(j, i, text, ha="center", va="center", fontsize=6, color=color)
    ax.imshow(medians, origin="lower", aspect="auto", cmap=colors.cmap, norm=colors.norm)
    ax.set_xticks(range(len(columns)), map(str, columns))
    ax.set_yticks(range(len(rows)), map(str, rows))
    ax.set(xlabel=LABELS.get(across, across), ylabel=LABELS.get(up, up))
    ax.set_title("median score; the best, of how many", fontsize=7)
    _plain(figure.colorbar(colors, ax=ax, label=SCORE).ax.yaxis)
    return figure


def _colors(trials):
    scores = [trial.score for trial in trials]
    low, high = min(scores), max(scores)
    return ScalarMappable(LogNorm(low, high if high > low else 1.01 * low), COLORS)


def _plain(axis):
    """Format the marks as plain numbers: they are near 1."""
    axis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
    axis.set_minor_formatter(mpl.ticker.FormatStrFormatter("%g"))
