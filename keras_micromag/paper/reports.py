"""Markdown reports: tables with their figures, and the commands that produce them."""

from collections.abc import Iterable

import numpy as np

from keras_micromag.evaluation import MEASURES
from keras_micromag.models import autoencoder
from keras_micromag.paper import datasets, study
from keras_micromag.paper.measures import PREDICTION
from keras_micromag.paper.tables import cell, median, number, paired_difference, rows, spread
from keras_micromag.recipes.training import LOOPS

COMMAND = "keras-micromag reproduce"
_MAX_COLUMNS = 10  # of a table with a column for each magnet


def of_training(settings: dict, measured: dict, more: dict | None = None) -> str:
    """Return the report of one training, with a table for each kind of measurement.

    Args:
        settings: settings of the run.
        measured: {kind: {name: {measure: values}}} of the test magnets.
        more: the same of magnets of the training data set that were held out, if there are any.
    """
    lines = [
        "# Loops of magnets never seen",
        "",
        f"Recipe `{settings['recipe']['name']}`, {settings['magnets']} magnets of "
        f"`tfds_esw/{settings['train']}` to train on, all of `tfds_esw/{settings['test']}` to "
        f"evaluate on, seed {settings['seed']}. Mean ± standard deviation over the magnets.",
        "",
        "![Predicted and simulated loop](predicted.png)",
    ]
    for kind, each in measured.items():
        lines += ["", f"## {kind.capitalize()}", "", *_measured(each)]
        if len(next(iter(each.values()))["curve_rmse"]) <= _MAX_COLUMNS:
            lines += ["", *_magnet_by_magnet(each)]
    lines += ["", *_against_mean_loop(measured)]
    if more:
        count = len(more["reconstruction"]["autoencoder"]["curve_rmse"])
        lines += ["", f"## {count} more magnets of `tfds_esw/{settings['train']}`, held out"]
        for kind, each in more.items():
            lines += ["", f"{kind.capitalize()}:", "", *_measured(each)]
        lines += ["", *_against_mean_loop(more)]
    lines += ["", "![Losses](training.png)", ""]
    return "\n".join(lines)


def _against_mean_loop(measured) -> list[str]:
    """Return a sentence that compares the predictor with the mean loop, magnet by magnet."""
    predictions = measured[PREDICTION]
    differences = paired_difference(predictions["predictor"], predictions["mean training loop"])
    return [
        "Errors of the mean training loop minus those of the predictor, mean over the magnets ± "
        f"its standard error: {differences}."
    ]


def of_study(plan: study.Plan, results: dict[study.Piece, dict], drawn: list[str]) -> str:
    """Return the report of the experiments that have results.

    Args:
        plan: the experiments.
        results: {piece: result}.
        drawn: file names of the figures.
    """
    lines = [
        "# The paper's experiments",
        "",
        f"The magnets are those of `tfds_esw/{datasets.name_of(plan.test)}`; in repetition r "
        "magnet r is not trained on and everything has the seed r. Mean ± standard deviation over "
        "the repetitions, where nothing else is said. Each section has the command that does it "
        "alone.",
    ]
    sections = (
        ("The magnet (Fig. 3, 4)", None, _magnet),
        ("Losses of the autoencoder (Fig. 5, 6)", "losses", _losses),
        ("Windows and horizons of the predictor (Fig. 7, 8)", "grid", _grid),
        ("Depth of the predictor", "depth", _depth),
        ("Ten folds", "folds", _folds),
        ("How many magnets it takes", "learning", _learning),
    )
    for title, experiment, section in sections:
        text = section(plan, results)
        if text:
            command = f"{COMMAND} {experiment}" if experiment else COMMAND
            lines += ["", f"## {title}", "", f"    {command}", "", *text]
            for name in (experiment,) if experiment else ("magnet", "weights"):
                lines += ["", f"![{title}]({name}.png)"] if f"{name}.png" in drawn else []
    seconds = sum(result["seconds"] for result in results.values())
    lines += ["", f"{len(results)} pieces, {seconds / 60:.0f} minutes one after the other.", ""]
    return "\n".join(lines)


