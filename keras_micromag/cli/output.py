"""Output files of the commands: all of them are written, or none."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from keras_micromag.utils.files import atomic_path, lock

_LOCK = ".lock"


def check_output(out: Path, names: Iterable[str]) -> None:
    """Raise unless files of these `names` can be made in the folder `out`; leave nothing there."""
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


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Make the folder `out`, and lock it while the body writes there; another run waits."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        held = None
        while held is None:
            try:
                held = lock(out, _LOCK, wait=True)
            except BlockingIOError:  # another run is done, and removed the file
                continue
    except OSError as error:
        raise _unwritable(out, error) from error
    with held:
        try:
            yield
        finally:
            (out / _LOCK).unlink(missing_ok=True)


def write_all(out: Path, writers: Mapping[str, Callable[[Path], object]]) -> None:
    """Write all files to temporary paths in the folder `out`, then rename them all.

    A failure leaves no half-written file, and the files of an earlier run as they were.

    Args:
        out: a folder, which `alone` made.
        writers: by the file's name the function that writes to the path that it receives.
    """
    try:
        with ExitStack() as renames:
            for name, write in writers.items():
                write(renames.enter_context(atomic_path(out / name)))
    except OSError as error:
        raise _unwritable(out, error) from error


def _unwritable(out: Path, error: OSError) -> OSError:
    return OSError(f"`--out` cannot be written: {out}: {error.strerror or error}.")


def write_csv(path: Path, hysteresis) -> None:
    """Write one row per field: the field, then the mean moment of each magnet along it."""
    curves = hysteresis.magnetization_along_field
    names = ["mu0H (T)"] + [f"magnet {b} M/Ms" for b in range(len(curves))]
    _write_table(path, names, [hysteresis.field, *curves])


def write_events(path: Path, events) -> None:
    """Write one row per flip: magnet, avalanche, grain, and the field where the avalanche began."""
    names = ["magnet", "avalanche", "grain", "mu0H (T)"]
    _write_table(path, names, [events.magnet, events.avalanche, events.grain, events.field])


def _write_table(path, names, columns):
    header, table = ",".join(names), np.column_stack(columns)
    np.savetxt(path, table, fmt="%.10g", delimiter=",", header=header, comments="")
