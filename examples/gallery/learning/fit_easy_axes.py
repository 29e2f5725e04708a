"""
Find easy axes by gradient descent
==================================

Differentiate through the Stoner–Wohlfarth particle, and recover easy axes from measured moments.

The layer `StonerWohlfarth` computes the equilibrium of a particle, and its gradient by the implicit
function theorem. Here a model's only weights are the directions of the easy axes.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import ops

from keras_micromag.layers import StonerWohlfarth
from keras_micromag.physics import random_easy_axes

count = 20
true_axes = random_easy_axes(count, cone=35.0, seed=1)
directions = np.eye(3)[[0, 1, 2]]  # fields along x, y and z
fields = (3.0 * directions[:, None] + np.zeros((3, count, 3))).astype("float32")  # tesla


class Grains(keras.Model):
    """Predicts the moments of grains in any field; the easy axes are its weights."""

    def __init__(self):
        super().__init__()
        self.axes = self.add_weight(
            shape=(count, 3), initializer=lambda shape, dtype: ops.array(start, dtype), name="axes"
        )
        self.particle = StonerWohlfarth()

    def call(self, field):
        """Return moments (b, g, 3) in the total field (b, g, 3)."""
        unit = self.axes / ops.norm(self.axes, axis=-1, keepdims=True)
        axes = ops.broadcast_to(unit, ops.shape(field))
        branch = ops.ones(ops.shape(field)[:2])
        return self.particle({"branch": branch, "easy_axes": axes, "field": field})["moments"]


def angles(model):
    """Return the angles between the axes of the model and the true ones, in degrees."""
    axes = ops.convert_to_numpy(model.axes)
    cosines = (axes * true_axes).sum(axis=1) / np.linalg.norm(axes, axis=1)
    return np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))


start = true_axes
measured = ops.convert_to_numpy(Grains()(fields))
start = np.tile([0.0, 0.0, 1.0], (count, 1))
model = Grains()
model.compile(keras.optimizers.Adam(0.02), "mse")

# %%
# All axes start along z, and turn towards the true ones.

history = [angles(model)]
for _ in range(12):
    model.fit(fields, measured, epochs=10, batch_size=3, verbose=0)
    history.append(angles(model))
print(
    f"angle to the true axes: {history[0].mean():.1f}° at first, {history[-1].mean():.2f}° at last"
)

_, ax = plt.subplots(figsize=(5.5, 4), layout="constrained")
ax.plot(10 * np.arange(len(history)), history, color="tab:blue", alpha=0.4)
ax.set(xlabel="Epoch", ylabel="Angle to the true easy axis (°)")
