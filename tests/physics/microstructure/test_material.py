"""Eq. 1 by hand, the materials against their textbook derived quantities, and bad input."""

import dataclasses

import numpy as np
import pytest
from scipy.constants import mu_0

from keras_micromag.physics import MATERIALS, ND2FE14B, Material, calibrated_depth


def test_derived_quantities():
    material = Material(Js=1.61, Ku=4.9e6, A=8e-12)
    assert material.Ms == pytest.approx(1.61 / mu_0, rel=1e-8)
    # µ0 H = 2 Ku / Ms = 2 µ0 Ku / Js, in tesla.
    assert material.anisotropy_field == pytest.approx(2 * mu_0 * 4.9e6 / 1.61, rel=1e-8)
    assert material.anisotropy_field == pytest.approx(7.649, abs=1e-3)
    assert material.exchange_length == pytest.approx(1.969e-9, abs=1e-12)
    assert material.wall_width == pytest.approx(np.sqrt(8e-12 / 4.9e6), rel=1e-12)  # no π
    mean = np.sqrt(material.exchange_length * material.wall_width)
    assert calibrated_depth(material) == pytest.approx(3 * mean, rel=1e-12)
    assert calibrated_depth(material) == pytest.approx(4.76e-9, abs=1e-11)
    assert calibrated_depth(dataclasses.replace(material, Kd=1e6)) == calibrated_depth(material)


def test_shape_anisotropy_adds_to_the_crystals():
    plain, long, flat = (Material(Js=1.61, Ku=4.9e6, A=8e-12, Kd=k) for k in (0, 5e5, -5e5))
    assert long.anisotropy_field == pytest.approx(plain.anisotropy_field * 5.4 / 4.9, rel=1e-12)
    assert flat.anisotropy_field == pytest.approx(plain.anisotropy_field * 4.4 / 4.9, rel=1e-12)
    assert long.exchange_length == plain.exchange_length


# Textbook: (anisotropy field in T, exchange length in nm), Coey 2010, rounded.
TEXTBOOK = {
    "Nd2Fe14B": (7.7, 1.9),
    "SmCo5": (40, 3.6),
    "Sm2Co17": (8.4, 3.5),
    "BaFe12O19": (1.7, 5.8),
    "SrFe12O19": (1.9, 6.0),
}


@pytest.mark.parametrize("name", TEXTBOOK)
def test_materials(name):
    material, (field, length) = MATERIALS[name], TEXTBOOK[name]
    assert material.anisotropy_field == pytest.approx(field, rel=0.05)
    assert material.exchange_length * 1e9 == pytest.approx(length, rel=0.06)
    assert material.Kd == 0
    # Hard: the hardness parameter sqrt(Ku / µ0 Ms²) is above 1.
    assert material.Ku / (material.Js * material.Ms) > 1
    assert material.name == name


def test_names():
    assert set(MATERIALS) == set(TEXTBOOK)
    assert MATERIALS["Nd2Fe14B"] is ND2FE14B
    assert (ND2FE14B.Js, ND2FE14B.Ku, ND2FE14B.A, ND2FE14B.Kd) == (1.61, 4.9e6, 8e-12, 0)


def test_frozen_equal_and_hashable():
    material = Material(Js=1.61, Ku=4.9e6, A=8e-12)
    with pytest.raises(dataclasses.FrozenInstanceError):
        material.Js = 2.0
    assert material == Material(1.61, 4.9e6, 8e-12)
    assert len({material, Material(1.61, 4.9e6, 8e-12), ND2FE14B}) == 2
    assert dataclasses.replace(ND2FE14B, Kd=1e5).Kd == 1e5


def test_numbers_of_any_kind():
    material = Material(Js=np.float32(2.0), Ku=4_900_000, A=np.array(8e-12))
    assert [type(x) for x in (material.Js, material.Ku, material.A)] == [float] * 3


@pytest.mark.parametrize("field", ["Js", "Ku", "A"])
@pytest.mark.parametrize("value", [0, -1.0, np.nan, np.inf])
def test_unphysical(field, value):
    values = {"Js": 1.61, "Ku": 4.9e6, "A": 8e-12, field: value}
    with pytest.raises(ValueError, match=rf"`{field}` must be .*; received {value}"):
        Material(**values)


@pytest.mark.parametrize("value", ["hard", None, [1, 2]])
def test_no_number(value):
    with pytest.raises(ValueError, match=r"`Ku` must be a number; received"):
        Material(Js=1.61, Ku=value, A=8e-12)


def test_unphysical_shape_anisotropy():
    for value in (np.nan, -np.inf):
        with pytest.raises(ValueError, match=r"`Kd` must be finite; received"):
            Material(Js=1.61, Ku=4.9e6, A=8e-12, Kd=value)
    for value in (-4.9e6, -5e6):
        with pytest.raises(ValueError, match=r"`Kd` must be greater than -Ku"):
            Material(Js=1.61, Ku=4.9e6, A=8e-12, Kd=value)
