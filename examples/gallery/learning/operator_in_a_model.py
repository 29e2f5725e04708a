"""
The demagnetising field as a Keras layer
========================================

Train a small network that has the exact demagnetising field as one of its layers.

The task: from the moments of 27 grains, predict for each grain the strongest field that opposes its
moment. The physics is linear and known, so the network need not learn it.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

from keras_micromag.layers import GuptasarmaDemag, UnitNorm
from keras_micromag.physics import cubic_grains

keras.utils.set_random_seed(1)
magnet = cubic_grains((3, 3, 3))
rng = np.random.default_rng(1)
moments = rng.normal(size=(1000, len(magnet), 3)).astype("float32")
moments /= np.linalg.norm(moments, axis=-1, keepdims=True)
field = keras.ops.convert_to_numpy(GuptasarmaDemag(magnet)(moments))  # (1000, 27, p, 3) in tesla
opposing = -(field * moments[:, :, None]).sum(axis=-1).min(axis=-1)


def build(with_field):
    """Return a network from moments (b, g, 3) to one number for each grain."""
    inputs = keras.Input((len(magnet), 3))
    unit = UnitNorm()(inputs)
    if with_field:
        fields = layers.Reshape((len(magnet), -1))(GuptasarmaDemag(magnet)(unit))
        x = layers.Concatenate()([unit, fields])
    else:  # each grain sees all moments, but must learn how they act
        every = layers.RepeatVector(len(magnet))(layers.Flatten()(unit))
        x = layers.Concatenate()([unit, every])
    x = layers.Dense(64, activation="elu")(x)
    return keras.Model(inputs, layers.Dense(1)(x)[..., 0])


# %%
# Both networks have the same size but for their inputs. Only the one with the layer predicts
# magnets that it has not seen.

_, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for label, color in (("with the layer", "tab:blue"), ("without", "tab:orange")):
    model = build(label == "with the layer")
    model.compile("adam", "mse", metrics=["mae"])
    history = model.fit(
        moments, opposing, epochs=15, batch_size=32, validation_split=0.2, verbose=0
    ).history
    ax.plot(history["val_mae"], color=color, label=label)
    print(f"{label}: error {history['val_mae'][-1]:.3f} T of {opposing.std():.3f} T")
ax.axhline(np.abs(opposing - opposing.mean()).mean(), color="0.5", ls=":", label="the mean")
ax.set(xlabel="Epoch", ylabel="Error on unseen magnets (T)", yscale="log")
ax.legend()
