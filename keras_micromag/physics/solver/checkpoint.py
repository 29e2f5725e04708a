"""Checkpoints: a long loop that was killed continues from the states stored in its folder.

| file            | holds                                                                       |
| --------------- | --------------------------------------------------------------------------- |
| `settings.json` | all that determines the result, long arrays as digests                      |
| `part-0001.npz` | equilibria, in the order in which they were collected; never written again  |
| `state.npz`     | the solver's state, and the number of parts that led to it                  |
| `lock`          | nothing; locked by the process that simulates the loop                      |

A part counts only once `state.npz`, which is written atomically, names it: so the solver's state
always fits the equilibria. A part that a killed process wrote later than that is written again.
"""

import json
import os
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from keras import backend, ops

from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.physics.solver.field_steps import State
from keras_micromag.utils.files import (
    PARTIAL,
    UNREADABLE,
    atomic_open,
    lock,
    read_arrays,
    remove_partial,
)
from keras_micromag.utils.fingerprint import fingerprint
from keras_micromag.utils.versions import versions

_SAVED_EVERY = 60.0
"""Seconds between two writes; a kill costs at most these and one call of the solver."""

_PROGRAM = "keras_micromag.physics.simulate"
_FORMAT = 2
"""Version of the files: rises when a loop can no longer continue from those of an older one."""

_SETTINGS, _STATE, _LOCK = "settings.json", "state.npz", "lock"


@contextmanager
def open_checkpoint(folder: str | os.PathLike | None, loops, settings: dict):
    """Yield the `Checkpoint` of `loops` in a folder that no other process uses meanwhile.

    Args:
        folder: path, made if it does not exist; if None, nothing is stored.
        loops: `Loops`, to be filled and to be stored.
        settings: all that determines the result, by the argument's name: numbers, strings, arrays,
            a `Microstructure`.

    Raises:
        ValueError: where the path is no folder, the folder belongs to another loop or holds other
            files, or another process uses it.
        OSError: where it cannot be written.

    Notes:
        Where the system has no locks (see `keras_micromag.utils.files.lock`), two processes
        can use one folder unnoticed.
    """
    if folder is None:
        yield Checkpoint(None, loops)
        return
    folder = _make_folder(folder)
    settings = _as_json(settings)
    # Before there is a lock, since its file must not be made in a folder of other files.
    _refuse_other(folder, settings)
    with _locked(folder):
        _refuse_other(folder, settings)  # another process may have begun there since
        for name in (_SETTINGS, _STATE, "part-*.npz"):
            remove_partial(folder, name)
        yield Checkpoint(folder, loops, settings)


class Checkpoint:
    """The equilibria of `loops` and the solver's state in `folder`; no files if that is None.

    The folder gets these `settings` with the first write: a loop that fails before leaves no trace.
    """

    def __init__(self, folder: Path | None, loops, settings: dict | None = None):
        self._folder, self._loops, self._settings = folder, loops, settings
        self._parts, self._saved = 0, loops.reached.copy()
        self._last = time.monotonic()

    def resume(self) -> State | None:
        """Fill the loops with the equilibria that were stored.

        Returns:
            The solver's state after them, of arrays, or None where nothing was stored.

        Raises:
            ValueError: naming the file that is damaged or missing.
        """
        if self._folder is None or not (self._folder / _STATE).exists():
            return None
        with _reading(self._folder / _STATE) as stored:
            self._parts, reached = int(stored.pop("parts")), stored.pop("reached")
            if (reached.shape, reached.dtype) != (self._saved.shape, self._saved.dtype):
                raise ValueError("another loop")
            state = State(**stored)
        for number in range(1, self._parts + 1):
            with _reading(self._part(number)) as part:
                for name, array in self._loops.since(self._loops.reached).items():
                    if part[name].dtype != array.dtype:
                        raise ValueError("another loop")
                self._loops.restore(**part)
                if number == self._parts and (self._loops.reached != reached).any():
                    raise ValueError("not the last part")
        self._saved = self._loops.reached.copy()
        return state

    def tensors_like(self, state: State, other: State) -> State:
        """Return a state that `resume` returned as tensors, like those of another state.

        Raises:
            ValueError: naming the file, where shapes or dtypes are not those of the `other` state.
        """
        for array, tensor in zip(state, other, strict=True):
            dtype = backend.standardize_dtype(tensor.dtype)
            if (array.shape, array.dtype.name) != (tuple(tensor.shape), dtype):
                raise _damaged(Path(self._folder or "") / _STATE)
        return State(*(ops.convert_to_tensor(array, array.dtype.name) for array in state))

    def save(self, state: State) -> None:
        """Store the equilibria collected since the last write, and the `state` after them.

        Does so only if the last write was a while ago, or the loops are complete.

        Raises:
            OSError: where they cannot be written; what was stored before remains.
        """
        due = self._loops.complete or time.monotonic() - self._last >= _SAVED_EVERY
        if self._folder is None or not due:
            return
        if not (self._folder / _SETTINGS).exists():
            text = json.dumps(self._settings, indent=2) + "\n"
            _write(self._folder / _SETTINGS, text.encode())
        if (self._loops.reached > self._saved).any():
            _write(self._part(self._parts + 1), self._loops.since(self._saved))
            self._parts += 1
            self._saved = self._loops.reached.copy()
        arrays = {name: ops.convert_to_numpy(part) for name, part in state._asdict().items()}
        _write(self._folder / _STATE, arrays | {"parts": self._parts, "reached": self._saved})
        self._last = time.monotonic()

    def _part(self, number):
        return self._folder / f"part-{number:04}.npz"


