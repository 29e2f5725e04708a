"""Runs benchmarks one after the other, each in a process of its own, and writes their figures.

The files of `benchmarks/results`, which the pages quote, are those of these runs. Left out are runs
that take an hour or read files of others: the loops of `benchmarks.large`,
`benchmarks.public_cubes`, `benchmarks.demo`, and what `benchmarks.micromagnetics run` computes.

Run it with `python -m benchmarks`, or `make bench`; `python -m benchmarks events training` runs
those alone.
"""

import argparse
import os
import shlex
import subprocess
import sys
import time

from benchmarks import add_names

BACKENDS = ("tensorflow", "jax", "torch")
FAMILIES = (
    *("cubes", "angles", "random", "shapes", "eight", "isotropic", "larger", "gaps"),
    *("polycrystals", "twentyseven", "sixtyfour", "avalanches"),
)
RUNS = (
    ("demag", "jax"),
    ("micromagnetics trust", "jax"),
    ("micromagnetics speed --rounds 3", "jax"),
    (f"micromagnetics compare {' '.join(FAMILIES)}", "jax"),
    ("events --rounds 3", "tensorflow"),
    ("events --rounds 3", "jax"),
    ("events --precision 1000", "tensorflow"),
    ("events --sides 12", "jax"),
    ("simulate --rounds 3", "tensorflow"),
    # Float64 is a mode of JAX, in which float32 is a little slower.
    ("simulate --rounds 3", "jax float64"),
    ("simulate --rounds 3 --peer", "torch"),
    *(("training --rounds 3", backend) for backend in BACKENDS),
    *(("layers --batches 64", backend) for backend in BACKENDS),
    ("loops --rounds 3", "tensorflow"),
    ("dataset --rounds 3", "tensorflow"),
    ("dataset --rounds 3", "jax"),
    ("real_magnets", "jax"),
    ("sensitivity", "tensorflow"),
    ("polycrystals", "jax"),
    ("tuning --trials 4", "tensorflow"),
    ("output_activation", "tensorflow"),
    ("large product --kinds hierarchical lattice --most 10000", "jax"),
    ("large fmm", "jax"),
    ("large accuracy", "jax"),
    ("large agreement", "jax"),
    ("large ranks", "jax"),
)


def main(argv=None) -> int:
    """Run the benchmarks, and return how many failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    names = sorted({command.split()[0] for command, _ in RUNS})
    add_names(parser, "names", names)
    chosen = parser.parse_args(argv).names or names
    failed, start = 0, time.monotonic()
    for command, setting in RUNS:
        if command.split()[0] not in chosen:
            continue
        words = ["-m", *f"benchmarks.{command} --save".split()]
        backend, _, float64 = setting.partition(" ")
        environ = {"KERAS_BACKEND": backend, **({"JAX_ENABLE_X64": "1"} if float64 else {})}
        settings = [f"{name}={value}" for name, value in environ.items()]
        print(f"$ {shlex.join([*settings, 'python', *words])}", flush=True)
        # Otherwise TensorFlow prints much about the processor and missing GPUs.
        variables = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, **environ}
        failed += subprocess.run([sys.executable, *words], env=variables).returncode != 0
        print(f"{(time.monotonic() - start) / 60:.1f} minutes\n", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
