"""The recursive rollout (Eq. 10-12), held to the same recursion in NumPy float64."""

import keras
import numpy as np
import pytest

from keras_micromag.data import Windows
from keras_micromag.losses import RolloutLoss
from keras_micromag.models import (
    LatentHysteresis,
    RecursiveRolloutModel,
    autoencoder,
    microstructure_encoder,
    predictor,
)

pytestmark = pytest.mark.backend

D, T, L = 3, 4, 5


def toy(seed=0, *, window=T, horizon=L, **kwargs):
    """A small model with the same weights on every backend."""
    kwargs = {"activation": "elu", "output_activation": "elu", **kwargs}
    network = predictor(D, window, hidden_layers=2, width=6, **kwargs)
    rng = np.random.default_rng(seed)
    network.set_weights([rng.normal(scale=0.3, size=w.shape) for w in network.get_weights()])
    return RecursiveRolloutModel(network, window=window, horizon=horizon)


def batch(n, b=7, seed=1, window=T):
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(b, window, D)).astype("float32")
    field = rng.uniform(-8, 8, size=(b, n)).astype("float32")
    targets = rng.normal(size=(b, n, D)).astype("float32")
    return {"states": states, "field": field}, targets


def elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def literally(weights, states, field):
    """Eq. 10, step by step in float64: (b, n, d)."""
    past, predicted = [states[:, i].astype(float) for i in range(states.shape[1])], []
    for i in range(field.shape[1]):
        x = np.concatenate([*past, field[:, i : i + 1] / 8.0], axis=1)
        for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
            x = elu(x @ kernel + bias)
        predicted.append(x)
        past = [*past[1:], x]
    return np.stack(predicted, axis=1)


def loss_of(weights, x, y, w=None):
    """Eq. 11 and 12 with a weight per step, the mean over the batch."""
    error = ((literally(weights, x["states"], x["field"]) - y) ** 2).sum(axis=2)
    return (error if w is None else w * error).sum(axis=1).mean()


def float64(model):
    return [np.asarray(w, float) for w in model.predictor.get_weights()]


# -------------------------------------------------------------------------------------------------
# Predicting
# -------------------------------------------------------------------------------------------------


@pytest.mark.contract
@pytest.mark.parametrize("n", [1, L, L + 1, 40])
def test_rollout_is_the_recursion(n):
    model = toy()
    x, _ = batch(n)
    wanted = literally(float64(model), **x)
    np.testing.assert_allclose(model.rollout(**x), wanted, atol=2e-6)
    np.testing.assert_allclose(model.predict(x, batch_size=3, verbose=0), wanted, atol=2e-6)
    eager = keras.ops.convert_to_numpy(model(x))
    np.testing.assert_allclose(eager, wanted, atol=2e-6)


def test_one_field_for_all():
    model = toy()
    x, _ = batch(9)
    field = x["field"][0]
    wanted = literally(float64(model), x["states"], np.tile(field, (7, 1)))
    np.testing.assert_allclose(model.rollout(x["states"], field), wanted, atol=2e-6)


def symbolic(n):
    return {"states": keras.Input((T, D), name="states"), "field": keras.Input((n,), name="field")}


@pytest.mark.parametrize("n", [3, 20])
def test_in_a_functional_model(n):
    model = toy()
    x, _ = batch(n)
    inputs = symbolic(n)
    outputs = model(inputs)
    assert outputs.shape == (None, n, D)
    doubled = keras.Model(inputs, keras.layers.Rescaling(2.0)(outputs))
    wanted = 2 * literally(float64(model), **x)
    np.testing.assert_allclose(doubled.predict(x, verbose=0), wanted, atol=4e-6)


def test_steps_not_known_beforehand():
    model = toy()
    inputs = symbolic(None)
    outputs = model(inputs)
    assert outputs.shape == (None, None, D)
    x, _ = batch(8)
    functional = keras.Model(inputs, outputs)
    np.testing.assert_allclose(
        functional.predict(x, verbose=0), literally(float64(model), **x), atol=2e-6
    )