def _make_folder(path) -> Path:
    """Return the folder at `path`, made if it does not exist."""
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


def _as_json(settings) -> dict:
    """Return the content of `settings.json`: short values as they are, all others as a digest."""
    content = {"program": _PROGRAM, "format": _FORMAT}
    content |= {name: _json_value(value) for name, value in settings.items()}
    installed, name = versions(), backend.backend()
    content["keras_micromag"] = installed["keras_micromag"]
    content["backend"] = f"{name} {installed[name]}"
    content["keras"], content["numpy"] = installed["keras"], installed["numpy"]
    return content


def _json_value(value):
    """Return a number, a string, a list of at most three, or "sha256 ...", as JSON can hold it."""
    if isinstance(value, Microstructure):
        return value.fingerprint
    if np.size(value) > 3:
        return fingerprint(value)
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _refuse_other(folder, settings):
    """Raise where `folder` is neither empty nor that of a loop with these settings."""
    path = folder / _SETTINGS
    others = [name for name in sorted(os.listdir(folder)) if not _may_precede_settings(name)]
    stored = {}
    if path.exists():
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
        except UNREADABLE as error:
            raise _damaged(path) from error
        others = [_SETTINGS]  # the command line's settings have that name too
    if not isinstance(stored, dict) or stored.get("program") != _PROGRAM:
        if others:
            raise ValueError(
                "`checkpoint` must be an empty folder or that of this loop; "
                f"received {folder}, which holds other files, such as {others[0]}."
            )
        return
    differ = [k for k in settings | stored if settings.get(k) != stored.get(k)]
    if differ:
        raise ValueError(
            "`checkpoint` must be an empty folder or that of this loop; received "
            f"{folder}, whose loop differs in {_differences(differ, stored, settings)}."
        )


def _may_precede_settings(name):
    """Return whether a loop that was killed before it wrote its settings may leave this file."""
    unfinished = name.startswith(PARTIAL) and name.endswith(f"-{_SETTINGS}")
    # The last is the temporary name in versions of the package before there was `PARTIAL`.
    return unfinished or name in (_LOCK, f"{_SETTINGS}.partial")


def _differences(names, there, here):
    """Return the names of settings that differ, with both values where these are not digests."""

    def described(name):
        values = there.get(name), here.get(name)
        if any(isinstance(v, str) and v.startswith("sha256 ") for v in values):
            return f"`{name}`"
        return f"`{name}` ({values[0]} there, {values[1]} here)"

    return ", ".join(map(described, names))


@contextmanager
def _locked(folder):
    """Hold the folder's lock."""
    try:
        held = lock(folder, _LOCK)
    except BlockingIOError:
        raise ValueError(
            "`checkpoint` must be a folder that no other process uses; "
            f"received {folder}, which one uses."
        ) from None
    except OSError as error:
        raise _unwritable(folder, error) from error
    with held:
        yield


@contextmanager
def _reading(path):
    """Yield the arrays in a file; an error in the body means that they do not fit: damage."""
    try:
        yield read_arrays(path)
    except UNREADABLE as error:
        raise _damaged(path) from error


def _write(path, content):
    """Write bytes or arrays to a file: completely or not at all, also in a power cut."""
    try:
        with atomic_open(path, "wb", sync=True) as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                np.savez(file, **content)
    except OSError as error:
        raise _unwritable(path.parent, error) from error


def _damaged(path):
    return ValueError(
        f"`checkpoint` must be an undamaged folder; in {path.parent} the file {path.name} is "
        "damaged or missing: delete that folder to begin again."
    )


def _unwritable(folder, error):
    """Return an error of the same kind whose message names the argument."""
    reason = error.strerror or error
    return OSError(error.errno, f"`checkpoint` cannot be written: {folder}: {reason}")
