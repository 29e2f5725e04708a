"""The model of autoencoder and rollout: from the first states to the loop."""

import keras
import numpy as np
import pytest

from keras_micromag.losses import NormPreservingLoss
from keras_micromag.models import (
    Autoencoder,
    LatentHysteresis,
    RecursiveRolloutModel,
    autoencoder,
    predictor,
)
from keras_micromag.physics.hysteresis import coercivity

pytestmark = pytest.mark.backend

T, L, D, GRID, G = 3, 4, 2, (2, 2, 4), 16


def toy(**kwargs):
    lattice_autoencoder = autoencoder(GRID, D, units=(8,), **kwargs)
    rollout = RecursiveRolloutModel(
        predictor(D, T, hidden_layers=1, width=8, output_activation="tanh"), T, L
    )
    return LatentHysteresis(lattice_autoencoder, rollout)


def batch(n, b=3):
    states = np.random.default_rng(1).normal(size=(b, T, G, 3)).astype("float32")
    states /= np.linalg.norm(states, axis=-1, keepdims=True)
    return {"states": states, "field": np.tile(np.linspace(8, -8, n, dtype="float32"), (b, 1))}


@pytest.mark.slow
@pytest.mark.parametrize("n", [T + 1, T + L, 30])
def test_it_is_its_parts(n):
    model = toy()
    x = batch(n)
    loop = model.predict(x, verbose=0)
    np.testing.assert_array_equal(loop[:, :T], x["states"])
    latent = model.autoencoder.encoder.predict(x["states"], verbose=0)
    rolled = model.rollout.rollout(latent, x["field"][:, T:])
    assert rolled.shape == (3, n - T, D)
    wanted = model.autoencoder.decoder.predict(rolled, verbose=0)
    np.testing.assert_allclose(loop[:, T:], wanted, atol=3e-4)


@pytest.mark.slow
@pytest.mark.contract
def test_coercivity_in_one_call():
    model = toy()
    x = batch(40)
    x["states"][:] = [0.0, 0.0, 1.0]
    x["states"][0] = [0.0, 0.0, -1.0]  # at least this one differs
    values = model.coercivity(x["states"], x["field"][0])
    assert values.shape == (3,)
    loop = model.predict(x, verbose=0).astype(float)
    for field_direction in ((0.0, 0.0, 1.0), (0.0, 0.6, 0.8)):
        values = model.coercivity(x["states"], x["field"], field_direction)
        moment = (loop @ field_direction).mean(axis=2)
        np.testing.assert_allclose(values, coercivity(x["field"], moment), rtol=1e-5)
        assert not np.isnan(coercivity(x["field"], moment)).all(), "something crosses zero"


@pytest.mark.slow
def test_grains_need_no_lattice():
    layers = keras.layers
    encoder = [keras.Input((None, 8, 3)), layers.Reshape((-1, 24)), layers.Dense(D)]
    decoder = [keras.Input((None, D)), layers.Dense(24), layers.Reshape((-1, 8, 3))]
    parts = [keras.Sequential(layers) for layers in (encoder, decoder)]
    model = LatentHysteresis(Autoencoder(*parts), toy().rollout)
    states = np.tile([0.0, 0.0, 1.0], (3, T, 8, 1))
    field = batch(20)["field"]
    moment = model.predict({"states": states, "field": field}, verbose=0).mean(axis=2)[..., 2]
    wanted = coercivity(field, moment)
    np.testing.assert_allclose(model.coercivity(states, field), wanted, rtol=1e-4)


def test_in_a_functional_model():
    model = toy()
    x = batch(9)
    inputs = {
        "states": keras.Input((T, G, 3), name="states"),
        "field": keras.Input((9,), name="field"),
    }
    outputs = model(inputs)
    assert outputs.shape == (None, 9, G, 3)
    mean = keras.Model(inputs, keras.ops.mean(outputs, axis=2))
    wanted = model.predict(x, verbose=0).mean(axis=2)
    np.testing.assert_allclose(mean.predict(x, verbose=0), wanted, atol=1e-6)


def test_nan_in_targets_is_refused():
    model, x = toy(), batch(9)
    model.compile("nadam", NormPreservingLoss())
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"`y` must be finite; received nan at index \(0, 0,"):
        model.fit(x, np.full((3, 9, G, 3), np.nan), verbose=0)
    for one, two in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.slow
def test_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = toy()
    finally:
        keras.config.set_dtype_policy("float32")
    loop = model.predict(batch(9), verbose=0)
    assert loop.dtype == np.float16
    assert np.isfinite(loop).all()


def test_shapes_are_checked():
    model, x = toy(), batch(9)
    with pytest.raises(
        ValueError, match=r"`states` must have shape .* t = 3 and g = 16; received \(3, 2"
    ):
        model.predict({**x, "states": x["states"][:, 1:]}, verbose=0)
    with pytest.raises(ValueError, match=r"`field` must have shape .* n greater than t = 3; rece"):
        model.coercivity(x["states"], x["field"][:, :T])
    for other in ({"states": x["states"]}, x["states"]):
        with pytest.raises(ValueError, match=r"`inputs` must be a dict of `states` and `field`; "):
            model(other)
    with pytest.raises(ValueError, match="must be of the same batch size b; received 3 and 2"):
        model.coercivity(x["states"], x["field"][:2])
    with pytest.raises(ValueError, match="`field_direction` must hold unit vectors; received leng"):
        model.coercivity(x["states"], x["field"], (0.0, 0.0, 2.0))
    with pytest.raises(ValueError, match=r"`field` must be finite; received nan at index \(0,\)"):
        model.coercivity(x["states"], np.full(9, np.nan))
    wrong = np.zeros((3, T, 64, 3), "float32")
    with pytest.raises(ValueError, match=r"`states` must have shape .* with t = 3 and g = 16; rec"):
        model.predict({**x, "states": wrong}, verbose=0)
