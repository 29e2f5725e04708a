"""Differences of the Keras backends, and of NumPy, in compiled loops and matrix products."""

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import reduce
from typing import Any

import numpy as np
import scipy.fft
from keras import backend, ops

from keras_micromag.utils import checks, memory, torch_graph

COMPLEX = {"float32": "complex64", "float64": "complex128"}
"""The complex dtype of the same precision as a real one."""

_LARGE = 2**20
"""Bytes from which an array is shared with the backend, where possible, instead of copied."""

_SHORT = {"tensorflow": 32, "jax": 64, "torch": 0}
"""Longest axis over which a sum is written out, term by term."""


def compiled(function: Callable) -> Callable:
    """Return `function` compiled once per shape on TensorFlow and JAX, and unchanged on PyTorch.

    Raises:
        ValueError: when the returned function is called while PyTorch traces or exports it.
    """
    if backend.backend() == "jax":
        import jax

        return jax.jit(function)
    if backend.backend() == "tensorflow":
        import tensorflow as tf

        # Without XLA every operation of the loop is dispatched separately, and its result written
        # to memory, which costs more than the matrix product.
        return tf.function(function, jit_compile=True, autograph=False)
    return _untraced(function)


def while_loop(condition: Callable, body: Callable, variables: tuple, *constants) -> tuple:
    """Run `variables = body(*variables, *constants)` while `condition` of the same holds.

    Use it in a function that is `compiled`. On PyTorch, which compiles no function, an iteration is
    traced once per shape; see `torch_graph`.

    Args:
        condition, body: functions of a module, which take what they need as arguments: PyTorch
            keeps their traces.
        variables: trees of tensors. On PyTorch `set_row` may write on them.
        constants: trees of tensors, and hashable settings.
    """
    if backend.backend() == "torch" and torch_graph.may_trace():
        return torch_graph.while_loop(condition, body, variables, *constants)
    return ops.while_loop(
        lambda *variables: condition(*variables, *constants),
        lambda *variables: body(*variables, *constants),
        variables,
    )


def few_threads(variables) -> AbstractContextManager:
    """Return a context in which PyTorch computes small arrays, as `variables` are, with one thread.

    `while_loop` does so by itself.
    """
    if backend.backend() == "torch":
        return torch_graph.few_threads(variables)
    return nullcontext()


def set_row(rows, i, row):
    """Return rows (n, …) with row (…) at the index i, a tensor; on PyTorch written in place."""
    if backend.backend() == "torch":
        return rows.index_copy_(0, i[None].long(), row[None])
    zero = ops.zeros_like(i)
    return ops.slice_update(rows, (i, *[zero] * (len(rows.shape) - 1)), row[None])


def _untraced(function):
    """Return `function`, which raises where PyTorch traces or exports it."""
    import torch

    def run(*tensors):
        if torch.jit.is_tracing() or torch.compiler.is_exporting():
            raise ValueError(
                "`inputs` must be values on PyTorch, since a trace or an export, to ONNX too, "
                "would hold the iterations that one input took; received what is being traced."
            )
        return function(*tensors)

    return run


def ensure_shape(tensor, shape, name: str):
    """Return `tensor`, which must have `shape`; TensorFlow checks that when the graph runs.

    Args:
        tensor: of a shape that other backends know, and that was checked.
        shape: static, None for an axis of any size.
        name: of the tensor, for TensorFlow's error.
    """
    if backend.backend() != "tensorflow":
        return tensor
    import tensorflow as tf

    # Not an assertion, which XLA leaves out; nor a reshape, which would mix the rows.
    return tf.ensure_shape(tensor, shape, name=name)


def namespace(*arrays):
    """Return `keras.ops` if any array is a tensor, else NumPy; and the arrays, in NumPy float64."""
    if any(ops.is_tensor(array) for array in arrays):
        return ops, *arrays
    return np, *(checks.numbers(array, "each argument") for array in arrays)


