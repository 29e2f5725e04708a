"""The demagnetising operators, in NumPy.

| who                                    | must agree with whom                   | to            |
| -------------------------------------- | -------------------------------------- | ------------- |
| dense, on any magnet                   | `demag_matrix`, held to its own tests  | rounding      |
| lattice, on equal grains on a lattice, | `demag_matrix`                         | rounding      |
| in any order                           |                                        |               |
| hierarchical, on any magnet            | `demag_matrix`                         | rtol          |
| `error` of these                       | the error measured in other states     | a factor of 3 |
| a batch, of any axes                   | its magnets alone                      | rounding      |
| `adjoint`                              | the operator: Σ f·A(m) = Σ A*(f)·m     | rounding      |
| translated, scaled, permuted           | the magnet as it was                   | rounding      |
| turned by 90°                          | the same                               | rtol          |

Each with and without the grains' own fields; dense and lattice also on any grains (hypothesis).
Rounding is 1e-12 of the field in float64, and 3e-6 in float32, whose sums have hundreds of terms;
rtol and errors are root mean squares over those of the field.
"""

import re

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from keras_micromag.physics import (
    DemagOperator,
    Microstructure,
    cubic_grains,
    demag_operator,
    demag_tensor,
)
from keras_micromag.physics.field import choose_operator, lattice
from tests import oracles
from tests.physics.field.magnets import (
    CORNERS,
    LATTICES,
    POLYCRYSTALS,
    any_lattice,
    any_magnet,
    by_matrix,
    check_field_and_adjoint,
    made,
    magnet,
    matrix,
    measured_error,
    relative_error,
    reordered,
    states,
    unit_moments,
)

ROUNDING = {"float32": 3e-6, "float64": 1e-12}
KINDS = ("dense", "lattice", "hierarchical")
EVERY = [
    (name, kind)
    for name in LATTICES | POLYCRYSTALS
    for kind in KINDS
    if kind != "lattice" or name in LATTICES
]
every = pytest.mark.parametrize(("name", "kind"), EVERY)
kinds = pytest.mark.parametrize("kind", KINDS)
own = pytest.mark.parametrize(
    "self_field", [False, True, "nucleus"], ids=["others", "own", "nucleus"]
)


# ---------------------------------------------------------------------------------------------
# Agreement
# ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@own
@every
def test_the_matrix(name, kind, self_field, dtype):
    operator, moments = made(name, kind, self_field, dtype), states(len(magnet(name)))
    assert isinstance(operator, DemagOperator)
    assert (operator.kind, operator.dtype, operator.self_field) == (kind, dtype, self_field)
    assert operator.structure is magnet(name) and operator.rtol == 1e-4
    field, expected = operator(moments), by_matrix(matrix(name, self_field), moments)
    assert field.dtype == dtype and field.shape == expected.shape
    limit = 1e-4 if kind == "hierarchical" else ROUNDING[dtype]
    if name == "one" and not self_field:  # which nothing acts on
        assert abs(field).max() <= ROUNDING[dtype]
    else:
        assert relative_error(field, expected) <= limit
    assert operator.error <= (limit if kind == "hierarchical" else 0)


@pytest.mark.slow
@pytest.mark.parametrize("rtol", [1e-3, 1e-4, 1e-5])
@own
@pytest.mark.parametrize("name", ["box", "touching", "row", *POLYCRYSTALS])
def test_the_error_is_within_rtol_and_known(name, self_field, rtol):
    operator = made(name, "hierarchical", self_field, rtol=rtol)
    measured = measured_error(operator, matrix(name, self_field))
    assert measured <= rtol
    # Aligned, touching grains have a weak field, of which an error is a larger part.
    assert measured <= operator.error <= 5 * measured


@pytest.mark.integration
@pytest.mark.parametrize("name", ["touching", "corners"])
@own
def test_the_matrix_at_the_smallest_errors(name, self_field):
    for dtype, least in (("float32", 5e-6), ("float64", 5e-7)):
        operator = made(name, "hierarchical", self_field, dtype, least)
        assert measured_error(operator, matrix(name, self_field)) <= least


