"""A polycrystal of irregular grains, its loop, and figures of both.

The figures show the magnet cut open along its loop, its texture and its avalanches. An animation, a
file for Neper and, if PyVista is installed, one for ParaView are written, too. Particles
lie as deep as in the data set `paper`, and no grain has a field of its own.
"""

import argparse
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from keras_micromag import plots
from keras_micromag.physics import (
    ND2FE14B,
    random_easy_axes,
    simulate,
    spread_materials,
    voronoi_grains,
    write_neper,
)
from keras_micromag.physics.microstructure.particles import PAPER_DEPTH
from keras_micromag.plots import style

CUT = ((0.0, -1.0, 0.0), 0.0)  # removes the half that faces the viewer


def main(grains=150, fields=600, frames=40, out="runs/polycrystal"):
    """Return the structure and its loop."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    edge = 53e-9 * grains ** (1 / 3)
    cells = {"sigma": 0.25, "relaxation": 2, "vanishing": "drop", "depth": PAPER_DEPTH}
    magnet = voronoi_grains(grains, edge, 1, 3e-9, **cells)
    easy_axes = random_easy_axes(len(magnet), cone=35.0, seed=1)
    material = spread_materials(ND2FE14B, len(magnet), Ku=0.05, seed=1)
    field = np.linspace(8.0, -8.0, fields)
    loop = simulate(
        magnet,
        easy_axes,
        material=material,
        field=field,
        self_field=False,
        avalanche="simultaneous",
    )
    print(f"{len(magnet)} grains, packing fraction {magnet.packing_fraction:.2f}")
    print(f"coercivity {loop.coercivity():.2f} T, remanence {loop.remanence():.2f} T")

    style.save_figure(plots.plot_reversal(magnet, loop, cut=CUT), out / "reversal.png")
    figure = style.new_figure(width=2, height=0.9)
    left, right = figure.subplots(1, 2)
    label = "Switching field (T)"
    plots.plot_magnet(magnet, values=loop.switching_fields, label=label, explode=0.35, ax=left)
    plots.plot_pole_figure(easy_axes, weights=magnet.volumes, ax=right)
    style.save_figure(figure, out / "grains.png")
    figure = style.new_figure()
    plots.plot_avalanches(loop, ax=figure.add_subplot())
    style.save_figure(figure, out / "avalanches.png")
    plots.animate_loop(magnet, loop, out / "loop.gif", frames=frames, cut=CUT)

    write_neper(out / "grains.tess", magnet, easy_axes=easy_axes)
    if find_spec("pyvista"):
        from keras_micromag.vtk import write_vtk

        write_vtk(out / "loop.pvd", magnet, loop, Ku_J_per_m3=[m.Ku for m in material])
    return magnet, loop


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default="runs/polycrystal", help="folder to write to")
    main(out=parser.parse_args().out)
