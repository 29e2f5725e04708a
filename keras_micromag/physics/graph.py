"""The few things in which the Keras backends differ for a compiled loop."""

from functools import reduce

import numpy as np
from keras import backend, ops

_SHORT = 32


def compiled(function):
    """`function` of tensors, compiled once per shape on TensorFlow and JAX, as it is on PyTorch.

    Raises:
        ValueError: by what is returned, where PyTorch traces or exports it.
    """
    if backend.backend() == "jax":
        import jax

        return jax.jit(function)
    if backend.backend() == "tensorflow":
        import tensorflow as tf

        # Without XLA every operation of the loop is dispatched and written to memory on its own,
        # which costs more than the matrix product.
        return tf.function(function, jit_compile=True, autograph=False)
    return _untraced(function)


def _untraced(function):
    import torch

    def run(*tensors):
        if torch.jit.is_tracing() or torch.compiler.is_exporting():
            raise ValueError(
                "`inputs` must be values on PyTorch, since a trace or an export, to ONNX too, "
                "would hold the iterations that one input took; received what is being traced."
            )
        return function(*tensors)

    return run


def of_shape(tensor, shape, name: str):
    """`tensor`, which must have `shape`; TensorFlow may learn only when it runs, and then raises.

    Args:
        shape: static, None for an axis of any size.
        name: of the tensor, which TensorFlow's error tells.
    """
    if backend.backend() != "tensorflow":
        return tensor  # whose shape was known, and checked
    import tensorflow as tf

    # Not an assertion, which XLA leaves out; nor a reshape, which makes rows of other rows' values.
    return tf.ensure_shape(tensor, shape, name=name)


def namespace(*arrays):
    """`keras.ops` for a backend's tensors, else NumPy; and the arrays, in NumPy as float64."""
    if any(ops.is_tensor(array) for array in arrays):
        return ops, *arrays
    return np, *(np.asarray(array, dtype=np.float64) for array in arrays)


def require_dtype(dtype: str) -> None:
    """Raise where the backend would silently lower `dtype`.

    Raises:
        ValueError: for float64 on JAX without its x64 mode.
    """
    given = ops.convert_to_tensor(np.zeros((), dtype))
    if backend.standardize_dtype(given.dtype) != dtype:
        raise ValueError(
            f"`dtype` must be one that the backend really computes in; received {dtype!r}, which "
            f"{backend.backend()} lowers to {backend.standardize_dtype(given.dtype)!r} (JAX: set "
            "the environment variable JAX_ENABLE_X64=1)."
        )


def sum_over(tensor, axis: int):
    """Sum over a short static axis that is not the last."""
    return _reduced(ops.add, ops.sum, tensor, axis)


def max_over(tensor, axis: int):
    """Maximum over a short static axis that is not the last."""
    return _reduced(ops.maximum, ops.max, tensor, axis)


def _reduced(pairwise, whole, tensor, axis):
    # XLA on a CPU runs its own reductions an order of magnitude slower than short sums written out,
    # which it fuses with what precedes them; of long ones LLVM may compile for hours.
    # PyTorch runs every operation on its own.
    if backend.backend() == "torch" or tensor.shape[axis] > _SHORT:
        return whole(tensor, axis=axis)
    lead = (slice(None),) * axis
    return reduce(pairwise, [tensor[(*lead, i)] for i in range(tensor.shape[axis])])