class Own(keras.layers.Layer):
    """A predictor that knows nothing of this package: the mean of the states, plus a slope."""

    def build(self, input_shape):
        self.slope = self.add_weight(shape=(), initializer="ones", name="slope")

    def call(self, inputs):
        return keras.ops.mean(inputs["states"], axis=1) + self.slope * inputs["field"]


@pytest.mark.slow
def test_a_predictor_of_ones_own():
    model = RecursiveRolloutModel(Own(), window=2, horizon=3)
    states, field = np.zeros((1, 2, 1)), np.array([[2.0, 4.0, 6.0, 8.0]])
    # 0, 0 -> 2; 0, 2 -> 1 + 4; 2, 5 -> 3.5 + 6; 5, 9.5 -> 7.25 + 8
    assert model.rollout(states, field).ravel().tolist() == [2.0, 5.0, 9.5, 15.25]
    model.compile("sgd", RolloutLoss())
    model.fit({"states": states, "field": field}, np.zeros((1, 4, 1)), verbose=0)
    assert float(keras.ops.convert_to_numpy(model.predictor.slope)) < 1


# -------------------------------------------------------------------------------------------------
# Training
# -------------------------------------------------------------------------------------------------


@pytest.mark.contract
@pytest.mark.parametrize("weights", ["none", "windows", "steps"])
def test_the_loss_is_the_same_on_every_backend(weights):
    model = toy()
    model.compile("sgd", RolloutLoss())
    x, y = batch(L)
    rng = np.random.default_rng(2)
    w = {"none": None, "windows": rng.random(7), "steps": rng.random((7, L))}[weights]
    full = None if w is None else w.reshape(7, -1)
    wanted = loss_of(float64(model), x, y, full)
    assert model.evaluate(x, y, sample_weight=w, verbose=0) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.slow
@pytest.mark.contract
@pytest.mark.parametrize("weights", ["none", "windows", "steps"])
@pytest.mark.parametrize("eagerly", [False, True])
def test_a_step_goes_down_the_gradient_through_all_predictions(weights, eagerly):
    model = toy()
    before = float64(model)
    x, y = batch(L)
    rng = np.random.default_rng(2)
    w = {"none": None, "windows": rng.random(7), "steps": rng.random((7, L))}[weights]
    full = None if w is None else w.reshape(7, -1)
    rate = 1e-2
    model.compile(keras.optimizers.SGD(rate), RolloutLoss(), run_eagerly=eagerly)
    model.fit(x, y, sample_weight=w, batch_size=7, verbose=0)
    after = float64(model)
    h = 1e-5
    for k, weight in enumerate(before):
        for index in np.ndindex(*weight.shape):
            nudged = [[a.copy() for a in before] for _ in range(2)]
            nudged[0][k][index] += h
            nudged[1][k][index] -= h
            up, down = (loss_of(n, x, y, full) for n in nudged)
            slope = (up - down) / (2 * h)
            moved = (before[k][index] - after[k][index]) / rate
            # Weights of size 1 in float32 move by 1e-2 of the slope.
            assert moved == pytest.approx(slope, rel=1e-3, abs=3e-5)


@pytest.mark.slow
def test_weights_of_both_kinds_in_one_model():
    model = toy()
    model.compile("sgd", RolloutLoss())
    x, y = batch(L, b=L)  # as many windows as steps
    w = np.random.default_rng(2).random(L)
    wanted = loss_of(float64(model), x, y, w[:, None])
    steps = np.tile(w[:, None], L)
    for given in (w, w[:, None], steps, w):
        loss = model.evaluate(x, y, sample_weight=given, verbose=0)
        assert loss == pytest.approx(wanted, rel=1e-5)
    model.fit(x, y, sample_weight=w, validation_data=(x, y, steps), verbose=0)
    for shape in (L, L - 1), (L, L, 1):
        model.compile("sgd", RolloutLoss())  # TensorFlow has forgotten the rank by now
        with pytest.raises(ValueError, match=r"`sample_weight` must have shape .* l = 5; received"):
            model.fit(x, y, sample_weight=np.ones(shape), verbose=0)


