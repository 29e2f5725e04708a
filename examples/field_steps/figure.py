"""How far loops in steps are from those by events, against the step."""

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from keras_micromag import plots

LINES = {
    "weakest_first": ("weakest first", "#3b6c96"),
    "simultaneous": ("all at once", plots.ACCENT),
}


@rc_context(plots.STYLE)
def draw(told, steps, spread):
    figure = Figure(figsize=(plots.COLUMN, 1.2 * plots.COLUMN), layout="constrained")
    top, bottom = figure.subplots(2, sharex=True)
    for order, (name, color) in LINES.items():
        columns = np.array([told[order, step] for step in steps])
        top.plot(steps, 1e3 * columns[:, 0], "o-", color=color, ms=3, lw=0.8, label=name)
        bottom.plot(steps, 100 * columns[:, 4], "o-", color=color, ms=3, lw=0.8)
    top.axhline(1e3 * spread, color="0.6", lw=0.8, ls="--", label="spread of magnets")
    top.set(xscale="log", yscale="log", ylabel="Coercivity off, r.m.s. (mT)")
    bottom.set(xlabel="Step of the field (mT)", ylabel="Magnets alike (%)", ylim=(0, 100))
    bottom.set_xticks(steps, [f"{step:g}" for step in steps])
    bottom.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    top.legend(frameon=False, handlelength=1.5)
    return figure
