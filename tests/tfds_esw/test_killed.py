"""Builds that are killed: no partial file is used, and the next build resumes."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow_datasets as tfds

import tfds_esw
from tests.tfds_esw.test_builder import assert_same, files, read
from tfds_esw import simulations
from tfds_esw.tfds_esw_dataset_builder import batch_name

pytestmark = pytest.mark.integration

PARAMETERS = {"shape": (2, 2, 2), "steps": 200, "splits": {"train": 100, "test": 30}}
CONFIG = tfds_esw.Config(**PARAMETERS)
BATCHES = 5


def builder(folder):
    return tfds_esw.Builder(config=CONFIG, data_dir=folder)


def start(folder, before=""):
    """A process that builds; `before` is what it does first."""
    code = f"""if True:
        import resource, tfds_esw
        {before}
        config = tfds_esw.Config(**{PARAMETERS})
        tfds_esw.Builder(config=config, data_dir={str(folder)!r}).download_and_prepare()
    """
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    made = builder(tmp_path_factory.mktemp("undisturbed"))
    made.download_and_prepare()
    return made


@pytest.fixture
def simulated(monkeypatch):
    """The numbers of the batches that are simulated in this process."""
    numbers, batch = [], simulations.batch
    monkeypatch.setattr(
        simulations, "batch", lambda config, n: numbers.append(n) or batch(config, n)
    )
    return numbers


def test_killed_at_random_moments(undisturbed, simulated, tmp_path):
    moments = random.Random(1)
    for kept in (1, 3):  # at least as many batches finished before it is killed
        process = start(tmp_path)
        while process.poll() is None and len(list(tmp_path.rglob("0*.npz"))) < kept:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.05))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        made = builder(tmp_path)
        if made.is_prepared():
            break  # it was faster
        with pytest.raises(Exception, match="must be built before it is read"):
            made.as_dataset(split="train")
    kept = {int(path.stem[:8]) for path in tmp_path.rglob("0*.npz")}
    assert made.is_prepared() or len(kept) >= 3
    made.download_and_prepare()
    assert sorted(simulated) == sorted(set(range(BATCHES)) - kept), "it went on from there"
    for split in PARAMETERS["splits"]:
        assert_same(read(made, split), read(undisturbed, split))
    assert not [n for n in files(tmp_path) if "incomplete" in n or "kept" in n]


def test_a_full_disk(undisturbed, simulated, tmp_path):
    # As on a full disk, a write fails half-way: that of the shard, which is the longest file.
    size = max(p.stat().length for p in undisturbed.data_path.iterdir())
    limit = f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size} - 1000, {size} - 1000))"
    process = start(tmp_path, before=limit)
    _, errors = process.communicate()
    assert process.returncode == 1 and "too large" in errors.splitlines()[-1], errors
    made = builder(tmp_path)
    assert not made.is_prepared()
    assert not [n for n in files(tmp_path) if "incomplete" in n or "partial" in n]
    made.download_and_prepare()
    assert len(simulated) < BATCHES, "what was finished is not made again"
    assert_same(read(made), read(undisturbed))


def test_a_damaged_batch_is_made_again(undisturbed, simulated, tmp_path):
    made = builder(tmp_path)
    for number in range(4):
        made._batches.save(batch_name(number), simulations.batch(CONFIG, number))
    first, second, third, _ = sorted(made._batches.folder.glob("*.npz"))
    second.write_bytes(second.read_bytes()[:-1])
    third.write_bytes(first.read_bytes())
    simulated.clear()
    with pytest.warns(UserWarning, match=r"\.npz (is damaged|is a copy of)"):
        made.download_and_prepare()
    assert simulated == [1, 2, 4]
    assert_same(read(made), read(undisturbed))


def test_batches_of_a_complete_data_set_are_removed(undisturbed):
    # As by a build that was killed right before it would have removed it.
    made = builder(undisturbed.data_dir_root)
    made._batches.save(batch_name(0), {})
    made._batches._lock.touch()
    with made._batches.locked():
        made.download_and_prepare()
        assert made._batches.folder.exists(), "another process builds it"
    made._batches._lock.touch()
    made.download_and_prepare()
    assert not made._batches.folder.parent.exists()


def test_batches_of_another_backend_are_removed_too(tmp_path):
    made = builder(tmp_path)
    made._batches.save("00000000-0.1.0-another", {})
    made.download_and_prepare()
    assert not [n for n in files(tmp_path) if "kept" in n]


def test_two_builds_at_once_are_refused(tmp_path):
    made = builder(tmp_path)
    with made._batches.locked(), pytest.raises(OSError, match="by two processes at once"):
        builder(tmp_path).download_and_prepare()
    made.download_and_prepare(download_config=tfds.download.DownloadConfig())
    assert np.isfinite(read(made)[0]["coercivity"])