@pytest.mark.slow
@pytest.mark.contract
def test_training_is_cut_off_at_the_horizon():
    x, y = batch(L + 3)
    w = np.random.default_rng(3).random((7, L + 3))
    results = []
    for n in (L, L + 3):
        model = toy()
        model.compile("sgd", RolloutLoss())
        given = {**x, "field": x["field"][:, :n]}, y[:, :n], w[:, :n]
        model.fit(*given[:2], sample_weight=given[2], shuffle=False, verbose=0)
        results.append(model.get_weights())
        assert np.isfinite(model.evaluate(*given[:2], verbose=0))
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


def loops(s=4, n=60):
    """Latent loops that a small network can learn: decaying towards the field."""
    field = np.linspace(8.0, -8.0, n).astype("float32")
    states = np.zeros((s, n, D), "float32")
    states[:, 0] = np.random.default_rng(4).normal(size=(s, D))
    for i in range(1, n):
        states[:, i] = 0.7 * states[:, i - 1] + 0.3 * np.tanh(field[i] / 4)
    return states, field


def windows(parts=slice(None), **kwargs):
    states, field = loops()
    return Windows(states[parts], field, T, L, **{"batch_size": 16, **kwargs})


@pytest.mark.slow
@pytest.mark.parametrize("given", ["windows", "weighted", "arrays", "generator"])
def test_fit_learns_and_validates(given):
    model = toy(output_activation="linear")
    model.compile(keras.optimizers.Nadam(1e-2), RolloutLoss(), metrics=["mae"])
    validation = windows([3])
    kwargs = {"epochs": 8, "verbose": 0, "validation_data": validation}
    if given == "arrays":
        x, y = windows().arrays()
        history = model.fit(x, y, batch_size=16, **kwargs)
    elif given == "generator":
        several = windows()

        def endless():
            while True:
                yield from (several[i] for i in range(len(several)))

        history = model.fit(endless(), steps_per_epoch=len(several), shuffle=False, **kwargs)
    else:
        weights = np.ones((4, 60)) if given == "weighted" else None
        history = model.fit(windows(step_weights=weights), **kwargs)
    logs = history.history
    assert set(logs) == {"loss", "mae", "val_loss", "val_mae"}
    assert logs["val_loss"][-1] < 0.2 * logs["val_loss"][0]
    again = model.evaluate(validation, verbose=0)[0]
    assert again == pytest.approx(logs["val_loss"][-1], rel=1e-4)


@pytest.mark.slow
def test_callbacks_see_a_model_that_they_can_save(tmp_path):
    model = toy()
    model.compile("nadam", RolloutLoss())
    path = tmp_path / "best.keras"
    callbacks = [
        keras.callbacks.ModelCheckpoint(path, monitor="val_loss", save_best_only=True),
        keras.callbacks.EarlyStopping(patience=1),
        keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs["loss"])),
    ]
    seen = []
    history = model.fit(
        windows(), validation_data=windows([3]), epochs=3, callbacks=callbacks, verbose=0
    )
    assert seen == history.history["loss"]
    best = keras.saving.load_model(path)
    # The optimizer went on after the best epoch, the saved model did not.
    assert best.evaluate(windows([3]), verbose=0) == pytest.approx(
        min(history.history["val_loss"]), rel=1e-4
    )


@pytest.mark.integration
@pytest.mark.parametrize("settings", [{"jit_compile": True}, {"jit_compile": False}, {"steps": 4}])
def test_compile_settings(settings):
    if keras.backend.backend() == "torch" and settings != {"jit_compile": False}:
        pytest.skip("PyTorch needs a compiler for jit_compile, and has no steps_per_execution")
    if "steps" in settings:
        settings = {"steps_per_execution": settings["steps"]}
    model = toy()
    model.compile(keras.optimizers.SGD(1e-2), RolloutLoss(), **settings)
    plain = toy()
    plain.compile(keras.optimizers.SGD(1e-2), RolloutLoss())
    x, y = windows().arrays()
    for each in (model, plain):
        each.fit(x, y, batch_size=32, shuffle=False, verbose=0)
    for one, two in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)


