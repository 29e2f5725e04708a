"""Reports in Markdown: every table with the command that gives it, every figure beside it."""

import numpy as np

from keras_micromag import recipes
from keras_micromag.judge import MEASURES
from keras_micromag.models import autoencoder
from keras_micromag.paper import datasets, study
from keras_micromag.paper.tables import cell, less_wrong, median, number, rows, spread

COMMAND = "keras-micromag reproduce"
PREDICTION = "prediction from the first states"
_SHOWN = 10  # magnets, a column each


def of_training(settings: dict, measured: dict, more: dict | None = None) -> str:
    """The report of one training: a table for each kind of measurement.

    Args:
        settings: of the run.
        measured: of the magnets to test by.
        more: of those of the data set trained on that were held out, if there are any.
    """
    lines = [
        "# Loops of magnets never seen",
        "",
        f"Recipe `{settings['recipe']['name']}`, {settings['magnets']} magnets of "
        f"`tfds_esw/{settings['train']}` to train on, all of `tfds_esw/{settings['test']}` to "
        f"judge by, seed {settings['seed']}. Mean ± standard deviation over the magnets.",
        "",
        "![Predicted and simulated loop](predicted.png)",
    ]
    for kind, each in measured.items():
        lines += ["", f"## {kind.capitalize()}", "", *_measured(each)]
        if len(next(iter(each.values()))["curve_rmse"]) <= _SHOWN:
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
    """How much less wrong the predictor is than the mean loop, magnet by magnet."""
    predictions = measured[PREDICTION]
    told = less_wrong(predictions["predictor"], predictions["mean training loop"])
    return [
        "Less wrong than the mean training loop, mean over the magnets of the differences ± its "
        f"standard error: {told}."
    ]


def of_study(plan, found: dict, drawn: list[str]) -> str:
    """The report of all experiments that were done: those that were not are left out."""
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
        text = section(plan, found)
        if text:
            command = f"{COMMAND} {experiment}" if experiment else COMMAND
            lines += ["", f"## {title}", "", f"    {command}", "", *text]
            for name in (experiment,) if experiment else ("magnet", "weights"):
                lines += ["", f"![{title}]({name}.png)"] if f"{name}.png" in drawn else []
    seconds = sum(each["seconds"] for each in found.values())
    lines += ["", f"{len(found)} pieces, {seconds / 60:.0f} minutes one after the other.", ""]
    return "\n".join(lines)


def in_short(found: dict) -> str:
    """What a piece found, in a few words."""
    if "diverged" in found:
        return found["diverged"]
    measured = found["measures"]
    if "curve_rmse" not in measured:
        measured = measured["mean training loop"]
    error = spread([measured["coercivity_error"]], 3)
    error = f"RMSE {spread([measured['curve_rmse']], 4)}, coercivity {error} T"
    return f"{found['seconds']:.0f} s, {error}"


def _measured(columns: dict, names=MEASURES) -> list[str]:
    """A table with a column for each {name: measures}, or {name: list of measures}."""
    table = [["", *columns]]
    for name in names:
        runs = (each if isinstance(each, list) else [each] for each in columns.values())
        table.append([MEASURES[name], *(cell(name, [run[name] for run in each]) for each in runs)])
    return rows(table)


def _magnet_by_magnet(named: dict) -> list[str]:
    """A table with a column for each magnet: the two errors that count in the end."""
    table = []
    for name, measured in named.items():
        for measure in ("curve_rmse", "coercivity_error"):
            cells = [cell(measure, [[value]]) for value in measured[measure]]
            table.append([name, MEASURES[measure], *cells])
    head = ["", "", *(f"magnet {r}" for r in range(len(table[0]) - 2))]
    return rows([head, *table])


def _medians(settings: dict, heads: list[str]) -> list[str]:
    """A table with a row for each {names: list of measures}: medians over the repetitions."""
    table = [[*heads, *MEASURES.values()]]
    for names, runs in settings.items():
        table.append([*names, *(median(name, [run[name] for run in runs]) for name in MEASURES)])
    return rows(table)


