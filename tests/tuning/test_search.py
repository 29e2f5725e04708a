"""A search on each backend: killed, resumed, refused, diverging, by several workers."""

import dataclasses
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import keras
import keras_tuner
import numpy as np
import pytest

from keras_micromag.paper import folder
from tests.tuning import quick
from tests.waiting import wait_until
from tuning import processes
from tuning.hypermodels import EPOCHS, AutoencoderHyperModel
from tuning.scores import WORST
from tuning.search import OBJECTIVE, finished_trials, search

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def searched(hypermodel, tmp_path_factory):
    """The folder of a finished search, and its one trial."""
    folder = tmp_path_factory.mktemp("searched")
    [trial] = search(hypermodel, folder, tuner="random", trials=1)
    return folder, trial


@pytest.fixture
def first(searched, tmp_path):
    """The trial of a search that is finished in `tmp_path`."""
    shutil.copytree(searched[0], tmp_path, dirs_exist_ok=True)
    return searched[1]


@pytest.fixture
def of_others(hypermodel, prepared, tmp_path):
    """The autoencoder in `tmp_path`, where other processes take it from."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)


def test_two_trials_of_an_autoencoder(hypermodel, tmp_path):
    loops = hypermodel.training, hypermodel.validation, hypermodel.field
    model = AutoencoderHyperModel(*loops, quick.BASE, only=("latent_size",), seed=1)
    lines = []
    trials = search(model, tmp_path, tuner="random", trials=2, progress=lines.append)
    assert [trial.number for trial in trials] == [0, 1]
    assert trials[0].values == {"latent_size": quick.BASE.latent_size}, "what it starts from"
    assert all(0 < trial.score <= WORST and trial.seconds > 0 for trial in trials)
    assert re.match(r"\[2/2, \d+ min\] trial 1: score ", lines[1])
    best = min(trials, key=lambda trial: trial.score)
    assert f"best {best.score:.3f}, trial {best.number}: latent_size" in lines[1]
    again = model.measure(trials[1].hyperparameters)
    assert again["score"] == pytest.approx(trials[1].score, rel=1e-3), "a seed, a result"


@pytest.mark.parametrize("tuner", ["hyperband", "bayesian"])
def test_two_trials_of_a_rollout(hypermodel, tmp_path, tuner):
    trials = search(hypermodel, tmp_path, tuner=tuner, trials=2, seed=3)
    assert len(trials) == 2
    assert trials[0].values["window"] == quick.BASE.window
    if tuner == "hyperband":
        assert trials[0].values["tuner/epochs"] == 1
        hp = keras_tuner.HyperParameters()
        hp.values = trials[0].values
        assert hypermodel.recipe(hp).predictor_batches == max(round(8 / EPOCHS), 1)
        full_recipe = hypermodel.recipe(trials[0].hyperparameters)
        assert full_recipe.predictor_batches == 8 and trials[0].epochs == 1


@pytest.mark.backend
def test_another_seed_is_another_start(hypermodel):
    hp = keras_tuner.HyperParameters()
    one, same, other = (hypermodel.with_seed(seed).build(hp).get_weights()[0] for seed in (1, 1, 2))
    assert (one == same).all() and not (one == other).any()


@pytest.mark.backend
def test_a_diverging_trial_has_the_worst_score_and_the_search_continues(hypermodel, tmp_path):
    wild = dataclasses.replace(hypermodel.base, predictor_rate=1e30, schedule="plateau")
    model = quick.rollout(hypermodel, wild)
    trials = search(model, tmp_path, tuner="random", trials=2)
    assert [trial.score for trial in trials] == [pytest.approx(WORST)] * 2
    assert all(trial.diverged for trial in trials)


def test_to_predict_the_mean_is_not_hopeless(hypermodel):
    still = dataclasses.replace(hypermodel.base, predictor_rate=1e-9, predictor_batches=40)
    model = quick.rollout(hypermodel, still, only=("window",))
    hp = keras_tuner.HyperParameters()
    built = model.build(hp)
    mean = model.encoded[0].latent.mean(axis=(0, 1))
    weights = [0.0 * weight for weight in built.get_weights()]
    [last] = [i for i, weight in enumerate(weights) if weight.shape == mean.shape]
    weights[last] = mean
    built.set_weights(weights)
    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: history.append(logs))]
    history = []
    assert model.fit(hp, built, callbacks=callbacks)["stopped"] == 0.0
    errors = np.square(model.encoded[1].latent - mean).sum(axis=-1)
    worth = model.recipe(hp).horizon * errors.mean()
    assert history[0]["val_loss"] == pytest.approx(worth, rel=0.1)


def test_a_hopeless_trial_is_stopped(hypermodel, tmp_path):
    # Nearly untrained, and far away from the start on: an output that is always huge.
    still = dataclasses.replace(
        hypermodel.base, predictor_rate=1e-9, predictor_batches=40, input_noise=0.0
    )
    model = quick.rollout(hypermodel, still, only=("window",))
    hp = keras_tuner.HyperParameters()
    built = model.build(hp)
    built.set_weights([10.0 * weight for weight in built.get_weights()])
    result = model.fit(hp, built)
    assert result["stopped"] == 1.0, result


def test_the_hypermodel_goes_into_keras_tuners_own_tuner(hypermodel, tmp_path):
    tuner = keras_tuner.RandomSearch(
        hypermodel, OBJECTIVE, max_trials=1, directory=tmp_path, project_name="own"
    )
    tuner.search(verbose=0)
    [trial] = tuner.oracle.get_best_trials()
    assert 0 < trial.score <= WORST


def test_a_budget_of_time(hypermodel, tmp_path):
    assert search(hypermodel, tmp_path, minutes=1e-9) == []


def test_a_finished_search_continues_with_a_larger_budget(hypermodel, first, tmp_path):
    lines = []
    assert search(hypermodel, tmp_path, tuner="random", trials=1, progress=lines.append) == [first]
    assert lines[-1].startswith("This search is finished: 1 trials.")
    more = search(hypermodel, tmp_path, tuner="random", trials=2, progress=lines.append)
    assert more[0] == first and len(more) == 2
    log = list((tmp_path / "logs" / "trial_1").glob("events*"))
    assert log, "hyperparameters for TensorBoard"


def test_bad_input(hypermodel, tmp_path):
    with pytest.raises(ValueError, match=r"`tuner` must be one of 'random', .*; received 'grid'"):
        search(hypermodel, tmp_path, tuner="grid", trials=1)
    with pytest.raises(ValueError, match="`trials` or `minutes` must be given as a budget"):
        search(hypermodel, tmp_path)
    with pytest.raises(ValueError, match="`trials` must be an integer of at least 1; received 0"):
        search(hypermodel, tmp_path, trials=0)
    with pytest.raises(ValueError, match="`minutes` must be greater than 0; received 0"):
        search(hypermodel, tmp_path, minutes=0)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("first")
def test_changed_settings_are_refused(hypermodel, tmp_path):
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    with pytest.raises(ValueError, match=r'has tuner "random", this run "bayesian"'):
        search(hypermodel, tmp_path, trials=1)
    with pytest.raises(ValueError, match=r"has seed 0, this run 1"):
        search(hypermodel, tmp_path, tuner="random", trials=1, seed=1)
    other = quick.rollout(hypermodel, hypermodel.base, only=("window",))
    with pytest.raises(ValueError, match=r"`--out` must be .* has space.noise \{.*, this run null"):
        search(other, tmp_path, tuner="random", trials=1)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    (tmp_path / "settings.json").unlink()
    with pytest.raises(ValueError, match=r"holds a search of KerasTuner and no settings\.json"):
        search(hypermodel, tmp_path, tuner="random", trials=1)


@pytest.mark.usefixtures("of_others")
def test_a_killed_search_continues_after_its_last_trial(data, tmp_path):
    command = [sys.executable, "-m", "tests.tuning.quick", str(tmp_path), str(data)]
    with subprocess.Popen([*command, "5"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as killed:
        for line in killed.stdout:
            if line.startswith("[1/3"):
                break
        wait_until(lambda: "RUNNING" in _trial(tmp_path, 1).read_text())
        killed.kill()
    [first] = finished_trials(tmp_path / "search")
    again = subprocess.run([*command, "0"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "1 trials were finished before; going on after them." in again.stdout
    assert "] trial 1: score" in again.stdout and "[3/3" in again.stdout
    trials = finished_trials(tmp_path / "search")
    assert trials[0] == first
    assert [trial.number for trial in trials] == [0, 1, 2]
    assert len({str(trial.values) for trial in trials}) == 3


@pytest.mark.usefixtures("first")
def test_a_trial_that_was_killed_between_two_files_is_run(hypermodel, tmp_path):
    oracle = tmp_path / "trials" / "oracle.json"
    before = oracle.read_text()
    search(hypermodel, tmp_path, tuner="random", trials=2)
    # As if the process had ended after it wrote the trial, and before it wrote the oracle.
    oracle.write_text(before)
    path = _trial(tmp_path, 1, "")
    trial = json.loads(path.read_text())
    path.write_text(json.dumps({**trial, "status": "RUNNING", "score": None}))
    trials = search(hypermodel, tmp_path, tuner="random", trials=3)
    assert [each.number for each in trials] == [0, 1, 2]


@pytest.mark.usefixtures("of_others")
def test_chief_and_two_workers_of_which_one_is_killed(data, tmp_path):
    def kill():
        path = tmp_path / "worker1.pid"
        if wait_until(path.exists):
            killed.append(int(wait_until(path.read_text)))
            os.kill(killed[0], signal.SIGKILL)

    killed = []
    killer = threading.Thread(target=kill)
    killer.start()
    processes.chief_and_workers(functools.partial(quick.run, tmp_path, data, 4, 2.0), 2)
    killer.join()
    assert killed and int((tmp_path / "worker1.pid").read_text()) != killed[0], "started again"
    trials = finished_trials(tmp_path / "search")
    assert [trial.number for trial in trials] == [0, 1, 2, 3]


@pytest.mark.usefixtures("first")
def test_two_searches_in_one_folder_are_refused(hypermodel, tmp_path):
    with folder.locked(tmp_path), pytest.raises(ValueError, match="no other run is at work in"):
        search(hypermodel, tmp_path, tuner="random", trials=2)


def test_a_failure_ends_the_search_and_its_trial_is_run_again(hypermodel, tmp_path, monkeypatch):
    def fails(hp):
        raise RuntimeError("no memory left")

    monkeypatch.setattr(hypermodel, "measure", fails, raising=False)
    with pytest.raises(ValueError, match="Trial 0 failed: no memory left"):
        search(hypermodel, tmp_path, tuner="random", trials=1)
    monkeypatch.undo()
    assert len(search(hypermodel, tmp_path, tuner="random", trials=1)) == 1


def test_half_of_kerastuners_variables_is_refused(hypermodel, tmp_path, monkeypatch):
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    with pytest.raises(ValueError, match="KERASTUNER_ORACLE_PORT must be set where KERASTUNER_"):
        search(hypermodel, tmp_path, trials=1)


def test_a_worker_that_fails_ends_the_search(tmp_path):
    with pytest.raises(
        ChildProcessError, match="ended with 1, see above; the same command goes on"
    ):
        processes.chief_and_workers(_fails, 1)


def _fails():
    raise SystemExit(1)


def _trial(out, number, search="search"):
    return out / search / "trials" / f"trial_{number}" / "trial.json"
