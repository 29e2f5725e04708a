"""`keras-micromag train`: the paper's method, trained and evaluated on unseen magnets."""

from __future__ import annotations

from pathlib import Path

from keras_micromag.cli.output import check_output
from keras_micromag.summary import check_matplotlib
from keras_micromag.utils.command_line import add_backend, choose_backend, count, option, seed


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
    text = "train on cubes of tfds_esw/large and test on tfds_esw/paper, or train on irregular "
    text += "grains of tfds_esw/polycrystal and test on its split test"
    option(command, "--grains", text, "cubes", choices=("cubes", "polycrystals"))
    text = "default, by_hand, paper (the paper's own settings), or polycrystals for such grains"
    option(command, "--recipe", f"{text} (default: by --grains)", None, str, "NAME")
    text = "to train on (default: 800 of cubes, 400 polycrystals)"
    option(command, "--magnets", text, None, count, "N")
    option(command, "--seed", "of the training", 0, seed, "N")
    option(command, "--data-dir", "of the data sets; TFDS's own if not given", None, Path, "DIR")
    option(command, "--out", "folder to write to", Path("runs/train"), Path, "DIR")
    add_backend(command)


def _run(options) -> None:
    """Run the command."""
    check_matplotlib()
    choose_backend(options)
    from keras_micromag.paper import folder, polycrystals, training

    check_output(options.out, (*training.FILES, *training.FIGURES))
    job = training.train if options.grains == "cubes" else polycrystals.train
    chosen = {"recipe": options.recipe, "magnets": options.magnets}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    job(options.out, data_dir=options.data_dir, seed=options.seed, **chosen)
    print((options.out / folder.REPORT).read_text(encoding="utf-8"))
    print(f"Written to {options.out}")
