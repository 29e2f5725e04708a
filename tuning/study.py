"""The run of `python -m tuning`: search, repeat the best trials, train the best recipe, report.

Every result is written to a file at once; the same command continues after the last file.
"""

import dataclasses
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_micromag import recipes
from keras_micromag.paper import datasets, folder, measures, training, workers
from keras_micromag.paper.prediction import predict
from keras_micromag.utils import checks
from keras_micromag.utils.progress import Stages
from tuning import figures, processes, reports
from tuning.hypermodels import EPOCHS
from tuning.plan import Plan
from tuning.search import Trial, finished_trials, printer, role, search

SEARCH, BEST, TRIALS = "search", "best.json", "trials.json"
BEST_OF = 3  # trials that are repeated with other seeds


def study(
    plan: Plan,
    out: str | os.PathLike,
    *,
    data_dir: str | os.PathLike | None = None,
    jobs: int = 1,
    progress: Callable[[str], object] | None = None,
) -> dict:
    """Run a search with its final trainings, or continue one that was killed.

    If KerasTuner's environment variables make this process a worker of a search on several
    machines, it only runs trials; the chief does the rest after all trials.

    Args:
        plan: the search.
        out: folder for all files, shared by all processes.
        data_dir: folder of the data sets, that of TFDS if None; they must have been built.
        jobs: number of workers, each a process on one core, that are started with a chief.
        progress: is called with lines of text; with several jobs the lines on trials are printed.

    Returns:
        The content of metrics.json; nothing in a worker.

    Raises:
        ValueError: for data sets that are not built, and a folder of another search or one that
            another process is at work in.
        ChildProcessError: when a process failed, or workers were killed several times.
    """
    out = Path(out)
    jobs, progress = checks.count(jobs, "jobs"), progress or printer()
    plan.require_data(data_dir)
    folder.prepare(out, plan.settings())
    if role() == "worker":
        _search(plan, out, data_dir, progress)
        return {}
    # Not by the lock of the autoencoder, for which all processes of the search wait.
    with folder.locked(out, wait=False, name=".study.lock"):
        if role() == "alone" and jobs > 1:
            processes.chief_and_workers(functools.partial(_search, plan, out, data_dir), jobs)
        else:
            _search(plan, out, data_dir, progress)
        trials = finished_trials(out / SEARCH)
        if not trials:
            raise ValueError(
                f"`minutes` must be enough for a trial; received {plan.minutes}, and none was "
                "finished."
            )
        folder.write_json(out / TRIALS, [dataclasses.asdict(trial) for trial in trials])
        for name in ("pieces", "models"):
            (out / name).mkdir(exist_ok=True)

        candidates = _candidates(trials)
        repeat = functools.partial(_repeat, plan, out, data_dir)
        scores = _scores(plan, candidates, repeat, jobs, progress)
        best = min(candidates, key=lambda trial: np.mean(scores[trial.number]))
        settings = plan.suggested(best.hyperparameters)
        folder.write_json(out / BEST, {"trial": best.number, "settings": settings})

        final = _final_recipes(plan, best, trials[0])
        evaluate = functools.partial(_evaluate, plan, out, data_dir)
        results = {}
        for (name, _), result in workers.map_in_processes(evaluate, list(final.values()), jobs):
            results[name] = result
            progress(f"{name}: trained on {plan.magnets} magnets, and evaluated")
        metrics = {
            "scores": scores,
            "best": best.number,
            "settings": settings,
            "judged": {key: results[name] for key, (name, _) in final.items()},
        }
        folder.write_json(out / folder.METRICS, metrics)
        drawn = figures.draw(out, plan.kind, trials)
        folder.write_text(out / folder.REPORT, reports.of_search(plan, trials, metrics, drawn))
        return metrics


def _search(plan, out, data_dir, progress=None):
    search(
        _hypermodel(plan, out, data_dir),
        out / SEARCH,
        tuner=plan.tuner,
        trials=plan.trials,
        minutes=plan.minutes,
        seed=plan.seed,
        progress=progress,
    )


