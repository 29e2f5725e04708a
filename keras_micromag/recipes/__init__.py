"""How the paper's method is trained: a recipe is every setting, `train` follows it.

`build_…` makes a compiled model and `fit_…` trains it, for who wants to do something between; the
`train_…` do both.
"""

from keras_micromag.recipes.autoencoders import build_autoencoder, encode, fit_autoencoder
from keras_micromag.recipes.polycrystals import (
    encode_polycrystals,
    train_grain_autoencoder,
    train_grain_predictor,
    train_on_polycrystals,
    whole_of_grains,
)
from keras_micromag.recipes.predictors import Encoded, build_predictor, fit_predictor
from keras_micromag.recipes.settings import RECIPES, Recipe, recipe
from keras_micromag.recipes.training import (
    LOOPS,
    Trained,
    split,
    train,
    train_autoencoder,
    train_predictor,
    whole,
    with_images,
)

__all__ = [
    "LOOPS",
    "RECIPES",
    "Encoded",
    "Recipe",
    "Trained",
    "build_autoencoder",
    "build_predictor",
    "encode",
    "encode_polycrystals",
    "fit_autoencoder",
    "fit_predictor",
    "recipe",
    "split",
    "train",
    "train_autoencoder",
    "train_grain_autoencoder",
    "train_grain_predictor",
    "train_on_polycrystals",
    "train_predictor",
    "whole",
    "whole_of_grains",
    "with_images",
]
