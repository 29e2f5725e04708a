"""Kills commands at random moments, and compares what they leave with an undisturbed run.

    KERAS_BACKEND=jax python -m tests.campaigns.kill --count 20 --seed 0

Each command is killed with all its processes, at a moment drawn from the time that it takes
undisturbed, and repeated: in one folder up to three times, then it runs to its end. It also runs on
disks that are full at a random moment, on one that cannot be written, and twice at once. The rows
say how far the results differ from those of the undisturbed run, and how many parts of the work
were done again although they had been stored. 20 kills of each command take hours on two cores.

Linux as root mounts the small disks. Elsewhere a limit on the length of a file, and the folder's
permissions, take their place.
"""

import argparse
import fnmatch
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

import numpy as np

from keras_micromag.utils.files import PARTIAL, read_arrays
from tests.campaigns.kill_commands import COMMANDS, LOG

ROOT = Path(__file__).resolve().parents[2]

KILLS_EACH = 3
"""Largest number of kills before a run may end."""

PARTS = {
    "simulate_few": ["state.npz"],
    "simulate": ["state.npz"],
    "build": ["0*.npz"],
    "tfds_build": ["0*.npz"],
    "train": ["0*.npz", "*.keras"],
    "reproduce": ["0*.npz", "*-*.json"],
    "search": ["*-*.json", "trial"],
}
"""Patterns of the lines in a command's log that name work which must not be done twice."""

LAST_BYTES = {".png": b"IEND\xaeB`\x82", ".vtu": b"</VTKFile>", ".pvd": b"</VTKFile>"}
"""By their suffix, the end of files that are complete."""

TFDS_ERRORS = ("OSError: `data_dir` must ", "OSError: [Errno 28] No space left on device")
TFDS_ERRORS += ("tensorflow.python.framework.errors_impl.ResourceExhaustedError: ",)
"""Beginnings of the last line of TFDS's command where it cannot write. Its own files and those of
TensorFlow are among them."""

TIMES = ("seconds", "seconds_to_predict")
"""Entries of results that no two runs have in common."""


class Ended(NamedTuple):
    """A command that ended by itself: its name, its exit status and its standard error."""

    name: str
    status: int
    errors: str

    @property
    def refused(self) -> bool:
        """Whether it ended with one sentence: after a traceback where the command is TFDS's."""
        last = self.errors.rstrip().rpartition("\n")[2]
        if self.name == "tfds_build":
            return self.status == 1 and last.startswith(TFDS_ERRORS)
        return self.status == 2 and ": error: " in last and "Traceback" not in self.errors


