"""Times building and reading the data set beside simulating it.

All figures are of the paper's magnet with 1,000 fields. Times of commands include their start and
compilation; the others are measured in this process after everything is compiled.

Run it with `python -m benchmarks.dataset`; KERAS_BACKEND chooses the backend.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time

import keras
import numpy as np
import tensorflow_datasets as tfds

import tfds_esw
from benchmarks import records
from benchmarks.timing import print_table, spread
from keras_micromag.physics.microstructure.particles import PAPER_DEPTH
from tfds_esw import simulations
from tfds_esw.tfds_esw_dataset_builder import batch_name

TFDS = (sys.executable, "-m", "tensorflow_datasets.scripts.cli.main", "build")

ONE_CORE = """
import os, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import tfds_esw
from tfds_esw import simulations
config = tfds_esw.Builder.builder_configs["paper"]
simulations.batch(config, 0)
began = time.perf_counter()
simulations.batch(config, 1)
print((time.perf_counter() - began) / simulations.BATCH)
"""

BUILD = """
import json, resource, sys
import tfds_esw
config = tfds_esw.Config(**json.loads(sys.argv[1]))
tfds_esw.Builder(config=config, data_dir=sys.argv[2]).download_and_prepare()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def parameters(simulations: int, steps: int) -> dict:
    """Return the parameters of a data set of the paper's magnets."""
    paper = {"depth": PAPER_DEPTH, "self_field": False, "avalanche": "simultaneous"}
    return {"steps": steps, "splits": {"train": simulations}, **paper}


def run(*command: str) -> tuple[float, str]:
    """Return the seconds that a command takes, and the last line that it prints."""
    began = time.perf_counter()
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - began, ran.stdout.splitlines()[-1]


def loops(rounds: int, batches: int = 16, steps: int = 1000) -> np.ndarray:
    """Return seconds (rounds, 4) per loop: simulate, write, read, and read the moments alone.

    The build finds its batches in the cache, so that the time of writing has no simulation in it;
    the time of loading them is subtracted.
    """
    config = tfds_esw.Config(**parameters(batches * simulations.BATCH, steps))
    batch = simulations.batch(config, 0)
    seconds = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            builder = tfds_esw.Builder(config=config, data_dir=folder)
            clock = [time.perf_counter()]
            simulations.batch(config, 0)
            clock.append(time.perf_counter())
            for number in range(batches):
                index = simulations.BATCH * number + batch["index"]
                builder._batches.save(batch_name(number), {**batch, "index": index})
            clock.append(time.perf_counter())
            for number in range(batches):
                builder._batches.load(batch_name(number))
            clock.append(time.perf_counter())
            builder.download_and_prepare()
            clock.append(time.perf_counter())
            moments = tfds.decode.PartialDecoding({"magnetization": True})
            count = sum(1 for _ in builder.as_dataset(split="train"))
            clock.append(time.perf_counter())
            assert count == sum(1 for _ in builder.as_dataset(split="train", decoders=moments))
            clock.append(time.perf_counter())
        simulate, _, load, write, *reading = np.diff(clock)
        seconds.append((simulate * batches, write - load, *reading))
    return np.array(seconds) / count


def memory(sizes=(64, 256, 1024), steps: int = 1000) -> list[float]:
    """Return the peak resident memory in MB of builds of different sizes."""
    peaks = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            settings = json.dumps(parameters(size, steps))
            peaks.append(float(run(sys.executable, "-c", BUILD, settings, folder)[1]))
    return peaks


def workers(rounds: int, size: int = 512, steps: int = 1000) -> np.ndarray:
    """Return seconds (rounds, 3) of builds without Beam, and with one and two of its workers."""
    settings = json.dumps(parameters(size, steps))
    common = ["--imports", "tfds_esw", "--config", settings, "--num_shards", "8"]
    beam = "runner=DirectRunner,direct_running_mode=multi_processing,direct_num_workers={}"
    seconds = []
    for _ in range(rounds):
        row = []
        for options in ([], *(["--beam_pipeline_options", beam.format(n)] for n in (1, 2))):
            with tempfile.TemporaryDirectory() as folder:
                row.append(run(*TFDS, "tfds_esw", *common, "--data_dir", folder, *options)[0])
        seconds.append(row)
    return np.array(seconds)


def main(argv=None) -> None:
    """Time building and reading, and print tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dataset", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    records.add_argument(parser)
    arguments = parser.parse_args(argv)
    rounds = arguments.rounds
    print(
        f"Keras {keras.__version__} on {keras.backend.backend()}, Python "
        f"{platform.python_version()}; median [min, max] of {rounds} rounds"
    )
    simulate, write, read, moments = loops(rounds).T
    print_table(
        [
            ("a loop", "ms", "of simulating it"),
            ("simulate", spread(1e3 * simulate, 2), ""),
            ("write", spread(1e3 * write, 2), spread(write / simulate, 3)),
            ("read", spread(1e3 * read, 2), spread(read / simulate, 3)),
            ("read moments alone", spread(1e3 * moments, 2), spread(moments / simulate, 3)),
            ("write and read", "", spread((write + read) / simulate, 3)),
        ]
    )
    sizes = (64, 256, 1024)
    peaks = memory(sizes)
    row = [f"{peak:.0f} MB" for peak in peaks]
    print_table([("simulations", *map(str, sizes)), ("peak memory of building", *row)])
    alone = [1e3 * float(run(sys.executable, "-c", ONE_CORE)[1]) for _ in range(rounds)]
    print_table([("a loop on one core", "ms"), ("simulate", spread(alone, 2))])
    seconds = workers(max(rounds // 2, 1))
    print_table(
        [
            ("512 simulations", "seconds", "of one worker's"),
            *(
                (name, spread(column, 1), spread(column / seconds[:, 1], 2))
                for name, column in zip(
                    ("without Beam", "one worker", "two workers"), seconds.T, strict=True
                )
            ),
        ]
    )
    if arguments.save:
        figures = {
            "simulate": records.measured(1e3 * simulate, "ms"),
            "read": records.measured(1e3 * read, "ms"),
            "simulate_one_core": records.measured(alone, "ms"),
            "write_and_read": records.measured((write + read) / simulate),
            "simulate_over_read": records.measured(simulate / read),
            "simulate_over_moments": records.measured(simulate / moments),
            "peak": records.measured(np.round(peaks), "MB"),
            "one_worker_over_two": records.measured(seconds[:, 1] / seconds[:, 2]),
        }
        records.save("dataset", figures, parser, argv)


if __name__ == "__main__":
    main()
