"""Put each fault of the catalogue into the source, and print which test fails.

    python -m tests.mutations                      # by the tests of `make test`
    python -m tests.mutations --suite all adjoint  # of `make test-all`; only names with "adjoint"
    python -m tests.mutations --everywhere         # also by modules that are not named for it

Each mutation is made in a copy of the project; the project itself is left alone. Each takes some
seconds to a minute. Exits with 1 where no test fails.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.mutations.catalogue import MUTATIONS

ROOT = Path(__file__).resolve().parents[2]
MARKERS = {"lean": "not integration", "all": ""}


def copy_of_the_project(folder):
    """Copy all that git knows or would add to `folder`."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)


def first_failure(folder, mutation, markers, paths):
    """Return the first test that fails, or None."""
    environ = os.environ | {
        "KERAS_BACKEND": mutation.backend,
        "PYTHONPATH": str(folder),  # before the project that the environment has installed
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".pytest_cache" / "jax"),
    }
    if mutation.backend != "jax" and markers:
        markers = "contract"
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-m", markers, *paths]
    result = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True)
    failures = [line for line in result.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if result.returncode not in (0, 1, 2, 5) or bool(failures) != (result.returncode in (1, 2)):
        raise SystemExit(f"{mutation.name}: pytest ended with {result.returncode}\n{result.stdout}")
    return failures[0].split()[1] if failures else None


def run(mutation, markers, everywhere):
    """Return the first test that fails with the mutation, or None."""
    with tempfile.TemporaryDirectory(prefix="mutation-") as name:
        folder = Path(name)
        copy_of_the_project(folder)
        path = folder / mutation.file
        source = path.read_text(encoding="utf-8")
        assert source.count(mutation.old) == 1, mutation.name
        path.write_text(source.replace(mutation.old, mutation.new), encoding="utf-8")
        test = first_failure(folder, mutation, markers, mutation.tests.split())
        if test is None and everywhere:
            test = first_failure(folder, mutation, markers, [])
        return test


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.mutations")
    parser.add_argument("names", nargs="*", help="parts of the names of those to run")
    parser.add_argument("--suite", choices=MARKERS, default="lean")
    parser.add_argument("--everywhere", action="store_true")
    options = parser.parse_args()
    chosen = [
        m for m in MUTATIONS if not options.names or any(part in m.name for part in options.names)
    ]
    detected = 0
    for mutation in chosen:
        began = time.monotonic()
        test = run(mutation, MARKERS[options.suite], options.everywhere)
        detected += test is not None
        seconds = time.monotonic() - began
        print(f"{mutation.name:58} {seconds:5.0f} s  {test or 'NOT DETECTED'}", flush=True)
    print(f"{detected} of {len(chosen)} detected")
    sys.exit(detected < len(chosen))


if __name__ == "__main__":
    main()
