"""How much a loop depends on the step of the field, and on which grains of a step flip together.

Loops of the paper's magnets in steps, with both orders of flipping, against those by events, which
have no step: each avalanche at its own field, its weakest grain first.
"""

from examples.field_steps.figure import draw
from examples.field_steps.loops import by_events, difference, in_steps
from keras_micromag import physics, plots

STEPS = (16.0, 4.0, 1.0, 0.25)  # mT
ORDERS = ("weakest_first", "simultaneous")


def main(magnets=100, steps=STEPS, grid=(4, 4, 4), out="field_steps.png"):
    """Return the loops' differences from those by events, {(order, step): columns}, and print them.

    Columns: root mean square and mean of the coercivity's difference in tesla, its largest; share
    of the grains that flip at the same field to a step, and of the magnets all whose grains do.
    A step of 0 means by events.
    """
    body = physics.cubic_grains(grid)
    axes = physics.random_easy_axes((magnets, len(body)), seed=1)
    exact = by_events(body, axes, "weakest_first")
    coercivity, sizes = exact.coercivity(), exact.events.sizes
    print(
        f"{magnets} magnets of {len(body)} grains by events: coercivity {coercivity.mean():.4f} T, "
        f"standard deviation {coercivity.std():.4f} T; avalanches of {sizes.mean():.2f} grains, "
        f"the largest {sizes.max()}"
    )
    print("order, step      rms mT   mean mT  most mT  grains alike  magnets alike  in one step")
    passes = by_events(body, axes, "simultaneous")
    told = {("simultaneous", 0.0): difference(passes, exact, 1e-3)}
    print(_row("all unstable at once, events", told["simultaneous", 0.0]))
    for order in ORDERS:
        for step in steps:
            loops = in_steps(body, axes, 1e-3 * step, order)
            told[order, step] = difference(loops, exact, 1e-3 * step)
            size = magnets * len(body) / sum(len(set(own)) for own in loops.switching_fields)
            print(f"{_row(f'{order}, {step:g} mT', told[order, step])} {size:12.2f}")
    plots.save_figure(draw(told, steps, coercivity.std()), out)
    return told


def _row(name, columns):
    rms, mean, most, grains, magnets = columns
    numbers = f"{1e3 * rms:7.2f} {1e3 * mean:9.2f} {1e3 * most:8.1f}"
    return f"{name:28} {numbers} {100 * grains:11.1f} % {100 * magnets:11.0f} %"
