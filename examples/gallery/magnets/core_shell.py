"""
Damaged surfaces
================

Give every grain a shell of another material, as machining or corrosion leave behind.

`core_shell` divides each grain into a core and a shell, which are grains of their own.
"""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np

from keras_micromag.physics import (
    ND2FE14B,
    core_shell,
    cubic_grains,
    random_easy_axes,
    simulate,
)

grains = cubic_grains((3, 3, 3), size=60e-9)
axes = random_easy_axes(len(grains), cone=20.0, seed=1)
field = np.linspace(8.0, -8.0, 321)
magnet = core_shell(grains, 6e-9)
easy_axes = np.concatenate([axes, axes])  # cores, then shells

_, ax = plt.subplots(figsize=(6, 4), layout="constrained")
shares = (1.0, 0.8, 0.6)
colors = plt.cm.viridis(np.linspace(0.0, 0.9, len(shares)))
for share, color in zip(shares, colors, strict=True):
    damaged = dataclasses.replace(ND2FE14B, Ku=share * ND2FE14B.Ku, name="damaged")
    material = [ND2FE14B] * len(grains) + [damaged] * len(grains)
    loop = simulate(magnet, easy_axes, material=material, field=field)
    curve = loop.magnetization_along_field
    ax.plot(field, curve, color=color, label=f"{share:.0%}")
    print(f"shells of {share:.0%} Ku: coercivity {loop.coercivity():.2f} T")
ax.set(xlabel="µ0·H (T)", ylabel="M / Ms")
ax.legend(title="Ku of the shells")

# %%
# The shells hold half of the volume. Softer ones reverse first and leave a step in the curve, and
# the cores follow at nearly the field at which they would without damage: core and shell interact
# by their fields alone, not by exchange.
