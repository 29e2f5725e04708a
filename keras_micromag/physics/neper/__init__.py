"""Polycrystals from and to Neper (https://neper.info), the generator of polycrystals."""

from keras_micromag.physics.neper.program import neper_grains
from keras_micromag.physics.neper.reading import read_neper
from keras_micromag.physics.neper.tessellation import Tessellation
from keras_micromag.physics.neper.writing import write_neper

__all__ = ["Tessellation", "neper_grains", "read_neper", "write_neper"]
