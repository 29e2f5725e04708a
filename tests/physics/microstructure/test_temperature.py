"""Materials at a temperature: limits, scaling laws, published values, and bad input."""

import json
import pickle

import numpy as np
import pytest

from keras_micromag.analysis import temperature_coefficient
from keras_micromag.physics import (
    MATERIALS,
    ND2FE14B,
    Material,
    TemperatureLaw,
    calibrated_depth,
    spread_materials,
)
from keras_micromag.physics.microstructure.material import at_temperature
from keras_micromag.physics.microstructure.temperature import LAWS
from tests.test_house import ROOT

KUZMIN = TemperatureLaw(curie=800.0, s=0.6, Ku_exponent=2.5)
OWN = Material(Js=1.2, Ku=3e6, A=1e-11, Kd=2e5, temperature_law=KUZMIN)


def m(tau, s):
    """Kuz'min's formula, as it is printed."""
    return (1 - s * tau**1.5 - (1 - s) * tau**2.5) ** (1 / 3)


def test_kuzmins_formula_scaled_through_the_reference():
    for temperature in (0.0, 77.0, 450.0, 799.0):
        ratio = m(temperature / 800, 0.6) / m(300 / 800, 0.6)
        hot = OWN.at(temperature)
        assert hot.Js == pytest.approx(1.2 * ratio, rel=1e-12)
        assert hot.Ku == pytest.approx(3e6 * ratio**2.5, rel=1e-12)
        # A and the shape's constant are products of two moments.
        assert hot.A == pytest.approx(1e-11 * ratio**2, rel=1e-12)
        assert hot.Kd == pytest.approx(2e5 * ratio**2, rel=1e-12)
    assert OWN.at(0.0).Js == pytest.approx(1.2 / m(300 / 800, 0.6), rel=1e-12)


@pytest.mark.parametrize("material", [OWN, *MATERIALS.values()], ids=lambda material: material.name)
def test_at_the_reference_nothing_changes_and_the_way_leads_back(material):
    assert material.at(300.0) == material
    there = material.at(400.0)
    assert there.temperature_law.reference == 400.0 and there.at(400) == there
    back = there.at(300)
    for name in ("Js", "Ku", "A", "Kd"):
        assert getattr(back, name) == pytest.approx(getattr(material, name), rel=1e-14)
    assert there.at(350).Ku == pytest.approx(material.at(350).Ku, rel=1e-14)


@pytest.mark.parametrize("name", MATERIALS)
def test_the_materials_fall_in_their_range(name):
    material = MATERIALS[name]
    low, high = material.temperature_law.valid_range
    temperatures = np.linspace(low, high, 50)
    materials = [material.at(temperature) for temperature in temperatures]
    for constant in ("Js", "Ku", "A"):
        assert (np.diff([getattr(each, constant) for each in materials]) < 0).all()
    ratios = np.array([each.Js / material.Js for each in materials])
    np.testing.assert_allclose([each.A / material.A for each in materials], ratios**2, rtol=1e-12)
    for outside in (low - 1, high + 1):
        with pytest.raises(ValueError, match=rf"holds.*; received {outside:g}"):
            material.at(outside)


def test_published_polarisation_of_nd2fe14b():
    # Moments per formula unit at 4 and 295 K: 37.7 and 32.5 µB (Herbst, Rev. Mod. Phys. 63 (1991)
    # 819); they gave s.
    assert m(295 / 585, 1.0) == pytest.approx(32.5 / 37.7, rel=0.01)
    # What did not: 1.29 T at 450 K (Bance et al., J. Appl. Phys. 117 (2015) 17A733), and the
    # remanence of a sintered magnet N48SH, 13.82 and 11.69 kG at 20 and 150 °C (Advanced Magnets).
    assert ND2FE14B.at(450).Js == pytest.approx(1.29, rel=0.02)
    cold, hot = (ND2FE14B.at(273.15 + t).Js for t in (20, 150))
    assert hot / cold == pytest.approx(11.69 / 13.82, rel=0.02)


def test_published_anisotropy_and_exchange_of_nd2fe14b():
    # From 300 to 450 K: Ku from 4.3 to 2.09 MJ/m³, A from 7.7 to 4.89 pJ/m (the same tables).
    hot = ND2FE14B.at(450)
    assert hot.Ku / ND2FE14B.Ku == pytest.approx(2.09 / 4.3, rel=0.1)
    assert hot.A / ND2FE14B.A == pytest.approx(4.89 / 7.7, rel=0.05)


