"""`keras-micromag simulate`: demagnetisation curves of magnets made of cubic grains."""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
import time
from pathlib import Path

from keras_micromag import __version__
from keras_micromag.cli.output import (
    check_matplotlib,
    check_output,
    draw_loops,
    print_merits,
    write_complete,
    write_csv,
)
from keras_micromag.cli.parsing import (
    PROGRAM,
    add_backend,
    choose_backend,
    count,
    number,
    option,
    seed,
)

DATA_FILES = ("loops.npz", "loops.csv", "settings.json")
FIGURE_FILES = ("loops.png", "reversal.png")


def add(commands) -> None:
    """Add the command."""
    command = commands.add_parser(
        "simulate",
        help="simulate demagnetisation curves of magnets made of cubic grains",
        description="Simulate demagnetisation curves with the embedded Stoner-Wohlfarth method, "
        "print their figures of merit, and write loops.npz, loops.csv, settings.json, loops.png "
        "and reversal.png. Without options: the ten magnets of the paper.",
    )
    command.set_defaults(run=_run)

    magnet = command.add_argument_group("magnet")
    option(magnet, "--grid", "grains along x, y and z", [4, 4, 4], count, ("NX", "NY", "NZ"))
    option(magnet, "--size", "edge of a grain in nm", 50.0, number, "NM")
    option(magnet, "--gap", "non-magnetic gap between grains in nm", 3.0, number, "NM")
    option(magnet, "--material", "one of the known materials", "Nd2Fe14B", str, "NAME")
    option(magnet, "--js", "saturation polarisation in T, not the material's", None, number, "JS")
    option(magnet, "--ku", "anisotropy constant in J/m3, not the material's", None, number, "KU")
    option(magnet, "--a", "exchange stiffness in J/m, not the material's", None, number, "A")
    option(
        magnet, "--kd", "shape anisotropy constant in J/m3, not the material's", None, number, "KD"
    )
    option(magnet, "--cone", "half angle of the easy axes' cone in degrees", 35.0, number, "DEG")
    option(magnet, "--seed", "of the random easy axes", 0, seed, "N")
    option(magnet, "--magnets", "how many, each with its own easy axes", 10, count, "N")

    field = command.add_argument_group("field, along z")
    option(field, "--field", "first and last in T", [8.0, -8.0], number, ("START", "STOP"))
    option(field, "--steps", "how many fields, the first and last included", 1000, count, "N")

    method = command.add_argument_group("method")
    depth = "of the particles below the grain's surface in nm; 1.2 exchange lengths if not given"
    option(method, "--depth", depth, None, number, "NM")
    scheme = "places of the particles, by commas"
    option(method, "--scheme", scheme, "vertices,edges,faces,centroid", str, "PLACES")
    own = "add each grain's own demagnetising field (then KD must be 0)"
    method.add_argument("--self-field", action="store_true", help=own)
    order = ("simultaneous", "weakest_first")
    option(
        method, "--avalanche", "which unstable grains flip at once", order[0], str, choices=order
    )
    precision = ("float32", "float64")
    option(method, "--dtype", "precision of the solver", precision[0], str, choices=precision)
    option(
        method, "--tol", "largest change of a moment that counts as settled", None, number, "TOL"
    )
    option(method, "--max-iterations", "at one field", 1000, count, "N")
    add_backend(method)

    output = command.add_argument_group("output")
    option(output, "--out", "folder to write to", Path("runs/simulate"), Path, "DIR")
    output.add_argument("--no-figures", action="store_true", help="write no pictures")
    output.add_argument("--quiet", action="store_true", help="print nothing but errors")


def _run(options) -> None:
    """The command `simulate`: everything that can be refused is refused before the long work."""
    began = time.perf_counter()
    figures = not options.no_figures
    check_output(options.out, DATA_FILES + FIGURE_FILES * figures)
    if figures:
        check_matplotlib(", or leave them out with --no-figures")
    choose_backend(options)
    import numpy as np

    from keras_micromag import physics

    material = _material(options, physics.MATERIALS)
    structure = physics.cubic_grains(
        tuple(options.grid),
        size=options.size * 1e-9,
        gap=options.gap * 1e-9,
        depth=None if options.depth is None else options.depth * 1e-9,
        scheme=tuple(place.strip() for place in options.scheme.split(",")),
        material=material,
    )
    axes = physics.random_easy_axes(
        (options.magnets, len(structure)), cone=options.cone, seed=options.seed
    )
    ready = time.perf_counter()
    try:
        hysteresis = physics.simulate(
            structure,
            axes,
            material=material,
            field=np.linspace(*options.field, options.steps),
            self_field=options.self_field,
            avalanche=options.avalanche,
            dtype=options.dtype,
            tol=options.tol,
            max_iterations=options.max_iterations,
            progress=False if options.quiet else None,
        )
    except physics.ConvergenceError as error:
        raise ValueError(str(error)) from error
    simulated = time.perf_counter()

    settings = _settings(options, material)
    writers = {
        "loops.npz": hysteresis.save,
        "loops.csv": lambda path: write_csv(path, hysteresis),
        "settings.json": lambda path: path.write_text(settings, encoding="utf-8"),
    }
    if figures:
        writers |= _figure_writers(structure, hysteresis)
    write_complete(options.out, writers)
    written = time.perf_counter()

    if not options.quiet:
        print_merits(hysteresis)
        print(f"Written to {options.out}: {', '.join(writers)}")
        print(
            f"Time: set-up {ready - began:.1f} s, simulation {simulated - ready:.1f} s "
            f"(compilation included), files {written - simulated:.1f} s"
        )


def _material(options, known: dict):
    if options.material not in known:
        raise ValueError(
            f"`--material` must be one of {', '.join(known)}; received {options.material}."
        )
    given = {"Js": options.js, "Ku": options.ku, "A": options.a, "Kd": options.kd}
    changes = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(known[options.material], **changes)


def _settings(options, material) -> str:
    """All that is needed to run the same again, as JSON with units in the names."""
    import keras

    units = {"size": "size_nm", "gap": "gap_nm", "depth": "depth_nm"}
    units |= {"cone": "cone_degrees", "field": "field_T"}
    elsewhere = ("run", "out", "no_figures", "quiet", "backend", "js", "ku", "a", "kd")
    settings = {units.get(k, k): v for k, v in vars(options).items() if k not in elsewhere}
    settings |= {"Js_T": material.Js, "Ku_J_per_m3": material.Ku}
    settings |= {"A_J_per_m": material.A, "Kd_J_per_m3": material.Kd}
    settings["backend"] = backend = keras.backend.backend()
    settings["versions"] = {
        PROGRAM: __version__,
        "keras": keras.__version__,
        backend: sys.modules[backend].__version__,
        "numpy": sys.modules["numpy"].__version__,
    }
    return json.dumps(settings, indent=2) + "\n"


def _figure_writers(structure, hysteresis) -> dict:
    from matplotlib.figure import Figure

    from keras_micromag import plots

    def reversal(path):
        figure = Figure(figsize=(plots.COLUMN, plots.COLUMN))
        plots.plot_reversal(structure, hysteresis, figure=figure)
        plots.save_figure(figure, path)

    loops = functools.partial(draw_loops, hysteresis)
    return {"loops.png": loops, "reversal.png": reversal}
