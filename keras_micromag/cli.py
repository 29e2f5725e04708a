"""The command line: `keras-micromag simulate`, also as `python -m keras_micromag simulate`.

Keras, the physics and matplotlib are imported only where they are needed, so that `--help` is
quick, a mistyped option costs nothing, and `--backend` still takes effect.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import json
import math
import os
import sys
import tempfile
import time
from pathlib import Path

from keras_micromag import __version__

PROGRAM = "keras-micromag"
BACKENDS = ("tensorflow", "jax", "torch")
DATA_FILES = ("loops.npz", "loops.csv", "settings.json")
FIGURE_FILES = ("loops.png", "reversal.png")


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one sentence, without the usage in front of it."""

    def error(self, message):
        """Raise it, for `run` to tell."""
        raise ValueError(f"{message} (see `{self.prog} --help`).")


def main(argv=None) -> int:
    """Run the command line and return its exit status; see `run`."""
    return run(_parser(), argv)


def run(parser: Parser, argv=None) -> int:
    """Run the command that `argv` names, and return the process's exit status.

    Args:
        parser: whose subcommands set `run`, which is called with the parsed options.
        argv: the arguments; those of the process if None.

    Returns:
        0; or 2 after bad input or a failure, told in one sentence on stderr; or 130 after Ctrl-C.
    """
    program = parser.prog
    try:
        arguments = sys.argv[1:] if argv is None else argv
        options = parser.parse_args([_shield(argument) for argument in arguments])
        options.run(options)
    except SystemExit as request:  # --help and --version
        return int(request.code or 0)
    except KeyboardInterrupt:
        print(f"{program}: interrupted.", file=sys.stderr, flush=True)
        if argv is None:
            # Not by sys.exit: JAX, still computing, crashes while Python shuts down.
            os._exit(130)
        return 130
    except (ValueError, ImportError, MemoryError, OSError) as error:
        print(f"{program}: error: {_sentence(error)}", file=sys.stderr)
        return 2
    return 0


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}."
    return " ".join(str(error).split()) or f"{type(error).__name__}."


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog=PROGRAM, description="Magnetisation reversal of multigrain magnets.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_simulate(commands)
    _add_reproduce(commands)
    _add_predict(commands)
    return parser


def _add_simulate(commands) -> None:
    command = commands.add_parser(
        "simulate",
        help="simulate demagnetisation curves of magnets made of cubic grains",
        description="Simulate demagnetisation curves with the embedded Stoner-Wohlfarth method, "
        "print their figures of merit, and write loops.npz, loops.csv, settings.json, loops.png "
        "and reversal.png. Without options: the ten magnets of the paper.",
    )
    command.set_defaults(run=_simulate)

    magnet = command.add_argument_group("magnet")
    _add(magnet, "--grid", "grains along x, y and z", [4, 4, 4], count, ("NX", "NY", "NZ"))
    _add(magnet, "--size", "edge of a grain in nm", 50.0, _number, "NM")
    _add(magnet, "--gap", "non-magnetic gap between grains in nm", 3.0, _number, "NM")
    _add(magnet, "--material", "one of the known materials", "Nd2Fe14B", str, "NAME")
    _add(magnet, "--js", "saturation polarisation in T, not the material's", None, _number, "JS")
    _add(magnet, "--ku", "anisotropy constant in J/m3, not the material's", None, _number, "KU")
    _add(magnet, "--a", "exchange stiffness in J/m, not the material's", None, _number, "A")
    _add(
        magnet, "--kd", "shape anisotropy constant in J/m3, not the material's", None, _number, "KD"
    )
    _add(magnet, "--cone", "half angle of the easy axes' cone in degrees", 35.0, _number, "DEG")
    _add(magnet, "--seed", "of the random easy axes", 0, _seed, "N")
    _add(magnet, "--magnets", "how many, each with its own easy axes", 10, count, "N")

    field = command.add_argument_group("field, along z")
    _add(field, "--field", "first and last in T", [8.0, -8.0], _number, ("START", "STOP"))
    _add(field, "--steps", "how many fields, the first and last included", 1000, count, "N")

    method = command.add_argument_group("method")
    depth = "of the particles below the grain's surface in nm; 1.2 exchange lengths if not given"
    _add(method, "--depth", depth, None, _number, "NM")
    scheme = "places of the particles, by commas"
    _add(method, "--scheme", scheme, "vertices,edges,faces,centroid", str, "PLACES")
    own = "add each grain's own demagnetising field (then KD must be 0)"
    method.add_argument("--self-field", action="store_true", help=own)
    order = ("simultaneous", "weakest_first")
    _add(method, "--avalanche", "which unstable grains flip at once", order[0], str, choices=order)
    precision = ("float32", "float64")
    _add(method, "--dtype", "precision of the solver", precision[0], str, choices=precision)
    _add(method, "--tol", "largest change of a moment that counts as settled", None, _number, "TOL")
    _add(method, "--max-iterations", "at one field", 1000, count, "N")
    _add(method, "--backend", "Keras backend; KERAS_BACKEND if not given", None, choices=BACKENDS)

    output = command.add_argument_group("output")
    _add(output, "--out", "folder to write to", Path("runs/simulate"), Path, "DIR")
    output.add_argument("--no-figures", action="store_true", help="write no pictures")
    output.add_argument("--quiet", action="store_true", help="print nothing but errors")


