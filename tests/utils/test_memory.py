"""Checks of the available memory."""

import builtins
import io
import math
import os

import pytest

from keras_micromag.utils import memory

GB = 10**9


def test_zeros_are_aligned_so_that_jax_shares_them():
    for shape in [(3,), (5, 7), (2, 4, 3)]:
        for dtype in ("float32", "float64"):
            array = memory.zeros(shape, dtype)
            assert array.shape == shape and array.dtype == dtype and not array.any()
            assert array.ctypes.data % 64 == 0 and array.flags.writeable
            assert array.flags.c_contiguous


@pytest.fixture
def meminfo(monkeypatch):
    """Replace the text of `/proc/meminfo`; None where there is no such file."""

    def replace(text):
        def opened(path, **_):
            assert path == "/proc/meminfo"
            if text is None:
                raise FileNotFoundError(path)
            return io.StringIO(text)

        monkeypatch.setattr(builtins, "open", opened)

    return replace


def total_memory():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


needs_sysconf = pytest.mark.skipif(not hasattr(os, "sysconf"), reason="Windows has no such call")


@needs_sysconf
def test_this_machine_has_memory_left():
    assert 0 < memory.available() <= total_memory()


def test_on_linux_it_is_the_memory_that_can_be_allocated(meminfo):
    meminfo("MemTotal: 8000000 kB\nMemFree: 100000 kB\nMemAvailable:    4000000 kB\n")
    assert memory.available() == 4_000_000 * 1024


@needs_sysconf
@pytest.mark.parametrize("text", [None, "MemTotal: 8000000 kB\n"])
def test_on_other_systems_it_is_the_total_memory(meminfo, text):
    meminfo(text)
    assert memory.available() == total_memory()


def test_on_windows_nothing_is_refused(meminfo, monkeypatch):
    meminfo(None)
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert memory.available() == math.inf
    memory.require(12_345 * GB, "the matrix", "do otherwise")


def test_an_object_that_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 10 * GB)
    memory.require(0, "nothing", "do")
    memory.require(9 * GB, "the matrix", "do otherwise")
    sentence = r"^the matrix needs 9\.5 GB, of which 10 GB are free; do otherwise\.$"
    with pytest.raises(MemoryError, match=sentence):
        memory.require(95 * GB // 10, "the matrix", "do otherwise")
    with pytest.raises(MemoryError, match=r"the matrix needs 1\.23e\+04 GB, of which 10 GB are"):
        memory.require(12_345 * GB, "the matrix", "do otherwise")
