"""The whole of `python -m tuning`: search, repeat the best, train the best of them, judge, report.

Every piece is kept in a file as soon as it is done; the same command goes on after the last one.
"""

import dataclasses
import functools
import json
from pathlib import Path

import keras
import numpy as np

from keras_micromag import recipes
from keras_micromag.experiments import folder, loops, measures, training, workers
from keras_micromag.experiments.prediction import predict
from keras_micromag.physics import checks
from tuning import figures, processes, reports
from tuning.plan import Plan
from tuning.search import Trial, finished, role, search, settle

SEARCH, BEST, TRIALS = "search", "best.json", "trials.json"
BEST_OF = 3  # trials that are repeated with other seeds
JUDGED = ("best", "start", "paper")


def study(plan: Plan, out, *, data_dir=None, jobs: int = 1, progress=print) -> dict:
    """Do all of a search, or go on with one that was killed.

    Where KerasTuner's variables make this process a worker of a search on several machines, it runs
    trials only; the chief does the rest when all trials are done.

    Args:
        plan: the search.
        out: folder for everything that is made, shared by all processes.
        data_dir: of the data sets, TFDS's own if None; they must have been built.
        jobs: how many processes, each on one core: a chief and so many workers are started here.
        progress: is told what was done, in lines.

    Returns:
        What is written to metrics.json; of a worker, nothing.

    Raises:
        ValueError: for data sets that are not built, and a folder of another search.
        ChildProcessError: when a process here has failed, or was killed again and again.
    """
    out = Path(out)
    jobs = checks.count(jobs, "jobs")
    plan.require_data(data_dir)
    settle(out, {"plan": plan.settings()})
    mine = role()
    if mine == "alone" and jobs > 1:
        processes.chief_and_workers(functools.partial(_search, plan, out, data_dir), jobs)
    else:
        _search(plan, out, data_dir, progress)
    if mine == "worker":
        return {}
    trials = finished(out / SEARCH)
    folder.write_json(out / TRIALS, [dataclasses.asdict(trial) for trial in trials])
    for name in ("pieces", "models"):
        (out / name).mkdir(exist_ok=True)

    repeat = functools.partial(_repeat, plan, out, data_dir)
    wanted = [(t, s) for s in range(1, plan.seeds) for t in _candidates(trials)]
    repeated = {}
    for (trial, seed), found in workers.each(repeat, wanted, jobs):
        repeated.setdefault(trial.number, []).append(found)
        progress(f"trial {trial.number} with seed {plan.seed + seed}: score {found['score']:.3f}")
    scores = {
        trial.number: [trial.score, *(each["score"] for each in repeated.get(trial.number, ()))]
        for trial in _candidates(trials)
    }
    best = min(_candidates(trials), key=lambda trial: np.mean(scores[trial.number]))
    found = _settings(plan, out, data_dir, best)
    folder.write_json(out / BEST, {"trial": best.number, "settings": found})

    judge = functools.partial(_judge, plan, out, data_dir)
    names = [name for name in JUDGED if name != "start" or found != _settings_of(plan.base, found)]
    judged = {}
    for name, measured in workers.each(judge, names, jobs):
        judged[name] = measured
        progress(f"{name}: trained on {plan.magnets} magnets, and judged")
    judged = {name: judged[name] for name in names}
    metrics = {"scores": scores, "best": best.number, "settings": found, "judged": judged}
    folder.write_json(out / folder.METRICS, metrics)
    drawn = figures.draw(out, plan.kind, trials)
    folder.write_text(out / folder.REPORT, reports.of_search(plan, trials, metrics, drawn))
    return metrics


def _search(plan, out, data_dir, progress=print):
    search(
        plan.hypermodel(out, data_dir),
        out / SEARCH,
        tuner=plan.tuner,
        trials=plan.trials,
        minutes=plan.minutes,
        seed=plan.seed,
        progress=progress,
    )


def _candidates(trials: list[Trial]) -> list[Trial]:
    """The best trials, and the first, which is what the search started from."""
    best = sorted(trials, key=lambda trial: trial.score)[:BEST_OF]
    return best + [trial for trial in trials[:1] if trial not in best]


@functools.lru_cache(maxsize=1)
def _hypermodel(plan, out, data_dir):
    return plan.hypermodel(out, data_dir)


def _repeat(plan, out, data_dir, asked):
    """The score of a trial with another seed."""
    trial, seed = asked

    def make():
        hypermodel = _hypermodel(plan, out, data_dir).with_seed(plan.seed + seed)
        return hypermodel.measure(trial.hyperparameters)

    return folder.kept(out / "pieces" / f"trial-{trial.number}-seed-{plan.seed + seed}.json", make)


def _settings(plan, out, data_dir, trial) -> dict:
    """The settings of a recipe that a trial chose, as JSON has them."""
    chosen = _hypermodel(plan, out, data_dir).suggest(trial.hyperparameters)
    return json.loads(json.dumps(chosen))


def _settings_of(recipe, names) -> dict:
    return json.loads(json.dumps({name: getattr(recipe, name) for name in names}))


def _judge(plan, out, data_dir, name):
    """A recipe trained on all the search's magnets, and judged on those that it never saw."""

    def make():
        keras.backend.clear_session()
        recipe = {
            "best": lambda: with_settings(plan.base, folder.read(out / BEST)["settings"]),
            "start": lambda: plan.base,
            "paper": lambda: recipes.RECIPES["paper"],
        }[name]()
        moments = loops.first_moments(plan.config, plan.magnets, data_dir)
        unseen, _ = loops.all_loops(plan.test, data_dir)
        loops.require_unseen(unseen, moments)
        where = out / "models" / name
        where.mkdir(exist_ok=True)
        model, _ = training.trained(where, recipe, moments, unseen.field, plan.seed, 0)
        baselines = measures.Baselines(moments, unseen.field, recipe.latent_size, recipe.window)
        more, _ = loops.all_loops(plan.config, data_dir, after=plan.magnets)
        found = {}
        for kind, magnets in (("test", unseen), ("more", more)):
            if magnets is not None:
                first = magnets.magnetization[:, : recipe.window]
                named = {"model": predict(model, first, magnets.field)}
                named |= baselines.predictions(magnets.magnetization)
                found[kind] = {n: measures.of(magnets, each) for n, each in named.items()}
        return found

    return folder.kept(out / "pieces" / f"{name}.json", make)


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
