"""`keras-micromag reproduce`: every experiment of the paper."""

from __future__ import annotations

from pathlib import Path

from keras_micromag.cli.output import check_output
from keras_micromag.summary import check_matplotlib
from keras_micromag.utils.command_line import add_backend, choose_backend, count, option


def add(commands) -> None:
    """Add the command."""
    command = commands.add_parser(
        "reproduce",
        help="run the experiments of the paper, and write a report on them",
        description="Build missing data sets, run the experiments of the paper, and write "
        "report.md, figures, and a file for each piece of work. A run that was killed continues "
        "after the last piece that it finished; the report covers all pieces finished so far.",
    )
    command.set_defaults(run=_run)
    text = "losses (Fig. 5, 6), grid (Fig. 7, 8), depth, folds, learning; all if none is named"
    command.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help=text)
    option(command, "--jobs", "how many processes, each on one core", 2, count, "N")
    option(command, "--data-dir", "of the data sets; TFDS's own if not given", None, Path, "DIR")
    option(command, "--out", "folder to write to", Path("runs/reproduce"), Path, "DIR")
    add_backend(command)


def _run(options) -> None:
    """Run the command."""
    check_matplotlib()
    choose_backend(options)
    from keras_micromag.paper import folder, reproduction

    check_output(options.out, (folder.REPORT,))
    chosen = {"experiments": options.experiments} if options.experiments else {}
    reproduction.reproduce(options.out, data_dir=options.data_dir, jobs=options.jobs, **chosen)
    print(f"Written to {options.out}: {folder.REPORT} and all that it names")
