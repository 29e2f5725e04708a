"""
A first surrogate
=================

Train the paper's method on loops of small magnets, and predict that of one that it has not seen.

An autoencoder compresses states of the magnet to a few latent variables; a predictor continues them
from field to field, and is trained through its own recursion.
"""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np

from keras_micromag.baselines import mean_loop
from keras_micromag.data import Lattices
from keras_micromag.evaluation import evaluate
from keras_micromag.physics import cubic_grains, random_easy_axes, simulate
from keras_micromag.recipes import RECIPES, train

magnet = cubic_grains((2, 2, 2))
easy_axes = random_easy_axes((160, len(magnet)), cone=90.0, seed=2)
field = np.linspace(8.0, -8.0, 60)
true = simulate(magnet, easy_axes, field=field).magnetization  # (160, 60, 8, 3)
training, unseen = true[:150], true[150:]

# %%
# A recipe holds all settings of the training. This one is short: the default has 16,000 and 20,000
# batches, for magnets of 64 grains.

recipe = dataclasses.replace(
    RECIPES["default"], autoencoder_batches=2000, predictor_batches=8000, averaging=0.99
)
model = train(recipe, Lattices(training, (2, 2, 2)), field, verbose=0).model

# %%
# The model starts from the first states of a magnet that it has not seen. The mean of the training
# loops is the prediction that it must beat. Where a magnet reverses in avalanches, both are smooth.

first = {"states": unseen[:, : recipe.window], "field": np.tile(field, (len(unseen), 1))}
predicted = model.predict(first, verbose=0)  # (10, 60, 8, 3)
mean = mean_loop(training)
for name, prediction in {"model": predicted, "mean loop": mean}.items():
    errors = evaluate(unseen, prediction, field)["curve_rmse"]
    print(f"{name}: error of M/Ms {errors.mean():.3f} ± {errors.std():.3f} over ten magnets")

_, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.plot(field, unseen[0, ..., 2].mean(axis=-1), "k", label="simulated")
ax.plot(field, predicted[0, ..., 2].mean(axis=-1), label="predicted")
ax.plot(field, mean[..., 2].mean(axis=-1), ":", color="0.5", label="mean of the training loops")
ax.set(xlabel="µ0·H (T)", ylabel="M / Ms")
ax.legend()
