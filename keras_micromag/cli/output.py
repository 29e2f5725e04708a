"""Files that a command writes: all of them, or none."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


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