class Command:
    """A command with its undisturbed run.

    Args:
        name: in `COMMANDS`.
        scratch: folder for the folders of all runs.
        runs: undisturbed ones, of which the first one compiles and the last one counts.

    Attributes:
        seconds: that the undisturbed run takes.
        result: see `read`.
        parts: how often its log names each part.
        total, largest: bytes of all its files, and of the largest one.
    """

    def __init__(self, name: str, scratch: Path, runs: int = 2):
        self.name, self._scratch, self._folders = name, scratch / name, 0
        self._compiled = scratch / "compiled"
        for _ in range(runs):
            folder = self.new_folder()
            began = time.monotonic()
            ended = self.run(folder)
            self.seconds = time.monotonic() - began
            if ended.status:
                raise RuntimeError(f"{name}: {ended.errors}")
        self.result, self.parts = read(folder), self.stored(folder)
        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
        self.total, self.largest = sum(sizes), max(sizes)

    def new_folder(self) -> Path:
        """Make a folder for a run."""
        self._folders += 1
        folder = self._scratch / str(self._folders)
        folder.mkdir(parents=True)
        return folder

    def start(self, folder: Path, longest: int | None = None) -> subprocess.Popen:
        """Start the command in a process group of its own.

        Args:
            folder: for its files.
            longest: bytes of the longest file that it can write.
        """
        environment = {
            "JAX_COMPILATION_CACHE_DIR": str(self._compiled),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            **os.environ,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            LOG: str(self.log(folder)),
        }

        def limit():
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (longest, longest))

        return subprocess.Popen(
            [sys.executable, "-m", "tests.campaigns.kill_commands", self.name, str(folder)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=None if longest is None else limit,
        )

    def run(self, folder: Path, longest: int | None = None) -> Ended:
        """Run the command to its end; the arguments are those of `start`."""
        return self.wait(self.start(folder, longest))

    def wait(self, process: subprocess.Popen) -> Ended:
        """Wait for the end of a process that `start` started."""
        _, errors = process.communicate()
        return Ended(self.name, process.returncode, errors)

    def kill(self, folder: Path, moment: float) -> bool:
        """Start the command and kill it after `moment` seconds; return False if it ended before."""
        process = self.start(folder)
        try:
            _, errors = process.communicate(timeout=moment)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return True
        if process.returncode:
            raise RuntimeError(f"{self.name}: {errors}")
        return False

    def stored(self, folder: Path) -> Counter:
        """Count the parts that all runs in a folder have stored."""
        lines = self.log(folder).read_text().splitlines() if self.log(folder).exists() else []
        return Counter(
            line for line in lines if any(fnmatch.fnmatch(line, p) for p in PARTS[self.name])
        )

    def stored_again(self, folder: Path) -> int:
        """Return how many parts the runs in a folder stored more often than the undisturbed run."""
        return (self.stored(folder) - self.parts).total()

    def log(self, folder: Path) -> Path:
        """Return the path of the log of the runs in a folder."""
        return folder.with_name(f"{folder.name}.log")


def read(folder: Path) -> dict[str, Any]:
    """Return the results in a folder by the names of their files, without times.

    They are arrays of data sets, of models and of `.npz` files, and the content of JSON files.
    """
    results: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if PARTIAL in str(path) or "checkpoint" in path.parts:
            continue
        if path.name == "metadata.json" and path.parent.name != ".config":
            results[name] = _examples(path.parent)
        elif path.suffix == ".keras":
            results[name] = _weights(path)
        elif path.suffix == ".npz":
            results[name] = read_arrays(path)
        elif path.suffix == ".json" and "data" not in path.parts and "trials" not in path.parts:
            results[name] = _without_times(json.loads(path.read_text()))
    return results


def _examples(folder):
    """Return the examples of a data set by their split."""
    import tensorflow_datasets as tfds

    from tests.tfds_esw import test_builder

    builder = tfds.builder_from_directory(folder)
    return {split: test_builder.read(builder, split) for split in builder.info.splits}


def _weights(path):
    """Return the weights of a model."""
    import keras

    import keras_micromag.models  # noqa: F401 (registers the models)

    return keras.saving.load_model(path, compile=False).get_weights()


def _without_times(content):
    if isinstance(content, dict):
        return {k: _without_times(v) for k, v in content.items() if k not in TIMES}
    return [_without_times(v) for v in content] if isinstance(content, list) else content


def difference(one: Any, other: Any) -> float:
    """Return the largest relative difference of two results; 0 if they are equal to the last bit.

    It is infinite where they have other parts, or differ in more than numbers.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return _largest(one, other, one) if one.keys() == other.keys() else np.inf
    if isinstance(one, list) and isinstance(other, list):
        return _largest(one, other, range(len(one))) if len(one) == len(other) else np.inf
    one, other = np.asarray(one), np.asarray(other)
    if one.dtype != other.dtype or one.shape != other.shape:
        return np.inf
    if one.dtype.kind not in "fiu":
        return 0.0 if (one == other).all() else np.inf
    if (np.isnan(one) != np.isnan(other)).any():
        return np.inf
    if np.array_equal(one, other, equal_nan=True):
        return 0.0
    return float(np.nanmax(np.abs(one - other)) / (np.nanmax(np.abs(other)) or 1.0))


def _largest(one, other, keys):
    return max((difference(one[key], other[key]) for key in keys), default=0.0)


def broken(folder: Path) -> list[str]:
    """Return the files of a run that have their final name and are not complete."""
    return [str(path) for path in sorted(folder.rglob("*")) if not _is_complete(path)]


def _is_complete(path):
    # Temporary ones, and those of TFDS, KerasTuner and TensorBoard.
    unfinished = PARTIAL in str(path) or "incomplete." in str(path)
    if unfinished or {"logs", "trials"} & set(path.parts) or not path.is_file():
        return True
    try:
        if path.suffix in (".npz", ".keras"):
            with ZipFile(path) as archive:
                return archive.testzip() is None
        if path.suffix == ".json":
            json.loads(path.read_text())
        if path.suffix in LAST_BYTES:
            return path.read_bytes().rstrip(b"\n").endswith(LAST_BYTES[path.suffix])
        return path.name.endswith("lock") or path.stat().st_size > 0
    except Exception:  # whatever a damaged file raises
        return False


class Outcome(NamedTuple):
    """The runs of a campaign that ended, compared with the undisturbed one.

    Attributes:
        disturbed: number of kills or refusals.
        ended: number of folders in which a run ended.
        difference: see `difference`. again: see `Command.stored_again`.
        faults: sentences on everything that was not as it should be.
    """

    disturbed: int
    ended: int
    difference: float
    again: int
    faults: list[str]

    def __str__(self):
        same = "equal to the last bit" if self.difference == 0 else f"within {self.difference:.1e}"
        text = f"{self.disturbed} disturbed, {self.ended} ended, {same}, {self.again} parts again"
        return "; ".join([text, *self.faults])


def _outcome(command: Command, folders: list[Path], disturbed: int, faults: list[str]) -> Outcome:
    """Compare the ended runs in some folders, and remove these."""
    differences, again = [0.0], 0
    for folder in folders:
        differences.append(difference(read(folder), command.result))
        again += command.stored_again(folder)
        shutil.rmtree(folder)
    return Outcome(disturbed, len(folders), max(differences), again, faults)


def killed(command: Command, count: int, rng: random.Random) -> Outcome:
    """Kill a command `count` times, and let it end after every third kill at the latest."""
    kills, folders, faults = 0, [], []
    while kills < count:
        folder = command.new_folder()
        for _ in range(rng.randint(1, min(KILLS_EACH, count - kills))):
            moment = rng.uniform(0, command.seconds)
            if not command.kill(folder, moment):
                break
            kills += 1
            faults += [f"{path} after a kill at {moment:.2f} s" for path in broken(folder)]
        ended = command.run(folder)
        if ended.status:
            faults.append(f"{folder} did not end: {ended.errors}")
        else:
            folders.append(folder)
    return _outcome(command, folders, kills, faults)


def on_full_disk(command: Command, count: int, rng: random.Random) -> Outcome:
    """Run a command on `count` disks that are too small, then on larger ones."""
    refused, folders, faults = 0, [], []
    for _ in range(count):
        folder, share = command.new_folder(), rng.uniform(0, 1)
        with _disk(folder, max(int(share * command.total), 4096)) as enlarge:
            ended = command.run(folder, None if enlarge else int(share * command.largest))
            refused += ended.refused
            if ended.status and not ended.refused:
                faults.append(f"no sentence on a disk of {share:.3f}: {ended.errors}")
            faults += [f"{path} on a disk of {share:.3f}" for path in broken(folder)]
            if enlarge:
                enlarge()
            ended = command.run(folder)
            if ended.status:
                faults.append(f"it did not go on: {ended.errors}")
                continue
            # Beside the disk, which goes with its mount.
            copy = command.new_folder()
            shutil.copytree(folder, copy, dirs_exist_ok=True)
            command.log(folder).replace(command.log(copy))
            folders.append(copy)
    return _outcome(command, folders, refused, faults)


@contextmanager
def _disk(folder: Path, size: int) -> Iterator[Any]:
    """Mount a disk of `size` bytes; yield a function that enlarges it, None without the right."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        yield None
        return
    try:
        larger = ["mount", "-o", "remount,size=4g", str(folder)]
        yield lambda: subprocess.run(larger, check=True)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def in_read_only_folder(command: Command) -> Outcome:
    """Run a command in a folder that cannot be written."""
    folder, faults = command.new_folder(), []
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)]
    mounted = not subprocess.run(mount, capture_output=True, check=False).returncode
    if not mounted:
        folder.chmod(0o555)
    try:
        ended = command.run(folder)
        if not ended.refused:
            faults.append(f"no sentence in a folder that cannot be written: {ended.errors}")
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.chmod(0o755)
    return _outcome(command, [], int(ended.refused), faults)


