"""Markdown report of a search."""

from keras_micromag.paper import datasets, reports, tables
from tuning.hypermodels import EPOCHS
from tuning.plan import Plan
from tuning.search import Trial, drawn_names, drawn_values, short

TITLES = {
    "trials.png": "Score over the trials",
    "parallel.png": "The values of all trials",
    "dependence.png": "Score by single hyperparameters",
    "map.png": "Score by t and l",
}
LABELS = {
    "best": "the best setting",
    "start": "the start of the search",
    "paper": "the paper's setting",
}
ERRORS = ("curve_rmse", "coercivity_error", "branch_accuracy")


def of_search(plan: Plan, trials: list[Trial], metrics: dict, drawn: list[str]) -> str:
    """Return the report of a finished search.

    Args:
        plan: settings of the search.
        trials: the finished trials.
        metrics: the content of metrics.json.
        drawn: file names of the figures.
    """
    hours = sum(trial.seconds for trial in trials) / 3600
    bad = {"diverged": sum(t.diverged for t in trials), "stopped": sum(t.stopped for t in trials)}
    lines = [
        f"# Search: {plan.kind}",
        "",
        f"{len(trials)} trials by the tuner `{plan.tuner}`, seed {plan.seed}: {hours:.1f} hours of "
        f"one process; {bad['diverged']} diverged, {bad['stopped']} were stopped as hopeless. Each "
        f"was trained on {plan.trained_on} magnets of `tfds_esw/{datasets.name_of(plan.config)}` "
        f"({plan.batches} batches of {plan.batch_size}) and scored by the loops of "
        f"{plan.validated_on} others, predicted from their first states. The score is the mean of "
        "two errors, the RMSE of M/Ms and that of the coercivity, in units of those of the mean "
        "training loop: 1 is as wrong as that. Trial 0 is the start of the search.",
        *_hyperband(trials),
        "",
        "## The best trials",
        "",
        *_best_trials(trials),
        "",
        "## The best again, with other seeds",
        "",
        *_seeds(trials, metrics),
        "",
    ]
    for name in drawn:
        lines += [f"## {TITLES[name]}", "", f"![{TITLES[name]}]({name})", ""]
    lines += [
        "## Evaluated once",
        "",
        f"Trained on {plan.magnets} magnets, those of the search included, with the batches of the "
        "recipe; mean ± standard deviation over magnets of no search and no training.",
    ]
    kinds = {
        "test": f"All magnets of `tfds_esw/{datasets.name_of(plan.test)}`",
        "more": f"The magnets of `tfds_esw/{datasets.name_of(plan.config)}` that are left",
    }
    for kind, title in kinds.items():
        if kind in metrics["judged"]["best"]:
            lines += ["", f"{title}:", "", *_measured(metrics["judged"], kind)]
    settings = ", ".join(f"{name} {short(value)}" for name, value in metrics["settings"].items())
    lines += ["", f"The best setting (trial {metrics['best']}): {settings}. The model is in "]
    lines[-1] += f"models/trial-{metrics['best']}/model.keras."
    lines.append("")
    return "\n".join(lines)


def _hyperband(trials) -> list[str]:
    if all(trial.epochs == EPOCHS for trial in trials):
        return []
    return [
        "",
        f"A trial of n epochs was trained on n/{EPOCHS} of the batches; the best are trained "
        "again, on all of them.",
    ]


def _best_trials(trials, count=10) -> list[str]:
    names = drawn_names(trials)
    table = [["trial", "score", "RMSE", "coercivity error, T", *names]]
    for trial in sorted(trials, key=lambda trial: trial.score)[:count]:
        drawn = drawn_values(trial.values)
        values = [short(drawn.get(name, "")) for name in names]
        table.append(
            [
                str(trial.number),
                f"{trial.score:.3f}",
                f"{trial.curve_rmse:.4f}",
                f"{trial.coercivity_error:.4f}",
                *values,
            ]
        )
    return tables.rows(table)


def _seeds(trials, metrics) -> list[str]:
    table = [["trial", "scores", "mean ± standard deviation"]]
    for number, scores in metrics["scores"].items():
        name = f"{number} (start)" if int(number) == trials[0].number else str(number)
        each = ", ".join(f"{score:.3f}" for score in scores)
        table.append([name, each, tables.spread([scores], 3)])
    return tables.rows(table)


def _measured(measured, kind) -> list[str]:
    columns = {LABELS[name]: result[kind]["model"] for name, result in measured.items()}
    baselines = measured["best"][kind]
    columns |= {name: each for name, each in baselines.items() if name != "model"}
    return [*tables.rows(reports.table(columns, ERRORS)), "", *_paired(measured, kind)]


def _paired(measured, kind) -> list[str]:
    """Return a sentence that compares the best with the others, magnet by magnet."""
    others = {
        LABELS[name]: result[kind]["model"] for name, result in measured.items() if name != "best"
    }
    others["the mean training loop"] = measured["best"][kind]["mean training loop"]
    best = measured["best"][kind]["model"]
    differences = [
        f"than {name}: {tables.paired_difference(best, other)}" for name, other in others.items()
    ]
    return [
        "The best setting is less wrong, mean of the differences magnet by magnet ± standard "
        f"error, {'; '.join(differences)}."
    ]
