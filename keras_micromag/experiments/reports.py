"""Reports in Markdown: every table with the command that gives it, every figure beside it."""

import numpy as np

from keras_micromag.experiments import study
from keras_micromag.experiments.tables import cell, number, rows, spread
from keras_micromag.judge import MEASURES
from keras_micromag.models import autoencoder

REPORT = "report.md"
COMMAND = "keras-micromag reproduce"
SHOWN = ("squared_error", "squared_error_switching", "norm_error", "curve_rmse")
LOOP = ("curve_rmse", "coercivity_error", "coercivity_steps", "branch_accuracy")


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


def _measured(each, names=MEASURES):
    """A table of measures, a column each."""
    table = [["", *each]]
    for name in names:
        cells = [cell(name, [values[name]]) for values in each.values()]
        table.append([MEASURES[name], *cells])
    return rows(table)


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
    for name in SHOWN:
        cells = [
            cell(name, [runs[loss][r]["measures"][name] for r in common]) for loss in plan.losses
        ]
        table.append([f"unseen magnet: {MEASURES[name]}", *cells])
    return [f"{len(common)} repetitions.", "", *rows(table)]


def _grid(plan, found):
    lines = []
    for name, label in (
        ("curve_rmse", "RMSE of M/Ms over the loop of the unseen magnet"),
        ("coercivity_error", "Coercivity error, T"),
        ("variation", "Total variation of M/Ms over that of the simulated loop (1 is smooth)"),
    ):
        table = [["l \\ t", *map(str, plan.windows)]]
        for horizon in plan.horizons:
            each = [
                _pieces(found, "predictor", window, horizon, study.PAPERS_DEPTH)
                for window in plan.windows
            ]
            each = [[runs[r] for r in sorted(runs)[: plan.grid_folds]] for runs in each]
            if all(each):
                table.append([str(horizon), *(_range(name, runs) for runs in each)])
        if len(table) > 1:
            lines += ["", f"{label}: median [least, most].", "", *rows(table)]
    return lines[1:]


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
    table = [["hidden layers", "RMSE of M/Ms", "coercivity error, T", "least validation loss"]]
    setting = study.PAPERS_WINDOW, study.PAPERS_HORIZON
    for depth in plan.depths:
        runs = _pieces(found, "predictor", *setting, depth)
        runs = [runs[r] for r in sorted(runs)[: plan.grid_folds]]
        if runs:
            least = spread([[run["val_loss"] for run in runs]], 1)
            ranges = [_range(name, runs) for name in ("curve_rmse", "coercivity_error")]
            table.append([str(depth), *ranges, least])
    return [f"t, l = {setting}; median [least, most].", "", *rows(table)] if len(table) > 1 else []


def _folds(plan, found):
    setting = study.PAPERS_WINDOW, study.PAPERS_HORIZON, study.PAPERS_DEPTH
    paper, nine = _pieces(found, "predictor", *setting), _pieces(found, "nine")
    base = _pieces(found, "baselines")
    encoded = _pieces(found, "autoencoder", *study.PAPERS_LOSS)
    common = sorted(set(paper) & set(nine) & set(base) & set(encoded))
    if not common:
        return []
    names = [name for name in base[common[0]]["measures"]]
    pca = next(name for name in names if name.startswith("PCA"))

    def table(columns, measures):
        lines = [["", *columns]]
        for name in measures:
            cells = [cell(name, [run[name] for run in runs]) for runs in columns.values()]
            lines.append([MEASURES[name], *cells])
        return rows(lines)

    columns = {
        "`paper`": [paper[r]["measures"] for r in common],
        "`default`, nine magnets": [nine[r]["measures"] for r in common],
    }
    for name in names:
        if name != pca:
            columns[name] = [base[r]["measures"][name] for r in common]
    reconstruction = {
        "`paper`": [encoded[r]["measures"] for r in common],
        "`default`, nine magnets": [nine[r]["reconstruction"] for r in common],
        pca: [base[r]["measures"][pca] for r in common],
    }
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
        *table(columns, MEASURES),
        "",
        "Reconstruction of its states:",
        "",
        *table(reconstruction, SHOWN),
        "",
        "Magnet by magnet:",
        "",
        *rows(each),
    ]


def _learning(plan, found):
    table = [["magnets trained on", "", *(MEASURES[name] for name in LOOP)]]
    for magnets in plan.magnets:
        run = found.get(study.Piece("learning", (magnets,)))
        if run is None:
            continue
        shown = {f"`default`, {run['images']} images": run["measures"], **run["baselines"]}
        for name, measured in shown.items():
            if name.startswith("PCA"):
                continue
            table.append([str(magnets), name, *(cell(m, [measured[m]]) for m in LOOP)])
    if len(table) == 1:
        return []
    text = (
        f"Trained on the first magnets of `tfds_esw/{plan.train}`, seed 0, judged on all of "
        f"`tfds_esw/{plan.test}`: mean ± standard deviation over these."
    )
    return [text, "", *rows(table)]
