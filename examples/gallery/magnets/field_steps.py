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
# In both the weakest grain flips first. The error is the root mean square over ten magnets.

steps = np.array([0.4, 0.1, 0.025])  # tesla
errors = []
for step in steps:
    field = np.arange(8.0, -8.0 - step / 2, -step)
    loops = simulate(magnet, easy_axes, field=field, avalanche="weakest_first")
    errors.append(np.sqrt(np.mean((loops.coercivity() - exact) ** 2)))
    print(f"steps of {step * 1000:3.0f} mT: {errors[-1] * 1000:.1f} mT")

_, ax = plt.subplots(figsize=(5.5, 4), layout="constrained")
ax.plot(steps * 1000, np.array(errors) * 1000, "o-")
ax.set(
    xlabel="Step of the field (mT)",
    ylabel="Error of the coercivity (mT)",
    xlim=(0, None),
    ylim=(0, None),
)
