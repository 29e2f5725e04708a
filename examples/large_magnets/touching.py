"""Clusters of touching grains that reverse in one field step."""

import numpy as np
from matplotlib import rc_context
from scipy import ndimage

from examples.large_magnets.loops import batches
from keras_micromag.plots import style
from keras_micromag.plots.avalanches import counts_at_least

# One magnet of `side` with each of the `steps` in millitesla; then all `sides` with STEP.
DEFAULTS = {
    "side": 16,
    "steps": (20.0, 5.0, 1.0, 0.25),
    "sides": (8, 16, 22),
    "magnets": (16, 2, 1),
}
STEP = 10.0  # mT
APPROACH, START, END = (0.0, 2.0, 2.6, 2.8, 3.0, 3.1), 3.2, 3.8  # T; where the loop is steepest
COLORS = style.THIN, "#3b6c96", style.INK, style.ACCENT


def main(side, steps, sides, magnets, out="touching.png"):
    """Return the sizes of avalanches and of their touching clusters, by step and by side."""
    print("| grains | magnets | step, mT | in a step: mean | largest ", end="")
    print("| touching: mean | largest | single grains | mean by chance |\n" + 9 * "|---" + "|")
    by_step = {step: _sizes(side, 1, step) for step in steps}
    by_side = {n: _sizes(n, m, STEP) for n, m in zip(sides, magnets, strict=True)}
    grains = np.array(sides) ** 3 * np.array(magnets)
    style.save_figure(_figure(by_step, by_side, side, grains), out, dpi=200)
    return by_step, by_side


def _sizes(side, magnets, step):
    count = round(1000 * (END - START) / step)
    field = -np.append(APPROACH, np.linspace(START, END, count + 1))
    loops = list(batches((side,) * 3, magnets, field, seed=1))
    fields = np.concatenate([loop.switching_fields for loop in loops])
    # The step in which each grain reverses; 0 outside of the range, or if it never reverses.
    reversal = np.searchsorted(-field, -fields) - len(APPROACH)
    reversal = np.where(np.isnan(fields), 0, np.maximum(reversal, 0))
    reversal = reversal.reshape(magnets, side, side, side)
    sizes = [np.unique(magnet[magnet > 0], return_counts=True)[1] for magnet in reversal]
    sizes, touching = np.concatenate(sizes), clusters(reversal)
    # Clusters by chance: as many grains in each step, anywhere among the grains that reverse.
    shuffled = reversal.copy()
    shuffled[reversal > 0] = np.random.default_rng(1).permutation(reversal[reversal > 0])
    row = f"| {side}³ = {side**3:,} | {magnets} | {step:g} | {sizes.mean():.1f} | {sizes.max()} "
    row += f"| {touching.mean():.2f} | {touching.max()} | {(touching == 1).mean():.0%} "
    print(f"{row}| {clusters(shuffled).mean():.2f} |", flush=True)
    return sizes, touching


def clusters(steps):
    """Return the sizes (n,) of clusters of grains with the same step that touch, also at a corner.

    `steps` (b, x, y, z) are 1 or more; 0 means that a grain is in no cluster.
    """
    sizes = []
    for magnet in steps:
        for step in np.unique(magnet[magnet > 0]):
            labels, _ = ndimage.label(magnet == step, np.ones((3, 3, 3)))
            sizes.append(np.bincount(labels.ravel())[1:])
    return np.concatenate(sizes)


@rc_context(style.STYLE)
def _figure(by_step, by_side, side, grains):
    figure = style.new_figure(width=2, height=0.8)
    left, right = figure.subplots(1, 2)
    for (step, (sizes, touching)), color in zip(by_step.items(), COLORS, strict=False):
        left.plot(*counts_at_least(sizes), color=color, lw=0.9, label=f"in steps of {step:g} mT")
        left.plot(*counts_at_least(touching), "--", color=color, lw=0.9)
    left.plot([], [], "--", color="0.5", lw=0.9, label="… and touching")
    left.set(title=f"One magnet of {side**3:,} grains", ylabel="Avalanches so large or larger")
    each = zip(by_side.items(), grains, COLORS, strict=False)
    for (n, (_, touching)), all_grains, color in each:
        size, count = counts_at_least(touching)
        label = f"{n**3:,} grains"
        right.plot(size, 1000 * count / all_grains, ".-", color=color, ms=3, lw=0.8, label=label)
    right.set(title=f"Touching, in steps of {STEP:g} mT", ylabel="… per 1,000 grains")
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", xlabel="Grains in an avalanche")
        axes.title.set_size(8)
        axes.legend(frameon=False)
    return figure
