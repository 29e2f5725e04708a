"""The same data from several workers of Apache Beam, one of which may be killed."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("apache_beam", reason="several machines want it")

import tensorflow_datasets as tfds

import tfds_esw
from tests.tfds_esw.test_builder import assert_same, read
from tfds_esw import simulations

pytestmark = pytest.mark.integration

PARAMETERS = {"shape": (2, 2, 2), "steps": 100, "splits": {"train": 180, "test": 40}}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The builder of the same data, built in this process."""
    folder = tmp_path_factory.mktemp("alone")
    made = tfds_esw.Builder(config=tfds_esw.Config(**PARAMETERS), data_dir=folder)
    made.download_and_prepare()
    return made


def build(data_set, folder, options):
    """A process that builds by TFDS's command, in six shards a split."""
    config = tfds_esw.Config(**PARAMETERS).parameters
    command = [sys.executable, "-m", "tensorflow_datasets.scripts.cli.main", "build", *data_set]
    command += ["--data_dir", folder, "--num_shards", "6"]
    command += ["--config", json.dumps(config), "--beam_pipeline_options", options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def assert_whole(folder, alone, process):
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    made = tfds_esw.Builder(config=tfds_esw.Config(**PARAMETERS), data_dir=folder)
    assert made.info.splits["train"].num_shards == 6
    for split in PARAMETERS["splits"]:
        assert_same(read(made, split), read(alone, split))
    left = {path.name for path in made.data_path.parents[1].iterdir()}
    assert ".kept" not in left


def test_processes_of_the_direct_runner(alone, tmp_path):
    options = "runner=DirectRunner,direct_running_mode=multi_processing,direct_num_workers=2"
    folder = str(Path(tfds_esw.__file__).parent)  # `tfds build` on the folder of the data set
    assert_whole(tmp_path, alone, build([folder], tmp_path, options))


@contextlib.contextmanager
def dask(folder):
    """A scheduler and two workers, each a process; the scheduler's address and the workers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    python = [sys.executable, "-m"]
    scheduler = [*python, "distributed.cli.dask_scheduler", "--host", "127.0.0.1"]
    worker = [*python, "distributed.cli.dask_worker", address, "--no-nanny", "--nthreads", "1"]
    commands = [[*scheduler, "--port", str(port)]]
    commands += [[*worker, "--local-directory", str(folder / name)] for name in ("one", "two")]
    with contextlib.ExitStack() as stack:
        processes = []
        for command in commands:
            log = stack.enter_context(open(folder / f"log{len(processes)}", "w"))
            command = [*command, "--no-dashboard"]
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
            processes.append(process)
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield address, processes[1:]


def test_a_build_on_dask_survives_a_killed_worker(alone, tmp_path):
    from distributed import Client

    data = tmp_path / "data"
    with dask(tmp_path) as (address, workers):
        with Client(address) as client:
            client.wait_for_workers(2, timeout=60)
        options = "runner=apache_beam.runners.dask.dask_runner.DaskRunner"
        options += f",dask_client_address={address},dask_partition_size=1"
        process = build(["tfds_esw", "--imports", "tfds_esw"], data, options)
        while process.poll() is None and not list(data.rglob("0*.npz")):
            time.sleep(0.01)
        assert process.poll() is None, process.communicate()[0]
        os.kill(workers[0].pid, signal.SIGKILL)
        assert_whole(data, alone, process)
        assert workers[1].poll() is None


def test_an_error_of_a_worker_reaches_the_user(tmp_path, monkeypatch):
    def fail(config, number):
        raise ArithmeticError(f"batch {number} has no end")

    monkeypatch.setattr(simulations, "batch", fail)
    made = tfds_esw.Builder(config=tfds_esw.Config(**PARAMETERS), data_dir=tmp_path)
    import apache_beam as beam

    options = beam.options.pipeline_options.PipelineOptions(["--runner=DirectRunner"])
    settings = tfds.download.DownloadConfig(beam_options=options)
    with pytest.raises(Exception, match=r"batch \d has no end"):
        made.download_and_prepare(download_config=settings)
    assert not made.is_prepared()
