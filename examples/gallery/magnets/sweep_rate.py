"""
Coercivity against the sweep rate
=================================

The faster a loop is measured, the less time grains have to cross their barriers by heat: from a
viscosity measurement of weeks to a pulse of milliseconds the coercivity grows with the logarithm of
the rate.
"""

import matplotlib.pyplot as plt
import numpy as np

from keras_micromag.physics import Thermal, cubic_grains, random_easy_axes, simulate

magnet = cubic_grains((4, 4, 4))
easy_axes = random_easy_axes((10, len(magnet)), seed=1)
rates = np.logspace(-6, 3, 7)  # T/s


def coercivity(temperature, thermal=None):
    """Return the mean coercivity of ten magnets in tesla."""
    loops = simulate(
        magnet,
        easy_axes,
        temperature=temperature,
        thermal=thermal,
        field=[8.0, -8.0],
        method="events",
    )
    return loops.coercivity().mean()


_, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
for temperature in (300.0, 450.0):
    values = [coercivity(temperature, Thermal(temperature, sweep_rate=rate)) for rate in rates]
    (line,) = ax.semilogx(rates, values, "o-", label=f"{temperature:.0f} K")
    ax.axhline(coercivity(temperature), ls="--", color=line.get_color())
    slope = np.polyfit(np.log10(rates), values, 1)[0]
    print(f"{temperature:.0f} K: {1e3 * slope:.0f} mT for each factor of ten in the rate")
ax.set(xlabel="sweep rate (T/s)", ylabel="µ0·Hc (T)", ylim=(0, None))
ax.legend(title="dashed: without activation")

# %%
# After a step of the field the moment creeps, by S = -dM/d(ln t). Each grain of each magnet has a
# time of its own here, which `seed` draws.

waits = np.logspace(-3, 5, 9)  # seconds
_, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
for field in (-2.6, -2.8, -3.0):
    moments = [
        simulate(
            magnet,
            easy_axes,
            field=[8.0, field],
            thermal=Thermal(300.0, wait=wait, seed=2),
        ).mean_magnetization[:, 1, 2]
        for wait in waits
    ]
    ax.semilogx(waits, np.mean(moments, axis=1), "o-", label=f"{field} T")
ax.set(xlabel="time in the field (s)", ylabel="M/Ms")
ax.legend()
