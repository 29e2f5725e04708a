"""
Avalanches
==========

Find the exact field at which each avalanche begins, and how many grains take part in it.

``method="events"`` goes from one avalanche to the next instead of from one field to the next, so
that no step of the field merges two of them.
"""

import matplotlib.pyplot as plt
import numpy as np

from keras_micromag.physics import cubic_grains, random_easy_axes, simulate
from keras_micromag.plots import plot_avalanches

magnet = cubic_grains((4, 4, 4))
easy_axes = random_easy_axes((10, len(magnet)), cone=35.0, seed=1)  # ten magnets at once
loops = simulate(magnet, easy_axes, field=[8.0, -8.0], method="events")
events = loops.events
print(f"{len(events)} flips in {len(events.sizes)} avalanches")
print("coercivities", loops.coercivity().round(3), "T")

plot_avalanches(loops)

# %%
# Each step of this staircase is an avalanche of the first magnet. ``moment`` holds the mean moment
# along the field before and after it.

first = events.of([0])
begins = np.flatnonzero(np.diff(first.avalanche, prepend=-1))
_, ax = plt.subplots(figsize=(5.5, 4), layout="constrained")
for start in begins:
    ax.plot([first.field[start]] * 2, first.moment[start], color="tab:red", lw=2)
ax.plot(
    np.repeat(first.field[begins], 2), first.moment[begins].ravel(), color="0.3", lw=1, zorder=0
)
ax.axvline(-loops[0].coercivity(), color="0.6", ls=":", label="coercivity")
ax.set(xlabel="µ0·H (T)", ylabel="M / Ms")
ax.legend()
