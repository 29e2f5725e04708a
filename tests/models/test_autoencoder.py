"""The autoencoder (Table 1)."""

import math
import re

import keras
import numpy as np
import pytest

from keras_micromag.losses import NormPreservingLoss
from keras_micromag.metrics import NormError, SquaredError
from keras_micromag.models import Autoencoder, autoencoder
from tests.keras_parts import numpy

pytestmark = pytest.mark.backend


def states(n=20, g=64, t=1):
    m = np.random.default_rng(1).normal(size=(n, t, g, 3)).astype("float32")
    return m / np.linalg.norm(m, axis=-1, keepdims=True)


def networks(model):
    """The networks of single states on a lattice in encoder and decoder."""
    return [part.layers[1].layer for part in (model.encoder, model.decoder)]


TABLE_1 = [
    # (output shape, parameters), the encoder's layers, then the decoder's
    ((2, 2, 2, 4), 100),
    ((32,), 0),
    ((32,), 1056),
    ((32,), 1056),
    ((16,), 528),
    ((16,), 272),
    ((16,), 272),
    ((32,), 544),
    ((32,), 1056),
    ((2, 2, 2, 4), 0),
    ((4, 4, 4, 3), 99),
]


@pytest.mark.contract
def test_table_1():
    model = autoencoder()
    rows = [
        (tuple(layer.output.shape[1:]), layer.count_params())
        for part in networks(model)
        for layer in part.layers[1:]
    ]
    assert rows == TABLE_1
    assert model.count_params() == 4983
    assert model.encoder.count_params() == 2740


@pytest.mark.slow
@pytest.mark.parametrize(
    ("grid", "kwargs"),
    [
        ((2, 2, 2), {}),
        ((6, 4, 10), {"latent_size": 5}),
        ((8, 8, 4), {"filters": (8, 16), "units": (7,)}),
        ((4, 4, 4), {"units": (9, 8, 7), "activation": "tanh", "output_activation": "elu"}),
    ],
)
def test_every_grid_that_the_strides_allow(grid, kwargs):
    model = autoencoder(grid, **kwargs)
    d = kwargs.get("latent_size", 16)
    x = states(3, math.prod(grid), 2)
    assert model.grid == grid
    latent = model.encoder.predict(x, verbose=0)
    assert latent.shape == (3, 2, d)
    decoded = model.decoder.predict(latent, verbose=0)
    assert decoded.shape == x.shape
    np.testing.assert_allclose(model.predict(x, verbose=0), decoded, atol=1e-6)
    activations = [
        layer.activation.__name__
        for part in networks(model)
        for layer in part.layers
        if hasattr(layer, "activation")
    ]
    assert activations[-1] == kwargs.get("output_activation", "linear")
    assert set(activations[:-1]) == {kwargs.get("activation", "elu")}


@pytest.mark.slow
@pytest.mark.contract
def test_it_learns_with_its_metrics():
    model = autoencoder(latent_size=8)
    model.compile("nadam", NormPreservingLoss(), metrics=[SquaredError(), NormError()])
    x = states(64)
    logs = model.fit(x, x, epochs=6, batch_size=16, validation_split=0.25, verbose=0).history
    assert logs["loss"][-1] < logs["loss"][0]
    both = 0.85 * np.array(logs["val_squared_error"]) + 0.15 * np.array(logs["val_norm_error"])
    np.testing.assert_allclose(logs["val_loss"], both, rtol=1e-5)


def test_in_a_functional_and_in_a_sequential_model():
    model = autoencoder(latent_size=4)
    x = states(2)
    wanted = model.predict(x, verbose=0)
    inputs = keras.Input((1, 64, 3))
    functional = keras.Model(inputs, model(inputs))
    sequential = keras.Sequential([keras.Input((1, 64, 3)), model.encoder, model.decoder])
    for other in (functional, sequential):
        np.testing.assert_allclose(other.predict(x, verbose=0), wanted, atol=1e-6)
        assert other.output_shape == (None, 1, 64, 3)


