"""The layers inside others' layers and models: made in `build`, deferred, exported."""

from functools import cache

import keras
import numpy as np
import onnxruntime
import pytest
from keras import ops

from keras_micromag.layers import (
    EmbeddedStonerWohlfarth,
    GuptasarmaDemag,
    StonerWohlfarth,
    UnitNorm,
)
from keras_micromag.physics import cubic_grains, random_easy_axes

pytestmark = pytest.mark.backend

B, G, T = 3, 2, 5


def structure():
    return cubic_grains((2, 1, 1))


def moments():
    return random_easy_axes((B, G), seed=1).astype("float32")


# -------------------------------------------------------------------------------------------------
# Made in `build`, which `fit` calls while it traces
# -------------------------------------------------------------------------------------------------


class Field(keras.layers.Layer):
    """Moments -> the field at their particles, by layers made in `build`."""

    def build(self, input_shape):
        self.unit, self.demag = UnitNorm(), GuptasarmaDemag(structure())

    def call(self, moments):
        return self.demag(self.unit(moments))


class Loop(keras.layers.Layer):
    """Easy axes -> the magnet's states along a loop."""

    def build(self, input_shape):
        self.loop = EmbeddedStonerWohlfarth(structure())

    def call(self, axes):
        field = ops.tile(ops.linspace(8.0, -8.0, T)[None], (ops.shape(axes)[0], 1))
        return self.loop({"easy_axes": axes, "field": field})


class Own(keras.Model):
    """A model that makes its layers where it is built."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def build(self, input_shape):
        self.inner, self.last = self.kind(), keras.layers.Dense(1)
        self.inner.build(input_shape)
        self.last.build((None, None, None, 3))
        self.built = True

    def call(self, inputs):
        return self.last(self.inner(inputs))


def deferred(kind):
    return keras.Sequential([kind(), keras.layers.Dense(1)])


@pytest.mark.slow
@pytest.mark.contract
@pytest.mark.parametrize(
    ("make", "kind"),
    [(deferred, Field), (Own, Field), (deferred, Loop)],
    ids=["sequential", "subclass", "loop"],
)
def test_made_while_fit_traces(make, kind):
    model = make(kind)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    logs = model.fit(moments(), np.zeros((B, 1, 1, 1)), verbose=0).history
    eager = ops.convert_to_numpy(model(moments()))
    assert (eager**2).mean() == pytest.approx(logs["loss"][0], rel=1e-4)


# -------------------------------------------------------------------------------------------------
# Exports
# -------------------------------------------------------------------------------------------------


@cache
def particles():
    """From moments to those of particles on their branches, in the moments' own field."""
    inputs = keras.Input((G, 3), name="moments")
    axes = UnitNorm()(inputs)
    state = {"branch": ops.ones_like(axes[..., 0]), "easy_axes": axes}
    state["field"] = GuptasarmaDemag(structure())(axes)
    model = keras.Model(inputs, StonerWohlfarth()(state)["moments"])
    return model, model.predict(moments(), verbose=0)


@cache
def loop():
    """From easy axes to the field at the end of a loop."""
    inputs = keras.Input((G, 3), name="easy_axes")
    model = keras.Model(inputs, GuptasarmaDemag(structure())(Loop()(inputs)[:, -1]))
    return model, model.predict(moments(), verbose=0)


def export(model, path, format):
    batch = B if keras.backend.backend() == "torch" else None
    signature = [keras.InputSpec(shape=(batch, G, 3), dtype="float32")]
    model.export(path, format=format, verbose=False, input_signature=signature)


# The exporters' own warnings are many, and others with every version of theirs.
exports = pytest.mark.filterwarnings("ignore")


@pytest.mark.integration
@exports
def test_saved_model(tmp_path):
    if keras.backend.backend() == "torch":
        pytest.skip("PyTorch writes none")
    tf = pytest.importorskip("tensorflow")
    model, wanted = loop()
    export(model, tmp_path / "model", "tf_saved_model")
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    np.testing.assert_allclose(loaded.serve(moments()), wanted, atol=3e-5)


@exports
def test_onnx(tmp_path):
    if keras.backend.backend() == "jax":
        pytest.skip("Keras wants another package for it: see tests/models/test_saving.py")
    model, wanted = particles()
    export(model, tmp_path / "model.onnx", "onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    [given] = session.get_inputs()
    [actual] = session.run(None, {given.name: moments()})
    np.testing.assert_allclose(actual, wanted, atol=1e-5)


@pytest.mark.slow
@exports
def test_onnx_has_no_loop(tmp_path):
    model, _ = loop()
    if keras.backend.backend() == "torch":
        with pytest.raises(ValueError, match="`inputs` must be values on PyTorch, since a trace"):
            export(model, tmp_path / "model.onnx", "onnx")
    elif keras.backend.backend() == "tensorflow":
        export(model, tmp_path / "model.onnx", "onnx")
        with pytest.raises(Exception, match="No Op registered for PartitionedCall"):
            onnxruntime.InferenceSession(tmp_path / "model.onnx")
