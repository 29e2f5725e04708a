"""How much a loop depends on the step of the field, and on which grains of a step flip together.

Loops of the paper's magnets in steps, with both orders of flipping, against those by events, which
have no step: each avalanche at its own field, its weakest grain first.
"""

import argparse

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from keras_micromag import physics, plots

STEPS = (16.0, 4.0, 1.0, 0.25)  # mT
ORDERS = ("weakest_first", "simultaneous")
REVERSAL = (-2.4, -7.0)  # T, in which all grains flip
AT_ONCE = 20  # magnets: the states of the finest steps are large


def main(magnets=100, steps=STEPS, grid=(4, 4, 4), out="field_steps.png"):
    """Return the loops' differences from those by events, {(order, step): columns}, and print them.

    Columns: root mean square and mean of the coercivity's difference in tesla, its largest; share
    of the grains that flip at the same field to a step, and of the magnets all whose grains do.
    """
    body = physics.cubic_grains(grid)
    axes = physics.random_easy_axes((magnets, len(body)), seed=1)
    events = physics.simulate(body, axes, field=[8.0, -8.0], method="events", progress=False)
    passes = physics.simulate(
        body,
        axes,
        field=[8.0, -8.0],
        method="events",
        avalanche="simultaneous",
        progress=False,
    )
    exact, sizes = events.coercivity(), events.events.sizes
    print(
        f"{magnets} magnets of {len(body)} grains by events: coercivity {exact.mean():.4f} T, "
        f"standard deviation {exact.std():.4f} T; avalanches of {sizes.mean():.2f} grains, the "
        f"largest {sizes.max()}"
    )
    print("order, step      rms mT   mean mT  most mT  grains alike  magnets alike  in one step")
    told = {("simultaneous", 0.0): _difference(passes, events, 1e-3)}
    print(_row("all unstable at once, events", told["simultaneous", 0.0]))
    for order in ORDERS:
        for step in steps:
            loops = _stepped(body, axes, step, order)
            told[order, step] = _difference(loops, events, 1e-3 * step)
            size = magnets * len(body) / sum(len(set(own)) for own in loops["switching"])
            row = _row(f"{order}, {step:g} mT", told[order, step])
            print(f"{row} {size:12.2f}")
    plots.save_figure(_figure(told, steps, exact.std()), out)
    return told


def _stepped(body, axes, step, order):
    """Coercivities and switching fields, without the states."""
    first, last = REVERSAL
    count = round((first - last) / (1e-3 * step)) + 1
    field = np.concatenate([[8.0], np.linspace(first, last, count)])
    parts = [
        physics.simulate(body, some, field=field, avalanche=order, progress=False)
        for some in np.array_split(axes, -(-len(axes) // AT_ONCE))
    ]
    return {
        "coercivity": np.concatenate([part.coercivity() for part in parts]),
        "switching": np.concatenate([part.switching_fields for part in parts]),
    }


def _difference(loops, events, step):
    if isinstance(loops, physics.Hysteresis):
        loops = {"coercivity": loops.coercivity(), "switching": loops.switching_fields}
    apart = loops["coercivity"] - events.coercivity()
    # A step tells a field up to its own length later.
    late = events.switching_fields - loops["switching"]
    alike = (late > -1e-4) & (late < step + 1e-4)
    return np.array(
        [
            np.sqrt(np.mean(apart**2)),
            apart.mean(),
            np.abs(apart).max(),
            alike.mean(),
            alike.all(axis=1).mean(),
        ]
    )


def _row(name, columns):
    rms, mean, most, grains, magnets = columns
    numbers = f"{1e3 * rms:7.2f} {1e3 * mean:9.2f} {1e3 * most:8.1f}"
    return f"{name:28} {numbers} {100 * grains:11.1f} % {100 * magnets:11.0f} %"


@rc_context(plots.STYLE)
def _figure(told, steps, spread):
    figure = Figure(figsize=(plots.COLUMN, 1.2 * plots.COLUMN), layout="constrained")
    top, bottom = figure.subplots(2, sharex=True)
    for order, color in zip(ORDERS, ("#3b6c96", plots.ACCENT), strict=True):
        columns = np.array([told[order, step] for step in steps])
        name = {"weakest_first": "weakest first", "simultaneous": "all at once"}[order]
        top.plot(steps, 1e3 * columns[:, 0], "o-", color=color, ms=3, lw=0.8, label=name)
        bottom.plot(steps, 100 * columns[:, 4], "o-", color=color, ms=3, lw=0.8)
    top.axhline(1e3 * spread, color="0.6", lw=0.8, ls="--", label="spread of magnets")
    top.set(xscale="log", yscale="log", ylabel="Coercivity off, r.m.s. (mT)")
    bottom.set(xlabel="Step of the field (mT)", ylabel="Magnets alike (%)", ylim=(0, 100))
    bottom.set_xticks(steps, [f"{step:g}" for step in steps])
    bottom.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    top.legend(frameon=False, handlelength=1.5)
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--magnets", type=int, default=100, help="how many")
    parser.add_argument("--out", default="field_steps.png", help="the figure's file")
    main(**vars(parser.parse_args()))
