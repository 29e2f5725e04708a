"""The Stoner-Wohlfarth particle.

| who                      | must agree with whom                    | to                       |
| ------------------------ | --------------------------------------- | ------------------------ |
| `switching_field`        | the analytic values at 0, 45, 90°       | 1e-10 (infinite slope)   |
| `switching_field`        | the largest field with an equilibrium   | 1e-9                     |
| `equilibrium`, NumPy     | minimum of the energy, 40 digits        | 1e-12, √eps at the fold  |
| `equilibrium`, graph     | `equilibrium`, NumPy                    | 1e-6, √eps at the fold   |
| `euler_step`             | its claimed cubic rate and error        | order > 2.5; factor 3    |
| `simulate`, one grain    | textbook loop at many angles            | 1e-6 in float64          |
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from keras_micromag.physics import (
    ND2FE14B,
    Microstructure,
    cubic_grains,
    equilibrium,
    simulate,
    switching_field,
)
from keras_micromag.physics.solver.stoner_wohlfarth import astroid, euler_step
from tests import oracles


def test_switching_field_has_the_textbook_values():
    angles = np.radians([0.0, 45.0, 90.0, 135.0, 180.0])
    np.testing.assert_allclose(switching_field(angles), [1.0, 0.5, 1.0, 0.5, 1.0], rtol=1e-10)


def test_switching_field_is_steep_at_perfect_alignment():
    np.testing.assert_allclose(switching_field(np.radians([0.1, 1.0])), [0.98, 0.91], atol=0.005)


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [95.0, 120.0, 135.0, 160.0, 179.0])
def test_switching_field_is_where_the_minimum_vanishes(degrees):
    angle = np.radians(degrees)
    field = switching_field(angle)
    # The minimum on the branch is there just below the switching field, far over just above it.
    below, above = (
        oracles.equilibrium_mp(h * np.cos(angle), h * np.sin(angle))
        for h in (field * (1 - 1e-9), field * (1 + 1e-9))
    )
    assert below < np.pi / 2
    assert not above < below + 0.1


def _inside(count, seed):
    """Reduced fields all over the astroid's inside, and of any size along the branch."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0.0, np.pi, count)
    size = rng.uniform(0.0, 0.99, count) * switching_field(angle)
    size[::5] = 10 ** rng.uniform(-6, 3, len(size[::5]))
    angle[::5] /= 2
    return size * np.cos(angle), size * np.sin(angle)


