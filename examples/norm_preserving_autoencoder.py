"""`NormPreservingLoss` in a plain Keras autoencoder, compared with the squared error alone.

The model has no layer of this package: the loss takes any vectors on the last axis. Its two terms
are metrics of both trainings, which can therefore be compared (Fig. 5).
"""

import keras
import numpy as np
from keras import layers

from keras_micromag.losses import NormPreservingLoss
from keras_micromag.metrics import NormError, SquaredError
from keras_micromag.physics import cubic_grains, random_easy_axes, simulate


def build(grains, latent_size=8):
    """Return a dense autoencoder of (b, g, 3)."""
    return keras.Sequential(
        [
            keras.Input((grains, 3)),
            layers.Flatten(),
            layers.Dense(64, activation="elu"),
            layers.Dense(latent_size),
            layers.Dense(64, activation="elu"),
            layers.Dense(3 * grains),
            layers.Reshape((grains, 3)),
        ]
    )


def main(grid=(3, 3, 3), magnets=5, fields=200, epochs=20):
    """Train with both losses; return the last validation errors of each."""
    magnet = cubic_grains(grid)
    easy_axes = random_easy_axes((magnets, len(magnet)), seed=1)
    field = np.linspace(8.0, -8.0, fields)
    states = simulate(magnet, easy_axes, field=field, progress=False).magnetization
    training, validation = states[:-1].reshape(-1, len(magnet), 3), states[-1]
    errors = {}
    for name, loss in (
        ("squared error alone", NormPreservingLoss(1.0, 0.0)),
        ("norm-preserving", NormPreservingLoss(0.85, 0.15)),
    ):
        keras.utils.set_random_seed(1)
        model = build(len(magnet))
        model.compile("nadam", loss, metrics=[SquaredError(), NormError()])
        model.fit(training, training, epochs=epochs, batch_size=32, verbose=0)
        _, squared, norm = model.evaluate(validation, validation, verbose=0)
        errors[name] = squared, norm
        print(f"{name}: squared error {squared:.3f}, norm error {norm:.3f} on an unseen magnet")
    return errors


if __name__ == "__main__":
    main()
