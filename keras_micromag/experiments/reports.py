"""Reports in Markdown: every table with the command that gives it, every figure beside it."""

import numpy as np

from keras_micromag.experiments import study
from keras_micromag.experiments.tables import cell, median, number, rows, spread
from keras_micromag.judge import MEASURES
from keras_micromag.models import autoencoder

REPORT = "report.md"
COMMAND = "keras-micromag reproduce"


def of_training(settings: dict, measured: dict) -> str:
    """The report of one training: a table for each kind of measurement."""
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
    lines += ["", "![Losses](training.png)", ""]
    return "\n".join(lines)


def of_study(plan, found: dict, drawn: list[str]) -> str:
    """The report of all experiments that were done: those that were not are left out."""
    lines = [
        "# The paper's experiments",
        "",
        f"{plan.folds} magnets of `tfds_esw/{plan.test}`; in repetition r magnet r is not trained "
        "on and everything has the seed r. Mean ± standard deviation over the repetitions, where "
        "nothing else is said. " + "Each section has the command that does it alone.",
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
    lines += ["", f"{len(found)} pieces, {seconds / 60:.0f} minutes of one core.", ""]
    return "\n".join(lines)


def in_short(found: dict) -> str:
    """What a piece found, in a few words."""
    measured = found["measures"]
    if "curve_rmse" not in measured:
        measured = measured["mean training loop"]
    error = spread([measured["coercivity_error"]], 3)
    return f"RMSE {spread([measured['curve_rmse']], 4)}, coercivity {error} T"


def _measured(columns: dict, names=MEASURES) -> list[str]:
    """A table with a column for each {name: measures}, or {name: list of measures}."""
    table = [["", *columns]]
    for name in names:
        runs = (each if isinstance(each, list) else [each] for each in columns.values())
        table.append([MEASURES[name], *(cell(name, [run[name] for run in each]) for each in runs)])
    return rows(table)


def _medians(settings: dict, heads: list[str]) -> list[str]:
    """A table with a row for each {names: list of measures}: medians over the repetitions."""
    table = [[*heads, *MEASURES.values()]]
    for names, runs in settings.items():
        table.append([*names, *(median(name, [run[name] for run in runs]) for name in MEASURES)])
    return rows(table)


def _baselines(found, folds):
    """{name: list of measures} of the baselines in the first repetitions."""
    runs = _pieces(found, "baselines")
    names = runs[0]["measures"] if 0 in runs else ()
    return {name: [runs[r]["measures"][name] for r in range(folds) if r in runs] for name in names}


def _pieces(found, kind, *arguments):
    """What was found for all repetitions of a piece, by repetition."""
    n = len(arguments)
    return {
        piece.arguments[-1]: each
        for piece, each in found.items()
        if piece.kind == kind and piece.arguments[:n] == arguments and len(piece.arguments) == n + 1
    }


def _magnet(plan, found):
    parameters = autoencoder().count_params()
    return [
        f"A magnet, its loop and states along it, and the weights of Eq. 8; the first, of "
        f"`tfds_esw/{plan.test}`. The autoencoder of Table 1 has {parameters:,} parameters."
    ]


def _losses(plan, found):
    runs = {loss: _pieces(found, "autoencoder", *loss) for loss in plan.losses}
    common = sorted(set.intersection(*(set(each) for each in runs.values())))
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
    runs = {setting: _repeated(plan, found, setting) for setting in sorted(settings)}
    if not all(runs.values()):
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


def _repeated(plan, found, setting):
    """What predictors of a setting found in the repetitions of the grid."""
    runs = _pieces(found, "predictor", *setting)
    return [runs[r] for r in sorted(runs)[: plan.grid_folds]]


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
    runs = {depth: _repeated(plan, found, (t, l, depth)) for depth in plan.depths}
    if not all(runs.values()):
        return []
    table = [["hidden layers", "RMSE of M/Ms", "coercivity error, T", "least validation loss"]]
    for depth, each in runs.items():
        ranges = [_range(name, each) for name in ("curve_rmse", "coercivity_error")]
        table.append([str(depth), *ranges, spread([[run["val_loss"] for run in each]], 1)])
    named = {(f"{depth}", ""): [r["measures"] for r in each] for depth, each in runs.items()}
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
    paper, nine = _pieces(found, "predictor", *setting), _pieces(found, "nine")
    base = _pieces(found, "baselines")
    encoded = _pieces(found, "autoencoder", *study.PAPERS_LOSS)
    common = sorted(set(paper) & set(nine) & set(base) & set(encoded))
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
    most = found.get(study.Piece("learning", (max(plan.magnets),)))
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
    table = [["magnets", "", *MEASURES.values()]]
    for magnets in plan.magnets:
        run = found.get(study.Piece("learning", (magnets,)))
        if run is None:
            continue
        recipe = f"`default`, {run['images']} image{'s' * (run['images'] > 1)}"
        shown = {recipe: run["measures"], f"{recipe}, reconstruction": run["reconstruction"]}
        for name, measured in {**shown, **run["baselines"]}.items():
            table.append([str(magnets), name, *(cell(m, [measured[m]]) for m in MEASURES)])
    if len(table) == 1:
        return []
    text = (
        f"Trained on the first magnets of `tfds_esw/{plan.train}`, seed 0, judged on all of "
        f"`tfds_esw/{plan.test}`: mean ± standard deviation over these."
    )
    return [text, "", *rows(table)]
