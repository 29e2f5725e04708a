"""Output files of the commands: all of them are written, or none."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from keras_micromag.utils.files import atomic_path


def check_output(out: Path, names: tuple[str, ...]) -> None:
    """Raise unless files of these `names` can be made in `out`; leave nothing behind."""
    folder = out
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        # Permission bits do not show that a file system is read-only: only making a file does.
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise _unwritable(out, error) from error
    for name in names:
        if (out / name).is_dir():
            raise ValueError(f"`--out` cannot be written: {out / name} is a folder.")


def write_all(out: Path, writers: Mapping[str, Callable[[Path], object]]) -> None:
    """Write all files to temporary paths in the folder `out`, then rename them all.

    A failure leaves no half-written file, and the files of an earlier run as they were.

    Args:
        out: a folder, made if it does not exist.
        writers: by the file's name the function that writes to the path that it receives.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with ExitStack() as renames:
            for name, write in writers.items():
                write(renames.enter_context(atomic_path(out / name)))
    except OSError as error:
        raise _unwritable(out, error) from error


def _unwritable(out: Path, error: OSError) -> OSError:
    return OSError(f"`--out` cannot be written: {out}: {error.strerror or error}.")


def write_csv(path: Path, hysteresis) -> None:
    """Write one row per field: the field, then each magnet's mean moment along it."""
    import numpy as np

    curves = hysteresis.magnetization_along_field
    names = ["mu0H (T)"] + [f"magnet {b} M/Ms" for b in range(len(curves))]
    table = np.column_stack([hysteresis.field, curves.T])
    np.savetxt(path, table, fmt="%.10g", delimiter=",", header=",".join(names), comments="")


def write_events(path: Path, events) -> None:
    """Write one row per flip: magnet, avalanche, grain, and the field where the avalanche began."""
    import numpy as np

    names = ("magnet", "avalanche", "grain", "mu0H (T)")
    table = np.column_stack([events.magnet, events.avalanche, events.grain, events.field])
    np.savetxt(path, table, fmt="%.10g", delimiter=",", header=",".join(names), comments="")
