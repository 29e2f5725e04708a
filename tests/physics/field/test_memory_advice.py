"""The advice where an operator does not fit names all options that would, and no other."""

import numpy as np
import pytest

from keras_micromag.physics import cubic_grains
from keras_micromag.physics.field.memory_advice import memory_advice
from keras_micromag.utils import memory
from tests.physics.field.magnets import CORNERS

MANY, FEW = cubic_grains((4, 1, 1)), cubic_grains((4, 1, 1), scheme=CORNERS)  # 108 and 32
SHORT, CORNER = "`dtype` 'float32'", "`scheme` ('vertices',)"


def required_bytes(particles, dtype):
    return particles * np.dtype(dtype).itemsize


@pytest.mark.parametrize(
    ("structure", "dtype", "capacity", "expected"),
    [
        (MANY, "float64", 432, f"{SHORT} or {CORNER}"),
        (MANY, "float64", 431, CORNER),
        (MANY, "float64", 256, CORNER),
        (MANY, "float64", 255, f"{SHORT} with {CORNER}"),
        (MANY, "float64", 127, "a magnet of fewer grains"),
        (MANY, "float32", 431, CORNER),
        (MANY, "float32", 127, "a magnet of fewer grains"),
        (FEW, "float64", 255, SHORT),
        (FEW, "float64", 127, "a magnet of fewer grains"),
        (FEW, "float32", 127, "a magnet of fewer grains"),
    ],
)
def test_the_advice_names_a_magnet_that_fits(monkeypatch, structure, dtype, capacity, expected):
    monkeypatch.setattr(memory, "fits", lambda size: size <= capacity)
    assert memory_advice(structure, dtype, required_bytes) == f"{expected} would fit"


def test_a_dtype_that_may_not_be_asked_for_is_not_named(monkeypatch):
    monkeypatch.setattr(memory, "fits", lambda size: size <= 432)
    assert memory_advice(MANY, "float64", required_bytes, "float64") == f"{CORNER} would fit"
