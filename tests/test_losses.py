"""The norm-preserving loss (Eq. 9) and that of a rollout (Eq. 11, 12)."""

import re

import keras
import numpy as np
import pytest

from keras_micromag.layers import UnitNorm
from keras_micromag.losses import NormPreservingLoss, RolloutLoss
from tests.keras_parts import gradient, numpy

pytestmark = pytest.mark.backend


@pytest.mark.contract
@pytest.mark.parametrize("shape", [(5, 3), (5, 7, 3), (5, 4, 4, 4, 3)], ids=len)
def test_equation_9(shape):
    rng = np.random.default_rng(1)
    x, y = (rng.normal(size=shape).astype("float32") for _ in range(2))
    flat_x, flat_y = (a.astype(float).reshape(5, -1, 3) for a in (x, y))
    mse = ((flat_x - flat_y) ** 2).sum(axis=(1, 2))
    norm = ((1 - np.linalg.norm(flat_y, axis=-1)) ** 2).sum(axis=1)
    for a1, a2 in ((1.0, 0.0), (0.0, 1.0), (0.7, 0.2)):
        each = numpy(NormPreservingLoss(a1, a2, reduction="none")(x, y))
        np.testing.assert_allclose(each, a1 * mse + a2 * norm, rtol=1e-5)
    weights = np.arange(5.0)
    weighted = float(NormPreservingLoss()(x, y, sample_weight=weights))
    assert weighted == pytest.approx((weights * (0.85 * mse + 0.15 * norm)).mean(), rel=1e-5)


@pytest.mark.parametrize("grid", [(8,), (2, 2, 2)], ids=["grains", "lattice"])
def test_each_state_of_a_loop_has_its_own_error(grid):
    rng = np.random.default_rng(7)
    loops, decoded = rng.normal(size=(2, 3, 5, *grid, 3)).astype("float32")
    loss = NormPreservingLoss(moment_weight=2.0, reduction="none")
    each = numpy(loss(loops, decoded))
    assert each.shape == (3, 5)
    states = [array.reshape(15, 8, 3) for array in (loops, decoded)]
    np.testing.assert_allclose(each.ravel(), numpy(loss(*states)), rtol=1e-5)
    weights = rng.random((3, 5))
    weighted = float(NormPreservingLoss(moment_weight=2.0)(loops, decoded, sample_weight=weights))
    assert weighted == pytest.approx((weights * each).mean(), rel=1e-5)


@pytest.mark.contract
def test_weights_of_grains():
    rng = np.random.default_rng(8)
    true, predicted = rng.normal(size=(2, 3, 5, 6, 3)).astype("float32")
    weights = rng.random((3, 5, 6)).astype("float32")
    weights[:, :, 4:] = 0  # padding
    target = np.concatenate([true, weights[..., None]], axis=-1)
    error = true.astype(float) - predicted
    length = np.linalg.norm(predicted.astype(float), axis=-1)
    total = (weights[..., None] * error).sum(axis=2)
    wanted = (weights * (0.7 * (error**2).sum(axis=-1) + 0.2 * (1 - length) ** 2)).sum(axis=-1)
    wanted += 3.0 * (total**2).sum(axis=-1) / weights.sum(axis=-1)
    loss = NormPreservingLoss(0.7, 0.2, 3.0, reduction="none")
    np.testing.assert_allclose(numpy(loss(target, predicted)), wanted, rtol=1e-4)
    target[..., 3] = 1
    plain = numpy(loss(true, predicted))
    np.testing.assert_allclose(numpy(loss(target, predicted)), plain, rtol=1e-6)


@pytest.mark.contract
def test_gradients_at_zero_vectors():
    y = np.zeros((2, 4, 3), "float32")
    y[0, 0] = [0.0, 0.0, 0.5]
    slope = gradient(lambda p: NormPreservingLoss(0.0, 1.0)(np.zeros_like(y), p), y)
    # d/dx (1 - x)² = -1 at x = ½, halved by the mean over two.
    np.testing.assert_allclose(slope[0, 0], [0.0, 0.0, -0.5], atol=1e-6)
    assert (slope[0, 1:] == 0).all() and (slope[1] == 0).all()


