"""The paper's experiments, on the tiny data set: every piece, the report, continuing."""

import dataclasses
import json
import shutil
from unittest import mock

import keras
import numpy as np
import pytest

from keras_micromag import cli, recipes
from keras_micromag.data import Lattices
from keras_micromag.evaluation import evaluate
from keras_micromag.models.base import DivergenceError
from keras_micromag.paper import figures, folder, reproduction, study
from keras_micromag.paper.prediction import predict
from keras_micromag.paper.reproduction import reproduce
from keras_micromag.paper.tables import number
from tests.paper.quick import OTHERS, QUICK

pytestmark = pytest.mark.integration

PAPER = dataclasses.replace(
    recipes.RECIPES["paper"],
    latent_size=3,
    width=8,
    autoencoder_batches=20,
    predictor_batches=20,
)
PLAN = study.Plan(
    losses=((1.0, 0.0), (0.85, 0.15)),
    windows=(2,),
    horizons=(1,),
    depths=(1,),
    folds=1,
    loss_folds=1,
    grid_folds=1,
    magnets=(4,),
    paper=PAPER,
    default=QUICK,
    nine=QUICK,
    seeded=4,
    seeds=1,
    test="tiny",
    train=OTHERS,
)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished run: its folder, its results, and the messages of its progress."""
    out, messages = tmp_path_factory.mktemp("study"), []
    results = reproduce(out, data_dir=out / "data", jobs=1, plan=PLAN, progress=messages.append)
    return out, results, messages


def test_every_piece_is_done_and_reported(done):
    out, results, messages = done
    names = [piece.name for stage in study.pieces(PLAN) for piece in stage]
    assert sorted(names) == sorted(piece.name for piece in results)
    assert len(messages) - 1 == len(names) == 8
    assert messages[0].startswith("8 pieces, 1 at a time")
    assert messages[-1].startswith("[8/8, ")
    assert {p.stem for p in (out / "pieces").iterdir()} == set(names)
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics == {piece.name: each["measures"] for piece, each in results.items()}


def test_models_load_and_predict(done):
    out, results, _ = done
    unseen, _ = reproduction.datasets.load("tiny", out / "data")
    trained = [piece for piece in results if piece.kind != "baselines"]
    assert {path.stem for path in out.glob("models/*")} == {piece.name for piece in trained}
    piece = study.Piece("learning", (4, 0))
    model = keras.saving.load_model(out / "models" / f"{piece.name}.keras")
    loop = predict(model, unseen.magnetization[:, :4], unseen.field)
    again = evaluate(unseen.magnetization, loop, unseen.field)["curve_rmse"]
    np.testing.assert_allclose(again, results[piece]["measures"]["curve_rmse"], rtol=1e-3)


def test_the_report_has_the_results_of_the_pieces(done):
    out, results, _ = done
    report = (out / "report.md").read_text()
    for experiment in study.EXPERIMENTS:
        assert f"    keras-micromag reproduce {experiment}\n" in report
    for name in ("magnet", "weights", "losses", "grid", "folds"):
        assert f"]({name}.png)" in report
        assert (out / f"{name}.png").stat().st_size > 1000
    errors = results[study.Piece("learning", (4, 0))]["measures"]["curve_rmse"]
    assert f"| {number(np.mean(errors), 4)} ± {number(np.std(errors, ddof=1), 4)} |" in report
    assert "The autoencoder of Table 1 has 4,983 parameters." in report


@pytest.mark.parametrize(
    "piece",
    [
        study.Piece("autoencoder", (0.85, 0.15, 1)),
        study.Piece("predictor", (2, 1, 1, 1)),
        study.Piece("nine", (1,)),
        study.Piece("baselines", (1,)),
        study.Piece("learning", (4, 0)),
    ],
    ids=lambda piece: piece.kind,
)
def test_magnets_of_the_evaluation_are_never_trained_on(done, piece, tmp_path, monkeypatch):
    out, _, _ = done
    unseen, _ = reproduction.datasets.load("tiny", out / "data")
    trained = []

    class Enough(Exception):
        pass

    def train(recipe, *args, **kwargs):
        trained.extend(a for a in args if isinstance(a, Lattices))
        raise Enough

    def fit(training, *args):
        trained.append(training)
        raise Enough

    for name in ("train_autoencoder", "train_predictor"):
        monkeypatch.setattr(recipes, name, train)
    monkeypatch.setattr(study.measures, "Baselines", fit)
    monkeypatch.setattr(study.keras.saving, "load_model", lambda *_, **__: mock.Mock())
    with pytest.raises(Enough):
        study.FUNCTIONS[piece.kind](
            study.Work(PLAN, tmp_path, out / "data", piece), *piece.arguments
        )
    evaluated = unseen if piece.kind == "learning" else unseen[1:2]
    known = {state.tobytes() for state in trained[0].moments[:, -1]}
    assert not [state for state in evaluated.magnetization[:, -1] if state.tobytes() in known]
    assert len(trained[0]) == (4 if piece.kind == "learning" else 5)


def test_a_diverging_training_is_reported_after_the_others(done, tmp_path):
    out, _, _ = done
    plan = dataclasses.replace(
        PLAN, nine=dataclasses.replace(QUICK, predictor_rate=1e30, averaging=0.0)
    )
    shutil.copytree(out / "pieces", tmp_path / "pieces")
    for path in tmp_path.glob("pieces/nine*"):
        path.unlink()
    with pytest.raises(DivergenceError, match="The report lacks what diverged: nine-0: The loss"):
        reproduce(tmp_path, data_dir=out / "data", jobs=1, plan=plan, progress=list)
    report = (tmp_path / "report.md").read_text()
    assert "Ten folds" not in report and "Depth of the predictor" in report


def test_the_learning_curve_is_drawn_for_several_sizes(done):
    out, results, _ = done
    unseen, _ = reproduction.datasets.load("tiny", out / "data")
    one = results[study.Piece("learning", (4, 0))]
    curve = {study.Piece("learning", (n, 0)): one for n in (4, 8, 16)}
    figure = figures._learning(PLAN, unseen, curve)
    line = figure.axes[0].lines[0]
    assert line.get_xdata().tolist() == [4, 8, 16]
    np.testing.assert_allclose(line.get_ydata(), np.mean(one["measures"]["curve_rmse"]))


def test_repetition_r_does_not_train_on_magnet_r(done):
    out, results, _ = done
    unseen, _ = reproduction.datasets.load("tiny", out / "data")
    true = results[study.Piece("baselines", (0,))]["true"][0]
    np.testing.assert_allclose(true, unseen.magnetization_along_field[0], atol=1e-4)
    training, one = study.Work(PLAN, out, out / "data", None).fold(1)
    assert len(training) == 5
    assert not (training.moments.reshape(5, -1) == one.magnetization.ravel()).all(axis=1).any()


def test_only_missing_pieces_are_computed(done, monkeypatch):
    out, results, _ = done
    piece = study.Piece("baselines", (0,))
    path = out / "pieces" / f"{piece.name}.json"
    before = json.loads(path.read_text())
    path.unlink()
    monkeypatch.setattr(study, "FUNCTIONS", {"baselines": study._baselines})  # nothing else is done
    again = reproduce(out, data_dir=out / "data", jobs=1, plan=PLAN, progress=list)
    assert again[piece]["measures"] == before["measures"]
    assert {p: f["measures"] for p, f in again.items()} == {
        p: f["measures"] for p, f in results.items()
    }


def test_a_part_of_the_experiments(done, tmp_path):
    out, _, _ = done
    shutil.copy(out / "settings.json", tmp_path)
    shutil.copytree(out / "pieces", tmp_path / "pieces")
    for path in tmp_path.glob("pieces/[!a]*"):
        path.unlink()
    results = reproduce(
        tmp_path,
        data_dir=out / "data",
        jobs=1,
        plan=PLAN,
        experiments=["losses"],
        progress=list,
    )
    assert {piece.kind for piece in results} == {"autoencoder", "baselines"}
    report = (tmp_path / "report.md").read_text()
    assert "Losses of the autoencoder" in report
    assert "Ten folds" not in report


def test_bad_input(done, tmp_path, capsys):
    out, _, _ = done
    with pytest.raises(ValueError, match="`--out` must be a new folder, or one of a run with the"):
        reproduce(out, data_dir=out / "data", plan=dataclasses.replace(PLAN, folds=2))
    with pytest.raises(ValueError, match="`plan` must have at most 6 repetitions"):
        reproduce(out, data_dir=out / "data", plan=dataclasses.replace(PLAN, folds=7))
    with pytest.raises(ValueError, match="`magnets` must be at most 6"):
        reproduce(out, data_dir=out / "data", plan=dataclasses.replace(PLAN, magnets=(7,)))
    with pytest.raises(ValueError, match=r"`experiments` must be one of 'losses', .*'all'"):
        reproduce(tmp_path / "new", experiments=["all"])
    assert not (tmp_path / "new").exists()
    assert cli.main(["reproduce", "all", "--out", str(tmp_path / "new")]) == 2
    assert "`experiments` must be" in capsys.readouterr().err


def test_the_total_variation_of_a_loop_without_bound_is_none():
    assert study.total_variation([[1.0, 0.5, -1.0]]) == 1.0
    assert study.total_variation([[1.0, None, -1.0]]) is None


def test_two_runs_at_once_in_one_folder_are_refused(done):
    out, _, _ = done
    with (
        folder.locked(out),
        pytest.raises(ValueError, match="`--out` must be a folder that no other run is at work in"),
    ):
        reproduce(out, data_dir=out / "data", jobs=1, plan=PLAN)
