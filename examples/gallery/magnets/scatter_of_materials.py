"""
Grains that are not all alike
=============================

Let the anisotropy constant scatter from grain to grain, and see how the curve changes.
"""

import matplotlib.pyplot as plt
import numpy as np

from keras_micromag.physics import (
    ND2FE14B,
    cubic_grains,
    random_easy_axes,
    simulate,
    spread_materials,
)

magnet = cubic_grains((4, 4, 4), material=ND2FE14B)  # particles at the depth of the median
count = 12  # magnets for each scatter, computed at once
easy_axes = random_easy_axes((count, len(magnet)), cone=20.0, seed=1)
scatters = [0.0, 0.05, 0.1, 0.2]
field = np.linspace(8.0, -8.0, 161)

_, ax = plt.subplots(figsize=(6, 4), layout="constrained")
colors = plt.cm.viridis(np.linspace(0.0, 0.9, len(scatters)))
for scatter, color in zip(scatters, colors, strict=True):
    materials = [
        spread_materials(ND2FE14B, len(magnet), Ku=scatter, seed=[1, number])
        for number in range(count)
    ]
    loops = simulate(magnet, easy_axes, material=materials, field=field)
    ax.plot(
        field, loops.magnetization_along_field.mean(axis=0), color=color, label=f"{scatter:.0%}"
    )
    coercivity = loops.coercivity()
    first = np.nanmax(loops.switching_fields, axis=1)
    print(
        f"{scatter:3.0%}: coercivity {coercivity.mean():.2f} ± {coercivity.std():.2f} T, "
        f"the first grain reverses at {first.mean():.2f} T"
    )
ax.set(xlabel="µ0·H (T)", ylabel="M / Ms", xlim=(-7, -2))
ax.legend(title="Scatter of Ku")

# %%
# Weak grains reverse earlier and hard ones later, so that the curve is rounder, and magnets differ
# more from each other. The coercivity, at which half of the moment has reversed, hardly changes
# on average.