@kinds
def test_a_batch_is_its_magnets(kind):
    operator = made("box", kind)
    moments = unit_moments(2, 3, 60)
    batch = operator(moments)
    assert batch.shape == (2, 3, 60, 9, 3)
    gathered = operator.adjoint(batch)
    assert gathered.shape == (2, 3, 60, 3)
    for index in np.ndindex(2, 3):
        np.testing.assert_allclose(operator(moments[index]), batch[index], rtol=0, atol=1e-14)
        alone = operator.adjoint(batch[index])
        np.testing.assert_allclose(alone, gathered[index], rtol=0, atol=1e-12)
    assert operator(moments[:0]).shape == (0, 3, 60, 9, 3)
    assert operator.adjoint(batch[:, :0]).shape == (2, 0, 60, 3)


@pytest.mark.slow
@own
@every
def test_adjoint(name, kind, self_field):
    operator = made(name, kind, self_field)
    moments = unit_moments(4, len(magnet(name)))
    fields = np.random.default_rng(5).normal(size=(4, *magnet(name).weights.shape, 3))
    field, gathered = operator(moments), operator.adjoint(fields)
    assert gathered.shape == moments.shape and gathered.dtype == "float64"
    there = np.einsum("bgpi,bgpi->b", field, fields)
    back = np.einsum("bgi,bgi->b", moments, gathered)
    scale = np.linalg.norm(fields) * max(np.linalg.norm(field), 1.0)
    np.testing.assert_allclose(back, there, rtol=0, atol=1e-13 * scale)
    single = made(name, kind, self_field, "float32").adjoint(fields)
    assert single.dtype == "float32"
    # Sums of up to a thousand fields.
    np.testing.assert_allclose(single, gathered, rtol=0, atol=2e-5 * np.abs(gathered).max() + 1e-5)


@pytest.mark.parametrize("kind", ["dense", "hierarchical"])
def test_padding_has_no_field_and_makes_none(kind):
    padding = magnet("corners").weights == 0
    assert padding.any()
    operator = made("corners", kind)
    fields = operator(unit_moments(20))
    assert not fields[padding].any() and fields[~padding].any(axis=-1).all()
    other = np.where(padding[..., None], 1e6, fields)
    np.testing.assert_array_equal(operator.adjoint(other), operator.adjoint(fields))


@pytest.mark.slow
@every
def test_every_particle_has_a_place_of_its_own(name, kind):
    operator, real = made(name, kind), magnet(name).weights > 0
    assert len(np.unique(operator.places[real])) == real.sum()
    assert (operator.places >= 0).all() and (operator.places < operator.product.places).all()
    # Padding looks where a particle of the same grain does.
    for places, there in zip(operator.places, real, strict=True):
        assert set(places) == set(places[there])


@kinds
def test_particles_of_weight_0_are_padding_wherever_they_stand(kind):
    structure = cubic_grains((4, 2, 1), scheme=("vertices", "centroid"))
    weights = np.ones((8, 9))
    weights[:, 0] = 0
    weights[3, [2, 5]] = 0
    structure = Microstructure(structure.grains, particles=structure.particles, weights=weights)
    if kind == "lattice":
        with pytest.raises(ValueError, match="some of its particles have the weight 0"):
            demag_operator(structure, kind)
        return
    operator = demag_operator(structure, kind, dtype="float64")
    assert measured_error(operator) <= 1e-4
    assert not operator(unit_moments(8))[weights == 0].any()


def test_the_field_is_the_sum_of_all_grains_fields():
    operator, moments = made("corners", "hierarchical"), unit_moments(20)
    halves = np.zeros((2, 20, 3))
    halves[0, :9], halves[1, 9:] = moments[:9], moments[9:]
    field = operator(moments)
    np.testing.assert_allclose(operator(halves).sum(axis=0), field, rtol=0, atol=1e-13)
    np.testing.assert_allclose(operator(-2.5 * moments), -2.5 * field, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(operator(0 * moments), 0.0)


# The hierarchical operator of any grains is in test_hierarchical.py.
@pytest.mark.slow
@pytest.mark.parametrize(("kind", "any_of"), [("dense", any_magnet), ("lattice", any_lattice)])
@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), own=st.booleans())
def test_any_grains(kind, any_of, seed, own):
    structure = any_of(seed)
    # Particles of equal grains differ by rounding, here and there across the digit that counts.
    assume(kind != "lattice" or len(np.unique(structure.particle_class)) == 1)
    operator = demag_operator(structure, kind, dtype="float64", self_field=own)
    check_field_and_adjoint(operator, ROUNDING["float64"], seed)