# In %/K: typical coefficients of the remanence of sintered magnets in the Modelica standard library
# (Magnetic.FluxTubes.Material.HardMagnetic), which have none of Js alone.
@pytest.mark.parametrize(
    ("name", "published", "tol"),
    [
        *(("Nd2Fe14B", -0.11, 0.01), ("SmCo5", -0.04, 0.001), ("Sm2Co17", -0.03, 0.001)),
        *(("BaFe12O19", -0.2, 0.001), ("SrFe12O19", -0.2, 0.001)),
    ],
)
def test_published_temperature_coefficients_of_the_polarisation(name, published, tol):
    temperatures = 293.15, 373.15
    values = [MATERIALS[name].at(temperature).Js for temperature in temperatures]
    assert temperature_coefficient(temperatures, values) == pytest.approx(published, abs=tol)


def test_the_anisotropy_field_of_ferrites_stays():
    ferrite = MATERIALS["BaFe12O19"]
    for temperature in (240.0, 400.0):
        field = ferrite.at(temperature).anisotropy_field
        assert field == pytest.approx(ferrite.anisotropy_field, rel=1e-12)


def test_the_calibrated_depth_hardly_moves():
    # With Ku as m³ and A as m² it goes as m^(-1/4).
    for temperature in (350.0, 500.0):
        hot = ND2FE14B.at(temperature)
        ratio = calibrated_depth(hot) / calibrated_depth(ND2FE14B)
        assert ratio == pytest.approx((hot.Js / ND2FE14B.Js) ** -0.25, rel=1e-12)
    assert 1.0 < ratio < 1.12


def test_tables_are_met_and_do_not_overshoot():
    law = TemperatureLaw(
        Js_table=([200, 300, 500], [1.0, 0.9, 0.5]),
        Ku_table=([100, 250, 300, 450], [1.0, 5.0, 5.0, 2.0]),
    )
    assert law.valid_range == (200.0, 450.0)
    material = Material(Js=1.8, Ku=4e6, A=1e-11, temperature_law=law)
    assert material.at(200).Js == pytest.approx(2.0) and material.at(450).Ku == pytest.approx(1.6e6)
    values = [material.at(temperature).Ku for temperature in np.linspace(200, 300, 40)]
    assert (np.diff(values) >= -1e-6).all() and max(values) <= 4e6 * (1 + 1e-12)
    assert material.at(400).A == pytest.approx(1e-11 * (material.at(400).Js / 1.8) ** 2)


def test_scattered_materials_keep_the_law():
    cold = spread_materials(ND2FE14B, 3, Js=0.1, Ku=0.1, seed=1)
    nested = at_temperature([cold, tuple(cold)], 400.0)
    assert nested[0] == nested[1] == [material.at(400.0) for material in cold]
    assert at_temperature(cold, None) is cold
    ratio = ND2FE14B.at(400.0).Ku / ND2FE14B.Ku
    assert [hot.Ku / material.Ku for hot, material in zip(nested[0], cold, strict=True)] == (
        pytest.approx([ratio] * 3, rel=1e-12)
    )


@pytest.mark.parametrize("material", [OWN, ND2FE14B, MATERIALS["BaFe12O19"], ND2FE14B.at(400)])
def test_pickles_and_configs(material):
    assert pickle.loads(pickle.dumps(material)) == material
    config = json.loads(json.dumps(material.get_config()))
    assert Material.from_config(config) == material
    assert hash(Material.from_config(config)) == hash(material)
    law = material.temperature_law
    assert TemperatureLaw.from_config(json.loads(json.dumps(law.get_config()))) == law


def test_configs_of_before():
    config = {"Js": 1.61, "Ku": 4.9e6, "A": 8e-12, "Kd": 0.0, "name": "Nd2Fe14B"}
    old = Material.from_config(config)
    assert old.temperature_law is None and old.get_config() == config
    with pytest.raises(ValueError, match="`config` must be one of this version's TemperatureLaw"):
        Material.from_config({**config, "temperature_law": {"curie": -1.0, "s": 1.0}})
    with pytest.raises(ValueError, match="`config` must be one of this version's Material"):
        Material.from_config("Nd2Fe14B")