@pytest.mark.contract
def test_it_trains_saves_and_loads(tmp_path):
    model = keras.Sequential([keras.Input((4, 3)), keras.layers.Dense(3)])
    model.compile("adam", NormPreservingLoss(0.5, 0.5))
    x = np.random.default_rng(2).normal(size=(32, 4, 3)).astype("float32")
    x /= np.linalg.norm(x, axis=-1, keepdims=True)
    history = model.fit(x, x, epochs=3, batch_size=8, verbose=0).history["loss"]
    assert history[-1] < history[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.loss.get_config() == model.loss.get_config()
    assert loaded.evaluate(x, x, verbose=0) == pytest.approx(model.evaluate(x, x, verbose=0))


def test_masked_grains_count_for_nothing():
    # Grains of zeros are padding; the mask goes through UnitNorm to the loss.
    padded = np.zeros((3, 5, 3), "float32")
    padded[:, :4] = np.random.default_rng(5).normal(size=(3, 4, 3))
    target = np.random.default_rng(6).normal(size=(3, 5, 3)).astype("float32")
    values = {}
    for grains in (5, 4):
        inputs = keras.Input((grains, 3))
        masked = keras.layers.Masking()(inputs) if grains == 5 else inputs
        model = keras.Model(inputs, UnitNorm()(masked))
        model.compile("sgd", NormPreservingLoss(moment_weight=2.0))
        x, y = padded[:, :grains], target[:, :grains]
        values[grains] = model.evaluate(x, y, verbose=0)
    assert values[5] == pytest.approx(values[4], rel=1e-5)


def test_bad_input():
    with pytest.raises(ValueError, match=r"`norm_weight` must be at least 0; received -1"):
        NormPreservingLoss(norm_weight=-1)
    same = r"`y_true` and `y_pred` must have the same shape \(b, ..., 3\); received "
    for shapes in [(2, 4), (2, 4)], [(2, 3), (2, 4, 3)], [(2, 1, 3), (2, 4, 3)], [(3,), (3,)]:
        with pytest.raises(ValueError, match=same + re.escape(f"{shapes[0]} and {shapes[1]}.")):
            NormPreservingLoss()(*(np.zeros(shape) for shape in shapes))


@pytest.mark.parametrize("kind", [NormPreservingLoss, RolloutLoss])
def test_a_config_of_another_version_is_refused(kind):
    sentence = rf"`config` must be one of this version's {kind.__name__}; received .*'horizon'"
    with pytest.raises(ValueError, match=sentence):
        kind.from_config({**kind().get_config(), "horizon": 8})


def test_a_file_of_another_version_is_refused(tmp_path, monkeypatch):
    model = keras.Sequential([keras.Input((4, 3)), keras.layers.Dense(3)])
    loss = NormPreservingLoss()
    model.compile("adam", loss)
    config = {**loss.get_config(), "from_the_future": 1}
    monkeypatch.setattr(loss, "get_config", lambda: config)
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"this version's NormPreservingLoss; .*from_the_future"):
        keras.saving.load_model(tmp_path / "model.keras")


def latents(b=5, steps=7, d=3):
    rng = np.random.default_rng(3)
    return [rng.normal(size=(b, steps, d)).astype("float32") for _ in range(2)]


@pytest.mark.contract
@pytest.mark.parametrize("weights", ["none", "windows", "steps"])
def test_equations_11_and_12(weights):
    x, y = latents()
    each = ((x.astype(float) - y) ** 2).sum(axis=2)
    rng = np.random.default_rng(4)
    w = {"none": None, "windows": rng.random(5), "steps": rng.random((5, 7))}[weights]
    full = np.ones((5, 7)) if w is None else np.broadcast_to(w.reshape(5, -1), (5, 7))
    wanted = {
        "sum_over_batch_size": (full * each).sum(axis=1).mean(),
        "sum": (full * each).sum(),
        "mean_with_sample_weight": (full * each).sum() / full.sum() * 7,
        "none": full * each,
    }
    for reduction, value in wanted.items():
        loss = numpy(RolloutLoss(reduction)(x, y, sample_weight=w))
        np.testing.assert_allclose(loss, value, rtol=1e-5)


def test_rollout_loss_in_compile():
    x, y = latents()
    model = keras.Sequential([keras.Input((7, 3)), keras.layers.Identity()])
    model.compile("sgd", RolloutLoss())
    w = np.arange(5.0)
    wanted = (w * ((x - y) ** 2).sum(axis=(1, 2))).mean()
    assert model.evaluate(x, y, sample_weight=w, verbose=0) == pytest.approx(wanted, rel=1e-5)
    twin = RolloutLoss.from_config(RolloutLoss("sum").get_config())
    assert twin.reduction == "sum"


@pytest.mark.slow
def test_rollout_loss_takes_weights_as_those_of_keras_do():
    # As many windows as steps, where the two kinds of weights could be taken for each other.
    x, y = latents(b=4, steps=4)
    w = [1.0, 0.0, 2.0, 3.0]
    of_windows = float(RolloutLoss()(x, y, sample_weight=np.array(w)))
    for same in (w, np.array(w)[:, None], np.tile(np.array(w)[:, None], 4)):
        assert float(RolloutLoss()(x, y, sample_weight=same)) == pytest.approx(of_windows)
    twice = float(RolloutLoss()(x, y, sample_weight=2))
    assert twice == pytest.approx(2 * float(RolloutLoss()(x, y)))


def test_rollout_loss_refuses_other_shapes():
    for shapes in [(5, 7, 3), (5, 6, 3)], [(1, 7, 3), (5, 7, 3)], [(7, 3), (7, 3)]:
        with pytest.raises(ValueError, match=r"same shape \(b, l, d\); received \(\d, \d") as error:
            RolloutLoss()(*(np.zeros(shape) for shape in shapes))
        assert f"{shapes[0]} and {shapes[1]}." in str(error.value)
    for shape in (4,), (5, 6), (1, 7), (5, 7, 1):
        sentence = r"`sample_weight` must have shape .* b = 5 and l = 7; received " + re.escape(
            f"{shape}."
        )
        with pytest.raises(ValueError, match=sentence):
            RolloutLoss()(*latents(), sample_weight=np.ones(shape))


@pytest.mark.slow
def test_total_moment_by_hand():
    rng = np.random.default_rng(1)
    true, predicted = rng.normal(size=(2, 5, 2, 2, 2, 3)).astype("float32")
    plain, more = NormPreservingLoss(), NormPreservingLoss(moment_weight=3.0)
    difference = float(more(true, predicted)) - float(plain(true, predicted))
    total = (true - predicted).reshape(5, 8, 3).sum(axis=1)
    assert difference == pytest.approx(3.0 * (total**2).sum(axis=-1).mean() / 8, rel=1e-4)
    again = NormPreservingLoss.from_config(more.get_config())
    assert float(again(true, predicted)) == pytest.approx(float(more(true, predicted)))
