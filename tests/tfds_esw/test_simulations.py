"""The features of a batch of simulations, each of which depends on (seed, i) alone."""

import dataclasses

import numpy as np
import pytest

from keras_micromag.physics import (
    ND2FE14B,
    Material,
    Microstructure,
    Thermal,
    contact_areas,
    cubic_grains,
    simulate,
)
from tfds_esw import simulations
from tfds_esw.config import CONFIGS, Config

TINY = next(config for config in CONFIGS if config.name == "tiny")


@pytest.fixture(scope="module")
def batch():
    return simulations.batch(TINY, 0)


@pytest.mark.backend
def test_these_are_the_numbers_of_this_version(batch):
    # Where they change, so does the physics: raise VERSION in the builder, with a note.
    coercivity = [3.7162, 3.6265, 3.9471, 3.6823, 3.7092, 3.8068]
    np.testing.assert_allclose(batch["coercivity"][:6], coercivity, atol=2e-4)


@pytest.mark.backend
def test_a_batch_equals_the_loops_of_simulate(batch):
    indices = [0, 3, simulations.BATCH - 1]
    np.testing.assert_array_equal(batch["index"], np.arange(simulations.BATCH))
    loops = simulate(cubic_grains((2, 2, 2)), batch["easy_axes"][indices], field=batch["field"][0])
    np.testing.assert_array_equal(batch["field"][0], np.linspace(8.0, -8.0, 50))
    np.testing.assert_allclose(batch["magnetization"][indices], loops.magnetization, atol=3e-5)
    np.testing.assert_array_equal(batch["switching_fields"][indices], loops.switching_fields)
    for merit in ("coercivity", "remanence", "energy_product"):
        np.testing.assert_allclose(batch[merit][indices], getattr(loops, merit)(), rtol=1e-4)
    turned = np.abs(np.diff(batch["magnetization"][0, :, :, 2], axis=0)).sum(axis=1)
    np.testing.assert_allclose(batch["sample_weights"][0], [0.0, *turned], atol=1e-5)
    assert batch["converged"].all() and batch["magnetization"].dtype == np.float32


@pytest.mark.slow
def test_a_simulation_depends_on_its_index_alone(batch):
    again = simulations.batch(dataclasses.replace(TINY, splits={"other": 1}), 0)
    for name in batch:
        np.testing.assert_array_equal(batch[name], again[name])
    later = simulations.draw(TINY, simulations.BATCH + 5)
    np.testing.assert_array_equal(simulations.batch(TINY, 1)["easy_axes"][5], later.easy_axes)
    reseeded = simulations.draw(dataclasses.replace(TINY, seed=1), 0)
    assert np.abs(reseeded.easy_axes - batch["easy_axes"][0]).max() > 0.1


@pytest.mark.slow
def test_textures_differ_in_cone_and_material():
    config = Config(
        shape=(2, 2, 1), steps=60, cone=(5, 55), Js=(1.2, 1.6), Ku=(3e6, 5e6), field=(11, -11)
    )
    batch = simulations.batch(config, 0)
    for name, (low, high) in {"cone": config.cone, "Js": config.Js, "Ku": config.Ku}.items():
        assert low <= batch[name].min() < batch[name].max() <= high
        assert np.ptp(batch[name]) > 0.7 * (high - low)
    assert (batch["A"] == config.A).all() and (batch["Kd"] == 0).all()
    tilt = np.degrees(np.arccos(batch["easy_axes"][..., 2])).max(axis=1)
    assert (tilt <= batch["cone"]).all() and np.corrcoef(tilt, batch["cone"])[0, 1] > 0.9
    # One of them alone, by hand.
    i = 7
    material = Material(**{name: float(batch[name][i]) for name in ("Js", "Ku", "A", "Kd")})
    body = simulations.structure(config)
    alone = simulate(body, batch["easy_axes"][i], material=material, field=batch["field"][i])
    np.testing.assert_allclose(batch["magnetization"][i], alone.magnetization, atol=3e-5)
    np.testing.assert_allclose(batch["remanence"][i], alone.remanence(), rtol=1e-5)


