"""
A loss that keeps moments at length one
=======================================

Train one autoencoder with the squared error and one with the norm-preserving loss (Eq. 9).

Moments are unit vectors. A network that is trained with the squared error alone shortens those
that it is unsure of; the norm-preserving loss also weighs the error of their lengths.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

from keras_micromag.losses import NormPreservingLoss
from keras_micromag.metrics import NormError, SquaredError
from keras_micromag.physics import cubic_grains, random_easy_axes, simulate

magnet = cubic_grains((3, 3, 3))
easy_axes = random_easy_axes((5, len(magnet)), cone=35.0, seed=1)
states = simulate(magnet, easy_axes, field=np.linspace(8.0, -8.0, 200)).magnetization
states = states.reshape(-1, len(magnet), 3)  # of all magnets and fields


def autoencoder(latent_size=8):
    """Return a dense autoencoder of states (b, g, 3)."""
    return keras.Sequential(
        [
            keras.Input((len(magnet), 3)),
            layers.Flatten(),
            layers.Dense(64, activation="elu"),
            layers.Dense(latent_size),
            layers.Dense(64, activation="elu"),
            layers.Dense(3 * len(magnet)),
            layers.Reshape((len(magnet), 3)),
        ]
    )


# %%
# Both trainings report both terms of the loss. Weighing the lengths halves their error here, for a
# slightly larger squared error.

losses = {
    "squared error alone": NormPreservingLoss(mse_weight=1.0, norm_weight=0.0),
    "norm-preserving": NormPreservingLoss(mse_weight=0.5, norm_weight=0.5),
}
_, (left, right) = plt.subplots(1, 2, figsize=(8, 3.5), layout="constrained")
for (label, loss), color in zip(losses.items(), ("tab:blue", "tab:orange"), strict=True):
    keras.utils.set_random_seed(1)
    model = autoencoder()
    model.compile("nadam", loss, metrics=[SquaredError(), NormError()])
    history = model.fit(states, states, epochs=40, batch_size=32, verbose=0).history
    left.plot(history["squared_error"], color=color, label=label)
    right.plot(history["norm_error"], color=color, label=label)
left.set(xlabel="Epoch", ylabel="Squared error", yscale="log")
right.set(xlabel="Epoch", ylabel="Error of the lengths", yscale="log")
left.legend()
