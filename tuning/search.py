"""A search within a budget, which loses nothing when it is killed."""

import dataclasses
import json
import os
import time
from pathlib import Path

import keras_tuner
from keras_tuner.errors import FatalError
from keras_tuner.oracles import (
    BayesianOptimizationOracle,
    HyperbandOracle,
    RandomSearchOracle,
)

from keras_micromag.experiments import folder
from keras_micromag.experiments.logs import hparams
from keras_micromag.physics import checks
from tuning.hypermodels import EPOCHS

PROJECT = "trials"
OBJECTIVE = keras_tuner.Objective("score", "min")
LOGGED = ("score", "curve_rmse", "coercivity_error")


class _Budgeted:
    """What is ours in an oracle: the default first, an end by the clock, files that are whole.

    The oracle is where all workers' trials meet, so that all this holds for any number of them.
    """

    minutes: float | None = None
    tell = staticmethod(print)

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._before, self._began = 0.0, time.monotonic()

    @property
    def seconds(self) -> float:
        """How long the search has taken, what was killed included."""
        return self._before + time.monotonic() - self._began

    def populate_space(self, trial_id):
        """Values for a new trial, or the end."""
        if self.minutes is not None and self.seconds >= 60 * self.minutes:
            return {"status": "STOPPED"}
        return super().populate_space(trial_id)

    def _random_values(self):
        # Every tuner begins with this: the recipe that the search is to improve on comes first.
        if self.trials:
            return super()._random_values()
        hps = keras_tuner.HyperParameters()
        for hp in self.hyperparameters.space:
            hps.merge([hp])
            if hps.is_active(hp):
                hps.values[hp.name] = hp.default
        return hps.values

    @keras_tuner.synchronized
    def end_trial(self, trial):
        """Keep the trial, and tell of it."""
        super().end_trial(trial)
        self.tell(_line(self, self.trials[trial.trial_id]))

    def get_state(self):
        """KerasTuner's, and the time."""
        return {**super().get_state(), "seconds": self.seconds}

    def set_state(self, state):
        """What `get_state` told."""
        super().set_state(state)
        self._before, self._began = state["seconds"], time.monotonic()

    def reload(self):
        """KerasTuner's; a trial that was killed between two files is run again too."""
        super().reload()
        for trial in self.trials.values():
            if trial.status == "RUNNING" and trial.trial_id not in self._retry_queue:
                self._retry_queue.append(trial.trial_id)

    # KerasTuner writes over the old file, which a kill would cut short.
    def save(self):
        """Write what the search knows."""
        folder.write_json(Path(self._get_oracle_fname()), self.get_state())

    def _save_trial(self, trial):
        path = Path(self._get_trial_dir(trial.trial_id), "trial.json")
        folder.write(path, lambda partial: trial.save(str(partial)))


class _Random(_Budgeted, RandomSearchOracle):
    pass


class _Bayesian(_Budgeted, BayesianOptimizationOracle):
    pass


class _Hyperband(_Budgeted, HyperbandOracle):
    pass


TUNERS = {"random": _Random, "hyperband": _Hyperband, "bayesian": _Bayesian}


class _Tuner(keras_tuner.Tuner):
    """Runs a trial by the HyperModel alone: KerasTuner's own would save weights in every epoch."""

    def run_trial(self, trial):
        """What the HyperModel measures, and the `seconds` that it took."""
        began = time.perf_counter()
        try:
            found = self.hypermodel.measure(trial.hyperparameters)
        except Exception as error:
            # Else KerasTuner would note the trial as failed, and go on.
            raise FatalError(f"Trial {trial.trial_id}: {error}") from error
        found["seconds"] = time.perf_counter() - began
        values = {**trial.hyperparameters.values, "trial": trial.trial_id}
        measured = {name: found[name] for name in LOGGED}
        hparams(self.directory, f"trial_{trial.trial_id}", values, measured)
        return found


@dataclasses.dataclass(frozen=True)
class Trial:
    """A finished trial.

    Attributes:
        number: in the order in which they began.
        values: of the hyperparameters that were drawn.
        score, curve_rmse, coercivity_error, diverged, stopped: see `HyperModel.fit`.
        seconds: that it took.
    """

    number: int
    values: dict
    score: float
    curve_rmse: float
    coercivity_error: float
    diverged: bool
    stopped: bool
    seconds: float

    @property
    def hyperparameters(self) -> keras_tuner.HyperParameters:
        """The values, as a HyperModel takes them."""
        hp = keras_tuner.HyperParameters()
        hp.values = dict(self.values)
        return hp