def summary(result: dict) -> str:
    """Return the result of a piece in a few words."""
    if "diverged" in result:
        return result["diverged"]
    measured = result["measures"]
    if "curve_rmse" not in measured:
        measured = measured["mean training loop"]
    error = spread([measured["coercivity_error"]], 3)
    error = f"RMSE {spread([measured['curve_rmse']], 4)}, coercivity {error} T"
    return f"{result['seconds']:.0f} s, {error}"


def prediction_errors(metrics: dict) -> list[list[str]]:
    """Return the main errors of the predicted loops as a table, its head first.

    They are those of the held-out magnets if there are any, else of the test magnets.

    Args:
        metrics: content of the metrics.json of a training.
    """
    errors = metrics.get("more", metrics["measures"])[PREDICTION]
    count = len(next(iter(errors.values()))["curve_rmse"])
    names = ("curve_rmse", "coercivity_error", "branch_accuracy")
    head, *others = table(errors, names)
    return [[f"{count} magnets never seen", *head[1:]], *others]


def _measured(columns: dict) -> list[str]:
    """Return a table of all measures, see `table`."""
    return rows(table(columns, MEASURES))


def table(columns: dict, names: Iterable[str]) -> list[list[str]]:
    """Return the cells of a table of measures, its head first.

    Args:
        columns: {name: measures} or {name: list of measures}.
        names: the measures of the rows.
    """
    lines = [["", *columns]]
    for name in names:
        runs = (each if isinstance(each, list) else [each] for each in columns.values())
        cells = (cell(name, [run[name] for run in each]) for each in runs)
        lines.append([MEASURES[name], *cells])
    return lines


def _magnet_by_magnet(named: dict, magnets: Iterable[int] | None = None) -> list[str]:
    """Return a table of the two main errors, with a column for each of the magnets."""
    table = []
    for name, measured in named.items():
        for measure in ("curve_rmse", "coercivity_error"):
            cells = [cell(measure, [[value]]) for value in measured[measure]]
            table.append([name, MEASURES[measure], *cells])
    magnets = range(len(table[0]) - 2) if magnets is None else magnets
    head = ["", "", *(f"magnet {r}" for r in magnets)]
    return rows([head, *table])


def _medians(runs_by_name: dict, heads: list[str]) -> list[str]:
    """Return a table of medians with a row for each {names: list of measures}."""
    table = [[*heads, *MEASURES.values()]]
    for names, runs in runs_by_name.items():
        table.append([*names, *(median(name, [run[name] for run in runs]) for name in MEASURES)])
    return rows(table)


def _baselines(results, folds):
    """Return {name: list of measures} of the baselines in the first repetitions."""
    runs = study.repetitions(results, "baselines")
    names = runs[0]["measures"] if 0 in runs else ()
    return {name: [runs[r]["measures"][name] for r in range(folds) if r in runs] for name in names}


def _magnet(plan, results):
    parameters = autoencoder().count_params()
    return [
        "A magnet, its loop and states along it, and the weights of Eq. 8; the first, of "
        f"`tfds_esw/{datasets.name_of(plan.test)}`. The autoencoder of Table 1 has {parameters:,} "
        "parameters."
    ]


def _losses(plan, results):
    runs = {loss: study.repetitions(results, "autoencoder", *loss) for loss in plan.losses}
    common = [r for r in study.common_repetitions(runs) if r < plan.loss_folds]
    if not common:
        return []
    heads = [f"a1 = {a1}, a2 = {a2}" for a1, a2 in plan.losses]
    histories = {loss: [runs[loss][r]["history"] for r in common] for loss in plan.losses}
    unseen = {
        head: [runs[loss][r]["measures"] for r in common]
        for head, loss in zip(heads, plan.losses, strict=True)
    }
    unseen |= {n: b for n, b in _baselines(results, len(common)).items() if n.startswith("PCA")}
    return [
        f"{len(common)} repetitions. While training, all states counted alike:",
        "",
        *rows([["", *heads], *_history_rows(histories)]),
        "",
        "Reconstruction of the magnet not seen:",
        "",
        *_measured(unseen),
    ]