def tensors(tree, dtype: str):
    """Convert a tree of NumPy arrays to tensors of `dtype` (complex likewise), integers to int32.

    Tensors in the tree stay as they are.
    """
    if isinstance(tree, tuple):
        parts = [tensors(part, dtype) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    if ops.is_tensor(tree):
        return tree
    kinds = {"f": dtype, "c": COMPLEX[dtype]}
    array = np.asarray(tree)
    # Cast in NumPy, since JAX would compile a cast for every shape.
    array = array.astype(kinds.get(array.dtype.kind, "int32"), copy=False)
    if array.nbytes >= _LARGE and array.flags.carray:
        return _shared(array)
    return ops.convert_to_tensor(array, array.dtype.name)


def _shared(array):
    """Return a large array as a tensor, which on a CPU shares its memory."""
    if backend.backend() == "jax":
        import jax

        # Only arrays at multiples of 64 bytes are shared: see `memory.zeros`.
        with jax.ensure_compile_time_eval():
            return jax.device_put(array, may_alias=True)
    if backend.backend() == "torch":
        import torch

        return ops.convert_to_tensor(torch.from_numpy(array))
    if backend.backend() == "tensorflow":
        import tensorflow as tf

        # An unaligned array ends the process in the first operation on it.
        aligned = array.ctypes.data % memory.ALIGNED == 0
        if aligned and tf.executing_eagerly() and not tf.config.list_physical_devices("GPU"):
            return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
    return ops.convert_to_tensor(array)


class Constants:
    """A tree of NumPy arrays that a layer converts to tensors in every call.

    Tensors are not stored: one made while another layer is built belongs to the graph of that
    moment, and tf2onnx makes an input of one made outside of its graph. TensorFlow and JAX keep the
    arrays in their graphs, and on a CPU all backends share large ones. PyTorch has no graph and
    would copy them to a GPU in every call, so only there the tensors are cached, by device.
    """

    def __init__(self, tree, dtype: str):
        self._tree, self._dtype = tree, dtype
        self._cache: dict[str, Any] = {}

    def tensors(self):
        """Return the tree as tensors, on the device that Keras computes on."""
        device = _caching_device()
        if device is None:
            return tensors(self._tree, self._dtype)
        if device not in self._cache:
            self._cache[device] = tensors(self._tree, self._dtype)
        return self._cache[device]

    def __getstate__(self):
        return {**self.__dict__, "_cache": {}}


def _caching_device():
    """Return the name of PyTorch's device, or None if it is the CPU or a graph is traced."""
    if backend.backend() != "torch":
        return None
    import torch

    if torch.jit.is_tracing() or torch.compiler.is_compiling():
        return None
    device = ops.zeros(()).device
    return None if device.type == "cpu" else str(device)


def linear(function: Callable, adjoint: Callable) -> Callable:
    """Return a linear function of one tensor whose derivative in TensorFlow is the adjoint.

    XLA does not compile the derivative that TensorFlow makes of loops over slices.
    """
    if backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.custom_gradient(lambda x: (function(x), linear(adjoint, function)))


def einsum(xp, subscripts: str, *arrays):
    """Compute `ops.einsum` at full precision; `ops.matmul` of float64 is float32 on PyTorch."""
    if xp is np:
        return np.einsum(subscripts, *arrays, optimize=True)
    if backend.backend() == "jax":
        import jax

        # By default JAX computes float32 products to three digits on GPUs with TensorFloat-32.
        # `ops.einsum` takes `precision` from Keras 3.11 on only.
        with jax.default_matmul_precision("highest"):
            return ops.einsum(subscripts, *arrays)
    return ops.einsum(subscripts, *arrays)


def block_matmul(xp, rows, blocks):
    """Multiply rows (b, k, c) by one matrix (k, c, r) for each k; return (b, k, r)."""
    if xp is np:  # whose einsum does not call BLAS for this
        return np.swapaxes(np.swapaxes(rows, 0, 1) @ blocks, 0, 1)
    return einsum(xp, "bkc,kcr->bkr", rows, blocks)


def gather(xp, values, index):
    """Return (…, i) of values (b, n) or (b, 3, n), where index (i,) is along their last axis."""
    if len(values.shape) == 2:
        return xp.take(values, index, axis=1)
    # Component by component: otherwise XLA interleaves the components in memory, and everything
    # that follows reads with a stride of three.
    return xp.stack([xp.take(values[:, i], index, axis=1) for i in range(3)], axis=1)


def take_along_rows(values, index):
    """Return (b, k) the values (b, n) at index (b, k), which is not negative."""
    if backend.backend() == "torch":  # where Keras spends five operations on negative numbers
        return values.gather(1, index.long())
    return ops.take_along_axis(values, index, axis=1)


def one_hot(index, size: int, dtype: str):
    """Return (b, size) 1 at index (b,), else 0; `ops.one_hot` reads the index on PyTorch."""
    return ops.cast(ops.equal(index[:, None], ops.arange(size, dtype="int32")), dtype)


def segment_sum(xp, values, index, size: int):
    """Return (…, size) sums of values (…, *index.shape) that have the same index."""
    lead = tuple(values.shape)[: len(values.shape) - len(index.shape)]
    count = int(np.prod(index.shape))
    index = xp.reshape(index, (count,))
    rows = xp.reshape(values, (-1, count))
    if xp is np:
        total = np.empty((len(rows), size), values.dtype)
        for row, sums in zip(rows, total, strict=True):
            sums[:] = np.bincount(index, row, size)
    elif backend.backend() == "torch":  # where Keras sums in float32, whatever the values
        total = rows.new_zeros((rows.shape[0], size)).index_add(1, index, rows)
    else:
        total = xp.transpose(xp.segment_sum(xp.transpose(rows), index, size))
    return xp.reshape(total, (-1, *lead[1:], size))


def rfft(xp, values, count: int):
    """Return the transform (…, count // 2 + 1) of real values (…, n), zero-padded to `count`."""
    return _transform(xp, "rfft", values, count)


def irfft(xp, transform, count: int):
    """Return the real values (…, count) of a transform by `rfft`."""
    return _transform(xp, "irfft", transform, count)


def fft(xp, values, count: int):
    """Return the transform (…, count) of complex values (…, n), zero-padded to `count`."""
    return _transform(xp, "fft", values, count)


def ifft(xp, transform):
    """Return the complex values (…, n) of a transform by `fft`."""
    return _transform(xp, "ifft", transform, transform.shape[-1])


def _transform(xp, name, values, count):
    """Return the Fourier transform that every library calls `name`, along the last axis."""
    if xp is np:
        return getattr(scipy.fft, name)(values, count, workers=-1)
    if backend.backend() == "jax":
        import jax.numpy as jnp

        return getattr(jnp.fft, name)(values, count)
    if backend.backend() == "torch":
        import torch

        return getattr(torch.fft, name)(values, count)
    import tensorflow as tf

    if name in ("rfft", "irfft"):
        return getattr(tf.signal, name)(values, [count])
    before = [(0, 0)] * (len(values.shape) - 1)
    return getattr(tf.signal, name)(tf.pad(values, [*before, (0, count - values.shape[-1])]))


def on_cpu(tensor) -> bool:
    """Return whether `tensor` is computed on the CPU, where cache-sized chunks are faster."""
    if not ops.is_tensor(tensor):
        return True
    if backend.backend() == "jax":
        import jax

        return jax.default_backend() == "cpu"
    if backend.backend() == "tensorflow":
        import tensorflow as tf

        return not tf.config.list_physical_devices("GPU")
    return tensor.device.type == "cpu"


def to_complex(xp, values):
    """Cast real values to the complex dtype of their precision."""
    if xp is np:
        return values
    return ops.cast(values, COMPLEX[ops.dtype(values)])


def require_dtype(dtype: str) -> None:
    """Raise where the backend would silently lower `dtype`, and warn where a GPU rounds products.

    Raises:
        ValueError: for float64 on JAX without its x64 mode.
    """
    tensor = ops.convert_to_tensor(np.zeros((), dtype))
    if backend.standardize_dtype(tensor.dtype) != dtype:
        raise ValueError(
            f"`dtype` must be one that the backend really computes in; received {dtype!r}, which "
            f"{backend.backend()} lowers to {backend.standardize_dtype(tensor.dtype)!r} (JAX: set "
            "the environment variable JAX_ENABLE_X64=1)."
        )
    if dtype == "float32" and (remedy := _remedy_for_tensor_float_32()):
        message = f"A GPU keeps three digits of matrix products in float32; to keep all: {remedy}."
        warnings.warn(message, stacklevel=3)


def _remedy_for_tensor_float_32():
    """Return the setting that stops a GPU from rounding factors to TensorFloat-32, if it does."""
    if backend.backend() == "torch":
        import torch

        if torch.cuda.is_available() and torch.get_float32_matmul_precision() != "highest":
            return "torch.set_float32_matmul_precision('highest')"
    if backend.backend() == "tensorflow":
        import tensorflow as tf

        config = tf.config
        if (
            config.list_physical_devices("GPU")
            and config.experimental.tensor_float_32_execution_enabled()
        ):
            return "tf.config.experimental.enable_tensor_float_32_execution(False)"
    return None  # on JAX `einsum` asks for full precision itself


def maximum(x, y):
    """Return the element-wise maximum; `ops.maximum` of two float64 is float32 on PyTorch."""
    if backend.backend() == "torch":
        return x.maximum(y)
    return ops.maximum(x, y)


def minimum(x, y):
    """Return the element-wise minimum; `ops.minimum` of two float64 is float32 on PyTorch."""
    if backend.backend() == "torch":
        return x.minimum(y)
    return ops.minimum(x, y)


def sum_over(tensor, axis: int):
    """Return the sum over a short static axis that is not the last."""
    return _reduced(ops.add, ops.sum, tensor, axis)


def max_over(tensor, axis: int):
    """Return the maximum over a short static axis that is not the last."""
    return _reduced(maximum, ops.max, tensor, axis)


def _reduced(pairwise, reduction, tensor, axis):
    """Reduce term by term along a short axis, and by the backend's `reduction` along a long one."""
    # XLA on a CPU runs its own reductions an order of magnitude slower than short sums written out,
    # which it fuses with the operations before them; LLVM may compile long ones for hours.
    # PyTorch runs every operation separately.
    if tensor.shape[axis] > _SHORT[backend.backend()]:
        return reduction(tensor, axis=axis)
    lead = (slice(None),) * axis
    return reduce(pairwise, [tensor[(*lead, i)] for i in range(tensor.shape[axis])])
