"""The dependence of a loop on the field step, and on which unstable grains flip together.

Loops in steps, with both orders of flipping, are compared with loops by events, which have no step:
each avalanche begins at its own field, with its weakest grain. The magnets are the paper's.
"""

import numpy as np

from examples.field_steps.figure import draw
from examples.field_steps.loops import by_events, difference, in_steps
from keras_micromag import physics
from keras_micromag.physics.microstructure.particles import PAPER_DEPTH
from keras_micromag.plots import style

STEPS = (16.0, 4.0, 1.0, 0.25)  # mT
ORDERS = ("weakest_first", "simultaneous")


def main(magnets=100, steps=STEPS, grid=(4, 4, 4), out="field_steps.png"):
    """Return the differences of loops from those by events, and the order of convergence.

    Returns:
        {(order, step): columns}, where a step of 0 means by events: root mean square, mean and
        largest difference of the coercivity in tesla; share of the grains that flip at the same
        field to within a step, and of the magnets whose grains all do; mean number of grains that
        flip together, at a field or in an avalanche. And the power of the step with which the root
        mean square grows, the weakest grain first.
    """
    body = physics.cubic_grains(grid, depth=PAPER_DEPTH)
    axes = physics.random_easy_axes((magnets, len(body)), seed=1)
    events = {order: by_events(body, axes, order) for order in ORDERS}
    exact, differences = events["weakest_first"], {}
    for order, loops in events.items():
        coercivity, sizes = loops.coercivity(), loops.events.sizes
        print(
            f"{magnets} magnets of {len(body)} grains by events, {order}: coercivity "
            f"{coercivity.mean():.4f} T, standard deviation {coercivity.std():.4f} T; avalanches "
            f"of {sizes.mean():.2f} grains, the largest {sizes.max()}"
        )
    print("order, step (mT)      rms mT   mean mT   max mT  grains alike  magnets alike  together")
    for order in ORDERS:
        for step in (*steps, 0.0):
            loops = in_steps(body, axes, 1e-3 * step, order) if step else events[order]
            differences[order, step] = difference(loops, exact, 1e-3 * (step or 1.0))
            print(_row(f"{order}, {step:g}", differences[order, step]))
    errors = [differences["weakest_first", step][0] for step in steps]
    rate, _ = np.polyfit(np.log(steps), np.log(errors), 1)
    print(f"weakest first, the error grows with the step to the power of {rate:.2f}")
    style.save_figure(draw(differences, steps, exact.coercivity().std()), out)
    return differences, rate


def _row(name, columns):
    rms, mean, largest, grains, magnets, together = columns
    numbers = f"{1e3 * rms:7.2f} {1e3 * mean:9.2f} {1e3 * largest:8.1f}"
    return f"{name:20} {numbers} {100 * grains:11.1f} % {100 * magnets:12.0f} % {together:9.2f}"
