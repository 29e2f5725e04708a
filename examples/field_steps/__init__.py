"""How much a loop depends on the step of the field, and on which grains of a step flip together.

Loops of the paper's magnets in steps, with both orders of flipping, against those by events, which
have no step: each avalanche at its own field, its weakest grain first.
"""

import numpy as np

from examples.field_steps.figure import draw
from examples.field_steps.loops import by_events, difference, in_steps
from keras_micromag import physics, plots

STEPS = (16.0, 4.0, 1.0, 0.25)  # mT
ORDERS = ("weakest_first", "simultaneous")


def main(magnets=100, steps=STEPS, grid=(4, 4, 4), out="field_steps.png"):
    """Return how loops differ from those by events, and how fast that vanishes with the step.

    Returns:
        {(order, step): columns}, where a step of 0 means by events: root mean square and mean of
        the coercivity's difference in tesla, its largest; share of the grains that flip at the same
        field to a step, and of the magnets all whose grains do; mean number of grains that flip
        together, at a field or in an avalanche. And the power of the step to which the first of
        these grows, the weakest grain first.
    """
    body = physics.cubic_grains(grid)
    axes = physics.random_easy_axes((magnets, len(body)), seed=1)
    events = {order: by_events(body, axes, order) for order in ORDERS}
    exact, told = events["weakest_first"], {}
    for order, loops in events.items():
        coercivity, sizes = loops.coercivity(), loops.events.sizes
        print(
            f"{magnets} magnets of {len(body)} grains by events, {order}: coercivity "
            f"{coercivity.mean():.4f} T, standard deviation {coercivity.std():.4f} T; avalanches "
            f"of {sizes.mean():.2f} grains, the largest {sizes.max()}"
        )
    print("order, step (mT)      rms mT   mean mT  most mT  grains alike  magnets alike  together")
    for order in ORDERS:
        for step in (*steps, 0.0):
            loops = in_steps(body, axes, 1e-3 * step, order) if step else events[order]
            told[order, step] = difference(loops, exact, 1e-3 * (step or 1.0))
            print(_row(f"{order}, {step:g}", told[order, step]))
    off = [told["weakest_first", step][0] for step in steps]
    rate, _ = np.polyfit(np.log(steps), np.log(off), 1)
    print(f"weakest first, the error goes as the step to the power of {rate:.2f}")
    plots.save_figure(draw(told, steps, exact.coercivity().std()), out)
    return told, rate


def _row(name, columns):
    rms, mean, most, grains, magnets, together = columns
    numbers = f"{1e3 * rms:7.2f} {1e3 * mean:9.2f} {1e3 * most:8.1f}"
    return f"{name:20} {numbers} {100 * grains:11.1f} % {100 * magnets:12.0f} % {together:9.2f}"
