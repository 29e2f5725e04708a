"""Search within a budget, which continues where it was killed."""

import contextlib
import dataclasses
import functools
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
from keras_micromag.utils.files import atomic_path
from tuning.hypermodels import EPOCHS

PROJECT = "trials"
TUNER_PREFIX = "tuner/"  # of names that Hyperband adds to the hyperparameters
OBJECTIVE = keras_tuner.Objective("score", "min")
LOGGED = ("score", "curve_rmse", "coercivity_error")


def printer() -> Callable[[str], None]:
    """Return a function that prints lines to the present output, even if it is redirected later."""
    return functools.partial(print, file=sys.stdout, flush=True)


class _Budgeted:
    """Mixin for oracles: the default values first, a time limit, and files written atomically.

    All workers share one oracle, so this works with any number of them.
    """

    minutes: float | None = None
    progress = staticmethod(print)

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._before, self._began = 0.0, time.monotonic()

    @property
    def seconds(self) -> float:
        """Time that the search has taken, without trials that were killed."""
        return self._before + time.monotonic() - self._began

    def populate_space(self, trial_id):
        """Return the values of a new trial, or stop the search after the time limit."""
        if self.minutes is not None and self.seconds >= 60 * self.minutes:
            return {"status": "STOPPED"}
        return super().populate_space(trial_id)

    def _random_values(self):
        # All tuners call this for their first trial, which gets the values of the base recipe.
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
        """Save the trial, and report it."""
        super().end_trial(trial)
        self.progress(_progress_line(self, self.trials[trial.trial_id]))

    def get_state(self):
        """Return KerasTuner's state and the time."""
        return {**super().get_state(), "seconds": self.seconds}

    def set_state(self, state):
        """Restore the state that `get_state` returned."""
        super().set_state(state)
        self._before, self._began = state["seconds"], time.monotonic()

    def reload(self):
        """Reload the search; a trial that was killed between writing two files is repeated too."""
        super().reload()
        for name, trial in sorted(self.trials.items()):
            if trial.status == "RUNNING" and name not in self._retry_queue:
                self._retry_queue.append(name)
            if name not in self.start_order:
                self.start_order.append(name)

    # KerasTuner would overwrite the old file, and leave a part of it if it were killed.
    def save(self):
        """Write the state of the search."""
        folder.write_json(Path(self._get_oracle_fname()), self.get_state())

    def _save_trial(self, trial):
        path = Path(self._get_trial_dir(trial.trial_id), "trial.json")
        with atomic_path(path) as partial:
            trial.save(str(partial))


class _Random(_Budgeted, RandomSearchOracle):
    pass


class _Bayesian(_Budgeted, BayesianOptimizationOracle):
    pass


class _Hyperband(_Budgeted, HyperbandOracle):
    pass


TUNERS: dict[str, type[keras_tuner.Oracle]] = {
    "random": _Random,
    "hyperband": _Hyperband,
    "bayesian": _Bayesian,
}


class _Tuner(keras_tuner.Tuner):
    """Tuner whose trials are run by the HyperModel; KerasTuner's would save weights each epoch."""

    def run_trial(self, trial):
        """Return the measures by the HyperModel, and the `seconds` that they took."""
        try:
            began = time.perf_counter()
            measured = self.hypermodel.measure(trial.hyperparameters)
            measured["seconds"] = time.perf_counter() - began
            logged = {name: measured[name] for name in LOGGED}
            values = trial.hyperparameters.values
            hparams(self.directory, f"trial_{trial.trial_id}", values, logged)
        except Exception as error:
            # After any other error KerasTuner would mark the trial as failed, and continue.
            raise FatalValueError(f"Trial {trial.trial_id} failed: {error}") from error
        return measured


