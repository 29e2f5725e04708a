"""Figure of the differences between loops in steps and loops by events, against the step."""

import numpy as np
from matplotlib import rc_context

from keras_micromag.plots import style

LINES = {
    "weakest_first": ("weakest first", "#3b6c96"),
    "simultaneous": ("all at once", style.ACCENT),
}


@rc_context(style.STYLE)
def draw(differences, steps, spread):
    figure = style.new_figure(height=1.7)
    top, middle, bottom = figure.subplots(3, sharex=True)
    for order, (name, color) in LINES.items():
        columns = np.array([differences[order, step] for step in steps])
        line = {"color": color, "ms": 3, "lw": 0.8, "clip_on": False}
        top.plot(steps, 1e3 * columns[:, 0], "o-", label=name, **line)
        middle.plot(steps, 100 * columns[:, 4], "o-", **line)
        bottom.plot(steps, columns[:, 5], "o-", **line)
        bottom.axhline(differences[order, 0.0][5], color=color, lw=0.8, ls=":")
    first = 1e3 * differences["weakest_first", steps[0]][0]
    ratio = np.array(steps) / steps[0]
    top.plot(steps, first * ratio, color="0.2", lw=0.8, ls=":", label="as the step")
    top.axhline(1e3 * spread, color="0.6", lw=0.8, ls="--", label="spread of magnets")
    top.set(xscale="log", yscale="log", ylabel="Coercivity off, r.m.s. (mT)")
    middle.set(ylabel="Magnets alike (%)", ylim=(0, 100))
    bottom.set(xlabel="Step of the field (mT)", ylabel="Grains that flip together")
    bottom.annotate(
        "dotted: by events", (0.03, 0.9), xycoords="axes fraction", ha="left", fontsize="small"
    )
    bottom.set_xticks(steps, [f"{step:g}" for step in steps])
    bottom.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    top.legend(frameon=False, handlelength=1.5)
    return figure
