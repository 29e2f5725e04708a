"""Atomic writes and locks: a file is there complete or not at all, also after a kill."""

import glob
import io
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from errno import ENOLCK, ENOSYS, ENOTSUP
from pathlib import Path, PurePath
from typing import IO, Any, cast
from zipfile import ZipFile

import numpy as np

PARTIAL = ".partial-"
"""Prefix of the name of a file that is being written; of one that is left, the process was killed.
A random part and the file's own name, with its suffix, follow."""

_ABANDONED_AFTER = 3600.0
"""Seconds after its last change when a temporary file counts as that of a killed process."""

UNREADABLE = (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)
"""Errors of reading a file, and of taking its content for what it should be, where it is damaged or
another one."""


def read_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Return the arrays of a `.npz` file by their names, each after a check of its CRC-32.

    Args:
        path: of the file. A path of `etils.epath` may lie on a file system that is not this
            machine's.

    Raises:
        OSError: where the file cannot be opened; FileNotFoundError where there is none.
        ValueError: for a damaged file or another one.
    """
    with _path(path).open("rb") as file:
        try:
            with ZipFile(file) as archive:
                # Not by `np.load`: where a damaged header shortens an array, it stops before the
                # end of the data, and only there is the CRC compared.
                return {
                    name.removesuffix(".npy"): _array(archive.read(name))
                    for name in archive.namelist()
                }
        except MemoryError:
            raise
        except Exception as error:  # there are many types
            raise ValueError(f"{path} must be a .npz file that is not damaged.") from error


def read_array(path: str | os.PathLike) -> np.ndarray:
    """Return the array of a `.npy` file.

    Raises:
        OSError: where the file cannot be opened; FileNotFoundError where there is none.
        ValueError: for a damaged file or another one.
    """
    content = _path(path).read_bytes()
    try:
        return _array(content)
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(f"{path} must be a .npy file that is not damaged.") from error


def _array(content: bytes) -> np.ndarray:
    """Return the array in the content of a `.npy` file."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    shape, fortran, dtype = header[version](file)
    if dtype.hasobject:
        raise ValueError("objects, which would be addresses in memory")
    # Not by `np.load`, which allocates what a damaged header claims.
    order: Any = "F" if fortran else "C"
    array = np.ndarray(shape, dtype, content, file.tell(), order=order)
    if array.nbytes < len(content) - file.tell():
        raise ValueError("more data than the header claims")
    return array.copy(order="K")


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename the file written there to `path` at the end.

    If the body raises, the temporary file is removed and `path` is left as it was. A killed process
    leaves its temporary file, which the first write of `path` an hour later removes.

    Args:
        path: of the file, which is replaced if it exists. A path of `etils.epath` may lie on a file
            system that is not this machine's.
    """
    path = _path(path)
    remove_partial(path.parent, glob.escape(path.name), idle=_ABANDONED_AFTER)
    # A random name, since two processes or threads may write the same file at the same time. The
    # suffix stays, since Keras, PyVista and matplotlib take the format from it.
    partial = path.with_name(f"{PARTIAL}{secrets.token_hex(4)}-{path.name}")
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        with suppress(OSError):  # the first error is the one that counts
            partial.unlink(missing_ok=True)
        raise


def _path(path: str | os.PathLike) -> Path:
    return cast(Path, path) if isinstance(path, PurePath) else Path(path)  # of `etils.epath`


@contextmanager
def scratch_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary folder beside `path`, of this machine, which is removed at the end.

    A killed process leaves it, and the first use for the same `path` an hour later removes it.
    """
    path = Path(path)
    remove_partial(path.parent, glob.escape(path.name), idle=_ABANDONED_AFTER)
    with tempfile.TemporaryDirectory(f"-{path.name}", PARTIAL, path.parent) as folder:
        yield Path(folder)


def remove_partial(folder: str | os.PathLike, pattern: str = "*", idle: float = 0.0) -> None:
    """Remove the temporary files and folders that killed processes left in a folder.

    Args:
        folder: of this machine, which need not exist.
        pattern: of the names of the files that these processes were writing, as in `glob`.
        idle: seconds for which a temporary file must not have been written to. Without, no other
            process may be writing such a file now.
    """
    # By age, since other machines may write into the folder, of whose processes nothing is known.
    # A writer that was suspended for longer fails at its rename, and `path` stays complete.
    for partial in glob.glob(os.path.join(glob.escape(os.fspath(folder)), f"{PARTIAL}*-{pattern}")):
        with suppress(OSError):
            parts = [partial, *glob.iglob(f"{glob.escape(partial)}/*")]  # of a folder
            if idle and time.time() - max(os.stat(part).st_mtime for part in parts) <= idle:
                continue
            if os.path.isdir(partial):
                shutil.rmtree(partial)
            else:
                os.unlink(partial)


@contextmanager
def atomic_open(
    path: str | os.PathLike, mode: str, sync: bool = False, **kwargs
) -> Iterator[IO[Any]]:
    """Open a temporary file beside `path` to write, and rename it to `path` at the end.

    Args:
        path: of the file, which is replaced if it exists.
        mode: as in `open`.
        sync: whether file and name must be on the disk afterwards, so that they survive a power
            cut.
        **kwargs: further arguments of `open`.
    """
    with atomic_path(path) as partial, partial.open(mode, **kwargs) as file:
        yield file
        if sync:
            file.flush()
            os.fsync(file.fileno())
    if sync:
        _sync_folder(Path(path).parent)


def _sync_folder(folder):
    """Write the names in a folder to the disk."""
    # Where folders cannot be synchronised, the system does so in time.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def lock(
    folder: str | os.PathLike, name: str = "lock", *, wait: bool = False
) -> AbstractContextManager:
    """Acquire the lock of a folder, and return a context manager that releases it at the end.

    The lock is the system's `flock` on a file in the folder, so it also ends with the process.

    Args:
        folder: an existing folder.
        name: of the file, which is made if it does not exist and stays there afterwards.
        wait: whether to wait while another process holds the lock.

    Raises:
        BlockingIOError: where another process holds the lock and `wait` is False, or removed the
            file meanwhile.
        OSError: where the file cannot be written.

    Notes:
        Windows has no such locks, and some file systems of clusters neither. There every process
        gets the lock, so that long loops run at all.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return nullcontext()
    path = os.path.join(folder, name)
    file = open(path, "a")
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            if error.errno not in (ENOLCK, ENOSYS, ENOTSUP):
                raise
        if not _is_open_at(path, file):
            raise BlockingIOError(f"{path} was removed by another process.")
    except BaseException:
        file.close()
        raise
    return file


def _is_open_at(path, file):
    """Return whether `path` still names the open file: its last holder may have removed it."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
