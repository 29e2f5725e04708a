"""The hierarchical operator, a precorrected FFT: its parts, and its worst cases.

| who                                       | must agree with whom                   | to        |
| ----------------------------------------- | -------------------------------------- | --------- |
| charges on the mesh of a grain, whole or  | its volume: ∮ n dS = 0, ∮ x n dS = V   | 2e-6      |
| in pieces                                 |                                        |           |
| `near_pairs`                              | distances of all particles and pieces  | exactly   |
| `block_layout`                            | each near pair, once                   | exactly   |
| `partition`                               | all other partitions, by their costs   | rounding  |
| `Probe`                                   | `demag_matrix`                         | 1e-12     |
| the operator of needles, plates, a large  | `demag_matrix`                         | rtol      |
| grain among small ones, clusters far      |                                        |           |
| apart, and of any grains (hypothesis)     |                                        |           |
| a precision that does not reach rtol      | the next, or an error that names one   |           |
"""

import re
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_micromag.physics import (
    Microstructure,
    cubic_grains,
    demag_matrix,
    demag_operator,
    voronoi_grains,
)
from keras_micromag.physics.field.precorrected import hierarchical, near
from keras_micromag.physics.field.precorrected.hierarchical import PRECISIONS, Probe
from keras_micromag.physics.field.precorrected.mesh import Mesh
from tests import oracles
from tests.physics.field.magnets import (
    CORNERS,
    any_magnet,
    boxes,
    by_matrix,
    check_field_and_adjoint,
    lattice_places,
    magnet,
    matrix,
    measured_error,
    relative_error,
    states,
    unit_moments,
)

precisions = pytest.mark.parametrize("precision", PRECISIONS, ids=lambda p: f"{p.error:g}")


def mixed(scale=1e-7):
    """A large cube among small grains of other shapes, which have particles of other number."""
    grains = [
        oracles.prism(2.0, 2.0, 2.0),
        oracles.moved(oracles.tetrahedron(0.5), shift=(1.6, 0, 0)),
        oracles.moved(oracles.truncated_octahedron(0.15), shift=(-1.5, 0.4, 0)),
        oracles.moved(oracles.random_convex_hull(3), scale=0.5, shift=(0, 1.5, 0.2)),
        oracles.moved(oracles.prism(0.1, 1.5, 0.1), shift=(0, -1.85, 0)),
        oracles.moved(oracles.l_prism(0.5), shift=(0.2, 0.3, 4.5)),
    ]
    grains = [(vertices * scale, faces) for vertices, faces in grains]
    return Microstructure(grains, depth=0.02 * scale, scheme=CORNERS)


# ---------------------------------------------------------------------------------------------
# The mesh
# ---------------------------------------------------------------------------------------------


def mesh_of(structure, precision, spacing=0.4):
    """A mesh with a spacing in units of a usual grain."""
    return Mesh(structure, spacing * np.median(structure.volumes) ** (1 / 3), precision)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["box", "corners", "mixed"])
@precisions
def test_charges_are_the_grains_dipoles(name, precision):
    structure = mixed() if name == "mixed" else magnet(name)
    mesh = mesh_of(structure, precision)
    sources = mesh.pieces()
    assert sorted(set(sources.grain)) == list(range(len(structure)))
    assert (np.diff(sources.grain) >= 0).all()
    if name == "mixed":
        assert (sources.grain == 0).sum() > 10  # the large one in pieces
    nodes = sources.corner[:, None] + mesh.source_stencil.offsets
    assert (nodes >= 0).all() and (nodes < mesh.shape).all()
    for number, grain in enumerate(structure.grains):
        mine = sources.grain == number
        charges = sources.charges[mine].reshape(-1, 3)
        places = (nodes[mine].reshape(-1, 3) + mesh.origin) * mesh.spacing - grain.centroid
        dipole = np.einsum("sj,si->ij", charges, places) * mesh.spacing**2
        # The fit is to the potential beyond the reach: these are what reaches furthest.
        total = abs(charges.sum(axis=0)).max() * mesh.spacing**2
        assert total <= 1e-7 * grain.size**2
        dipole /= grain.size**3
        np.testing.assert_allclose(dipole, grain.volume / grain.size**3 * np.eye(3), atol=2e-6)


