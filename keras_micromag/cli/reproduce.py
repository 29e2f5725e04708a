"""`keras-micromag reproduce`: every experiment of the paper."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from keras_micromag.cli.output import check_output
from keras_micromag.summary import check_matplotlib
from keras_micromag.utils.command_line import add_backend, choose_backend, count, option


def add(commands) -> None:
    """Add the command."""
    command = commands.add_parser(
        "reproduce",
        help="run the experiments of the paper and write a report",
        description="Build missing data sets, run the experiments of the paper, and write "
        "report.md, figures, and a file for each training. A run that was killed continues after "
        "the last training that it finished; the report covers all that are finished.",
    )
    command.set_defaults(run=_run)
    text = "losses (Fig. 5, 6), grid (Fig. 7, 8), depth, folds, learning (default: all)"
    command.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help=text)
    option(command, "--jobs", "number of processes, each on one core", 2, count, "N")
    text = "folder of the data sets (default: that of TFDS)"
    option(command, "--data-dir", text, None, Path, "DIR")
    option(command, "--out", "folder for the results", Path("runs/reproduce"), Path, "DIR")
    add_backend(command)


def _run(options: Namespace) -> None:
    """Run `reproduce`."""
    check_matplotlib()
    choose_backend(options)
    from keras_micromag.paper import folder, reproduction

    check_output(options.out, (folder.REPORT,))
    chosen = {"experiments": options.experiments} if options.experiments else {}
    reproduction.reproduce(options.out, data_dir=options.data_dir, jobs=options.jobs, **chosen)
    print(f"Written to {options.out}: {folder.REPORT} and the files that it names")
