"""How a magnet moves on along its field: extrapolation, flips, turning points, and how far at most.

Of magnets and states only what strides look at is there.
"""

import numpy as np
import pytest
from keras import ops

from keras_micromag.physics.solver import field_steps, step_control
from keras_micromag.physics.solver.layout import Columns
from keras_micromag.utils.backend import tensors
from tests.keras_parts import numpy

GRAINS = 3


def magnet_along(field, longest=100.0):
    """A magnet of three grains in `field`, whose strides go no further than `longest` tesla."""
    columns = Columns(np.full((1, GRAINS), 1.0), *[np.zeros(0, int)] * 3)
    constants = {"longest": np.array([[longest]]), "turn": np.ones(1)}
    damping = {"coupling": np.zeros((1, GRAINS)), "patience": np.full(1, 30, "int32")}
    body = field_steps.Body(*(0.0, columns, 0.0, 0.0, (), 0.0, 0.0), **constants, **damping)
    axes = np.broadcast_to([[0.0], [0.0], [1.0]], (1, 3, GRAINS))
    return field_steps.magnet(body, axes, np.array([field], float), tol=1e-5, max_iterations=9)


def start(magnet):
    state = field_steps.start(magnet, np.ones((1, GRAINS)))
    return tensors((magnet, state), "float32")


def quadratic(field):
    """Moments (1, 3, GRAINS) at `field`, a different quadratic for each component."""
    rng = np.random.default_rng(1)
    a, b, c = rng.normal(size=(3, 1, 3, GRAINS))
    return a + b * field + c * field**2


def follow(magnet, state, fields, flipped=()):
    """The state after equilibria on the quadratic; the grains `flipped` flip at the last one."""
    no = ops.zeros((1,), "bool")
    for i, field in enumerate(fields):
        if i == len(fields) - 1:
            flips = np.isin(np.arange(GRAINS), flipped).astype("float32")[None]
            state = state._replace(flipped=ops.convert_to_tensor(flips))
        moments = ops.convert_to_tensor(quadratic(field).astype("float32"))
        at = ops.convert_to_tensor(np.array([field], "float32"))
        state = step_control.move_on(magnet, state, moments, at, no, no)
    return state._replace(moments=step_control.trial_moments(magnet, state))


def test_the_next_state_is_on_the_parabola_through_three():
    field = [3.0, 2.5, 1.5, 0.0]
    state = follow(*start(magnet_along(field)), field[:3])
    np.testing.assert_allclose(numpy(state.moments), quadratic(field[3]), rtol=1e-5, atol=1e-5)
    assert numpy(state.target) == [3] and numpy(state.origin) == [2]


def test_grains_that_flipped_start_without_a_slope():
    field = [3.0, 2.5, 2.0, 1.5, 1.0]
    before = follow(*start(magnet_along(field)), field[:3])
    state = follow(*start(magnet_along(field)), field[:4], flipped=[1])
    slope = numpy(state.slope)
    assert not slope[:, :, 1].any()
    np.testing.assert_allclose(slope[:, :, ::2], numpy(before.slope)[:, :, ::2], rtol=1e-5)
    assert not numpy(state.bend).any() and not numpy(state.flipped).any()
    ahead = numpy(state.moments)
    np.testing.assert_allclose(ahead[:, :, 1], quadratic(field[3])[:, :, 1], rtol=1e-5)
    assert numpy(state.smooth) == [1]


@pytest.mark.parametrize("field", [[3.0, 2.0, 3.0, 4.0], [3.0, 2.0, 2.5, 3.0]])
def test_no_parabola_across_a_turning_point(field):
    state = follow(*start(magnet_along(field)), field[:3])
    assert not numpy(state.bend).any()
    line = quadratic(field[2]) + (quadratic(field[2]) - quadratic(field[1])) / (
        field[2] - field[1]
    ) * (field[3] - field[2])
    np.testing.assert_allclose(numpy(state.moments), line, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("index", "longest", "furthest"),
    [
        (1, 100.0, 3),  # the turning point
        (1, 1.5, 2),
        (3, 100.0, 4),  # from a turning point one field, since the parabola needs two
        (4, 100.0, 6),
        (0, 100.0, 1),
    ],
)
def test_strides_reach_to_the_next_turning_point(index, longest, furthest):
    field, longest = np.array([[3.0, 2.0, 1.0, 0.0, 1.0, 2.0, 3.0]]), np.array([[longest]])
    for arrays in ((field, longest), tensors((field, longest), "float32")):
        assert numpy(step_control.reach(*arrays, end=7))[0, index] == furthest


def test_no_stride_ends_on_a_field_that_does_not_count():
    field = np.array([[3.0, 2.0, 1.0, 0.0, 0.0, 0.0]])
    assert step_control.reach(field, np.array([[9.0]]), end=4)[0, :4].tolist() == [1, 3, 3, 3]


def test_nothing_switches_between_the_ends_of_a_stride():
    # |h∥|^⅔ + h⊥^⅔ is concave between the axes: along a line it exceeds what it is at both ends.
    rng = np.random.default_rng(2)
    longest = step_control.LONGEST_STRIDE + step_control.LARGEST_TURN
    centre = np.geomspace(1e-6, 1.2, 400)[:, None] * np.eye(2)[[0, 1] * 200]
    centre = np.concatenate([centre, rng.uniform(0, 1.2, (1000, 2))])[:, None]
    angle = rng.uniform(0, 2 * np.pi, (1, 100))
    along = longest * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    share = np.linspace(0, 1, 11)
    h = (
        centre[..., None, :]
        + (share - rng.uniform(0, 1, (1, 100, 1)))[..., None] * along[..., None, :]
    )
    nearness = np.cbrt(h**2).sum(axis=-1)
    ends_below = np.maximum(nearness[..., 0], nearness[..., -1]) ** 3 < step_control.STABLE
    assert ends_below.sum() > 10_000
    assert (nearness[ends_below] < 1.0).all()
