"""
Exchange between grains
=======================

Coercivity, squareness, avalanches and the δM plot of a magnet whose grain boundaries let exchange
through, from none to 6 mJ/m².

``exchange`` is the energy per area by which two neighbours couple, for all boundaries or for each
of them. ``areal_exchange`` computes it from the boundary phase: a stiffness of 2 pJ/m over 4 nm is
1 mJ/m².
"""

import matplotlib.pyplot as plt
import numpy as np

from keras_micromag.physics import areal_exchange, cubic_grains, random_easy_axes, simulate

magnet = cubic_grains((4, 4, 4))
easy_axes = random_easy_axes((8, len(magnet)), cone=35.0, seed=1)  # eight magnets
couplings = 1e-3 * np.array([0.0, 0.3, 1.0, 2.0, 3.0, 6.0])  # J/m²
print(f"2 pJ/m over 4 nm: {areal_exchange(2e-12, 4e-9):.4f} J/m²")

# %%
# The squareness is the field at which a tenth of the remanence is lost, over the coercivity.


def squareness(loop):
    """Return the squareness of each magnet."""
    curves = loop.magnetization_along_field
    knee = [np.interp(-0.9 * curve[loop.field == 0], -curve, -loop.field) for curve in curves]
    return np.ravel(knee) / loop.coercivity()


field = np.linspace(8.0, -8.0, 321)
loops = [
    simulate(magnet, easy_axes, exchange=exchange, field=field, method="events")
    for exchange in couplings
]
coercivity = [loop.coercivity().mean() for loop in loops]
square = [squareness(loop).mean() for loop in loops]
# Grains in the avalanche of a grain, in the mean over all grains.
partners = [(loop.events.sizes**2).sum() / loop.events.sizes.sum() for loop in loops]
for row in zip(couplings, coercivity, square, partners, strict=True):
    print("{:.4f} J/m²: {:.2f} T, squareness {:.2f}, {:.0f} grains at once".format(*row))

# %%
# δM compares two remanences after the same field H: that of a magnet which was demagnetised, with
# as many grains up as down, and that of one which was saturated in the other direction. Without
# interactions it is 0 at all fields; coupling that holds grains together makes it positive,
# demagnetising fields make it negative.

steps = np.linspace(2.0, 6.5, 31)
back_and_forth = np.stack([steps, np.zeros_like(steps)], axis=1).ravel()
rng = np.random.default_rng(1)
signs = rng.permuted(np.tile([1.0, -1.0], (8, 32)), axis=1)


def remanences(start, sign, exchange, **options):
    """Return the mean remanence of the magnets after each field."""
    along = [start, 0.0, *sign * back_and_forth]
    loop = simulate(magnet, easy_axes, exchange=exchange, field=along, **options)
    return loop.magnetization_along_field[:, 3::2].mean(axis=0)


figure, (left, middle, right) = plt.subplots(1, 3, figsize=(9.5, 3), layout="constrained")
for exchange, color in zip(couplings[[0, 2, 4]], ("k", "tab:blue", "tab:orange"), strict=True):
    initial = remanences(0.0, 1.0, exchange, initial_state=signs[..., None] * easy_axes)
    back = remanences(8.0, -1.0, exchange)
    delta = (back + 2 * initial) / initial[-1] - 1
    right.plot(steps, delta, color=color, label=f"{1e3 * exchange:g} mJ/m²")
left.plot(1e3 * couplings, coercivity, "o-", label="coercivity (T)")
left.plot(1e3 * couplings, square, "s-", label="squareness")
left.set(xlabel="J (mJ/m²)", ylim=(0, None))
middle.plot(1e3 * couplings, partners, "o-")
middle.set(xlabel="J (mJ/m²)", ylabel="grains in an avalanche", ylim=(0, None))
right.axhline(0.0, color="0.7", lw=1)
right.set(xlabel="µ0·H (T)", ylabel="δM")
left.legend()
right.legend()

# %%
# Coupled grains reverse together. Hard ones are taken along, soft ones are held until the first
# nucleus forms at a corner of the magnet, where no neighbour holds it. So the coercivity levels off
# where all reverse at once.
