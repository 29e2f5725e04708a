"""`keras-micromag predict`: loops of a trained model, from the first states of magnets."""

from __future__ import annotations

import functools
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from keras_micromag.cli.output import alone, check_output, write_all, write_csv
from keras_micromag.summary import check_matplotlib, draw_loops, print_merits
from keras_micromag.utils.command_line import add_backend, choose_backend, option
from keras_micromag.utils.files import read_array


def add(commands) -> None:
    """Add the command."""
    command = commands.add_parser(
        "predict",
        help="predict demagnetisation curves with a trained model",
        description="Predict demagnetisation curves from their first states, print their figures "
        "of merit, and write loops.npz, loops.csv and loops.png.",
    )
    command.set_defaults(run=_run)
    command.add_argument("model", type=Path, metavar="MODEL", help="model.keras of train")
    source = command.add_mutually_exclusive_group(required=True)
    text = "loops.npz of simulate, which holds the first states"
    source.add_argument("--loops", type=Path, metavar="FILE", help=text)
    text = ".npy file of easy axes, (g, 3) or (b, g, 3), of magnets of Nd2Fe14B cubes, whose first "
    source.add_argument("--easy-axes", type=Path, metavar="FILE", help=f"{text}states are computed")
    option(command, "--out", "folder for the results", Path("runs/predict"), Path, "DIR")
    add_backend(command)


def _run(options: Namespace) -> None:
    """Run `predict`."""
    check_matplotlib()
    check_output(options.out, ("loops.npz", "loops.csv", "loops.png"))
    choose_backend(options)
    from keras_micromag import physics
    from keras_micromag.paper.prediction import predicted_loops

    if options.loops:
        first = physics.Hysteresis.load(options.loops)
    else:
        first = _easy_axes(options.easy_axes)
    loops = predicted_loops(options.model, first)
    writers: dict[str, Callable[[Path], object]] = {
        "loops.npz": loops.save,
        "loops.csv": lambda path: write_csv(path, loops),
        "loops.png": functools.partial(draw_loops, loops),
    }
    with alone(options.out):
        write_all(options.out, writers)
    print_merits(loops)
    print(f"Written to {options.out}: {', '.join(writers)}")


def _easy_axes(path):
    """Return the easy axes (b, g, 3) in a `.npy` file."""
    try:
        axes = read_array(path)
    except ValueError as error:
        raise ValueError(f"`--easy-axes` must be a .npy file; received {path}.") from error
    if axes.ndim not in (2, 3) or axes.dtype.kind not in "fiu":
        raise ValueError(
            f"`--easy-axes` must be an array (g, 3) or (b, g, 3) of numbers; received {path}."
        )
    return axes if axes.ndim == 3 else axes[None]
