"""Exchange across grain boundaries.

| who                              | must agree with whom                                     |
| -------------------------------- | -------------------------------------------------------- |
| no exchange                      | the loop without the argument, to the last bit           |
| fields at the particles of cubes | the formulas of `exchange.py`, by hand                   |
| a pair                           | its mirror image; turned; all lengths a thousand times   |
| dense, lattice, hierarchical     | each other; the sparse product, the fields in the matrix |
| a batch of different materials   | its magnets alone                                        |
| a polycrystal's moments          | those in the fields of a plain sum over its pairs        |
| events                           | steps                                                    |
| the layer                        | `simulate`                                               |
"""

import keras
import numpy as np
import pytest

from keras_micromag.layers import EmbeddedStonerWohlfarth
from keras_micromag.physics import (
    MATERIALS,
    ND2FE14B,
    DemagOperator,
    Material,
    Microstructure,
    areal_exchange,
    calibrated_depth,
    core_shell,
    cubic_grains,
    demag_operator,
    equilibrium,
    random_easy_axes,
    simulate,
    voronoi_grains,
)
from keras_micromag.physics.field.exchange import (
    Pairs,
    checked_exchange,
    exchange_pairs,
    in_product,
)
from tests import oracles
from tests.keras_parts import check_layer, numpy

D = calibrated_depth(ND2FE14B)
MAGNET, AXES = cubic_grains((2, 2, 1)), random_easy_axes((2, 4), seed=3)
FIELD = np.array([8.0, 0.0, -2.0, -3.0, -4.0, -6.0])
J = 1e-3


def pairs_of(structure, coupling=J, material=ND2FE14B):
    g = len(structure)
    return exchange_pairs(structure, checked_exchange(coupling, g), [[material] * g])


def strengths(structure, coupling=J, material=ND2FE14B):
    """Return (g, p, g): the field in tesla of each neighbour at each particle."""
    pairs = pairs_of(structure, coupling, material)
    field = np.zeros((*structure.weights.shape, len(structure)))
    np.add.at(field, (pairs.grain, pairs.particle, pairs.neighbor), pairs.strength[0])
    return field


def in_series(coupling, share, material=ND2FE14B):
    """Return J', with a length of grain, over the depth, in series."""
    return 1 / (1 / coupling + share * calibrated_depth(material) / material.A)


def loop(structure=MAGNET, easy_axes=AXES, **options):
    options = {"field": FIELD, "exchange": J, "progress": False, **options}
    return simulate(structure, easy_axes, **options)


# The coupling of a boundary


def test_a_boundary_phase_couples_by_twice_its_stiffness_over_its_thickness():
    assert areal_exchange(2e-12, 4e-9) == pytest.approx(1e-3)
    assert areal_exchange(0.0, 4e-9) == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1e-12, 4e-9), "`stiffness` must be at least 0; received -1e-12"),
        ((1e-12, 0.0), "`thickness` must be greater than 0; received 0"),
        ((np.nan, 1e-9), "`stiffness`"),
        (("soft", 1e-9), "`stiffness`"),
    ],
)
def test_a_boundary_phase_that_is_none_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        areal_exchange(*arguments)


# Fields at particles


def test_particles_beside_a_covered_face_of_a_large_cube():
    pair = cubic_grains((2, 1, 1)).calibrated_for(ND2FE14B)
    field = strengths(pair)
    expected = in_series(J, 0.1) / (ND2FE14B.Ms * 0.9 * D)
    beside = np.isclose(pair.grains[0].vertices[:, 0].max() - pair.particles[0, :, 0], D)
    assert beside.sum() == 9  # corners, edges and the middle of the face
    np.testing.assert_allclose(field[0, :, 1], np.where(beside, expected, 0.0), rtol=1e-12)
    assert not field[0, :, 0].any()
    centroid = np.linalg.norm(pair.particles[0] - pair.grains[0].centroid, axis=1).argmin()
    assert not field[0, centroid].any()


def test_a_corner_has_three_neighbours_and_the_magnet_outer_faces_none():
    eight = cubic_grains((2, 2, 2)).calibrated_for(ND2FE14B)
    expected = in_series(J, 0.1) / (ND2FE14B.Ms * 0.9 * D)
    count = np.rint(strengths(eight).sum(axis=2) / expected)
    # Of a cube's 27 particles 7 are outside of all covered faces, the centroid one of them.
    assert np.bincount(count[0].astype(int)).tolist() == [8, 12, 6, 1]
    np.testing.assert_allclose(strengths(eight).sum(axis=2), count * expected, rtol=1e-12)
    assert (strengths(eight) > 0).any(axis=(0, 1)).all()


