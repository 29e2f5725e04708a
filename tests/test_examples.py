"""The examples run, at the size of a toy, and learn."""

import numpy as np

from examples import (
    demag_in_your_model,
    norm_preserving_autoencoder,
    recipe_on_own_magnets,
    train_a_rollout,
)
from keras_micromag.models import LatentHysteresis
from tests.test_house import ROOT


def test_demag_in_your_model():
    history = demag_in_your_model.main(grid=(2, 2, 1), samples=320, epochs=3)
    assert history["val_loss"][-1] < history["val_loss"][0]


def test_norm_preserving_autoencoder():
    told = norm_preserving_autoencoder.main(grid=(2, 1, 1), magnets=2, fields=40, epochs=2)
    assert np.isfinite(list(told.values())).all()


def test_train_a_rollout():
    model, (simulated, _) = train_a_rollout.main(magnets=2, fields=60, epochs=1, horizon=2)
    assert isinstance(model, LatentHysteresis)
    assert 3 < simulated < 8


def test_recipe_on_own_magnets():
    told = recipe_on_own_magnets.main(magnets=3, unseen=2, fields=40, batches=2)
    assert all(len(errors) == 2 for errors in told.values())
    assert told["mean loop"].max() < 1


def test_they_are_short():
    for file in (ROOT / "examples").glob("[!_]*.py"):
        text = file.read_text(encoding="utf-8")
        assert len(text.splitlines()) < 80
        assert "def main(" in text and 'if __name__ == "__main__":' in text
