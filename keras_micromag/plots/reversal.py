"""One loop with the magnet at chosen fields, as in the paper's Fig. 4."""

from __future__ import annotations

from string import ascii_lowercase

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from keras_micromag.physics.frames import one_magnet
from keras_micromag.plots.loops import loop_frame
from keras_micromag.plots.magnet import (
    VIEW,
    draw_scene,
    draw_triad,
    moment_colors,
    moment_scale,
    scene,
)
from keras_micromag.plots.style import COLUMN, INK, MARK, styled, tesla

LOWER_RIGHT = {"va": "top", "xytext": (4, -3)}


@styled
def plot_reversal(
    structure,
    hysteresis,
    *,
    magnet: int = 0,
    fields=None,
    view: tuple[float, float] = VIEW,
    cut=None,
    explode: float = 0.0,
    figure: Figure | None = None,
) -> Figure:
    """Draw one loop and, above it, the magnet at chosen fields, as in the paper's Fig. 4.

    Args:
        structure: the `Microstructure` that was simulated.
        hysteresis: the result of `simulate`.
        magnet: which magnet of the batch.
        fields: (n,) T; the first step nearest each is drawn. By default four: the remanent state,
            and where a quarter, a half and three quarters of the reversal are done.
        view, cut, explode: see `plot_magnet`.
        figure: where to draw; a new figure of column width if None.

    Returns:
        The figure. The magnets stand in the order of the loop's steps; the letter of each marks
        its step on the loop.

    Raises:
        ValueError: if a field lies outside the loop, there are more than 26, or no such magnet.
    """
    hysteresis = one_magnet(hysteresis, magnet)
    field = np.asarray(hysteresis.field, dtype=float)
    curve, states = hysteresis.magnetization_along_field, hysteresis.magnetization
    steps = _default_steps(field, curve) if fields is None else _nearest_steps(field, fields)

    picture = scene(structure, view=view, cut=cut, explode=explode)
    if figure is None:
        figure = plt.figure(figsize=(COLUMN, COLUMN))
    figure.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.02)
    widths = [1.0] * len(steps) + [0.07]
    grid = figure.add_gridspec(2, len(widths), height_ratios=(1, 2.1), width_ratios=widths)
    loop = figure.add_subplot(grid[1, :])
    loop_frame(loop, field)
    loop.plot(field, curve, color=INK, lw=1.0)
    for column, (letter, step) in enumerate(zip(ascii_lowercase, steps, strict=False)):
        panel = figure.add_subplot(grid[0, column])
        draw_scene(picture, moment_colors(states[step]), panel)
        if column == 0:
            draw_triad(panel, *view)
        panel.set_title(rf"$\mathbf{{{letter}}}$  {tesla(field[step])}", fontsize=7, pad=3)
        loop.plot(field[step], curve[step], "o", **MARK)
        # A branch rises with the field, so that its lower right side is free; but at the foot of
        # the loop the frame is there.
        side = {"va": "bottom", "xytext": (4, 3)} if curve[step] < -0.75 else LOWER_RIGHT
        at = (field[step], curve[step])
        loop.annotate(rf"$\mathbf{{{letter}}}$", at, textcoords="offset points", **side)
    moment_scale(figure, cax=figure.add_subplot(grid[0, -1]))
    return figure


def _default_steps(field: np.ndarray, curve: np.ndarray) -> list[int]:
    """The remanent state, and a quarter, a half and three quarters of the reversal."""
    start = int(np.argmin(np.abs(field)))
    change = np.abs(curve[start:] - curve[start])
    parts = [start + int(np.argmax(change >= part * change.max())) for part in (0.25, 0.5, 0.75)]
    return sorted({start, *parts})


def _nearest_steps(field: np.ndarray, chosen) -> list[int]:
    """The first step nearest each chosen field."""
    chosen, steps = np.atleast_1d(np.asarray(chosen, dtype=float)), []
    if len(chosen) > len(ascii_lowercase):
        raise ValueError(f"`fields` must name at most 26 fields; received {len(chosen)}.")
    for value in chosen:
        if not field.min() <= value <= field.max():
            raise ValueError(
                f"`fields` must lie within the loop, {field.min():g} to {field.max():g} T; "
                f"received {value:g}."
            )
        steps.append(int(np.argmin(np.abs(field - value))))
    return sorted(set(steps))
