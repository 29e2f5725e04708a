"""
One cube, by micromagnetics and here
====================================

Compare the switching field of a single cube with full micromagnetics, for cubes of 15 to 140 nm.

A grain is demagnetised by its own field. The embedded Stoner–Wohlfarth method can leave it out
(``self_field=False``, as in the paper), take it entirely (``True``), or take what of it acts on the
nucleus from which a reversal starts (``"nucleus"``, the default).
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from keras_micromag.physics import ND2FE14B, cubic_grains, simulate

# %%
# The switching fields of micromagnetics come with the repository: `benchmarks/micromagnetics`
# computes them by finite differences.

PATH = "benchmarks/micromagnetics/data/cubes.csv"
here = Path.cwd() / "../../.." / PATH
web = f"https://raw.githubusercontent.com/keras-micromag/keras-micromag/main/{PATH}"
table = np.genfromtxt(
    here if here.exists() else web,
    delimiter=",",
    names=True,
    dtype=None,
    encoding="utf-8",
)
table = np.sort(table[table["material"] == "Nd2Fe14B"], order="size_x_m")
print(len(table), "cubes of Nd2Fe14B")

# %%
# The particles lie at the calibrated depth in all three: only the own field differs.

modes = {
    "no own field": (False, "tab:blue"),
    "entire": (True, "0.6"),
    "of a nucleus": ("nucleus", "tab:orange"),
}
_, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.plot(table["size_x_m"] * 1e9, -table["switching_T"], "ko", label="micromagnetics")
for label, (self_field, color) in modes.items():
    fields = []
    for row in table:
        cube = cubic_grains((1, 1, 1), size=row["size_x_m"])
        axis = np.array([[row["axis_x"], row["axis_y"], row["axis_z"]]])
        loop = simulate(cube, axis, field=[8.0, -8.0], self_field=self_field, method="events")
        fields.append(loop.coercivity())
    ax.plot(table["size_x_m"] * 1e9, fields, color=color, label=label)
ax.set(xlabel="Edge of the cube (nm)", ylabel="Switching field (T)")
ax.set(title=f"{ND2FE14B.name}, easy axis at 1° from the field")
ax.legend()
