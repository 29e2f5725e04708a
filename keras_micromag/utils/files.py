"""Files that are there whole, or not at all."""

import os
import zlib
from contextlib import contextmanager
from zipfile import BadZipFile

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
"""What reading a `.npz` file raises that is damaged, or is another file."""


@contextmanager
def whole(path, mode: str, **kwargs):
    """`open` a file to write beside `path`, which gets that name once all of it is written.

    Args:
        path: of the file; one that is there is replaced.
        mode, **kwargs: of `open`.
    """
    path = os.fspath(path)
    partial = f"{path}.partial"
    try:
        with open(partial, mode, **kwargs) as file:
            yield file
        os.replace(partial, path)
    except BaseException:
        if os.path.exists(partial):
            os.remove(partial)
        raise
