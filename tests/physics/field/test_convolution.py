"""Convolutions by way of waves, in NumPy and in graphs.

| who                                    | must agree with whom            | to       |
| -------------------------------------- | ------------------------------- | -------- |
| `convolved`, in one round or in many   | the sum written out             | rounding |
| a real kernel's                        | the same                        | rounding |
| rounds                                 | what the cache and callers let  | exactly  |

Rounding is 1e-5 of the largest in float32, and 1e-13 in float64.
"""

import numpy as np
import pytest
from keras import ops
from scipy import fft

from keras_micromag.physics.field import convolution
from keras_micromag.utils.backend import COMPLEX, compiled, complexed, namespace
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
    found = np.zeros((len(values), len(response), *shape))
    for to in np.ndindex(shape):
        for place in np.ndindex(shape):
            step = np.array(to) - place + np.array(shape) - 1
            found[:, :, *to] += values[:, None, *place] * response[None, :, *step]
    return found


def convolved(values, kernel):
    """(b, count, x, y, z) of (b, x, y, z), by each of the kernel's parts."""
    xp = namespace(values)[0]

    def through(part, planes):
        assert part.shape[0] == len(range(kernel.shape[0])[planes])
        return part[:, :, None] * kernel[planes, None]

    return convolution.convolved(xp, values, kernel.shape, through)


def assert_close(found, wanted, dtype):
    found = numpy(found)
    assert found.dtype == dtype and found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=0, atol=ROUNDING[dtype] * abs(wanted).max())


@pytest.fixture(params=["in one round", "in a few", "one by one"])
def rounds(request, monkeypatch):
    """How many planes are taken at a time; the last may be fewer."""
    points = {"in one round": 2**30, "in a few": 100, "one by one": 1}[request.param]
    monkeypatch.setattr(convolution, "_POINTS", points)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.usefixtures("rounds")
def test_it_is_the_sum_written_out(shape, dtype):
    response = responses(shape, 3)
    kernel = kernel_of(response, dtype)
    values = np.random.default_rng(1).normal(size=(2, *shape)).astype(dtype)
    wanted = written_out(values, response)
    assert_close(convolved(values, kernel), wanted, dtype)
    tensors = ops.convert_to_tensor(values), ops.convert_to_tensor(kernel)
    assert_close(compiled(convolved)(*tensors), wanted, dtype)


@pytest.mark.usefixtures("rounds")
def test_a_real_kernel_does():
    # That of what is the same back and forth.
    response = responses((4, 3, 5), 1)
    response = response + response[:, ::-1, ::-1, ::-1]
    kernel = kernel_of(response, "float32")
    assert abs(kernel.imag).max() < 1e-5 * abs(kernel).max()
    values = np.random.default_rng(1).normal(size=(2, 4, 3, 5)).astype("float32")

    def by_real(values, real):
        xp = namespace(values)[0]

        def through(part, planes):
            return part * complexed(xp, real[planes, 0][:, None])

        return convolution.convolved(xp, values, real.shape, through)

    wanted = written_out(values, response)[:, 0]
    real = np.ascontiguousarray(kernel.real)
    assert_close(by_real(values, real), wanted, "float32")
    inside = compiled(by_real)(ops.convert_to_tensor(values), ops.convert_to_tensor(real))
    assert_close(inside, wanted, "float32")


def test_rounds_are_as_many_as_fit_the_cache_and_no_more_than_allowed(monkeypatch):
    kernel = kernel_of(responses((4, 3, 40), 1), "float32")
    planes = kernel.shape[0]
    seen = []

    def through(part, some):
        seen.append(some)
        return part

    def taken(**allowed):
        seen.clear()
        values = np.zeros((4, 3, 40), "float32")
        convolution.convolved(np, values, kernel.shape, through, **allowed)
        covered = [plane for some in seen for plane in range(planes)[some]]
        assert covered == list(range(planes))
        return len(seen)

    assert taken() == 1
    monkeypatch.setattr(convolution, "_POINTS", kernel[0].size)
    assert 16 <= taken() <= 32 < planes
    assert taken(rounds=5) == 5
    assert taken(rounds=1) == 1
    monkeypatch.setattr(convolution, "_POINTS", kernel.size // 3)
    assert taken() == 3
