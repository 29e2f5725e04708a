"""
The Stoner–Wohlfarth particle
=============================

Compare the field at which a single particle reverses with its angle to the easy axis.

Every grain of a magnet is tested by this rule, with the field at its particles in place of the
applied one.
"""

import matplotlib.pyplot as plt
import numpy as np

from keras_micromag.physics import ND2FE14B, equilibrium, switching_field

angles = np.radians(np.linspace(0.0, 90.0, 181))
_, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
ax.plot(np.degrees(angles), ND2FE14B.anisotropy_field * switching_field(angles))
ax.set(xlabel="Angle of the field to the easy axis (°)", ylabel="Switching field (T)")
ax.set(title="Least at 45°", ylim=(0, None))

# %%
# The next figure follows the moment on the branch that began along the field, until that branch
# is lost. Fields are in units of the anisotropy field.

_, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
degrees = (5, 20, 45, 70)
colors = plt.cm.viridis(np.linspace(0.0, 0.9, len(degrees)))
for angle, color in zip(np.radians(degrees), colors, strict=True):
    h = np.linspace(1.5, -switching_field(angle), 300)
    across = h * np.sin(angle)  # the moment leans to its side
    lean = np.sign(across) * equilibrium(h * np.cos(angle), np.abs(across))
    ax.plot(h, np.cos(angle - lean), color=color, label=f"{np.degrees(angle):.0f}°")
ax.set(xlabel="Field / anisotropy field", ylabel="Moment along the field")
ax.legend(title="Angle of the field")