def _candidates(trials: list[Trial]) -> list[Trial]:
    """Return the best trials, and the first, which has the values of the base recipe.

    Of the trials of a choice that Hyperband has promoted, only the longest is used.
    """
    longest = {}
    for trial in sorted(trials, key=lambda trial: trial.epochs):
        longest[str(trial.hyperparameters.values)] = trial
    ranked = sorted(longest.values(), key=lambda trial: (-trial.epochs, trial.score))
    start = longest[str(trials[0].hyperparameters.values)]
    best = ranked[:BEST_OF]
    return best if start in best else [*best, start]


def _scores(plan, candidates, repeat, jobs, progress) -> dict[int, list[float]]:
    """Return the scores of each candidate by the number of its trial, with a seed each.

    The first is that of the trial itself, unless Hyperband stopped its training early.
    """
    tasks = [(t, s) for s in range(plan.seeds) for t in candidates if s or t.epochs < EPOCHS]
    repeated = {}
    for (trial, seed), result in workers.map_in_processes(repeat, tasks, jobs):
        repeated[trial.number, seed] = result["score"]
        progress(f"trial {trial.number}, seed {plan.seed + seed}: score {result['score']:.3f}")
    return {
        t.number: [repeated.get((t.number, s), t.score) for s in range(plan.seeds)]
        for t in candidates
    }


def _final_recipes(plan, best: Trial, start: Trial) -> dict:
    """Return the recipes to train on all magnets, each with a name for its files.

    The names contain the number of the trial, since another may be the best with a larger budget.
    """
    final = {"best": best} if best == start else {"best": best, "start": start}
    named = {
        key: (
            f"trial-{trial.number}",
            dataclasses.replace(plan.base, **plan.suggested(trial.hyperparameters)),
        )
        for key, trial in final.items()
    }
    return named | {"paper": ("paper", recipes.RECIPES["paper"])}


@functools.lru_cache(maxsize=1)
def _hypermodel(plan, out, data_dir):
    return plan.hypermodel(out, data_dir)


def _repeat(plan, out, data_dir, task):
    """Return the score of a complete training with another seed, for a (trial, seed)."""
    trial, seed = task

    def make():
        hypermodel = _hypermodel(plan, out, data_dir).with_seed(plan.seed + seed)
        return hypermodel.measure(trial.hyperparameters)

    return folder.cached(
        out / "pieces" / f"trial-{trial.number}-seed-{plan.seed + seed}.json", make
    )


def _evaluate(plan, out, data_dir, task):
    """Train a (name, recipe) on all magnets of the search, and return errors on unseen magnets."""
    name, recipe = task

    def make():
        keras.backend.clear_session()
        _, seen = datasets.load(plan.config, data_dir, stop=plan.magnets)
        kinds = {"test": datasets.load(plan.test, data_dir)}
        if plan.magnets < datasets.magnet_count(plan.config):
            kinds["more"] = datasets.load(plan.config, data_dir, start=plan.magnets)
        field = kinds["test"][0].field
        datasets.require_unseen(plan.test, plan.config, plan.magnets)
        models = out / "models" / name
        models.mkdir(exist_ok=True)
        stages = Stages(2, show=False)
        model, _ = training.train_model(models, recipe, seen, field, plan.seed, stages)
        baselines = measures.Baselines(seen, field, recipe.latent_size, recipe.window)
        results = {}
        for kind, (loops, magnets) in kinds.items():
            predicted = {"model": predict(model, magnets.moments[:, : recipe.window], field)}
            predicted |= baselines.predictions(magnets)
            results[kind] = {n: measures.of(loops, each) for n, each in predicted.items()}
        return results

    return folder.cached(out / "pieces" / f"judged-{name}.json", make)


def with_settings(recipe: recipes.Recipe, settings: dict) -> recipes.Recipe:
    """Return a recipe with some settings replaced, given as JSON values.

    Raises:
        ValueError: for an unknown setting, or an invalid value.
    """
    known = {each.name for each in dataclasses.fields(recipe)}
    for name in settings:
        checks.one_of(name, "setting", sorted(known))
    values: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()
    }
    return dataclasses.replace(recipe, **values)