@precisions
def test_the_mesh_has_room_for_all_stencils(precision):
    for structure in (magnet("box"), magnet("corners"), mixed(), magnet("one")):
        mesh = mesh_of(structure, precision)
        nodes = mesh.stencil_corner[:, None] + mesh.target_stencil.offsets
        assert (nodes >= 0).all() and (nodes < mesh.shape).all()
        real = structure.weights > 0
        assert (
            len(mesh.mesh_positions)
            == len(mesh.particle_grain)
            == len(mesh.positions)
            == real.sum()
        )
        np.testing.assert_array_equal(mesh.positions, structure.particles[real])
        back = (mesh.mesh_positions + mesh.origin) * mesh.spacing
        np.testing.assert_allclose(
            back, mesh.positions, rtol=0, atol=1e-12 * structure.volume ** (1 / 3)
        )


# ---------------------------------------------------------------------------------------------
# Near pairs and their blocks
# ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["box", "corners", "mixed"])
@precisions
def test_near_pairs_are_all_within_reach(name, precision):
    structure = mixed() if name == "mixed" else magnet(name)
    mesh = mesh_of(structure, precision, 0.3)
    sources = mesh.pieces()
    pairs = near.near_pairs(mesh, sources)
    assert (np.diff(pairs.target) >= 0).all()
    centres = mesh.source_stencil.centre(sources.corner)
    distance = np.linalg.norm(mesh.mesh_positions[:, None] - centres, axis=-1)
    expected = {(i, i) for i in range(len(structure))}
    for particle, piece in np.argwhere(distance <= precision.reach):
        expected.add((int(mesh.particle_grain[particle]), int(sources.grain[piece])))
    computed = list(zip(pairs.target.tolist(), pairs.source.tolist(), strict=True))
    assert len(computed) == len(set(computed))
    assert set(computed) == expected
    np.testing.assert_array_equal(
        pairs.counts(len(structure)), np.bincount(pairs.target, minlength=len(structure))
    )


@given(seed=st.integers(0, 10**6), g=st.integers(1, 60))
@settings(max_examples=30)
def test_blocks_hold_every_pair_once(seed, g):
    rng = np.random.default_rng(seed)
    near_by = (rng.random((g, g)) < rng.uniform(0, 1)) | np.eye(g, dtype=bool)
    pairs = near.NearPairs(*np.nonzero(near_by))
    particles, place = rng.integers(1, 40, g), rng.permutation(g)
    layout = near.block_layout(pairs, particles, place)
    assert sorted(np.concatenate(layout.grains)) == list(range(g))
    for grains, sources, columns in zip(*layout, strict=True):
        assert sources.shape == (len(grains), near_by[grains].sum(axis=1).max())
        assert sources.dtype == np.int32
        # The fewest columns that are a multiple of 8.
        assert columns % 8 == 0
        assert 0 <= columns - 3 * particles[grains].max() < 8
        assert (np.diff(place[grains]) > 0).all()
        for target, row in zip(grains, sources, strict=True):
            count = near_by[target].sum()
            np.testing.assert_array_equal(np.sort(row[:count]), np.flatnonzero(near_by[target]))
            assert (row[count:] == 0).all()
    assert layout.size >= 9 * (near_by.sum(axis=1) * particles).sum()
    assert (np.concatenate([layout.particles]) >= [particles[k].max() for k in layout.grains]).all()


@given(
    number=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    cost=st.floats(0, 100),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=50)
