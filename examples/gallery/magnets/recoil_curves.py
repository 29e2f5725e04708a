"""
Recoil curves
=============

Take the field back before the magnet has reversed completely, and follow the moments on the way.

``field`` may be any sequence: the state is carried along it. Here it turns round at several
fields on the demagnetisation curve, and comes back to each.
"""

import matplotlib.pyplot as plt
import numpy as np

from keras_micromag.physics import cubic_grains, random_easy_axes, simulate

magnet = cubic_grains((4, 4, 4))
easy_axes = random_easy_axes(len(magnet), cone=35.0, seed=1)
turning_points = [-3.0, -3.4, -3.8, -4.2]

pieces = [np.linspace(8.0, turning_points[0], 111)]
for turn, following in zip(turning_points, [*turning_points[1:], -8.0], strict=True):
    pieces.append(np.linspace(turn, 2.0, 51)[1:])  # recoil
    pieces.append(np.linspace(2.0, turn, 51)[1:])  # and back
    pieces.append(np.linspace(turn, following, 41)[1:])  # on along the demagnetisation curve
field = np.concatenate(pieces)
loop = simulate(magnet, easy_axes, field=field)

curve = loop.magnetization_along_field
_, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ends = np.cumsum([len(piece) for piece in pieces])
for number, (end, piece) in enumerate(zip(ends, pieces, strict=True)):
    part = slice(max(end - len(piece) - 1, 0), end)
    recoil = number % 3 != 0
    ax.plot(field[part], curve[part], color="tab:blue" if recoil else "0.2", lw=1.2)
ax.set(xlabel="µ0·H (T)", ylabel="M / Ms", title="Demagnetisation curve and recoil curves")

# %%
# Recoil curves are nearly straight and reversible: the moments turn a little, and no grain
# reverses. The slope of polarisation against field, plus one, is the recoil permeability.

for number, turn in enumerate(turning_points):
    up = slice(ends[3 * number] - 1, ends[3 * number + 1])
    lost = abs(curve[ends[3 * number + 2] - 1] - curve[up.start])
    slope = np.polyfit(field[up], curve[up] * loop.polarization[0] * magnet.packing_fraction, 1)[0]
    print(f"from {turn} T: permeability {1 + slope:.3f}, {lost:.3f} Ms are lost")
