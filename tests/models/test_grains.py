"""Models of polycrystals: indifferent to order and padding, trainable, saved and loaded."""

import keras
import numpy as np
import pytest

from keras_micromag.data import Polycrystals, grain_features
from keras_micromag.losses import NormPreservingLoss
from keras_micromag.models import (
    LatentHysteresis,
    RecursiveRolloutModel,
    grain_autoencoder,
    microstructure_encoder,
    predictor,
)
from keras_micromag.physics import random_easy_axes
from keras_micromag.physics.hysteresis import coercivity
from tests.keras_parts import numpy

pytestmark = pytest.mark.backend

B, T, G, D = 2, 5, 7, 3


@pytest.fixture(scope="module")
def loops():
    rng = np.random.default_rng(1)
    axes = random_easy_axes((B, G), seed=1)
    grains = grain_features(axes, rng.random((B, G, 3)), 1 + rng.random((B, G)))
    neighbors = rng.random((B, G, G))
    moments = random_easy_axes((B, T, G), cone=180, seed=2)
    return Polycrystals(*(part.astype("float32") for part in (moments, grains, neighbors)))


@pytest.fixture(scope="module")
def autoencoder():
    keras.utils.set_random_seed(1)
    return grain_autoencoder(13, D, embedding_size=8, width=16)


@pytest.fixture(scope="module")
def loop_model(autoencoder):
    network = predictor(D, 2, hidden_layers=1, width=8, microstructure_size=4)
    scale = {"mean": np.zeros(21), "spread": np.ones(21)}
    microstructure = microstructure_encoder(4, features=21, weighted=True, width=8, **scale)
    rollout = RecursiveRolloutModel(network, 2, 3, microstructure)
    return LatentHysteresis(autoencoder, rollout, trained_along=np.linspace(8, -8, 9))


def inputs_of(loops):
    return loops.inputs


def loop_inputs_of(loops):
    field = np.tile(np.linspace(8, -8, 9, dtype="float32"), (B, 1))
    return {**inputs_of(loops), "states": loops.moments[:, :2], "field": field}


def reordered(loops, order):
    return Polycrystals(
        loops.moments[:, :, order], loops.grains[:, order], loops.neighbors[:, order][:, :, order]
    )


def padded(loops, more):
    wide = [(0, 0), (0, more)]
    return Polycrystals(
        np.pad(loops.moments, [(0, 0), *wide, (0, 0)]),
        np.pad(loops.grains, [*wide, (0, 0)]),
        np.pad(loops.neighbors, [*wide, (0, more)]),
    )


@pytest.mark.slow
@pytest.mark.contract
@pytest.mark.parametrize("kind", ["autoencoder", "loop_model"])
def test_order_and_padding_do_not_matter(kind, loops, autoencoder, loop_model):
    model, inputs_of_kind = (
        (autoencoder, inputs_of) if kind == "autoencoder" else (loop_model, loop_inputs_of)
    )
    actual = numpy(model(inputs_of_kind(loops)))
    assert actual.shape == (B, T if kind == "autoencoder" else 9, G, 3)
    order = np.random.default_rng(3).permutation(G)
    turned = numpy(model(inputs_of_kind(reordered(loops, order))))
    np.testing.assert_allclose(turned, actual[:, :, order], atol=1e-4)
    more = numpy(model(inputs_of_kind(padded(loops, 4))))
    np.testing.assert_allclose(more[:, :, :G], actual, atol=1e-4)
    assert not more[:, :, G:].any()


def test_neighbours_matter(loops, autoencoder):
    other = Polycrystals(loops.moments, loops.grains, loops.neighbors.transpose(0, 2, 1))
    actual = [numpy(autoencoder(inputs_of(each))) for each in (loops, other)]
    assert np.abs(actual[0] - actual[1]).max() > 1e-3


@pytest.mark.slow
def test_it_trains(loops):
    keras.utils.set_random_seed(1)
    model = grain_autoencoder(13, D, embedding_size=8, width=16)
    model.compile(keras.optimizers.Adam(1e-2), NormPreservingLoss(moment_weight=1.0))
    history = model.fit(loops.inputs, loops.targets, epochs=90, verbose=0)
    assert history.history["loss"][-1] < 0.7 * history.history["loss"][0]


@pytest.mark.contract
@pytest.mark.parametrize("kind", ["autoencoder", "loop_model"])
def test_a_saved_model_computes_the_same(kind, loops, autoencoder, loop_model, tmp_path):
    model, inputs_of_kind = (
        (autoencoder, inputs_of) if kind == "autoencoder" else (loop_model, loop_inputs_of)
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = inputs_of_kind(loops)
    np.testing.assert_allclose(numpy(loaded(x)), numpy(model(x)), atol=1e-6)
    assert loaded.get_config().keys() == model.get_config().keys()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"states": np.ones((B, G, 3))}, r"`states` must have shape \(b, t, g, 3\)"),
        ({"grains": np.ones((B, G + 1, 13))}, f"`grains` must have shape .*`states`, {G}"),
        ({"grains": np.ones((B + 1, G, 13))}, "must be of the same batch size b"),
    ],
    ids=str,
)
def test_bad_input(change, sentence, loops, autoencoder):
    with pytest.raises(ValueError, match=sentence):
        autoencoder(inputs_of(loops) | change)


def test_bad_input_of_loops(loops, loop_model):
    x = loop_inputs_of(loops)
    with pytest.raises(ValueError, match=r"`states` must have shape \(b, t, g, 3\) with t = 2"):
        loop_model({**x, "states": loops.moments})
    with pytest.raises(ValueError, match=r"`field` must have shape \(b, n\)"):
        loop_model({**x, "field": x["field"][:, :2]})
    with pytest.raises(ValueError, match=r"`inputs` must be a dict of .* and `neighbors`"):
        loop_model({"states": x["states"]})


def test_sizes_must_be_positive():
    with pytest.raises(ValueError, match="`convolutions` must be an integer of at least 1"):
        grain_autoencoder(convolutions=0)
    with pytest.raises(ValueError, match=r"`spread` must have shape \(13,\)"):
        grain_autoencoder(spread=[1.0])


def test_it_has_no_lattice(autoencoder):
    assert autoencoder.grid is None
    with pytest.raises(ValueError, match="`inputs` must be a dict of `states`, `grains` and"):
        autoencoder(np.ones((B, T, G, 3), "float32"))


@pytest.mark.slow
def test_coercivity_weights_grains_by_their_shares(loops, loop_model):
    x = loop_inputs_of(loops)
    predicted = loop_model.predict(x, verbose=0).astype(float)
    curve = np.einsum("btg,bg->bt", predicted[..., 2], loops.shares)
    field = np.linspace(8, -8, 9)
    wanted = coercivity(field, curve)
    magnet = {name: x[name] for name in ("grains", "neighbors")}
    np.testing.assert_allclose(
        loop_model.coercivity(x["states"], field, **magnet), wanted, rtol=1e-4
    )
