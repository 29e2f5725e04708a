"""Checks of the free memory."""

import os

import pytest

from keras_micromag.utils import memory

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
    "groups": "proc/self/cgroup",
    "most": "sys/fs/cgroup/memory.max",
    "used": "sys/fs/cgroup/memory.current",
    "stat": "sys/fs/cgroup/memory.stat",
    "old_most": "sys/fs/cgroup/memory/memory.limit_in_bytes",
    "old_used": "sys/fs/cgroup/memory/memory.usage_in_bytes",
    "old_stat": "sys/fs/cgroup/memory/memory.stat",
    # A job's, and one of its steps'.
    "job_most": "sys/fs/cgroup/job/memory.max",
    "job_used": "sys/fs/cgroup/job/memory.current",
    "step_most": "sys/fs/cgroup/job/step/memory.max",
    "step_used": "sys/fs/cgroup/job/step/memory.current",
    "step_stat": "sys/fs/cgroup/job/step/memory.stat",
    "old_job_most": "sys/fs/cgroup/memory/job/memory.limit_in_bytes",
    "old_job_used": "sys/fs/cgroup/memory/job/memory.usage_in_bytes",
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


STEP, OLD_STEP = "0::/job/step", "9:name=systemd:/else\n4:memory,hugetlb:/job/step\n0::/else"
JOB = {"job_most": 4 * GB, "job_used": 3 * GB}
OLD_JOB = {"old_job_most": 4 * GB, "old_job_used": 3 * GB}


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        # Wherever in the path the limit is, and the smallest of them.
        ({"groups": STEP, **JOB}, GB),
        ({"groups": STEP, **JOB, "step_most": "max", "step_used": GB}, GB),
        ({"groups": STEP, **JOB, "step_most": 2 * GB, "step_used": 3 * GB // 2}, GB // 2),
        ({"groups": STEP, **JOB, "step_most": 5 * GB, "step_used": GB}, GB),
        ({"groups": STEP, **JOB, "most": 5 * GB, "used": 49 * GB // 10}, GB // 10),
        ({"groups": OLD_STEP, **OLD_JOB}, GB),
        ({"groups": OLD_STEP, **OLD_JOB, "old_most": 4 * GB, "old_used": 35 * GB // 10}, GB // 2),
        # Those of others, and in a container the path outside of it, which is not there.
        ({"groups": "0::/", **JOB}, 4_000_000 * 1024),
        ({"groups": "0::/other/step", **JOB, "most": 5 * GB, "used": 3 * GB}, 2 * GB),
        ({"groups": "0::/../job", **JOB}, 4_000_000 * 1024),
    ],
)
def test_groups_lie_in_others(machine, files, wanted):
    machine(meminfo=MEMINFO, **files)
    assert memory.available() == wanted


STAT = "anon 1000\ninactive_file 1500000000\nactive_file 1"
OLD_STAT = "inactive_file 7\ntotal_inactive_file 1500000000"


@pytest.mark.parametrize(
    "files",
    [
        {"most": 5 * GB, "used": 4 * GB, "stat": STAT},
        {"old_most": 5 * GB, "old_used": 4 * GB, "old_stat": OLD_STAT},
        {"groups": STEP, "step_most": 5 * GB, "step_used": 4 * GB, "step_stat": STAT},
    ],
)
def test_what_is_cached_of_files_can_be_had(machine, files):
    machine(meminfo=MEMINFO, **files)
    assert memory.available() == 25 * GB // 10


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
