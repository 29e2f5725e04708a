"""
A first loop
============

Simulate the demagnetisation curve of a small magnet and look at the grains while they reverse.

The magnet has 64 cubic grains of Nd2Fe14B, 50 nm each, with easy axes within 35° of the field.
"""

import numpy as np

from keras_micromag.physics import cubic_grains, random_easy_axes, simulate
from keras_micromag.plots import plot_loops, plot_reversal

magnet = cubic_grains((4, 4, 4), size=50e-9, gap=3e-9)  # metres
easy_axes = random_easy_axes(len(magnet), cone=35.0, seed=1)
field = np.linspace(8.0, -8.0, 500)  # µ0·H in tesla, along +z
loop = simulate(magnet, easy_axes, field=field)

# %%
# The result holds the unit moment of every grain at every field, and the figures of merit of the
# curve.

print("moments", loop.magnetization.shape)
print(f"coercivity {loop.coercivity():.2f} T, remanence {loop.remanence():.2f} T")
print("compared with micromagnetics:", loop.trust)
plot_loops(loop)

# %%
# In strong fields the moments turn towards the field without a jump. Against the field they reverse
# grain by grain, several at once where one flip brings about the next.

plot_reversal(magnet, loop)