def test_a_face_covered_in_part_couples_by_its_share():
    large, small = oracles.cube(50e-9), oracles.cube(25e-9)
    grains = [large, oracles.moved(small, shift=[40.5e-9, 5e-9, 5e-9])]
    field = strengths(Microstructure(grains).calibrated_for(ND2FE14B))
    whole = in_series(J, 0.1) / (ND2FE14B.Ms * 0.9 * D)
    np.testing.assert_allclose(field[0].max(), whole / 4, rtol=1e-9)
    np.testing.assert_allclose(field[1].max(), whole, rtol=1e-9)


def test_a_grain_hardly_larger_than_a_nucleus_is_coupled_as_a_whole():
    size = 12e-9
    small = cubic_grains((2, 1, 1), size=size, gap=1e-9).calibrated_for(ND2FE14B)
    field = strengths(small)[0, :, 1]
    beside = in_series(J, 0.1) / (ND2FE14B.Ms * 0.9 * D)
    whole = in_series(J, 1.0) / (ND2FE14B.Ms * size)
    np.testing.assert_allclose(np.unique(field.round(9)), np.round([whole, beside], 9))
    # In the limit of weak coupling, that of macrospins.
    centre = cubic_grains((2, 1, 1), size=8e-9, gap=1e-9, scheme=("centroid",))
    weak = strengths(centre.calibrated_for(ND2FE14B), 1e-9)
    np.testing.assert_allclose(weak[0, 0, 1], 1e-9 / (ND2FE14B.Ms * 8e-9), rtol=1e-3)


def test_the_pair_is_symmetric_and_turns_and_scales():
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    rotation *= np.sign(np.linalg.det(rotation))
    bodies = [oracles.cube(50e-9), oracles.moved(oracles.cube(50e-9), shift=[53e-9, 0, 0])]
    field = strengths(Microstructure(bodies).calibrated_for(ND2FE14B))
    np.testing.assert_allclose(np.sort(field[0, :, 1]), np.sort(field[1, :, 0]), rtol=1e-9)
    turned = [oracles.moved(body, rotation=rotation) for body in bodies]
    again = strengths(Microstructure(turned).calibrated_for(ND2FE14B))
    np.testing.assert_allclose(again, field, rtol=1e-9)
    # Depths are proportional to √A, and fields to J over length.
    stiff = Material(ND2FE14B.Js, ND2FE14B.Ku, 1e6 * ND2FE14B.A)
    larger = [oracles.moved(body, scale=1e3) for body in bodies]
    again = strengths(Microstructure(larger).calibrated_for(stiff), 1e3 * J, stiff)
    np.testing.assert_allclose(again, field, rtol=1e-9)


def test_each_pair_has_a_coupling_of_its_own():
    coupling = np.zeros((4, 4))
    coupling[0, 1] = coupling[1, 0] = J
    coupling[2, 3] = coupling[3, 2] = 2 * J
    field = strengths(MAGNET, coupling).max(axis=1)
    assert (field > 0).tolist() == (coupling > 0).tolist()
    expected = in_series(np.array([J, 2 * J]), 0.1) / (ND2FE14B.Ms * 0.9 * D)
    np.testing.assert_allclose(field[[0, 2], [1, 3]], expected, rtol=1e-9)


def test_no_exchange_has_no_pairs():
    for coupling in (0.0, np.zeros((4, 4))):
        assert len(pairs_of(MAGNET, coupling).grain) == 0
    assert Pairs.none().strength.shape == (1, 0)


# Refused, or warned of

ASYMMETRIC = np.triu(np.full((4, 4), J))


@pytest.mark.parametrize(
    ("exchange", "message"),
    [
        (-1e-3, "`exchange` must be at least 0 J/m²; received -0.001"),
        (-J * np.eye(4), "`exchange` must be at least 0 J/m²"),
        (np.nan, "`exchange` must be finite|`exchange` must hold finite"),
        (ASYMMETRIC, "`exchange` must be symmetric: one coupling for each pair"),
        (np.full((3, 3), J), r"`exchange` must have shape \(4, 4\) with g = 4"),
        (np.full(4, J), r"`exchange` must have shape \(4, 4\) with g = 4"),
        ("strong", "`exchange` must"),
        (1j, "`exchange` must"),
    ],
)
def test_bad_couplings_are_refused(exchange, message):
    for call in (loop, lambda exchange: EmbeddedStonerWohlfarth(MAGNET, exchange=exchange)):
        with pytest.raises(ValueError, match=message):
            call(exchange=exchange)


