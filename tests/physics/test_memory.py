"""Memory, looked at before it is taken."""

import os

import pytest

from keras_micromag.physics import memory

GB = 10**9


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine whose files are those that a test writes."""
    monkeypatch.setattr(memory, "Path", lambda path: tmp_path / path.lstrip("/"))

    def write(**files):
        for name, text in files.items():
            path = tmp_path / PATHS[name]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")

    return write


PATHS = {
    "meminfo": "proc/meminfo",
    "most": "sys/fs/cgroup/memory.max",
    "used": "sys/fs/cgroup/memory.current",
    "old_most": "sys/fs/cgroup/memory/memory.limit_in_bytes",
    "old_used": "sys/fs/cgroup/memory/memory.usage_in_bytes",
}
MEMINFO = "MemTotal:       8000000 kB\nMemFree:         100000 kB\nMemAvailable:    4000000 kB"


def test_zeros_lie_where_jax_shares_them():
    for shape in [(3,), (5, 7), (2, 4, 3)]:
        for dtype in ("float32", "float64"):
            array = memory.zeros(shape, dtype)
            assert array.shape == shape and array.dtype == dtype and not array.any()
            assert array.ctypes.data % 64 == 0 and array.flags.writeable
            assert array.flags.c_contiguous


def test_this_machine_has_some():
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < memory.available() <= total


def test_what_is_available_not_what_is_free_or_there(machine):
    machine(meminfo=MEMINFO)
    assert memory.available() == 4_000_000 * 1024


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({"most": "max", "used": 3 * GB}, 4_000_000 * 1024),
        ({"most": 5 * GB, "used": 3 * GB}, 2 * GB),
        ({"most": 50 * GB, "used": 3 * GB}, 4_000_000 * 1024),
        ({"most": 2 * GB, "used": 3 * GB}, 0),
        ({"old_most": 5 * GB, "old_used": 4 * GB}, GB),
        ({"old_most": 2**63 - 4096, "old_used": 4 * GB}, 4_000_000 * 1024),
        ({"most": 5 * GB}, 4_000_000 * 1024),  # without what is used
    ],
)
def test_a_control_group_may_leave_less(machine, files, wanted):
    machine(meminfo=MEMINFO, **files)
    assert memory.available() == wanted


def test_elsewhere_it_is_all_there_is(machine):
    assert memory.available() == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_what_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 10 * GB)
    memory.require(0, "nothing", "do")
    memory.require(9 * GB, "the matrix", "do otherwise")
    sentence = r"^the matrix needs 9\.5 GB, of which 10 GB are free; do otherwise\.$"
    with pytest.raises(MemoryError, match=sentence):
        memory.require(95 * GB // 10, "the matrix", "do otherwise")
    with pytest.raises(MemoryError, match=r"the matrix needs 1\.23e\+04 GB, of which 10 GB are"):
        memory.require(12_345 * GB, "the matrix", "do otherwise")
