"""
Energy product and the shape of a body
======================================

Read the energy product of one loop for samples of different shapes.

A body demagnetises itself by its shape. ``energy_product`` takes its demagnetising factor along the
field: 0 for a needle, 1/3 for a cube, 1 for a plate.
"""

import matplotlib.pyplot as plt
import numpy as np

from keras_micromag.physics import cubic_grains, random_easy_axes, simulate

magnet = cubic_grains((4, 4, 4), gap=2e-9)
easy_axes = random_easy_axes(len(magnet), cone=20.0, seed=1)
loop = simulate(magnet, easy_axes, field=np.linspace(8.0, -8.0, 1000))

# %%
# The simulated block of grains is itself a cube: within it the field is weaker than the applied one
# by a third of the polarisation. With ``energy_product(1/3)`` the loop is read against the field
# inside. In so hard a magnet that changes little, since the polarisation hardly changes there.

for factor in (0.0, 1 / 3):
    print(f"N = {factor:.2f}: {loop.energy_product(factor) / 1000:.0f} kJ/m³")

density = loop.polarization[0] * magnet.packing_fraction
polarisation = density * loop.magnetization_along_field
inside = loop.field - polarisation / 3  # µ0·H inside a cube
induction = inside + polarisation
_, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.plot(inside, polarisation, label="polarisation J")
ax.plot(inside, induction, label="induction B")
second = (inside < 0) & (induction > 0)
best = np.argmax(np.where(second, -inside * induction, 0.0))
ax.add_patch(
    plt.Rectangle((inside[best], 0), -inside[best], induction[best], color="0.85", zorder=0)
)
ax.set(xlabel="µ0·H inside (T)", ylabel="J and B (T)", xlim=(-4, 0.5), ylim=(0, 1.6))
ax.set(title="The largest rectangle below B is the energy product")
ax.legend()
