"""What commands write and print: files that are whole, tables of figures of merit."""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path

from keras_micromag.cli.parsing import PROGRAM


def check_matplotlib(otherwise: str = "") -> None:
    """Raise a sentence that says what to install, where figures cannot be drawn; or what else."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ImportError(
            f"the figures need matplotlib: pip install '{PROGRAM}[plot]'{otherwise}."
        ) from None


def check_output(out: Path, names: tuple[str, ...]) -> None:
    """Raise unless files of these `names` can be made in `out`; leave nothing behind."""
    folder = out
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        # Permission bits do not tell of read-only file systems: only making a file does.
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise _unwritable(out, error) from error
    for name in names:
        if (out / name).is_dir():
            raise ValueError(f"`--out` cannot be written: {out / name} is a folder.")


def write_complete(out: Path, writers: dict) -> None:
    """Write all files in a folder beside their places, then put them there.

    A failure leaves no half-written file, and the files of an earlier run as they were.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=out) as parts:
            for name, write in writers.items():
                write(Path(parts, name))
            for name in writers:
                os.replace(Path(parts, name), out / name)
    except OSError as error:
        raise _unwritable(out, error) from error


def _unwritable(out: Path, error: OSError) -> OSError:
    return OSError(f"`--out` cannot be written: {out}: {error.strerror or error}.")


def write_csv(path: Path, hysteresis) -> None:
    """One row per field: the field, then each magnet's mean moment along it."""
    import numpy as np

    curves = hysteresis.magnetization_along_field
    names = ["mu0H (T)"] + [f"magnet {b} M/Ms" for b in range(len(curves))]
    table = np.column_stack([hysteresis.field, curves.T])
    np.savetxt(path, table, fmt="%.10g", delimiter=",", header=",".join(names), comments="")


def write_events(path: Path, events) -> None:
    """One row per flip: magnet, avalanche, grain, and the field at which the avalanche began."""
    import numpy as np

    names = ("magnet", "avalanche", "grain", "mu0H (T)")
    table = np.column_stack([events.magnet, events.avalanche, events.grain, events.field])
    np.savetxt(path, table, fmt="%.10g", delimiter=",", header=",".join(names), comments="")


def draw_loops(hysteresis, path: Path) -> None:
    """Write a picture of the loops."""
    # A Figure of its own, not pyplot's: no window, no choice of matplotlib backend.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from keras_micromag import plots

    with rc_context(plots.STYLE):
        figure = Figure(figsize=(plots.COLUMN, 0.75 * plots.COLUMN), layout="constrained")
        plots.plot_loops(hysteresis, ax=figure.add_subplot())
    plots.save_figure(figure, path)


def print_merits(hysteresis) -> None:
    """Print a table of the loops' coercivity, remanence and energy product."""
    import numpy as np
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE)
    for name in ("magnet", "coercivity µ0Hc (T)", "remanence Br (T)", "(BH)max (kJ/m³)"):
        table.add_column(name, justify="right")
    energy = hysteresis.energy_product() / 1000.0
    merits = np.stack([hysteresis.coercivity(), hysteresis.remanence(), energy])
    digits = (3, 3, 1)
    for b, row in enumerate(merits.T):
        table.add_row(str(b), *map(_rounded, row, digits))
    if merits.shape[1] > 1:
        table.add_section()
        table.add_row("mean ± spread", *map(_mean_and_spread, merits, digits))
    Console().print(table)


def _rounded(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "none"


def _mean_and_spread(values, digits: int) -> str:
    """Mean and standard deviation over the magnets that have the figure of merit."""
    values = values[[math.isfinite(value) for value in values]]
    if len(values) < 2:
        return "none"
    return f"{_rounded(values.mean(), digits)} ± {_rounded(values.std(ddof=1), digits)}"
