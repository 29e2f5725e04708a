"""Magnets traced along the field: the compiled continuation, its path, and the log of it."""

from collections.abc import Callable

import numpy as np
from keras import ops

from keras_micromag.physics.solver import field_steps
from keras_micromag.physics.solver.equilibria import ConvergenceError, Loops
from keras_micromag.physics.solver.events import continuation
from keras_micromag.physics.solver.events.log import EventLog, Segments, without_reopened
from keras_micromag.physics.solver.problem import Problem
from keras_micromag.utils import memory

ROOT_TOL = 2.5e-7
"""Tesla by which the last trial may miss a root, or `tol` where that is larger; roots are right to
1e-6 then."""


def path_along(
    segments: Segments, magnet: field_steps.Magnet, exchange: float
) -> continuation.Path:
    """Return the path of magnets along the segments; all NumPy.

    Its arrays are padded, since each length of them is compiled on its own.

    Args:
        segments, magnet: of the path. exchange: the largest field of neighbours, in tesla.
    """
    softness = magnet.softness[magnet.softness > 0]
    capacity = 4 ** int(np.ceil(np.log2(max(len(segments.ends), 4)) / 2))
    return continuation.Path(
        segments=len(segments.ends),
        start=float(segments.start),
        ends=np.resize(segments.ends, capacity).astype(float),
        direction=np.resize(segments.direction, capacity).astype(float),
        longest=np.full(len(magnet.easy_axes), continuation.LONGEST_STEP / softness.max()),
        high=continuation.HIGH * (1.0 / softness.min() + magnet.strength.max() + exchange),
        root_tol=max(ROOT_TOL, magnet.tol),
    )


def trace(
    magnet: field_steps.Magnet,
    path: continuation.Path,
    state: continuation.State,
    segments: Segments,
    problem: Problem,
    loops: Loops,
    report: Callable,
) -> EventLog:
    """Trace all magnets to the last field, and return the log, magnet by magnet.

    Args:
        magnet, path, state: tensors; of b magnets at the first field.
        segments: of the path.
        problem: whose options these are.
        loops: to which matvecs and the fields reached are added. A field is unconverged where a
            magnet is given up, and from there on.
        report: called with the state after each call of the compiled loop.

    Raises:
        ConvergenceError: where an equilibrium of a single magnet is not found, unless that is
            allowed.
        MemoryError: before the log needs more memory than there is.
    """
    logs = []
    while not loops.complete:
        state, records = continuation.advance(magnet, path, state, problem.options.avalanche)
        log = EventLog.from_records(records, segments, loops.moments.shape[2])
        logs.append(log)
        _count(log, segments, loops)
        _require_memory(logs, loops)
        refuse_unconverged(loops, problem)
        loops.reached = _fields_reached(state, segments)
        report(state)
    return without_reopened(EventLog.concatenate(logs))


def refuse_unconverged(loops: Loops, problem: Problem) -> None:
    """Raise where a single magnet found no equilibrium.

    Raises:
        ConvergenceError: naming the first field that is not before, unless that is allowed.
    """
    if problem.raises and not loops.converged.all():
        magnet, step = np.argwhere(~loops.converged)[0]
        raise ConvergenceError(
            f"field step {step} ({loops.field[step]:g} T) of magnet {magnet}, or what comes before "
            f"it, found no equilibrium within `max_iterations` = {problem.options.max_iterations}."
        )


def _count(log, segments, loops):
    """Count the matvecs of a log, each at the first field that is not before it."""
    step = segments.next_step(segments.path_length(log.segment, log.field))
    np.add.at(loops.iterations, (log.magnet, step), log.matvecs)
    # A magnet that is given up has no states from there on.
    for i in np.flatnonzero(~log.converged):
        loops.converged[log.magnet[i], step[i] :] = False


def _require_memory(logs, loops):
    # `trace` copies all logs twice, to concatenate and to sort them.
    held = sum(part.nbytes for log in logs for part in log)
    memory.require(
        2 * held,
        f"the record of {len(loops.reached)} magnets up to {loops.field_behind:.3g} T",
        "fewer magnets at a time do, or `method` 'steps'",
    )


def _fields_reached(state, segments):
    """Return (b,) how many fields each magnet has behind it."""
    segment = ops.convert_to_numpy(state.segment)
    field = ops.convert_to_numpy(state.field).astype(float)
    last = len(segments.ends) - 1
    length = segments.path_length(np.minimum(segment, last), field)
    before = np.searchsorted(segments.field_path_length, length)
    return np.where(segment > last, len(segments.field_path_length), before)