def _baselines(found, folds):
    """{name: list of measures} of the baselines in the first repetitions."""
    runs = study.repeated(found, "baselines")
    names = runs[0]["measures"] if 0 in runs else ()
    return {name: [runs[r]["measures"][name] for r in range(folds) if r in runs] for name in names}


def _magnet(plan, found):
    parameters = autoencoder().count_params()
    return [
        "A magnet, its loop and states along it, and the weights of Eq. 8; the first, of "
        f"`tfds_esw/{datasets.name_of(plan.test)}`. The autoencoder of Table 1 has {parameters:,} "
        "parameters."
    ]


def _losses(plan, found):
    runs = {loss: study.repeated(found, "autoencoder", *loss) for loss in plan.losses}
    common = [r for r in study.common(runs) if r < plan.loss_folds]
    if not common:
        return []
    heads = [f"a1 = {a1}, a2 = {a2}" for a1, a2 in plan.losses]
    table = [["", *heads]]
    histories = {loss: [runs[loss][r]["history"] for r in common] for loss in plan.losses}
    for key, label in (("squared_error", "squared error"), ("norm_error", "norm error")):
        for prefix, which in (("", "training"), ("val_", "validation")):
            least = [
                spread([[min(h[prefix + key]) for h in histories[loss]]], 2) for loss in plan.losses
            ]
            table.append([f"least {label}, {which}", *least])
    targets = [1.05 * min(h["val_squared_error"]) for h in histories[plan.losses[0]]]
    row = ["epochs until 5 % above the first's least squared error, validation"]
    for loss in plan.losses:
        reached = [
            next((i + 1 for i, v in enumerate(h["val_squared_error"]) if v <= target), None)
            for h, target in zip(histories[loss], targets, strict=True)
        ]
        some = [n for n in reached if n is not None]
        row.append(f"{spread([some], 0)} ({len(some)} of {len(common)})" if some else "never")
    table.append(row)
    table.append(
        ["epochs in all", *(spread([[len(h["loss"]) for h in histories[l]]], 0) for l in histories)]
    )
    unseen = {
        head: [runs[loss][r]["measures"] for r in common]
        for head, loss in zip(heads, plan.losses, strict=True)
    }
    unseen |= {n: b for n, b in _baselines(found, len(common)).items() if n.startswith("PCA")}
    return [
        f"{len(common)} repetitions. While training, all states counted alike:",
        "",
        *rows(table),
        "",
        "Reconstruction of the magnet not seen:",
        "",
        *_measured(unseen),
    ]


def _grid(plan, found):
    settings = {(t, l, study.PAPERS_DEPTH) for t in plan.windows for l in plan.horizons}
    runs = _repeated(plan, found, sorted(settings))
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
            cells = [_range(name, runs[t, l, study.PAPERS_DEPTH]) for t in plan.windows]
            table.append([str(l), *cells])
        lines += [f"{label}: median [least, most].", "", *rows(table), ""]
    named = {(f"{t}", f"{l}"): [r["measures"] for r in each] for (t, l, _), each in runs.items()}
    named |= _named_baselines(plan, found)
    return [*lines, "All measures, medians:", "", *_medians(named, ["t", "l"])]


def _repeated(plan, found, settings):
    """{(t, l, depth): what was found in those repetitions of the grid that all of them have}."""
    runs = {setting: study.repeated(found, "predictor", *setting) for setting in settings}
    common = [r for r in study.common(runs) if r < plan.grid_folds]
    return {setting: [each[r] for r in common] for setting, each in runs.items()} if common else {}


def _named_baselines(plan, found):
    baselines = _baselines(found, plan.grid_folds)
    return {(name, ""): runs for name, runs in baselines.items() if not name.startswith("PCA")}


