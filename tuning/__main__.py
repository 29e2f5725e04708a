"""`python -m tuning autoencoder|rollout`: search for the best recipe, and train it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from keras_micromag.cli.output import check_output
from keras_micromag.summary import check_matplotlib
from keras_micromag.utils.command_line import (
    Parser,
    add_backend,
    choose_backend,
    count,
    number,
    option,
    run,
    seed,
)

SEARCHED = {
    "autoencoder": "filters, dense layers, latent size, activations, loss, weights, learning rate",
    "rollout": "t, l, depth, width, activation, learning rate, noise, weights",
}


def main(argv=None) -> int:
    """Run the command line and return its exit status; see `command_line.run`."""
    parser = Parser(prog="python -m tuning", description="Search for the recipe of the method.")
    commands = parser.add_subparsers(required=True, metavar="SEARCH")
    for kind, settings in SEARCHED.items():
        command = commands.add_parser(
            kind,
            help=f"over {settings}",
            description=f"Search over {settings}, by the error of predicted loops of magnets that "
            "were not trained on. Then repeat the best trials with other seeds, train the best "
            "recipe on all magnets, evaluate it on the test magnets, and write report.md, "
            "best.json, trials.json, metrics.json, figures and models. A search that was killed "
            "continues after the last finished trial.",
        )
        command.set_defaults(run=_run, kind=kind)
        _add_search(command.add_argument_group("search"))
        _add_training(command.add_argument_group("training"))
        where = "folder of the data sets; that of TFDS if not given"
        option(command, "--data-dir", where, None, Path, "DIR")
        out = Path("runs/tuning", kind)
        option(command, "--out", "folder to write to", out, Path, "DIR")
        jobs = "number of trials at the same time, each in a process on one core"
        option(command, "--jobs", jobs, 1, count, "N")
        add_backend(command)
    return run(parser, argv)


def _add_search(group):
    option(group, "--tuner", "random, hyperband or bayesian", "bayesian", str, "NAME")
    text = "largest number of trials; 40 if --minutes is not given"
    option(group, "--trials", text, None, count, "N")
    text = "time after which no trial begins"
    option(group, "--minutes", text, None, number, "MIN")
    text = "seed of the choices, and of every training"
    option(group, "--seed", text, 0, seed, "N")
    text = "hyperparameters to search, by their names in the report; all if not given"
    group.add_argument("--only", nargs="+", metavar="NAME", help=text)
    text = "number of trainings of each of the best three choices, with the trial"
    option(group, "--seeds", text, 3, count, "N")


def _add_training(group):
    text = "recipe to start from: default, by_hand or paper"
    option(group, "--recipe", text, "default", str, "NAME")
    text = "best.json of an earlier search, whose settings replace the recipe's"
    option(group, "--base", text, None, Path, "FILE")
    text = "a setting of the recipe to start from, such as horizon=2"
    group.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help=text)
    option(group, "--batches", "batches of each training in a trial", 4000, count, "N")
    option(group, "--batch-size", "batch size in a trial", 128, count, "N")
    text = "configuration of tfds_esw whose first magnets are used in the search"
    option(group, "--config", text, "large", str)
    text = "configuration of tfds_esw with unseen magnets for the final evaluation"
    option(group, "--test", text, "paper", str)
    text = "number of magnets of --config for the search and the final training"
    option(group, "--magnets", text, 800, count, "N")
    text = "number of magnets that a trial is trained on"
    option(group, "--trained-on", text, 200, count, "N")
    text = "number of further magnets, for the score"
    option(group, "--validated-on", text, 50, count, "N")


def _run(options) -> None:
    """Run a search."""
    check_matplotlib()
    choose_backend(options)
    try:
        import keras_tuner  # noqa: F401
        import sklearn  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"the search needs {error.name}: pip install 'keras-micromag[tuning]'."
        ) from error
    from keras_micromag import recipes
    from keras_micromag.paper import folder
    from keras_micromag.utils import checks
    from tuning.plan import Plan
    from tuning.study import study, with_settings

    check_output(options.out, (folder.REPORT,))
    base = recipes.RECIPES[checks.one_of(options.recipe, "recipe", tuple(recipes.RECIPES))]
    if options.base:
        base = with_settings(base, _read_settings(options.base, folder))
    base = with_settings(base, dict(map(_setting, options.set)))
    names = ("kind", "tuner", "minutes", "seed", "seeds", "batches", "batch_size", "magnets")
    names += ("trained_on", "validated_on", "config", "test")
    settings = {name: getattr(options, name) for name in names}
    trials = options.trials or (40 if options.minutes is None else None)
    only = None if options.only is None else tuple(options.only)
    plan = Plan(base=base, only=only, trials=trials, **settings)
    if study(plan, options.out, data_dir=options.data_dir, jobs=options.jobs):
        print((options.out / folder.REPORT).read_text(encoding="utf-8"))
        print(f"Written to {options.out}")


def _read_settings(path, folder):
    try:
        return folder.read(path)["settings"]
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"`--base` must be the best.json of a search; received {path}, without {error}."
        ) from error


def _setting(text):
    name, equal, value = text.partition("=")
    if not equal:
        raise ValueError(f"`--set` must be NAME=VALUE; received {text!r}.")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value  # a word


if __name__ == "__main__":
    sys.exit(main())
