"""The few things in which the Keras backends, and NumPy, differ for compiled loops and products."""

import warnings
from functools import reduce

import numpy as np
from keras import backend, ops
from scipy import fft

from keras_micromag.utils import memory

COMPLEX = {"float32": "complex64", "float64": "complex128"}
"""The complex dtype of a real one's precision."""

_LARGE = 2**20
"""Bytes from which an array is not copied, where that can be."""

_SHORT = {"tensorflow": 32, "jax": 64, "torch": 0}
"""Longest axis over which sums are written out."""


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


def tensors(tree, dtype: str):
    """A tree of NumPy arrays as one of tensors: real and complex ones of `dtype`, others int32.

    Tensors in it stay as they are.
    """
    if isinstance(tree, tuple):
        parts = [tensors(part, dtype) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    if ops.is_tensor(tree):
        return tree
    kinds = {"f": dtype, "c": COMPLEX[dtype]}
    array = np.asarray(tree)
    # Here, since JAX would compile a cast for every shape.
    array = array.astype(kinds.get(array.dtype.kind, "int32"), copy=False)
    if array.nbytes >= _LARGE and array.flags.carray:
        return _shared(array)
    return ops.convert_to_tensor(array, array.dtype.name)


def _shared(array):
    """A large array as a tensor, on a CPU in the same memory."""
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

        # An array at another address ends the process, in the first operation on it.
        aligned = array.ctypes.data % memory.ALIGNED == 0
        if aligned and tf.executing_eagerly() and not tf.config.list_physical_devices("GPU"):
            return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
    return ops.convert_to_tensor(array)


class Constants:
    """A tree of NumPy arrays that a layer takes as tensors in every call.

    It has no tensors of its own: one made while another layer is built belongs to the graph of that
    moment, and tf2onnx takes one made outside for a further input. TensorFlow and JAX keep the
    arrays in their graphs, on a CPU all backends share large ones; PyTorch, which has no graph,
    would copy them to a GPU in every call, and so leaves them there.
    """

    def __init__(self, tree, dtype: str):
        self._tree, self._dtype, self._kept = tree, dtype, {}

    def tensors(self):
        """The tree as tensors, on the device that Keras computes on."""
        device = _device_that_keeps()
        if device is None:
            return tensors(self._tree, self._dtype)
        if device not in self._kept:
            self._kept[device] = tensors(self._tree, self._dtype)
        return self._kept[device]

    def __getstate__(self):
        return {**self.__dict__, "_kept": {}}


def _device_that_keeps():
    """Name of PyTorch's device, unless it is the CPU or a graph is made after all."""
    if backend.backend() != "torch":
        return None
    import torch

    if torch.jit.is_tracing() or torch.compiler.is_compiling():
        return None
    device = ops.zeros(()).device
    return None if device.type == "cpu" else str(device)


def linear(function, adjoint):
    """A linear function of one tensor, whose derivative TensorFlow takes from its adjoint.

    What TensorFlow derives from loops over slices, XLA does not compile.
    """
    if backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.custom_gradient(lambda x: (function(x), linear(adjoint, function)))


def einsum(xp, subscripts, *arrays):
    """As `ops.einsum`, and not `ops.matmul`, which gives float32 for float64 on PyTorch."""
    if xp is np:
        return np.einsum(subscripts, *arrays, optimize=True)
    # JAX would give products of float32 three digits on a GPU that has units for it.
    options = {"precision": "highest"} if backend.backend() == "jax" else {}
    return ops.einsum(subscripts, *arrays, **options)


def by_blocks(xp, rows, blocks):
    """(b, k, r) from rows (b, k, c) and a matrix (k, c, r) for each k."""
    if xp is np:  # whose einsum takes no library for it
        return np.swapaxes(np.swapaxes(rows, 0, 1) @ blocks, 0, 1)
    return einsum(xp, "bkc,kcr->bkr", rows, blocks)


def taken(xp, values, index):
    """(…, i) of values (b, n) or (b, 3, n), where index (i,) is along their last axis."""
    if len(values.shape) == 2:
        return xp.take(values, index, axis=1)
    # Components one by one: XLA lays those that are taken together side by side, and all that
    # follows reads them in steps of three.
    return xp.stack([xp.take(values[:, i], index, axis=1) for i in range(3)], axis=1)


def summed_by(xp, values, index, size: int):
    """(…, size) sums of values (…, *index.shape) that have the same index."""
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


def real_waves(xp, values, count: int):
    """(…, count // 2 + 1) Fourier transform of real values (…, n), padded with zeros to `count`."""
    return _transform(xp, "rfft", values, count)


def real_values(xp, waves, count: int):
    """(…, count) what `real_waves` made waves of."""
    return _transform(xp, "irfft", waves, count)


def waves(xp, values, count: int):
    """(…, count) Fourier transform of complex values (…, n), padded with zeros to `count`."""
    return _transform(xp, "fft", values, count)


def values(xp, waves):
    """(…, n) what `waves` made them of."""
    return _transform(xp, "ifft", waves, waves.shape[-1])


def _transform(xp, name, values, count):
    """The Fourier transform that all call so, along the last axis."""
    if xp is np:
        return getattr(fft, name)(values, count, workers=-1)
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


def on_processor(tensor) -> bool:
    """Whether computed on the CPU, which has a cache for what is small enough."""
    if not ops.is_tensor(tensor):
        return True
    if backend.backend() == "jax":
        import jax

        return jax.default_backend() == "cpu"
    if backend.backend() == "tensorflow":
        import tensorflow as tf

        return not tf.config.list_physical_devices("GPU")
    return tensor.device.type == "cpu"


def complexed(xp, values):
    """Real values in the complex dtype of their precision."""
    if xp is np:
        return values
    return ops.cast(values, COMPLEX[ops.dtype(values)])


def require_dtype(dtype: str) -> None:
    """Raise where the backend would silently lower `dtype`, and warn where a GPU would.

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
    if dtype == "float32" and (remedy := _for_whole_products()):
        message = f"A GPU keeps three digits of matrix products in float32; to keep all: {remedy}."
        warnings.warn(message, stacklevel=3)


def _for_whole_products():
    """What the user can set where a GPU rounds the factors of products to TensorFloat-32."""
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
    # `einsum` asks JAX for them.
    return None


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
    if tensor.shape[axis] > _SHORT[backend.backend()]:
        return whole(tensor, axis=axis)
    lead = (slice(None),) * axis
    return reduce(pairwise, [tensor[(*lead, i)] for i in range(tensor.shape[axis])])