def twice_at_once(command: Command) -> Outcome:
    """Run a command twice at once in one folder."""
    folder, faults = command.new_folder(), []
    ended = [command.wait(process) for process in [command.start(folder), command.start(folder)]]
    refused = sum(each.refused for each in ended)
    faults += [f"no sentence: {e.errors}" for e in ended if e.status and not e.refused]
    if refused == len(ended):
        faults.append("both refused: " + "".join(each.errors for each in ended))
        return Outcome(refused, 0, 0.0, 0, faults)
    return _outcome(command, [folder], refused, faults)


def outcomes(command: Command, count: int, rng: random.Random) -> Iterator[tuple[str, Outcome]]:
    """Yield the name and the outcome of each disturbance."""
    yield "killed", killed(command, count, rng)
    yield "full disk", on_full_disk(command, max(count // 4, 1), rng)
    yield "read-only", in_read_only_folder(command)
    yield "twice at once", twice_at_once(command)


def main() -> None:
    """Print a row for each command and disturbance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    every = [name for name in COMMANDS if name != "simulate_few"]
    parser.add_argument("--command", nargs="*", choices=COMMANDS, default=every)
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("absl").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="kill-") as scratch:
        for name in arguments.command:
            command, rng = Command(name, Path(scratch)), random.Random(arguments.seed)
            for what, outcome in outcomes(command, arguments.count, rng):
                print(f"{name:10} {command.seconds:4.0f} s {what:13} {outcome}", flush=True)


if __name__ == "__main__":
    main()
