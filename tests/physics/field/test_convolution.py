"""Convolutions by FFT, in NumPy and in graphs.

| who                                    | must agree with whom            | to       |
| -------------------------------------- | ------------------------------- | -------- |
| `fft_convolve`, in one chunk or more   | the sum written out             | rounding |
| a real kernel                          | the same                        | rounding |
| the number of chunks                   | what the cache and callers let  | exactly  |

Rounding is 1e-5 of the largest in float32, and 1e-13 in float64.
"""

import numpy as np
import pytest
from keras import ops
from scipy import fft

from keras_micromag.physics.field import convolution
from keras_micromag.utils.backend import COMPLEX, compiled, namespace, to_complex
from tests.keras_parts import numpy

pytestmark = pytest.mark.backend

ROUNDING = {"float32": 1e-5, "float64": 1e-13}
SHAPES = [(1, 1, 1), (3, 2, 4), (1, 5, 1), (4, 3, 7)]


def responses(shape, count, seed=0):
    """(count, 2x - 1, 2y - 1, 2z - 1) what a unit makes at each step from it, back and forth."""
    wide = 2 * np.array(shape) - 1
    return np.random.default_rng(seed).normal(size=(count, *wide))


def kernel_of(response, dtype):
    """(Z // 2 + 1, count, Y, X) transform of responses, in a box that nothing wraps around in."""
    shape = (np.array(response.shape[1:]) + 1) // 2
    box = (2 * shape[0] + 1, 2 * shape[1], 2 * shape[2])
    spread = np.zeros((len(response), *box))
    steps = np.ix_(range(len(response)), *(np.arange(1 - n, n) for n in shape))
    spread[steps] = response
    kernel = fft.rfftn(spread, axes=(1, 2, 3))
    return np.ascontiguousarray(np.moveaxis(kernel, (3, 2, 1), (0, 2, 3)), COMPLEX[dtype])


def written_out(values, response):
    """(b, count, x, y, z) Σ over all places of their value by the response to it."""
    shape = values.shape[1:]
    computed = np.zeros((len(values), len(response), *shape))
    for to in np.ndindex(shape):
        for place in np.ndindex(shape):
            step = np.array(to) - place + np.array(shape) - 1
            computed[:, :, *to] += values[:, None, *place] * response[None, :, *step]
    return computed


def convolve(values, kernel):
    """(b, count, x, y, z) of (b, x, y, z), by each of the kernel's parts."""
    xp = namespace(values)[0]

    def multiply(part, planes):
        assert part.shape[0] == len(range(kernel.shape[0])[planes])
        return part[:, :, None] * kernel[planes, None]

    return convolution.fft_convolve(xp, values, kernel.shape, multiply)


def assert_close(computed, expected, dtype):
    computed = numpy(computed)
    assert computed.dtype == dtype and computed.shape == expected.shape
    np.testing.assert_allclose(
        computed, expected, rtol=0, atol=ROUNDING[dtype] * abs(expected).max()
    )


@pytest.fixture(params=["in one chunk", "in a few", "one by one"])
def chunks(request, monkeypatch):
    """Number of planes in a chunk; the last chunk may hold fewer."""
    points = {"in one chunk": 2**30, "in a few": 100, "one by one": 1}[request.param]
    monkeypatch.setattr(convolution, "_CHUNK_POINTS", points)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.usefixtures("chunks")
def test_it_is_the_sum_written_out(shape, dtype):
    response = responses(shape, 3)
    kernel = kernel_of(response, dtype)
    values = np.random.default_rng(1).normal(size=(2, *shape)).astype(dtype)
    expected = written_out(values, response)
    assert_close(convolve(values, kernel), expected, dtype)
    tensors = ops.convert_to_tensor(values), ops.convert_to_tensor(kernel)
    assert_close(compiled(convolve)(*tensors), expected, dtype)


@pytest.mark.usefixtures("chunks")
def test_a_real_kernel_does():
    # That of what is the same back and forth.
    response = responses((4, 3, 5), 1)
    response = response + response[:, ::-1, ::-1, ::-1]
    kernel = kernel_of(response, "float32")
    assert abs(kernel.imag).max() < 1e-5 * abs(kernel).max()
    values = np.random.default_rng(1).normal(size=(2, 4, 3, 5)).astype("float32")

    def by_real(values, real):
        xp = namespace(values)[0]

        def multiply(part, planes):
            return part * to_complex(xp, real[planes, 0][:, None])

        return convolution.fft_convolve(xp, values, real.shape, multiply)

    expected = written_out(values, response)[:, 0]
    real = np.ascontiguousarray(kernel.real)
    assert_close(by_real(values, real), expected, "float32")
    inside = compiled(by_real)(ops.convert_to_tensor(values), ops.convert_to_tensor(real))
    assert_close(inside, expected, "float32")


def test_chunks_fit_the_cache_and_are_no_more_than_allowed(monkeypatch):
    kernel = kernel_of(responses((4, 3, 40), 1), "float32")
    planes = kernel.shape[0]
    seen = []

    def multiply(part, some):
        seen.append(some)
        return part

    def chunk_count(**allowed):
        seen.clear()
        values = np.zeros((4, 3, 40), "float32")
        convolution.fft_convolve(np, values, kernel.shape, multiply, **allowed)
        covered = [plane for some in seen for plane in range(planes)[some]]
        assert covered == list(range(planes))
        return len(seen)

    assert chunk_count() == 1
    monkeypatch.setattr(convolution, "_CHUNK_POINTS", kernel[0].size)
    assert 16 <= chunk_count() <= 32 < planes
    assert chunk_count(max_chunks=5) == 5
    assert chunk_count(max_chunks=1) == 1
    monkeypatch.setattr(convolution, "_CHUNK_POINTS", kernel.size // 3)
    assert chunk_count() == 3
