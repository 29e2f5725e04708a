"""The decrease of the switching field with grain size, in the entire own field of each grain.

In H_sw = H_sw⁰ - N·Ms, N grows with ln(size / depth), of particles as deep as in the data `paper`:
by about 1 from 55 nm to 8.3 µm according to S. Bance et al., J. Appl. Phys. 116 (2014) 233903.
"""

import argparse

import numpy as np
from matplotlib import rc_context

from keras_micromag import physics
from keras_micromag.physics.microstructure.particles import PAPER_DEPTH
from keras_micromag.plots import style

MATERIAL, TILTS = physics.ND2FE14B, (1, 10)  # degrees from the field to the easy axis
OWN_FIELD = {"self_field": True, "avalanche": "simultaneous", "progress": False}
OWN_FIELD |= {"allow_unconverged": True}  # within a millitesla of a switching field


def cube_factor(size, tilt):
    """Return N of one cube, from its switching field to 2 mT."""
    cube = physics.cubic_grains((1, 1, 1), size=size, depth=PAPER_DEPTH)
    axis = np.array([[np.sin(np.radians(tilt)), 0.0, np.cos(np.radians(tilt))]])
    bracket = 0.0, -MATERIAL.anisotropy_field
    for _ in range(2):
        field = np.linspace(*bracket, 60)
        loop = physics.simulate(cube, axis, field=field, initial_state=axis, **OWN_FIELD)
        first = list(field).index(loop.switching_fields[0])
        bracket = field[first - 1 : first + 1]
    alone = MATERIAL.anisotropy_field * physics.switching_field(np.radians(tilt))
    return (alone + bracket.mean()) / MATERIAL.Js


def polycrystal_coercivity(size, textures):
    """Return µ0·Hc (textures,) in tesla of 20 grains, whose lengths scale, except for the depth."""
    cells = {"gap": 0.06 * size, "seed": 1, "relaxation": 5, "depth": PAPER_DEPTH}
    magnet = physics.voronoi_grains(20, size * 20 ** (1 / 3), **cells)
    axes = physics.random_easy_axes((textures, 20), cone=15.0, seed=1)
    return physics.simulate(magnet, axes, field=np.linspace(0, -6, 601), **OWN_FIELD).coercivity()


def main(sizes=9, textures=10, out="size_effects.png"):
    """Return N (2, sizes), its growth per unit of ln(size), and µ0·Hc (sizes, textures)."""
    cubes, grains = np.geomspace(55e-9, 8.3e-6, sizes), np.geomspace(20e-9, 500e-9, sizes)
    factors = np.array([[cube_factor(size, tilt) for size in cubes] for tilt in TILTS])
    fits = np.polyfit(np.log(cubes), factors.T, 1).T
    coercivity = np.array([polycrystal_coercivity(size, textures) for size in grains])
    print("cube, nm   N at 1°   N at 10°   polycrystal, nm   µ0·Hc, T")
    for cube, (one, ten), grain, hc in zip(cubes, factors.T, grains, coercivity, strict=True):
        row = f"{1e9 * cube:8.0f} {one:8.2f} {ten:10.2f} {1e9 * grain:17.0f}"
        print(f"{row}   {hc.mean():.2f} ± {hc.std():.2f}")
    print(f"N grows by {np.ptp(factors, axis=1).round(2)}, {fits[:, 0].round(3)} per ln(size)")
    style.save_figure(_figure(cubes, factors, fits, grains, coercivity), out)
    return factors, fits[:, 0], coercivity


@rc_context(style.STYLE)
def _figure(cubes, factors, fits, grains, coercivity):
    figure = style.new_figure(height=1.2)
    top, bottom = figure.subplots(2)
    for tilt, each, fit, color in zip(TILTS, factors, fits, (style.ACCENT, "#3b6c96"), strict=True):
        top.plot(1e9 * cubes, np.polyval(fit, np.log(cubes)), color=color, lw=0.8)
        top.plot(1e9 * cubes, each, "o", color=color, ms=3, label=f"{tilt}°: {fit[0]:.2f} ln(size)")
    bottom.errorbar(1e9 * grains, coercivity.mean(1), coercivity.std(1), fmt="ko-", ms=3, lw=0.8)
    top.set(xscale="log", xlabel="Edge of one cube (nm)", ylabel="Demagnetising factor $N$")
    label = r"Coercivity $\mu_0 H_\mathrm{c}$ (T)"
    bottom.set(xscale="log", xlabel="Mean grain size of a polycrystal (nm)", ylabel=label)
    for axes, ticks in ((top, (100, 1000, 10000)), (bottom, (20, 50, 100, 200, 500))):
        axes.set_xticks(ticks, map(str, ticks))
        axes.tick_params(which="minor", labelbottom=False)
    top.legend(title="Easy axis tilted by", frameon=False, handlelength=1.0, alignment="left")
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default="size_effects.png", help="the figure's file")
    main(**vars(parser.parse_args()))
