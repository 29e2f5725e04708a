"""From the first states to the whole loop in real space."""

import keras
import numpy as np
import pytest

from keras_micromag.losses import NormPreservingLoss
from keras_micromag.models import LatentHysteresis, RecursiveRolloutModel, autoencoder, predictor
from keras_micromag.physics.hysteresis import coercivity

pytestmark = pytest.mark.backend

T, L, D, GRID = 3, 4, 2, (2, 2, 4)


def toy(**kwargs):
    whole = autoencoder(GRID, D, units=(8,), **kwargs)
    rollout = RecursiveRolloutModel(
        predictor(D, T, hidden_layers=1, width=8, output_activation="tanh"), T, L
    )
    return LatentHysteresis(whole.encoder, rollout, whole.decoder)


def batch(n, b=3):
    states = np.random.default_rng(1).normal(size=(b, T, *GRID, 3)).astype("float32")
    states /= np.linalg.norm(states, axis=-1, keepdims=True)
    return {"states": states, "field": np.tile(np.linspace(8, -8, n, dtype="float32"), (b, 1))}


@pytest.mark.slow
@pytest.mark.parametrize("n", [T + 1, T + L, 30])
def test_it_is_its_parts(n):
    model = toy()
    x = batch(n)
    loop = model.predict(x, verbose=0)
    np.testing.assert_array_equal(loop[:, :T], x["states"])
    latents = [model.encoder.predict(x["states"][:, i], verbose=0) for i in range(T)]
    rolled = model.rollout.rollout(np.stack(latents, axis=1), x["field"][:, T:])
    assert rolled.shape == (3, n - T, D)
    for i in range(n - T):
        decoded = model.decoder.predict(rolled[:, i], verbose=0)
        wanted = decoded / np.linalg.norm(decoded, axis=-1, keepdims=True)
        # Rounding of untrained moments, which are short, grows as they are brought to length 1.
        np.testing.assert_allclose(loop[:, T + i], wanted, atol=3e-4)
    np.testing.assert_allclose(np.linalg.norm(loop, axis=-1), 1, atol=1e-5)


@pytest.mark.slow
def test_moments_may_stay_short():
    unit = toy()
    short = LatentHysteresis(unit.encoder, unit.rollout, unit.decoder, unit_moments=False)
    loop, same = (model.predict(batch(9), verbose=0) for model in (short, unit))
    lengths = np.linalg.norm(loop, axis=-1, keepdims=True)
    assert np.abs(lengths[:, T:] - 1).max() > 1e-3
    np.testing.assert_allclose(loop / lengths, same, atol=3e-4)
    assert not LatentHysteresis.from_config(short.get_config()).unit_moments


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
        moment = (loop @ field_direction).mean(axis=(2, 3, 4))
        np.testing.assert_allclose(values, coercivity(x["field"], moment), rtol=1e-5)
        assert not np.isnan(coercivity(x["field"], moment)).all(), "something crosses zero"


@pytest.mark.slow
def test_grains_need_no_lattice():
    layers = keras.layers
    encoder = keras.Sequential([keras.Input((8, 3)), layers.Flatten(), layers.Dense(D)])
    decoder = keras.Sequential([keras.Input((D,)), layers.Dense(24), layers.Reshape((8, 3))])
    model = LatentHysteresis(encoder, toy().rollout, decoder)
    states = np.tile([0.0, 0.0, 1.0], (3, T, 8, 1))
    field = batch(20)["field"]
    moment = model.predict({"states": states, "field": field}, verbose=0).mean(axis=2)[..., 2]
    wanted = coercivity(field, moment)
    np.testing.assert_allclose(model.coercivity(states, field), wanted, rtol=1e-4)


def test_in_a_functional_model():
    model = toy()
    x = batch(9)
    inputs = {
        "states": keras.Input((T, *GRID, 3), name="states"),
        "field": keras.Input((9,), name="field"),
    }
    outputs = model(inputs)
    assert outputs.shape == (None, 9, *GRID, 3)
    mean = keras.Model(inputs, keras.ops.mean(outputs, axis=(2, 3, 4)))
    wanted = model.predict(x, verbose=0).mean(axis=(2, 3, 4))
    np.testing.assert_allclose(mean.predict(x, verbose=0), wanted, atol=1e-6)


def test_nan_in_targets_is_refused():
    model, x = toy(), batch(9)
    model.compile("nadam", NormPreservingLoss())
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"`y` must be finite; received nan at index \(0, 0,"):
        model.fit(x, np.full((3, 9, *GRID, 3), np.nan), verbose=0)
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
    np.testing.assert_allclose(np.linalg.norm(loop.astype(float), axis=-1), 1, atol=2e-3)


def test_shapes_are_checked():
    model, x = toy(), batch(9)
    with pytest.raises(ValueError, match=r"`states` must have shape .* t = 3; received \(3, 2"):
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
    wrong = np.zeros((3, T, 4, 4, 4, 3), "float32")
    with pytest.raises(ValueError, match=r"expected shape=\(None, 2, 2, 4, 3\), found shape="):
        model.predict({**x, "states": wrong}, verbose=0)
