"""Thermal activation.

| who                                | must agree with whom                      | to      |
| ---------------------------------- | ----------------------------------------- | ------- |
| a particle, each field held        | Sharrock's law, slope and offset          | 1 %     |
| the same at a constant sweep rate  | Kurkijärvi's, integrated along the sweep  | 1 %     |
| a particle across the field        | Pfeiffer's barrier                        | 0.1 %   |
| drawn times of an ensemble         | the exponential decay                     | 4 sigma |
| viscosity of an ensemble           | its barriers, particle by particle        | 0.2 %   |
| no temperature                     | the loop without activation               | the bit |
| by events                          | by steps                                  | 1e-3    |
"""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from keras_micromag.layers import EmbeddedStonerWohlfarth
from keras_micromag.physics import (
    ND2FE14B,
    Microstructure,
    Thermal,
    cubic_grains,
    random_easy_axes,
    simulate,
    switching_field,
)
from keras_micromag.physics.thermal import BOLTZMANN
from tests.keras_parts import numpy

RATE = 1e10
VOLUME = 250e-27
PARTICLE = cubic_grains((1, 1, 1), size=20e-9, scheme="centroid")
FIELD = ND2FE14B.anisotropy_field


def barrier(temperature):
    """Return Ku·V/kT."""
    return ND2FE14B.Ku * VOLUME / (BOLTZMANN * temperature)


def activated(temperature, **timing):
    return Thermal(temperature, attempt_frequency=RATE, activation_volume=VOLUME, **timing)


def switching(thermal, angle=0.0):
    """Return the reduced field at which a particle reverses that feels the applied field alone."""
    axis = [[np.sin(angle), 0.0, np.cos(angle)]]
    loop = simulate(
        PARTICLE,
        axis,
        field=[8.0, -8.0],
        method="events",
        self_field=False,
        thermal=thermal,
    )
    return -float(loop.switching_fields[0]) / FIELD


def slope_and_offset(times, fields):
    return np.polyfit(np.log(times), fields, 1)


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [300.0, 450.0])
def test_sharrocks_law(temperature):
    times = np.geomspace(1e-3, 1e5, 5)
    found = [switching(activated(temperature, wait=time)) for time in times]
    expected = 1 - np.sqrt(np.log(RATE * times / np.log(2)) / barrier(temperature))
    np.testing.assert_allclose(
        slope_and_offset(times, found), slope_and_offset(times, expected), rtol=0.01
    )


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [300.0, 450.0])
def test_kurkijaervis_law(temperature):
    def median(sweep_rate):
        def events(h):
            rate = quad(lambda v: np.exp(-barrier(temperature) * (1 - v) ** 2), h - 0.5, h)[0]
            return RATE * rate * FIELD / sweep_rate

        return brentq(lambda h: np.log(events(h) / np.log(2)), 0.3, 0.99)

    rates = np.geomspace(1e-6, 1e3, 4)
    found = [switching(activated(temperature, sweep_rate=rate)) for rate in rates]
    expected = [median(rate) for rate in rates]
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    np.testing.assert_allclose(
        slope_and_offset(rates, found), slope_and_offset(rates, expected), rtol=0.01
    )


@pytest.mark.parametrize("degrees", [10.0, 45.0, 70.0])
def test_pfeiffers_barrier_across_the_field(degrees):
    h_sw = switching_field(np.radians(degrees))
    share = (np.log(RATE * 10 / np.log(2)) / barrier(300)) ** (1 / (0.86 + 1.14 * h_sw))
    found = switching(activated(300, wait=10.0), np.radians(degrees))
    np.testing.assert_allclose(found, h_sw * (1 - share), rtol=1e-3)


def decayed(axes, field, thermal):
    """Return the mean moment along z of particles from +z, held in one field."""
    loop = simulate(
        PARTICLE, axes, field=[8.0, field], self_field=False, thermal=thermal, progress=False
    )
    return loop.magnetization[:, -1, 0, 2]


def test_times_are_drawn_from_the_decay():
    h = 0.7
    relaxation_time = np.exp(barrier(300) * (1 - h) ** 2) / RATE
    axes = np.tile([[[0.0, 0.0, 1.0]]], (1000, 1, 1))
    for ratio in (0.3, 1.5):
        timing = activated(300, wait=ratio * relaxation_time, seed=7)
        left = (decayed(axes, -h * FIELD, timing) > 0).mean()
        expected = np.exp(-ratio)
        assert abs(left - expected) < 4 * np.sqrt(expected * (1 - expected) / len(axes))
        again = (decayed(axes, -h * FIELD, timing) > 0).mean()
        assert again == left


def test_viscosity_of_an_ensemble():
    # M(t) = Σ cos over particles of which each reverses at its own time.
    axes = random_easy_axes((2000, 1), cone=60.0, seed=3)
    field, times = 0.45, np.geomspace(1e-2, 1e2, 3)
    angle = np.arccos(axes[:, 0, 2])
    h_sw = switching_field(angle)
    left = np.clip(1 - field / h_sw, 0, None) ** (0.86 + 1.14 * h_sw)
    switched = [barrier(300) * left < np.log(RATE * time / np.log(2)) for time in times]
    moments = [decayed(axes, -field * FIELD, activated(300, wait=time)) for time in times]
    found = [(moment < 0).mean() for moment in moments]
    expected = [each.mean() for each in switched]
    assert expected[0] > 0.05 and expected[-1] < 0.95
    np.testing.assert_allclose(np.diff(found), np.diff(expected), atol=0.002)
    np.testing.assert_allclose(found, expected, atol=0.002)


MAGNET, AXES = cubic_grains((2, 2, 2)), random_easy_axes((3, 8), seed=4)


