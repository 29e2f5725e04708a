"""The folder of a run: its settings, and files that are there whole or not at all."""

import contextlib
import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import scipy

import keras_micromag

SETTINGS, METRICS, REPORT = "settings.json", "metrics.json", "report.md"
# What a folder without settings must not hold: files by their names, and what to call them.
OTHERS = {"*.keras": "models", "oracle.json": "a search of KerasTuner"}


def settle(out: Path, settings: dict) -> None:
    """Make the folder of a run, or hold the settings of the run that is there against these.

    Args:
        out: the folder.
        settings: of the run; backend and versions are added.

    Raises:
        ValueError: when they differ; nothing is changed.
    """
    # As JSON has them: tuples are lists there.
    settings = json.loads(json.dumps({**settings, **_machine()}))
    path = out / SETTINGS
    out.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        for pattern, what in OTHERS.items():
            if any(out.rglob(pattern)):
                raise ValueError(
                    f"`--out` must be a new folder; {out} holds {what} and no {SETTINGS}."
                )
        write_json(path, settings)
    there = read(path)
    for name in {**there, **settings}:
        if there.get(name) != settings.get(name):
            raise ValueError(
                "`--out` must be a new folder, or one of a run with the same settings; "
                f"{path} has {name} {_short(there.get(name))}, this run "
                f"{_short(settings.get(name))}."
            )


def _machine():
    backend = keras.backend.backend()
    packages = (keras_micromag, keras, sys.modules[backend], np, scipy)
    return {"backend": backend, "versions": {p.__name__: p.__version__ for p in packages}}


def _short(value):
    text = json.dumps(value)
    return text if len(text) < 80 else f"{text[:77]}..."


def read(path: Path):
    """What a file of JSON holds."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} must be JSON, as it was written; remove it: {error}.") from error


@contextlib.contextmanager
def locked(out: Path, wait: bool = True):
    """Let one process at a time do what follows, of those that share the folder.

    Raises:
        ValueError: where another does so and this one is not to `wait`.
    """
    import fcntl  # of POSIX systems; nothing else here needs one

    with (out / ".lock").open("w") as lock:
        try:
            # Ends with the process, killed or not.
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise ValueError(
                f"`--out` must be a folder that no other run is at work in; one is, in {out}."
            ) from None
        yield


def write(path: Path, writer: Callable[[Path], object]) -> None:
    """Let `writer` write a file beside `path`, and give it that name once it is whole."""
    partial = path.with_name(f".{socket.gethostname()}-{os.getpid()}-{path.name}")
    try:
        writer(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a file of text."""
    write(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def write_json(path: Path, content: dict) -> None:
    """Write a file of JSON, which knows no NaN."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def kept(path: Path, make: Callable[[], dict]) -> dict:
    """What the JSON file holds; made and written first where it is not there."""
    if not path.exists():
        write_json(path, make())
    return read(path)


def kept_model(path: Path, make: Callable[[], tuple]):
    """A model and its training's history: read where an earlier run finished it, else made.

    Args:
        path: a `.keras` file; the history lies beside it, and was written first.
        make: returns the model and a Keras `History`.

    Returns:
        The model, and a dict of lists.
    """
    told = path.with_suffix(".history.json")
    if not path.exists():
        model, history = make()
        write_json(told, {key: list(map(float, v)) for key, v in history.history.items()})
        write(path, model.save)
    history = read(told)
    return keras.saving.load_model(path, compile=False), history
