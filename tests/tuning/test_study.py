"""A search from the data set to the report, and bad input of `python -m tuning`."""

import dataclasses
import json

import keras
import pytest

from keras_micromag import recipes
from keras_micromag.paper import folder
from tests.tuning import quick
from tuning.__main__ import main
from tuning.plan import Plan
from tuning.study import study, with_settings


@pytest.fixture(scope="module")
def done(tmp_path_factory, data):
    """A finished study: its folder, its plan, and its metrics."""
    out = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(recipes.RECIPES, "paper", quick.BASE)
        plan = quick.plan(seeds=2, trials=3)
        yield out, plan, study(plan, out, data_dir=data, progress=lambda line: None)


@pytest.mark.integration
def test_files_and_report(done):
    out, plan, metrics = done
    assert json.loads((out / "metrics.json").read_text())["judged"] == metrics["judged"]
    trials = json.loads((out / "trials.json").read_text())
    assert [trial["number"] for trial in trials] == [0, 1, 2]
    assert all(len(scores) == 2 for scores in metrics["scores"].values())
    mean = {number: sum(scores) for number, scores in metrics["scores"].items()}
    assert metrics["best"] == min(mean, key=mean.get)
    report = (out / "report.md").read_text()
    best = min(trials, key=lambda trial: trial["score"])
    assert f"| {best['number']} | {best['score']:.3f} | {best['curve_rmse']:.4f} |" in report
    assert "the paper's setting | mean training loop | persistence | linear latent" in report
    for name in ("trials.png", "parallel.png", "dependence.png"):
        assert (out / name).stat().st_size > 1000 and f"]({name})" in report
    path = out / "models" / f"trial-{metrics['best']}" / "model.keras"
    model = keras.saving.load_model(path, compile=False)
    best_settings = json.loads((out / "best.json").read_text())["settings"]
    assert model.rollout.window == best_settings["window"]
    assert with_settings(plan.base, best_settings).window == best_settings["window"]


@pytest.mark.integration
def test_a_finished_study_computes_nothing_again(done, data, monkeypatch):
    out, plan, metrics = done

    def never(*_, **__):
        raise AssertionError("trained again")

    for name in ("train_predictor", "train_autoencoder"):
        monkeypatch.setattr(recipes, name, never)
    monkeypatch.setattr(recipes.predictors, "fit_predictor", never)
    monkeypatch.setattr(recipes.autoencoders, "fit_autoencoder", never)
    lines = []
    again = study(plan, out, data_dir=data, progress=lines.append)
    assert again["judged"] == metrics["judged"]
    assert any("This search is finished: 3 trials" in line for line in lines)
    with pytest.raises(ValueError, match="has batches 8, this run 9"):
        study(dataclasses.replace(plan, batches=9), out, data_dir=data)


@pytest.mark.integration
def test_two_studies_at_once_in_one_folder_are_refused(done, data):
    out, plan, _ = done
    with (
        folder.locked(out, name=".study.lock"),
        pytest.raises(ValueError, match="`--out` must be a folder that no other run is at work in"),
    ):
        study(plan, out, data_dir=data)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"kind": "depth"}, "`kind` must be one of 'autoencoder', 'rollout'"),
        ({"tuner": "grid"}, "`tuner` must be one of 'random', 'hyperband', 'bayesian'"),
        ({"trials": 0}, "`trials` must be an integer of at least 1; received 0"),
        ({"trials": None}, "`trials` or `minutes` must be given as a budget"),
        ({"only": ("depth",)}, "`only` must be one of 'window', "),
        (
            {"test": "tiny"},
            "`test` must be another configuration than `config`, .*; received 'tiny'",
        ),
        ({"magnets": 4}, r"`magnets` must be at least `trained_on` \+ .* 3 \+ 2; received 4"),
    ],
    ids=str,
)
def test_bad_plans(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        quick.plan(**settings)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--trials", "0"], "--trials: must be a whole number of at least 1; received 0"),
        (["--minutes", "0"], "`minutes` must be greater than 0; received 0"),
        (["--tuner", "grid"], "`tuner` must be one of 'random', 'hyperband', 'bayesian'"),
        (["--only", "depth"], "`only` must be one of 'window', 'horizon', "),
        (
            ["--recipe", "mine"],
            "`recipe` must be one of 'paper', 'by_hand', 'default', 'polycrystals'; received",
        ),
        (["--set", "depth=3"], "`setting` must be one of 'activation', "),
        (["--set", "depth"], "`--set` must be NAME=VALUE; received 'depth'"),
        (["--set", "window=0"], "`window` must be an integer of at least 1; received 0"),
        (["--base", "nowhere.json"], "nowhere.json: No such file"),
        (["--config", "huge"], "`config` must be one of "),
        (["--set", "units=32"], "`units` must be a sequence of integers; received 32"),
        (["--config", "tiny"], "tfds_esw/tiny must be built first, by `python -m tfds_esw build"),
    ],
    ids=" ".join,
)
def test_bad_commands(arguments, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["rollout", "--data-dir", str(tmp_path / "data"), *arguments]) == 2
    message = capsys.readouterr().err
    assert message.startswith("python -m tuning: error: ") and message.count("\n") == 1
    assert sentence in message
    assert not list(tmp_path.rglob("*.json"))


def test_the_command_searches(data, tmp_path, monkeypatch, capsys):
    given = []
    monkeypatch.setattr("tuning.study.study", lambda plan, out, **kwargs: given.append(plan) or {})
    (tmp_path / "best.json").write_text('{"settings": {"units": [32, 16], "horizon": 2}}')
    base = ["--base", str(tmp_path / "best.json"), "--set", "width=9", "activation=gelu"]
    assert main(["autoencoder", *base, "--out", str(tmp_path / "out"), "--minutes", "2"]) == 0
    recipe = dataclasses.replace(
        recipes.RECIPES["default"], units=(32, 16), horizon=2, width=9, activation="gelu"
    )
    assert given == [Plan(kind="autoencoder", minutes=2.0, base=recipe)]
