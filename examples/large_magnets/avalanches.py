"""Numbers of grains that reverse together, by size of the magnet and field step."""

import numpy as np
from matplotlib import rc_context

from examples.large_magnets.loops import batches
from keras_micromag import plots
from keras_micromag.plots import style
from keras_micromag.plots.avalanches import counts_at_least

DEFAULTS = {"sides": (6, 12), "magnets": (12, 3), "steps": (20.0, 2.0, 0.5)}
COLORS, LINES = (style.ACCENT, "#3b6c96", "0.2"), (":", "--", "-")


def main(sides, magnets, steps, out="avalanches.png"):
    """Return the sizes of all avalanches by side and step; `steps` are in millitesla."""
    print("| grains | magnets | step, mT | avalanches | mean | largest | single grains |")
    print("|---|---|---|---|---|---|---|")
    sizes_of = {}
    for side, m in zip(sides, magnets, strict=True):
        for step in steps:
            # No grain reverses before; the last third reverse after, one by one.
            field = np.r_[0, -2, np.arange(-2.5, -4.5, -step / 1000)]
            loops = batches((side,) * 3, m, field, seed=2)
            sizes = np.concatenate([plots.avalanche_sizes(loop) for loop in loops])
            row = f"| {side}³ = {side**3:,} | {m} | {step:g} | {len(sizes):,} | {sizes.mean():.1f} "
            print(f"{row}| {sizes.max()} | {(sizes == 1).mean():.0%} |", flush=True)
            sizes_of[side, step] = sizes
    style.save_figure(_figure(sizes_of, list(sides), list(steps)), out)
    return sizes_of


@rc_context(style.STYLE)
def _figure(sizes_of, sides, steps):
    figure = style.new_figure(height=0.9)
    axes = figure.add_subplot()
    for (side, step), sizes in sizes_of.items():
        size, count = counts_at_least(sizes)
        color, line = COLORS[sides.index(side) % 3], LINES[steps.index(step) % 3]
        label = f"{side**3:,} grains, {step:g} mT"
        axes.plot(size, count / len(sizes), line, color=color, lw=1.0, label=label)
    axes.set(xscale="log", yscale="log", xlabel="Grains in an avalanche")
    axes.set(ylabel="Share of avalanches so large or larger")
    axes.legend(frameon=False)
    return figure
