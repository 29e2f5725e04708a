"""Parts of all command lines: options and their types, errors in one sentence, the backend."""

from __future__ import annotations

import argparse
import contextlib
import logging
import math
import os
import sys
import tempfile

PROGRAM = "keras-micromag"
BACKENDS = ("tensorflow", "jax", "torch")


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one sentence, without the usage in front of it."""

    def error(self, message):
        """Raise the message, which `run` prints."""
        raise ValueError(f"{message} (see `{self.prog} --help`).")


def run(parser: Parser, argv: list[str] | None = None) -> int:
    """Run the command that `argv` names, and return the process's exit status.

    Args:
        parser: of commands that set the default `run`, which is called with the parsed options.
        argv: the arguments; those of the process if None.

    Returns:
        0; or 2 after bad input or a failure, with one sentence on stderr; or 130 after Ctrl-C.
    """
    program = parser.prog
    try:
        arguments = sys.argv[1:] if argv is None else argv
        options = parser.parse_args([_shield(argument) for argument in arguments])
        options.run(options)
    except SystemExit as request:  # --help and --version
        return int(request.code or 0)
    except KeyboardInterrupt:
        print(f"{program}: interrupted.", file=sys.stderr, flush=True)
        if argv is None:
            # Not by sys.exit, since JAX, still computing, would crash while Python shuts down.
            os._exit(130)
        return 130
    except _expected_errors() as error:
        print(f"{program}: error: {_sentence(error)}", file=sys.stderr)
        return 2
    return 0


def _expected_errors() -> tuple[type[Exception], ...]:
    """Return the types of errors that bad input, or the machine, may cause."""
    expected = ValueError, ImportError, MemoryError, OSError
    if "tensorflow" not in sys.modules:
        return expected
    # TensorFlow writes data sets and the logs of a training, and has errors of its own.
    from tensorflow import errors

    return (
        *expected,
        errors.OutOfRangeError,  # of a file that grows too large
        errors.PermissionDeniedError,
        errors.ResourceExhaustedError,  # of a full disk
        errors.UnknownError,
    )


def _sentence(error: Exception) -> str:
    """Return the message of an error as one line that ends with a full stop."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}."
    message = " ".join(str(error).split()) or type(error).__name__
    return message if message.endswith(".") else f"{message}."


def option(group, option, help, default, type=str, metavar=None, choices=None) -> None:
    """Add one option, whose help names its default if it has one."""
    shown = " ".join(map(str, default)) if isinstance(default, list) else default
    group.add_argument(
        option,
        help=help if default is None else f"{help} (default: {shown})",
        default=default,
        type=type,
        nargs=len(metavar) if isinstance(metavar, tuple) else None,
        metavar=metavar,
        choices=choices,
    )


def _shield(argument: str) -> str:
    """Return the argument, with a leading space if argparse would read -1e5 as an option."""
    with contextlib.suppress(ValueError):
        if argument.startswith("-"):
            float(argument)
            return f" {argument}"
    return argument


def count(text: str, least: int = 1) -> int:
    """Convert the text of an option that is a whole number of at least `least`."""
    with contextlib.suppress(ValueError):
        if int(text) >= least:
            return int(text)
    raise argparse.ArgumentTypeError(f"must be a whole number of at least {least}; received {text}")


def seed(text: str) -> int:
    """Convert the text of an option that is a seed."""
    return count(text, least=0)


def number(text: str) -> float:
    """Convert the text of an option that is a finite number."""
    with contextlib.suppress(ValueError):
        if math.isfinite(float(text)):
            return float(text)
    raise argparse.ArgumentTypeError(f"must be a finite number; received {text}")


def add_backend(command) -> None:
    """Add the option `--backend`, for `choose_backend`."""
    text = "Keras backend; KERAS_BACKEND if not given"
    option(command, "--backend", text, None, choices=BACKENDS)


def choose_backend(options) -> None:
    """Import Keras on the backend that the options name, without the backend's remarks."""
    # TensorFlow's messages about the processor, once it is loaded.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    for name in ("absl", "tensorflow"):  # TFDS's of folders that are not there yet, and such
        logging.getLogger(name).setLevel(logging.ERROR)
    if getattr(options, "dtype", None) == "float64":
        os.environ.setdefault("JAX_ENABLE_X64", "1")
    if options.backend is not None:
        loaded = sys.modules.get("keras")
        if loaded is not None and loaded.backend.backend() != options.backend:
            raise ValueError(
                f"`--backend {options.backend}` must be chosen before Keras is imported; "
                f"this process already uses {loaded.backend.backend()}."
            )
        os.environ["KERAS_BACKEND"] = options.backend
    with _stderr_held_back():
        import keras  # noqa: F401


@contextlib.contextmanager
def _stderr_held_back():
    """Write what comes to the process's stderr only if the body raises.

    While it loads, TensorFlow writes there that it found no GPU; no setting prevents that.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        except BaseException:
            file.seek(0)
            os.write(stderr, file.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
