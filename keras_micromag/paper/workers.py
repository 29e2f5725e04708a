"""Calls of a function in parallel processes, each on one core."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection, wait

import keras

# Small networks are slower with several threads per step.
ONE_CORE = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
}


def map_in_processes(function: Callable, arguments: Sequence, jobs: int) -> Iterator[tuple]:
    """Yield pairs of an argument and the function's result, in the order in which calls finish.

    Args:
        function: a picklable function of one argument.
        arguments: one for each call.
        jobs: number of processes; with 1 all calls are made in this process.

    Raises:
        ChildProcessError: when a process was killed.
    """
    if jobs == 1:
        yield from ((argument, function(argument)) for argument in arguments)
        return
    with environment({**ONE_CORE, "KERAS_BACKEND": keras.backend.backend()}):
        context = multiprocessing.get_context("spawn")
        reader, writer = context.Pipe(duplex=False)
        pool = ProcessPoolExecutor(jobs, context, exit_with_parent, (reader,))
        try:
            calls = {pool.submit(function, argument): argument for argument in arguments}
            for call in as_completed(calls):
                yield calls[call], call.result()
        except BrokenProcessPool as error:
            raise ChildProcessError(
                "a worker was killed; the same command goes on with what is left."
            ) from error
        finally:
            writer.close()
            pool.shutdown(wait=False, cancel_futures=True)


def exit_with_parent(pipe: Connection) -> None:
    """Ignore Ctrl-C, and exit when the parent process ends, also if it is killed.

    Otherwise this process could still be at work when the next run begins. Only the parent has the
    other end of the pipe, which closes when it ends.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch():
        wait([pipe])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def environment(added: dict[str, str]) -> Iterator[None]:
    """Add variables to this process's environment, for processes that are started in the body."""
    before = dict(os.environ)
    os.environ.update(added)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
