"""The avalanches: what reverses together."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from keras_micromag import plots
from tests.plots.magnets import loop


def test_an_avalanche_is_what_reverses_within_one_field_step():
    # Steps of 0.1 T: three go together, then one, two, and one; the last never does.
    switching = np.array([-3.01, -3.02, -3.03, -3.55, -4.01, -4.02, -5.05, -20.0])
    _, hysteresis = loop(switching)
    assert plots.avalanche_sizes(hysteresis).tolist() == [1, 2, 1, 3]


def test_avalanches_of_a_batch_are_pooled_but_not_joined():
    _, hysteresis = loop(np.full((3, 8), -4.0))
    assert plots.avalanche_sizes(hysteresis).tolist() == [8, 8, 8]


def test_avalanches_are_drawn_by_size_and_by_at_least_that_size():
    switching = np.array([[-3.05] * 4 + [-4.05] * 2 + [-4.55, -5.05]] * 2)
    _, hysteresis = loop(switching)
    ax = plots.plot_avalanches(hysteresis)
    (line,) = ax.lines
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 4])
    np.testing.assert_array_equal(line.get_ydata(), [8, 4, 2])
    # In bins of 1, 2 to 3, 4 to 7.
    assert [bar.get_height() for bar in ax.patches] == [4, 2, 2]
    assert ax.get_xscale() == ax.get_yscale() == "log"
    ax.figure.canvas.draw()


def test_a_loop_without_a_reversal_has_no_avalanches():
    _, hysteresis = loop(np.full(8, -20.0))
    assert plots.avalanche_sizes(hysteresis).shape == (0,)
    with pytest.raises(ValueError, match="`hysteresis` must have a grain that reverses"):
        plots.plot_avalanches(hysteresis)