@pytest.mark.parametrize("method", ["steps", "events"])
def test_without_temperature_it_is_the_loop_without(method):
    field = np.linspace(6, -6, 25)
    plain = simulate(MAGNET, AXES, field=field, method=method)
    cold = simulate(MAGNET, AXES, field=field, method=method, thermal=Thermal(0, wait=1.0))
    np.testing.assert_array_equal(cold.magnetization, plain.magnetization)
    nearly = simulate(MAGNET, AXES, field=field, method=method, thermal=Thermal(1e-6, wait=1.0))
    np.testing.assert_allclose(nearly.coercivity(), plain.coercivity(), atol=5e-3)


@pytest.mark.contract
def test_by_events_and_by_steps():
    field, thermal = np.linspace(5, -5, 201), Thermal(400, sweep_rate=1e-2)
    steps, events = (
        simulate(MAGNET, AXES, field=field, method=method, thermal=thermal)
        for method in ("steps", "events")
    )
    assert steps.converged.all() and events.converged.all()
    # A grain that flips between two fields is seen at the second.
    assert (np.sign(steps.magnetization[..., 2]) == np.sign(events.magnetization[..., 2])).all()
    np.testing.assert_allclose(steps.magnetization, events.magnetization, atol=1e-3)
    warm = simulate(MAGNET, AXES, field=field, method="events")
    assert (events.coercivity() < warm.coercivity() - 0.3).all()


def test_grains_of_several_sizes_have_barriers_of_their_own():
    # The smaller one has less than the volume of a nucleus.
    small, large = (cubic_grains((1, 1, 1), size=size, gap=0).grains[0] for size in (6e-9, 40e-9))
    pair = Microstructure([small, large.translated((1e-6, 0, 0))], scheme="centroid")
    axes = np.tile([[0.0, 0.0, 1.0]], (2, 1))
    loop = simulate(pair, axes, field=[8.0, -8.0], method="events", thermal=Thermal(300, wait=1.0))
    assert loop.switching_fields[0] > loop.switching_fields[1] + 0.5


def test_a_superparamagnetic_grain_follows_the_field():
    thermal = Thermal(300, wait=100.0, activation_volume=5e-27)
    loop = simulate(PARTICLE, [[0.1, 0.0, 0.995]], field=[1.0, 0.1, -0.1, 0.1], thermal=thermal)
    assert loop.converged.all()
    assert np.sign(loop.magnetization[:, 0, 2]).tolist() == [1, 1, -1, 1]


@pytest.mark.contract
def test_the_layer_is_simulate():
    thermal = Thermal(350, sweep_rate=1e-1)
    field = np.linspace(6, -6, 13)
    layer = EmbeddedStonerWohlfarth(MAGNET, thermal=thermal)
    moments = numpy(layer({"easy_axes": AXES, "field": np.tile(field, (3, 1))}))
    loops = simulate(MAGNET, AXES, field=field, thermal=thermal)
    np.testing.assert_allclose(moments, loops.magnetization, atol=1e-4)
    again = EmbeddedStonerWohlfarth.from_config(layer.get_config())
    assert again.thermal == thermal
    with pytest.raises(ValueError, match="`thermal` must be"):
        EmbeddedStonerWohlfarth(MAGNET, thermal=300.0)
    with pytest.raises(ValueError, match="`thermal` must have no seed in a layer"):
        EmbeddedStonerWohlfarth(MAGNET, thermal=Thermal(300, wait=1.0, seed=1))


def test_a_checkpoint_belongs_to_its_thermal_activation(tmp_path):
    arguments = {"field": [6.0, 0.0], "checkpoint": tmp_path / "kept"}
    simulate(MAGNET, AXES, thermal=Thermal(300, wait=1.0), **arguments)
    with pytest.raises(ValueError, match="thermal"):
        simulate(MAGNET, AXES, thermal=Thermal(300, wait=2.0), **arguments)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"temperature": -1.0, "wait": 1.0}, "`temperature` must be at least 0; received -1"),
        ({"temperature": float("nan"), "wait": 1.0}, "`temperature` must be"),
        ({"temperature": 300}, "`sweep_rate` or `wait` must be given, and not both; received None"),
        ({"temperature": 300, "wait": 1.0, "sweep_rate": 1.0}, "and not both; received 1.0 and 1"),
        ({"temperature": 300, "wait": 0.0}, "`wait` must be"),
        ({"temperature": 300, "sweep_rate": -1.0}, "`sweep_rate` must be"),
        ({"temperature": 300, "wait": 1, "attempt_frequency": 0}, "`attempt_frequency` must be"),
        ({"temperature": 300, "wait": 1, "activation_volume": -1}, "`activation_volume` must be"),
        ({"temperature": 300, "wait": 1, "seed": 1.5}, "`seed` must be"),
    ],
)
def test_bad_input(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        Thermal(**arguments)


def test_an_activation_volume_larger_than_a_grain():
    thermal = Thermal(300, wait=1.0, activation_volume=1e-21)
    with pytest.raises(ValueError, match=r"at most that of a grain, 1\.25e-22 m³ for gr"):
        simulate(MAGNET, AXES, field=[8.0, -8.0], thermal=thermal)
    warm = Thermal(300, wait=1.0)
    with pytest.raises(
        ValueError, match="the temperature of the materials; received 300 and `temp"
    ):
        simulate(MAGNET, AXES, field=[8.0, -8.0], temperature=400.0, thermal=warm)
    with pytest.raises(ValueError, match="`thermal` must be"):
        simulate(MAGNET, AXES, field=[8.0, -8.0], thermal=300.0)