def _history_rows(histories):
    """Return rows of least errors and numbers of epochs, from {loss: histories of its runs}."""
    table = []
    for key, label in (("squared_error", "squared error"), ("norm_error", "norm error")):
        for prefix, data in (("", "training"), ("val_", "validation")):
            least = [[min(h[prefix + key]) for h in each] for each in histories.values()]
            cells = [spread([values], 2) for values in least]
            table.append([f"least {label}, {data}", *cells])
    first, *_ = histories.values()
    targets = [1.05 * min(h["val_squared_error"]) for h in first]
    row = ["epochs until 5 % above the first's least squared error, validation"]
    row += [_epochs_to_reach(targets, each) for each in histories.values()]
    table.append(row)
    epochs = [[len(h["loss"]) for h in each] for each in histories.values()]
    table.append(["epochs in all", *(spread([values], 0) for values in epochs)])
    return table


def _epochs_to_reach(targets, histories):
    """Return the number of epochs after which the validation error of each run is at its target."""
    epochs = [
        next((i + 1 for i, v in enumerate(h["val_squared_error"]) if v <= target), None)
        for h, target in zip(histories, targets, strict=True)
    ]
    reached = [n for n in epochs if n is not None]
    return f"{spread([reached], 0)} ({len(reached)} of {len(epochs)})" if reached else "never"


def _grid(plan, results):
    settings = {(t, l, study.PAPER_DEPTH) for t in plan.windows for l in plan.horizons}
    runs = _grid_runs(plan, results, sorted(settings))
    if not runs:
        return []
    lines = []
    for name, label in (
        ("curve_rmse", "RMSE of M/Ms over the loop of the magnet not seen"),
        ("coercivity_error", "Coercivity error, T"),
        ("variation", "Total variation of M/Ms over that of a loop from 1 to -1 (1 is smooth)"),
    ):
        table = [["l \\ t", *map(str, plan.windows)]]
        for l in plan.horizons:
            cells = [_range(name, runs[t, l, study.PAPER_DEPTH]) for t in plan.windows]
            table.append([str(l), *cells])
        lines += [f"{label}: median [least, most].", "", *rows(table), ""]
    named = {(f"{t}", f"{l}"): [r["measures"] for r in each] for (t, l, _), each in runs.items()}
    named |= _named_baselines(plan, results)
    return [*lines, "All measures, medians:", "", *_medians(named, ["t", "l"])]


def _grid_runs(plan, results, settings):
    """Return {(t, l, depth): results} of the repetitions that all of these settings have."""
    runs = {setting: study.repetitions(results, "predictor", *setting) for setting in settings}
    common = [r for r in study.common_repetitions(runs) if r < plan.grid_folds]
    return {setting: [each[r] for r in common] for setting, each in runs.items()} if common else {}


def _named_baselines(plan, results):
    baselines = _baselines(results, plan.grid_folds)
    return {(name, ""): runs for name, runs in baselines.items() if not name.startswith("PCA")}


def _range(name, runs):
    """Return median, least and largest value of a measure, or of the total variation."""
    if name == "variation":
        values, digits = [[study.total_variation(run["curve"])] for run in runs], 2
    else:
        values, digits = [run["measures"][name] for run in runs], 3
    flat = [np.inf if value is None else value for each in values for value in each]
    low, middle, high = (number(f(flat), digits) for f in (min, np.median, max))
    return f"{middle} [{low}, {high}]"


def _depth(plan, results):
    t, l = study.PAPER_WINDOW, study.PAPER_HORIZON
    runs = _grid_runs(plan, results, [(t, l, depth) for depth in plan.depths])
    if not runs:
        return []
    table = [["hidden layers", "RMSE of M/Ms", "coercivity error, T", "least validation loss"]]
    for (_, _, depth), each in runs.items():
        ranges = [_range(name, each) for name in ("curve_rmse", "coercivity_error")]
        table.append([str(depth), *ranges, spread([[run["val_loss"] for run in each]], 1)])
    named = {(f"{n}", ""): [r["measures"] for r in each] for (_, _, n), each in runs.items()}
    named |= _named_baselines(plan, results)
    return [
        f"t = {t}, l = {l}; median [least, most].",
        "",
        *rows(table),
        "",
        "All measures, medians:",
        "",
        *_medians(named, ["hidden layers", ""]),
    ]


