"""Loops by a trained model, from the command line and from Python."""

import keras
import numpy as np
import pytest

from keras_micromag import cli
from keras_micromag.experiments.prediction import predicted_loops
from keras_micromag.physics import Hysteresis, cubic_grains, random_easy_axes, simulate

pytestmark = pytest.mark.backend


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
