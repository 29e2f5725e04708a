"""Finished simulations, kept aside until the data set is whole, so that a killed build resumes."""

import contextlib
import hashlib
import json
import math
import os
import warnings

import numpy as np
from etils import epath

_DIGEST = 32


class Kept:
    """A folder of arrays, each file of which is whole or not there.

    A file is its SHA-256 digest, a line of JSON that tells what file it is and the arrays' names,
    dtypes and shapes, and their bytes. (NumPy's archives take twice as long, more than a tenth of
    the simulation.)

    Args:
        folder: on any file system that the data set may lie on; made when something is kept.
        names: of the arrays in each file.
    """

    def __init__(self, folder, names):
        self.folder = epath.Path(folder)
        self.names = set(names)

    def load(self, name: str) -> dict[str, np.ndarray] | None:
        """What was saved under `name`; None, with a warning, where that is not what is there."""
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
        found = {}
        for key, dtype, shape in header:
            array = np.frombuffer(content, dtype, math.prod(shape), end)
            found[key] = array.reshape(shape)
            end += array.nbytes
        return found

    def save(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Keep `arrays`; a process that dies meanwhile leaves nothing that `load` would take."""
        header = [[key, array.dtype.str, array.shape] for key, array in arrays.items()]
        parts = [json.dumps([self._label(name), header]).encode() + b"\n"]
        parts += [np.ascontiguousarray(array).data for array in arrays.values()]
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
        self.folder.mkdir(parents=True, exist_ok=True)
        # Unlike any other's, since another worker may do the same.
        partial = self.folder / f"{name}.{np.random.default_rng().integers(2**62):x}.partial"
        try:
            with partial.open("wb") as file:
                for part in (digest.digest(), *parts):
                    file.write(part)
            partial.replace(self._path(name))
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    def remove_partial(self) -> None:
        """Remove what dead processes left."""
        for path in self.folder.glob("*.partial"):
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove everything."""
        if self.folder.exists():
            self.folder.rmtree()

    def clear_if_free(self) -> None:
        """Remove what is left of a process that died, if it can be: no one is in need of it."""
        if self.folder.exists() or self._lock.exists():
            with contextlib.suppress(OSError), self.alone():
                self.clear()

    @contextlib.contextmanager
    def alone(self):
        """Hold a lock on the folder, which the system takes back from a process that dies.

        Raises:
            OSError: when another process holds it, or the folder's own cannot be written to.

        Notes:
            File systems that are not this machine's have no such locks.
        """
        path = os.fspath(self._lock)
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            file = None if "://" in path else open(path, "w")
        except OSError as error:
            raise OSError(
                f"`data_dir` must be a folder that can be written; {self.folder.parent} cannot: "
                f"{error.strerror}."
            ) from error
        if file is None:
            yield
            return
        import fcntl  # not on Windows

        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Whoever held it before may have removed the file that was opened here.
                held = os.path.samestat(os.stat(path), os.fstat(file.fileno()))
            except (BlockingIOError, FileNotFoundError):
                held = False
            if not held:
                raise OSError(
                    f"{self.folder.parent.parent} must not be built into by two processes at "
                    "once; another one is at the same data set."
                )
            try:
                yield
            finally:
                os.remove(path)
                with contextlib.suppress(OSError):  # others may be at other data sets there
                    os.rmdir(self.folder.parent)

    @property
    def _lock(self):
        return self.folder.with_name(f"{self.folder.name}.lock")

    def _path(self, name):
        return self.folder / f"{name}.kept"

    def _label(self, name):
        # With the folder's name, which tells the simulations' parameters.
        return f"{self.folder.name}/{name}"


def _refuse(path, why: str) -> None:
    warnings.warn(f"{path} {why}: its simulations are made again.", stacklevel=3)
