"""KerasTuner's chief and workers, as processes of this machine."""

import contextlib
import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable

import keras

from keras_micromag.paper import workers

KILLED_AT_MOST = 5


def chief_and_workers(search: Callable[[], object], count: int) -> None:
    """Run a search by one chief and so many workers, each on one core.

    A worker that is killed is started again under its name, and gets its trial back.

    Args:
        search: picklable; runs the search as the process's environment has it.
        count: of workers.

    Raises:
        ChildProcessError: when a process failed, or workers were killed more than five times.
    """
    context = multiprocessing.get_context("spawn")
    ended, ending = context.Pipe(duplex=False)
    address = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(_free_port())}
    running = {}

    def start(name):
        told = {"KERAS_BACKEND": keras.backend.backend(), "KERASTUNER_TUNER_ID": name}
        with workers.environ({**workers.ONE_CORE, **address, **told}):
            running[name] = context.Process(target=_run, args=(search, ended), daemon=True)
            running[name].start()

    try:
        for name in ("chief", *(f"worker{i}" for i in range(count))):
            start(name)
        killed = 0
        while running["chief"].exitcode != 0:
            time.sleep(0.5)  # sentinels tell of an end before `exitcode` does, and would be missed
            for name in [name for name, process in running.items() if process.exitcode]:
                status = running[name].exitcode
                killed += status < 0  # by a signal
                if name == "chief" or status > 0 or killed > KILLED_AT_MOST:
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
        ending.close()


def _run(search, ended):
    workers.end_with_the_parent(ended)
    try:
        search()
    except (ValueError, OSError) as error:
        # Not a traceback of the process: its parent says the rest.
        sys.exit(f"{os.environ['KERASTUNER_TUNER_ID']}: {error}")


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