@kinds
def test_a_row_of_touching_cubes_is_a_prism(kind):
    # Magnetised alike, no charge is left between them.
    row = cubic_grains((24, 1, 1), size=1.0, gap=0.0, depth=0.1, scheme=CORNERS)
    operator = demag_operator(row, kind, self_field=True, dtype="float64")
    for axis in np.eye(3):
        computed = operator(np.tile(axis, (24, 1)))
        bar = oracles.prism(24.0, 1.0, 1.0)
        expected = demag_tensor(row.particles, *bar) @ axis
        np.testing.assert_allclose(computed, expected, rtol=0, atol=1e-4)


# ---------------------------------------------------------------------------------------------
# Symmetries
# ---------------------------------------------------------------------------------------------

SERVED = [("box", kind) for kind in KINDS] + [("corners", "dense"), ("corners", "hierarchical")]
served = pytest.mark.parametrize(("name", "kind"), SERVED)


def moved(structure, *, scale=1.0, shift=0.0, turn=None):
    """The magnet with its particles, turned, then scaled, then shifted."""
    turn = np.eye(3) if turn is None else turn
    return Microstructure(
        [(grain.vertices @ turn.T * scale + shift, grain.faces) for grain in structure.grains],
        particles=structure.particles @ turn.T * scale + shift,
        weights=structure.weights,
    )


def fields(structure, kind, moments):
    return demag_operator(structure, kind, self_field=True, dtype="float64")(moments)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1e9])
@served
def test_length_scale(name, kind, scale):
    moments = unit_moments(len(magnet(name)))
    # From 50 nm to a size of about 1.
    computed = fields(moved(magnet(name), scale=2e7 * scale), kind, moments)
    np.testing.assert_allclose(computed, made(name, kind, True)(moments), rtol=0, atol=1e-11)


@served
def test_translation(name, kind):
    moments = unit_moments(len(magnet(name)))
    computed = fields(moved(magnet(name), shift=1e-6 * np.array([5.0, -3.0, 2.0])), kind, moments)
    # A hundred sizes away coordinates have lost two digits.
    expected = made(name, kind, True)(moments)
    np.testing.assert_allclose(computed, expected, rtol=0, atol=1e-10)


@served
def test_permutation_of_grains(name, kind):
    moments = unit_moments(len(magnet(name)))
    order = np.random.default_rng(6).permutation(len(moments))
    computed = fields(reordered(magnet(name), order), kind, moments[order])
    expected = made(name, kind, True)(moments)[order]
    np.testing.assert_allclose(computed, expected, rtol=0, atol=1e-12)


@served
def test_a_quarter_turn_about_z(name, kind):
    moments = unit_moments(len(magnet(name)))
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    computed = fields(moved(magnet(name), turn=turn), kind, moments @ turn.T)
    expected = made(name, kind, True)(moments) @ turn.T
    if kind == "hierarchical":  # another wall of the sample is where the mesh begins
        assert relative_error(computed[None], expected[None]) <= 2e-4
    else:
        np.testing.assert_allclose(computed, expected, rtol=0, atol=1e-12)


# ---------------------------------------------------------------------------------------------
# The choice
# ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_auto_chooses_by_size_and_structure(monkeypatch):
    cubes, grains = magnet("touching"), magnet("corners")
    assert demag_operator(cubes).kind == "dense"
    monkeypatch.setattr("keras_micromag.physics.field.operator._DENSE_BYTES", 1000)
    assert demag_operator(cubes).kind == "lattice"
    assert demag_operator(grains).kind == "hierarchical"
    chosen = choose_operator("auto", grains, True, "float64", 1e-3)
    assert (chosen.kind, chosen.self_field) == ("hierarchical", True)
    assert (chosen.dtype, chosen.rtol) == ("float64", 1e-3)
    assert choose_operator("dense", grains, False, "float32", 1e-4).kind == "dense"
    assert choose_operator(chosen, grains, True, "float64", 1e-6) is chosen


