"""`keras-micromag train`: the paper's method, trained and evaluated on unseen magnets."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from keras_micromag.cli.output import check_output
from keras_micromag.summary import check_matplotlib, print_table
from keras_micromag.utils.command_line import add_backend, choose_backend, count, option, seed

# What `--grains polycrystals` puts in place of the defaults of `train`.
POLYCRYSTALS: dict[str, Any] = {
    "recipe": "polycrystals",
    "magnets": None,
    "train": "polycrystal",
    "test": None,
}


def add(commands) -> None:
    """Add the command."""
    command = commands.add_parser(
        "train",
        help="train the paper's method and evaluate it on unseen magnets",
        description="Build missing data sets, train an autoencoder and a predictor in its latent "
        "space, predict the loops of unseen magnets, and write report.md, metrics.json, "
        "settings.json, model.keras and figures. A run that was killed continues after the last "
        "step that it finished.",
    )
    command.set_defaults(run=_run)
    text = (
        "cubes: train on tfds_esw/large, test on tfds_esw/paper; polycrystals: train and test on "
    )
    text += "tfds_esw/polycrystal"
    option(command, "--grains", text, "cubes", choices=("cubes", "polycrystals"))
    text = "settings of the training: default, by_hand or paper for cubes, polycrystals for "
    option(command, "--recipe", f"{text}polycrystals (default: by --grains)", None, str, "NAME")
    text = "number of magnets to train on (default: 800 of cubes, 400 polycrystals)"
    option(command, "--magnets", text, None, count, "N")
    option(command, "--seed", "seed of the training", 0, seed, "N")
    text = "folder of the data sets (default: that of TFDS)"
    option(command, "--data-dir", text, None, Path, "DIR")
    option(command, "--out", "folder for the results", Path("runs/train"), Path, "DIR")
    add_backend(command)


def _run(options: Namespace) -> None:
    """Run `train`."""
    check_matplotlib()
    choose_backend(options)
    from keras_micromag.paper import folder, reports, training

    check_output(options.out, (*training.FILES, *training.FIGURES))
    chosen = dict(POLYCRYSTALS) if options.grains == "polycrystals" else {}
    given = {"recipe": options.recipe, "magnets": options.magnets}
    chosen |= {name: value for name, value in given.items() if value is not None}
    metrics = training.train(options.out, data_dir=options.data_dir, seed=options.seed, **chosen)
    head, *rows = reports.prediction_errors(metrics)
    print_table(head, rows)
    print(f"Written to {options.out / folder.REPORT}, with all errors and figures.")