def _range(name, runs):
    if name == "variation":
        values = [[study.variation(run["curve"])] for run in runs]
    else:
        values = [run["measures"][name] for run in runs]
    flat = [np.inf if value is None else value for each in values for value in each]
    low, middle, high = (f(flat) for f in (min, np.median, max))
    digits = 2 if name == "variation" else 3
    texts = [number(v, digits) for v in (low, middle, high)]
    return f"{texts[1]} [{texts[0]}, {texts[2]}]"


def _depth(plan, found):
    t, l = study.PAPERS_WINDOW, study.PAPERS_HORIZON
    runs = _repeated(plan, found, [(t, l, depth) for depth in plan.depths])
    if not runs:
        return []
    table = [["hidden layers", "RMSE of M/Ms", "coercivity error, T", "least validation loss"]]
    for (_, _, depth), each in runs.items():
        ranges = [_range(name, each) for name in ("curve_rmse", "coercivity_error")]
        table.append([str(depth), *ranges, spread([[run["val_loss"] for run in each]], 1)])
    named = {(f"{n}", ""): [r["measures"] for r in each] for (_, _, n), each in runs.items()}
    named |= _named_baselines(plan, found)
    return [
        f"t = {t}, l = {l}; median [least, most].",
        "",
        *rows(table),
        "",
        "All measures, medians:",
        "",
        *_medians(named, ["hidden layers", ""]),
    ]


def _folds(plan, found):
    setting = study.PAPERS_WINDOW, study.PAPERS_HORIZON, study.PAPERS_DEPTH
    paper, nine = study.repeated(found, "predictor", *setting), study.repeated(found, "nine")
    base = study.repeated(found, "baselines")
    encoded = study.repeated(found, "autoencoder", *study.PAPERS_LOSS)
    common = study.common({"paper": paper, "nine": nine, "base": base, "encoded": encoded})
    if not common:
        return []
    columns = {
        "`paper`": [paper[r]["measures"] for r in common],
        "`default`, nine magnets": [nine[r]["measures"] for r in common],
    }
    reconstruction = {
        "`paper`": [encoded[r]["measures"] for r in common],
        "`default`, nine magnets": [nine[r]["reconstruction"] for r in common],
    }
    most = found.get(study.Piece("learning", (max(plan.magnets), 0)))
    if most:
        name = f"`default`, {max(plan.magnets)} magnets"
        for kind, measured in (
            (columns, most["measures"]),
            (reconstruction, most["reconstruction"]),
        ):
            kind[name] = [{m: [values[r]] for m, values in measured.items()} for r in common]
    for name in base[common[0]]["measures"]:
        kind = reconstruction if name.startswith("PCA") else columns
        kind[name] = [base[r]["measures"][name] for r in common]
    each = [["unseen magnet", *(f"{name}: RMSE, Hc error in T" for name in columns)]]
    for i, r in enumerate(common):
        pairs = [
            f"{cell('curve_rmse', [runs[i]['curve_rmse']])}, "
            f"{cell('coercivity_error', [runs[i]['coercivity_error']])}"
            for runs in columns.values()
        ]
        each.append([str(r), *pairs])
    return [
        f"Nine magnets: `default` with {plan.nine.autoencoder_batches} and "
        f"{plan.nine.predictor_batches} batches, on these and their symmetric images.",
        "",
        "Recursion from the first states of the unseen magnet:",
        "",
        *_measured(columns),
        "",
        "Reconstruction of its states:",
        "",
        *_measured(reconstruction),
        "",
        "Magnet by magnet:",
        "",
        *rows(each),
    ]


def _learning(plan, found):
    table = [["magnets, seed", "", *MEASURES.values()]]
    sizes = [(n, seed) for n in plan.magnets for seed in range(plan.seeds)]
    each_magnet = {}
    for size in sizes:
        run = found.get(study.Piece("learning", size))
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
        f"symmetric images of them as far as they make {recipes.LOOPS} loops; judged on all of "
        f"`tfds_esw/{datasets.name_of(plan.test)}`: mean ± standard deviation over these.",
        "",
        *rows(table),
        "",
        "Magnet by magnet, `default`:",
        "",
        *_magnet_by_magnet(each_magnet),
    ]
