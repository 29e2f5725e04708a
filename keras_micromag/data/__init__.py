"""Training data from simulated loops: weights (Eq. 8), splits, images, windows, polycrystals."""

from keras_micromag.data.lattices import Lattices
from keras_micromag.data.polycrystals import Polycrystals, grain_features
from keras_micromag.data.samples import sample_weights, split_by_simulation, symmetric_images
from keras_micromag.data.windows import Windows

__all__ = [
    "Lattices",
    "Polycrystals",
    "Windows",
    "grain_features",
    "sample_weights",
    "split_by_simulation",
    "symmetric_images",
]
