"""Pieces of a study in processes of their own, one core each."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait

import keras

# Networks as small as these lose by sharing a step out among threads.
ONE_CORE = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
}


def each(function: Callable, arguments: Sequence, jobs: int) -> Iterator[tuple]:
    """Pairs of an argument and of what the function makes of it, as they are finished.

    Args:
        function: of a module, so that a new process finds it.
        arguments: one for each call.
        jobs: how many processes; with 1 all is done in this one.

    Raises:
        ChildProcessError: when a process was killed.
    """
    if jobs == 1:
        yield from ((argument, function(argument)) for argument in arguments)
        return
    with environ({**ONE_CORE, "KERAS_BACKEND": keras.backend.backend()}):
        context = multiprocessing.get_context("spawn")
        ended, ending = context.Pipe(duplex=False)
        pool = ProcessPoolExecutor(jobs, context, end_with_the_parent, (ended,))
        try:
            doing = {pool.submit(function, argument): argument for argument in arguments}
            for done in as_completed(doing):
                yield doing[done], done.result()
        except BrokenProcessPool as error:
            raise ChildProcessError(
                "a worker was killed; the same command goes on with what is left."
            ) from error
        finally:
            ending.close()
            pool.shutdown(wait=False, cancel_futures=True)


def end_with_the_parent(ended):
    """Leave Ctrl-C to the parent, and end when it does, killed or not: two runs would meet else.

    The other end of the pipe is the parent's alone; it closes with it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch():
        wait([ended])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def environ(added):
    """Add to this process's environment, for those started meanwhile."""
    before = dict(os.environ)
    os.environ.update(added)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
