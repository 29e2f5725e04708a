"""The folder of a run: its settings, and files that are there whole or not at all."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

import keras_micromag

SETTINGS = "settings.json"


def settle(out: Path, settings: dict) -> None:
    """Make the folder of a run, or hold the settings of the run that is there against these.

    Raises:
        ValueError: when they differ; nothing is changed.
    """
    settings = {
        **settings,
        "backend": keras.backend.backend(),
        "versions": {p.__name__: p.__version__ for p in (keras_micromag, keras, np)},
    }
    path = out / SETTINGS
    text = json.dumps(settings, indent=2) + "\n"
    out.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write_text(path, text)
    elif path.read_text(encoding="utf-8") != text:
        raise ValueError(
            f"`--out` must be a new folder, or one of a run with the same settings; {path} holds "
            "others."
        )


def write(path: Path, writer: Callable[[Path], object]) -> None:
    """Let `writer` write a file beside `path`, and give it that name once it is whole."""
    partial = path.with_name(f".{os.getpid()}-{path.name}")
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
    return json.loads(path.read_text(encoding="utf-8"))


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
    history = json.loads(told.read_text(encoding="utf-8"))
    return keras.saving.load_model(path, compile=False), history
