"""What magnets reached, handed on in parts; how it is collected is seen in `simulate`."""

import numpy as np
import pytest

from keras_micromag.physics.solver.equilibria import Loops


def empty():
    return Loops(3, np.arange(9.0), 2, "float32")


@pytest.fixture
def full():
    """Three magnets of two grains with nine fields behind them."""
    loops, draw = empty(), np.random.default_rng(0)
    loops.moments[:] = draw.random(loops.moments.shape)
    loops.converged[:] = draw.random(loops.converged.shape) > 0.5
    loops.iterations[:] = draw.integers(9, size=loops.iterations.shape)
    loops.reached[:] = 9
    return loops


def test_parts_make_the_whole(full):
    made, before = empty(), np.zeros(3, int)
    for reached in ([0, 0, 4], [2, 0, 9], [2, 0, 9], [9, 9, 9]):
        full.reached = np.array(reached)
        part = full.since(before)
        assert len(part["moments"]) == (full.reached - before).sum()
        made.restore(**part)
        before = full.reached
        assert made.done == sum(reached)
    assert made.complete
    for name in ("moments", "converged", "iterations"):
        np.testing.assert_array_equal(getattr(made, name), getattr(full, name))


def test_parts_in_another_order_are_refused(full):
    made = empty()
    made.restore(**full.since(np.zeros(3, int)))
    full.reached = np.array([9, 4, 9])
    with pytest.raises(ValueError, match="negative"):
        made.restore(**full.since(np.zeros(3, int)))


def test_the_field_behind(full):
    full.reached = np.array([9, 4, 7])
    assert full.field_behind == 4.0
    full.reached = np.array([9, 9, 9])
    assert full.field_behind == 8.0
