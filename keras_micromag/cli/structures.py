"""Structures for `keras-micromag simulate`: cubes, a polycrystal, or grains read from files."""

from __future__ import annotations

import functools
import hashlib
from argparse import Namespace
from pathlib import Path
from typing import Any

from keras_micromag.utils.command_line import count, number, option, seed

CONE, MAGNETS = 35.0, 10
DEFAULTS: dict[str, dict] = {
    "grid": {"size": 50.0, "gap": 3.0},
    "voronoi": {"size": 50.0, "gap": 3.0, "sigma": 0.0, "relaxation": 0}
    | {"stretch": [1.0, 1.0, 1.0], "sample": "box", "vanishing": "refuse"},
    "tessellation": {"gap": 0.0, "unit": 1000.0},
    "meshes": {"unit": 1.0},
}
"""Options that not all kinds of structure have, with their defaults, by the kind."""


def add(command) -> None:
    """Add the options of the grains and the easy axes."""
    cubes, _, tessellation, meshes = DEFAULTS.values()
    group = command.add_argument_group("structure")
    kind = group.add_mutually_exclusive_group()
    text = "number of cubic grains along x, y and z"
    option(kind, "--grid", text, [4, 4, 4], count, ("NX", "NY", "NZ"))
    option(kind, "--voronoi", "a polycrystal of N irregular grains", None, count, "N")
    text = "grains from a .tess file of Neper, or from surface meshes: STL, PLY, OBJ or OFF"
    kind.add_argument("--structure", help=text, nargs="+", type=Path, metavar="FILE")
    text = "edge of a cubic grain in nm; with --voronoi, of a cube of the mean volume"
    option(group, "--size", f"{text} (default: {cubes['size']})", None, number, "NM")
    text = f"non-magnetic gap between grains in nm (default: {cubes['gap']}); the cells of a .tess "
    text += f"file are made smaller for it (default: {tessellation['gap']})"
    option(group, "--gap", text, None, number, "NM")
    text = f"unit of length in nm of a .tess file (default: {tessellation['unit']}) or of meshes "
    option(group, "--unit", f"{text}(default: {meshes['unit']})", None, number, "NM")
    text = "standard deviation of the logarithm of the grain diameters, or 0 for the cells as drawn"
    _add_of_voronoi(group, "--sigma", text, number, "SIGMA")
    text = "number of times that each seed moves to the centroid of its cell"
    _add_of_voronoi(group, "--relaxation", text, functools.partial(count, least=0), "N")
    text = "factors by which the grains are elongated along x, y and z"
    _add_of_voronoi(group, "--stretch", text, number, ("SX", "SY", "SZ"))
    shapes = ("box", "cylinder", "sphere")
    _add_of_voronoi(group, "--sample", "shape that is cut from the box", choices=shapes)
    text = "refuse or drop grains that are too small for the gap"
    _add_of_voronoi(group, "--vanishing", text, choices=("refuse", "drop"))

    group = command.add_argument_group("easy axes")
    text = f"largest angle between easy axes and z in degrees (default: {CONE}; the orientations "
    option(group, "--cone", f"{text}of a .tess file if it has some)", None, number, "DEG")
    text = f"number of magnets, each with easy axes of its own (default: {MAGNETS}; 1 with the "
    option(group, "--magnets", f"{text}orientations of a .tess file)", None, count, "N")
    text = "seed of the random numbers: N of the easy axes, [N, 1] of the polycrystal, [N, 2] of "
    option(group, "--seed", f"{text}the materials", 0, seed, "N")


def _add_of_voronoi(group, name, text, type=str, metavar=None, choices=None) -> None:
    """Add an option that only `--voronoi` has; `complete` sets its default."""
    default = DEFAULTS["voronoi"][name.removeprefix("--")]
    shown = " ".join(map(str, default)) if isinstance(default, list) else default
    text = f"with --voronoi: {text} (default: {shown})"
    option(group, name, text, None, type, metavar, choices)