@pytest.mark.slow
def test_mixed_precision():
    sizes = {"hidden_layers": 2, "width": 6, "activation": "tanh", "output_activation": "tanh"}
    network = predictor(D, T, **sizes)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        mixed = predictor(D, T, **sizes)
        model = RecursiveRolloutModel(mixed, window=T, horizon=L)
    finally:
        keras.config.set_dtype_policy("float32")
    mixed.set_weights(network.get_weights())
    plain = RecursiveRolloutModel(network, window=T, horizon=L)
    for n in (L, 20):
        x, _ = batch(n)
        rolled = model.rollout(**x)
        assert rolled.dtype == np.float16
        np.testing.assert_allclose(rolled, plain.rollout(**x), atol=0.02)
    model.compile("adam", RolloutLoss())
    assert np.isfinite(model.fit(windows(), epochs=2, verbose=0).history["loss"]).all()
    assert {w.dtype for w in model.trainable_variables} == {"float32"}


# -------------------------------------------------------------------------------------------------
# Bad input
# -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["window", "horizon"])
def test_sizes_are_checked(name):
    with pytest.raises(ValueError, match=f"`{name}` must be an integer of at least 1; received 0"):
        toy(**{name: 0})


def test_shapes_are_checked():
    model = toy()
    x, y = batch(L)
    with pytest.raises(ValueError, match=r"`states` must have shape \(b, t, d\) with t = 4; rece"):
        model.rollout(x["states"][:, 1:], x["field"])
    with pytest.raises(ValueError, match=r"`field` must have shape \(b, n\) with n of at least 1"):
        model.rollout(x["states"], x["field"][:, :0])
    with pytest.raises(ValueError, match=r"`inputs` must be a dict of `states` and `field`; rece"):
        model({"states": x["states"]})
    model.compile("sgd", RolloutLoss())
    short = {**x, "field": x["field"][:, 1:]}
    for given, received in (
        ((short, y), "4 and 5"),
        ((x, y[:, 1:]), "5 and 4"),
        ((short, y[:, 1:]), "4 and 4"),
    ):
        sentence = (
            "`field` and `y` must have the same number of steps in training, at least horizon = 5; "
            f"received {received}"
        )
        with pytest.raises(ValueError, match=sentence):
            model.fit(*given, verbose=0)
        with pytest.raises(ValueError, match=sentence):
            model.evaluate(*given, verbose=0)


def test_training_data_of_wrong_shapes_are_refused():
    model = toy()
    model.compile("sgd", RolloutLoss())
    x, y = batch(L)
    for other, received in ((x["states"], r"\w+"), ({"states": x["states"]}, r"\['states'\]")):
        sentence = rf"`(x|inputs)` must be a dict of `states` and `field`; received {received}\."
        # Keras before 3.11 makes a RuntimeError of what a model raises when `fit` builds it.
        with pytest.raises((ValueError, RuntimeError), match=sentence):
            model.fit(other, y, verbose=0)
    with pytest.raises(ValueError, match="`inputs` must be a dict of `states` and `field`; receiv"):
        model(x["states"])
    for other, received in ((None, "NoneType"), (y[..., 0], r"\(\w+, 5\)")):
        with pytest.raises(
            ValueError, match=rf"`field` and `y` must have shapes .*\) and {received}\."
        ):
            model.fit(x, other, verbose=0)


def test_rollouts_are_of_magnets_and_fields_that_are_there():
    model = toy()
    x, _ = batch(L)
    with pytest.raises(ValueError, match="must be of the same batch size b; received 7 and 3"):
        model.rollout(x["states"], x["field"][:3])
    with pytest.raises(ValueError, match="`states` must be those of at least one magnet; received"):
        model.rollout(x["states"][:0], x["field"][:0])
    with pytest.raises(ValueError, match=r"`field` must be finite; received nan at index \(0,\)"):
        model.rollout(x["states"], np.full(L, np.nan))


