"""Finished simulations, stored until the data set is complete, so that a killed build resumes."""

import contextlib
import hashlib
import json
import math
import os
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from etils import epath

from keras_micromag.utils.files import PARTIAL, atomic_path, lock

_DIGEST = 32
"""Bytes of a SHA-256 digest."""


class Kept:
    """A folder of files of arrays, each of which is complete or not there.

    A file is its SHA-256 digest, a line of JSON with the file's label and the arrays' names, dtypes
    and shapes, and their bytes. (NumPy's archives take twice as long, more than a tenth of the
    simulation.)

    Args:
        folder: on any file system that the data set may lie on; made by the first `save`.
        names: of the arrays in each file.
    """

    def __init__(self, folder: str | os.PathLike, names: Iterable[str]):
        self.folder = epath.Path(folder)
        self.names = set(names)

    def load(self, name: str) -> dict[str, np.ndarray] | None:
        """Return the arrays saved under `name`, or None, with a warning if the file is damaged."""
        path = self._path(name)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        if hashlib.sha256(memoryview(content)[_DIGEST:]).digest() != content[:_DIGEST]:
            return _refuse(path, "does not match its digest")
        end = content.index(b"\n", _DIGEST) + 1
        label, header = json.loads(content[_DIGEST:end])
        if label != self._label(name):
            return _refuse(path, f"is a copy of {label}")
        if {key for key, _, _ in header} != self.names:
            return _refuse(path, "holds other features")
        arrays = {}
        for key, dtype, shape in header:
            array = np.frombuffer(content, dtype, math.prod(shape), end)
            arrays[key] = array.reshape(shape)
            end += array.nbytes
        return arrays

    def save(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Write `arrays`; a process that dies meanwhile leaves nothing that `load` would accept."""
        header = [[key, array.dtype.str, array.shape] for key, array in arrays.items()]
        parts = [json.dumps([self._label(name), header]).encode() + b"\n"]
        parts += [np.ascontiguousarray(array).data for array in arrays.values()]
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(self._path(name)) as partial, partial.open("wb") as file:
            for part in (digest.digest(), *parts):
                file.write(part)

    def remove_partial(self) -> None:
        """Remove the temporary files of processes that were killed while they wrote."""
        for pattern in (f"{PARTIAL}*", "*.partial"):  # the latter were those of older versions
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove the folder with all files."""
        if self.folder.exists():
            self.folder.rmtree()

    def clear_if_free(self) -> None:
        """Remove the files of a process that died, if no other process uses them and it may."""
        if self.folder.exists() or self._lock.exists():
            with contextlib.suppress(OSError), self.alone():
                self.clear()

    @contextlib.contextmanager
    def alone(self):
        """Hold a lock on the folder, which the system takes back from a process that dies.

        Raises:
            OSError: when another process holds it, or the folder's parent cannot be written to.

        Notes:
            File systems that are not this machine's have no such locks.
        """
        parent = self.folder.parent
        try:
            parent.mkdir(parents=True, exist_ok=True)
            local = "://" not in os.fspath(parent)
            held = lock(parent, self._lock.name) if local else contextlib.nullcontext()
        except BlockingIOError:
            raise OSError(
                f"{parent.parent} must not be built into by two processes at once; another one is "
                "at the same data set."
            ) from None
        except OSError as error:
            raise OSError(
                f"`data_dir` must be a folder that can be written; {parent} cannot: "
                f"{error.strerror}."
            ) from error
        with held:
            try:
                yield
            finally:
                if local:
                    Path(self._lock).unlink(missing_ok=True)
                    with contextlib.suppress(OSError):  # others may be at other data sets there
                        os.rmdir(parent)

    @property
    def _lock(self):
        return self.folder.with_name(f"{self.folder.name}.lock")

    def _path(self, name):
        return self.folder / f"{name}.kept"

    def _label(self, name):
        # With the folder's name, which depends on the simulations' parameters.
        return f"{self.folder.name}/{name}"


def _refuse(path, why: str) -> None:
    warnings.warn(f"{path} {why}: its simulations are made again.", stacklevel=3)
