"""Damages files, arrays and command lines, and counts how the package takes them.

    KERAS_BACKEND=jax python -m tests.campaigns.fuzz --count 1000 --seed 0

Each input must end in a result or in one sentence of the package's own errors, within 10 s of
processor time and 2 GB of memory beyond those of the imports: with no other error, no output of a
library on stderr, no warning of NumPy, no file left behind. The command prints a row for each kind
of input, and each fault with the options that repeat it, such as `--kind tess --seed 0 --first 17
--count 1`. The suite runs a few of each kind.

The inputs run in another process for each kind, which is started again where an input kills it.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

if __name__ == "__main__":  # compiled as by the tests, and with no settings of the user's
    import tests.conftest  # noqa: F401

import numpy as np

from tests.campaigns import fuzz_calls, fuzz_commands, fuzz_files
from tests.campaigns.sandbox import SECONDS, Call, Outcome, outcome, scratch

KINDS: dict[str, Callable[[np.random.Generator, Path], Call]] = {
    "tess": fuzz_files.tess,
    "meshes": fuzz_files.mesh_files,
    "npz": fuzz_files.npz,
    "keras": fuzz_files.keras_files,
    "commands": fuzz_commands.commands,
    "settings": fuzz_commands.settings,
    "calls": fuzz_calls.calls,
}
"""Functions of a random generator and an empty folder, each of which returns a call."""

MEMORY = 2 * 2**30
"""Bytes that one input may take."""


def run(kind: str, seed: int, number: int, parent: Path) -> Outcome:
    """Run input `number` of a kind, and return how it ends."""
    rng = np.random.default_rng([seed, number])
    with scratch(parent) as folder:
        return outcome(KINDS[kind](rng, folder), folder)


def work(kind: str, seed: int, first: int, count: int) -> None:
    """Run inputs in this process, with limits, and print how each ends as a line of JSON."""
    import faulthandler

    with tempfile.TemporaryDirectory(prefix="fuzz-") as parent:
        run(kind, seed, first, Path(parent))  # loads and compiles what all share
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        faulthandler.register(signal.SIGPROF, file=os.dup(2), all_threads=False, chain=True)
        report = os.fdopen(os.dup(1), "w")
        for number in range(first, first + count):
            signal.setitimer(signal.ITIMER_PROF, 2 * SECONDS)  # kills the process
            ended = outcome_line(number, run(kind, seed, number, Path(parent)))
            print(ended, file=report, flush=True)


def outcome_line(number: int, ended: Outcome) -> str:
    """Return the outcome of an input as a line of JSON."""
    return json.dumps([number, *ended])


def outcomes(kind: str, seed: int, first: int, count: int) -> Iterator[tuple[int, Outcome]]:
    """Yield the number of each input and how it ends, from other processes."""
    begin = number = first
    last = first + count
    while number < last:
        command = [sys.executable, "-m", "tests.campaigns.fuzz", "--worker", "--kind", kind]
        command += ["--seed", str(seed), "--first", str(begin), "--count", str(last - begin)]
        with (
            tempfile.TemporaryFile() as errors,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as worker,
        ):
            for line in worker.stdout:
                done, *ended = json.loads(line)
                if done == number:
                    yield number, Outcome(*ended)
                    number += 1
            worker.wait()
            errors.seek(0)
            said = errors.read().decode(errors="replace")[-2000:]
        if number == last:
            return
        text = f"the process ended with status {worker.returncode}: {said}"
        if worker.returncode > 0:  # a fault of the campaign's own
            raise RuntimeError(text)
        if number - begin > 1:
            # Compiled functions of thousands of inputs may have filled its memory: once more.
            begin = number - 1
            continue
        yield number, Outcome("fault", text, 0.0)
        begin = number = number + 1


def main() -> None:
    """Print a row for each kind, and each fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--kind", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.kind[0], options.seed, options.first, options.count)
        return
    for kind in options.kind:
        counts, longest = Counter(), 0.0
        for number, ended in outcomes(kind, options.seed, options.first, options.count):
            counts[ended.kind] += 1
            longest = max(longest, ended.seconds)
            if ended.kind == "fault":
                again = f"--kind {kind} --seed {options.seed} --first {number} --count 1"
                print(f"{again}\n    {ended.text}", flush=True)
        print(
            f"{kind:8} {counts.total()} inputs: {counts['result']} results, "
            f"{counts['sentence']} sentences, {counts['fault']} faults; {longest:.1f} s at most",
            flush=True,
        )


if __name__ == "__main__":
    main()