def test_grains_must_be_convex():
    shells = core_shell(cubic_grains((2, 1, 1)), 4e-9)
    with pytest.raises(ValueError, match="`structure` must have convex grains; grain 2 is not"):
        simulate(shells, random_easy_axes(4, seed=1), exchange=J, field=[8.0], progress=False)


def test_grains_without_contacts_are_warned_of():
    apart = cubic_grains((2, 1, 1), gap=40e-9)
    with pytest.warns(UserWarning, match="`exchange` couples no grains"):
        assert len(pairs_of(apart).grain) == 0


# Loops


@pytest.mark.slow
@pytest.mark.parametrize("method", ["steps", "events"])
def test_no_exchange_is_the_loop_without_it(method):
    for operator in ("dense", "lattice", "hierarchical") if method == "steps" else ("dense",):
        options = {"method": method, "operator": operator, "field": FIELD, "progress": False}
        without = simulate(MAGNET, AXES, **options)
        for none in (0.0, np.zeros((4, 4))):
            with_none = simulate(MAGNET, AXES, exchange=none, **options)
            np.testing.assert_array_equal(with_none.magnetization, without.magnetization)
            np.testing.assert_array_equal(with_none.iterations, without.iterations)
    assert not np.array_equal(loop(method=method).magnetization, without.magnetization)


@pytest.mark.slow
def test_all_operators_give_the_same_states():
    dense, lattice, hierarchical = (
        loop(operator=kind).magnetization for kind in ("dense", "lattice", "hierarchical")
    )
    np.testing.assert_allclose(lattice, dense, atol=3e-5)
    np.testing.assert_allclose(hierarchical, dense, atol=5e-4)
    # Where grains are not coupled alike, a lattice has a sparse product beside it.
    some = J * (1 - np.eye(4))
    some[0, 1] = some[1, 0] = 0.5 * J
    dense, lattice = (
        loop(operator=kind, exchange=some).magnetization for kind in ("dense", "lattice")
    )
    np.testing.assert_allclose(lattice, dense, atol=3e-5)


def test_a_product_holds_the_fields():
    structure, moments = cubic_grains((3, 2, 4)), np.random.default_rng(2).normal(size=(24, 3))
    pairs = exchange_pairs(structure, np.array(J), [[ND2FE14B] * 24])
    polarization = np.full((1, 24), ND2FE14B.Js)
    expected = np.zeros((*structure.weights.shape, 3))
    np.add.at(
        expected,
        (pairs.grain, pairs.particle),
        pairs.strength[0][:, None] * moments[pairs.neighbor],
    )
    for kind in ("dense", "lattice"):
        operator = demag_operator(structure, kind, dtype="float64")
        without = operator(moments) * ND2FE14B.Js
        product = in_product(operator.product, operator.places, pairs, polarization)
        arrays = operator.arrays._replace(product=product)
        coupled = DemagOperator(structure, kind, "nucleus", "float64", 1e-4, arrays)
        np.testing.assert_allclose(coupled(moments) * ND2FE14B.Js - without, expected, atol=1e-12)
    mixed = np.where(np.arange(24) < 12, 1.0, 2.0) * polarization
    assert in_product(operator.product, operator.places, pairs, mixed) is None


@pytest.mark.slow
@pytest.mark.contract
def test_events_and_steps_agree_and_the_layer_with_them(tmp_path):
    steps, events = loop(), loop(method="events")
    np.testing.assert_allclose(events.magnetization, steps.magnetization, atol=1e-4)
    layer = EmbeddedStonerWohlfarth(MAGNET, exchange=J)
    inputs = {
        "easy_axes": AXES.astype("float32"),
        "field": np.tile(FIELD, (2, 1)).astype("float32"),
    }
    np.testing.assert_allclose(numpy(layer(inputs)), steps.magnetization, atol=3e-5)
    check_layer(layer, inputs, tmp_path, atol=3e-5)
    coupling = J * (np.ones((4, 4)) - np.eye(4))
    pairs = EmbeddedStonerWohlfarth(MAGNET, exchange=coupling)
    twin = EmbeddedStonerWohlfarth.from_config(pairs.get_config())
    np.testing.assert_array_equal(twin.exchange, coupling)
    np.testing.assert_allclose(numpy(twin(inputs)), steps.magnetization, atol=3e-5)
    assert keras.saving.serialize_keras_object(layer)["config"]["exchange"] == J


