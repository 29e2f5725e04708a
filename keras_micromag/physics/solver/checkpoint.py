"""What a long loop has done, kept in a folder: killed, it goes on there.

| file            | holds                                                                       |
| --------------- | --------------------------------------------------------------------------- |
| `settings.json` | what the result follows from, long arrays as digests                        |
| `part-0001.npz` | equilibria, in the order in which they were collected; never written again  |
| `state.npz`     | the solver's state, and how many parts led to it                            |
| `lock`          | nothing; held by the process that is at it                                  |

A part counts once `state.npz`, which is replaced whole, says so: the solver's state always fits the
equilibria. What a killed process wrote beyond that is written over by the next.
"""

import json
import os
import sys
import time
from contextlib import contextmanager, suppress
from errno import ENOLCK, ENOSYS, ENOTSUP
from pathlib import Path

import keras
import numpy as np
from keras import ops

from keras_micromag import __version__
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.physics.solver.field_steps import State
from keras_micromag.utils.files import UNREADABLE, whole
from keras_micromag.utils.fingerprint import fingerprint

_SAVED_EVERY = 60.0
"""Seconds between two writes, so the most that a kill can cost, but for one call of the solver."""

_PROGRAM = "keras_micromag.physics.simulate"
_FORMAT = 2
"""Of what the files hold: rises when a loop can no longer go on from what an older one kept."""

_SETTINGS, _STATE, _LOCK = "settings.json", "state.npz", "lock"


@contextmanager
def kept_in(folder, loops, follows_from: dict):
    """A `Checkpoint` of `loops`, in a folder that this process has for itself meanwhile.

    Args:
        folder: a path, made if it is not there; if None, nothing is kept.
        loops: `Loops`, to be filled and to be kept.
        follows_from: all that determines the result, by the argument's name: numbers, strings,
            arrays, a `Microstructure`.

    Raises:
        ValueError: where the folder is none, is that of another loop, holds other files, or where
            another process is at it.
        OSError: where it cannot be written.

    Notes:
        The lock is `fcntl.flock`, which the system takes back from a process that dies. Windows
        has none, and some file systems of clusters neither: there nobody tells two processes
        apart.
    """
    if folder is None:
        yield Checkpoint(None, loops)
        return
    folder = _folder(folder)
    settings = _settings(follows_from)
    # Before there is a lock, so that nothing comes into a folder of other files.
    _refuse_other(folder, settings)
    with _alone(folder):
        _refuse_other(folder, settings)  # it may have been taken since
        yield Checkpoint(folder, loops, settings)


class Checkpoint:
    """The equilibria of `loops` and the solver's state, in `folder`; nowhere if that is None.

    The folder is that of a loop with these `settings` once there is something to keep: one that
    fails before leaves no trace.
    """

    def __init__(self, folder: Path | None, loops, settings: dict | None = None):
        self._folder, self._loops, self._settings = folder, loops, settings
        self._parts, self._kept = 0, loops.reached.copy()
        self._last = time.monotonic()

    def resume(self) -> State | None:
        """Fill the loops with what was kept.

        Returns:
            The solver's state then, or None where nothing was kept.

        Raises:
            ValueError: naming the file that is damaged or missing.
        """
        if self._folder is None or not (self._folder / _STATE).exists():
            return None
        with _reading(self._folder / _STATE) as kept:
            self._parts, reached = int(kept.pop("parts")), kept.pop("reached")
            state = State(**kept)
        for number in range(1, self._parts + 1):
            with _reading(self._part(number)) as part:
                self._loops.restore(**part)
                if number == self._parts and (self._loops.reached != reached).any():
                    raise ValueError("not the last part")
        self._kept = self._loops.reached.copy()
        return State(*(ops.convert_to_tensor(part, part.dtype.name) for part in state))

    def save(self, state: State):
        """Keep what was collected since the last time and the `state` after it.

        Only if the last time was a while ago, or the loops are complete.

        Raises:
            OSError: where they cannot be written; what was kept before is whole.
        """
        due = self._loops.complete or time.monotonic() - self._last >= _SAVED_EVERY
        if self._folder is None or not due:
            return
        if not (self._folder / _SETTINGS).exists():
            told = json.dumps(self._settings, indent=2) + "\n"
            _write(self._folder / _SETTINGS, told.encode())
        if (self._loops.reached > self._kept).any():
            _write(self._part(self._parts + 1), self._loops.since(self._kept))
            self._parts += 1
            self._kept = self._loops.reached.copy()
        kept = {name: ops.convert_to_numpy(part) for name, part in state._asdict().items()}
        _write(self._folder / _STATE, kept | {"parts": self._parts, "reached": self._kept})
        self._last = time.monotonic()

    def _part(self, number):
        return self._folder / f"part-{number:04}.npz"


