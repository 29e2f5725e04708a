"""The TFDS dataset `tfds_esw`: hysteresis loops of multigrain magnets.

Importing this registers it with TFDS: for `tfds.load("tfds_esw/paper")` and `tfds.data_source`.
"""

from importlib import import_module as _import_module

try:
    import tensorflow_datasets as _tfds  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "tensorflow_datasets":
        raise
    raise ModuleNotFoundError(
        'The data set needs TFDS, which is not installed: pip install "keras-micromag[data]".',
        name=error.name,
    ) from None

from tfds_esw.config import Config
from tfds_esw.tfds_esw_dataset_builder import Builder

__all__ = ["Builder", "Config", "examples", "hysteresis", "microstructure"]


def __getattr__(name: str):
    # Imported late, since these need Keras, and reading the data does not.
    if name in __all__:
        return getattr(_import_module("tfds_esw.simulations"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
