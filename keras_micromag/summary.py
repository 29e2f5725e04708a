"""Summaries of loops for the terminal and for a quick look: figures of merit, a picture."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from keras_micromag.utils.command_line import PROGRAM


def check_matplotlib(otherwise: str = "") -> None:
    """Raise an error that says what to install where figures cannot be drawn.

    Args:
        otherwise: words that follow in the sentence: what can be done instead.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ImportError(
            f"the figures need matplotlib: pip install '{PROGRAM}[plot]'{otherwise}."
        ) from None


def draw_loops(hysteresis, path: Path) -> None:
    """Draw the loops to a file."""
    from keras_micromag import plots
    from keras_micromag.plots import style

    def draw():
        figure = style.new_figure()
        plots.plot_loops(hysteresis, ax=figure.add_subplot())
        return figure

    style.save_figures(path.parent, {path.name: draw})


def print_merits(hysteresis) -> None:
    """Print a table of the loops' coercivity, remanence and energy product."""
    head = ["magnet", "coercivity µ0Hc (T)", "remanence Br (T)", "(BH)max (kJ/m³)"]
    energy = hysteresis.energy_product() / 1000.0
    merits = np.stack([hysteresis.coercivity(), hysteresis.remanence(), energy])
    digits = (3, 3, 1)
    rows = [[str(b), *map(_rounded, row, digits)] for b, row in enumerate(merits.T)]
    mean = ["mean ± spread", *map(_mean_and_spread, merits, digits)]
    print_table(head, rows, mean if len(rows) > 1 else None)
    if hysteresis.trust is not None:
        for line in str(hysteresis.trust).split("\n"):
            print(f"Coercivity {line}")


def print_table(head: list[str], rows: list[list[str]], last: list[str] | None = None) -> None:
    """Print a table, with a line above its last row if that is given apart."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE)
    for name in head:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*row)
    if last:
        table.add_section()
        table.add_row(*last)
    Console().print(table)


def _rounded(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "none"


def _mean_and_spread(values: np.ndarray, digits: int) -> str:
    """Return mean ± standard deviation over the magnets that have the figure of merit."""
    values = values[[math.isfinite(value) for value in values]]
    if len(values) < 2:
        return "none"
    return f"{_rounded(values.mean(), digits)} ± {_rounded(values.std(ddof=1), digits)}"
