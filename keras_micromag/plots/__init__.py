"""Figures and films of loops, magnets (also cut open), textures and avalanches.

Only code that draws imports this package: the command line, the experiments and the examples. Their
own figures use the constants of `style`, which are exported here, too. matplotlib comes with the
extra `plot`.
"""

from keras_micromag.plots.animation import animate_loop
from keras_micromag.plots.avalanches import avalanche_sizes, plot_avalanches
from keras_micromag.plots.loops import plot_history, plot_loops, plot_prediction
from keras_micromag.plots.magnet import plot_magnet
from keras_micromag.plots.reversal import plot_reversal
from keras_micromag.plots.style import (
    ACCENT,
    COLUMN,
    FIELD_LABEL,
    INK,
    MAGNETIZATION_LABEL,
    STYLE,
    THIN,
    save_figure,
)
from keras_micromag.plots.texture import misorientation, plot_pole_figure, pole_density

__all__ = [
    "ACCENT",
    "COLUMN",
    "FIELD_LABEL",
    "INK",
    "MAGNETIZATION_LABEL",
    "STYLE",
    "THIN",
    "animate_loop",
    "avalanche_sizes",
    "misorientation",
    "plot_avalanches",
    "plot_history",
    "plot_loops",
    "plot_magnet",
    "plot_pole_figure",
    "plot_prediction",
    "plot_reversal",
    "pole_density",
    "save_figure",
]
