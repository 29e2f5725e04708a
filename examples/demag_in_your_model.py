"""A Keras model with the exact demagnetising field inside.

The model learns from the moments of the grains the largest demagnetising field against each moment,
which drives the grain to reverse. The field is one layer of the model, the rest is plain Keras.
"""

import keras
import numpy as np
from keras import layers

from keras_micromag.layers import GuptasarmaDemag, UnitNorm
from keras_micromag.physics import cubic_grains


def build(magnet):
    """Return a small network, (b, g, 3) to (b, g), with the field at every particle as an input."""
    moments = keras.Input((len(magnet), 3))
    unit = UnitNorm()(moments)
    field = GuptasarmaDemag(magnet)(unit)  # (b, g, 27, 3) in tesla
    flat = layers.Reshape((len(magnet), -1))(field)
    x = layers.Concatenate()([unit, flat])
    x = layers.Dense(64, activation="elu")(x)
    return keras.Model(moments, layers.Dense(1)(x)[..., 0])


def main(grid=(3, 3, 3), samples=2000, epochs=20):
    """Train the model on random moments and return its history."""
    magnet = cubic_grains(grid)
    rng = np.random.default_rng(1)
    moments = rng.normal(size=(samples, len(magnet), 3)).astype("float32")
    moments /= np.linalg.norm(moments, axis=-1, keepdims=True)
    field = np.asarray(keras.ops.convert_to_numpy(GuptasarmaDemag(magnet)(moments)))
    against = -(field * moments[:, :, None]).sum(axis=-1).min(axis=-1)

    model = build(magnet)
    model.compile("adam", "mse", metrics=["mae"])
    history = model.fit(
        moments, against, epochs=epochs, batch_size=32, validation_split=0.2, verbose=2
    )
    error = history.history["val_mae"][-1]
    print(f"spread of the targets: {against.std():.3f} T, error: {error:.3f} T")
    return history.history


if __name__ == "__main__":
    main()
