"""
How fine must the steps of the field be?
========================================

Compare loops by steps of the field with loops by events, which need no steps.
"""

import matplotlib.pyplot as plt
import numpy as np

from keras_micromag.physics import cubic_grains, random_easy_axes, simulate

magnet = cubic_grains((3, 3, 3))
easy_axes = random_easy_axes((10, len(magnet)), cone=35.0, seed=1)
exact = simulate(magnet, easy_axes, field=[8.0, -8.0], method="events").coercivity()

# %%
# In both the weakest grain flips first. Each point is a magnet. Most errors fall with the step; but
# where a step merges two avalanches a magnet may reverse in another order, and finer steps need not
# bring it back.

steps = np.array([0.4, 0.1, 0.025])  # tesla
errors = []
for step in steps:
    loops = simulate(magnet, easy_axes, field=np.arange(8.0, -8.0 - step / 2, -step))
    errors.append(np.abs(loops.coercivity() - exact) * 1000)
    print(f"steps of {step * 1000:3.0f} mT: error of {np.median(errors[-1]):.1f} mT in the median")

_, ax = plt.subplots(figsize=(5.5, 4), layout="constrained")
ax.plot(steps * 1000, errors, "o", color="tab:blue", alpha=0.4)
ax.plot(steps * 1000, np.median(errors, axis=1), "k-", label="median")
ax.set(xlabel="Step of the field (mT)", ylabel="Error of the coercivity (mT)", xlim=(0, None))
ax.legend()
