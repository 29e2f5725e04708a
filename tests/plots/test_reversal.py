"""The loop with the magnet at some of its fields."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

from keras_micromag import plots
from tests.plots.magnets import loop, only_collection


def test_reversal_shows_the_loop_and_four_states(batch):
    structure, hysteresis = batch
    figure = plots.plot_reversal(structure, hysteresis, magnet=2)
    loop_axes, *panels, scale = figure.axes
    assert "(T)" in loop_axes.get_xlabel() and "m_z" in scale.get_title()
    assert len(panels) == 4
    assert all(panel.get_title().endswith(" T") for panel in panels)
    curve, marks = loop_axes.lines[2], loop_axes.lines[3:]
    np.testing.assert_array_equal(curve.get_ydata(), hysteresis.magnetization_along_field[2])
    for mark in marks:
        (x,), (y,) = mark.get_data()
        assert y == hysteresis.magnetization_along_field[2][hysteresis.field == x].item()
    assert [text.get_text()[-3:-2] for text in loop_axes.texts] == list("abcd")


def test_reversal_draws_the_magnet_at_the_step_of_each_mark():
    structure, hysteresis = loop(np.array([-5.0] * 4 + [-3.0] * 4))
    figure = plots.plot_reversal(structure, hysteresis, fields=[-6.0, 0.0, -4.02])
    titles = [ax.get_title() for ax in figure.axes if ax.get_title().endswith(" T")]
    assert [title.split()[-2] for title in titles] == ["0.00", "−4.00", "−6.00"]
    reversed_faces = []
    for ax in figure.axes[1:4]:
        red, _, blue = only_collection(ax).get_facecolors()[:, :3].T
        reversed_faces.append(np.mean(blue > red))
    assert reversed_faces == [0.0, 0.5, 1.0]


def test_reversal_accepts_a_single_magnet_and_a_figure_of_the_callers(batch):
    structure, hysteresis = loop(np.linspace(-5, -3, 8))
    own = Figure(figsize=(5, 4), layout="constrained")
    assert plots.plot_reversal(structure, hysteresis, figure=own, fields=[0.0]) is own
    assert plots.plot_reversal(structure, hysteresis, figure=Figure(), fields=[0.0])


def test_reversal_of_a_loop_that_never_reverses():
    structure, hysteresis = loop(np.full(8, -20.0))
    figure = plots.plot_reversal(structure, hysteresis)
    figure.canvas.draw()
    titles = [ax.get_title() for ax in figure.axes if ax.get_title().endswith(" T")]
    assert [title.split()[-2] for title in titles] == ["0.00"], "there is nothing else to show"


def test_reversal_refuses_what_is_not_in_the_loop(batch):
    with pytest.raises(ValueError, match="within the loop, -8 to 8 T; received 9"):
        plots.plot_reversal(*batch, fields=[0, 9])
    with pytest.raises(ValueError, match="`magnet` must be below 5; received 5"):
        plots.plot_reversal(*batch, magnet=5)
    with pytest.raises(ValueError, match="`magnet` must be an integer"):
        plots.plot_reversal(*batch, magnet=[1])
    with pytest.raises(ValueError, match=r"`view` must have shape \(2,\); received \(3,\)"):
        plots.plot_reversal(*batch, view=(1, 2, 3))
    with pytest.raises(ValueError, match="`fields` must name at most 26 fields"):
        plots.plot_reversal(*batch, fields=np.linspace(-8, 8, 30))


@pytest.mark.slow
def test_labels_of_the_reversal_do_not_overlap(batch):
    figure = plots.plot_reversal(*batch)
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    boxes = [ax.title.get_window_extent(renderer) for ax in figure.axes if ax.get_title()]
    assert len(boxes) == 5
    for i, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[i + 1 :])
        assert one.x0 >= 0 and one.x1 <= figure.bbox.width


def test_reversal_can_be_drawn_cut_open(batch):
    uncut = plots.plot_reversal(*batch, fields=[0.0])
    figure = plots.plot_reversal(
        *batch, fields=[0.0], cut=((1, 0, 0), 0.0), explode=0.5, view=(90.0, -90.0)
    )
    faces = [len(only_collection(f.axes[1]).get_paths()) for f in (uncut, figure)]
    # From above one sees one face of each cube; half of them are left.
    assert faces == [3 * 8, 4]
