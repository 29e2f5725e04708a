"""`python -m tuning autoencoder|rollout`: search for the recipe, and train what was found."""

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

WHAT = {
    "autoencoder": "filters, dense layers, latent size, activations, loss, weights, learning rate",
    "rollout": "t, l, depth, width, activation, learning rate, noise, weights",
}


def main(argv=None) -> int:
    """Run the command line and return its exit status; see `command_line.run`."""
    parser = Parser(prog="python -m tuning", description="Search for the recipe of the method.")
    commands = parser.add_subparsers(required=True, metavar="SEARCH")
    for kind, what in WHAT.items():
        command = commands.add_parser(
            kind,
            help=f"over {what}",
            description=f"Search over {what}, by the error of whole loops of magnets that were not "
            "trained on. Then repeat the best with other seeds, train what was found on all "
            "magnets, judge it on the test magnets, and write report.md, best.json, trials.json, "
            "metrics.json, figures and models. A search that was killed goes on after the last "
            "trial that was finished.",
        )
        command.set_defaults(run=_run, kind=kind)
        _add_search(command.add_argument_group("search"))
        _add_training(command.add_argument_group("training"))
        where = "of the data sets; TFDS's own if not given"
        option(command, "--data-dir", where, None, Path, "DIR")
        out = Path("runs/tuning", kind)
        option(command, "--out", "folder to write to", out, Path, "DIR")
        jobs = "how many trials at once, each in a process of one core"
        option(command, "--jobs", jobs, 1, count, "N")
        add_backend(command)
    return run(parser, argv)


def _add_search(group):
    option(group, "--tuner", "random, hyperband or bayesian", "bayesian", str, "NAME")
    option(group, "--trials", "how many at most; 40 if no --minutes are given", None, count, "N")
    option(group, "--minutes", "after which no trial begins", None, number, "MIN")
    told = "of the choices, and of every training"
    option(group, "--seed", told, 0, seed, "N")
    told = "hyperparameters to search, of those that the report names; all if not given"
    group.add_argument("--only", nargs="+", metavar="NAME", help=told)
    told = "how often each of the best three is trained in all"
    option(group, "--seeds", told, 3, count, "N")


def _add_training(group):
    option(group, "--recipe", "to start from: default, by_hand or paper", "default", str, "NAME")
    told = "best.json of an earlier search, whose settings replace the recipe's"
    option(group, "--base", told, None, Path, "FILE")
    told = "a setting of the recipe to start from, such as horizon=2"
    group.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help=told)
    option(group, "--batches", "of each training in a trial", 4000, count, "N")
    option(group, "--batch-size", "in a trial", 128, count, "N")
    option(group, "--config", "of tfds_esw: its first magnets are searched with", "large", str)
    option(group, "--test", "of tfds_esw: to judge by in the end, unseen", "paper", str)
    told = "of the configuration to search with, and in the end to train on"
    option(group, "--magnets", told, 800, count, "N")
    option(group, "--trained-on", "magnets in a trial", 200, count, "N")
    option(group, "--validated-on", "further magnets, to score by", 50, count, "N")


def _run(options) -> None:
    """Carry out a search."""
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
        base = with_settings(base, _found(options.base, folder))
    base = with_settings(base, dict(map(_setting, options.set)))
    names = ("kind", "tuner", "minutes", "seed", "seeds", "batches", "batch_size", "magnets")
    names += ("trained_on", "validated_on", "config", "test")
    given = {name: getattr(options, name) for name in names}
    trials = options.trials or (40 if options.minutes is None else None)
    only = None if options.only is None else tuple(options.only)
    plan = Plan(base=base, only=only, trials=trials, **given)
    if study(plan, options.out, data_dir=options.data_dir, jobs=options.jobs):
        print((options.out / folder.REPORT).read_text(encoding="utf-8"))
        print(f"Written to {options.out}")


def _found(path, folder):
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
