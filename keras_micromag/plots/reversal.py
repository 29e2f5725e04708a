"""A loop and the magnet at chosen fields, as in Fig. 4 of the paper."""

from __future__ import annotations

from string import ascii_lowercase

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from keras_micromag.physics.frames import select_magnet
from keras_micromag.physics.hysteresis import Hysteresis
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.plots.loops import format_loop_axes
from keras_micromag.plots.magnet import (
    VIEW,
    add_moment_colorbar,
    draw_scene,
    draw_triad,
    moment_colors,
    project,
)
from keras_micromag.plots.style import COLUMN, INK, MARK, format_tesla, styled
from keras_micromag.utils import checks


@styled
def plot_reversal(
    structure: Microstructure,
    hysteresis: Hysteresis,
    *,
    magnet: int = 0,
    fields: ArrayLike | None = None,
    view: tuple[float, float] = VIEW,
    cut: tuple[ArrayLike, float] | None = None,
    explode: float = 0.0,
    figure: Figure | None = None,
) -> Figure:
    """Draw a loop and, above it, the magnet at chosen fields, as in Fig. 4 of the paper.

    Args:
        structure: the `Microstructure` that was simulated.
        hysteresis: the result of `simulate`.
        magnet: number of the magnet in the batch.
        fields: (n,) in tesla; the magnet is drawn at the first step nearest to each. By default
            four: the remanent state, and a quarter, a half and three quarters of the reversal.
        view, cut, explode: see `plot_magnet`.
        figure: to draw in; a new figure of column width if None.

    Returns:
        The figure. The magnets are in the order of the steps of the loop, on which a letter marks
        each.

    Raises:
        ValueError: for a field outside the loop, for more than 26 fields, or where there is no such
            magnet.
    """
    hysteresis = select_magnet(hysteresis, magnet)
    field = np.asarray(hysteresis.field, dtype=float)
    curve, states = hysteresis.magnetization_along_field, hysteresis.magnetization
    steps = _default_steps(field, curve) if fields is None else _nearest_steps(field, fields)

    scene = project(structure, view=view, cut=cut, explode=explode)
    if figure is None:
        figure = plt.figure(figsize=(COLUMN, COLUMN))
    figure.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.02)
    widths = [1.0] * len(steps) + [0.07]
    grid = figure.add_gridspec(2, len(widths), height_ratios=(1, 2.1), width_ratios=widths)
    loop_ax = figure.add_subplot(grid[1, :])
    format_loop_axes(loop_ax, field)
    loop_ax.plot(field, curve, color=INK, lw=1.0)
    for column, (letter, step) in enumerate(zip(ascii_lowercase, steps, strict=False)):
        panel = figure.add_subplot(grid[0, column])
        draw_scene(scene, moment_colors(states[step]), panel)
        if column == 0:
            draw_triad(panel, view)
        panel.set_title(rf"$\mathbf{{{letter}}}$  {format_tesla(field[step])}", fontsize=7, pad=3)
        loop_ax.plot(field[step], curve[step], "o", **MARK)
        # A branch rises with the field, so that the letter is clear of it at the lower right. Near
        # -Ms the letter would cover the frame of the axes there.
        va, offset = ("bottom", 3) if curve[step] < -0.75 else ("top", -3)
        point = (field[step], curve[step])
        name = rf"$\mathbf{{{letter}}}$"
        loop_ax.annotate(name, point, (4, offset), textcoords="offset points", va=va)
    add_moment_colorbar(figure.add_subplot(grid[0, -1]), fill=True)
    return figure


def _default_steps(field: np.ndarray, curve: np.ndarray) -> list[int]:
    """Return the steps at remanence and at a quarter, a half and three quarters of the reversal."""
    remanence = int(np.argmin(np.abs(field)))
    change = np.abs(curve[remanence:] - curve[remanence])
    shares = (0.25, 0.5, 0.75)
    steps = [remanence + int(np.argmax(change >= share * change.max())) for share in shares]
    return sorted({remanence, *steps})


def _nearest_steps(field: np.ndarray, fields: ArrayLike) -> list[int]:
    """Return the first step nearest to each of the `fields`."""
    fields = np.atleast_1d(checks.numbers(fields, "fields"))
    fields, steps = checks.finite_array(fields, "fields", (None,)), []
    if len(fields) > len(ascii_lowercase):
        raise ValueError(f"`fields` must name at most 26 fields; received {len(fields)}.")
    for value in fields:
        if not field.min() <= value <= field.max():
            raise ValueError(
                f"`fields` must lie within the loop, {field.min():g} to {field.max():g} T; "
                f"received {value:g}."
            )
        steps.append(int(np.argmin(np.abs(field - value))))
    return sorted(set(steps))
