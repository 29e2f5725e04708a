"""What building and reading the data set costs beside simulating it.

Every figure is of the paper's magnet with 1,000 fields. Commands run in processes of their own, in
turns, with their start and compilation; the rest is timed in this process once all is compiled.

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
from benchmarks.timing import print_table, spread
from tfds_esw import simulations
from tfds_esw.tfds_esw_dataset_builder import batch_name

TFDS = (sys.executable, "-m", "tensorflow_datasets.scripts.cli.main", "build")

SIMULATE = """
import sys, time
began = time.perf_counter()
from keras_micromag.physics import cubic_grains, random_easy_axes, simulate
magnet = cubic_grains(tuple(map(int, sys.argv[1:])))
simulate(magnet, random_easy_axes((10, len(magnet)), seed=0), progress=False)
print(time.perf_counter() - began)
"""

ONE_CORE = """
import os, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import tfds_esw
from tfds_esw import simulations
config = tfds_esw.Config()
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
    """So many of the paper's magnets."""
    return {"steps": steps, "splits": {"train": simulations}}


def run(*command: str) -> tuple[float, str]:
    """Seconds that a command took, and the last line that it printed."""
    began = time.perf_counter()
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - began, ran.stdout.splitlines()[-1]


def commands(rounds: int, config: str = "paper", grid=(4, 4, 4)) -> np.ndarray:
    """Seconds (rounds, 3): `tfds build`, its `--help`, and importing and simulating alone."""
    found = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            options = ["--imports", "tfds_esw", "--config", config, "--data_dir", folder]
            build, _ = run(*TFDS, "tfds_esw", *options)
        start, _ = run(*TFDS, "--help")
        _, simulate = run(sys.executable, "-c", SIMULATE, *map(str, grid))
        found.append((build, start, float(simulate)))
    return np.array(found)


def loops(rounds: int, batches: int = 16, steps: int = 1000) -> np.ndarray:
    """Seconds (rounds, 6) per loop.

    Simulate; keep aside; encode and write; read and decode; the same, but the moments alone; read
    the records and leave them undecoded.
    """
    import tensorflow as tf

    config = tfds_esw.Config(**parameters(batches * simulations.BATCH, steps))
    made = simulations.batch(config, 0)
    found = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            builder = tfds_esw.Builder(config=config, data_dir=folder)
            clock = [time.perf_counter()]
            simulations.batch(config, 0)
            clock.append(time.perf_counter())
            for number in range(batches):
                index = simulations.BATCH * number + made["index"]
                builder._batches.save(batch_name(number), {**made, "index": index})
            clock.append(time.perf_counter())
            for number in range(batches):
                builder._batches.load(batch_name(number))  # which the build does, too
            clock.append(time.perf_counter())
            builder.download_and_prepare()
            clock.append(time.perf_counter())
            files = sorted(str(path) for path in builder.data_path.glob("*tfrecord*"))
            moments = tfds.decode.PartialDecoding({"magnetization": True})
            number = sum(1 for _ in builder.as_dataset(split="train"))
            clock.append(time.perf_counter())
            assert number == sum(1 for _ in builder.as_dataset(split="train", decoders=moments))
            clock.append(time.perf_counter())
            assert number == sum(1 for _ in tf.data.TFRecordDataset(files))
            clock.append(time.perf_counter())
        simulate, keep, load, write, *reading = np.diff(clock)
        found.append((simulate * batches, keep, write - load, *reading))
    return np.array(found) / number


def memory(sizes=(64, 256, 1024), steps: int = 1000) -> list[float]:
    """Peak resident MB of building so many simulations."""
    found = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            settings = json.dumps(parameters(size, steps))
            found.append(float(run(sys.executable, "-c", BUILD, settings, folder)[1]))
    return found


def workers(rounds: int, size: int = 512, steps: int = 1000) -> np.ndarray:
    """Seconds (rounds, 3) of building without Beam, with one and with two of its workers."""
    settings = json.dumps(parameters(size, steps))
    common = ["--imports", "tfds_esw", "--config", settings, "--num_shards", "8"]
    beam = "runner=DirectRunner,direct_running_mode=multi_processing,direct_num_workers={}"
    found = []
    for _ in range(rounds):
        row = []
        for options in ([], *(["--beam_pipeline_options", beam.format(n)] for n in (1, 2))):
            with tempfile.TemporaryDirectory() as folder:
                row.append(run(*TFDS, "tfds_esw", *common, "--data_dir", folder, *options)[0])
        found.append(row)
    return np.array(found)


def main(argv=None) -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dataset", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args(argv).rounds
    print(
        f"Keras {keras.__version__} on {keras.backend.backend()}, Python "
        f"{platform.python_version()}; median [min, max] of {rounds} rounds"
    )
    build, start, simulate = commands(rounds).T
    print_table(
        [
            ("ten magnets, a process each", "seconds", "goal"),
            ("tfds build", spread(build, 1), ""),
            ("tfds build --help", spread(start, 1), ""),
            ("import and simulate", spread(simulate, 1), ""),
            ("(build - help) / simulate", spread((build - start) / simulate, 2), "1.5"),
        ]
    )
    simulate, keep, write, read, moments, undecoded = loops(rounds).T
    print_table(
        [
            ("a loop", "ms", "of simulating it", "goal"),
            ("simulate", spread(1e3 * simulate, 2), "", ""),
            ("keep aside", spread(1e3 * keep, 2), spread(keep / simulate, 3), ""),
            ("write", spread(1e3 * write, 2), spread(write / simulate, 3), ""),
            ("read", spread(1e3 * read, 2), spread(read / simulate, 3), "1/50"),
            ("read moments alone", spread(1e3 * moments, 2), spread(moments / simulate, 3), ""),
            ("read undecoded", spread(1e3 * undecoded, 2), spread(undecoded / simulate, 3), ""),
            ("write and read", "", spread((write + read) / simulate, 3), "0.1"),
        ]
    )
    sizes = (64, 256, 1024)
    peaks = [f"{peak:.0f} MB" for peak in memory(sizes)]
    print_table([("simulations", *map(str, sizes)), ("peak memory of building", *peaks)])
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


if __name__ == "__main__":
    main()
