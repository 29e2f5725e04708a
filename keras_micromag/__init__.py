"""Demagnetisation curves of permanent magnets, and the Keras parts to learn them.

`keras_micromag.physics` computes hysteresis by the embedded Stoner–Wohlfarth method, on any Keras
backend; `layers`, `losses`, `metrics`, `models` and `data` are Keras parts that learn it.
"""

import os as _os
import sys as _sys
from importlib import import_module as _import_module
from importlib.util import find_spec as _find_spec
from typing import TYPE_CHECKING as _TYPE_CHECKING

if _TYPE_CHECKING:
    from keras_micromag import data, layers, losses, metrics, models, physics

# A plain literal: setuptools reads it without running this file.
__version__ = "0.1.0"

__all__ = ["data", "layers", "losses", "metrics", "models", "physics"]

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
    # Importing Keras takes seconds and fixes its backend: not before one of these is asked for.
    if name in __all__:
        return _import_module(f"keras_micromag.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _register() -> None:
    """Make Keras know the classes that a `.keras` file may name."""
    for name in ("layers", "losses", "metrics", "models"):
        _import_module(f"keras_micromag.{name}")


class _RegisterAfterKeras:
    """Waits on `sys.meta_path` for the first `import keras`, and registers after it.

    Where Keras's backend is missing, it says what to install.

    One of our own modules may be what imports Keras, and be only half loaded. So single modules are
    imported as modules (`from keras_micromag import losses`), and packages import names from each
    other's submodules.
    """

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name != "keras":
            return None
        _sys.meta_path.remove(cls)
        spec = _find_spec(name)
        if spec and spec.loader:
            execute = spec.loader.exec_module

            def execute_and_register(module):
                try:
                    execute(module)
                except ModuleNotFoundError as error:
                    # Keras may stumble over a submodule first: tensorflow.python, torch.utils.
                    missing = (error.name or "").partition(".")[0]
                    if missing not in _BACKENDS:
                        raise
                    # Keras's own traceback would only bury the sentence.
                    raise _backend_missing(missing) from None
                _register()

            spec.loader.exec_module = execute_and_register
        return spec


if "keras" in _sys.modules:
    _register()
else:
    _sys.meta_path.insert(0, _RegisterAfterKeras)