@pytest.mark.parametrize("jit_compile", [True, False])
def test_fields_that_come_in_unknown_number(jit_compile):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("only TensorFlow compiles for a number that is not known")
    import tensorflow as tf

    def given(n):
        x, y = batch(n)
        spec = {"states": tf.TensorSpec((None, T, D)), "field": tf.TensorSpec((None, None))}
        return tf.data.Dataset.from_generator(
            lambda: iter([(x, y)]), output_signature=(spec, tf.TensorSpec((None, None, D)))
        )

    model = toy()
    model.compile("sgd", RolloutLoss(), jit_compile=jit_compile)
    x, y = batch(L + 2)
    wanted = loss_of(float64(model), {**x, "field": x["field"][:, :L]}, y[:, :L])
    assert model.evaluate(given(L + 2), steps=1, verbose=0) == pytest.approx(wanted, rel=1e-5)
    with pytest.raises(tf.errors.InvalidArgumentError, match="_up_to_the_horizon"):
        model.fit(given(L - 2), steps_per_epoch=1, shuffle=False, verbose=0)


@pytest.mark.parametrize("where", ["states", "field", "y", "sample_weight", "validation_data"])
def test_nan_in_arrays_is_refused_before_any_step(where):
    model = toy()
    model.compile("sgd", RolloutLoss())
    before = model.get_weights()
    x, y = batch(L)
    w = np.ones(7)
    bad = {"states": x["states"], "field": x["field"], "y": y, "sample_weight": w}
    kwargs = {}
    if where == "validation_data":
        kwargs["validation_data"] = x, np.full_like(y, np.nan)
    else:
        bad[where][3] = np.nan
    with pytest.raises(ValueError, match=rf"`.*{where}.*` must be finite; received nan at index"):
        model.fit(x, y, sample_weight=w, verbose=0, **kwargs)
    for one, two in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "nadam"])
def test_nan_restores_the_state_before_the_epoch(optimizer):
    model = toy()
    model.compile(optimizer, RolloutLoss())
    x, y = batch(L)
    epochs = []

    def generator():
        for epoch in range(4):
            epochs.append(epoch)
            for i in range(5):
                yield x, y * (np.nan if (epoch, i) == (2, 1) else 1)

    weights = {}
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weights.update({epoch: model.get_weights()})
    )
    sentence = r"loss must stay finite; received loss nan in epoch 3, before which the model has"
    with pytest.raises(ValueError, match=sentence):
        model.fit(
            generator(), steps_per_epoch=5, epochs=4, callbacks=[keep], shuffle=False, verbose=0
        )
    assert epochs[-1] <= 3, "it stopped"
    for one, two in zip(model.get_weights(), weights[1], strict=True):
        np.testing.assert_array_equal(one, two)
    steps = [v for v in model.optimizer.variables if v.path.endswith("iteration")]
    assert [int(v) for v in steps] == [10], "as many as counted, though 16 may be taken at once"
    assert np.isfinite(model.fit(x, y, verbose=0).history["loss"]).all(), "and can go on"


@pytest.mark.parametrize("built", [True, False])
def test_nan_in_the_first_epoch_raises(built):
    model = toy() if built else RecursiveRolloutModel(Own(), window=T, horizon=L)
    model.compile("nadam", RolloutLoss())
    before = model.get_weights()
    x, y = batch(L)
    # Where Keras builds the model before the epoch begins, its state is restored after all.
    state = "before which the model has been put back"
    if not built:
        state = f"({state}|in which the model was built, so that it must be made anew)"
    with pytest.raises(ValueError, match=f"received loss nan in epoch 1, {state}"):
        model.fit(((x, y * np.nan) for _ in range(3)), steps_per_epoch=1, shuffle=False, verbose=0)
    for one, two in zip(model.get_weights(), before, strict=False):
        np.testing.assert_array_equal(one, two)


# -------------------------------------------------------------------------------------------------
# With the microstructure
# -------------------------------------------------------------------------------------------------


def informed(horizon=3):
    network = predictor(2, 4, hidden_layers=1, width=8, input_noise=0.1, microstructure_size=3)
    encoder = microstructure_encoder(3, width=4, mean=(0, 0, 0), spread=(1, 1, 1))
    return RecursiveRolloutModel(network, window=4, horizon=horizon, microstructure=encoder)