def _add_reproduce(commands) -> None:
    command = commands.add_parser(
        "reproduce",
        help="train the paper's method and judge it on magnets never seen",
        description="Build the data sets that are not there, train an autoencoder and a predictor "
        "in its latent space, predict the loops of the paper's ten magnets, and write report.md, "
        "metrics.json, settings.json, model.keras and figures. A run that was killed goes on after "
        "the last piece that it finished.",
    )
    command.set_defaults(run=_reproduce)
    _add(command, "--recipe", "default, or paper: as it tells", "default", str, "NAME")
    _add(command, "--magnets", "of tfds_esw/large, to train on", 800, count, "N")
    _add(command, "--seed", "of the training", 0, _seed, "N")
    _add(command, "--data-dir", "of the data sets; TFDS's own if not given", None, Path, "DIR")
    _add(command, "--out", "folder to write to", Path("runs/reproduce"), Path, "DIR")
    _add(command, "--backend", "Keras backend; KERAS_BACKEND if not given", None, choices=BACKENDS)


def _add_predict(commands) -> None:
    command = commands.add_parser(
        "predict",
        help="predict demagnetisation curves by a trained model",
        description="Predict whole loops from their first states, print their figures of merit, "
        "and write loops.npz, loops.csv and loops.png.",
    )
    command.set_defaults(run=_predict)
    command.add_argument("model", type=Path, metavar="MODEL", help="what reproduce wrote")
    given = command.add_mutually_exclusive_group(required=True)
    states = "loops.npz of simulate: their first states are taken, and their fields"
    given.add_argument("--loops", type=Path, metavar="FILE", help=states)
    axes = ".npy file of (g, 3) or (b, g, 3) unit vectors: the first states are computed"
    given.add_argument("--easy-axes", type=Path, metavar="FILE", help=axes)
    _add(command, "--field", "first and last in T", [8.0, -8.0], _number, ("START", "STOP"))
    _add(command, "--steps", "how many fields", 1000, count, "N")
    _add(command, "--out", "folder to write to", Path("runs/predict"), Path, "DIR")
    _add(command, "--backend", "Keras backend; KERAS_BACKEND if not given", None, choices=BACKENDS)


def _add(group, option, help, default, type=str, metavar=None, choices=None) -> None:
    """Add one option, with its default told in the help when there is one."""
    shown = " ".join(map(str, default)) if isinstance(default, list) else default
    group.add_argument(
        option,
        help=help if default is None else f"{help} (default: {shown})",
        default=default,
        type=type,
        nargs=len(metavar) if isinstance(metavar, tuple) else None,
        metavar=metavar,
        choices=choices,
    )