@kinds
def test_a_choice_is_built_when_it_is_needed(kind):
    structure = magnet("box")
    chosen, ready = choose_operator(kind, structure, False, "float64", 1e-4), made("box", kind)
    assert chosen.arrays is None and ready.arrays is ready.build()
    np.testing.assert_array_equal(chosen(states(60)), ready(states(60)))
    assert (chosen.error, chosen.nbytes) == (ready.error, ready.nbytes)
    assert chosen.arrays is None  # a loop lets the arrays go once the backend has them


def test_only_a_dense_matrix_can_be_padded():
    structure = magnet("corners")
    assert (structure.weights == 0).any()
    given = demag_operator(structure, "dense", self_field=False)
    chosen = choose_operator("dense", structure, False, "float32", 1e-4)
    assert chosen.can_pad and not given.can_pad
    g, n = len(structure), int((structure.weights > 0).sum())
    product, places, _ = chosen.build((g + 3, n + 5))
    np.testing.assert_array_equal(places, given.places)
    padded, matrix = (x.matrix.reshape(3, -1, 3, x.places) for x in (product, given.product))
    np.testing.assert_array_equal(padded[:, :g, :, :n], matrix)
    assert padded.shape == (3, g + 3, 3, n + 5)
    assert not padded[:, g:].any() and not padded[..., n:].any()
    for kind in ("lattice", "hierarchical"):
        assert not choose_operator(kind, magnet("box"), False, "float32", 1e-4).can_pad


def test_descriptions_differ_where_fields_do():
    structure = magnet("one")
    described = [choose_operator(k, structure, False, "float32", 1e-3).description for k in KINDS]
    assert described == ["dense", "lattice", "hierarchical within 0.001"]
    given = [demag_operator(structure, kind, rtol=2e-3).description for kind in KINDS]
    assert given == ["given dense", "lattice", "hierarchical within 0.002"]


@pytest.mark.slow
def test_sizes_of_the_arrays():
    structure = cubic_grains((6, 6, 6), scheme=CORNERS)
    held = {kind: demag_operator(structure, kind).nbytes for kind in KINDS}
    assert held["dense"] == 4 * (3 * 216) * (3 * 216 * 8)
    shape = lattice.sites(structure).shape
    assert held["lattice"] == lattice.kernel_nbytes(structure, shape, "float32") + 4 * 216
    assert held["lattice"] < held["hierarchical"] < held["dense"]
    double = demag_operator(structure, "dense", dtype="float64")
    assert double.nbytes == 2 * held["dense"]


