"""`keras-micromag simulate`: demagnetisation curves of multigrain magnets."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
import time
from pathlib import Path

from keras_micromag.cli import structures
from keras_micromag.cli.output import check_output, write_all, write_csv, write_events
from keras_micromag.summary import check_matplotlib, draw_loops, print_merits
from keras_micromag.utils.command_line import (
    PROGRAM,
    add_backend,
    choose_backend,
    count,
    number,
    option,
)
from keras_micromag.utils.versions import versions

MANY = 64
"""Magnets of more grains are drawn cut open, since most grains are inside."""


def add(commands) -> None:
    """Add the command."""
    command = commands.add_parser(
        "simulate",
        help="simulate demagnetisation curves of magnets",
        description="Simulate demagnetisation curves with the embedded Stoner-Wohlfarth method, "
        "print their figures of merit, and write loops.npz, loops.csv, settings.json, loops.png "
        "and reversal.png; events.csv of loops by events; and grains.tess unless the grains are "
        "cubes: the grains, without what is between them, with the first magnet's easy axes. "
        "Without options: the ten magnets of the paper.",
    )
    command.set_defaults(run=_run)
    structures.add(command)

    magnet = command.add_argument_group("material")
    option(magnet, "--material", "one of the known materials", "Nd2Fe14B", str, "NAME")
    option(magnet, "--js", "saturation polarisation in T, not the material's", None, number, "JS")
    option(magnet, "--ku", "anisotropy constant in J/m3, not the material's", None, number, "KU")
    option(magnet, "--a", "exchange stiffness in J/m, not the material's", None, number, "A")
    option(
        magnet, "--kd", "shape anisotropy constant in J/m3, not the material's", None, number, "KD"
    )
    spread = "standard deviation from grain to grain of the logarithm of"
    option(magnet, "--js-spread", f"{spread} JS, the same in all magnets", 0.0, number, "SIGMA")
    option(magnet, "--ku-spread", f"{spread} KU, the same in all magnets", 0.0, number, "SIGMA")

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
    methods = ("steps", "events")
    text = "from field to field, or from avalanche to avalanche, whose fields it computes"
    option(method, "--method", text, methods[0], str, choices=methods)
    orders = ("simultaneous", "weakest_first")
    text = "which unstable grains flip at once; if not given, simultaneous by steps, else weakest"
    option(method, "--avalanche", text, None, str, choices=orders)
    kinds = ("auto", "dense", "lattice", "hierarchical")
    option(
        method, "--operator", "how demagnetising fields are computed", kinds[0], str, choices=kinds
    )
    option(method, "--rtol", "error of the hierarchical operator", 1e-4, number, "RTOL")
    precision = ("float32", "float64")
    option(method, "--dtype", "precision of the solver", precision[0], str, choices=precision)
    option(
        method, "--tol", "largest change of a moment that counts as converged", None, number, "TOL"
    )
    option(method, "--max-iterations", "at one field", 1000, count, "N")
    add_backend(method)

    output = command.add_argument_group("output")
    option(output, "--out", "folder to write to", Path("runs/simulate"), Path, "DIR")
    text = "folder for the checkpoint of a long loop: the same command continues a killed one"
    option(output, "--checkpoint", text, None, Path, "DIR")
    output.add_argument("--no-figures", action="store_true", help="write no pictures")
    text = "also write loop.gif or loop.mp4, the first magnet moving along its loop"
    option(output, "--animation", text, None, choices=("gif", "mp4"))
    text = "also write loops.pvd, the first magnet's states for ParaView, in a folder loops"
    output.add_argument("--vtk", action="store_true", help=text)
    output.add_argument("--quiet", action="store_true", help="print nothing but errors")


def _run(options) -> None:
    """Run `simulate`, which refuses bad input before the long work."""
    began = time.perf_counter()
    kind = structures.complete(options)
    check_output(options.out, _names(options, kind))
    if options.checkpoint and options.method == "events":
        raise ValueError(
            f"`--checkpoint` must be left out by events; received {options.checkpoint}."
        )
    if options.checkpoint and options.checkpoint.resolve() == options.out.resolve():
        # Both have a settings.json.
        raise ValueError(
            f"`--checkpoint` must be another folder than --out; received {options.checkpoint}."
        )
    _check_figures(options)
    choose_backend(options)
    import numpy as np

    from keras_micromag import physics

    if options.avalanche is None:  # settings.json has the default by name
        options.avalanche = physics.solver.problem.DEFAULT_AVALANCHE[options.method]
    if options.vtk:
        from keras_micromag import vtk
    material = _material(options, physics.MATERIALS)
    structure, axes = structures.build(options, kind, material)
    materials = _materials(options, material, len(structure))
    ready = time.perf_counter()
    try:
        hysteresis = physics.simulate(
            structure,
            axes,
            material=materials,
            field=np.linspace(*options.field, options.steps),
            self_field=options.self_field,
            method=options.method,
            avalanche=options.avalanche,
            dtype=options.dtype,
            tol=options.tol,
            max_iterations=options.max_iterations,
            operator=options.operator,
            rtol=options.rtol,
            progress=False if options.quiet else None,
            checkpoint=options.checkpoint,
        )
    except (physics.ConvergenceError, MemoryError) as error:
        raise ValueError(str(error)) from error
    simulated = time.perf_counter()

    settings = _settings(options, material, len(structure))
    writers = {
        "loops.npz": hysteresis.save,
        "loops.csv": lambda path: write_csv(path, hysteresis),
        "settings.json": lambda path: path.write_text(settings, encoding="utf-8"),
    }
    if hysteresis.events is not None:
        writers["events.csv"] = lambda path: write_events(path, hysteresis.events)
    if kind != "grid":
        writers["grains.tess"] = functools.partial(
            physics.write_neper, structure=structure, easy_axes=axes[0]
        )
    if not options.no_figures:
        writers |= _figure_writers(options, structure, hysteresis)
    if options.vtk:
        # First, since it takes longest; it is atomic by itself.
        options.out.mkdir(parents=True, exist_ok=True)
        vtk.write_vtk(options.out / "loops.pvd", structure, hysteresis)
    write_all(options.out, writers)
    written = time.perf_counter()

    if not options.quiet:
        print_merits(hysteresis)
        print(f"Written to {options.out}: {', '.join([*writers, *['loops.pvd'] * options.vtk])}")
        print(
            f"Time: set-up {ready - began:.1f} s, simulation {simulated - ready:.1f} s "
            f"(compilation included), files {written - simulated:.1f} s"
        )


def _names(options, kind: str) -> tuple[str, ...]:
    """Return the names of the files that will be written."""
    names = ["loops.npz", "loops.csv", "settings.json"]
    names += ["events.csv"] * (options.method == "events")
    names += ["grains.tess"] * (kind != "grid") + ["loops.pvd"] * options.vtk
    names += ["loops.png", "reversal.png"] * (not options.no_figures)
    return (*names, *[f"loop.{options.animation}"] * (options.animation is not None))


def _check_figures(options) -> None:
    """Raise where requested figures or files for ParaView cannot be made."""
    if options.vtk:
        folder = options.out / "loops"
        others = [file for file in folder.glob("*") if not file.match("step_*.vtu")]
        others += [folder] * folder.is_file()
        if others:
            raise ValueError(
                f"`--vtk` must have the folder {folder} for itself; there is {others[0]}."
            )
    if options.no_figures:
        if options.animation:
            raise ValueError(
                f"`--animation` must not be given with --no-figures; received {options.animation}."
            )
        return
    check_matplotlib(", or leave them out with --no-figures")
    if options.animation == "mp4" and shutil.which("ffmpeg") is None:
        raise ValueError("`--animation` must be gif where there is no ffmpeg; received mp4.")


def _material(options, known: dict):
    """Return the named material with the constants that the options change."""
    if options.material not in known:
        raise ValueError(
            f"`--material` must be one of {', '.join(known)}; received {options.material}."
        )
    given = {"Js": options.js, "Ku": options.ku, "A": options.a, "Kd": options.kd}
    changes = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(known[options.material], **changes)


def _materials(options, material, grains: int):
    """Return one material for all grains, or one per grain if constants have a spread."""
    from keras_micromag.physics import spread_materials
    from keras_micromag.utils import checks

    spreads = {
        "Js": checks.number(options.js_spread, "js-spread", least=0),
        "Ku": checks.number(options.ku_spread, "ku-spread", least=0),
    }
    if not any(spreads.values()):
        return material
    # From [seed, 2], since the easy axes are drawn from the seed itself.
    return spread_materials(material, grains, **spreads, seed=[options.seed, 2])


def _settings(options, material, grains: int) -> str:
    """Return all that is needed to repeat the run, as JSON with units in the names."""
    import keras

    units = {"size": "size_nm", "gap": "gap_nm", "depth": "depth_nm"}
    units |= {"cone": "cone_degrees", "field": "field_T"}
    units["unit"] = "unit_nm"
    elsewhere = ("run", "out", "checkpoint", "no_figures", "animation", "vtk", "quiet", "backend")
    elsewhere += ("js", "ku", "a", "kd")
    settings = {units.get(k, k): v for k, v in vars(options).items() if k not in elsewhere}
    settings["grains"] = grains
    settings |= {"Js_T": material.Js, "Ku_J_per_m3": material.Ku}
    settings |= {"A_J_per_m": material.A, "Kd_J_per_m3": material.Kd}
    settings["backend"] = keras.backend.backend()
    installed = versions()
    settings["versions"] = {PROGRAM: installed.pop("keras_micromag"), **installed}
    return json.dumps(settings, indent=2, default=str) + "\n"


def _figure_writers(options, structure, hysteresis) -> dict:
    """Return the functions that write the figures, by the file's name."""
    import numpy as np
    from matplotlib.figure import Figure

    from keras_micromag import plots

    cut = None
    # A cut through a grain that is not convex may have holes, which the figures cannot draw.
    if len(structure) > MANY and all(grain.is_convex for grain in structure.grains):
        normal = np.array([0.0, -1.0, 0.0])
        cut = normal, normal @ structure.bounds.mean(axis=0)

    def reversal(path):
        figure = Figure(figsize=(plots.COLUMN, plots.COLUMN))
        plots.plot_reversal(structure, hysteresis, cut=cut, figure=figure)
        plots.save_figure(figure, path)

    writers = {"loops.png": functools.partial(draw_loops, hysteresis), "reversal.png": reversal}
    if options.animation:
        writers[f"loop.{options.animation}"] = functools.partial(
            plots.animate_loop, structure, hysteresis, cut=cut
        )
    return writers
