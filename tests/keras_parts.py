"""Checks that every Keras layer of this package must pass, and helpers for every backend."""

import contextlib

import keras
import numpy as np
from keras import ops, tree


def numpy(value):
    return tree.map_structure(ops.convert_to_numpy, value)


@contextlib.contextmanager
def precision(dtype):
    """Compute in `dtype` inside this context: JAX has float64 in a mode of its own."""
    if dtype == "float64" and keras.backend.backend() == "jax":
        import jax

        before = jax.config.jax_enable_x64
        jax.config.update("jax_enable_x64", True)  # jax.enable_x64 is in JAX 0.8 and later only
        try:
            yield
        finally:
            jax.config.update("jax_enable_x64", before)
    else:
        yield


def symbol(array, **kwargs):
    return keras.Input(array.shape[1:], dtype=str(array.dtype), **kwargs)


def check_layer(layer, inputs, tmp_path, *, atol=0.0):
    """Hold `layer` to Keras's conventions on `inputs`, an array or a dict of arrays.

    Symbolic and eager shapes and dtypes agree; it works in a functional model, compiled by
    `predict`; its config is JSON and makes an equal layer; a saved model gives the same outputs.
    """
    eager = numpy(layer(inputs))
    if isinstance(inputs, dict):
        symbolic = {name: symbol(array, name=name) for name, array in inputs.items()}
    else:
        symbolic = symbol(inputs)
    outputs = layer(symbolic)
    for tensor, array in zip(tree.flatten(outputs), tree.flatten(eager), strict=True):
        assert tuple(tensor.shape)[1:] == array.shape[1:]
        assert tensor.dtype == str(array.dtype)
    twin = type(layer).from_config(layer.get_config())
    assert twin.get_config() == layer.get_config()
    model = keras.Model(symbolic, outputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    batch = len(tree.flatten(inputs)[0])
    result = loaded.predict(inputs, batch_size=batch, verbose=0)
    for array, same in zip(tree.flatten(eager), tree.flatten(result), strict=True):
        assert array.dtype == same.dtype
        np.testing.assert_allclose(array.astype(float), same.astype(float), rtol=1e-5, atol=atol)


def gradient(function, value):
    """d function(value) / d value as NumPy, on any backend, compiled where there is a compiler."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return np.asarray(jax.jit(jax.grad(function))(ops.convert_to_tensor(value)))
    if backend == "tensorflow":
        import tensorflow as tf

        tensor = tf.convert_to_tensor(value)
        with tf.GradientTape() as tape:
            tape.watch(tensor)
            result = function(tensor)
        return tape.gradient(result, tensor).numpy()
    import torch

    tensor = torch.tensor(value, requires_grad=True)
    function(tensor).backward()
    return tensor.grad.numpy()
