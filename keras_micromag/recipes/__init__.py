"""Training of the paper's method: a `Recipe` holds every setting, and `train` follows it.

The submodules have the single steps: `autoencoders` and `predictors` build a compiled model and
train it, `training` joins both for grains on a lattice, and `polycrystals` for irregular grains.
"""

from keras_micromag.recipes.polycrystals import train_on_polycrystals
from keras_micromag.recipes.settings import RECIPES, Recipe
from keras_micromag.recipes.training import Trained, train, train_autoencoder, train_predictor

__all__ = [
    "RECIPES",
    "Recipe",
    "Trained",
    "train",
    "train_autoencoder",
    "train_on_polycrystals",
    "train_predictor",
]
