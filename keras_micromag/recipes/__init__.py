"""Training of the paper's method: a `Recipe` holds every setting, and `train` follows it."""

from keras_micromag.recipes.settings import RECIPES, Recipe
from keras_micromag.recipes.training import train, train_autoencoder, train_predictor

__all__ = ["RECIPES", "Recipe", "train", "train_autoencoder", "train_predictor"]
