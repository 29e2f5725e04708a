"""
A field at an angle
===================

Turn the field away from the texture axis, and compare the coercivity with that of one particle.
"""

import matplotlib.pyplot as plt
import numpy as np

from keras_micromag.physics import (
    ND2FE14B,
    cubic_grains,
    random_easy_axes,
    simulate,
    switching_field,
)

magnet = cubic_grains((4, 4, 4))
easy_axes = random_easy_axes(len(magnet), cone=15.0, seed=1)
angles = np.radians([0.0, 15.0, 30.0, 45.0, 60.0])
loops = [
    simulate(
        magnet,
        easy_axes,
        field=np.linspace(8.0, -8.0, 321),
        field_direction=(np.sin(angle), 0.0, np.cos(angle)),
    )
    for angle in angles
]

_, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
colors = plt.cm.viridis(np.linspace(0.0, 0.9, len(angles)))
for angle, loop, color in zip(angles, loops, colors, strict=True):
    curve = loop.magnetization_along_field
    ax.plot(loop.field, curve, color=color, label=f"{np.degrees(angle):.0f}°")
ax.set(xlabel="µ0·H (T)", ylabel="Moment along the field (Ms)")
ax.legend(title="Field at")

# %%
# A single particle is easiest to reverse at 45°. Of a textured magnet the coercivity changes less,
# since its easy axes scatter.

_, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
fine = np.radians(np.linspace(0.0, 60.0, 121))
ax.plot(np.degrees(fine), ND2FE14B.anisotropy_field * switching_field(fine), label="a particle")
ax.plot(np.degrees(angles), [loop.coercivity() for loop in loops], "o-", label="the magnet")
ax.set(xlabel="Angle of the field (°)", ylabel="Field of reversal (T)", ylim=(0, None))
ax.legend()
