"""Loops of grains on a lattice: their order, images and states."""

import numpy as np
import pytest

from keras_micromag.data import Lattices, symmetric_images
from keras_micromag.physics import cubic_grains

LOOPS = Lattices(np.random.default_rng(1).normal(size=(2, 5, 8, 3)), (2, 2, 2))


def test_the_grid_has_the_order_of_cubic_grains():
    grid = (2, 3, 4)
    place = np.tile(cubic_grains(grid).centroids, (1, 1, 1, 1))
    on_grid = Lattices(place, grid).on_grid[0, 0]
    assert (np.diff(on_grid[..., 0], axis=0) > 0).all()
    assert (np.diff(on_grid[..., 1], axis=1) > 0).all()
    assert (np.diff(on_grid[..., 2], axis=2) > 0).all()


def test_images_are_those_of_the_lattice():
    images = LOOPS.images(6)
    wanted = symmetric_images(LOOPS.on_grid, 6)
    np.testing.assert_array_equal(images.on_grid, wanted.reshape(12, *wanted.shape[2:]))
    assert images.grid == LOOPS.grid
    assert Lattices(LOOPS.moments[:, :0], (2, 2, 2)).images(6).moments.shape == (12, 0, 8, 3)


def test_states_are_those_of_the_loops():
    states = LOOPS.states(np.array([1, 0, 1]), np.array([[4], [0], [2]]))
    np.testing.assert_array_equal(states.moments[:, 0], LOOPS.moments[[1, 0, 1], [4, 0, 2]])
    assert states.inputs is states.moments and states.targets is states.moments
    assert not states.magnet and len(LOOPS[:1]) == 1


def test_float32_is_kept():
    moments = np.zeros((1, 2, 8, 3), "float32")
    assert np.shares_memory(Lattices(moments, (2, 2, 2)).moments, moments)
    assert LOOPS.moments.dtype == np.float32


@pytest.mark.parametrize(
    ("moments", "grid", "sentence"),
    [
        ((1, 5, 8, 3), (2, 2), r"with g = x·y·z of `grid` = \(2, 2\); received \(1, 5, 8, 3\)"),
        ((1, 5, 9, 3), (2, 2, 2), r"`moments` must have shape \(s, t, g, 3\) .* \(1, 5, 9, 3\)"),
        ((1, 5, 2, 2, 2, 3), (2, 2, 2), r"`moments` must have shape \(s, t, g, 3\)"),
        ((1, 5, 8, 3), (2, 2, 0), "`grid` must be an integer of at least 1"),
    ],
    ids=str,
)
def test_bad_input(moments, grid, sentence):
    with pytest.raises(ValueError, match=sentence):
        Lattices(np.zeros(moments), grid)