@pytest.mark.slow
def test_equilibrium_is_the_minimum_of_the_energy():
    along, across = _inside(60, seed=1)
    expected = [oracles.equilibrium_mp(a, c) for a, c in zip(along, across, strict=True)]
    np.testing.assert_allclose(equilibrium(along, across), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("degrees", [91.0, 110.0, 135.0, 150.0, 179.5])
@pytest.mark.parametrize("distance", [1e-3, 1e-6, 1e-9])
def test_equilibrium_holds_up_to_the_fold(degrees, distance):
    angle = np.radians(degrees)
    h = (1 - distance) * switching_field(angle)
    along, across = h * np.cos(angle), h * np.sin(angle)
    # φ moves by eps over the distance of the two roots, which is √distance (and less near 90°).
    actual = equilibrium(along, across)
    assert actual == pytest.approx(oracles.equilibrium_mp(along, across), abs=4e-15 / distance)


@pytest.mark.parametrize("distance", [1e-2, 1e-4, 1e-6, 1e-8])
@pytest.mark.parametrize("side", ["h∥", "h⊥"])
def test_equilibrium_holds_up_to_the_hard_axis_cusp(distance, side):
    along, across = (distance, 1.0) if side == "h∥" else (0.0, 1.0 - distance)
    # Three roots meet: eps^⅓ = 6e-6 in the limit.
    expected = oracles.equilibrium_mp(along, across)
    assert equilibrium(along, across) == pytest.approx(expected, abs=1e-15 / distance + 1e-13)


def test_equilibrium_beyond_the_astroid_is_the_fold():
    along, across = np.array([-0.9, -0.5, -3.0]), np.array([0.3, 0.9, 0.2])
    assert equilibrium(along, across) == pytest.approx(np.arctan(np.cbrt(across / -along)))


def test_a_saturated_particle_is_stable():
    # The paper's line 10 tests the field's magnitude alone and would flip it.
    cubed = astroid(np.array([8.0, -8.0]) / 7.65, np.array([0.0, 0.0]))[1]
    assert (cubed > 1.0).all()
    assert equilibrium(8.0 / 7.65, 0.0) == 0.0


@given(
    angle=st.floats(0.0, np.pi),
    size=st.floats(0.0, 0.999),
)
def test_equilibrium_has_no_torque_and_is_stable(angle, size):
    h = size * float(switching_field(angle))
    along, across = h * np.cos(angle), h * np.sin(angle)
    phi = float(equilibrium(along, across))
    assert 0.0 <= phi <= np.pi / 2
    assert abs(np.sin(phi) * np.cos(phi) + along * np.sin(phi) - across * np.cos(phi)) < 1e-14
    assert np.cos(2 * phi) + along * np.cos(phi) + across * np.sin(phi) > 0


def test_an_euler_step_converges_cubically_and_says_how_far_it_is():
    along, across = _inside(200, seed=2)
    exact = np.tan(equilibrium(along, across) / 2)
    fold = astroid(along, across)[0]
    left = []
    for start in (1e-2, 5e-3):
        tau = np.clip(exact - start, 0.0, fold)
        step, error = euler_step(tau, along, across, fold)
        left.append(np.abs(tau + step - exact))
        assert (left[-1] <= 3 * error + 1e-12).all()
    measurable = (left[1] > 1e-13) & (exact > 2e-2)
    assert measurable.sum() > 30
    assert np.median(np.log2(left[0][measurable] / left[1][measurable])) > 2.5


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((np.nan, 0.0), r"`h_parallel` must be finite"),
        ((0.0, -0.1), r"`h_perpendicular` must be at least 0; received -0.1"),
        ((0.0, "x"), r"must be an array of numbers|could not convert"),
        ((np.zeros(3), np.zeros(2)), r"broadcast with \(3,\), that of .*; received \(2,\)"),
    ],
)
def test_bad_fields_get_a_sentence(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        equilibrium(*arguments)


def test_a_bad_angle_gets_a_sentence():
    with pytest.raises(ValueError, match="`angle` must be finite"):
        switching_field([0.0, np.inf])


@pytest.mark.contract
def test_in_a_graph_as_in_numpy():
    along, across = _inside(300, seed=3)
    # sqrt(eps) of float32 where the root is nearly double, eps elsewhere.
    expected = equilibrium(along, across)
    actual = equilibrium(
        ops.convert_to_tensor(along, "float32"), ops.convert_to_tensor(across, "float32")
    )
    difference = np.abs(ops.convert_to_numpy(actual) - expected)
    assert np.quantile(difference, 0.9) < 1e-6
    assert difference.max() < 1e-3
    angle = np.linspace(0.01, 3.1, 50)
    actual = switching_field(ops.convert_to_tensor(angle, "float32"))
    np.testing.assert_allclose(ops.convert_to_numpy(actual), switching_field(angle), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.contract
def test_one_grain_follows_the_textbook_loop(dtype):
    angles = np.radians([0.5, 5.0, 20.0, 45.0, 70.0, 89.0])
    reduced = np.concatenate([np.linspace(1.2, -1.2, 101), np.linspace(-1.19, 1.2, 101)])
    axes = np.stack([np.sin(angles), np.zeros(6), np.cos(angles)], axis=1)[:, None]
    loops = simulate(
        cubic_grains((1, 1, 1)),
        axes,
        field=reduced * ND2FE14B.anisotropy_field,
        self_field=False,
        dtype=dtype,
    )
    expected = [oracles.stoner_wohlfarth_loop(angle, reduced) for angle in angles]
    actual = loops.magnetization_along_field
    np.testing.assert_allclose(actual, expected, atol={"float32": 1e-4, "float64": 1e-6}[dtype])


@pytest.mark.slow
def test_kd_scales_the_switching_field():
    flat = type(ND2FE14B)(Js=1.61, Ku=4.9e6, A=8e-12, Kd=-1e6)
    body = Microstructure([cubic_grains((1, 1, 1)).grains[0]])
    field = np.linspace(0.0, -8.0, 801)
    loop = simulate(body, [[0.0, 0.0, 1.0]], material=flat, field=field, self_field=False)
    assert loop.coercivity() == pytest.approx(flat.anisotropy_field, abs=0.01)
