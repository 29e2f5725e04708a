"""
The demagnetising field of a grain
==================================

Compute the exact field of a uniformly magnetised polyhedron at any point.

Each grain of a magnet is such a body. ``demag_tensor`` gives the field in units of the grain's
magnetisation, in closed form.
"""

import matplotlib.pyplot as plt
import numpy as np

from keras_micromag.physics import cubic_grains, demag_tensor

cube = cubic_grains((1, 1, 1), size=50e-9).grains[0]
x, z = np.meshgrid(*[np.linspace(-60e-9, 60e-9, 120)] * 2)  # no point lies on an edge
points = np.stack([x, np.full_like(x, 1e-10), z], axis=-1) + cube.centroid
tensors = demag_tensor(points, cube.vertices, cube.faces)  # (120, 120, 3, 3)
field = tensors @ [0.0, 0.0, 1.0]  # of a moment along z, in units of Ms

# %%
# The colour shows the component along the moment: against it within the cube, along it above and
# below. Near the edges the field grows without bound.

_, ax = plt.subplots(figsize=(5.5, 4.5), layout="constrained")
picture = ax.pcolormesh(x * 1e9, z * 1e9, field[..., 2], cmap="coolwarm", vmin=-0.6, vmax=0.6)
ax.streamplot(
    x[0] * 1e9, z[:, 0] * 1e9, field[..., 0], field[..., 2], color="0.2", linewidth=0.6, density=1.2
)
ax.add_patch(plt.Rectangle((-25, -25), 50, 50, fill=False, lw=1.5))
ax.set(xlabel="x (nm)", ylabel="z (nm)", aspect="equal")
plt.colorbar(picture, label="Field along z (Ms)")

# %%
# At its centre a cube is demagnetised by a third of its magnetisation, as a sphere is; towards the
# face that the moment points to by more, and beyond that face the field has the other sign.

for share in (0.0, 0.5, 0.9, 1.1, 2.0):
    point = cube.centroid + np.array([0.0, 0.0, share * 25e-9])
    along = demag_tensor(point, cube.vertices, cube.faces)[2, 2]
    print(f"{share:.1f} of the way to the face: {along:+.3f} Ms")
