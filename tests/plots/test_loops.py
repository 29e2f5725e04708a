"""The curves: what they show, and how they are labelled."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from keras_micromag import plots
from tests.plots.magnets import loop


def test_loops_show_every_magnet_and_their_mean(batch):
    ax = plots.plot_loops(batch[1])
    curves = [line for line in ax.lines if len(line.get_xdata()) == len(batch[1].field)]
    assert len(curves) == 5 + 1
    np.testing.assert_allclose(
        curves[-1].get_ydata(), batch[1].magnetization_along_field.mean(axis=0)
    )
    assert "(T)" in ax.get_xlabel() and "M_" in ax.get_ylabel()
    assert ax.get_xlim() == (-8, 8)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["5 magnets", "mean"]


def test_loops_mark_the_coercivity_where_the_curve_crosses_zero(batch):
    coercivity = batch[1].coercivity()
    ax = plots.plot_loops(batch[1])
    (bar,) = ax.collections[0].get_segments()
    expected = -coercivity.mean() + np.array([-1, 1]) * coercivity.std(ddof=1)
    np.testing.assert_allclose(bar[:, 0], expected)
    (label,) = [text.get_text() for text in ax.texts]
    assert f"{coercivity.mean():.2f} ± {coercivity.std(ddof=1):.2f} T" in label


def test_loops_of_a_single_magnet_need_no_legend():
    _, hysteresis = loop(np.linspace(-4, -3, 8))
    ax = plots.plot_loops(hysteresis)
    assert ax.get_legend() is None
    (label,) = [text.get_text() for text in ax.texts]
    assert "±" not in label


@pytest.mark.parametrize("switching", [-20.0, 20.0])
def test_loops_without_a_coercivity_mark_none(switching):
    _, hysteresis = loop(np.full((2, 8), switching))
    assert not plots.plot_loops(hysteresis).texts


def test_loops_of_one_field_step_can_be_drawn():
    _, hysteresis = loop(np.full((2, 8), -1.0), field=[3.0])
    axes = plots.plot_loops(hysteresis)
    axes.figure.canvas.draw()
    points = [line for line in axes.lines if list(line.get_xdata()) == [3.0]]
    assert points[0].get_marker() == "."


def test_a_loop_there_and_back_leaves_its_legend_inside():
    field = np.concatenate([np.linspace(8, -8, 81), np.linspace(-8, 8, 81)])
    structure, hysteresis = loop(np.full((2, 8), -4.0), field=field)
    magnetization = hysteresis.magnetization.copy()
    magnetization[:, 81:, :, 2] = np.where(field[81:, None] > 4.0, 0.95, -0.95)
    hysteresis = dataclasses.replace(hysteresis, magnetization=magnetization)
    ax = plots.plot_loops(hysteresis)
    figure = ax.figure
    figure.canvas.draw()
    legend = ax.get_legend().get_window_extent().transformed(ax.transData.inverted())
    assert -4 < legend.x0 and legend.x1 < 4
    assert plots.plot_reversal(structure, hysteresis)
