"""Read and write files of Neper (https://neper.info), the generator of polycrystals; run it."""

from keras_micromag.physics.io.neper.program import neper_grains
from keras_micromag.physics.io.neper.reading import read_neper
from keras_micromag.physics.io.neper.tessellation import Tessellation
from keras_micromag.physics.io.neper.writing import write_neper

__all__ = ["Tessellation", "neper_grains", "read_neper", "write_neper"]
