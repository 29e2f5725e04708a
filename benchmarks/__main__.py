"""Runs all benchmarks one after the other, each in a process of its own with its backend.

`benchmarks.large` is left out: it takes more than an hour and most of 24 GiB. So are
`benchmarks.micromagnetics`, whose results are kept, and `benchmarks.public_cubes`, which reads
public files.

Run it with `python -m benchmarks`, or `make bench`.
"""

import os
import shlex
import subprocess
import sys

RUNS = (
    ("benchmarks.demag", {}),
    ("benchmarks.polycrystals", {"KERAS_BACKEND": "jax"}),
    ("benchmarks.simulate", {"KERAS_BACKEND": "tensorflow"}),
    ("benchmarks.simulate", {"KERAS_BACKEND": "jax"}),
    # In a run of its own, since float64 is a mode of JAX that makes float32 a little slower.
    ("benchmarks.simulate", {"KERAS_BACKEND": "jax", "JAX_ENABLE_X64": "1"}),
    ("benchmarks.events", {"KERAS_BACKEND": "tensorflow"}),
    ("benchmarks.events", {"KERAS_BACKEND": "jax"}),
    *(
        (f"benchmarks.{name}", {"KERAS_BACKEND": backend})
        for name in ("training", "layers", "loops")
        for backend in ("tensorflow", "jax", "torch")
    ),
    ("benchmarks.output_activation", {"KERAS_BACKEND": "tensorflow"}),
    ("benchmarks.tuning", {"KERAS_BACKEND": "tensorflow"}),
    ("benchmarks.dataset", {"KERAS_BACKEND": "tensorflow"}),
    ("benchmarks.dataset", {"KERAS_BACKEND": "jax"}),
    ("benchmarks.sensitivity", {"KERAS_BACKEND": "tensorflow"}),
)


def main() -> int:
    """Run all benchmarks, and return how many failed."""
    failed = 0
    for module, environ in RUNS:
        settings = [f"{name}={value}" for name, value in environ.items()]
        print(f"$ {shlex.join([*settings, 'python', '-m', module])}", flush=True)
        # Otherwise TensorFlow prints much about the processor and missing GPUs.
        variables = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, **environ}
        failed += subprocess.run([sys.executable, "-m", module], env=variables).returncode != 0
        print(flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
