"""Loops from one field to the next, collected on the host and kept in a checkpoint."""

import numpy as np
from keras import ops

from keras_micromag.physics.solver import field_steps
from keras_micromag.physics.solver.checkpoint import open_checkpoint
from keras_micromag.physics.solver.equilibria import Loops
from keras_micromag.physics.solver.problem import Problem, Solution
from keras_micromag.utils.backend import tensors
from keras_micromag.utils.progress import Progress


def solve(problem: Problem, checkpoint=None) -> Solution:
    """Return the states at all fields.

    Args:
        checkpoint: a folder to keep what is done in, or None.

    Raises:
        ConvergenceError: naming the field step of a single magnet that found no equilibrium, unless
            that is allowed. A magnet of a batch is given up there.
    """
    options = problem.options
    loops = Loops(len(problem.easy_axes), problem.field, len(problem.structure), options.dtype)
    with open_checkpoint(checkpoint, loops, _settings(problem)) as kept:
        state = kept.resume()
        _refuse_unconverged(loops, problem)
        if not loops.complete:
            magnet, branch = problem.laid_out(loops.field)
            magnet, start = tensors((magnet, field_steps.start(magnet, branch)), options.dtype)
            state = start if state is None else kept.tensors_like(state, start)
        with Progress(problem.progress, loops) as bar:
            while not loops.complete:
                state, records = field_steps.advance(magnet, state, options.avalanche)
                loops.collect(records)
                state = _end(state, _refuse_unconverged(loops, problem), len(loops.field))
                kept.save(state)
                bar(state)
    return Solution(loops.moments, loops.converged, loops.iterations)


def _refuse_unconverged(loops, problem):
    """Raise where a single magnet fails; return (b,) whether each one of a batch is given up."""
    if problem.raises:
        loops.refuse_unconverged(problem.options.max_iterations)
    if problem.options.allow_unconverged:
        return np.zeros(len(loops.reached), bool)
    return loops.give_up_unconverged()


def _end(state, given_up, end):
    """Return the state in which the magnets `given_up` (b,) are done."""
    if not given_up.any():
        return state
    target = np.where(given_up, end, ops.convert_to_numpy(state.target)).astype("int32")
    return state._replace(target=ops.convert_to_tensor(target))


def _settings(problem) -> dict:
    """Return all that decides what the loop is, by the names of `simulate`'s arguments.

    What is not used is left out, so that checkpoints of before fit.
    """
    constants, later = ("Js", "anisotropy_field"), {}
    if problem.exchange.any():
        # The field of the neighbours depends on the depth of a nucleus, too.
        constants += ("Ku", "A")
        later["exchange"] = problem.exchange
    if problem.thermal:
        later["thermal"] = repr(problem.thermal)
    materials = [[[getattr(m, c) for c in constants] for m in row] for row in problem.materials]
    options = problem.options
    return {
        "structure": problem.structure,
        "easy_axes": problem.easy_axes,
        "material": np.array(materials),
        "field": problem.field,
        "field_direction": problem.direction,
        "self_field": problem.operator.self_field,
        "initial_state": problem.branch,
        "avalanche": options.avalanche,
        "dtype": options.dtype,
        "tol": options.tol,
        "max_iterations": options.max_iterations,
        "operator": problem.operator.description,
        **later,
    }
