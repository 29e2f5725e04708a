"""The whole of `python -m tuning`: search, repeat the best, train the best of them, judge, report.

Every piece is kept in a file as soon as it is done; the same command goes on after the last one.
"""

import dataclasses
import functools
from pathlib import Path

import keras
import numpy as np

from keras_micromag import recipes
from keras_micromag.paper import datasets, folder, measures, training, workers
from keras_micromag.paper.prediction import predict
from keras_micromag.utils import checks
from tuning import figures, processes, reports
from tuning.hypermodels import EPOCHS
from tuning.plan import Plan
from tuning.search import Trial, finished, printer, role, search

SEARCH, BEST, TRIALS = "search", "best.json", "trials.json"
BEST_OF = 3  # trials that are repeated with other seeds


def study(plan: Plan, out, *, data_dir=None, jobs: int = 1, progress=None) -> dict:
    """Do all of a search, or go on with one that was killed.

    Where KerasTuner's variables make this process a worker of a search on several machines, it runs
    trials only; the chief does the rest when all trials are done.

    Args:
        plan: the search.
        out: folder for everything that is made, shared by all processes.
        data_dir: of the data sets, TFDS's own if None; they must have been built.
        jobs: how many processes, each on one core: a chief and so many workers are started here.
        progress: is told what was done, in lines; with several jobs trials are printed.

    Returns:
        What is written to metrics.json; of a worker, nothing.

    Raises:
        ValueError: for data sets that are not built, and a folder of another search.
        ChildProcessError: when a process here has failed, or was killed again and again.
    """
    out = Path(out)
    jobs, progress = checks.count(jobs, "jobs"), progress or printer()
    plan.require_data(data_dir)
    folder.settle(out, plan.settings())
    mine = role()
    if mine == "alone" and jobs > 1:
        processes.chief_and_workers(functools.partial(_search, plan, out, data_dir), jobs)
    else:
        _search(plan, out, data_dir, progress)
    if mine == "worker":
        return {}
    trials = finished(out / SEARCH)
    if not trials:
        raise ValueError(
            f"`minutes` must be enough for a trial; received {plan.minutes}, and none was finished."
        )
    folder.write_json(out / TRIALS, [dataclasses.asdict(trial) for trial in trials])
    for name in ("pieces", "models"):
        (out / name).mkdir(exist_ok=True)

    chosen = _candidates(trials)
    asked = [(t, s) for s in range(plan.seeds) for t in chosen if s or t.epochs < EPOCHS]
    repeat = functools.partial(_repeat, plan, out, data_dir)
    again = {}
    for (trial, seed), each in workers.each(repeat, asked, jobs):
        again[trial.number, seed] = each["score"]
        progress(f"trial {trial.number}, seed {plan.seed + seed}: score {each['score']:.3f}")
    scores = {
        t.number: [again.get((t.number, s), t.score) for s in range(plan.seeds)] for t in chosen
    }
    best = min(chosen, key=lambda trial: np.mean(scores[trial.number]))
    found = plan.suggested(best.hyperparameters, data_dir)
    folder.write_json(out / BEST, {"trial": best.number, "settings": found})

    # What is kept has the trial's number: a larger budget may find another best.
    best_recipe, start_recipe = (
        dataclasses.replace(plan.base, **plan.suggested(trial.hyperparameters, data_dir))
        for trial in (best, trials[0])
    )
    asked = {
        "best": (f"trial-{best.number}", best_recipe),
        "start": (f"trial-{trials[0].number}", start_recipe),
        "paper": ("paper", recipes.RECIPES["paper"]),
    }
    if best == trials[0]:
        del asked["start"]
    judge = functools.partial(_judge, plan, out, data_dir)
    measured = {}
    for (name, _), each in workers.each(judge, list(asked.values()), jobs):
        measured[name] = each
        progress(f"{name}: trained on {plan.magnets} magnets, and judged")
    judged = {told: measured[name] for told, (name, _) in asked.items()}
    metrics = {"scores": scores, "best": best.number, "settings": found, "judged": judged}
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
    """The best trials, and the first, which is what the search started from.

    A choice that Hyperband has promoted is one, with the trial that was longest.
    """
    longest = {}
    for trial in sorted(trials, key=lambda trial: trial.epochs):
        longest[str(trial.hyperparameters.values)] = trial
    there = sorted(longest.values(), key=lambda trial: (-trial.epochs, trial.score))
    start = longest[str(trials[0].hyperparameters.values)]
    return there[:BEST_OF] + [start] * (start not in there[:BEST_OF])


@functools.lru_cache(maxsize=1)
def _hypermodel(plan, out, data_dir):
    return plan.hypermodel(out, data_dir)


def _repeat(plan, out, data_dir, asked):
    """The score of a trial with another seed, by a whole training."""
    trial, seed = asked

    def make():
        hypermodel = _hypermodel(plan, out, data_dir).with_seed(plan.seed + seed)
        return hypermodel.measure(trial.hyperparameters)

    return folder.kept(out / "pieces" / f"trial-{trial.number}-seed-{plan.seed + seed}.json", make)


def _judge(plan, out, data_dir, asked):
    """A recipe trained on all the search's magnets, and judged on those that it never saw."""
    name, recipe = asked

    def make():
        keras.backend.clear_session()
        moments = datasets.first_moments(plan.config, plan.magnets, data_dir)
        unseen, _ = datasets.all_loops(plan.test, data_dir)
        datasets.require_unseen(unseen, moments)
        where = out / "models" / name
        where.mkdir(exist_ok=True)
        model, _ = training.trained(where, recipe, moments, unseen.field, plan.seed, 0)
        baselines = measures.Baselines(moments, unseen.field, recipe.latent_size, recipe.window)
        more, _ = datasets.all_loops(plan.config, data_dir, after=plan.magnets)
        found = {}
        for kind, magnets in (("test", unseen), ("more", more)):
            if magnets is not None:
                first = magnets.magnetization[:, : recipe.window]
                named = {"model": predict(model, first, magnets.field)}
                named |= baselines.predictions(magnets.magnetization)
                found[kind] = {n: measures.of(magnets, each) for n, each in named.items()}
        return found

    return folder.kept(out / "pieces" / f"judged-{name}.json", make)


def with_settings(recipe, settings: dict):
    """A recipe with settings as JSON has them.

    Raises:
        ValueError: for a setting that no recipe has, or a value that it refuses.
    """
    known = {each.name for each in dataclasses.fields(recipe)}
    for name in settings:
        checks.one_of(name, "setting", sorted(known))
    lists = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    return dataclasses.replace(recipe, **lists)
