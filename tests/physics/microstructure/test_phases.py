"""Who must agree with whom.

=====================================  ====================================================
spreads                                the moments of the logarithms asked for
mixed phases                           the volume fractions asked for, to a grain
cores and shells                       together the grains: volumes, fields, and loops
bad input                              one sentence that names what is wrong
=====================================  ====================================================
"""

import numpy as np
import pytest

from keras_micromag.layers import EmbeddedStonerWohlfarth, GuptasarmaDemag
from keras_micromag.physics import (
    MATERIALS,
    ND2FE14B,
    Material,
    calibrated_depth,
    core_shell,
    cubic_grains,
    demag_matrix,
    demag_tensor,
    mixed_phases,
    random_easy_axes,
    simulate,
    spread_materials,
    voronoi_grains,
)

SMCO5 = MATERIALS["SmCo5"]

SOFTER = Material(Js=1.61, Ku=2.5e6, A=8e-12)


def polycrystal():
    return voronoi_grains(30, 165e-9, 1, relaxation=1)


def test_a_spread_has_the_deviation_asked_for():
    grains = spread_materials(ND2FE14B, 20_000, Js=0.02, Ku=0.2, seed=1)
    for name, sigma in (("Js", 0.02), ("Ku", 0.2)):
        logs = np.log([getattr(m, name) for m in grains]) - np.log(getattr(ND2FE14B, name))
        assert logs.mean() == pytest.approx(0, abs=4 * sigma / np.sqrt(20_000))
        assert logs.std() == pytest.approx(sigma, rel=0.02)
    assert spread_materials(ND2FE14B, 3, seed=1) == [ND2FE14B] * 3
    assert {m.A for m in grains} == {ND2FE14B.A}


def test_phases_have_the_volumes_asked_for():
    magnet = polycrystal()
    phases = mixed_phases(magnet, [ND2FE14B, SMCO5, SOFTER], [5, 3, 2], seed=1)
    volumes = [magnet.volumes[[m is phase for m in phases]].sum() for phase in (ND2FE14B, SMCO5)]
    expected = np.array([0.5, 0.3]) * magnet.volumes.sum()
    assert (np.abs(volumes - expected) <= magnet.volumes.max()).all()
    assert phases != mixed_phases(magnet, [ND2FE14B, SMCO5, SOFTER], [5, 3, 2], seed=2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "make", [polycrystal, lambda: cubic_grains((2, 2, 2))], ids=["irregular", "cubes"]
)
def test_core_and_shell_are_the_grain(make):
    structure = make()
    g, both = len(structure), core_shell(structure, 4e-9)
    assert len(both) == 2 * g
    np.testing.assert_allclose(both.volumes[:g] + both.volumes[g:], structure.volumes, rtol=1e-12)
    assert both.packing_fraction == pytest.approx(structure.packing_fraction, rel=1e-12)
    points = np.random.default_rng(0).uniform(*structure.bounds, (100, 3))
    for i in (0, g - 1):
        parts = [demag_tensor(points, b.vertices, b.faces) for b in both.grains[i::g]]
        grain = structure.grains[i]
        np.testing.assert_allclose(
            sum(parts), demag_tensor(points, grain.vertices, grain.faces), atol=1e-11
        )


@pytest.mark.slow
def test_particles_of_a_shell_lie_in_it():
    both = core_shell(polycrystal(), 4e-9)
    g = len(both) // 2
    own = np.einsum("gpigi->gp", demag_matrix(both, self_field=True))
    np.testing.assert_allclose(own, -1.0 * (both.weights > 0), atol=1e-11)
    # At least half the thickness below the surface, but for rounding.
    for i, grain in enumerate(polycrystal().grains, start=g):
        assert grain.contains(both.particles[i, both.weights[i] > 0], -0.999 * 2e-9).all()


