"""The campaign of precision in short."""

import numpy as np
import pytest

from tests.campaigns import precision

# Of fields in units of Js, and of particles in units of a grain: some hundred roundings in float64.
ROUNDING = 1e-13

# The tolerance of a loop in float64, of which rounding may take one iteration more.
FLOAT64 = 1e-7

# The coercivity by events in float32; its tolerance, 1e-5, counts as tesla.
FLOAT32 = 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Voronoi cells", "cores in shells"])
def test_a_moved_magnet_has_the_same_fields_and_the_same_loop(name):
    kind = precision.KINDS[name]
    for _, move in list(precision.moves(len(kind.grains()), 1, seed=1))[-1:]:
        change = precision.change(kind, move, 1, operators=("dense",))
        assert change.particles < ROUNDING
        assert change.fields["dense"] < ROUNDING
        assert change.coercivity < FLOAT64
        assert not change.course


@pytest.mark.parametrize("name", precision.KINDS)
def test_any_scale_gives_the_same_fields(name):
    if name == "STL":
        pytest.importorskip("trimesh")
    kind = precision.KINDS[name]
    for scale in (1e-9, 1e9):
        count = len(kind.grains())
        move = precision.Move(np.eye(3), np.arange(count), scale)
        particles, fields = precision.field_change(kind, move, 1, ("dense",))
        assert particles < ROUNDING and fields["dense"] < ROUNDING


@pytest.mark.slow
def test_float32_takes_the_course_of_float64():
    pairs = list(precision.pairs(2, seed=0))
    assert not any(pair.course for pair in pairs)
    assert max(pair.coercivity for pair in pairs) < FLOAT32
