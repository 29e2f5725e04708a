"""Keras layers of the physics, to drop into any model.

They compute in the dtype policy's variable dtype, float32 or float64, also under mixed precision:
half precision loses the fields of distant grains. What they return has the compute dtype.
"""

from keras_micromag.layers.demag import GuptasarmaDemag
from keras_micromag.layers.grain_convolution import GrainConvolution
from keras_micromag.layers.hysteresis import EmbeddedStonerWohlfarth
from keras_micromag.layers.particle import StonerWohlfarth
from keras_micromag.layers.unit_norm import UnitNorm

__all__ = [
    "EmbeddedStonerWohlfarth",
    "GrainConvolution",
    "GuptasarmaDemag",
    "StonerWohlfarth",
    "UnitNorm",
]