@pytest.mark.parametrize(
    ("temperature", "sentence"),
    [
        (-1.0, "`temperature` must be at least 0; received -1.0"),
        (np.nan, "`temperature` must be at least 0; received nan"),
        (np.inf, "`temperature` must be at least 0; received inf"),
        (True, "`temperature` must be a number; received True"),
        ("hot", "`temperature` must be a number; received 'hot'"),
        ([300.0], "`temperature` must be a number; received"),
        (585, "`temperature` must be below the Curie temperature of Nd2Fe14B, 585 K; received 585"),
        (120, r"from 273 to 550 K, where the law of Nd2Fe14B holds \(below, Ku has a maximum, and"),
        (560, r"from 273 to 550 K, where the law of Nd2Fe14B holds; received 560"),
    ],
)
def test_no_such_temperature(temperature, sentence):
    with pytest.raises(ValueError, match=sentence):
        ND2FE14B.at(temperature)


def test_a_material_without_a_law():
    with pytest.raises(ValueError, match=r"such as Material\(\.\.\., temperature_law=Temp"):
        Material(Js=1.61, Ku=4.9e6, A=8e-12).at(300.0)
    with pytest.raises(ValueError, match=r"`temperature_law` must be a TemperatureLaw; received"):
        Material(Js=1.61, Ku=4.9e6, A=8e-12, temperature_law=585.0)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "`curie` and `s` must be given, or a `Js_table`"),
        ({"curie": 500.0}, "`curie` and `s` must be given, or a `Js_table`"),
        ({"curie": 0.0, "s": 1.0}, "`curie` must be greater than 0"),
        ({"curie": 500.0, "s": 0.0}, "`s` must be greater than 0"),
        ({"curie": 500.0, "s": 2.5}, "`s` must be below 2.5, or Js does not fall everywhere"),
        ({"curie": 250.0, "s": 1.0}, "`reference` must be below the Curie temperature"),
        ({"curie": 500.0, "s": 1.0, "Ku_exponent": "3"}, "`Ku_exponent` must be a number"),
        ({"curie": 500.0, "s": 1.0, "below": 3}, "`below` must be a str"),
        (
            {"curie": 500.0, "s": 1.0, "valid_range": (400, 450)},
            "`reference` must be from 400 to 450 K",
        ),
        (
            {"curie": 500.0, "s": 1.0, "valid_range": (300, 600)},
            "`valid_range` must rise, and lie from 0 to 500 K",
        ),
        ({"curie": 500.0, "s": 1.0, "valid_range": (400, 200)}, "`valid_range` must rise"),
        ({"curie": 500.0, "s": 1.0, "valid_range": 400}, "`valid_range` must have shape"),
        (
            {"curie": 500.0, "s": 1.0, "Js_table": ([0, 400], [2, 1])},
            "`curie` and `s` must be left out with a `Js_table`",
        ),
        ({"Js_table": [0, 400, 500]}, r"`Js_table` must be a pair \(temperatures, values\)"),
        ({"Js_table": ([0, 400], [2, 1, 0])}, "`Js_table` must have shape"),
        ({"Js_table": ([300], [2])}, "`Js_table` must have at least two temperatures, which rise"),
        ({"Js_table": ([400, 200], [2, 1])}, "`Js_table` must have at least two .* which rise"),
        ({"Js_table": ([-1, 400], [2, 1])}, "`Js_table` must have .* rise from 0 K or more"),
        ({"Js_table": ([0, 400], [1, 2])}, "`Js_table` must have positive values, none above"),
        (
            {"curie": 500.0, "s": 1.0, "Ku_table": ([0, 400], [1, 0])},
            "`Ku_table` must have positive values; received",
        ),
        (
            {"Js_table": ([0, 400], [2, 1]), "Ku_table": ([400, 500], [2, 1])},
            "`Ku_table` must have temperatures in common with the law of Js",
        ),
        (
            {"Js_table": ([310, 400], [2, 1])},
            "`reference` must be from 310 to 400 K, where the law holds; received 300",
        ),
    ],
)
def test_no_such_law(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        TemperatureLaw(**arguments)


def test_the_page_shows_these_constants():
    page = (ROOT / "docs/explanation/real_magnets.md").read_text(encoding="utf-8")
    assert [MATERIALS[name].temperature_law for name in MATERIALS] == list(LAWS.values())
    for name, law in LAWS.items():
        formula = "table | table" if law.Js_table else f"{law.curie:g} | {law.s:g}"
        low, high = law.valid_range
        row = f"| {name} | {formula} | {law.Ku_exponent:g} | {low:.0f} to {high:.0f} |"
        assert row in page, row