def test_no_other_parts_cost_less(number, cost, seed):
    number = np.array(number)
    weight = np.random.default_rng(seed).uniform(0.1, 5, len(number))

    def costs(parts):
        return sum(number[part].max() * weight[part].sum() + cost for part in parts)

    parts = near.partition(number, weight, cost)
    assert sorted(np.concatenate(parts)) == list(range(len(number)))
    values = np.unique(number)
    for many in range(len(values)):
        for ends in combinations(values[:-1], many):
            which = np.searchsorted(ends, number)
            others = [np.flatnonzero(which == k) for k in range(many + 1)]
            assert costs(parts) <= costs(others) * (1 + 1e-12)


# ---------------------------------------------------------------------------------------------
# The error
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("self_field", [False, True, "nucleus"], ids=["others", "own", "nucleus"])
@pytest.mark.parametrize("name", ["box", "corners"])
def test_the_probe_has_the_exact_fields(name, self_field):
    probe = Probe(magnet(name), self_field)
    assert len(probe.grain) == len(set(zip(probe.grain, probe.place, strict=True)))
    assert (magnet(name).weights[probe.grain, probe.place] > 0).all()
    np.testing.assert_allclose(np.linalg.norm(probe.moments, axis=-1), 1.0, rtol=1e-14)
    moments = probe.moments.reshape(-1, len(magnet(name)), 3)
    expected = by_matrix(matrix(name, self_field), moments)[:, probe.grain, probe.place]
    expected = expected.reshape(probe.field.shape)
    np.testing.assert_allclose(probe.field, expected, rtol=0, atol=1e-12)


def test_there_is_no_error_where_no_field_acts():
    cube = cubic_grains((1, 1, 1), scheme=("centroid",))
    for self_field in (False, "nucleus"):
        operator = demag_operator(cube, "hierarchical", self_field=self_field, dtype="float64")
        assert operator.error == 0
        np.testing.assert_allclose(operator(np.ones((1, 3))), 0.0, rtol=0, atol=1e-12)


@pytest.mark.slow
def test_the_probe_measures_errors_of_both_parts():
    probe = Probe(magnet("corners"), False)
    product, places = hierarchical.build_product(magnet("corners"), False, "float64", PRECISIONS[1])
    error = probe.error(product, places)
    assert 0 < error <= 1e-4
    halved = product._replace(gradient_weights=0.5 * product.gradient_weights)
    assert probe.error(halved, places) > 100 * error
    double = product._replace(blocks=tuple(1.1 * block for block in product.blocks))
    assert probe.error(double, places) > 100 * error


