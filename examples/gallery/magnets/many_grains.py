"""
A thousand grains
=================

Simulate a larger magnet without storing its demagnetising matrix.

Equal grains on a lattice interact by a convolution: a fast Fourier transform replaces the product
with the matrix. `simulate` chooses the operator by itself; here it is built once and shown.
"""

import matplotlib.pyplot as plt
import numpy as np

from keras_micromag.physics import cubic_grains, demag_operator, random_easy_axes, simulate
from keras_micromag.plots import plot_magnet

magnet = cubic_grains((10, 10, 10), scheme=("vertices",))  # a particle at each corner
operator = demag_operator(magnet, "lattice")
particles = 8 * len(magnet)
print(f"dense matrix: {particles * len(magnet) * 36 / 1e6:.0f} MB in single precision")

easy_axes = random_easy_axes(len(magnet), cone=35.0, seed=1)
field = np.linspace(0.0, -6.0, 61)
loop = simulate(magnet, easy_axes, field=field, operator=operator)
print(f"coercivity {loop.coercivity():.2f} T")

# %%
# Where half of the magnet has reversed, clusters of neighbours have done so together.

step = np.abs(loop.magnetization_along_field).argmin()
half = loop.magnetization[step]
_, (left, right) = plt.subplots(1, 2, figsize=(8, 3.5), layout="constrained")
left.plot(field, loop.magnetization_along_field)
left.plot(field[step], loop.magnetization_along_field[step], "o")
left.set(xlabel="µ0·H (T)", ylabel="M / Ms")
plot_magnet(magnet, half, ax=right)
right.set_title(f"{field[step]:.1f} T")