def _folds(plan, results):
    setting = study.PAPER_WINDOW, study.PAPER_HORIZON, study.PAPER_DEPTH
    runs = {
        "paper": study.repetitions(results, "predictor", *setting),
        "nine": study.repetitions(results, "nine"),
        "baselines": study.repetitions(results, "baselines"),
        "autoencoder": study.repetitions(results, "autoencoder", *study.PAPER_LOSS),
    }
    common = study.common_repetitions(runs)
    if not common:
        return []
    largest = results.get(study.Piece("learning", (max(plan.magnets), 0)))
    predicted, reconstructed = _fold_columns(runs, common, largest, max(plan.magnets))
    each_magnet = {
        name: {measure: [value for run in folds for value in run[measure]] for measure in MEASURES}
        for name, folds in predicted.items()
    }
    return [
        f"Nine magnets: `default` with {plan.nine.autoencoder_batches} and "
        f"{plan.nine.predictor_batches} batches, on these and their symmetric images.",
        "",
        "Recursion from the first states of the unseen magnet:",
        "",
        *_measured(predicted),
        "",
        "Reconstruction of its states:",
        "",
        *_measured(reconstructed),
        "",
        "Magnet by magnet:",
        "",
        *_magnet_by_magnet(each_magnet, common),
    ]


def _fold_columns(runs, common, largest, magnets):
    """Return {name: measures of each fold} of the predictions, and of the reconstructions.

    Args:
        runs: {kind: {fold: result}}.
        common: the folds that all of them have.
        largest: result for the largest number of magnets, or None.
        magnets: this number.
    """
    paper, nine, autoencoder = runs["paper"], runs["nine"], runs["autoencoder"]
    predicted = {
        "`paper`": [paper[r]["measures"] for r in common],
        "`default`, nine magnets": [nine[r]["measures"] for r in common],
    }
    reconstructed = {
        "`paper`": [autoencoder[r]["measures"] for r in common],
        "`default`, nine magnets": [nine[r]["reconstruction"] for r in common],
    }
    if largest:
        name = f"`default`, {magnets} magnets"
        for columns, kind in ((predicted, "measures"), (reconstructed, "reconstruction")):
            measured = largest[kind]  # of all magnets; fold r is magnet r
            columns[name] = [{m: [values[r]] for m, values in measured.items()} for r in common]
    baselines = runs["baselines"]
    for name in baselines[common[0]]["measures"]:
        columns = reconstructed if name.startswith("PCA") else predicted
        columns[name] = [baselines[r]["measures"][name] for r in common]
    return predicted, reconstructed


def _learning(plan, results):
    table = [["magnets, seed", "", *MEASURES.values()]]
    sizes = [(n, seed) for n in plan.magnets for seed in range(plan.seeds)]
    each_magnet = {}
    for size in sizes:
        run = results.get(study.Piece("learning", size))
        if run is None:
            continue
        name = f"{size[0]}, {size[1]}"
        shown = {"`default`": run["measures"], "… reconstruction": run["reconstruction"]}
        shown |= {} if size[1] else run["baselines"]
        for kind, measured in shown.items():
            table.append([name, kind, *(cell(m, [measured[m]]) for m in MEASURES)])
        each_magnet[name] = run["measures"]
    if len(table) == 1:
        return []
    return [
        f"Trained on the first magnets of `tfds_esw/{datasets.name_of(plan.train)}`, and on "
        f"symmetric images of them as far as they make {LOOPS} loops; evaluated on all of "
        f"`tfds_esw/{datasets.name_of(plan.test)}`: mean ± standard deviation over these.",
        "",
        *rows(table),
        "",
        "Magnet by magnet, `default`:",
        "",
        *_magnet_by_magnet(each_magnet),
    ]
