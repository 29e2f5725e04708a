"""Loops from one avalanche to the next, by the batch."""

import numpy as np

from keras_micromag.physics.hysteresis import Events
from keras_micromag.physics.solver.equilibria import Loops
from keras_micromag.physics.solver.events import continuation
from keras_micromag.physics.solver.events.arcs import Arcs
from keras_micromag.physics.solver.events.equilibrate import Equilibrator
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
    path = path_along(segments, magnet)
    state = continuation.start(magnet, path, branch)
    magnet, path, state = tensors((magnet, path, state), options.dtype)
    with Progress(problem.progress, loops) as bar:
        log = trace(magnet, path, state, segments, problem, loops, bar)
    equilibrator = Equilibrator(magnet, options.max_iterations)
    events = _states_and_events(problem, log, segments, branch, equilibrator, loops)
    refuse_unconverged(loops, problem)
    loops.moments[~loops.converged] = np.nan
    return events


def _states_and_events(problem, log, segments, branch, equilibrator, loops):
    """Write the states at the fields asked for into `loops`, and return the events of the log."""
    arcs = Arcs(log, segments, branch, equilibrator, loops, problem.options.tol)
    arcs.compute_states()
    share = problem.polarization * np.array(problem.structure.volumes)
    share = np.broadcast_to(share / share.sum(axis=-1, keepdims=True), problem.branch.shape)
    return find_events(arcs, share, problem.direction)