@pytest.mark.slow
def test_microstructure_reaches_every_step_and_is_trained(tmp_path):
    rng = np.random.default_rng(0)
    states, field = rng.normal(size=(5, 30, 2)), np.linspace(1.0, -1.0, 30)
    start = rng.normal(size=(5, 8, 3))
    model = informed()
    model.compile("nadam", RolloutLoss())
    before = [np.array(w) for w in model.microstructure.get_weights()]
    windows = Windows(states, field, 4, 3, start=start)
    assert windows[0][0]["start"].shape == (64, 8, 3)
    model.fit(windows, verbose=0)
    assert any(
        (a != b).any() for a, b in zip(before, model.microstructure.get_weights(), strict=True)
    )

    rolled = model.rollout(states[:, :4], field[4:], start)
    # By hand: the predictor fed its own output, with the same numbers at every step.
    encoded = keras.ops.convert_to_numpy(model.microstructure(start))
    last = states[:, :4].astype("float32")
    for i, h in enumerate(field[4:]):
        inputs = {"states": last, "field": np.full((5, 1), h, "float32"), "microstructure": encoded}
        new = keras.ops.convert_to_numpy(model.predictor(inputs))
        np.testing.assert_allclose(rolled[:, i], new, rtol=1e-3, atol=1e-4)
        last = np.concatenate([last[:, 1:], new[:, None]], axis=1)
    assert np.abs(model.rollout(states[:, :4], field[4:], start[::-1]) - rolled).max() > 1e-3

    model.save(tmp_path / "rollout.keras")
    again = keras.saving.load_model(tmp_path / "rollout.keras")
    np.testing.assert_allclose(again.rollout(states[:, :4], field[4:], start), rolled, atol=1e-6)


def test_microstructure_needs_the_first_state():
    with pytest.raises(
        ValueError, match="`inputs` must be a dict of `states`, `field` and `start`"
    ):
        informed().rollout(np.zeros((1, 4, 2)), np.zeros(5))


@pytest.mark.slow
def test_latent_hysteresis_passes_its_first_state_on():
    lattice_autoencoder = autoencoder((2, 2, 2), 2, units=(4,))
    model = LatentHysteresis(lattice_autoencoder, informed())
    states = np.random.default_rng(1).normal(size=(2, 4, 8, 3))
    field = np.linspace(1.0, -1.0, 9)
    inputs = {"states": states, "field": np.tile(field, (2, 1))}
    loops = model.predict(inputs, verbose=0)
    latents = lattice_autoencoder.encoder.predict(states, verbose=0)
    rolled = model.rollout.rollout(latents, field[4:], states[:, 0])
    decoded = lattice_autoencoder.decoder.predict(rolled, verbose=0)
    np.testing.assert_allclose(loops[:, 4:], decoded, rtol=1e-3, atol=1e-4)


@pytest.mark.contract
@pytest.mark.skipif(keras.backend.backend() != "torch", reason="others compile the training step")
@pytest.mark.parametrize("frozen", [False, True])
def test_a_traced_recursion_trains_as_an_eager_one(frozen):
    x, y = batch(L + 2, b=11)
    histories, weights = [], []
    for eagerly in (False, True):
        model = toy()
        model.predictor.layers[-1].trainable = not frozen
        model.compile("nadam", RolloutLoss(), metrics=["mae"], run_eagerly=eagerly)
        fitted = model.fit(
            x, y, batch_size=4, epochs=3, shuffle=False, validation_data=(x, y), verbose=0
        )
        histories.append(fitted.history)
        weights.append(model.get_weights())
        # Of a full and of the last batch; with gradients, and without in validation.
        assert len(model._graphs) == 0 if eagerly or frozen else len(model._graphs) == 4
    for name, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][name], rtol=1e-6)
    for one, same in zip(*weights, strict=True):
        np.testing.assert_allclose(one, same, rtol=1e-5, atol=1e-7)


@pytest.mark.contract
def test_dropout_stays_random():
    network = keras.Sequential([keras.layers.Dropout(0.5), keras.layers.Dense(D)])
    inputs = {
        "states": keras.Input((T, D), name="states"),
        "field": keras.Input((1,), name="field"),
    }
    outputs = network(keras.layers.Flatten()(inputs["states"]))
    model = RecursiveRolloutModel(keras.Model(inputs, outputs), window=T, horizon=L)
    x, _ = batch(L)
    one, other = (keras.ops.convert_to_numpy(model(x, training=True)) for _ in range(2))
    assert np.abs(one - other).max() > 0
