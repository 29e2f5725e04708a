"""
Two phases in one magnet
========================

Mix grains of Sm2Co17 into a magnet of Nd2Fe14B.

``material`` may be a list with one material for each grain. Grains interact by their fields, not by
exchange, as if a thin nonmagnetic phase separated them.
"""

import matplotlib.pyplot as plt
import numpy as np

from keras_micromag.physics import MATERIALS, cubic_grains, mixed_phases, random_easy_axes, simulate

phases = [MATERIALS["Nd2Fe14B"], MATERIALS["Sm2Co17"]]
for phase in phases:
    print(f"{phase.name}: Js {phase.Js} T, anisotropy field {phase.anisotropy_field:.1f} T")

magnet = cubic_grains((4, 4, 4))
easy_axes = random_easy_axes(len(magnet), cone=20.0, seed=1)
field = np.linspace(8.0, -8.0, 321)

_, ax = plt.subplots(figsize=(6, 4), layout="constrained")
shares = [0.0, 0.25, 0.5, 0.75, 1.0]
colors = plt.cm.viridis(np.linspace(0.0, 0.9, len(shares)))
for share, color in zip(shares, colors, strict=True):
    if 0 < share < 1:
        material = mixed_phases(magnet, phases, [1 - share, share], seed=1)
    else:
        material = phases[round(share)]
    loop = simulate(magnet, easy_axes, material=material, field=field)
    polarisation = loop.magnetization_along_field * loop.polarization.mean()
    ax.plot(field, polarisation, color=color, label=f"{share:.0%}")
ax.set(xlabel="µ0·H (T)", ylabel="Polarisation of the grains (T)")
ax.legend(title=f"Volume of {phases[1].name}")
