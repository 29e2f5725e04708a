"""Training on a few small polycrystals: its data, files and report."""

import dataclasses
import json

import numpy as np
import pytest

from keras_micromag import recipes
from keras_micromag.evaluation import MEASURES
from keras_micromag.paper import datasets
from keras_micromag.paper.prediction import predict, predicted_loops
from keras_micromag.paper.training import FIGURES, train
from tests.paper.quick import IRREGULAR, OTHERS, QUICK

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run: its folder, its settings as arguments, and its metrics."""
    out = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(recipes.RECIPES, "polycrystals", QUICK)
        arguments = {"data_dir": out / "data", "recipe": "polycrystals", "magnets": None}
        arguments |= {"train": IRREGULAR, "test": None}
        yield out, arguments, train(out, **arguments, progress=False)


def test_the_data_of_a_model_equal_the_simulations(run):
    simulated, seen = datasets.load(IRREGULAR, run[1]["data_dir"], split="train")
    np.testing.assert_array_equal(seen.moments, simulated.magnetization)
    curve = np.einsum("stg,sg->st", seen.moments[..., 2], seen.shares)
    np.testing.assert_allclose(curve, simulated.magnetization_along_field, atol=1e-5)
    counts = (seen.shares > 0).sum(axis=1)
    assert len(set(counts.tolist())) > 1, "magnets of unlike numbers of grains"
    assert not seen.grains[seen.shares == 0].any()


def test_files_and_report(run):
    out, _, metrics = run
    assert json.loads((out / "metrics.json").read_text()) == metrics
    errors = metrics["measures"]["prediction from the first states"]
    names = "predictor", "mean training loop", "persistence", "linear latent predictor"
    assert set(errors) == {*names, "mean by tilt"}
    assert set(metrics["measures"]["reconstruction"]) == {"autoencoder", "PCA(3)"}
    for values in errors.values():
        assert set(values) == set(MEASURES)
        assert all(len(magnets) == 2 for magnets in values.values())
    report = (out / "report.md").read_text()
    assert all(label in report for label in MEASURES.values())
    assert all((out / name).stat().st_size > 1000 for name in FIGURES)


def test_persistence_keeps_the_order_of_grains_and_magnets(run):
    # So that grains come back to their places, and shares to their magnets.
    _, arguments, metrics = run
    _, seen = datasets.load(IRREGULAR, arguments["data_dir"], split="test")
    still = np.broadcast_to(seen.moments[:, 3:4], seen.moments.shape).copy()
    still[:, :4] = seen.moments[:, :4]
    wanted = np.square(seen.moments - still).sum(axis=(2, 3)).mean(axis=1)
    errors = metrics["measures"]["prediction from the first states"]["persistence"]
    np.testing.assert_allclose(errors["squared_error"], wanted, rtol=1e-5)


def test_a_finished_model_is_not_trained_again(run, monkeypatch):
    out, arguments, metrics = run

    def never(*_, **__):
        raise AssertionError("trained again")

    for name in ("train_autoencoder", "train_predictor"):
        monkeypatch.setattr(recipes, name, never)
    again = train(out, **arguments, progress=False)["measures"]
    for kind, each in metrics["measures"].items():
        for name, values in each.items():
            same = again[kind][name]["curve_rmse"]
            np.testing.assert_allclose(same, values["curve_rmse"], rtol=1e-4)


def test_one_call_trains_all(run):
    _, arguments, _ = run
    simulated, seen = datasets.load(IRREGULAR, arguments["data_dir"], split="train")
    model = recipes.train(QUICK, seen, simulated.field, verbose=0).model
    assert model.trained_along == simulated.field.tolist()
    first, magnet = seen[:2].moments[:, :4], seen[:2].magnet
    assert predict(model, first, simulated.field, magnet).shape == (2, 50, 6, 3)


def test_predictions_from_easy_axes_need_a_lattice(run):
    with pytest.raises(ValueError, match="`MODEL` must be one of grains on a lattice; received"):
        predicted_loops(run[0] / "model.keras", np.ones((1, 6, 3)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"magnets": 5}, "`magnets` must be at most 4, all .* has; received 5"),
        ({"magnets": 1}, "`magnets` must be at least 2, one to validate on; received 1"),
        ({"recipe": "none"}, "`recipe` must be one of 'paper'"),
        ({"seed": 1}, "`--out` must be a new folder, or one of a run with the same settings"),
    ],
    ids=str,
)
def test_bad_input(change, sentence, run):
    out, arguments, _ = run
    with pytest.raises(ValueError, match=sentence):
        train(out, **{**arguments, **change}, progress=False)


@pytest.mark.parametrize("config", [OTHERS, IRREGULAR], ids=["cubes", "polycrystals"])
def test_fields_along_another_axis(config, tmp_path):
    sideways = {"field_direction": (1.0, 0.0, 0.0), "steps": 3, "splits": {"train": 2}}
    config = dataclasses.replace(config, **sideways)
    with pytest.raises(
        ValueError, match=r"`config` must be one of fields along z; received .* 0\.0"
    ):
        datasets.load(config, tmp_path)