def search(
    hypermodel,
    out,
    *,
    tuner: str = "bayesian",
    trials: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    progress=print,
) -> list[Trial]:
    """Search for the best choice of a HyperModel, or go on with a search that was killed.

    The first trial has the values that the search starts from. Where KerasTuner's variables
    KERASTUNER_TUNER_ID, KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT are set, this process is a
    worker, which runs trials; or the chief, which only hands them out, and ends after all workers
    have.

    Args:
        hypermodel: an `AutoencoderHyperModel`, a `RolloutHyperModel`, or one with the same methods.
        out: folder of the search.
        tuner: "random", "hyperband" or "bayesian".
        trials: how many at most; a later call may name more than an earlier one.
        minutes: after which no trial begins, those of earlier calls included. One of the two must
            be given.
        seed: of the choice of values.
        progress: is told of each trial, in a line.

    Returns:
        All finished trials, in the order in which they began; of a worker those known here, none.

    Raises:
        ValueError: for an unknown tuner, no budget, or a folder of another search.
        FatalError: where a trial failed by more than a loss that is not finite.
    """
    checks.one_of(tuner, "tuner", tuple(TUNERS))
    trials, minutes = budget(trials, minutes)
    out = Path(out)
    settle(out, {"tuner": tuner, "seed": seed, **hypermodel.settings()})
    oracle = TUNERS[tuner](objective=OBJECTIVE, seed=seed + 1, **_options(tuner, trials))
    oracle.max_trials, oracle.minutes, oracle.tell = trials, minutes, progress
    _know_the_search(out)
    runner = _Tuner(oracle, hypermodel, directory=str(out), project_name=PROJECT)
    before = len(oracle.end_order)
    if before:
        progress(f"{before} trials were finished before; going on after them.")
    oracle.verbose = 0
    runner.search()
    if before and len(oracle.end_order) == before:
        progress(f"This search is finished: {before} trials. With a larger budget it would go on.")
    if role() != "worker":
        oracle.save()
    return finished(out)


def _options(tuner, trials):
    """What only one of the tuners takes. A seed of 0, which `search` avoids, would be any."""
    if tuner == "hyperband":
        return {"max_epochs": EPOCHS}
    if tuner == "bayesian":
        # KerasTuner's own, three for each hyperparameter, would be all that one has time for.
        return {"num_initial_points": max((trials or 45) // 3, 2)}
    return {}


def budget(trials, minutes):
    """Both, checked."""
    if trials is None and minutes is None:
        raise ValueError("`trials` or `minutes` must be given as a budget; received neither.")
    if trials is not None:
        trials = checks.count(trials, "trials")
    if minutes is not None:
        minutes = checks.number(minutes, "minutes", above=0)
    return trials, minutes


def settle(out: Path, settings: dict) -> None:
    """`folder.settle`, which also refuses what KerasTuner left for another purpose."""
    if not (out / folder.SETTINGS).exists() and any(out.rglob("oracle.json")):
        raise ValueError(
            f"`--out` must be a new folder; {out} holds a search of KerasTuner and no "
            f"{folder.SETTINGS}."
        )
    folder.settle(out, settings)


def finished(out) -> list[Trial]:
    """The finished trials of a search's folder, in the order in which they began."""
    path = Path(out, PROJECT, "oracle.json")
    if not path.exists():
        return []
    found = []
    for number, name in enumerate(json.loads(path.read_text(encoding="utf-8"))["start_order"]):
        trial = keras_tuner.engine.trial.Trial.load(
            str(Path(out, PROJECT, f"trial_{name}", "trial.json"))
        )
        if trial.status != "COMPLETED":
            continue
        told = {
            name: float(trial.metrics.get_best_value(name))
            for name in (*LOGGED, "diverged", "stopped", "seconds")
        }
        told |= {name: bool(told[name]) for name in ("diverged", "stopped")}
        found.append(Trial(number, trial.hyperparameters.values, **told))
    return found


def role() -> str:
    """Of this process: "alone", "chief" or "worker"."""
    if "KERASTUNER_ORACLE_IP" not in os.environ:
        return "alone"
    return "chief" if "chief" in os.environ["KERASTUNER_TUNER_ID"] else "worker"


def _know_the_search(out):
    """Let KerasTuner see the search that is here: it looks for a file of the same tuner's id.

    A search may have been begun alone and go on with workers, or have been killed in its first
    trial.
    """
    if (out / PROJECT / "oracle.json").exists():
        name = os.environ.get("KERASTUNER_TUNER_ID", "tuner0")
        folder.write_json(out / PROJECT / f"{name}.json", {})


def _line(oracle, trial):
    """What there is to say of a trial that has ended."""
    done = len(oracle.end_order)
    total = f"/{oracle.max_trials}" if oracle.max_trials else ""
    head = f"[{done}{total}, {oracle.seconds / 60:.0f} min] trial {trial.trial_id}: "
    value = trial.metrics.get_best_value
    text = f"score {trial.score:.3f} (RMSE {value('curve_rmse'):.4f}, "
    text += f"coercivity {value('coercivity_error'):.4f} T) in {value('seconds'):.0f} s"
    text += ", diverged" * bool(value("diverged")) + ", stopped" * bool(value("stopped"))
    best = oracle.get_best_trials(1)[0]
    return f"{head}{text}; best {best.score:.3f}, trial {best.trial_id}: {described(best)}"


def described(trial) -> str:
    """The values of a trial, in short."""
    values = drawn_values(trial.hyperparameters.values)
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
    )


def drawn_values(values: dict) -> dict:
    """The hyperparameters, without what Hyperband keeps beside them."""
    return {name: value for name, value in values.items() if not name.startswith("tuner/")}
