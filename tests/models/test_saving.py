"""`.keras` files and exports of every model."""

import os
import subprocess
import sys
import zipfile
from functools import cache

import keras
import numpy as np
import onnxruntime
import pytest

from keras_micromag.losses import NormPreservingLoss, RolloutLoss
from keras_micromag.metrics import BranchAccuracy, NormError
from keras_micromag.models import (
    Autoencoder,
    LatentHysteresis,
    RecursiveRolloutModel,
    autoencoder,
    grain_autoencoder,
    predictor,
)
from keras_micromag.models.base import ComposedModel
from tests.keras_parts import numpy

pytestmark = pytest.mark.backend

B, N, D, T, GRID, G = 3, 9, 2, 4, (2, 2, 2), 8


def states(*lead):
    m = np.random.default_rng(1).normal(size=(*lead, G, 3)).astype("float32")
    return m / np.linalg.norm(m, axis=-1, keepdims=True)


def field(n=N):
    return np.tile(np.linspace(8, -8, n, dtype="float32"), (B, 1))


@cache
def an_autoencoder():
    model = autoencoder(GRID, D, units=(6,))
    model.compile("nadam", NormPreservingLoss(0.7, 0.3), metrics=[NormError(), BranchAccuracy()])
    model.fit(states(20, 1), states(20, 1), verbose=0)
    return model, states(B, 2)


@cache
def a_predictor():
    elu = {"activation": "elu", "output_activation": "elu"}
    model = predictor(D, T, hidden_layers=1, width=5, **elu)
    latent = np.random.default_rng(2).normal(size=(B, T, D)).astype("float32")
    return model, {"states": latent, "field": field(1)}


@cache
def a_rollout():
    network, x = a_predictor()
    model = RecursiveRolloutModel(network, window=T, horizon=3)
    model.compile("nadam", RolloutLoss())
    x = {"states": x["states"], "field": field()}
    model.fit(x, np.zeros((B, N, D)), verbose=0)
    return model, x


@cache
def a_loop():
    lattice_autoencoder, _ = an_autoencoder()
    rollout, _ = a_rollout()
    model = LatentHysteresis(lattice_autoencoder, rollout)
    return model, {"states": states(B, T), "field": field()}


MODELS = {"autoencoder": an_autoencoder, "predictor": a_predictor, "rollout": a_rollout}
MODELS["loop"] = a_loop


@pytest.fixture(params=MODELS)
def made(request):
    return MODELS[request.param]()


# -------------------------------------------------------------------------------------------------
# .keras
# -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.contract
def test_a_saved_model_is_the_same(made, tmp_path):
    model, x = made
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    if getattr(model, "compiled", False):
        assert loaded.loss.get_config() == model.loss.get_config()
        ours, theirs = ([np.asarray(v) for v in m.optimizer.variables] for m in (model, loaded))
        assert len(ours) == len(theirs) > 2
        for one, two in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, two)


def test_weights_alone_are_saved_too(made, tmp_path):
    model, x = made
    wanted = model.predict(x, verbose=0)
    model.save_weights(tmp_path / "model.weights.h5")
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    model.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(model.predict(x, verbose=0), wanted)


@pytest.mark.integration
def test_another_process_loads_them_all(tmp_path):
    for name, make in MODELS.items():
        model, x = make()
        model.save(tmp_path / f"{name}.keras")
        arrays = x if isinstance(x, dict) else {"only": x}
        np.savez(tmp_path / f"{name}.npz", wanted=model.predict(x, verbose=0), **arrays)
    code = f"""if True:
        import keras_micromag, keras, numpy
        for name in {list(MODELS)}:
            model = keras.saving.load_model(f"{{name}}.keras")
            x = dict(numpy.load(f"{{name}}.npz"))
            wanted = x.pop("wanted")
            same = model.predict(x.get("only", x), verbose=0)
            numpy.testing.assert_allclose(same, wanted, rtol=1e-5, atol=1e-6)
            print(name, "is the same")
    """
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend()},
        capture_output=True,
        text=True,
    )
    assert result.stdout.count("is the same") == len(MODELS), result.stderr


def test_clones_and_configs(made):
    model, x = made
    twin = type(model).from_config(model.get_config())
    # A model made of its config has weights of its own.
    assert [w.shape for w in twin.get_weights()] == [w.shape for w in model.get_weights()]
    twin.set_weights(model.get_weights())
    np.testing.assert_allclose(
        twin.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("kind", [Autoencoder, RecursiveRolloutModel, LatentHysteresis])
def test_a_config_of_another_version_is_refused(kind):
    made = {Autoencoder: an_autoencoder, RecursiveRolloutModel: a_rollout, LatentHysteresis: a_loop}
    config = made[kind]()[0].get_config()
    sentence = f"`config` must be one of this version's {kind.__name__}; received one that does not"
    with pytest.raises(ValueError, match=sentence):
        kind.from_config({**config, "from_the_future": 1})
    config.pop(kind.parts[0])
    with pytest.raises(ValueError, match=sentence):
        kind.from_config(config)


def test_a_file_of_another_version_is_refused(tmp_path, monkeypatch):
    model, _ = a_rollout()
    config = {**model.get_config(), "from_the_future": 1}
    monkeypatch.setattr(model, "get_config", lambda: config)
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="one of this version's RecursiveRolloutModel; received"):
        keras.saving.load_model(tmp_path / "model.keras")


def test_a_loop_of_encoder_rollout_and_decoder_is_refused():
    model, _ = a_loop()
    config = model.autoencoder.get_config() | {"rollout": model.get_config()["rollout"]}
    with pytest.raises(
        ValueError, match=r"one of this version's LatentHysteresis; .*; train the m"
    ):
        LatentHysteresis.from_config(config)


