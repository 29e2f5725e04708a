"""Loops by a trained model, from the command line and from Python."""

import dataclasses
import zipfile

import keras
import numpy as np
import pytest

from keras_micromag import cli
from keras_micromag.paper import prediction
from keras_micromag.paper.prediction import predicted_loops
from keras_micromag.physics import Hysteresis, cubic_grains, random_easy_axes, simulate
from keras_micromag.physics.hysteresis import coercivity
from keras_micromag.physics.microstructure.particles import PAPER_DEPTH

pytestmark = pytest.mark.integration


def test_predict_from_easy_axes_or_first_states(run, tmp_path, capsys):
    model = run[0] / "model.keras"
    axes = random_easy_axes((2, 8), seed=3)
    np.save(tmp_path / "axes.npy", axes)
    # From easy axes the first states are simulated as in the paper.
    magnet = cubic_grains((2, 2, 2), depth=PAPER_DEPTH)
    field = np.linspace(8, -8, 50)
    loops = simulate(magnet, axes, field=field, self_field=False, progress=False)
    loops.save(tmp_path / "loops.npz")
    for given in (["--easy-axes", "axes.npy"], ["--loops", "loops.npz"]):
        given[1] = str(tmp_path / given[1])
        out = tmp_path / given[0]
        assert cli.main(["predict", str(model), *given, "--out", str(out)]) == 0
        assert "coercivity" in capsys.readouterr().out
        predicted = Hysteresis.load(out / "loops.npz")
        assert predicted.magnetization.shape == (2, 50, 8, 3)
        np.testing.assert_allclose(
            predicted.magnetization[:, :4], loops.magnetization[:, :4], atol=1e-4
        )
        assert predicted.converged.sum() == 2 * 4
        assert (out / "loops.png").stat().st_size > 1000


def test_events_of_the_magnets_are_not_those_of_the_predictions(run):
    axes, field = random_easy_axes((2, 8), seed=3), np.linspace(8, -8, 50)
    options = {"field": field, "method": "events", "progress": False}
    loops = simulate(cubic_grains((2, 2, 2)), axes, **options)
    predicted = predicted_loops(run[0] / "model.keras", loops)
    own = coercivity(field, predicted.magnetization_along_field)
    np.testing.assert_array_equal(predicted.coercivity(), own)
    assert (loops.coercivity() != own).all()


def test_loops_that_do_not_fit(run):
    model = run[0] / "model.keras"
    axes, field = random_easy_axes((1, 8), seed=0), np.linspace(8, -8, 50)
    loops = simulate(cubic_grains((2, 2, 2)), axes, field=field, progress=False)

    def other(**kwargs):
        return dataclasses.replace(loops, **kwargs)

    row = simulate(cubic_grains((3, 1, 1)), axes[:, :3], field=field, progress=False)
    steps = {name: getattr(loops, name)[:, :40] for name in ("converged", "iterations")}
    steps |= {"field": field[:40], "magnetization": loops.magnetization[:, :40]}
    for given, sentence in (
        (
            row,
            r"`loops` must have moments .* g = 8; received \(1, 50, 3, 3\)",
        ),
        (other(**steps), "along the fields .* 50 from 8 to -8 T and 40 from 8 to -4.7"),
        (other(field=-field), "along the fields .* 50 from 8 to -8 T and 50 from -8 to 8 T"),
        (
            other(field_direction=np.array([0, 0.6, 0.8])),
            r"`loops` must be in fields along z; received \[0",
        ),
        (np.ones((0, 8, 3)), "`easy_axes` must be those of at least one magnet"),
        (np.ones((1, 8, 3)), "`easy_axes` must hold unit vectors"),
        (np.ones((1, 7, 3)), r"`easy_axes` must have shape \(n, 8, 3\)"),
    ):
        with pytest.raises(ValueError, match=sentence):
            predicted_loops(model, given)
    predicted = predicted_loops(model, loops)
    np.testing.assert_array_equal(predicted.iterations[:, :4], loops.iterations[:, :4])
    assert not predicted.converged[:, 4:].any() and not predicted.iterations[:, 4:].any()


def test_files_that_hold_no_model(run, tmp_path):
    axes = random_easy_axes((1, 8), seed=0)
    keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match=r"must hold a LatentHysteresis .* received Sequential"):
        predicted_loops(tmp_path / "other.keras", axes)
    (tmp_path / "no.keras").write_bytes(b"nothing")
    saved = (run[0] / "model.keras").read_bytes()
    (tmp_path / "cut.keras").write_bytes(saved[: len(saved) // 2])
    with zipfile.ZipFile(tmp_path / "zip.keras", "w") as file:
        file.writestr("some.txt", "some")
    with zipfile.ZipFile(run[0] / "model.keras") as file:
        members = {name: file.read(name) for name in file.namelist()}
    # Keras writes a page about a config, and h5py raises errors of many types.
    config = members["config.json"].replace(b'"window": 4', b'"window": "x"')
    weights = members["model.weights.h5"]
    for other, changed in (
        ("config", {"config.json": config}),
        ("weights", {"model.weights.h5": weights[:100] + b"x" * 99 + weights[199:]}),
    ):
        with zipfile.ZipFile(tmp_path / f"{other}.keras", "w") as file:
            for name, content in (members | changed).items():
                file.writestr(name, content)
    for name in ("no", "cut", "zip", "config", "weights"):
        with pytest.raises(ValueError, match=r"`MODEL` must be a \.keras file; received .*: ") as e:
            predicted_loops(tmp_path / f"{name}.keras", axes)
        assert "\n" not in str(e.value) and len(str(e.value)) < 600
    with pytest.raises(ValueError, match=r"gone\.keras, which is not there"):
        predicted_loops(tmp_path / "gone.keras", axes)


def test_a_model_whose_parts_do_not_fit_together(run, monkeypatch):
    def fails(*_):
        raise TypeError("multiple values")

    monkeypatch.setattr(prediction, "predict", fails)
    sentence = r"`MODEL` must be a model of these loops; received .*model\.keras: multiple values"
    with pytest.raises(ValueError, match=sentence):
        predicted_loops(run[0] / "model.keras", random_easy_axes((1, 8), seed=0))


def test_the_command_refuses_other_files(run, tmp_path, capsys):
    model = str(run[0] / "model.keras")
    np.savez(tmp_path / "axes.npz", axes=np.ones((8, 3)))
    np.save(tmp_path / "axes.npy", np.ones((8, 3)) * 1j)
    for given, sentence in (
        (["--easy-axes", "axes.npz"], "`--easy-axes` must be a .npy file"),
        (["--easy-axes", "axes.npy"], "`--easy-axes` must be an array (g, 3) or (b, g, 3)"),
        (["--loops", "axes.npy"], "must be a file that Hysteresis.save wrote"),
    ):
        given[1] = str(tmp_path / given[1])
        assert cli.main(["predict", model, *given, "--out", str(tmp_path / "out")]) == 2
        assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
