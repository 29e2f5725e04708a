"""KerasTuner's chief and workers as processes on this machine."""

import contextlib
import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable

import keras

from keras_micromag.paper import workers

MAX_KILLED = 5


def chief_and_workers(search: Callable[[], object], count: int) -> None:
    """Run a search with one chief and several workers, each on one core.

    A worker that is killed is started again under its name, and repeats its trial.

    Args:
        search: a picklable function that runs the search in the role that the process has by
            KerasTuner's environment variables.
        count: number of workers.

    Raises:
        ChildProcessError: when a process failed, or workers were killed more than five times.
    """
    context = multiprocessing.get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    address = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(_free_port())}
    running = {}

    def start(name):
        variables = {"KERAS_BACKEND": keras.backend.backend(), "KERASTUNER_TUNER_ID": name}
        with workers.environment({**workers.ONE_CORE, **address, **variables}):
            running[name] = context.Process(target=_run, args=(search, reader), daemon=True)
            running[name].start()

    try:
        for name in ("chief", *(f"worker{i}" for i in range(count))):
            start(name)
        killed = 0
        while running["chief"].exitcode != 0:
            # Polled: a sentinel is ready before `exitcode` is set, so waiting on it may miss it.
            time.sleep(0.5)
            for name in [name for name, process in running.items() if process.exitcode]:
                status = running[name].exitcode
                killed += status < 0  # by a signal
                if name == "chief" or status > 0 or killed > MAX_KILLED:
                    raise ChildProcessError(
                        f"{name} ended with {status}, see above; the same command goes on after "
                        "the last finished trial."
                    )
                start(name)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.join()
        writer.close()


def _run(search, pipe):
    workers.exit_with_parent(pipe)
    try:
        search()
    except (ValueError, OSError) as error:
        # One line instead of a traceback; the parent raises an error of its own.
        sys.exit(f"{os.environ['KERASTUNER_TUNER_ID']}: {error}")


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]
