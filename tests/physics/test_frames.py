"""Steps of a loop that a figure or a film shows."""

import numpy as np
import pytest

from keras_micromag.physics.frames import representative_steps, select_magnet
from tests.plots.magnets import loop


def test_steps_are_close_where_the_magnet_reverses():
    _, hysteresis = loop(np.linspace(-3, -5, 8), field=np.linspace(8, -8, 1601))
    steps = representative_steps(hysteresis, 40)
    field = hysteresis.field[steps]
    assert steps[0] == 0 and steps[-1] == 1600
    assert (np.diff(steps) > 0).all() and 20 < len(steps) <= 40
    # Half of the path length is the reversal, a quarter of it lies in an eighth of the fields.
    assert np.mean((field < -2.9) & (field > -5.1)) > 0.3
    assert -np.diff(field).min() < 1.0


def test_all_steps_of_a_short_loop_are_selected():
    _, hysteresis = loop(np.full(8, -4.0), field=[3.0, 0.0, -5.0])
    assert representative_steps(hysteresis, 3).tolist() == [0, 1, 2]
    assert representative_steps(hysteresis, 2).tolist() == [0, 2]
    with pytest.raises(ValueError, match="`number` must be an integer of at least 2; received 1"):
        representative_steps(hysteresis, 1)


def test_a_field_that_stands_still_has_steps():
    _, hysteresis = loop(np.full(8, -4.0), field=[1.0] * 5)
    assert representative_steps(hysteresis, 3).tolist() == [0, 4]


def test_select_a_magnet_of_a_batch_or_a_single_one():
    _, batch = loop(np.linspace(-3, -5, 16).reshape(2, 8))
    np.testing.assert_array_equal(select_magnet(batch, -1).magnetization, batch.magnetization[1])
    single = batch[0]
    assert select_magnet(single, 0) is single
    with pytest.raises(ValueError, match="`magnet` must be below 2; received 2"):
        select_magnet(batch, 2)