def _shield(argument: str) -> str:
    """Keep argparse from taking a number such as -1e5 for an option: a leading space does."""
    with contextlib.suppress(ValueError):
        if argument.startswith("-"):
            float(argument)
            return f" {argument}"
    return argument


def count(text: str, least: int = 1) -> int:
    """The type of an option that counts something."""
    with contextlib.suppress(ValueError):
        if int(text) >= least:
            return int(text)
    raise argparse.ArgumentTypeError(f"must be a whole number of at least {least}; received {text}")


def _seed(text: str) -> int:
    return count(text, least=0)


def _number(text: str) -> float:
    with contextlib.suppress(ValueError):
        if math.isfinite(float(text)):
            return float(text)
    raise argparse.ArgumentTypeError(f"must be a finite number; received {text}")


def _simulate(options) -> None:
    """The command `simulate`: everything that can be refused is refused before the long work."""
    began = time.perf_counter()
    figures = not options.no_figures
    _check_output(options.out, DATA_FILES + FIGURE_FILES * figures)
    if figures:
        check_matplotlib()
    _choose_backend(options)
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
            field=_fields(*options.field, options.steps),
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
        "loops.csv": lambda path: _write_csv(path, hysteresis),
        "settings.json": lambda path: path.write_text(settings, encoding="utf-8"),
    }
    if figures:
        writers |= _figure_writers(structure, hysteresis)
    _write_complete(options.out, writers)
    written = time.perf_counter()

    if not options.quiet:
        print_merits(hysteresis)
        print(f"Written to {options.out}: {', '.join(writers)}")
        print(
            f"Time: set-up {ready - began:.1f} s, simulation {simulated - ready:.1f} s "
            f"(compilation included), files {written - simulated:.1f} s"
        )


def _reproduce(options) -> None:
    """Carry out `reproduce`."""
    check_matplotlib()
    _choose_backend(options)
    from keras_micromag.reproduce import FIGURES, METRICS, MODEL, REPORT, SETTINGS, reproduce

    _check_output(options.out, (*FIGURES, METRICS, MODEL, REPORT, SETTINGS))
    reproduce(
        options.out,
        data_dir=options.data_dir,
        recipe=options.recipe,
        magnets=options.magnets,
        seed=options.seed,
    )
    print((options.out / REPORT).read_text(encoding="utf-8"))
    print(f"Written to {options.out}")


def _predict(options) -> None:
    """Carry out `predict`."""
    check_matplotlib()
    _check_output(options.out, ("loops.npz", "loops.csv", "loops.png"))
    _choose_backend(options)
    from keras_micromag import physics
    from keras_micromag.reproduce import predicted_loops

    if options.loops:
        first = physics.Hysteresis.load(options.loops)
    else:
        first = _easy_axes(options.easy_axes)
    loops = predicted_loops(options.model, first, _fields(*options.field, options.steps))
    writers = {
        "loops.npz": loops.save,
        "loops.csv": lambda path: _write_csv(path, loops),
        "loops.png": functools.partial(draw_loops, loops),
    }
    _write_complete(options.out, writers)
    print_merits(loops)
    print(f"Written to {options.out}: {', '.join(writers)}")


def _easy_axes(path):
    import numpy as np

    try:
        axes = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"`--easy-axes` must be a .npy file; received {path}.") from error
    return axes if axes.ndim == 3 else axes[None]


def _choose_backend(options) -> None:
    """Set what Keras and its backend read when they are first imported."""
    # TensorFlow's chatter about the processor; what it writes while it loads cannot be hushed.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if getattr(options, "dtype", None) == "float64":
        os.environ.setdefault("JAX_ENABLE_X64", "1")
    if options.backend is None:
        return
    keras = sys.modules.get("keras")
    if keras is not None and keras.backend.backend() != options.backend:
        raise ValueError(
            f"`--backend {options.backend}` must be chosen before Keras is imported; "
            f"this process already uses {keras.backend.backend()}."
        )
    os.environ["KERAS_BACKEND"] = options.backend


