"""`keras-micromag simulate`: demagnetisation curves of multigrain magnets."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import json
import shutil
import sys
import time
import warnings
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np

from keras_micromag.cli import structures
from keras_micromag.cli.output import alone, check_output, write_all, write_csv, write_events
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

FILES = ("loops.npz", "loops.csv", "settings.json", "events.csv", "grains.tess", "loops.pvd")
FIGURES = ("loops.png", "reversal.png", "loop.gif", "loop.mp4")
SELF_FIELD: dict[str, Any] = {"none": False, "all": True, "nucleus": "nucleus"}
MANY = 64
"""Magnets of more grains are drawn cut open, since most grains are inside."""


def add(commands) -> None:
    """Add the command."""
    command = commands.add_parser(
        "simulate",
        help="simulate demagnetisation curves of magnets",
        description="Simulate demagnetisation curves with the embedded Stoner-Wohlfarth method, "
        "print their figures of merit, and write loops.npz, loops.csv, settings.json, loops.png "
        "and reversal.png. With --method events, write the flips of all grains to events.csv. "
        "Unless the grains are cubes, write them to grains.tess, without the gaps between them, "
        "with the easy axes of the first magnet. Without options: ten magnets of 64 cubes.",
    )
    command.set_defaults(run=_run)
    structures.add(command)
    _add_material(command.add_argument_group("material"))
    field = command.add_argument_group("field, along z")
    option(field, "--field", "first and last field in T", [8.0, -8.0], number, ("START", "STOP"))
    option(field, "--steps", "number of fields, the first and last included", 1000, count, "N")
    _add_method(command.add_argument_group("method"))
    _add_output(command.add_argument_group("output"))


def _add_material(group) -> None:
    names = "Nd2Fe14B, SmCo5, Sm2Co17, BaFe12O19 or SrFe12O19"
    option(group, "--material", names, "Nd2Fe14B", str, "NAME")
    text = (
        "temperature in K, to which the constants are taken from 300 K by the law of the material"
    )
    option(group, "--temperature", text, None, number, "K")
    for name, text in (
        ("js", "saturation polarisation in T"),
        ("ku", "anisotropy constant in J/m3"),
        ("a", "exchange stiffness in J/m"),
        ("kd", "shape anisotropy constant in J/m3"),
    ):
        text += " (default: that of the material)"
        option(group, f"--{name}", text, None, number, name.upper())
    text = "standard deviation of ln({}) over the grains, which all magnets share"
    for name in ("js", "ku"):
        option(group, f"--{name}-spread", text.format(name.upper()), 0.0, number, "SIGMA")
    text = "exchange across the boundaries of neighbouring grains in mJ/m2"
    option(group, "--exchange", text, 0.0, number, "MJ")


def _add_method(group) -> None:
    text = (
        "sweep rate of the field in T/s: heat reverses grains earlier, at --temperature or 300 K "
    )
    text += "(default: no activation)"
    option(group, "--sweep-rate", text, None, number, "RATE")
    text = "depth of the particles below the grain's surface in nm, or calibrated: the one of each "
    text += "grain's material at which --self-field nucleus agrees with micromagnetics"
    option(group, "--depth", text, "calibrated", _depth, "NM")
    text = "places of the particles in a grain, separated by commas"
    option(group, "--scheme", text, "vertices,edges,faces,centroid", str, "PLACES")
    text = "each grain's own demagnetising field on its particles: none, all of it, or without the "
    text += "part that turns with the nucleus of a reversal; KD must be 0 but with none "
    text += "(default: nucleus; all with no value)"
    group.add_argument(
        "--self-field", help=text, nargs="?", const="all", default="nucleus", choices=SELF_FIELD
    )
    text = "steps: solve at each field; events: compute the field at which each avalanche begins"
    option(group, "--method", text, "steps", choices=("steps", "events"))
    text = "which unstable grains flip, all at once or the weakest first"
    orders = ("simultaneous", "weakest_first")
    option(group, "--avalanche", text, "weakest_first", choices=orders)
    text = "demagnetising fields by a dense matrix, by FFT on a lattice of equal grains, or by FFT "
    text += "on a mesh with exact near fields; auto chooses"
    kinds = ("auto", "dense", "lattice", "hierarchical")
    option(group, "--operator", text, "auto", choices=kinds)
    option(group, "--rtol", "relative error of the hierarchical operator", 1e-4, number, "RTOL")
    option(group, "--dtype", "precision of the solver", "float32", choices=("float32", "float64"))
    text = "largest change of a moment that counts as converged (default: by --dtype)"
    option(group, "--tol", text, None, number, "TOL")
    text = "largest number of iterations at one field"
    option(group, "--max-iterations", text, 5000, count, "N")
    add_backend(group)


def _depth(text: str) -> float | str:
    """Convert the text of the option `--depth`."""
    return text if text == "calibrated" else number(text)


def _add_output(group) -> None:
    option(group, "--out", "folder for the results", Path("runs/simulate"), Path, "DIR")
    text = "folder for checkpoints of a long loop; the same command continues a run that was killed"
    option(group, "--checkpoint", text, None, Path, "DIR")
    group.add_argument("--no-figures", action="store_true", help="draw no figures")
    text = "also write loop.gif or loop.mp4, a film of the first magnet along its loop"
    option(group, "--animation", text, None, choices=("gif", "mp4"))
    text = "also write loops.pvd, the states of the first magnet for ParaView, in a folder loops"
    group.add_argument("--vtk", action="store_true", help=text)
    group.add_argument("--quiet", action="store_true", help="print nothing but errors")


def _run(options: Namespace) -> None:
    """Run `simulate`, which refuses bad input before the long work."""
    times = [time.perf_counter()]
    kind = structures.complete(options)
    _check(options)
    choose_backend(options)
    from keras_micromag import physics

    if options.vtk:
        from keras_micromag import vtk

        vtk.require_own_folder(options.out / "loops")
    material = _material(options, physics.MATERIALS)
    structure, axes = structures.build(options, kind)
    materials = _materials(options, material, len(structure))
    times.append(time.perf_counter())
    hysteresis = _simulate(options, structure, axes, materials)
    times.append(time.perf_counter())
    settings = _settings(options, material, len(structure))
    writers = _writers(options, kind, structure, axes[0], hysteresis, settings)
    with alone(options.out):
        others = _is_of_another_run(options.out / "settings.json", settings)
        if options.vtk:
            # First, since it takes longest; it is atomic by itself.
            vtk.write_vtk(options.out / "loops.pvd", structure, hysteresis)
        write_all(options.out, writers)
        if others:
            written = {*writers, "loops.pvd"} if options.vtk else {*writers}
            _remove(options.out, {*FILES, *FIGURES} - written)
    times.append(time.perf_counter())

    if not options.quiet:
        print_merits(hysteresis)
        print(f"Written to {options.out}: {', '.join([*writers, *['loops.pvd'] * options.vtk])}")
        setup, simulation, files = (end - start for start, end in itertools.pairwise(times))
        print(
            f"Time: set-up {setup:.1f} s, simulation {simulation:.1f} s (compilation included), "
            f"files {files:.1f} s"
        )


def _check(options: Namespace) -> None:
    """Raise where options contradict each other, or the requested files cannot be made."""
    check_output(options.out, FILES if options.no_figures else FILES + FIGURES)
    if options.checkpoint and options.method == "events":
        raise ValueError(
            f"`--checkpoint` must be left out by events; received {options.checkpoint}."
        )
    if options.checkpoint and options.checkpoint.resolve() == options.out.resolve():
        # Both have a settings.json.
        raise ValueError(
            f"`--checkpoint` must be another folder than --out; received {options.checkpoint}."
        )
    if options.no_figures and options.animation:
        raise ValueError(
            f"`--animation` must not be given with --no-figures; received {options.animation}."
        )
    if not options.no_figures:
        check_matplotlib(", or leave them out with --no-figures")
    if options.animation == "mp4" and shutil.which("ffmpeg") is None:
        raise ValueError("`--animation` must be gif where there is no ffmpeg; received mp4.")


def _material(options: Namespace, known: dict):
    """Return the named material with the constants that the options change."""
    if options.material not in known:
        raise ValueError(
            f"`--material` must be one of {', '.join(known)}; received {options.material}."
        )
    given = {"Js": options.js, "Ku": options.ku, "A": options.a, "Kd": options.kd}
    changes = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(known[options.material], **changes)


def _materials(options: Namespace, material, grains: int):
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


def _simulate(options: Namespace, structure, axes, materials):
    """Return the loops, with one sentence on magnets that fail; a ValueError if all of them do."""
    from keras_micromag import physics

    start, stop = options.field
    thermal = None
    if options.sweep_rate is not None:
        temperature = 300.0 if options.temperature is None else options.temperature
        thermal = physics.Thermal(temperature, sweep_rate=options.sweep_rate)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            loops = physics.simulate(
                structure,
                axes,
                material=materials,
                temperature=options.temperature,
                thermal=thermal,
                field=np.linspace(start, stop, options.steps),
                self_field=SELF_FIELD[options.self_field],
                exchange=1e-3 * options.exchange,
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
        except MemoryError as error:
            raise ValueError(str(error)) from error
    if not loops.converged.all(axis=-1).any():
        raise ValueError(
            "no magnet found an equilibrium at every field step within `--max-iterations` = "
            f"{options.max_iterations}."
        )
    for warning in caught:
        print(f"{PROGRAM}: warning: {warning.message}", file=sys.stderr)
    return loops


def _settings(options: Namespace, material, grains: int) -> str:
    """Return all that is needed to repeat the run, as JSON with units in the names."""
    import keras

    units = {"size": "size_nm", "gap": "gap_nm", "depth": "depth_nm", "unit": "unit_nm"}
    units |= {"cone": "cone_degrees", "field": "field_T", "temperature": "temperature_K"}
    units |= {"sweep_rate": "sweep_rate_T_per_s", "exchange": "exchange_mJ_per_m2"}
    left_out = {"run", "out", "checkpoint", "no_figures", "animation", "vtk", "quiet", "backend"}
    left_out |= {"js", "ku", "a", "kd"}  # below, as those of the material
    settings = {units.get(k, k): v for k, v in vars(options).items() if k not in left_out}
    settings["grains"] = grains
    settings |= {"Js_T": material.Js, "Ku_J_per_m3": material.Ku}
    settings |= {"A_J_per_m": material.A, "Kd_J_per_m3": material.Kd}
    settings["backend"] = keras.backend.backend()
    installed = versions()
    settings["versions"] = {PROGRAM: installed.pop("keras_micromag"), **installed}
    return json.dumps(settings, indent=2, default=str) + "\n"


def _is_of_another_run(path: Path, settings: str) -> bool:
    """Return whether there is a file of settings, and it holds others."""
    return path.exists() and path.read_text("utf-8", errors="replace") != settings


def _remove(out: Path, names: set[str]) -> None:
    """Remove the files that an earlier run with other settings left, since they show other loops.

    Args:
        out: the folder.
        names: of the files that this run did not replace.
    """
    states = (out / "loops").glob("step_*.vtu") if "loops.pvd" in names else ()
    for path in (*states, *(out / name for name in names)):
        path.unlink(missing_ok=True)
    if "loops.pvd" in names:
        with contextlib.suppress(OSError):  # it is not there, or holds other files
            (out / "loops").rmdir()


def _writers(
    options: Namespace, kind: str, structure, easy_axes, hysteresis, settings: str
) -> dict:
    """Return the functions that write the files, by name; grains.tess has `easy_axes` (g, 3)."""
    from keras_micromag.physics import write_neper

    writers = {
        "loops.npz": hysteresis.save,
        "loops.csv": lambda path: write_csv(path, hysteresis),
        "settings.json": lambda path: path.write_text(settings, encoding="utf-8"),
    }
    if hysteresis.events is not None:
        writers["events.csv"] = lambda path: write_events(path, hysteresis.events)
    if kind != "grid":
        writers["grains.tess"] = lambda path: write_neper(path, structure, easy_axes=easy_axes)
    return writers if options.no_figures else writers | _figures(options, structure, hysteresis)


def _figures(options: Namespace, structure, hysteresis) -> dict:
    """Return the functions that write the figures, by the file's name."""
    from matplotlib.figure import Figure

    from keras_micromag import plots
    from keras_micromag.plots import style

    cut = None
    # A cut through a grain that is not convex may have holes, which the figures cannot draw.
    if len(structure) > MANY and all(grain.is_convex for grain in structure.grains):
        normal = np.array([0.0, -1.0, 0.0])
        cut = normal, normal @ structure.bounds.mean(axis=0)

    def reversal(path):
        figure = Figure(figsize=(style.COLUMN, style.COLUMN))
        plots.plot_reversal(structure, hysteresis, cut=cut, figure=figure)
        style.save_figure(figure, path)

    writers = {"loops.png": functools.partial(draw_loops, hysteresis), "reversal.png": reversal}
    if options.animation:
        writers[f"loop.{options.animation}"] = functools.partial(
            plots.animate_loop, structure, hysteresis, cut=cut
        )
    return writers
