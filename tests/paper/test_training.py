"""The paper's method on the tiny data set: files, report, continuing, bad input."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from keras_micromag import recipes
from keras_micromag.data import Lattices
from keras_micromag.evaluation import MEASURES
from keras_micromag.paper import folder, training
from keras_micromag.paper.tables import number
from tests.paper.quick import QUICK

pytestmark = pytest.mark.integration


def test_files_and_report(run):
    out, _, metrics = run
    assert json.loads((out / "metrics.json").read_text()) == metrics
    measures = metrics["measures"]["prediction from the first states"]
    assert set(measures) == {
        "predictor",
        "mean training loop",
        "persistence",
        "linear latent predictor",
    }
    for values in measures.values():
        assert set(values) == set(MEASURES)
        assert all(len(magnets) == 6 for magnets in values.values())
    report = (out / "report.md").read_text()
    assert all(label in report for label in MEASURES.values())
    error = measures["mean training loop"]["curve_rmse"]
    assert f"{number(np.mean(error), 4)} ± {number(np.std(error, ddof=1), 4)}" in report
    assert all((out / name).stat().st_size > 1000 for name in training.FIGURES)
    for r, value in enumerate(measures["predictor"]["curve_rmse"]):
        assert f"magnet {r}" in report and f"| {number(value, 4)} |" in report
    more = metrics["more"]["prediction from the first states"]
    assert all(len(values["curve_rmse"]) == 2 for values in more.values())
    assert "## 2 more magnets of `tfds_esw/others-" in report
    settings = json.loads((out / "settings.json").read_text())
    assert settings["recipe"]["input_noise"] == QUICK.input_noise


def test_logs_for_tensorboard(run):
    pytest.importorskip("tensorflow")
    event_accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    for part in ("autoencoder", "predictor"):
        log = event_accumulator.EventAccumulator(str(run[0] / "logs" / part / "train"))
        assert "epoch_loss" in log.Reload().Tags()["tensors"]


def test_a_finished_model_is_not_trained_again(run, monkeypatch):
    out, arguments, metrics = run

    def never(*_, **__):
        raise AssertionError("trained again")

    for name in ("train_autoencoder", "train_predictor"):
        monkeypatch.setattr(recipes, name, never)
    again = training.train(out, **arguments, progress=False)
    for name, values in metrics["measures"]["prediction from the first states"].items():
        same = again["measures"]["prediction from the first states"][name]["curve_rmse"]
        np.testing.assert_allclose(same, values["curve_rmse"], rtol=1e-4)
    (out / "model.keras").rename(out / "aside.keras")
    with pytest.raises(AssertionError, match="trained again"):
        training.train(out, **arguments, progress=False)
    (out / "aside.keras").rename(out / "model.keras")


def test_a_finished_autoencoder_is_not_trained_again(run, tmp_path, monkeypatch):
    out, arguments, metrics = run
    for name in ("settings.json", "autoencoder.keras", "autoencoder.history.json"):
        shutil.copy(out / name, tmp_path / name)
    monkeypatch.setattr(recipes, "train_autoencoder", None)
    measures = training.train(tmp_path, **arguments, progress=False)["measures"]
    assert measures == metrics["measures"]


def test_bad_input(run):
    out, arguments, _ = run
    with pytest.raises(ValueError, match=r"`--out` must be a .* has seed 0, this run 1"):
        training.train(out, **{**arguments, "seed": 1}, progress=False)
    with pytest.raises(ValueError, match="`recipe` must be one of 'paper', 'by_hand', 'default', "):
        training.train(out, **arguments, recipe="x")
    with pytest.raises(ValueError, match="`magnets` must be at most 6"):
        training.train(out / "more", **{**arguments, "magnets": 7}, progress=False)
    with pytest.raises(ValueError, match="`magnets` must be at least 2"):
        training.train(out / "more", **{**arguments, "magnets": 1}, progress=False)
    with pytest.raises(ValueError, match="`train` must have no magnet of `test`; received 2 that"):
        training.train(out / "more", **{**arguments, "train": "tiny", "magnets": 2}, progress=False)
    with pytest.raises(ValueError, match="`data_dir` must be the name of a folder"):
        training.train(out / "more", **{**arguments, "data_dir": "\0"}, progress=False)
    assert not (out / "more").exists()


def test_two_runs_at_once_in_one_folder_are_refused(run):
    with (
        folder.locked(run[0]),
        pytest.raises(ValueError, match="`--out` must be a folder that no other run is at work in"),
    ):
        training.train(run[0], **run[1], progress=False)


def test_models_without_settings_are_nobodys(run, tmp_path):
    shutil.copy(run[0] / "model.keras", tmp_path)
    with pytest.raises(ValueError, match="holds models and no settings"):
        training.train(tmp_path, **run[1], progress=False)


@pytest.mark.backend
def test_the_same_seed_gives_the_same():
    loops = Lattices(np.random.default_rng(0).normal(size=(5, 20, 8, 3)), (2, 2, 2))
    field = np.linspace(8.0, -8.0, 20)
    one, two = (
        recipes.train(QUICK, loops, field, seed=1, verbose=0).model.get_weights() for _ in range(2)
    )
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_papers_recipe_trains():
    recipe = dataclasses.replace(
        recipes.RECIPES["paper"], autoencoder_batches=8, predictor_batches=8, horizon=2
    )
    loops = Lattices(np.tile([0.0, 0.0, 1.0], (5, 20, 8, 1)), (2, 2, 2))
    trained = recipes.train(recipe, loops, np.linspace(8.0, -8.0, 20), verbose=0)
    assert trained.model.rollout.microstructure is None
    assert "learning_rate" in trained.predictor.history  # what ReduceLROnPlateau logs
