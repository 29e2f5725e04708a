"""Demagnetisation curves of permanent magnets, and the Keras parts to learn them.

`keras_micromag.physics` computes hysteresis by the embedded Stoner–Wohlfarth method, on any Keras
backend.
"""

import os as _os
from importlib import import_module as _import_module
from importlib.util import find_spec as _find_spec
from typing import TYPE_CHECKING as _TYPE_CHECKING

if _TYPE_CHECKING:
    from keras_micromag import physics

# A plain literal: setuptools reads it without running this file.
__version__ = "0.1.0"

__all__ = ["physics"]

_BACKENDS = ("tensorflow", "jax", "torch")


def _backend_missing(name: str) -> ModuleNotFoundError:
    """Return the error for a backend that Keras is to run on and that is not installed."""
    ways = [f'pip install "keras-micromag[{name}]"']
    ways += [
        f"set KERAS_BACKEND={other}, which is installed"
        if _find_spec(other)
        else f'pip install "keras-micromag[{other}]" and set KERAS_BACKEND={other}'
        for other in _BACKENDS
        if other != name
    ]
    sentence = f"Keras is to run on {name}, which is not installed: {'; or '.join(ways)}."
    return ModuleNotFoundError(sentence, name=name)


if not any(map(_find_spec, _BACKENDS)):
    _chosen = _os.environ.get("KERAS_BACKEND")
    raise _backend_missing(_chosen if _chosen in _BACKENDS else "tensorflow")


def __getattr__(name: str):
    # Importing Keras takes seconds and fixes its backend: not before the physics is asked for.
    if name == "physics":
        return _import_module("keras_micromag.physics")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
