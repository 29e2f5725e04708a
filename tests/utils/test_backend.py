"""Functions that hide the differences of the backends."""

import pickle

import keras
import numpy as np
import pytest
from keras import ops

from keras_micromag.utils import backend, memory
from tests.keras_parts import precision

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("kind", ["float32", "complex64", "int32"])
def test_large_arrays_are_not_copied(kind):
    array = memory.zeros((backend._LARGE,), kind)
    large, small = backend.tensors((array, np.array([1.0, 2.0])), "float32")
    array[-1] = 7
    seen = ops.convert_to_numpy(large)
    assert seen.dtype == kind and seen[-1] == 7
    assert ops.dtype(small) == "float32"


@pytest.mark.parametrize("change", [np.transpose, lambda array: np.broadcast_to(array[:1], (9, 3))])
def test_arrays_that_cannot_be_shared_are_copied(change):
    array = change(np.arange(3.0 * backend._LARGE).reshape(-1, 3))
    np.testing.assert_array_equal(ops.convert_to_numpy(backend.tensors(array, "float32")), array)


@pytest.mark.parametrize("off", [1, 4])
def test_arrays_at_any_address_can_be_computed_with(off):
    array = memory.zeros((backend._LARGE + off,), "float32")[off:].reshape(1024, -1)
    array[:] = 0.5
    rows = ops.convert_to_tensor(np.ones((2, 1024), "float32"))
    product = backend.einsum(ops, "bs,st->bt", rows, backend.tensors(array, "float32"))
    np.testing.assert_array_equal(ops.convert_to_numpy(product), np.full((2, 1024), 512))


def test_other_arrays_become_the_dtype():
    array = np.ones(backend._LARGE)
    assert ops.dtype(backend.tensors(array, "float32")) == "float32"
    assert ops.dtype(backend.tensors(array.astype(int), "float32")) == "int32"


def test_constants_are_the_arrays():
    constants = backend.Constants((np.array([1.0, 2.0]), np.array([3])), "float32")
    for _ in range(2):
        real, count = constants.tensors()
        assert (ops.dtype(real), ops.dtype(count)) == ("float32", "int32")
        np.testing.assert_array_equal(ops.convert_to_numpy(real), [1, 2])


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="others keep them in their graphs")
def test_constants_stay_on_pytorchs_device():
    constants = backend.Constants(np.ones(3), "float32")
    with keras.device("meta:0"):
        there = constants.tensors()
        assert there.device.type == "meta" and constants.tensors() is there
    # Those that are not cached share the array's memory, or are small.
    assert constants.tensors().device.type == "cpu"
    copied = pickle.loads(pickle.dumps(constants))
    np.testing.assert_array_equal(copied.tensors(), np.ones(3))
    assert not copied._cache


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_maximum_and_minimum_keep_the_dtype(dtype):
    with precision(dtype):
        x, y = (ops.convert_to_tensor(np.array(v, dtype)) for v in ([0.1, 3.0], 0.3))
        for function, expected in ((backend.maximum, [0.3, 3.0]), (backend.minimum, [0.1, 0.3])):
            result = function(x, y)
            assert ops.dtype(result) == dtype
            np.testing.assert_array_equal(ops.convert_to_numpy(result), np.array(expected, dtype))


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX is asked for full precision")
def test_tensorfloat_32_on_a_gpu_warns(monkeypatch):
    backend.require_dtype("float32")
    # As if there were one.
    if keras.backend.backend() == "torch":
        import torch

        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "high")
    else:
        import tensorflow as tf

        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    with pytest.warns(UserWarning, match=r"to keep all: (torch\.set|tf\.config)"):
        backend.require_dtype("float32")
    backend.require_dtype("float64")
