"""Sizes of avalanches: numbers of grains that reverse together."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from keras_micromag.physics.hysteresis import Hysteresis
from keras_micromag.plots.style import INK, MARK, THIN, new_axes, styled


def avalanche_sizes(hysteresis: Hysteresis) -> np.ndarray:
    """Return the number of grains in each avalanche.

    An avalanche is the set of grains that reverse within one field step.

    Args:
        hysteresis: the result of `simulate`, of one magnet or of a batch.

    Returns:
        (n,) sizes for all magnets, magnet after magnet, at rising fields. Only the first reversal
        of a grain counts.
    """
    sizes = [
        np.unique(fields[np.isfinite(fields)], return_counts=True)[1]
        for fields in np.atleast_2d(hysteresis.switching_fields)
    ]
    return np.concatenate(sizes)


def counts_at_least(sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sizes that occur, rising, and the number of avalanches of each or larger."""
    size, counts = np.unique(sizes, return_counts=True)
    return size, np.cumsum(counts[::-1])[::-1]


@styled
def plot_avalanches(hysteresis: Hysteresis, *, ax: Axes | None = None) -> Axes:
    """Draw the distribution of the sizes of avalanches.

    Args:
        hysteresis: the result of `simulate`, of one magnet or of a batch; see `avalanche_sizes`.
        ax: axes to draw in; a new figure of column width if None.

    Returns:
        The axes, both logarithmic. The bars count the avalanches of 1, 2 to 3, 4 to 7 … grains. The
        line counts the avalanches of at least a given size.

    Raises:
        ValueError: when no grain reverses.
    """
    sizes = avalanche_sizes(hysteresis)
    if not len(sizes):
        raise ValueError("`hysteresis` must have a grain that reverses; received one without.")
    ax = new_axes() if ax is None else ax
    # The edges lie between integers, so that no size lies on an edge.
    edges = 2.0 ** np.arange(int(np.log2(sizes.max())) + 2) - 0.5
    ax.hist(sizes, bins=edges.tolist(), color=THIN, ec="w", lw=0.5, label="in each bin")
    size, at_least = counts_at_least(sizes)
    ax.plot(size, at_least, "o-", color=INK, lw=0.8, label="this size or larger", **MARK)
    ax.set(xscale="log", yscale="log", xlabel="Grains in an avalanche", ylabel="Avalanches")
    ax.set(xlim=(edges[0], edges[-1]), ylim=(0.7, 1.5 * at_least[0]))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        # The first bin begins at half a grain, which is not labelled.
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}" if value >= 1 else ""))
        axis.set_minor_formatter(NullFormatter())
    ax.legend(frameon=False)
    return ax
