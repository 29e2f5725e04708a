"""
A polycrystal and its switching fields
======================================

Simulate irregular grains of different sizes, and see which of them reverse first.
"""

import matplotlib.pyplot as plt
import numpy as np

from keras_micromag.physics import ND2FE14B, random_easy_axes, simulate, voronoi_grains
from keras_micromag.plots import misorientation, plot_magnet

magnet = voronoi_grains(60, 200e-9, 1, 3e-9, sigma=0.25, vanishing="drop")
easy_axes = random_easy_axes(len(magnet), cone=35.0, seed=1)
loop = simulate(magnet, easy_axes, field=np.linspace(8.0, -8.0, 321))
print(f"{len(magnet)} grains, {magnet.packing_fraction:.0%} of the volume is magnetic")

plot_magnet(magnet, values=loop.switching_fields, label="Switching field (T)", explode=0.35)

# %%
# A particle without any demagnetising field would reverse on the line. In the magnet its own field
# and that of its neighbours act on it, so that nearly all grains reverse in weaker fields. The
# symbols grow with the volumes of the grains.

angles = misorientation(easy_axes)
radians = np.radians(np.linspace(0.5, angles.max(), 100))
alone = (np.cos(radians) ** (2 / 3) + np.sin(radians) ** (2 / 3)) ** -1.5
_, ax = plt.subplots(figsize=(5.5, 4), layout="constrained")
ax.plot(
    np.degrees(radians),
    -ND2FE14B.anisotropy_field * alone,
    color="0.3",
    label="no demagnetising field",
)
ax.scatter(angles, loop.switching_fields, s=magnet.volumes / magnet.volumes.mean() * 30)
ax.set(xlabel="Angle of the easy axis to the field (°)", ylabel="Switching field (T)")
ax.legend()
