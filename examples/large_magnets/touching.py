"""Avalanches told apart by place: how many grains that touch reverse in one step of the field."""

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from scipy import ndimage

from examples.large_magnets.loops import batches
from keras_micromag import plots

# One magnet of `side` in each of `steps`, in millitesla; then all `sides` in steps of STEP.
DEFAULTS = {
    "side": 16,
    "steps": (20.0, 5.0, 1.0, 0.25),
    "sides": (8, 16, 22),
    "magnets": (16, 2, 1),
}
STEP = 10.0  # mT
APPROACH, START, END = (0.0, 2.0, 2.6, 2.8, 3.0, 3.1), 3.2, 3.8  # T; where the loop is steepest
COLORS = plots.THIN, "#3b6c96", plots.INK, plots.ACCENT


def main(side, steps, sides, magnets, out="touching.png"):
    """Return sizes, of whole steps and of what touches in them, by step and by side."""
    print("| grains | magnets | step, mT | in a step: mean | largest ", end="")
    print("| touching: mean | largest | single grains | mean by chance |\n" + 9 * "|---" + "|")
    by_step = {step: _sizes(side, 1, step) for step in steps}
    by_side = {n: _sizes(n, m, STEP) for n, m in zip(sides, magnets, strict=True)}
    grains = np.array(sides) ** 3 * np.array(magnets)
    plots.save_figure(_figure(by_step, by_side, side, grains), out, dpi=200)
    return by_step, by_side


def _sizes(side, magnets, step):
    count = round(1000 * (END - START) / step)
    field = -np.append(APPROACH, np.linspace(START, END, count + 1))
    loops = list(batches((side,) * 3, magnets, field, seed=1))
    fields = np.concatenate([loop.switching_fields for loop in loops])
    # In which step each grain reverses, 0 for those that do outside of the range, or never.
    at = np.searchsorted(-field, -fields) - len(APPROACH)
    at = np.where(np.isnan(fields), 0, np.maximum(at, 0)).reshape(magnets, side, side, side)
    whole = [np.unique(magnet[magnet > 0], return_counts=True)[1] for magnet in at]
    whole, touching = np.concatenate(whole), clusters(at)
    # What touches by chance: as many in each step, anywhere among those that reverse at all.
    shuffled = at.copy()
    shuffled[at > 0] = np.random.default_rng(1).permutation(at[at > 0])
    row = f"| {side}³ = {side**3:,} | {magnets} | {step:g} | {whole.mean():.1f} | {whole.max()} "
    row += f"| {touching.mean():.2f} | {touching.max()} | {(touching == 1).mean():.0%} "
    print(f"{row}| {clusters(shuffled).mean():.2f} |", flush=True)
    return whole, touching


def clusters(at):
    """(n,) numbers of grains of the same step in `at` (b, x, y, z) that touch, be it at a corner.

    A grain's step is 1 or more; 0 is none.
    """
    found = []
    for magnet in at:
        for step in np.unique(magnet[magnet > 0]):
            labels, _ = ndimage.label(magnet == step, np.ones((3, 3, 3)))
            found.append(np.bincount(labels.ravel())[1:])
    return np.concatenate(found)


@rc_context(plots.STYLE)
def _figure(by_step, by_side, side, grains):
    size = 2 * plots.COLUMN, 0.8 * plots.COLUMN
    left, right = (figure := Figure(figsize=size, layout="constrained")).subplots(1, 2)
    for (step, (whole, touching)), color in zip(by_step.items(), COLORS, strict=False):
        left.plot(*_so_large(whole), color=color, lw=0.9, label=f"in steps of {step:g} mT")
        left.plot(*_so_large(touching), "--", color=color, lw=0.9)
    left.plot([], [], "--", color="0.5", lw=0.9, label="… and touching")
    left.set(title=f"One magnet of {side**3:,} grains", ylabel="Avalanches so large or larger")
    each = zip(by_side.items(), grains, COLORS, strict=False)
    for (n, (_, touching)), all_grains, color in each:
        size, count = _so_large(touching)
        label = f"{n**3:,} grains"
        right.plot(size, 1000 * count / all_grains, ".-", color=color, ms=3, lw=0.8, label=label)
    right.set(title=f"Touching, in steps of {STEP:g} mT", ylabel="… per 1,000 grains")
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", xlabel="Grains in an avalanche")
        axes.title.set_size(8)
        axes.legend(frameon=False)
    return figure


def _so_large(sizes):
    size, counts = np.unique(sizes, return_counts=True)
    return size, np.cumsum(counts[::-1])[::-1]
