"""
A magnet from 300 to 500 K
==========================

Remanence, coercivity and energy product of the same magnet, once of Nd2Fe14B and once of Sm2Co17,
their temperature coefficients beside those of sintered magnets, and Kronmüller's fit.
"""

import matplotlib.pyplot as plt
import numpy as np

from keras_micromag.analysis import kronmueller, temperature_coefficient
from keras_micromag.physics import MATERIALS, cubic_grains, random_easy_axes, simulate

magnet = cubic_grains((4, 4, 4))
easy_axes = random_easy_axes((4, len(magnet)), cone=20.0, seed=1)  # four magnets
temperatures = np.linspace(300.0, 500.0, 9)
field = np.linspace(8.0, -8.0, 161)

# %%
# `temperature` takes the constants of the material to that temperature, and the particles, which
# lie at its calibrated depth, move with it.

names = "Nd2Fe14B", "Sm2Co17"
results = {}
for name in names:
    loops = [
        simulate(
            magnet,
            easy_axes,
            material=MATERIALS[name],
            temperature=temperature,
            field=field,
            method="events",
        )
        for temperature in temperatures
    ]
    results[name] = {
        "Br (T)": np.array([loop.remanence().mean() for loop in loops]),
        "µ0·Hc (T)": np.array([loop.coercivity().mean() for loop in loops]),
        "(BH)max (kJ/m³)": np.array([loop.energy_product().mean() / 1e3 for loop in loops]),
    }

figure, axes = plt.subplots(1, 3, figsize=(9, 3), layout="constrained")
for name, merits in results.items():
    for ax, (label, values) in zip(axes, merits.items(), strict=True):
        ax.plot(temperatures, values, "o-", ms=3, label=name)
        ax.set(xlabel="T (K)", ylabel=label, ylim=(0, None))
axes[0].legend()

# %%
# Data sheets give α, the change of Br, and β, that of Hc, in % per kelvin from room temperature to
# 100 °C or so. Typical of sintered magnets are α = −0.09 to −0.12 and β = −0.4 to −0.6 for Nd-Fe-B,
# α = −0.03 to −0.05 and β = −0.2 to −0.3 for Sm-Co (`Advanced Magnets
# <https://www.advancedmagnets.com/what-are-temperature-coefficients-%CE%B1-and-%CE%B2-of-permanent-magnets/>`__).

ends = temperatures[[0, 4]]
for name, merits in results.items():
    alpha = temperature_coefficient(ends, merits["Br (T)"][[0, 4]])
    beta = temperature_coefficient(ends, merits["µ0·Hc (T)"][[0, 4]])
    print(
        f"{name:8}: α = {alpha:.3f} %/K, β = {beta:.2f} %/K from {ends[0]:.0f} to {ends[1]:.0f} K"
    )

# %%
# α agrees; of Sm2Co17 it was fitted. β is too small by a factor of two or more: these grains are
# perfect, and nothing is thermally activated. Their coercivity is two to three times that of
# sintered magnets, and falls nearly as the anisotropy field.
#
# How much of the anisotropy field is left, and what the stray fields take, is read off as in
# experiments: a straight line through µ0·Hc / Js over µ0·H_N / Js.

_, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
for name, merits in results.items():
    materials = [MATERIALS[name].at(temperature) for temperature in temperatures]
    nucleation = np.array([material.anisotropy_field for material in materials])
    polarization = np.array([material.Js for material in materials])
    fit = kronmueller(merits["µ0·Hc (T)"], nucleation, polarization)
    print(
        f"{name:8}: α = {fit.alpha:.2f} ± {fit.alpha_error:.2f}, "
        f"N_eff = {fit.n_eff:.2f} ± {fit.n_eff_error:.2f}"
    )
    x = nucleation / polarization
    (line,) = ax.plot(x, merits["µ0·Hc (T)"] / polarization, "o", label=name)
    ax.plot(x, fit.alpha * x - fit.n_eff, color=line.get_color())
ax.set(xlabel="µ0·H_N / Js", ylabel="µ0·Hc / Js")
ax.legend()