# ---------------------------------------------------------------------------------------------
# Bad input
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"rtol": 0}, r"`rtol` must be greater than 0; received 0"),
        ({"rtol": -1e-4}, r"`rtol` must be greater than 0; received -0.0001"),
        ({"rtol": np.nan}, r"`rtol` must be greater than 0; received nan"),
        ({"rtol": np.inf}, r"`rtol` must be greater than 0; received inf"),
        ({"rtol": "x"}, r"`rtol` must be a number; received 'x'"),
        ({"rtol": None}, r"`rtol` must be a number; received None"),
        ({"rtol": 1.0}, r"`rtol` must be at least 5e-06 in float32, and below 1; received 1"),
        ({"rtol": 1e-9}, r"`rtol` must be at least 5e-06 in float32, and below 1; received 1e-09"),
        (
            {"rtol": 1e-7, "dtype": "float64"},
            r"`rtol` must be at least 5e-07 in float64, and below 1; received 1e-07",
        ),
        (
            {"kind": "fast"},
            r"`kind` must be one of 'auto', 'dense', 'lattice', 'hierarchical'; received 'fast'",
        ),
        ({"kind": None}, r"`kind` must be one of .*; received None"),
        ({"kind": np.array(["dense"])}, r"`kind` must be one of .*; received array\(\['dense'\]"),
        ({"kind": np.zeros((2, 3))}, r"`kind` must be one of .*; received array\(\[\[0"),
        ({"dtype": "float16"}, r"`dtype` must be one of 'float32', 'float64'; received 'float16'"),
        ({"self_field": "no"}, r"`self_field` must be False, True or 'nucleus'; received 'no'"),
        ({"self_field": 1}, r"`self_field` must be False, True or 'nucleus'; received 1"),
        ({"structure": "cubes"}, r"`structure` must be a Microstructure; received 'cubes'"),
    ],
)
def test_bad_input_gets_a_sentence(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        demag_operator(**{"structure": magnet("one"), **arguments})


def test_a_numpy_bool_is_one():
    operator = demag_operator(magnet("one"), self_field=np.True_)
    assert operator.self_field is True
    assert choose_operator(operator, magnet("one"), True, "float32", 1e-4) is operator


@kinds
def test_bad_moments_and_fields(kind):
    operator = made("row", kind)
    for shape in ((6, 3), (7, 2), (7,), (), (3, 7), (2, 8, 3)):
        with pytest.raises(
            ValueError, match=r"`moments` must have shape \(\.\.\., 7, 3\) with g ="
        ):
            operator(np.zeros(shape))
    for shape in ((7, 27), (7, 26, 3), (6, 27, 3), (27, 3), (2, 7, 27, 2)):
        with pytest.raises(ValueError, match=r"`fields` must have shape \(\.\.\., 7, 27, 3\) with"):
            operator.adjoint(np.zeros(shape))
    for wrong in (np.nan, np.inf):
        moments, fields = np.ones((2, 7, 3)), np.ones((7, 27, 3))
        moments[1, 4, 2] = fields[5, 6, 1] = wrong
        with pytest.raises(ValueError, match=r"`moments` must be finite; .* index \(1, 4, 2\)"):
            operator(moments)
        with pytest.raises(ValueError, match=r"`fields` must be finite; .* index \(5, 6, 1\)"):
            operator.adjoint(fields)
    with pytest.raises(ValueError, match="`moments` must be an array of numbers; received 'up'"):
        operator("up")


@kinds
def test_input_is_left_alone(kind):
    operator = made("row", kind)
    moments, fields = unit_moments(7), np.ones((7, 27, 3))
    operator(moments)
    operator.adjoint(fields)
    np.testing.assert_array_equal(moments, unit_moments(7))
    assert (fields == 1).all()


def test_an_operator_of_another_problem_is_refused():
    structure = cubic_grains((2, 1, 1))
    given = demag_operator(structure, self_field=False)
    same = cubic_grains((2, 1, 1))
    for changed, sentence in (
        ({"structure": same}, r"the same structure; received one made for another object"),
        ({"self_field": True}, "the same self_field; received one made for False, not True"),
        ({"self_field": "nucleus"}, "the same self_field; .* made for False, not 'nucleus'"),
        ({"dtype": "float64"}, "the same dtype; received one made for 'float32', not 'float64'"),
    ):
        asked = {"structure": structure, "self_field": False, "dtype": "float32", "rtol": 1e-4}
        with pytest.raises(ValueError, match=f"`operator` must be made for {sentence}"):
            choose_operator(given, **{**asked, **changed})
    with pytest.raises(ValueError, match=r"`operator` must be one of 'auto', .* received 'fast'"):
        choose_operator("fast", structure, False, "float32", 1e-4)


# ---------------------------------------------------------------------------------------------
# Particles on edges
# ---------------------------------------------------------------------------------------------

ON_EDGE = r"particle (\d+) of grain (\d+) lies on an edge of grain (\d+), where the field is inf"


def named_by_the_error(structure, kind, **options):
    """Return the particle, the grain and the source that the error names."""
    with pytest.raises(ValueError, match=ON_EDGE) as caught:
        demag_operator(structure, kind, **options)
    return tuple(map(int, re.match(ON_EDGE, str(caught.value)).groups()))


def is_on_edge(structure, particle, target, source):
    """Return whether the particle is in two planes of the source, which is convex here."""
    body = structure.grains[source]
    point = structure.particles[target, particle] - body.centroid
    heights = body.normals @ point - body.offsets
    near = 1e-9 * body.size
    return (heights < near).all() and (abs(heights) < near).sum() >= 2


@kinds
def test_particles_on_edges_are_named(kind):
    touching = cubic_grains((3, 2, 2), depth=0.0, gap=0.0)
    particle, target, source = named_by_the_error(touching, kind, self_field=False)
    assert target != source
    assert is_on_edge(touching, particle, target, source)
    apart = cubic_grains((3, 2, 2), depth=0.0)
    particle, target, source = named_by_the_error(apart, kind, self_field=True)
    assert target == source
    assert is_on_edge(apart, particle, target, source)
    without = demag_operator(apart, kind, self_field=False)
    assert np.isfinite(without(unit_moments(12))).all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dense", "hierarchical"])
@pytest.mark.parametrize("corners", [[7], [4, 5]], ids=["corner", "edge"])
def test_one_particle_of_many_on_an_edge_is_named(kind, corners):
    # Wherever it is in a sample: far out coordinates are rounded, and those of a long one's mesh.
    for length, number in ((41, 0), (41, 9), (41, 21), (41, 33), (301, 147), (301, 148)):
        row = cubic_grains((length, 1, 1), gap=0.0, scheme=("centroid",))
        weights = np.zeros((length, 3))
        weights[:, 0] = weights[number, 2] = 1  # between them padding
        particles = np.repeat(row.particles, 3, axis=1)
        particles[number, 2] = row.grains[number].vertices[corners].mean(axis=0)
        structure = Microstructure(row.grains, particles=particles, weights=weights)
        named = named_by_the_error(structure, kind, self_field=False)
        assert named == (2, number, number + 1)


# ---------------------------------------------------------------------------------------------
# Memory
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "what", "remedy"),
    [
        ("dense", "the matrix of 60 grains with 540 particles", "operator 'hierarchical' takes le"),
        ("lattice", "the lattice of 60 grains with 9 particles each", "fewer grains would fit"),
        ("hierarchical", "the hierarchical operator of 60 grains with 540", "fewer grains would"),
    ],
)
def test_an_operator_beyond_the_free_memory_is_refused(monkeypatch, kind, what, remedy):
    monkeypatch.setattr("keras_micromag.utils.memory.available", lambda: 400_000)
    with pytest.raises(MemoryError, match=f"{what}.* needs .* GB, of which 0.0004 GB are free; .*"):
        demag_operator(magnet("box"), kind)
    with pytest.raises(MemoryError, match=remedy):
        demag_operator(magnet("box"), kind)
    assert demag_operator(magnet("one"), kind, rtol=1e-3).kind == kind


