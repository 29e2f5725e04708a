"""A recipe that takes no time, and learns nothing."""

import dataclasses

from keras_micromag import recipes
from tfds_esw import Config

QUICK = dataclasses.replace(
    recipes.RECIPES["default"],
    latent_size=3,
    window=4,
    hidden_layers=1,
    width=8,
    horizon=2,
    microstructure_size=2,
    images=2,
    autoencoder_batches=20,
    predictor_batches=20,
)

OTHERS = Config(name="others", shape=(2, 2, 2), steps=50, seed=7, splits={"train": 4, "test": 2})
"""Magnets like those of `tiny`, none of which is among them."""

IRREGULAR = Config(
    name="irregular",
    grains=(4, 6),
    Ku_spread=0.1,
    scheme=("centroid",),  # so that magnets of as many grains share a compiled loop
    steps=50,
    splits={"train": 4, "test": 2},
)
"""Polycrystals, each with grains of its own."""
