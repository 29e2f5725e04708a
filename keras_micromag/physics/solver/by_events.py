"""Loops from one avalanche to the next, by the batch."""

import numpy as np

from keras_micromag.physics.solver.equilibria import Loops
from keras_micromag.physics.solver.events import EventTracer
from keras_micromag.physics.solver.problem import Problem, Solution
from keras_micromag.utils.progress import Progress


def solve(problem: Problem) -> Solution:
    """Return the states at all fields, and the events between them.

    Raises:
        ConvergenceError: naming the field step that found no equilibrium, unless that is allowed.
    """
    structure, options = problem.structure, problem.options
    Loops.require_room(len(problem.easy_axes), len(problem.field), len(structure), options.dtype)
    # Compiled code shall not depend on how many fields are asked for.
    magnet, branch = problem.laid_out(problem.field[:1])
    share = np.atleast_2d(problem.polarization * np.array(structure.volumes))
    share = share / share.sum(axis=1, keepdims=True)
    tracer = EventTracer(
        magnet,
        branch,
        problem.field,
        share,
        problem.direction,
        avalanche=options.avalanche,
        dtype=options.dtype,
        refuse=not options.allow_unconverged,
    )
    with Progress(problem.progress, tracer) as bar:
        tracer.trace(bar)
    return tracer.result()