@pytest.mark.slow
def test_a_temperature_is_drawn_for_each_magnet():
    config = Config(shape=(2, 1, 1), steps=40, temperature=(300.0, 500.0), Ku_spread=0.1)
    batch = simulations.batch(config, 0)
    assert 300 <= batch["temperature"].min() < 320 and 480 < batch["temperature"].max() <= 500
    i, cold = 7, simulations.draw(dataclasses.replace(config, temperature=300.0), 7)
    assert cold.material == Material(1.61, 4.9e6, 8e-12, temperature_law=ND2FE14B.temperature_law)
    hot = ND2FE14B.at(batch["temperature"][i])
    assert (batch["Js"][i], batch["Ku"][i], batch["A"][i]) == (hot.Js, hot.Ku, hot.A)
    materials = simulations.draw(config, i).grains
    np.testing.assert_array_equal(batch["grain_Ku"][i], [each.Ku for each in materials])
    body, field = simulations.structure(config), batch["field"][i]
    alone = simulate(body, batch["easy_axes"][i], material=materials, field=field)
    np.testing.assert_allclose(batch["magnetization"][i], alone.magnetization, atol=3e-5)


@pytest.mark.slow
def test_exchange_and_activation_are_those_of_each_magnet():
    config = Config(
        shape=(2, 2, 1), method="events", temperature=(300, 400), exchange=(0, 3e-3), sweep_rate=1
    )
    batch = simulations.batch(config, 0)
    assert 0 <= batch["exchange"].min() < 1e-3 and 2e-3 < batch["exchange"].max() <= 3e-3
    i, temperature = 3, float(batch["temperature"][3])
    alone = simulate(
        simulations.structure(config),
        batch["easy_axes"][i],
        temperature=temperature,
        thermal=Thermal(temperature, sweep_rate=1.0),
        exchange=batch["exchange"][i],
        field=batch["field"][i],
        method="events",
    )
    np.testing.assert_allclose(batch["switching_fields"][i], alone.switching_fields, atol=1e-4)
    # With one of each, magnets are simulated together, at room temperature.
    fixed = dataclasses.replace(config, temperature=None, exchange=1e-3, splits={"train": 2})
    together = simulations.batch(fixed, 0)
    assert (together["exchange"] == 1e-3).all() and "temperature" not in together
    cold = simulations.batch(dataclasses.replace(fixed, sweep_rate=None), 0)
    assert (together["coercivity"] < cold["coercivity"]).all()


@pytest.mark.slow
def test_by_events_switching_fields_and_avalanches_are_exact():
    config = dataclasses.replace(TINY, method="events")
    batch = simulations.batch(config, 0)
    coercivity = [3.6095, 3.7010, 3.9697, 3.7345, 3.7303, 3.7888]
    np.testing.assert_allclose(batch["coercivity"][:6], coercivity, atol=2e-4)
    axes, field = batch["easy_axes"][:4], batch["field"][0]
    loops = simulate(cubic_grains((2, 2, 2)), axes, field=field, method="events")
    np.testing.assert_allclose(batch["switching_fields"][:4], loops.switching_fields, atol=1e-4)
    np.testing.assert_allclose(batch["magnetization"][:4], loops.magnetization, atol=1e-4)
    sizes = np.concatenate([np.bincount(row) for row in batch["avalanches"][:4]])
    np.testing.assert_array_equal(sizes, loops.events.sizes)
    short = simulations.batch(dataclasses.replace(config, field=(8.0, -3.7)), 0)
    never = np.isnan(short["switching_fields"])
    assert never.any() and not never.all()
    np.testing.assert_array_equal(short["avalanches"] < 0, never)


# pytest.warns raises again what it does not match, and then it is no longer Keras's own.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
def test_states_without_equilibrium_are_marked_with_a_warning():
    config = Config(shape=(2, 1, 1), steps=5, max_iterations=2)
    with pytest.warns(UserWarning, match=r"of the 160 states of simulations 0 to 31 have no equ"):
        batch = simulations.batch(config, 0)
    assert batch["converged"].shape == (32, 5) and not batch["converged"].all()


def test_the_metadata_give_the_magnet():
    config = Config(shape=(2, 1, 1), gap=5e-9, scheme=("vertices", "centroid"))

    class Info:
        metadata = {"structure": simulations.structure(config).get_config()}  # noqa: RUF012

    actual, body = simulations.microstructure(Info), simulations.structure(config)
    assert isinstance(actual, Microstructure)
    np.testing.assert_array_equal(actual.particles, body.particles)
    np.testing.assert_array_equal(actual.weights, body.weights)
    assert actual.packing_fraction == body.packing_fraction


