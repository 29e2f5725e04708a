"""Results do not depend on Keras's global settings: image data format, dtype policy, floatx."""

import contextlib

import keras
import numpy as np
import pytest
from keras import ops

from keras_micromag.data import grain_features
from keras_micromag.layers import EmbeddedStonerWohlfarth, GrainConvolution, UnitNorm
from keras_micromag.layers.rescaling import Rescaling
from keras_micromag.models import (
    LatentHysteresis,
    RecursiveRolloutModel,
    autoencoder,
    grain_autoencoder,
    microstructure_encoder,
    predictor,
)
from keras_micromag.physics import cubic_grains, random_easy_axes, simulate
from tests.keras_parts import numpy

pytestmark = pytest.mark.contract

B, T, G, D = 2, 4, 8, 3
FIELD = np.linspace(8.0, -8.0, 9)


@contextlib.contextmanager
def setting(name, value):
    read, write = (getattr(keras.config, f"{verb}{name}") for verb in ("", "set_"))
    before = read()
    write(value)
    try:
        yield
    finally:
        write(before)


def channels_first():
    return setting("image_data_format", "channels_first")


def lattice_model():
    rollout = RecursiveRolloutModel(
        predictor(D, T, hidden_layers=1, width=8, microstructure_size=2),
        T,
        2,
        microstructure_encoder(2, width=8),
    )
    return LatentHysteresis(autoencoder((2, 2, 2), D, units=(8,)), rollout)


def grain_model():
    scale = {"mean": np.zeros(21), "spread": np.full(21, 2.0)}
    rollout = RecursiveRolloutModel(
        predictor(D, T, hidden_layers=1, width=8, microstructure_size=2),
        T,
        2,
        microstructure_encoder(2, features=21, weighted=True, width=8, **scale),
    )
    spread = np.linspace(0.5, 1.0, 13)
    grains = grain_autoencoder(13, D, embedding_size=8, width=16, spread=spread)
    return LatentHysteresis(grains, rollout)


def inputs(make):
    rng = np.random.default_rng(1)
    axes = random_easy_axes((B, G), seed=1)
    loops = {"states": random_easy_axes((B, T, G), seed=2), "field": np.tile(FIELD, (B, 1))}
    if make is grain_model:
        loops["grains"] = grain_features(axes, rng.random((B, G, 3)), 1 + rng.random((B, G)))
        loops["neighbors"] = 1e-16 * rng.random((B, G, G))  # contact areas in m²
    return {name: part.astype("float32") for name, part in loops.items()}


def test_the_autoencoder_of_table_1_under_channels_first():
    with channels_first():
        model = autoencoder()
        states = np.ones((2, 1, 64, 3), "float32")
        assert model.count_params() == 4983
        assert model.predict(states, verbose=0).shape == states.shape


@pytest.mark.slow
@pytest.mark.parametrize("make", [lattice_model, grain_model])
def test_models_do_not_depend_on_the_image_data_format(make, tmp_path):
    keras.utils.set_random_seed(1)
    model, x = make(), inputs(make)
    wanted = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    with channels_first():
        keras.utils.set_random_seed(1)
        np.testing.assert_array_equal(make().predict(x, verbose=0), wanted)
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(loaded.predict(x, verbose=0), wanted)


POLICIES = ["mixed_float16", "mixed_bfloat16"]
POLICIES += ["float64"] * (keras.backend.backend() != "jax")  # JAX has it in a mode of its own


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("make", [lattice_model, grain_model])
def test_models_compute_the_same_under_every_dtype_policy(make, policy):
    keras.utils.set_random_seed(1)
    model, x = make(), inputs(make)
    with setting("dtype_policy", policy):
        other = make()
    other.set_weights(model.get_weights())
    loops, wanted = other.predict(x, verbose=0), model.predict(x, verbose=0)
    assert str(loops.dtype) == other.compute_dtype
    error = {"mixed_float16": 0.01, "mixed_bfloat16": 0.1, "float64": 1e-4}[policy]
    np.testing.assert_allclose(loops.astype(float), wanted, atol=error * abs(wanted).max())


