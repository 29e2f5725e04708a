"""Zero-padded convolutions by FFT, in NumPy and in Keras graphs.

The transform along z is computed first. Those along y and x, forward and back, are computed for a
few planes at a time, so that the planes stay in the processor's cache. Rows that hold padding only,
half of them or more, are never transformed.
"""

from collections.abc import Callable
from math import prod
from typing import Any

from keras_micromag.utils import backend

_CHUNK_POINTS = 2**18
"""Points of the planes that are transformed together: 2 MB in single precision."""

_MAX_CHUNKS = 32
"""Most chunks of planes, since each is compiled."""


def fft_convolve(
    xp: Any,
    values: Any,
    kernel_shape: tuple[int, ...],
    multiply: Callable,
    max_chunks: int = _MAX_CHUNKS,
) -> Any:
    """Convolve real values (…, x, y, z) with a kernel that is given by its Fourier transform.

    Args:
        xp: `numpy` or `keras.ops`, whichever `values` belongs to.
        values: real, (…, x, y, z).
        kernel_shape: (Z // 2 + 1, …, Y, X) of the kernel's transform, large enough that nothing
            wraps around.
        multiply: (transform (k, …, Y, X), slice of the Z // 2 + 1 planes) -> transform; multiplies
            by the kernel, and may change the leading axes.
        max_chunks: most chunks of planes that are transformed one after another.

    Returns:
        (…, x, y, z), with the leading axes that `multiply` returns.
    """
    planes, padded_y, padded_x = kernel_shape[0], *kernel_shape[-2:]
    padded_z = 2 * (planes - 1)
    x, y, z = values.shape[-3:]
    points = planes * padded_x * padded_y * prod(n or 1 for n in values.shape[:-3])
    if not backend.on_cpu(values):
        max_chunks = 1
    chunk = -(-planes // max(1, min(max_chunks, points // _CHUNK_POINTS)))
    transform = xp.moveaxis(backend.rfft(xp, values, padded_z), -1, 0)
    chunks = []
    for first in range(0, planes, chunk):
        selected = slice(first, min(first + chunk, planes))
        part = xp.swapaxes(backend.fft(xp, transform[selected], padded_y), -1, -2)
        part = multiply(backend.fft(xp, part, padded_x), selected)
        part = xp.swapaxes(backend.ifft(xp, part)[..., :x], -1, -2)
        chunks.append(backend.ifft(xp, part)[..., :y])
    transform = xp.moveaxis(xp.concatenate(chunks, axis=0), 0, -1)
    return backend.irfft(xp, transform, padded_z)[..., :z]