@pytest.mark.parametrize(
    ("sentence", "parameters"),
    [
        ("`Js` must be greater than 0; received -1", {"Js": (-1.0, 1.0)}),
        ("`cone` must be at most 180 degrees; received 200", {"cone": (5.0, 200.0)}),
        ("`size` must be greater than 0", {"size": 0.0}),
        ("`self_field` must be False where `Kd` is not 0", {"self_field": True, "Kd": 1e5}),
        ("`depth` must leave something", {"depth": 1.0}),
        ("`temperature` must be below the Curie temp", {"temperature": (300.0, 600.0)}),
        ("`exchange` must be at least 0 J/m²", {"exchange": (-1e-3, 1e-3)}),
        ("`temperature` must be from 273 to 550 K", {"temperature": 77.0}),
        ("`Kd` must be greater than -Ku", {"Kd": (-6e6, 0.0)}),
        ("`Ku` must be at least 0; received -1", {"Ku_spread": -1.0}),
        ("`sigma` must be at least 0; received -1", {"grains": 5, "sigma": -1.0}),
        ("`scheme` must be one of", {"scheme": ("corners",)}),
        ("`avalanche` must be one of", {"avalanche": "sideways"}),
        ("`dtype` must be one of", {"dtype": "float16"}),
        ("`tol` must be greater than 0; received 0.0", {"tol": 0.0}),
        ("`field_direction` must hold unit vectors", {"field_direction": (0, 0, 0)}),
    ],
)
def test_impossible_parameters_are_refused_beforehand(sentence, parameters):
    with pytest.raises(ValueError, match=sentence):
        simulations.check(Config(**parameters))


@pytest.fixture(scope="module")
def irregular():
    """A configuration of polycrystals, and its first batch."""
    # With one particle each, magnets of as many grains share a compiled loop.
    one = {"scheme": ("centroid",), "steps": 60, "method": "events"}
    config = Config(grains=(4, 5), sigma=0.2, relaxation=1, Ku_spread=0.1, **one)
    return config, simulations.batch(config, 0)


@pytest.mark.slow
def test_polycrystals_differ_in_everything(irregular):
    config, batch = irregular
    there = batch["volumes"] > 0
    np.testing.assert_array_equal(there.sum(axis=1), batch["grains"])
    assert set(batch["grains"]) == {4, 5}
    for name in ("easy_axes", "centroids", "contact_areas", "grain_Ku"):
        assert not batch[name][~there].any() and batch[name][there].any()
    assert np.isnan(batch["switching_fields"][~there]).all()
    assert (batch["avalanches"][~there] == -1).all() and (batch["avalanches"][there] >= 0).all()
    assert not np.swapaxes(batch["magnetization"], 1, 2)[~there].any()
    spread = np.log(batch["grain_Ku"][there] / config.Ku).std()
    assert spread == pytest.approx(0.1, rel=0.3) and (batch["grain_Js"][there] == config.Js).all()


@pytest.mark.slow
def test_a_polycrystal_is_drawn_and_simulated_by_itself(irregular):
    config, batch = irregular
    i = int(batch["grains"].argmin())
    magnet = simulations.draw(config, i)
    g = len(magnet.structure)
    np.testing.assert_array_equal(batch["volumes"][i, :g], magnet.structure.volumes)
    options = {"material": magnet.grains, "field": batch["field"][i], "method": "events"}
    alone = simulate(magnet.structure, magnet.easy_axes, **options)
    np.testing.assert_allclose(batch["magnetization"][i, :, :g], alone.magnetization, atol=3e-5)
    for merit in ("coercivity", "remanence", "energy_product"):
        np.testing.assert_allclose(batch[merit][i], getattr(alone, merit)(), rtol=1e-5)
    areas = contact_areas(magnet.structure, config.gap)
    np.testing.assert_allclose(batch["contact_areas"][i, :g, :g], areas)


def test_polycrystals_come_back_from_their_metadata(irregular):
    config, batch = irregular

    class Info:
        metadata = {"structure": None, "parameters": config.parameters}  # noqa: RUF012

    body = simulations.microstructure(Info, index=3)
    np.testing.assert_array_equal(body.volumes, simulations.draw(config, 3).structure.volumes)
    with pytest.raises(ValueError, match="`index` must be left out where all magnets"):
        simulations.microstructure(Info)
    loops = simulations.hysteresis(
        [{name: values[i] for name, values in batch.items()} for i in (2, 5)], Info
    )
    for merit in ("coercivity", "remanence", "energy_product"):
        np.testing.assert_allclose(getattr(loops, merit)(), batch[merit][[2, 5]], rtol=1e-6)
    np.testing.assert_array_equal(loops.switching_fields, batch["switching_fields"][[2, 5]])
    events = loops.events
    np.testing.assert_array_equal(
        events.sizes,
        np.concatenate([np.bincount(row[row >= 0]) for row in batch["avalanches"][[2, 5]]]),
    )
    assert (loops.field[events.step] <= events.field).all()
    assert (loops.field[events.step - 1] > events.field).all()
