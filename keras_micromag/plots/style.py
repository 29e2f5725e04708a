"""The common style of all figures, and functions that make and save them."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from keras_micromag.utils.files import atomic_path

P = ParamSpec("P")
R = TypeVar("R")

COLUMN = 3.4  # inches: one column of a two-column journal
STYLE: dict = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "mathtext.fontset": "dejavusans",
    "font.size": 8.0,
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 7.0,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "axes.axisbelow": True,
}
FIELD_LABEL = r"External field $\mu_0 H$ (T)"
MAGNETIZATION_LABEL = r"Magnetisation $M/M_\mathrm{s}$"
# Moreland's colour map was made for shaded surfaces: its middle is grey, so that shading is not
# read as a value, and it can be read with the common colour vision deficiencies.
MOMENT_COLORS = "coolwarm"
MOMENT_LIMITS = Normalize(-1.0, 1.0)
# Perceptually uniform, and without grey, which marks a missing value.
VALUE_COLORS = "viridis"
NO_VALUE = "0.8"
INK, THIN, ACCENT = "0.1", "#8fb2cf", "#b2401f"
MARK: dict = {"ms": 3.5, "mfc": "w", "mec": ACCENT, "mew": 1.0, "zorder": 5, "clip_on": False}


def styled(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function to draw in the style of this module, without changing the caller's."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with mpl.rc_context(STYLE):
            return function(*args, **kwargs)

    return wrapper


def new_axes(*, width: float = 1.0, height: float = 0.75) -> Axes:
    """Return the axes of a new figure, whose size is given in column widths."""
    size = (width * COLUMN, height * COLUMN)
    return plt.figure(figsize=size, layout="constrained").add_subplot()


def new_figure(*, width: float = 1.0, height: float = 0.75) -> Figure:
    """Return a figure that pyplot does not keep open; its size is given in column widths."""
    return Figure(figsize=(width * COLUMN, height * COLUMN), layout="constrained")


def save_figures(
    folder: Path, drawers: dict[str, Callable[[], Figure | None]], *, dpi: int = 300
) -> list[str]:
    """Draw figures in the style of this module, and return the file names of those there are.

    Args:
        folder: to write to.
        drawers: {file name: function}, which returns None where there is nothing to draw.
        dpi: see `save_figure`.
    """
    names = []
    with mpl.rc_context(STYLE):
        for name, draw in drawers.items():
            if (figure := draw()) is not None:
                save_figure(figure, folder / name, dpi=dpi)
                names.append(name)
    return names


def add_colorbar(mappable: ScalarMappable, ax: Axes, *, fill: bool = False) -> Colorbar:
    """Add a colour bar with thin lines beside the axes, or one that fills them."""
    place: dict = {"cax": ax} if fill else {"ax": ax, "shrink": 0.7, "aspect": 14, "pad": 0.04}
    bar = ax.figure.colorbar(mappable, **place)
    bar.outline.set_linewidth(0.5)
    bar.ax.tick_params(width=0.5, length=2)
    return bar


def save_figure(figure: Figure, path: str | os.PathLike, *, dpi: int = 300) -> None:
    """Write a figure to a file, in pixel formats at `dpi`, in PDF with embedded TrueType fonts.

    The file is written completely or not at all.
    """
    fonts = {"pdf.fonttype": 42, "svg.fonttype": "none"}
    with mpl.rc_context(STYLE | fonts), atomic_path(path) as partial:
        figure.savefig(partial, dpi=dpi)


def format_tesla(value: float) -> str:
    """Return a field with two decimals, with a minus sign and without a negative zero."""
    return f"{round(float(value), 2) + 0.0:.2f} T".replace("-", "\N{MINUS SIGN}")