@pytest.mark.parametrize("policy", [*POLICIES, "float16"])
def test_neighbors_count_in_square_metres(policy):
    rng = np.random.default_rng(1)
    x = {"features": rng.normal(size=(2, 5, 3)), "neighbors": rng.random((2, 5, 5))}
    x = {name: part.astype("float32") for name, part in x.items()}
    layer = GrainConvolution(4, dtype=policy)
    wanted = numpy(layer(x)).astype(float)
    for size in (1e-18, 1e-15):
        areas = {**x, "neighbors": (size * x["neighbors"]).astype("float32")}
        np.testing.assert_allclose(numpy(layer(areas)).astype(float), wanted, rtol=0.02, atol=0.02)
    alone = numpy(layer({**x, "neighbors": np.zeros((2, 5, 5), "float32")})).astype(float)
    assert abs(wanted - alone).max() > 0.1


@pytest.mark.slow
def test_neighbors_in_square_metres_count_in_a_model():
    with setting("dtype_policy", "mixed_float16"):
        model = grain_autoencoder(13, D, embedding_size=8, width=16)
    x = inputs(grain_model)
    x.pop("field")
    embedding = numpy(model.embed(x)).astype(float)
    relative = numpy(model.embed({**x, "neighbors": 1e16 * x["neighbors"]})).astype(float)
    alone = numpy(model.embed({**x, "neighbors": 0 * x["neighbors"]})).astype(float)
    np.testing.assert_allclose(embedding, relative, atol=0.02)
    assert abs(embedding - alone).max() > 0.1
    loops = numpy(model(x)).astype(float)
    alone = numpy(model({**x, "neighbors": 0 * x["neighbors"]})).astype(float)
    assert abs(loops - alone).max() > 0.01


@pytest.mark.parametrize("policy", ["mixed_float16", "float16"])
def test_small_vectors_and_fields_do_not_vanish(policy):
    moment = np.array([[3e-18, 0.0, 4e-18]], "float32")  # in A·m²
    unit = numpy(UnitNorm(dtype=policy)(moment)).astype(float)
    np.testing.assert_allclose(unit, [[0.6, 0.0, 0.8]], rtol=2**-10)
    field = np.array([[-2e-9]], "float32")  # in tesla
    scaled = numpy(Rescaling(1e9, dtype=policy)(field)).astype(float)
    np.testing.assert_allclose(scaled, [[-2.0]], rtol=2**-10)


@pytest.mark.slow
def test_a_predictor_knows_small_fields_under_mixed_precision():
    with setting("dtype_policy", "mixed_float16"):
        network = predictor(D, T, hidden_layers=1, width=8, field_scale=1e-9)
    states = np.zeros((2, T, D), "float32")
    field = np.array([[1e-9], [-1e-9]], "float32")
    one, other = network.predict({"states": states, "field": field}, verbose=0).astype(float)
    assert abs(one - other).max() > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("floatx", ["float64", "bfloat16"])
def test_loops_do_not_depend_on_floatx(floatx):
    structure, axes = cubic_grains((2, 1, 1)), random_easy_axes((B, 2), cone=60, seed=1)
    field = np.linspace(4.0, -8.0, 25)
    x = {"easy_axes": axes.astype("float32"), "field": np.tile(field, (B, 1)).astype("float32")}

    def results():
        layer = EmbeddedStonerWohlfarth(structure, dtype="float32")
        for method in ("steps", "events"):
            loops = simulate(structure, axes, field=field, dtype="float32", method=method)
            yield loops.magnetization
        yield numpy(layer({name: ops.convert_to_tensor(part) for name, part in x.items()}))

    wanted = list(results())
    with setting("floatx", floatx):
        for loops, same in zip(results(), wanted, strict=True):
            np.testing.assert_array_equal(loops, same)
