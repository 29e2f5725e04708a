"""How many grains reverse together, by size of the magnet and step of the field."""

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from examples.large_magnets.loops import batches
from keras_micromag import plots

DEFAULTS = {"sides": (6, 12), "magnets": (12, 3), "steps": (20.0, 2.0, 0.5)}
COLORS, LINES = (plots.ACCENT, "#3b6c96", "0.2"), (":", "--", "-")


def main(sides, magnets, steps, out="avalanches.png"):
    """Return the sizes of all avalanches by side and step; `steps` are in millitesla."""
    print("| grains | magnets | step, mT | avalanches | mean | largest | single grains |")
    print("|---|---|---|---|---|---|---|")
    found = {}
    for side, m in zip(sides, magnets, strict=True):
        for step in steps:
            # No grain reverses before; the last third of them do after, one by one.
            field = np.r_[0, -2, np.arange(-2.5, -4.5, -step / 1000)]
            every = batches((side,) * 3, m, field, seed=2)
            sizes = np.concatenate([plots.avalanche_sizes(loop) for loop in every])
            told = (
                f"{len(sizes):,} | {sizes.mean():.1f} | {sizes.max()} | {(sizes == 1).mean():.0%}"
            )
            print(f"| {side}³ = {side**3:,} | {m} | {step:g} | {told} |", flush=True)
            found[side, step] = sizes
    plots.save_figure(_figure(found, list(sides), list(steps)), out)
    return found


@rc_context(plots.STYLE)
def _figure(found, sides, steps):
    figure = Figure(figsize=(plots.COLUMN, 0.9 * plots.COLUMN), layout="constrained")
    axes = figure.add_subplot()
    for (side, step), sizes in found.items():
        size, counts = np.unique(sizes, return_counts=True)
        share = np.cumsum(counts[::-1])[::-1] / len(sizes)
        look = {"color": COLORS[sides.index(side) % 3], "ls": LINES[steps.index(step) % 3]}
        axes.plot(size, share, lw=1.0, label=f"{side**3:,} grains, {step:g} mT", **look)
    axes.set(xscale="log", yscale="log", xlabel="Grains in an avalanche")
    axes.set(ylabel="Share of avalanches so large or larger")
    axes.legend(frameon=False)
    return figure
