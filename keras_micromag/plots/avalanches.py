"""The avalanches: grains that reverse together."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from keras_micromag.plots.style import COLUMN, INK, MARK, THIN, styled


def avalanche_sizes(hysteresis) -> np.ndarray:
    """How many grains reverse in each avalanche; an avalanche is what does within one field step.

    Args:
        hysteresis: the result of `simulate`, of one magnet or of a batch.

    Returns:
        (n,) of all magnets, magnet by magnet, at rising fields. Only a grain's first reversal
        counts.
    """
    sizes = [
        np.unique(fields[np.isfinite(fields)], return_counts=True)[1]
        for fields in np.atleast_2d(hysteresis.switching_fields)
    ]
    return np.concatenate(sizes)


@styled
def plot_avalanches(hysteresis, *, ax: Axes | None = None) -> Axes:
    """Draw how many avalanches there are of which size.

    Args:
        hysteresis: the result of `simulate`, of one magnet or of a batch; see `avalanche_sizes`.
        ax: where to draw; a new figure of column width if None.

    Returns:
        The axes, both logarithmic. Bars: the number of avalanches of 1, 2 to 3, 4 to 7 … grains.
        Line: the number of those at least so large.

    Raises:
        ValueError: when no grain reverses.
    """
    sizes = avalanche_sizes(hysteresis)
    if not len(sizes):
        raise ValueError("`hysteresis` must have a grain that reverses; received one without.")
    if ax is None:
        ax = plt.figure(figsize=(COLUMN, 0.75 * COLUMN), layout="constrained").add_subplot()
    # Between whole numbers, so that no size lies on an edge.
    edges = 2.0 ** np.arange(int(np.log2(sizes.max())) + 2) - 0.5
    ax.hist(sizes, bins=edges, color=THIN, ec="w", lw=0.5, label="in each bin")
    size, counts = np.unique(sizes, return_counts=True)
    larger = np.cumsum(counts[::-1])[::-1]
    ax.plot(size, larger, "o-", color=INK, lw=0.8, label="this size or larger", **MARK)
    ax.set(xscale="log", yscale="log", xlabel="Grains in an avalanche", ylabel="Avalanches")
    ax.set(xlim=(edges[0], edges[-1]), ylim=(0.7, 1.5 * larger[0]))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        # Half of a grain is no size, though the first bin begins there.
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}" if value >= 1 else ""))
        axis.set_minor_formatter(NullFormatter())
    ax.legend(frameon=False)
    return ax
