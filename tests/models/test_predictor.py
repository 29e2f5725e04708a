"""The regressor in latent space."""

import numpy as np
import pytest

from keras_micromag.models import predictor

pytestmark = pytest.mark.backend


def test_sizes_are_arguments():
    model = predictor(3, 2, hidden_layers=5, width=7, activation="tanh", output_activation="linear")
    dense = [layer for layer in model.layers if hasattr(layer, "units")]
    assert [layer.units for layer in dense] == [7] * 5 + [3]
    assert [layer.activation.__name__ for layer in dense] == ["tanh"] * 5 + ["linear"]
    assert model.count_params() == 7 * (3 * 2 + 1 + 1) + 4 * 7 * 8 + 3 * 8
    assert model.output_shape == (None, 3)


@pytest.mark.contract
def test_the_field_is_scaled():
    one, two = predictor(2, 3, field_scale=8.0), predictor(2, 3, field_scale=4.0)
    two.set_weights(one.get_weights())
    states = np.random.default_rng(1).normal(size=(5, 3, 2))
    results = [
        model.predict({"states": states, "field": np.full((5, 1), scale / 2)}, verbose=0)
        for model, scale in ((one, 8.0), (two, 4.0))
    ]
    np.testing.assert_allclose(*results, rtol=1e-6)


@pytest.mark.parametrize("name", ["latent_size", "window", "hidden_layers", "width"])
def test_sizes_are_checked(name):
    with pytest.raises(ValueError, match=f"`{name}` must be an integer of at least 1; received 0"):
        predictor(**{name: 0})


def test_the_scale_is_checked():
    with pytest.raises(ValueError, match="`field_scale` must be"):
        predictor(field_scale=0.0)
