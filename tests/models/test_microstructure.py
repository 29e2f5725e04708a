"""The encoder of a magnet's first state: defaults, weights, bad input."""

import inspect

import numpy as np
import pytest

from keras_micromag.models import microstructure_encoder
from keras_micromag.physics import cubic_grains, random_easy_axes, simulate

pytestmark = pytest.mark.backend


@pytest.mark.slow
def test_the_defaults_are_those_of_the_papers_magnets():
    axes = random_easy_axes((10, 64), seed=1)
    first = simulate(cubic_grains(), axes, field=[8.0], progress=False).magnetization[:, 0]
    defaults = inspect.signature(microstructure_encoder).parameters
    np.testing.assert_allclose(first.mean(axis=(0, 1)), defaults["mean"].default, atol=0.02)
    np.testing.assert_allclose(first.std(axis=(0, 1)), defaults["spread"].default, rtol=0.1)


@pytest.mark.contract
def test_the_order_of_the_grains_does_not_matter():
    start = np.random.default_rng(0).normal((0, 0, 0.98), (0.1, 0.1, 0.01), (2, 8, 3))
    model = microstructure_encoder(size=3)
    encoded = model.predict(start, verbose=0)
    np.testing.assert_allclose(
        model.predict(start[:, ::-1], verbose=0), encoded, rtol=1e-4, atol=1e-5
    )
    assert np.abs(encoded[0] - encoded[1]).max() > 1e-3


@pytest.mark.contract
def test_grains_count_by_their_weights():
    grains = np.random.default_rng(1).normal(size=(2, 5, 4)).astype("float32")
    options = {"features": 4, "mean": np.zeros(4), "spread": np.ones(4)}
    plain = microstructure_encoder(3, **options)
    model = microstructure_encoder(3, weighted=True, **options)
    model.set_weights(plain.get_weights())
    grains[..., 0] = 0.2
    wanted = plain.predict(grains, verbose=0)
    np.testing.assert_allclose(model.predict(grains, verbose=0), wanted, rtol=1e-4, atol=1e-5)
    padded = np.pad(grains, [(0, 0), (0, 3), (0, 0)])
    np.testing.assert_allclose(model.predict(padded, verbose=0), wanted, rtol=1e-4, atol=1e-5)


def test_bad_input():
    with pytest.raises(ValueError, match="`spread` must be positive; received"):
        microstructure_encoder(spread=(1.0, 0.0, 1.0))
    with pytest.raises(ValueError, match="`size` must be an integer of at least 1"):
        microstructure_encoder(size=0)
    with pytest.raises(ValueError, match=r"`mean` must have shape \(5,\)"):
        microstructure_encoder(features=5)