def check_matplotlib() -> None:
    """Raise a sentence that says what to install, where figures cannot be drawn."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ImportError(
            f"the figures need matplotlib: pip install '{PROGRAM}[plot]', "
            "or leave them out with --no-figures."
        ) from None


def _check_output(out: Path, names: tuple[str, ...]) -> None:
    """Raise unless files of these `names` can be made in `out`; leave nothing behind."""
    folder = out
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        # Permission bits do not tell of read-only file systems: only making a file does.
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise _unwritable(out, error) from error
    for name in names:
        if (out / name).is_dir():
            raise ValueError(f"`--out` cannot be written: {out / name} is a folder.")


def _write_complete(out: Path, writers: dict) -> None:
    """Write all files in a folder beside their places, then put them there.

    A failure leaves no half-written file, and the files of an earlier run as they were.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=out) as parts:
            for name, write in writers.items():
                write(Path(parts, name))
            for name in writers:
                os.replace(Path(parts, name), out / name)
    except OSError as error:
        raise _unwritable(out, error) from error


def _unwritable(out: Path, error: OSError) -> OSError:
    return OSError(f"`--out` cannot be written: {out}: {error.strerror or error}.")


def _fields(start: float, stop: float, steps: int):
    import numpy as np

    return np.linspace(start, stop, steps)


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


def _write_csv(path: Path, hysteresis) -> None:
    """One row per field: the field, then each magnet's mean moment along it."""
    import numpy as np

    curves = hysteresis.magnetization_along_field
    names = ["mu0H (T)"] + [f"magnet {b} M/Ms" for b in range(len(curves))]
    table = np.column_stack([hysteresis.field, curves.T])
    np.savetxt(path, table, fmt="%.10g", delimiter=",", header=",".join(names), comments="")


def draw_loops(hysteresis, path: Path) -> None:
    """Write a picture of the loops."""
    # A Figure of its own, not pyplot's: no window, no choice of matplotlib backend.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from keras_micromag import plots

    with rc_context(plots.STYLE):
        figure = Figure(figsize=(plots.COLUMN, 0.75 * plots.COLUMN), layout="constrained")
        plots.plot_loops(hysteresis, ax=figure.add_subplot())
    plots.save_figure(figure, path)


def _figure_writers(structure, hysteresis) -> dict:
    from matplotlib.figure import Figure

    from keras_micromag import plots

    def reversal(path):
        figure = Figure(figsize=(plots.COLUMN, plots.COLUMN))
        plots.plot_reversal(structure, hysteresis, figure=figure)
        plots.save_figure(figure, path)

    loops = functools.partial(draw_loops, hysteresis)
    return {"loops.png": loops, "reversal.png": reversal}


def print_merits(hysteresis) -> None:
    """Print a table of the loops' coercivity, remanence and energy product."""
    import numpy as np
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE)
    for name in ("magnet", "coercivity µ0Hc (T)", "remanence Br (T)", "(BH)max (kJ/m³)"):
        table.add_column(name, justify="right")
    energy = hysteresis.energy_product() / 1000.0
    merits = np.stack([hysteresis.coercivity(), hysteresis.remanence(), energy])
    digits = (3, 3, 1)
    for b, row in enumerate(merits.T):
        table.add_row(str(b), *map(_rounded, row, digits))
    if merits.shape[1] > 1:
        table.add_section()
        table.add_row("mean ± spread", *map(_mean_and_spread, merits, digits))
    Console().print(table)


def _rounded(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "none"


def _mean_and_spread(values, digits: int) -> str:
    """Mean and standard deviation over the magnets that have the figure of merit."""
    values = values[[math.isfinite(value) for value in values]]
    if len(values) < 2:
        return "none"
    return f"{_rounded(values.mean(), digits)} ± {_rounded(values.std(ddof=1), digits)}"
