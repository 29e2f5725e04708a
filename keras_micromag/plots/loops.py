"""Demagnetisation curves, simulated and predicted, and learning curves."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from keras_micromag.physics.hysteresis import Hysteresis
from keras_micromag.plots.style import (
    ACCENT,
    FIELD_LABEL,
    INK,
    MAGNETIZATION_LABEL,
    MARK,
    THIN,
    new_axes,
    styled,
)


@styled
def plot_loops(hysteresis: Hysteresis, *, ax: Axes | None = None) -> Axes:
    """Draw the demagnetisation curves of all magnets, their mean, and the mean coercivity.

    Args:
        hysteresis: the result of `simulate`, of one magnet or of a batch.
        ax: axes to draw in; a new figure of column width if None.

    Returns:
        The axes, with one thin line per magnet and, for two magnets or more, their mean curve. The
        bar on the axis M = 0 spans the mean ± one standard deviation of the coercivity.
    """
    ax = new_axes() if ax is None else ax
    field = np.asarray(hysteresis.field, dtype=float)
    curves = np.atleast_2d(hysteresis.magnetization_along_field)
    mean = curves.mean(axis=0)
    single = len(curves) == 1
    format_loop_axes(ax, field)
    color, width = (INK, 1.0) if single else (THIN, 0.5)
    marker = "." if len(field) == 1 else ""  # a line of one point is invisible
    lines = ax.plot(field, curves.T, color=color, lw=width, marker=marker)
    if not single:
        lines[0].set_label(f"{len(curves)} magnets")
        ax.plot(field, mean, color=INK, lw=1.2, label="mean")
        # The legend stands below the branch from +H, or inside the loop if this is a full one.
        full = np.any(curves[:, field > (field.min() + field.max()) / 2] < 0.2)
        place: dict = {"loc": "lower right"}
        if full:
            place = {"loc": "center", "bbox_to_anchor": (0.5, 0.3)}
        ax.legend(**place, frameon=False, handlelength=1.4)
    _mark_coercivity(ax, field, mean, np.atleast_1d(hysteresis.coercivity()))
    return ax


@styled
def plot_prediction(
    simulated: Hysteresis,
    predicted: Hysteresis,
    *,
    magnet: int = 0,
    mean: ArrayLike | None = None,
    ax: Axes,
) -> Axes:
    """Draw a predicted demagnetisation curve over the simulated one.

    Args:
        simulated, predicted: `Hysteresis` of the same b magnets.
        magnet: number of the magnet to draw.
        mean: (t, g, 3) mean loop of the training magnets, drawn thin.
        ax: axes to draw in.
    """
    format_loop_axes(ax, simulated.field)
    if mean is not None:
        curve = np.asarray(mean).mean(axis=-2) @ simulated.field_direction
        ax.plot(simulated.field, curve, color=THIN, lw=1.0, label="mean training loop")
    for label, loops, color, line in (
        ("simulated", simulated, INK, "-"),
        ("predicted", predicted, ACCENT, "--"),
    ):
        curve = loops.magnetization_along_field[magnet]
        ax.plot(loops.field, curve, line, color=color, lw=1.0, label=label)
    ax.legend(loc="lower right", frameon=False, handlelength=1.6)
    return ax


@styled
def plot_history(history: dict, *, title: str, ax: Axes) -> Axes:
    """Draw training and validation loss against epochs, on a logarithmic scale.

    Args:
        history: of `keras.Model.fit`: a list for `loss`, and one for `val_loss`.
        title: of the axes.
        ax: axes to draw in.
    """
    for key, label, color in (("loss", "training", INK), ("val_loss", "validation", ACCENT)):
        ax.semilogy(np.arange(1, len(history[key]) + 1), history[key], color=color, label=label)
    ax.set(title=title, xlabel="Epoch", ylabel="Loss")
    ax.legend(frameon=False)
    return ax


def format_loop_axes(ax: Axes, field: np.ndarray) -> None:
    """Set the labels, limits and zero lines of the axes of a loop."""
    ax.set(xlabel=FIELD_LABEL, ylabel=MAGNETIZATION_LABEL, ylim=(-1.08, 1.08))
    ax.set_yticks([-1, -0.5, 0, 0.5, 1])
    if field.min() < field.max():
        ax.set_xlim(field.min(), field.max())
    ax.axhline(0.0, color="0.85", lw=0.5, zorder=0)
    ax.axvline(0.0, color="0.85", lw=0.5, zorder=0)


def _mark_coercivity(ax: Axes, field, mean, coercivity) -> None:
    """Draw a bar of mean ± standard deviation where the mean curve changes its sign."""
    crossings = np.flatnonzero(np.sign(mean[1:]) != np.sign(mean[:-1]))
    coercivity = np.abs(coercivity[np.isfinite(coercivity)])
    if not len(crossings) or not len(coercivity):
        return
    value, spread = coercivity.mean(), coercivity.std(ddof=min(1, len(coercivity) - 1))
    side = np.sign(field[crossings[0] + 1])
    text = rf"$\mu_0H_\mathrm{{c}}$ = {value:.2f}"
    if len(coercivity) > 1:
        text += f" ± {spread:.2f}"
        line: dict = {"ecolor": ACCENT, "elinewidth": 0.7, "capthick": 0.7}
        ax.errorbar(side * value, 0.0, xerr=spread, fmt="none", capsize=5.0, zorder=4, **line)
    else:
        ax.plot(side * value, 0.0, "o", **MARK)
    ax.annotate(
        f"{text} T",
        (side * value, 0.0),
        xytext=(-side * 10, -4),
        textcoords="offset points",
        ha="left" if side < 0 else "right",
        va="top",
        color=ACCENT,
        fontsize=7,
    )
