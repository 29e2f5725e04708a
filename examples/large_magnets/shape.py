"""Loops of a cube, a plate and a needle, against the applied and the internal field."""

import numpy as np
from matplotlib import rc_context

from examples.large_magnets.loops import batches
from keras_micromag import physics
from keras_micromag.physics.microstructure.particles import PAPER_DEPTH
from keras_micromag.plots import style

# The field is along z: across the plate, along the needle.
DEFAULTS = {"cube": (14, 14, 14), "plate": (30, 30, 3), "needle": (9, 9, 34), "magnets": 4}
FIELD = np.r_[6, 4, 3, 2, 1, 0.5, 0, -0.5, -1, np.arange(-15, -61, -1) / 10, -7, -8]
LEVELS = np.linspace(0.8, -0.8, 33)
"""The M/Ms at which the fields of the loops are compared."""


def main(cube, plate, needle, magnets, out="shape.png"):
    """Return N and the loop of each shape, and the mean distances between these loops in tesla.

    A loop is the applied field, the internal field and M/Ms. The distances are along either field.
    """
    print("| shape | grains | N | by the grains | µ0·Hc, T ", end="")
    print("| M/Ms = 0.7 at | … inside | -0.7 at | … inside |\n" + 9 * "|---" + "|")
    shapes = {}
    for name, sides in {"cube": cube, "plate": plate, "needle": needle}.items():
        loops = list(batches(sides, magnets, FIELD, seed=3))
        along = np.concatenate([loop.magnetization_along_field for loop in loops]).mean(axis=0)
        body = physics.cubic_grains(sides)
        factor = demagnetizing_factor(body)
        polarization = physics.ND2FE14B.Js * body.packing_fraction * along
        shapes[name] = factor, FIELD, FIELD - factor * polarization, along
        (a, c, e), (b, _, f) = (
            _fields_at((0.7, 0, -0.7), loop, along) for loop in shapes[name][1:3]
        )
        row = " | ".join(f"{value:.2f}" for value in (-c, a, b, e, f))
        print(f"| {name} | {' × '.join(map(str, sides))} | {factor:.3f} ", end="")
        print(f"| {factor_by_grains(sides):.3f} | {row} |", flush=True)
    applied, inside = (
        np.ptp(
            [_fields_at(LEVELS, loop[which], loop[3]) for loop in shapes.values()], axis=0
        ).mean()
        for which in (1, 2)
    )
    print(f"\nThe loops lie {applied:.2f} T apart, inside {inside:.2f} T.")
    style.save_figure(_figure(shapes), out)
    return shapes, applied, inside


def demagnetizing_factor(body):
    """Return the magnetometric N along z of the box around a magnet, by Gauss points."""
    corners = np.concatenate([grain.vertices for grain in body.grains])
    half = np.ptp(corners, axis=0) / 2
    box = physics.cubic_grains((1, 1, 1), size=1.0).grains[0]
    nodes, weights = np.polynomial.legendre.leggauss(24)
    points = np.stack(np.meshgrid(nodes, nodes, nodes, indexing="ij"), axis=-1)
    tensor = physics.demag_tensor(points * half, 2 * box.vertices * half, box.faces)
    return -np.einsum("i,j,k,ijk", weights, weights, weights, tensor[..., 2, 2]) / 8


def factor_by_grains(sides):
    """Return N from the field at the particles, with all grains magnetised along z.

    The field of the other grains is divided by the packing fraction. A grain's own field, which is
    left out, adds 1/3 on average over its corners, by symmetry.
    """
    body = physics.cubic_grains(sides, depth=PAPER_DEPTH, scheme=("vertices",))
    along = np.tile([0.0, 0.0, 1.0], (len(body), 1))
    operator = physics.demag_operator(body, "lattice", self_field=False)
    others = operator(along)[..., 2].mean()
    return 1 / 3 - others / body.packing_fraction


def _fields_at(levels, field, along):
    return np.interp(np.negative(levels), -along, field)


@rc_context(style.STYLE)
def _figure(shapes):
    figure = style.new_figure(height=1.3)
    both = figure.subplots(2, sharex=True, sharey=True)
    for (name, loop), color in zip(shapes.items(), ("0.1", style.ACCENT, "#3b6c96"), strict=True):
        for axes, field in zip(both, loop[1:3], strict=True):
            axes.plot(field, loop[3], color=color, lw=1.0, label=f"{name}, $N$ = {loop[0]:.3f}")
    labels = r"Applied field $\mu_0 H$ (T)", r"Field inside $\mu_0 H - N J$ (T)"
    for axes, label in zip(both, labels, strict=True):
        axes.set(xlabel=label, ylabel=style.MAGNETIZATION_LABEL, xlim=(-7, 3))
        axes.tick_params(labelbottom=True)
    both[0].legend(frameon=False)
    return figure