def test_an_autoencoder_of_single_states_is_refused():
    flat = keras.Sequential([keras.Input((*GRID, 3)), keras.layers.Flatten()])
    back = keras.Sequential([keras.Input((24,)), keras.layers.Reshape((*GRID, 3))])
    parts = {"encoder": flat, "decoder": back}
    config = {name: keras.saving.serialize_keras_object(part) for name, part in parts.items()}
    sentence = (
        r"`states` must have shape \(b, t, g, 3\).* \(None, 2, 2, 2, 3\); train the model again"
    )
    with pytest.raises(ValueError, match=sentence):
        Autoencoder.from_config(config)


def test_an_autoencoder_of_grains_by_its_earlier_name_is_loaded(tmp_path):
    model = grain_autoencoder(5, 2, embedding_size=3, width=4)
    rng = np.random.default_rng(1)
    shapes = {"states": (2, 3, 4, 3), "grains": (2, 4, 5), "neighbors": (2, 4, 4)}
    x = {name: rng.random(shape).astype("float32") for name, shape in shapes.items()}
    model.compile("adam", NormPreservingLoss(moment_weight=2.0))
    model.fit(x, x["states"], verbose=0)
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as file:
        files = {name: file.read(name) for name in file.namelist()}
    config = files["config.json"].decode()
    for new, old in (("Autoencoder", "GrainAutoencoder"), ("NormPreservingLoss", "GrainLoss")):
        assert f'"keras_micromag>{new}"' in config
        config = config.replace(f'"keras_micromag>{new}"', f'"keras_micromag>{old}"')
        config = config.replace(f'"class_name": "{new}"', f'"class_name": "{old}"')
    with zipfile.ZipFile(tmp_path / "old.keras", "w") as file:
        for name, content in {**files, "config.json": config.encode()}.items():
            file.writestr(name, content)
    loaded = keras.saving.load_model(tmp_path / "old.keras")
    assert isinstance(loaded, Autoencoder) and loaded.loss.moment_weight == 2.0
    np.testing.assert_array_equal(numpy(loaded(x)), numpy(model(x)))


# -------------------------------------------------------------------------------------------------
# Exports
# -------------------------------------------------------------------------------------------------


def signature(x, *, batch):
    """Of what to serve: the same sizes, and `batch` of them."""
    spec = keras.tree.map_structure(
        lambda a: keras.InputSpec(shape=(batch, *a.shape[1:]), dtype="float32"), x
    )
    return [spec]


# The exporters' own warnings are many, and others with every version of theirs.
exports = pytest.mark.filterwarnings("ignore")


@pytest.mark.slow
@pytest.mark.contract
@exports
def test_saved_model(made, tmp_path):
    model, x = made
    wanted = numpy(model(x))
    export = {"format": "tf_saved_model", "verbose": False}
    export["input_signature"] = signature(x, batch=None)
    if keras.backend.backend() == "torch":
        if isinstance(model, ComposedModel):
            with pytest.raises(ValueError, match='`format` must be "onnx", and `input_signature`'):
                model.export(tmp_path / "model", **export)
        return
    tf = pytest.importorskip("tensorflow")
    model.export(tmp_path / "model", **export)
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    np.testing.assert_allclose(loaded.serve(x), wanted, rtol=1e-5, atol=1e-6)


def run_onnx(path, x):
    """Return the output of ONNX Runtime; inputs are matched by rank, since Keras names them."""
    session = onnxruntime.InferenceSession(path)
    by_rank = {a.ndim: a for a in keras.tree.flatten(x)}
    [result] = session.run(None, {i.name: by_rank[len(i.shape)] for i in session.get_inputs()})
    return result


@exports
def test_onnx(made, tmp_path):
    model, x = made
    export = {"format": "onnx", "verbose": False}
    path = tmp_path / "model.onnx"
    if keras.backend.backend() == "jax":
        # Keras before 3.14 exports from JAX by way of TensorFlow.
        with pytest.raises(ImportError, match=r"This requires the (jax2onnx|tensorflow) module"):
            model.export(path, **export, input_signature=signature(x, batch=None))
        return
    wanted = model.predict(x, verbose=0)
    batch = B if keras.backend.backend() == "torch" else None
    model.export(path, **export, input_signature=signature(x, batch=batch))
    np.testing.assert_allclose(run_onnx(path, x), wanted, rtol=1e-4, atol=1e-5)


@exports
@pytest.mark.parametrize("make", [a_rollout, a_loop])
def test_one_export_for_any_number_of_fields(make, tmp_path):
    model, x = make()
    path = tmp_path / "model.onnx"
    if keras.backend.backend() != "tensorflow":
        with pytest.raises(ValueError, match="`input_signature` must be given for an export from"):
            model.export(path, format="onnx", verbose=False)
        return
    model(x)
    model.export(path, format="onnx", verbose=False)
    for n in (T + 1, 30):
        longer = {**x, "field": field(n)}
        np.testing.assert_allclose(
            run_onnx(path, longer), model.predict(longer, verbose=0), rtol=1e-4, atol=1e-5
        )


@exports
def test_pytorch_wants_every_size(tmp_path):
    if keras.backend.backend() != "torch":
        pytest.skip("only PyTorch does")
    model, x = an_autoencoder()
    model(x)
    with pytest.raises(ValueError, match=r"give every size, .*; received 'onnx' and None\."):
        model.export(tmp_path / "model.onnx", format="onnx", verbose=False)
