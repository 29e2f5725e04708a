"""
A film of a reversal
====================

Write an animation of a magnet along its loop, cut open so that its inside can be seen.
"""

from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from keras_micromag.physics import random_easy_axes, simulate, voronoi_grains
from keras_micromag.plots import animate_loop

magnet = voronoi_grains(60, 200e-9, 2, 3e-9, sigma=0.25, vanishing="drop")
easy_axes = random_easy_axes(len(magnet), cone=35.0, seed=2)
loop = simulate(magnet, easy_axes, field=np.linspace(8.0, -8.0, 321))

# %%
# `cut` is a plane, whose normal points to the side that is not drawn. A notebook shows the file by
# ``IPython.display.Image(film)``.

film = Path(mkdtemp()) / "reversal.gif"
animate_loop(magnet, loop, film, frames=30, fps=8, cut=((0.0, -1.0, 0.0), 0.0))
