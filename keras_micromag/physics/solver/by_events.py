"""Loops from one avalanche to the next, by the batch."""

import numpy as np

from keras_micromag.physics.hysteresis import Events
from keras_micromag.physics.solver import field_steps
from keras_micromag.physics.solver.equilibria import Loops
from keras_micromag.physics.solver.events import continuation
from keras_micromag.physics.solver.events.arcs import Arcs
from keras_micromag.physics.solver.events.equilibrate import Equilibrator, of_states
from keras_micromag.physics.solver.events.log import Segments
from keras_micromag.physics.solver.events.reversal import find_events
from keras_micromag.physics.solver.events.trace import path_along, refuse_unconverged, trace
from keras_micromag.physics.solver.problem import Problem, Solution
from keras_micromag.utils.backend import tensors
from keras_micromag.utils.progress import Progress


def solve(problem: Problem) -> Solution:
    """Return the states at all fields, and the events between them.

    Raises:
        ConvergenceError: naming the field step of a single magnet that found no equilibrium, unless
            that is allowed. A magnet of a batch is given up there.
    """
    options = problem.options
    loops = Loops(len(problem.easy_axes), problem.field, len(problem.structure), options.dtype)
    loops.converged[:] = True  # unlike by steps, all count until one fails
    events = _solve(problem, loops) if len(problem.easy_axes) else Events.none()
    return Solution(loops.moments, loops.converged, loops.iterations, events)


def _solve(problem, loops):
    """Compute the states of one magnet or more, and return the events between them."""
    options, segments = problem.options, Segments.along(problem.field)
    # Compiled code shall not depend on how many fields are asked for.
    magnet, branch = problem.laid_out(problem.field[:1])
    path = path_along(segments, magnet, problem.exchange_field)
    state = continuation.start(magnet, path, branch)
    magnet, path, state = tensors((magnet, path, state), options.dtype)
    with Progress(problem.progress, loops) as bar:
        log = trace(magnet, path, state, segments, problem, loops, bar)
    reached = loops.converged.copy()
    equilibrator = Equilibrator(magnet, options.max_iterations)
    arcs = Arcs(log, segments, branch, equilibrator, loops, options.tol)
    arcs.compute_states()
    _relax_by_steps(magnet, arcs, loops, reached & ~loops.converged, options)
    events = _events(problem, arcs)
    refuse_unconverged(loops, problem)
    loops.moments[~loops.converged] = np.nan
    return events


def _events(problem, arcs):
    """Return the events of the magnets, with the share of each grain in the moment."""
    share = problem.polarization * np.array(problem.structure.volumes)
    share = np.broadcast_to(share / share.sum(axis=-1, keepdims=True), problem.branch.shape)
    return find_events(arcs, share, problem.direction)


def _relax_by_steps(magnet, arcs, loops, failed, options):
    """Find the states where `failed` (b, t) as by steps, and write them into `loops`.

    An arc may lack an equilibrium at a field asked for: soft grains may become unstable and stable
    again between two nodes. So grains may flip at that field; these flips are not among the events.
    """
    of, step = np.nonzero(failed)
    if not len(of):
        return
    # Padding repeats the last state, so that few sizes are compiled.
    rows = np.minimum(np.arange(2 ** int(np.ceil(np.log2(len(of))))), len(of) - 1)
    of, step, count = of[rows], step[rows], len(of)
    branch = arcs.branch[arcs.of_field[of, step]]
    moments = arcs.padded(np.swapaxes(loops.moments[of, step], 1, 2))
    arrays = of, np.zeros((len(of), 1), int), branch, moments, loops.field[step, None]
    index, reach, branch, moments, field = tensors(arrays, options.dtype)
    held = of_states(magnet, index)._replace(field=field, reach=reach, end=reach[0, 0] + 1)
    state = field_steps.start(held, branch)._replace(moments=moments)
    relaxed = Loops(len(of), loops.field[:1], loops.moments.shape[2], options.dtype)
    while not relaxed.complete:
        state, records = field_steps.advance(held, state, options.avalanche)
        relaxed.collect(records)
    of, step = of[:count], step[:count]
    loops.moments[of, step] = relaxed.moments[:count, 0]
    loops.converged[of, step] = relaxed.converged[:count, 0]
    loops.iterations[of, step] += relaxed.iterations[:count, 0]