@pytest.mark.slow
def test_the_probe_allows_for_other_particles():
    structure = magnet("touching")
    particles = int((structure.weights > 0).sum())
    product, places = hierarchical.build_product(structure, False, "float64", PRECISIONS[1])
    probe, few = (Probe(structure, False, most=n) for n in (particles, particles // 10))
    few.moments = probe.moments
    more = (few.errors(product, places) / probe.errors(product, places)).mean(axis=1)
    assert ((1.05 < more) & (more < 2.0)).all()


def test_the_probe_allows_for_other_states():
    structure = magnet("corners")
    product, places = hierarchical.build_product(structure, False, "float64", PRECISIONS[1])
    probe = Probe(structure, False)
    errors = probe.errors(product, places)
    assert errors.max() <= probe.error(product, places) <= 2.0 * errors.max()


@pytest.mark.slow
def test_a_bar_shows_the_progress_of_the_set_up(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    structure = magnet("corners")
    demag_operator(structure, "hierarchical", progress=True)
    bar = capsys.readouterr().err
    assert "fields of grains" in bar and f"{len(structure)}/{len(structure)}" in bar
    demag_operator(structure, "hierarchical")
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
def test_an_insufficient_precision_is_followed_by_the_next(monkeypatch):
    # Long grains look larger to each other than those for which the precisions are tried.
    made, tried = hierarchical.build_product, []

    def record(structure, self_field, dtype, precision, progress):
        tried.append(precision)
        return made(structure, self_field, dtype, precision, progress)

    monkeypatch.setattr(hierarchical, "build_product", record)
    structure = magnet("corners")
    bad = [p._replace(reach=0.2, error=p.error) for p in PRECISIONS[:2]]
    monkeypatch.setattr(hierarchical, "PRECISIONS", (*bad, PRECISIONS[2]))
    operator = demag_operator(structure, "hierarchical", rtol=1e-3, dtype="float64")
    assert tried == [*bad, PRECISIONS[2]]
    assert operator.error <= 1e-3
    tried.clear()
    demag_operator(structure, "hierarchical", rtol=1e-4, dtype="float64")
    assert tried == [bad[1], PRECISIONS[2]]


@pytest.mark.slow
def test_an_impossible_rtol_raises_and_names_the_least(monkeypatch):
    monkeypatch.setattr(hierarchical, "PRECISIONS", PRECISIONS[:1])
    structure = magnet("touching")
    with pytest.raises(
        ValueError, match=r"`rtol` must be at least \S+ for this structure, or the o"
    ):
        demag_operator(structure, "hierarchical", rtol=6e-6)
    with pytest.raises(ValueError, match=r"'dense'; received 6e-06\.") as caught:
        demag_operator(structure, "hierarchical", rtol=6e-6)
    least = float(str(caught.value).split("at least ")[1].split()[0])
    assert demag_operator(structure, "hierarchical", rtol=least).error <= least


@pytest.mark.slow
@pytest.mark.parametrize("apart", [20.0, 1e6])
def test_grains_too_far_apart_raise(apart):
    cube = cubic_grains((1, 1, 1)).grains[0]
    pair = Microstructure([cube, cube.translated([0.0, 0.0, apart])])
    expected = re.escape(f"received grains of 5e-08 m over {apart:.2g} m")
    with pytest.raises(
        ValueError, match=f"^`structure` must have .* 'dense' serves it; {expected}"
    ):
        demag_operator(pair, "hierarchical", rtol=0.9, self_field=False)
    assert np.isfinite(demag_operator(pair, "dense")(unit_moments(2))).all()


# ---------------------------------------------------------------------------------------------
# Worst cases
# ---------------------------------------------------------------------------------------------


def shell(n):
    """A cube among cubes of an n-th of its edge: one layer all around it."""
    places = lattice_places(*[n + 2] * 3)
    places = places[((places == 0) | (places == n + 1)).any(axis=1)]
    around = [oracles.moved(oracles.cube(), shift=place * 1.06) for place in places]
    large = oracles.moved(oracles.cube(n), shift=np.full(3, (n + 1) / 2 * 1.06))
    return Microstructure([large, *around], depth=0.05, scheme=CORNERS)


def clusters(apart):
    """Two of eight cubes each, `apart` metres from each other."""
    grains = cubic_grains((2, 2, 2)).grains
    shift = np.array([0.8, 0.6, 0.0]) * apart
    return Microstructure([*grains, *[g.translated(shift) for g in grains]], scheme=CORNERS)


def bent():
    """A row of grains that are not convex."""
    body = oracles.l_prism()
    grains = [oracles.moved(body, shift=(1.05 * i, 1.05 * j, 0)) for i in range(12) for j in (0, 1)]
    return Microstructure(grains, depth=0.05, scheme=CORNERS)


WORST = {
    "needle of cubes": lambda: cubic_grains((40, 1, 1), scheme=CORNERS),
    "plate of cubes": lambda: cubic_grains((8, 8, 1), scheme=CORNERS),
    "needles side by side": lambda: boxes((1, 1, 6), lattice_places(4, 3, 1)),
    "needles in a row": lambda: boxes((1, 1, 6), lattice_places(1, 2, 8)),
    "plates in a stack": lambda: boxes((4, 4, 1), lattice_places(1, 1, 16)),
    "plates side by side": lambda: boxes((4, 4, 1), lattice_places(5, 3, 1)),
    "flat Voronoi grains": lambda: voronoi_grains(
        24, (300e-9, 60e-9, 60e-9), seed=3, stretch=(1, 2, 2), scheme=CORNERS, vanishing="drop"
    ),
    "unequal Voronoi grains": lambda: voronoi_grains(
        30, (300e-9, 90e-9, 90e-9), seed=3, sigma=0.5, scheme=CORNERS, vanishing="drop"
    ),
    "one large among small": lambda: shell(3),
    "touching": lambda: boxes((1, 1, 1), lattice_places(12, 2, 2), gap=0.0),
    "nearly touching": lambda: boxes((1, 1, 1), lattice_places(12, 2, 2), gap=1e-6, depth=1e-4),
    "not convex": bent,
    "clusters": lambda: clusters(5e-7),
    "clusters far apart": lambda: clusters(1e-4),
    "clusters very far apart": lambda: clusters(1.0),
    "of all sorts": mixed,
}


@pytest.mark.slow
@pytest.mark.parametrize("case", WORST)
def test_worst_cases(case):
    structure = WORST[case]()
    for self_field, dtype, rtol in ((False, "float64", 1e-4), (True, "float32", 1e-3)):
        made = demag_operator(
            structure, "hierarchical", rtol=rtol, dtype=dtype, self_field=self_field
        )
        measured = measured_error(made)
        assert measured <= rtol
        # Where all is near, all that is left of an error is rounding.
        assert measured <= 3 * made.error + (1e-6 if dtype == "float32" else 1e-12)


def test_distant_grains_cost_no_more():
    # The mesh does not grow with the nothing between them.
    near_by, far = (demag_operator(clusters(d), "hierarchical") for d in (1e-5, 1.0))
    assert far.nbytes <= 2 * near_by.nbytes
    assert np.prod(far.product.mesh) < 200_000


def test_far_apart_they_are_two_magnets():
    pair, alone = clusters(1e-3), cubic_grains((2, 2, 2), scheme=CORNERS)
    moments = unit_moments(16)
    field = demag_operator(pair, "hierarchical", dtype="float64")(moments)
    for half in (slice(0, 8), slice(8, 16)):
        expected = by_matrix(demag_matrix(alone), moments[None, half])[0]
        np.testing.assert_allclose(field[half], expected, rtol=0, atol=1e-9)


def test_a_single_grain_has_no_field_but_its_own():
    structure = magnet("one")
    moments = unit_moments(1)
    for dtype, atol in (("float32", 1e-6), ("float64", 1e-14)):
        made = demag_operator(structure, "hierarchical", dtype=dtype, self_field=False)
        assert made.error == 0
        np.testing.assert_allclose(made(moments), 0.0, atol=atol)
        own = demag_operator(structure, "hierarchical", dtype=dtype, self_field=True)
        np.testing.assert_allclose(
            own(moments), by_matrix(matrix("one", True), moments[None])[0], atol=atol
        )


@pytest.mark.integration
@settings(max_examples=20)
@given(
    seed=st.integers(0, 10**6), rtol=st.sampled_from([1e-2, 1e-3, 1e-4, 2e-5]), own=st.booleans()
)
def test_any_grains(seed, rtol, own):
    structure = any_magnet(seed)
    operator = demag_operator(structure, "hierarchical", rtol=rtol, dtype="float64", self_field=own)
    check_field_and_adjoint(operator, rtol, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [148, 1066, 1110, 1126])
def test_any_state_of_few_grains(seed):
    # Of few grains the errors of states differ most; some have twice those of most others.
    structure = any_magnet(seed)
    exact, g = demag_matrix(structure), len(structure)
    moments = np.concatenate([states(g), unit_moments(100, g, seed=5)])
    for rtol in (1e-3, 1e-4):
        operator = demag_operator(structure, "hierarchical", rtol=rtol, dtype="float64")
        computed, expected = operator(moments), by_matrix(exact, moments)
        assert relative_error(computed, expected) <= rtol
