"""The common style of all figures, and a function that saves them."""

from __future__ import annotations

import functools
import os

import matplotlib as mpl
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

COLUMN = 3.4  # inches: one column of a two-column journal
STYLE = {
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
MARK = {"ms": 3.5, "mfc": "w", "mec": "#b2401f", "mew": 1.0, "zorder": 5, "clip_on": False}
INK, THIN, ACCENT = "0.1", "#8fb2cf", "#b2401f"


def styled(function):
    """Decorate a function to draw in the style of this module, without changing the caller's."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        with mpl.rc_context(STYLE):
            return function(*args, **kwargs)

    return wrapper


def save_figure(figure: Figure, path: str | os.PathLike, *, dpi: int = 300) -> None:
    """Write a figure to a file, in pixel formats at `dpi`, in PDF with embedded TrueType fonts."""
    with mpl.rc_context(STYLE | {"pdf.fonttype": 42, "svg.fonttype": "none"}):
        figure.savefig(path, dpi=dpi)


def format_tesla(value: float) -> str:
    """Return a field with two decimals, with a minus sign and without a negative zero."""
    return f"{value + 0.0:.2f} T".replace("-", "\N{MINUS SIGN}").replace(
        "\N{MINUS SIGN}0.00", "0.00"
    )
