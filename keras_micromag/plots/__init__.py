"""Figures and films of loops, magnets (also cut open), textures and avalanches.

Only code that draws imports this package: the command line, the experiments and the examples. Their
own figures use the constants of `plots.style`. matplotlib comes with the extra `plot`.
"""

from keras_micromag.plots.animation import animate_loop
from keras_micromag.plots.avalanches import avalanche_sizes, plot_avalanches
from keras_micromag.plots.loops import plot_loops
from keras_micromag.plots.magnet import plot_magnet
from keras_micromag.plots.reversal import plot_reversal
from keras_micromag.plots.texture import misorientation, plot_pole_figure

__all__ = [
    "animate_loop",
    "avalanche_sizes",
    "misorientation",
    "plot_avalanches",
    "plot_loops",
    "plot_magnet",
    "plot_pole_figure",
    "plot_reversal",
]
