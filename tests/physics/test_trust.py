"""How far a coercivity can be trusted: within the calibration, and beyond each of its limits."""

import numpy as np
import pytest

from keras_micromag.physics import (
    MATERIALS,
    ND2FE14B,
    Hysteresis,
    Material,
    core_shell,
    cubic_grains,
    random_easy_axes,
    simulate,
)
from keras_micromag.physics.trust import COUPLED, GRAIN, MAGNET, THIN_GRAIN, Trust, estimate

AXES = random_easy_axes((2, 8), seed=1)
STRUCTURE = cubic_grains((2, 2, 2))
ALONG = [0.0, 0.0, 1.0]


def test_a_magnet_within_the_calibration():
    found = estimate(STRUCTURE, [[ND2FE14B] * 8], AXES, ALONG, "nucleus")
    expected = MAGNET.error / 100 * ND2FE14B.anisotropy_field
    np.testing.assert_allclose(found.error, [expected] * 2)
    assert (found.outside == "").all()
    assert str(found) == f"within {expected:.2g} T of micromagnetics, 19 of 20"
    # A grain alone, and one thinner than a nucleus, have errors of their own.
    for size, kind in ((50e-9, GRAIN), (8e-9, THIN_GRAIN)):
        grain = cubic_grains((1, 1, 1), size=size)
        alone = estimate(grain, [[ND2FE14B]], AXES[:, :1], ALONG, "nucleus")
        expected = kind.error / 100 * ND2FE14B.anisotropy_field
        np.testing.assert_allclose(alone.error, [expected] * 2)


def test_coupled_magnets_have_an_error_of_their_own():
    structure, coupling = cubic_grains((2, 2, 2), size=30e-9), np.full((8, 8), 1e-3)
    arguments = structure, [[ND2FE14B] * 8], AXES, ALONG, "nucleus"
    for exchange in (1e-3, coupling):
        found = estimate(*arguments, exchange)
        np.testing.assert_allclose(found.error, COUPLED.error / 100 * ND2FE14B.anisotropy_field)
    coupling[0, 1] = coupling[1, 0] = 7e-3
    beyond = estimate(*arguments, coupling)
    assert np.isnan(beyond.error).all()
    assert beyond.outside[0] == "exchange of 7 mJ/m², not 0 to 6"
    larger = estimate(STRUCTURE, *arguments[1:], 1e-3)
    assert larger.outside[0] == "a grain of 5.25 nuclei across, not 0.83 to 3.2"
    # A grain alone has no boundaries.
    grain = cubic_grains((1, 1, 1)), [[ND2FE14B]], AXES[:, :1], ALONG, "nucleus"
    np.testing.assert_array_equal(estimate(*grain, 1e-3).error, estimate(*grain).error)
    loop = simulate(STRUCTURE, AXES[0], exchange=8e-3, field=[8.0], progress=False)
    assert str(loop.trust) == "outside what was calibrated: exchange of 8 mJ/m², not 0 to 6"


@pytest.mark.parametrize(
    ("changed", "outside"),
    [
        ({"self_field": False}, "self_field=False, not 'nucleus'"),
        ({"self_field": True}, "self_field=True, not 'nucleus'"),
        ({"structure": cubic_grains((2, 2, 2), depth=2e-9)}, "particles at 0.42 times the cal"),
        ({"structure": core_shell(cubic_grains((2, 2, 1)), 2e-9)}, "particles at given pos"),
        ({"structure": cubic_grains((2, 2, 2), size=1e-6)}, "a grain of 105 nuclei across, not"),
        ({"materials": [[Material(1.6, 2e5, 8e-12)] * 8]}, "a material of Q = 0.196, not 3.59 to"),
    ],
    ids=["none", "all", "depth", "given", "size", "Q"],
)
def test_beyond_its_limits(changed, outside):
    arguments = {"structure": STRUCTURE, "materials": [[ND2FE14B] * 8], "self_field": "nucleus"}
    arguments |= {"easy_axes": AXES, "direction": ALONG} | changed
    if "materials" in changed:
        arguments["structure"] = STRUCTURE.calibrated_for(changed["materials"][0])
    found = estimate(**arguments)
    assert np.isnan(found.error).all()
    assert all(sentence.startswith(outside) for sentence in found.outside)
    assert str(found).startswith(f"outside what was calibrated: {outside}")


def test_each_magnet_of_a_batch_has_its_own(tmp_path):
    tilted = np.tile([[np.sin(1.2), 0.0, np.cos(1.2)]], (1, 1))
    axes = np.stack([np.array([[0.0, 0.0, 1.0]]), tilted])
    loops = simulate(cubic_grains((1, 1, 1)), axes, field=[8.0, 4.0], progress=False)
    assert np.isfinite(loops.trust.error).tolist() == [True, False]
    assert loops.trust.outside[1].startswith("an easy axis at 68.8° from the field, not 0 to 60.1")
    assert loops[0].trust.outside == "" and loops[1:].trust.error.shape == (1,)
    loops.save(tmp_path / "loops.npz")
    back = Hysteresis.load(tmp_path / "loops.npz")
    np.testing.assert_array_equal(back.trust.error, loops.trust.error)
    np.testing.assert_array_equal(back.trust.outside, loops.trust.outside)


def test_it_is_of_the_material_of_each_grain():
    materials = [ND2FE14B, MATERIALS["SmCo5"]] * 4
    found = estimate(STRUCTURE.calibrated_for(materials), [materials], AXES, ALONG, "nucleus")
    field = np.mean([m.anisotropy_field for m in materials])
    np.testing.assert_allclose(found.error, MAGNET.error / 100 * field)


def test_text_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"`trust\.outside` must hold text of shape \(1,\)"):
        Trust([0.1], [3])