def complete(options: Namespace) -> str:
    """Set the defaults of the structure's options, and delete the options of other kinds.

    Returns:
        The kind of structure, one of `DEFAULTS`.

    Raises:
        ValueError: for an option that is given and has no meaning for this kind of structure.
    """
    kind = _kind(options)
    source = kind if kind in ("grid", "voronoi") else "structure"
    other = {"tessellation": "a .tess file", "meshes": "surface meshes"}.get(kind, f"--{kind}")
    for name in dict.fromkeys(name for each in DEFAULTS.values() for name in each):
        value = vars(options).pop(name)
        if name in DEFAULTS[kind]:
            setattr(options, name, DEFAULTS[kind][name] if value is None else value)
        elif value is not None:
            raise ValueError(f"`--{name}` must not be given with {other}; received {value}.")
    for name in {"grid", "voronoi", "structure"} - {source}:
        delattr(options, name)
    return kind


def _kind(options: Namespace) -> str:
    """Return the kind of structure that the options describe, one of `DEFAULTS`."""
    if options.voronoi is not None:
        return "voronoi"
    if options.structure is None:
        return "grid"
    suffixes = [path.suffix.lower() for path in options.structure]
    if ".tess" not in suffixes:
        return "meshes"
    if len(suffixes) > 1:
        raise ValueError(
            "`--structure` must be one .tess file, or surface meshes; "
            f"received {' '.join(map(str, options.structure))}."
        )
    return "tessellation"


def build(options: Namespace, kind: str):
    """Build the structure, and add what is read from its files to the options.

    Returns:
        The `Microstructure`, and its easy axes (b, g, 3).

    Notes:
        The easy axes are drawn from `options.seed`, and are the same for a grid of as many grains;
        the polycrystal is drawn from [seed, 1], so that it does not depend on them.
    """
    from keras_micromag import physics

    embedding: dict[str, Any] = {
        "depth": options.depth * 1e-9 if isinstance(options.depth, float) else options.depth,
        "scheme": tuple(place.strip() for place in options.scheme.split(",")),
    }
    axes = None
    if kind == "grid":
        lengths = {"size": options.size * 1e-9, "gap": options.gap * 1e-9}
        structure = physics.cubic_grains(tuple(options.grid), **lengths, **embedding)
    elif kind == "voronoi":
        structure = _polycrystal(options, embedding)
    else:
        options.sha256 = [
            hashlib.sha256(path.read_bytes()).hexdigest() for path in options.structure
        ]
        unit = options.unit * 1e-9
        if kind == "meshes":
            bodies = physics.read_surfaces(options.structure, unit=unit)
            structure = physics.Microstructure(bodies, **embedding)
        else:
            cells = physics.read_neper(options.structure[0], unit=unit)
            structure = cells.microstructure(gap=options.gap * 1e-9, **embedding)
            axes = None if cells.orientations is None else cells.easy_axes
    return structure, _easy_axes(options, structure, axes)


def _polycrystal(options: Namespace, embedding):
    from keras_micromag.physics import voronoi_grains
    from keras_micromag.utils import checks

    size = checks.number(options.size, "size", above=0)
    return voronoi_grains(
        options.voronoi,
        (size + options.gap) * 1e-9 * options.voronoi ** (1 / 3),
        [options.seed, 1],
        options.gap * 1e-9,
        sigma=options.sigma,
        relaxation=options.relaxation,
        stretch=options.stretch,
        sample=options.sample,
        vanishing=options.vanishing,
        **embedding,
    )


def _easy_axes(options: Namespace, structure, own):
    """Return the easy axes (b, g, 3): either the file's `own` (g, 3), or drawn."""
    from keras_micromag.physics import random_easy_axes

    if own is not None and options.cone is None:
        if options.magnets not in (None, 1):
            raise ValueError(
                "`--magnets` must be 1 with the orientations of a .tess file, or `--cone` be given "
                f"to draw others; received {options.magnets}."
            )
        options.magnets = 1
        return own[None]
    options.cone = CONE if options.cone is None else options.cone
    options.magnets = MAGNETS if options.magnets is None else options.magnets
    return random_easy_axes((options.magnets, len(structure)), cone=options.cone, seed=options.seed)