@pytest.mark.slow
def test_loops_follow_the_material_of_each_body():
    both = core_shell(cubic_grains((2, 2, 2)), 4e-9)
    axes = np.tile(random_easy_axes(8, seed=1), (2, 1))
    field = np.linspace(8, -8, 200)
    loop = simulate(both, axes, material=[ND2FE14B] * 8 + [SOFTER] * 8, field=field)
    # Shells of half the anisotropy field reverse first.
    assert (loop.switching_fields[8:] > loop.switching_fields[:8]).all()
    turned = simulate(both, axes, material=[SOFTER] * 8 + [ND2FE14B] * 8, field=field)
    assert (turned.switching_fields[8:] < turned.switching_fields[:8]).all()


@pytest.mark.slow
def test_layers_follow_the_material_of_each_grain():
    magnet = voronoi_grains(12, 120e-9, 1, vanishing="drop")
    g = len(magnet)
    material = spread_materials(ND2FE14B, g, Js=0.1, Ku=0.1, seed=1)
    axes, field = random_easy_axes(g, seed=1), np.linspace(8, -8, 100)
    loop = simulate(magnet, axes, material=material, field=field)
    layer = EmbeddedStonerWohlfarth(magnet, material)
    same = layer({"easy_axes": axes[None], "field": field[None]})
    np.testing.assert_allclose(np.asarray(same)[0], loop.magnetization, atol=2e-4)
    moments = random_easy_axes((1, g), seed=2)
    polarized = np.array([m.Js for m in material])[:, None] * moments[0]
    expected = np.einsum("gpihj,hj->gpi", demag_matrix(magnet.calibrated_for(material)), polarized)
    computed = GuptasarmaDemag(magnet, material=material)(moments)
    np.testing.assert_allclose(np.asarray(computed)[0], expected, atol=1e-5)


def test_cores_at_the_calibrated_depth():
    materials = [MATERIALS["BaFe12O19"], ND2FE14B]
    whole = cubic_grains((2, 1, 1), size=30e-9)
    magnet = core_shell(whole, 4e-9, depth="calibrated", material=materials)
    np.testing.assert_array_equal((magnet.weights[:2] > 0).sum(axis=1), [27, 27])
    lowest = (magnet.particles[:2] - magnet.centroids[:2, None]).min(axis=1)
    # Of 22 nm: less than two nuclei of the one, more than two of the other.
    expected = np.array([0.9 * 11e-9, calibrated_depth(ND2FE14B)]) - 11e-9
    np.testing.assert_allclose(lowest, expected[:, None] + np.zeros(3), rtol=1e-9)


def test_bad_input():
    with pytest.raises(ValueError, match="`seed` must be given"):
        spread_materials(ND2FE14B, 3, seed=None)
    with pytest.raises(ValueError, match=r"`Ku` must be at least 0; received -0\.1"):
        spread_materials(ND2FE14B, 3, Ku=-0.1, seed=1)
    magnet = cubic_grains((2, 1, 1))
    with pytest.raises(ValueError, match="`fractions` must be positive, one per material"):
        mixed_phases(magnet, [ND2FE14B, SMCO5], [1, 0], seed=1)
    with pytest.raises(ValueError, match=r"`fractions` must have shape \(2,\) one per material"):
        mixed_phases(magnet, [ND2FE14B, SMCO5], [1], seed=1)
    with pytest.raises(ValueError, match="`materials` must be a Material"):
        mixed_phases(magnet, ["iron"], [1], seed=1)
    with pytest.raises(ValueError, match="`thickness` must be greater than 0"):
        core_shell(magnet, 0)
    with pytest.raises(
        ValueError, match="`thickness` must leave a core for particles in every grain"
    ):
        core_shell(magnet, 25e-9)
    with pytest.raises(
        ValueError, match=r"`scheme` must be one of 'vertices', .*received 'corners"
    ):
        core_shell(magnet, 4e-9, scheme=("corners",))
    with pytest.raises(ValueError, match="`scheme` must name a site on the surface of a grain"):
        core_shell(magnet, 4e-9, scheme="centroid")
    with pytest.raises(
        ValueError, match="`depth` must be a number or 'calibrated'; received 'deep'"
    ):
        core_shell(magnet, 4e-9, depth="deep")