def asked_for(structure, kind, dtype, **options):
    """Bytes that are asked for, and held."""
    asked = []
    with pytest.MonkeyPatch.context() as patch:
        require = "keras_micromag.utils.memory.require"
        patch.setattr(require, lambda size, what, remedy: asked.append(size))
        held = demag_operator(structure, kind, dtype=dtype, **options).nbytes
    return max(asked), held


@kinds
def test_the_required_memory_is_that_of_the_arrays_or_little_more(kind):
    # Neither refuses what would fit a few times over, nor asks for less than is held.
    asked, held = asked_for(magnet("touching"), kind, "float64")
    assert held <= asked <= 6 * held


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lattice", "hierarchical"])
def test_the_remedy_that_an_error_names_fits(monkeypatch, kind):
    many, few = cubic_grains((6, 4, 4)), cubic_grains((6, 4, 4), scheme=CORNERS)
    free = 1.2 * asked_for(many, kind, "float32")[0]
    monkeypatch.setattr("keras_micromag.utils.memory.available", lambda: free)
    remedy = r"; `dtype` 'float32' or `scheme` \('vertices',\) would fit\.$"
    with pytest.raises(MemoryError, match=remedy):
        demag_operator(many, kind, dtype="float64")
    assert demag_operator(many, kind).nbytes <= free
    assert demag_operator(few, kind, dtype="float64").nbytes <= free


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rtol", "remedy"), [(1e-5, "`dtype` 'float32'"), (1e-6, "a magnet of fewer grains")]
)
def test_float32_is_not_named_where_it_cannot_keep_rtol(monkeypatch, rtol, remedy):
    options = {"kind": "hierarchical", "dtype": "float64", "rtol": rtol}
    free = 0.8 * asked_for(magnet("few cubes"), **options)[0]
    monkeypatch.setattr("keras_micromag.utils.memory.available", lambda: free)
    with pytest.raises(MemoryError, match=f"; {remedy} would fit"):
        demag_operator(magnet("few cubes"), **options)
