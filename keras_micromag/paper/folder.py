"""The folder of a run: its settings and its files, each of which is complete or not there."""

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import keras
import scipy

from keras_micromag.utils import files
from keras_micromag.utils.files import atomic_open, atomic_path
from keras_micromag.utils.versions import versions

SETTINGS, METRICS, REPORT = "settings.json", "metrics.json", "report.md"
# What a folder without settings must not hold: files by their names, and what to call them.
OTHERS = {"*.keras": "models", "oracle.json": "a search of KerasTuner"}


def prepare(out: Path, settings: dict) -> None:
    """Make the folder of a run, or compare these settings with those of the run that is there.

    Args:
        out: the folder.
        settings: of the run; backend and versions are added.

    Raises:
        ValueError: when they differ; nothing is changed.
    """
    settings = settings | {
        "backend": keras.backend.backend(),
        "versions": versions() | {"scipy": scipy.__version__},
    }
    settings = json.loads(json.dumps(settings))  # as JSON has them: tuples are lists there
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


def _short(value):
    text = json.dumps(value)
    return text if len(text) < 80 else f"{text[:77]}..."


def read(path: Path):
    """Return the content of a JSON file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} must be JSON, as it was written; remove it: {error}.") from error


@contextlib.contextmanager
def locked(out: Path, wait: bool = True, name: str = ".lock"):
    """Hold a lock of the folder, so that one process at a time executes the body.

    Args:
        out: the folder.
        wait: whether to wait while another process holds the lock.
        name: of the lock's file.

    Raises:
        ValueError: where another process holds it and this one is not to `wait`.
    """
    try:
        held = files.lock(out, name, wait=wait)
    except BlockingIOError:
        raise ValueError(
            f"`--out` must be a folder that no other run is at work in; one is, in {out}."
        ) from None
    with held:
        yield


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_open(path, "w", encoding="utf-8") as file:
        file.write(text)


def write_json(path: Path, content: dict | list) -> None:
    """Write a JSON file atomically; JSON has no NaN."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def cached(path: Path, make: Callable[[], dict]) -> dict:
    """Return the content of the JSON file, which `make` computes if it does not exist."""
    if not path.exists():
        write_json(path, make())
    return read(path)


def cached_model(path: Path, make: Callable[[], tuple]) -> tuple[keras.Model, dict]:
    """Return a model and its training's history, which `make` trains if there is no file.

    Args:
        path: a `.keras` file; the history lies beside it, and is written first.
        make: returns the model and a Keras `History`.

    Returns:
        The model, and a dict of lists.
    """
    history_path = path.with_suffix(".history.json")
    if not path.exists():
        model, history = make()
        write_json(history_path, {key: list(map(float, v)) for key, v in history.history.items()})
        with atomic_path(path) as partial:
            model.save(partial)
    history = read(history_path)
    return load_model(path, "a model of the run must be as it was written, or removed"), history


def load_model(path: str | os.PathLike, requirement: str) -> keras.Model:
    """Return the model in a `.keras` file, not compiled.

    Args:
        path: of the file.
        requirement: first words of the error, such as "`MODEL` must be a .keras file".

    Raises:
        ValueError: where the file is not there, is damaged, or holds something else.
    """
    try:
        return keras.saving.load_model(path, compile=False)
    except MemoryError:
        raise
    except Exception as error:  # of many types, since Keras, h5py and zipfile read the file
        missing = "" if Path(path).exists() else ", which is not there"
        raise ValueError(f"{requirement}; received {path}{missing}: {cause_of(error)}") from error


def cause_of(error: Exception) -> str:
    """Return the first cause of an error of Keras, which writes a page that ends with it."""
    return f"{' '.join(str(error).rpartition('Exception encountered: ')[2].split()):.300}"
