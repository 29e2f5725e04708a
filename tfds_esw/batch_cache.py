"""Batches of simulations, stored until the data set is complete, so that a killed build resumes."""

import contextlib
import io
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from etils import epath

from keras_micromag.utils.files import PARTIAL, UNREADABLE, atomic_open, lock, read_arrays

BATCH = 32
"""Number of magnets simulated at once; always the same, since rounding depends on the batch size.
Larger batches are hardly faster: see benchmarks/dataset.py."""

_SUFFIX = ".npz"
_LABEL = "label"
"""Name of the array that says which batch of which data set a file holds."""


class BatchCache:
    """A folder with a `.npz` file for each batch; a file is complete or not there.

    Args:
        folder: on any file system that the data set may lie on; made by the first `save`.
        features: arrays by name, with the shape and dtype that those in each file must have.
    """

    def __init__(self, folder: str | os.PathLike, features: Mapping[str, Any]):
        self.folder = epath.Path(folder)
        self._features = _types(features)

    def load(self, name: str) -> dict[str, np.ndarray] | None:
        """Return the arrays saved under `name`, or None, with a warning if the file is damaged."""
        path = self._path(name)
        try:
            arrays = read_arrays(path)
        except FileNotFoundError:
            return None
        except UNREADABLE:
            reason = "is damaged"
        else:
            label = str(arrays.pop(_LABEL, None))
            if _types(arrays) != self._features:
                reason = "holds other features"
            elif label != self._label(name):
                reason = f"is a copy of {label}"
            else:
                return arrays
        warnings.warn(f"{path} {reason}: its simulations are repeated.", stacklevel=2)
        return None

    def save(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Write `arrays`; a process that dies meanwhile leaves nothing that `load` would accept."""
        archive = io.BytesIO()  # since a remote file cannot go back, as writing an archive does
        np.savez(archive, **{_LABEL: np.array(self._label(name)), **arrays}, allow_pickle=False)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_open(self._path(name), "wb") as file:
                file.write(archive.getbuffer())
        except OSError as error:
            raise _unwritable(self.folder, error) from error

    def remove_unfinished(self) -> None:
        """Remove the files of killed processes, and those in the format of older versions."""
        if self.folder.exists():
            for path in self.folder.iterdir():
                if path.suffix != _SUFFIX or path.name.startswith(PARTIAL):
                    path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove the folder with all files."""
        if self.folder.exists():
            self.folder.rmtree()

    def clear_if_unlocked(self) -> None:
        """Remove the files of a process that died, unless another process locks the folder."""
        if self.folder.exists() or self._lock.exists():
            with contextlib.suppress(OSError), self.locked():
                self.clear()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder against other processes; the lock ends with this process at the latest.

        Raises:
            OSError: when another process holds it, or the folder's parent cannot be written to.

        Notes:
            Remote file systems have no locks; see also `keras_micromag.utils.files.lock`.
        """
        parent = self.folder.parent
        try:
            parent.mkdir(parents=True, exist_ok=True)
            local = "://" not in os.fspath(parent)
            held = lock(parent, self._lock.name) if local else contextlib.nullcontext()
        except BlockingIOError:
            raise OSError(
                "`data_dir` must not be built into by two processes at once; another one builds "
                f"the same data set in {parent.parent}."
            ) from None
        except OSError as error:
            raise _unwritable(parent, error) from error
        with held:
            try:
                yield
            finally:
                if local:
                    Path(self._lock).unlink(missing_ok=True)
                    with contextlib.suppress(OSError):  # others may build other data sets there
                        os.rmdir(parent)

    @property
    def _lock(self):
        return self.folder.with_name(f"{self.folder.name}.lock")

    def _path(self, name):
        return self.folder / f"{name}{_SUFFIX}"

    def _label(self, name):
        # With the folder's name, which depends on the simulations' parameters.
        return f"{self.folder.name}/{name}"


def _types(arrays):
    """Return the shapes and dtypes of arrays by their names."""
    return {name: (array.shape, array.dtype) for name, array in arrays.items()}


def _unwritable(folder, error):
    return OSError(
        f"`data_dir` must be a folder that can be written; {folder} cannot: "
        f"{error.strerror or error}."
    )