@dataclasses.dataclass(frozen=True)
class Trial:
    """A finished trial.

    Attributes:
        number: number of the trial, in the order in which trials began.
        values: values of the hyperparameters.
        score, curve_rmse, coercivity_error, diverged, stopped: see `AutoencoderHyperModel.fit`.
        seconds: time of the trial.
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
        """The values as a HyperModel takes them, for a training of all epochs."""
        hp = keras_tuner.HyperParameters()
        hp.values = {k: v for k, v in self.values.items() if not k.startswith(TUNER_PREFIX)}
        return hp

    @property
    def epochs(self) -> int:
        """Number of epochs; `EPOCHS` are a complete training."""
        return self.values.get("tuner/epochs", EPOCHS)


def search(
    hypermodel: keras_tuner.HyperModel,
    out: str | os.PathLike,
    *,
    tuner: str = "bayesian",
    trials: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    progress: Callable[[str], object] | None = None,
) -> list[Trial]:
    """Search for the best choice of a HyperModel, or continue a search that was killed.

    The first trial has the values of the base recipe. If KerasTuner's environment variables
    KERASTUNER_TUNER_ID, KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT are set, this process is a
    worker, which runs trials, or the chief, which only distributes them, and ends after all workers
    have ended.

    Args:
        hypermodel: an `AutoencoderHyperModel`, a `RolloutHyperModel`, or one with the same methods.
        out: folder of the search.
        tuner: "random", "hyperband" or "bayesian".
        trials: largest number of trials; a later call may give a larger one.
        minutes: time after which no trial begins, with the time of earlier calls. `trials` or
            `minutes` must be given.
        seed: seed of the choice of values.
        progress: is called with a line of text for each trial; None prints it.

    Returns:
        All finished trials, in the order in which they began; none in a worker.

    Raises:
        ValueError: for an unknown tuner, no budget, a folder of another search or one in use by
            another process; and when a trial failed for another reason than a loss that is not
            finite.
        ConnectionError: when a worker's chief does not answer.
    """
    mine = role()
    checks.one_of(tuner, "tuner", tuple(TUNERS))
    trials, minutes = check_budget(trials, minutes)
    out, progress = Path(out), progress or printer()
    folder.prepare(out, {"tuner": tuner, "seed": seed, **hypermodel.settings()})
    # KerasTuner replaces a seed of 0 by a random one.
    oracle = TUNERS[tuner](objective=OBJECTIVE, seed=seed + 1, **_options(tuner, trials))
    oracle.max_trials, oracle.minutes, oracle.progress = trials, minutes, progress
    oracle.verbose = 0
    with contextlib.nullcontext() if mine == "worker" else folder.locked(out, wait=False):
        _mark_as_resumable(out)
        runner = _Tuner(oracle, hypermodel, directory=str(out), project_name=PROJECT)
        before = len(oracle.end_order)
        if before:
            progress(f"{before} trials were finished before; going on after them.")
        try:
            # KerasTuner's chief and workers print the values of hyperparameters.
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
    return finished_trials(out)


def _options(tuner, trials):
    """Return the options that only one of the tuners takes."""
    if tuner == "hyperband":
        return {"max_epochs": EPOCHS, "hyperband_iterations": 10**6}  # until the budget ends it
    if tuner == "bayesian":
        # KerasTuner's default, three for each hyperparameter, could be more than the budget.
        return {"num_initial_points": max((trials or 45) // 3, 2)}
    return {}


def check_budget(trials: int | None, minutes: float | None) -> tuple[int | None, float | None]:
    """Return both, or raise if they are not valid or both are None."""
    if trials is None and minutes is None:
        raise ValueError("`trials` or `minutes` must be given as a budget; received neither.")
    if trials is not None:
        trials = checks.count(trials, "trials")
    if minutes is not None:
        minutes = checks.number(minutes, "minutes", above=0)
    return trials, minutes


def finished_trials(out: str | os.PathLike) -> list[Trial]:
    """Return the finished trials in a search's folder, in the order in which they began."""
    path = Path(out, PROJECT, "oracle.json")
    if not path.exists():
        return []
    trials = []
    for name in folder.read(path)["start_order"]:
        trial = keras_tuner.engine.trial.Trial.load(
            str(Path(out, PROJECT, f"trial_{name}", "trial.json"))
        )
        if trial.status != "COMPLETED":
            continue
        measured: dict[str, Any] = {
            key: float(trial.metrics.get_best_value(key))
            for key in (*LOGGED, "diverged", "stopped", "seconds")
        }
        measured |= {key: bool(measured[key]) for key in ("diverged", "stopped")}
        trials.append(Trial(int(name), trial.hyperparameters.values, **measured))
    return trials


def role() -> str:
    """Return the role of this process: "alone", "chief" or "worker"."""
    names = ("KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT", "KERASTUNER_TUNER_ID")
    if names[0] not in os.environ:
        return "alone"
    for name in names:
        if name not in os.environ:
            raise ValueError(f"{name} must be set where {names[0]} is; it is not.")
    return "chief" if "chief" in os.environ[names[2]] else "worker"


def _mark_as_resumable(out):
    """Write the file by which KerasTuner recognises an earlier search of the same tuner id.

    There may be none yet: the search may have begun in another role, or have been killed in its
    first trial.
    """
    if (out / PROJECT / "oracle.json").exists():
        name = os.environ.get("KERASTUNER_TUNER_ID", "tuner0")
        folder.write_json(out / PROJECT / f"{name}.json", {})


def _progress_line(oracle, trial):
    """Return a line on a trial that has ended."""
    done = len(oracle.end_order)
    total = f"/{oracle.max_trials}" if oracle.max_trials else ""
    head = f"[{done}{total}, {oracle.seconds / 60:.0f} min] trial {trial.trial_id}: "
    value = trial.metrics.get_best_value
    text = f"score {trial.score:.3f} (RMSE {value('curve_rmse'):.4f}, "
    text += f"coercivity {value('coercivity_error'):.4f} T) in {value('seconds'):.0f} s"
    text += ", diverged" * bool(value("diverged")) + ", stopped" * bool(value("stopped"))
    best = oracle.get_best_trials(1)[0]
    return f"{head}{text}; best {best.score:.3f}, trial {best.trial_id}: {described(best)}"


def described(trial: keras_tuner.engine.trial.Trial) -> str:
    """Return the values of a trial as text."""
    values = drawn_values(trial.hyperparameters.values)
    return ", ".join(f"{name} {short(value)}" for name, value in values.items())


def short(value: object) -> str:
    """Return the value of a hyperparameter as text, with three digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def drawn_values(values: dict) -> dict:
    """Return the values of hyperparameters, with Hyperband's epochs but not its other entries."""
    shown = {"tuner/epochs": "epochs"}
    return {
        shown.get(name, name): value
        for name, value in values.items()
        if name in shown or not name.startswith(TUNER_PREFIX)
    }


def drawn_names(trials: list[Trial]) -> list[str]:
    """Return the names of the hyperparameters that any of the trials has."""
    return list(dict.fromkeys(name for trial in trials for name in drawn_values(trial.values)))
