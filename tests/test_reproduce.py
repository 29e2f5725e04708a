"""The main job, on the tiny data set: what it writes, that it goes on, and what it refuses."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from keras_micromag import cli, recipes
from keras_micromag.judge import MEASURES
from keras_micromag.physics import Hysteresis, cubic_grains, random_easy_axes, simulate
from keras_micromag.reproduce import FIGURES, predicted_loops, reproduce

pytestmark = pytest.mark.backend

QUICK = dataclasses.replace(
    recipes.RECIPES["default"],
    latent_size=3,
    hidden_layers=1,
    width=8,
    horizon=2,
    microstructure_size=2,
    images=2,
    autoencoder_batches=20,
    predictor_batches=20,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run: its folder, its settings as arguments, and its metrics."""
    out = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(recipes.RECIPES, "default", QUICK)
        arguments = {"data_dir": out / "data", "magnets": 4, "test": "tiny", "train": "tiny"}
        yield out, arguments, reproduce(out, **arguments, verbose=0)


def test_what_it_writes(run):
    out, _, metrics = run
    assert json.loads((out / "metrics.json").read_text()) == metrics
    found = metrics["measures"]["prediction from the first states"]
    assert set(found) == {
        "predictor",
        "mean training loop",
        "persistence",
        "linear latent predictor",
    }
    for values in found.values():
        assert set(values) == set(MEASURES)
        assert all(len(magnets) == 6 for magnets in values.values())
    report = (out / "report.md").read_text()
    assert all(label in report for label in MEASURES.values())
    error = found["mean training loop"]["curve_rmse"]
    assert f"{np.mean(error):.4f} ± {np.std(error):.4f}" in report
    assert all((out / name).stat().st_size > 1000 for name in FIGURES)
    settings = json.loads((out / "settings.json").read_text())
    assert settings["recipe"]["input_noise"] == QUICK.input_noise


def test_it_goes_on_with_the_model_that_it_finished(run, monkeypatch):
    out, arguments, metrics = run

    def never(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(recipes, "train", never)
    again = reproduce(out, **arguments, verbose=0)
    for name, values in metrics["measures"]["prediction from the first states"].items():
        same = again["measures"]["prediction from the first states"][name]["curve_rmse"]
        np.testing.assert_allclose(same, values["curve_rmse"], rtol=1e-4)
    whole = (out / "model.keras").read_bytes()
    (out / "model.keras").write_bytes(whole[:-1])
    with pytest.raises(AssertionError, match="trained again"):
        reproduce(out, **arguments, verbose=0)
    (out / "model.keras").write_bytes(whole)


def test_what_it_refuses(run):
    out, arguments, _ = run
    with pytest.raises(ValueError, match="`--out` must be a new folder"):
        reproduce(out, **{**arguments, "seed": 1}, verbose=0)
    with pytest.raises(ValueError, match="`recipe` must be one of paper, default; received 'x'"):
        reproduce(out, **arguments, recipe="x")
    with pytest.raises(ValueError, match="`magnets` must be at most 4"):
        reproduce(out / "more", **{**arguments, "magnets": 5}, verbose=0)


def test_the_same_seed_gives_the_same():
    moments = np.random.default_rng(0).normal(size=(5, 20, 2, 2, 2, 3)).astype("float32")
    field = np.linspace(8.0, -8.0, 20)
    one, two = (
        recipes.train(QUICK, moments, field, seed=1, verbose=0).model.get_weights()
        for _ in range(2)
    )
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_papers_recipe_trains():
    recipe = dataclasses.replace(
        recipes.RECIPES["paper"], autoencoder_batches=8, predictor_batches=8, horizon=2
    )
    moments = np.tile([0.0, 0.0, 1.0], (5, 20, 2, 2, 2, 1))
    trained = recipes.train(recipe, moments, np.linspace(8.0, -8.0, 20), verbose=0)
    assert trained.model.rollout.microstructure is None
    assert "learning_rate" in trained.predictor.history  # what ReduceLROnPlateau logs


def test_predict_from_easy_axes_or_first_states(run, tmp_path, capsys):
    model = run[0] / "model.keras"
    axes = random_easy_axes((2, 8), seed=3)
    np.save(tmp_path / "axes.npy", axes)
    loops = simulate(cubic_grains((2, 2, 2)), axes, field=np.linspace(8, -8, 30), progress=False)
    loops.save(tmp_path / "loops.npz")
    for given in (["--easy-axes", "axes.npy", "--steps", "30"], ["--loops", "loops.npz"]):
        given[1] = str(tmp_path / given[1])
        out = tmp_path / given[0]
        assert cli.main(["predict", str(model), *given, "--out", str(out)]) == 0
        assert "coercivity" in capsys.readouterr().out
        found = Hysteresis.load(out / "loops.npz")
        assert found.magnetization.shape == (2, 30, 8, 3)
        np.testing.assert_allclose(
            found.magnetization[:, :4], loops.magnetization[:, :4], atol=1e-4
        )
        assert found.converged.sum() == 2 * 4
        assert (out / "loops.png").stat().st_size > 1000


def test_predict_refuses(run, tmp_path):
    model = run[0] / "model.keras"
    with pytest.raises(ValueError, match=r"`MODEL` must be given loops .* g = 8; received"):
        predicted_loops(
            model,
            simulate(
                cubic_grains((3, 1, 1)), [[[0, 0, 1.0]] * 3], field=np.ones(9), progress=False
            ),
            None,
        )
    keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match="must hold a LatentHysteresis; received Sequential"):
        predicted_loops(tmp_path / "other.keras", random_easy_axes((1, 8), seed=0), np.ones(9))
    (tmp_path / "no.keras").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"`MODEL` must be a \.keras file"):
        predicted_loops(tmp_path / "no.keras", random_easy_axes((1, 8), seed=0), np.ones(9))
