"""Atomic writes and locks: a file is there complete or not at all, also after a kill."""

import os
import secrets
import zlib
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from errno import ENOLCK, ENOSYS, ENOTSUP
from pathlib import Path, PurePath
from typing import cast
from zipfile import BadZipFile

PARTIAL = ".partial-"
"""Prefix of the name of a file that is being written; of one that is left, the process was killed.
A random part and the file's own name, with its suffix, follow."""

UNREADABLE = (
    AttributeError,
    KeyError,
    TypeError,
    ValueError,
    OSError,
    EOFError,
    RuntimeError,
    BadZipFile,
    zlib.error,
)
"""Errors that reading a `.npz` file raises where it is damaged, or is another file."""


@contextmanager
def atomic_path(path: str | os.PathLike):
    """Yield a temporary path beside `path`, and rename the file written there to `path` at the end.

    If the body raises, the temporary file is removed and `path` is left as it was.

    Args:
        path: of the file, which is replaced if it exists. A path of `etils.epath` may lie on a file
            system that is not this machine's.
    """
    path = cast(Path, path) if isinstance(path, PurePath) else Path(path)  # of `etils.epath`
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


@contextmanager
def atomic_open(path: str | os.PathLike, mode: str, sync: bool = False, **kwargs):
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
