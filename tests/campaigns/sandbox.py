"""Runs one call on bad input, and says whether it ended as it should."""

import dis
import os
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
OURS = tuple(str(ROOT / name) + os.sep for name in ("keras_micromag", "tfds_esw", "tuning"))
KERAS = os.path.join(os.path.dirname(keras.__file__), "src") + os.sep
BACKENDS = tuple(KERAS + part for part in ("ops", "backend", "utils"))

SECONDS = 10.0
"""Processor time that one input may take."""

SENTENCES = ValueError, TypeError, OSError, ImportError, MemoryError, IndexError, RuntimeError
"""Types of errors whose messages are sentences of the package."""


class CommandError(Exception):
    """Raised where a command line ended in one sentence on stderr."""


class Call(NamedTuple):
    """A call of no argument.

    Attributes:
        by_keras: whether Keras calls the package, and may refuse the input before it does.
        is_command: whether it is a command line, on which no warning must appear.
    """

    function: Callable[[], object]
    by_keras: bool = False
    is_command: bool = False


class Outcome(NamedTuple):
    """How a call ended: with a result or a sentence, unless `fault` says what was wrong."""

    kind: str  # "result", "sentence" or "fault"
    text: str
    seconds: float


def outcome(call: Call, folder: Path) -> Outcome:
    """Call, with `folder` as working directory, and judge how it ends.

    Args:
        call: what to call.
        folder: that holds the input. A call that ends in an error must leave nothing else there.
    """
    before = _files(folder)
    start = time.process_time()
    error = None
    with _captured(folder) as output, _all_frames(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            call.function()
        except Exception as raised:
            error = raised
    seconds = time.process_time() - start
    faults = []
    if seconds > SECONDS:
        faults.append(f"{seconds:.0f} s of processor time")
    if text := output.read_text(errors="replace"):
        faults.append(f"output on stderr: {text:.400}")
    for warning in caught:
        if call.is_command or not issubclass(warning.category, UserWarning):
            place = f"{warning.filename}:{warning.lineno}"
            faults.append(f"{warning.category.__name__} from {place}: {warning.message}")
    left = (_files(folder) - before) if error else _files(folder / "tmp")
    if left:
        faults.append(f"files left behind: {sorted(left)}")
    if error and (complaint := _complaint(error, call.by_keras)):
        faults.append(complaint)
    if faults:
        return Outcome("fault", "; ".join(faults), seconds)
    return Outcome("sentence" if error else "result", str(error or ""), seconds)


@contextmanager
def _captured(folder: Path) -> Iterator[Path]:
    """Send stdout and stderr of the process to files; make `folder` its working directory."""
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    output = folder.with_name(f"{folder.name}.stderr")
    place, former = os.getcwd(), tempfile.tempdir
    saved = [os.dup(1), os.dup(2)]
    sys.stdout.flush(), sys.stderr.flush()
    with open(output, "wb") as file, open(os.devnull, "wb") as null:
        os.dup2(null.fileno(), 1), os.dup2(file.fileno(), 2)
        os.chdir(folder)
        tempfile.tempdir = str(temporary)
        try:
            yield output
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            tempfile.tempdir = former
            os.chdir(place)
            for descriptor, number in zip(saved, (1, 2), strict=True):
                os.dup2(descriptor, number)
                os.close(descriptor)


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")} - {"tmp"}


def _complaint(error: Exception, by_keras: bool) -> str:
    """Return what is wrong with an error, or nothing where it is a sentence of the package."""
    if isinstance(error, CommandError):
        return ""
    frames = list(traceback.walk_tb(error.__traceback__))
    frame = frames[-1][0]
    file = frame.f_code.co_filename
    place = f"{file.removeprefix(str(ROOT) + os.sep)}:{frames[-1][1]}"
    said = f"{type(error).__name__} from {place}: {error!s:.400}"
    by = [f"{each.f_code.co_filename}:{line}" for each, line in frames if _is_ours(each)]
    said += f" (by {by[-1].removeprefix(str(ROOT))})" if by else ""
    files = [each.f_code.co_filename for each, _ in frames]
    ours = [file.startswith(OURS) for file in files]
    if by_keras and not _is_called_by_us(files):
        return ""
    if not isinstance(error, SENTENCES) or isinstance(error, UnicodeError | RecursionError):
        return said
    if isinstance(error, OSError) and error.filename:
        return ""
    if isinstance(error, MemoryError) and str(error):
        return ""
    if not ours[-1] or not _is_raised(error.__traceback__):
        return said
    message = str(error)
    if not by_keras and "\n" in message:
        return f"more than one line: {said}"
    return "" if message else said


def _is_ours(frame) -> bool:
    return frame.f_code.co_filename.startswith(OURS)


def _is_called_by_us(files: list[str]) -> bool:
    """Return whether the package calls what fails, rather than a layer or a loss of Keras does.

    Args:
        files: of a traceback, the innermost last.
    """
    callers = [
        file
        for file in files
        if file.startswith(OURS) or (file.startswith(KERAS) and not file.startswith(BACKENDS))
    ]
    return bool(callers) and callers[-1].startswith(OURS)


def _is_raised(trace) -> bool:
    """Return whether the innermost frame of a traceback stands at a `raise` statement."""
    while trace.tb_next:
        trace = trace.tb_next
    instructions = dis.get_instructions(trace.tb_frame.f_code)
    at = next(each for each in instructions if each.offset == trace.tb_lasti)
    return at.opname == "RAISE_VARARGS"


@contextmanager
def _all_frames() -> Iterator[None]:
    """Make Keras leave its frames in the tracebacks of errors."""
    keras.config.disable_traceback_filtering()
    try:
        yield
    finally:
        keras.config.enable_traceback_filtering()


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """Yield an empty folder for one case."""
    folder = Path(tempfile.mkdtemp(prefix="case-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_name(f"{folder.name}.stderr").unlink(missing_ok=True)


def all_numbers(value, test=np.isfinite) -> bool:
    """Return whether all numbers in arrays, tuples, lists and dicts pass a test of NumPy."""
    if isinstance(value, dict):
        return all(all_numbers(part, test) for part in value.values())
    if isinstance(value, tuple | list):
        return all(all_numbers(part, test) for part in value)
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        return True
    return array.dtype.kind not in "fc" or bool(test(array).all())