@pytest.mark.contract
def test_states_of_loops_are_encoded_one_by_one():
    model = autoencoder((2, 2, 4), 3, units=(5,))
    loops = states(3, 16, 7)
    latent, decoded = model.encoder.predict(loops, verbose=0), model.predict(loops, verbose=0)
    for i in range(3):
        for j in range(7):
            one = loops[i, j].reshape(1, 2, 2, 4, 3)  # as the field's lattice has it
            encoder, decoder = networks(model)
            np.testing.assert_allclose(numpy(encoder(one))[0], latent[i, j], atol=1e-5)
            wanted = numpy(decoder(latent[i, j][None])).reshape(16, 3)
            np.testing.assert_allclose(decoded[i, j], wanted, atol=1e-5)


def test_parts_of_ones_own():
    layers = keras.layers
    flat = keras.Sequential([keras.Input((None, 5, 3)), layers.Reshape((-1, 15)), layers.Dense(2)])
    back = keras.Sequential([keras.Input((None, 2)), layers.Dense(15), layers.Reshape((-1, 5, 3))])
    model = Autoencoder(flat, back)
    assert model.predict(np.ones((4, 7, 5, 3)), verbose=0).shape == (4, 7, 5, 3)
    assert model.grid is None


def test_single_states_are_refused():
    sentence = r"`states` must have shape \(b, t, g, 3\) with g = 64; received "
    for shape in (3, 64, 3), (3, 4, 4, 4, 3), (3, 1, 64, 2):
        with pytest.raises(ValueError, match=sentence + re.escape(f"{shape}.")):
            autoencoder()(np.zeros(shape, "float32"))
    flat = keras.Sequential([keras.Input((5, 3)), keras.layers.Flatten()])
    with pytest.raises(ValueError, match=r"`states` must have .* received \(None, 5, 3\)"):
        Autoencoder(flat, flat)


@pytest.mark.slow
def test_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = autoencoder(latent_size=4)
    finally:
        keras.config.set_dtype_policy("float32")
    assert {w.dtype for w in model.weights} == {"float32"}
    model.compile("adam", NormPreservingLoss())
    x = states(32)
    assert np.isfinite(model.fit(x, x, verbose=0).history["loss"]).all()
    assert model.predict(x, verbose=0).dtype == np.float16


@pytest.mark.slow
@pytest.mark.parametrize("do", ["predict", "evaluate", "fit"])
def test_another_grid_is_refused_and_the_weights_survive(do):
    model = autoencoder()
    model.compile("nadam", NormPreservingLoss())
    before = model.get_weights()
    wrong = states(3, 32)
    # Keras 3.8 wraps what a model raises before its first batch in a RuntimeError.
    with pytest.raises(
        (ValueError, RuntimeError),
        match=r"`states` must have shape .* g = 64; received \(\w+, 1, 32, 3\)",
    ):
        getattr(model, do)(wrong, *([] if do == "predict" else [wrong]), verbose=0)
    for one, two in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, two)
    model.compile("nadam", NormPreservingLoss())
    model.fit(states(), states(), verbose=0)


BAD = {
    "grid": ({"grid": (4, 4, 3)}, r"`grid` must be three multiples of 2, for 1 convolutions with"),
    "two": ({"grid": (4, 4)}, r"`grid` must be three multiples of 2.*received \(4, 4\)"),
    "deep": ({"filters": (4, 8, 8)}, r"`grid` must be three multiples of 8, for 3 convolutions"),
    "number": ({"grid": 4}, "`grid` must be a sequence of integers; received 4"),
    "words": ({"filters": "4"}, "`filters` must be a sequence of integers; received '4'"),
    "negative": ({"grid": (4, 4, -4)}, "`grid` must be an integer of at least 1; received -4"),
    "latent": ({"latent_size": 0}, "`latent_size` must be an integer of at least 1; received 0"),
    "filters": ({"filters": ()}, r"`filters` and `units` must name at least one layer each"),
    "units": ({"units": (0,)}, "`units` must be an integer of at least 1; received 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    changed, sentence = BAD[case]
    with pytest.raises(ValueError, match=sentence):
        autoencoder(**changed)
