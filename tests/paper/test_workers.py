"""Pieces in processes of their own."""

import os
import signal
import subprocess
import sys
import time

import pytest

from keras_micromag.paper import workers
from tests.waiting import wait_until

pytestmark = pytest.mark.integration


def squared(number):
    assert os.environ["OMP_NUM_THREADS"] == "1"
    return number**2


def killed(number):
    os.kill(os.getpid(), signal.SIGKILL)


def waits(path):
    with open(path, "w") as file:
        file.write(str(os.getpid()))
    time.sleep(600)


def test_each_comes_with_its_argument():
    assert dict(workers.map_in_processes(abs, [-1, 2], jobs=1)) == {-1: 1, 2: 2}
    before = dict(os.environ)
    assert dict(workers.map_in_processes(squared, range(5), jobs=2)) == {n: n**2 for n in range(5)}
    assert dict(os.environ) == before


def test_a_killed_worker_raises():
    with pytest.raises(ChildProcessError, match="a worker was killed; the same command goes on"):
        list(workers.map_in_processes(killed, [1, 2], jobs=2))


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    code = (
        "from keras_micromag.paper import workers\n"
        "from tests.paper.test_workers import waits\n"
        "if __name__ == '__main__':\n"
        f"    list(workers.map_in_processes(waits, [{str(tmp_path / 'pid')!r}], jobs=2))\n"
    )
    (tmp_path / "parent.py").write_text(code)
    root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    environ = {**os.environ, "PYTHONPATH": root}
    parent = subprocess.Popen([sys.executable, str(tmp_path / "parent.py")], env=environ)
    child = wait_until(lambda: int((tmp_path / "pid").read_text() or 0))
    parent.kill()
    parent.wait()
    assert wait_until(lambda: not _runs(child))


def _runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"  # nobody may have asked after it
