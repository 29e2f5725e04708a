"""A search within a budget, which loses nothing when it is killed."""

import contextlib
import dataclasses
import functools
import os
import sys
import time
from pathlib import Path

import grpc
import keras_tuner
from keras_tuner.errors import FatalValueError
from keras_tuner.oracles import (
    BayesianOptimizationOracle,
    HyperbandOracle,
    RandomSearchOracle,
)

from keras_micromag.paper import folder
from keras_micromag.paper.logs import hparams
from keras_micromag.utils import checks
from tuning.hypermodels import EPOCHS

PROJECT = "trials"
KERAS_TUNERS = "tuner/"  # what Hyperband keeps among the values
OBJECTIVE = keras_tuner.Objective("score", "min")
LOGGED = ("score", "curve_rmse", "coercivity_error")


def printer():
    """Prints lines at once to what is the output now, even when KerasTuner's is led elsewhere."""
    return functools.partial(print, file=sys.stdout, flush=True)


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
        """How long the search has taken, but for trials that were killed."""
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
        for name, trial in sorted(self.trials.items()):
            if trial.status == "RUNNING" and name not in self._retry_queue:
                self._retry_queue.append(name)
            if name not in self.start_order:
                self.start_order.append(name)

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
        try:
            began = time.perf_counter()
            found = self.hypermodel.measure(trial.hyperparameters)
            found["seconds"] = time.perf_counter() - began
            measured = {name: found[name] for name in LOGGED}
            values = trial.hyperparameters.values
            hparams(self.directory, f"trial_{trial.trial_id}", values, measured)
        except Exception as error:
            # Else KerasTuner would note the trial as failed, and go on.
            raise FatalValueError(f"Trial {trial.trial_id} failed: {error}") from error
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
        """The values, as a HyperModel takes them; for a whole training, whatever Hyperband gave."""
        hp = keras_tuner.HyperParameters()
        hp.values = {k: v for k, v in self.values.items() if not k.startswith(KERAS_TUNERS)}
        return hp

    @property
    def epochs(self) -> int:
        """Of the `EPOCHS` of a whole training."""
        return self.values.get("tuner/epochs", EPOCHS)


def search(
    hypermodel,
    out,
    *,
    tuner: str = "bayesian",
    trials: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    progress=None,
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
        progress: is told of each trial, in a line; printed if None.

    Returns:
        All finished trials, in the order in which they began; of a worker those known here, none.

    Raises:
        ValueError: for an unknown tuner, no budget, a folder of another search, or one that another
            process searches in; and where a trial failed by more than a loss that is not finite.
        ConnectionError: where a worker's chief does not answer.
    """
    mine = role()
    checks.one_of(tuner, "tuner", tuple(TUNERS))
    trials, minutes = budget(trials, minutes)
    out, progress = Path(out), progress or printer()
    folder.settle(out, {"tuner": tuner, "seed": seed, **hypermodel.settings()})
    oracle = TUNERS[tuner](objective=OBJECTIVE, seed=seed + 1, **_options(tuner, trials))
    oracle.max_trials, oracle.minutes, oracle.tell = trials, minutes, progress
    oracle.verbose = 0
    with contextlib.nullcontext() if mine == "worker" else folder.locked(out, wait=False):
        _know_the_search(out)
        runner = _Tuner(oracle, hypermodel, directory=str(out), project_name=PROJECT)
        before = len(oracle.end_order)
        if before:
            progress(f"{before} trials were finished before; going on after them.")
        try:
            # KerasTuner's chief and workers print values of hyperparameters, one to a line.
            with contextlib.redirect_stdout(sys.stdout if mine == "alone" else sys.stderr):
                runner.search()
        except grpc.RpcError as error:
            raise ConnectionError(
                "KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT must be those of a chief that "
                f"runs; {error.details()}."
            ) from error
        if mine != "worker":
            oracle.save()
    if before and len(oracle.end_order) == before:
        progress(
            f"This search is finished: {before} trials. With a larger budget it goes on, where "
            "there is anything left to try."
        )
    return finished(out)


def _options(tuner, trials):
    """What only one of the tuners takes. A seed of 0, which `search` avoids, would be any."""
    if tuner == "hyperband":
        return {"max_epochs": EPOCHS, "hyperband_iterations": 10**6}  # until the budget ends it
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


def finished(out) -> list[Trial]:
    """The finished trials of a search's folder, in the order in which they began."""
    path = Path(out, PROJECT, "oracle.json")
    if not path.exists():
        return []
    found = []
    for name in folder.read(path)["start_order"]:
        trial = keras_tuner.engine.trial.Trial.load(
            str(Path(out, PROJECT, f"trial_{name}", "trial.json"))
        )
        if trial.status != "COMPLETED":
            continue
        told = {
            key: float(trial.metrics.get_best_value(key))
            for key in (*LOGGED, "diverged", "stopped", "seconds")
        }
        told |= {key: bool(told[key]) for key in ("diverged", "stopped")}
        found.append(Trial(int(name), trial.hyperparameters.values, **told))
    return found


def role() -> str:
    """Of this process: "alone", "chief" or "worker"."""
    names = ("KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT", "KERASTUNER_TUNER_ID")
    if names[0] not in os.environ:
        return "alone"
    for name in names:
        if name not in os.environ:
            raise ValueError(f"{name} must be set where {names[0]} is; it is not.")
    return "chief" if "chief" in os.environ[names[2]] else "worker"


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
    return ", ".join(f"{name} {short(value)}" for name, value in values.items())


def short(value) -> str:
    """A value of a hyperparameter, to the digits that one reads."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def drawn_values(values: dict) -> dict:
    """The hyperparameters, and of what Hyperband keeps beside them the epochs."""
    shown = {"tuner/epochs": "epochs"}
    return {
        shown.get(name, name): value
        for name, value in values.items()
        if name in shown or not name.startswith(KERAS_TUNERS)
    }


def names_drawn(trials: list[Trial]) -> list[str]:
    """Of the hyperparameters that any of the trials had."""
    return list(dict.fromkeys(name for trial in trials for name in drawn_values(trial.values)))