def _folder(path) -> Path:
    """The folder of that path, made where it was not there."""
    try:
        folder = Path(path)
    except TypeError:
        raise ValueError(f"`checkpoint` must be the path of a folder; received {path!r}.") from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ValueError(
            f"`checkpoint` must be a folder; received {folder}, where a file is in its place."
        ) from None
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder


def _settings(follows_from) -> dict:
    """What `settings.json` holds: what is short as it is, all else as a digest."""
    backend = keras.backend.backend()
    told = {"program": _PROGRAM, "format": _FORMAT}
    told |= {name: _told(value) for name, value in follows_from.items()}
    told["keras_micromag"] = __version__
    told["backend"] = f"{backend} {sys.modules[backend].__version__}"
    told["keras"], told["numpy"] = keras.__version__, np.__version__
    return told


def _told(value):
    """A number, a string, a list of at most three, or "sha256 ...", as JSON can hold it."""
    if isinstance(value, Microstructure):
        return value.fingerprint
    if np.size(value) > 3:
        return fingerprint(value)
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _refuse_other(folder, settings):
    """Raise where `folder` is neither empty nor that of a loop with these settings."""
    path = folder / _SETTINGS
    others = sorted(set(os.listdir(folder)) - {_LOCK, f"{_SETTINGS}.partial"})
    found = {}
    if path.exists():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except UNREADABLE as error:
            raise _damaged(path) from error
        others = [_SETTINGS]  # the command line's settings have that name too
    if not isinstance(found, dict) or found.get("program") != _PROGRAM:
        if others:
            raise ValueError(
                "`checkpoint` must be an empty folder or that of this loop; "
                f"received {folder}, which holds other files, such as {others[0]}."
            )
        return
    differ = [k for k in settings | found if settings.get(k) != found.get(k)]
    if differ:
        raise ValueError(
            "`checkpoint` must be an empty folder or that of this loop; received "
            f"{folder}, whose loop differs in {_differences(differ, found, settings)}."
        )


def _differences(names, there, here):
    """Which settings differ, and how where that can be told."""

    def told(name):
        values = there.get(name), here.get(name)
        if any(isinstance(v, str) and v.startswith("sha256 ") for v in values):
            return f"`{name}`"
        return f"`{name}` ({values[0]} there, {values[1]} here)"

    return ", ".join(map(told, names))


@contextmanager
def _alone(folder):
    """Hold the folder's lock."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    try:
        file = open(folder / _LOCK, "a")
    except OSError as error:
        raise _unwritable(folder, error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                "`checkpoint` must be a folder that no other process is at; "
                f"received {folder}, where one is."
            ) from None
        except OSError as error:
            # File systems without locks must not keep anyone from long loops.
            if error.errno not in (ENOLCK, ENOSYS, ENOTSUP):
                raise
        yield


@contextmanager
def _reading(path):
    """The arrays in a file that `_write` wrote; what they do not fit to is told as damage."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            yield dict(stored)
    except UNREADABLE as error:
        raise _damaged(path) from error


def _write(path, content):
    """Write bytes or arrays to a file: whole, or not at all, a power cut included."""
    try:
        with whole(path, "wb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                np.savez(file, **content)
            file.flush()
            os.fsync(file.fileno())
        # Its name, too. Where folders cannot be synchronised, the system does so in time.
        with suppress(OSError):
            descriptor = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    except OSError as error:
        raise _unwritable(path.parent, error) from error


def _damaged(path):
    return ValueError(
        f"`checkpoint` must be a folder as it was kept; in {path.parent} the file {path.name} is "
        "damaged or missing, so delete that folder to begin anew."
    )


def _unwritable(folder, error):
    """`error`, of the same kind, as a sentence that names the argument."""
    reason = error.strerror or error
    return OSError(error.errno, f"`checkpoint` cannot be written: {folder}: {reason}")