@pytest.mark.slow
@pytest.mark.parametrize("method", ["steps", "events"])
def test_a_batch_of_materials_equals_its_magnets(method):
    # Of about one depth; the fields of different materials do not fit into one matrix.
    rows = [[ND2FE14B] * 4, [Material(1.5, 4.5e6, 8e-12)] * 4]
    structure = cubic_grains((2, 2, 1), material=ND2FE14B)
    batch = loop(structure, material=rows, method=method)
    for k, row in enumerate(rows):
        alone = loop(structure, AXES[k], material=row, method=method)
        np.testing.assert_allclose(batch.magnetization[k], alone.magnetization, atol=5e-5)
        assert batch.coercivity()[k] == pytest.approx(float(alone.coercivity()), abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("operator", ["dense", "hierarchical"])
def test_moments_of_a_polycrystal_rest_in_the_fields_of_its_pairs(operator):
    structure = voronoi_grains(9, 100e-9, seed=2, gap=3e-9).calibrated_for(ND2FE14B)
    g = len(structure)
    assert len({int(n) for n in (structure.weights > 0).sum(axis=1)}) > 1  # several columns
    axes = random_easy_axes(g, seed=4)
    made = demag_operator(structure, operator)
    result = loop(structure, axes, operator=made, field=[2.0, -1.0, -3.0, -4.0])
    branch = np.sign(np.einsum("tgi,gi->tg", result.magnetization, axes))
    assert (branch[-1] < 0).any() and (branch[0] > 0).all()
    coupled = strengths(structure)
    for field, m, side in zip(result.field, result.magnetization, branch, strict=True):
        at_particles = made(m) * ND2FE14B.Js + np.einsum("gpj,ji->gpi", coupled, m)
        at_particles = (at_particles + np.array([0, 0, field])) / ND2FE14B.anisotropy_field
        easy = (side[:, None] * axes)[:, None]
        along = (at_particles * easy).sum(axis=2)
        sideways = at_particles - along[..., None] * easy
        across = np.linalg.norm(sideways, axis=2)
        inside = (along > 0) | (np.cbrt(along**2) + np.cbrt(across**2) <= 1)
        assert inside[structure.weights > 0].all()
        angle = equilibrium(np.where(inside, along, 0.0), across)
        moments = np.cos(angle)[..., None] * easy
        moments = moments + (np.sin(angle) / np.maximum(across, 1e-30))[..., None] * sideways
        mean = np.einsum("gp,gpi->gi", structure.weights, moments)
        mean /= np.linalg.norm(mean, axis=1, keepdims=True)
        np.testing.assert_allclose(m, mean, atol=1e-4)


@pytest.mark.slow
def test_neighbours_hold_and_take_along_a_grain():
    """The fields at which an aligned grain and one at 35° switch come nearer to each other."""
    pair = cubic_grains((2, 1, 1))
    tilted = np.array([np.sin(np.radians(35)), 0, np.cos(np.radians(35))])
    axes = np.array([[0.0, 0.02, 1.0], tilted])
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    first, last = zip(
        *(
            np.sort(-loop(pair, axes, method="events", exchange=c).switching_fields)
            for c in (0.0, 0.3e-3, 6e-3)
        ),
        strict=True,
    )
    assert first[0] < first[1] < first[2] < last[2] < last[1] < last[0]


@pytest.mark.slow
def test_a_checkpoint_belongs_to_its_coupling(tmp_path):
    folder = tmp_path / "kept"
    result = loop(checkpoint=folder)
    again = loop(checkpoint=folder)
    np.testing.assert_array_equal(again.magnetization, result.magnetization)
    for other in (0.0, 2 * J, np.full((4, 4), J)):
        with pytest.raises(ValueError, match=r"`checkpoint` .*exchange"):
            loop(checkpoint=folder, exchange=other)
    stiffer = Material(ND2FE14B.Js, ND2FE14B.Ku, 1.01 * ND2FE14B.A)
    depth = cubic_grains((2, 2, 1), material=ND2FE14B)
    kept = tmp_path / "of a depth"
    loop(depth, checkpoint=kept)
    with pytest.raises(ValueError, match=r"`checkpoint` .*material"):
        loop(depth, material=stiffer, checkpoint=kept)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Nd2Fe14B", "Sm2Co17", "BaFe12O19"])
def test_strongly_coupled_magnets_reverse_as_one(name):
    material = MATERIALS[name]
    saturation = 2 * material.anisotropy_field
    result = loop(
        cubic_grains((2, 2, 2), size=30e-9),
        random_easy_axes((2, 8), seed=5),
        material=material,
        exchange=6e-3,
        field=[saturation, -saturation],
        method="events",
    )
    assert (np.ptp(result.switching_fields, axis=1) < 1e-3 * saturation).all()
