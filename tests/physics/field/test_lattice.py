"""Equal grains on a lattice: which they are, and what is held of them.

| who                                     | must agree with whom                     | to       |
| --------------------------------------- | ---------------------------------------- | -------- |
| `sites`                                 | the places that the grains were given    | exactly  |
| the operator of a lattice               | `demag_matrix`: see test_operators.py    | rounding |
| the same, off its sites by up to 1e-10  | `demag_matrix`                           | 1e-8     |
| what is no lattice                      | a sentence that says why                 |          |
"""

import numpy as np
import pytest

from keras_micromag.physics import Microstructure, cubic_grains, demag_operator
from keras_micromag.physics.field import choose_operator
from keras_micromag.physics.field.lattice import (
    NoLatticeError,
    kernel_nbytes,
    lattice_product,
    sites,
)
from tests import oracles
from tests.physics.field.magnets import (
    CORNERS,
    boxes,
    lattice_places,
    measured_error,
    reordered,
    unit_moments,
)


@pytest.mark.parametrize("shape", [(5, 4, 3), (1, 7, 1), (1, 1, 1), (2, 1, 3)])
@pytest.mark.parametrize("gap", [0.0, 3e-9, 200e-9])
def test_grains_are_where_they_were_put(shape, gap):
    structure = cubic_grains(shape, gap=gap, scheme=CORNERS)
    expected = np.arange(np.prod(shape)).reshape(shape)
    np.testing.assert_array_equal(sites(structure), expected)
    order = np.random.default_rng(1).permutation(len(structure))
    computed = sites(reordered(structure, order))
    np.testing.assert_array_equal(order[computed], expected)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_of_any_size_and_anywhere(scale):
    edges = np.array([1.0, 0.6, 1.5]) * scale
    shift = np.array([30.0, -50.0, 20.0]) * scale
    grains = [
        oracles.moved(oracles.prism(*edges), shift=place * 1.1 * edges + shift)
        for place in lattice_places(3, 2, 2)
    ]
    structure = Microstructure(grains, depth=0.05 * scale, scheme=CORNERS)
    np.testing.assert_array_equal(sites(structure), np.arange(12).reshape(3, 2, 2))


def cube(*shift):
    return oracles.moved(oracles.cube(50e-9), shift=np.multiply(shift, 53e-9))


ROW = [cube(i, 0, 0) for i in range(4)]
NO_LATTICE = {
    "other shape": ([*ROW[:3], oracles.moved(oracles.tetrahedron(50e-9), shift=(2e-7, 0, 0))], 1),
    "other size": ([*ROW[:3], oracles.moved(oracles.cube(40e-9), shift=(2e-7, 0, 0))], 1),
    "turned": (
        [*ROW[:3], oracles.moved(oracles.prism(50e-9, 50e-9, 40e-9), shift=(2e-7, 0, 0))],
        1,
    ),
    "hole": ([cube(i, j, 0) for i in range(3) for j in range(3) if (i, j) != (1, 1)], 3),
    "corner missing": ([cube(i, j, 0) for i in range(2) for j in range(2)][:3], 3),
    "unequal distances": ([cube(0, 0, 0), cube(1, 0, 0), cube(2.5, 0, 0)], 2),
    "a gap in a row": ([cube(0, 0, 0), cube(1, 0, 0), cube(3, 0, 0)], 3),
    "sheared": ([cube(i + 0.3 * j, j, 0) for i in range(3) for j in range(2)], 2),
    "diagonal": ([cube(i, i, 0) for i in range(3)], 3),
}
REASONS = {
    1: "its grains are not all of one shape with the same particles",
    2: "its grains are not at equal distances along x, y and z",
    3: r"its \d grains do not fill a box of \d × \d × 1 sites|.* a box of 4 × 1 × 1 sites",
}


@pytest.mark.parametrize("case", NO_LATTICE)
def test_a_structure_that_is_no_lattice_is_refused_with_a_reason(case):
    grains, reason = NO_LATTICE[case]
    structure = Microstructure(grains, depth=1e-9)
    with pytest.raises(NoLatticeError, match=REASONS[reason]):
        sites(structure)
    expected = "must be 'dense' or 'hierarchical' for a structure that is no lattice; received 'lat"
    with pytest.raises(ValueError, match=f"^`kind` {expected}tice', but (?:{REASONS[reason]})"):
        demag_operator(structure, "lattice")
    with pytest.raises(ValueError, match=f"^`operator` {expected}tice', but"):
        choose_operator("lattice", structure, False, "float32", 1e-4)
    assert measured_error(demag_operator(structure, "hierarchical", dtype="float64")) <= 1e-4


def test_other_particles_are_no_lattice():
    structure = cubic_grains((2, 2, 1), scheme=CORNERS)
    particles = np.array(structure.particles)
    particles[2, 5] *= 0.99
    other = Microstructure(structure.grains, particles=particles)
    with pytest.raises(NoLatticeError, match="not all of one shape with the same particles"):
        sites(other)
    # Their share in the moment is no concern of the field.
    weights = np.random.default_rng(2).uniform(0.5, 1.0, (4, 8))
    weighted = Microstructure(structure.grains, particles=structure.particles, weights=weights)
    assert measured_error(demag_operator(weighted, "lattice", dtype="float64")) <= 1e-12


@pytest.mark.parametrize("part", [1e-13, 1e-10, 2e-9, 1e-8, 1e-6, 1e-3])
def test_a_grain_off_its_site(part):
    grains = list(cubic_grains((3, 3, 3)).grains)
    grains[4] = grains[4].translated(np.full(3, part * 50e-9))
    structure = Microstructure(grains, scheme=CORNERS)
    if part <= 1e-10:  # which no field can tell in float32
        assert measured_error(demag_operator(structure, "lattice", dtype="float64")) <= 1e-8
    else:
        with pytest.raises(NoLatticeError, match=r"equal distances|do not fill a box of"):
            sites(structure)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 5), (7, 1, 1), (1, 1, 7), (4, 4, 4)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_size_is_that_of_the_kernel(shape, dtype):
    structure = cubic_grains(shape, scheme=CORNERS)
    product, places = lattice_product(structure, False, dtype)
    assert product.kernel.nbytes == kernel_nbytes(structure, shape, dtype)
    assert product.kernel.dtype.itemsize == 2 * np.dtype(dtype).itemsize
    assert product.sites.dtype == np.int32
    # Nothing may wrap around, and the transform of real values must come back even along z.
    planes, *_, y, x = product.kernel.shape
    assert (np.array([x, y, 2 * (planes - 1)]) >= 2 * np.array(shape) - 1).all()
    assert sorted(places.ravel()) == list(range(product.places))


def test_nothing_wraps_around():
    # One end of a row alone is magnetised: the other feels it from there, not from beyond.
    structure = cubic_grains((1, 1, 9), scheme=("centroid",))
    moments = np.zeros((9, 3))
    moments[0] = unit_moments()
    field = demag_operator(structure, "lattice", dtype="float64")(moments)[:, 0]
    strength = np.linalg.norm(field, axis=1)
    assert strength[0] == pytest.approx(0, abs=1e-15)
    assert (np.diff(strength[1:]) < 0).all()
    # As a dipole's, by the third power of the distance, but for the cube next to it.
    np.testing.assert_allclose(strength[2:] / strength[-1], (8 / np.arange(2, 9)) ** 3, rtol=0.02)


def test_bricks_of_three_edges():
    structure = boxes((1.0, 0.3, 2.0), lattice_places(2, 5, 2))
    for self_field in (False, True, "nucleus"):
        made = demag_operator(structure, "lattice", dtype="float64", self_field=self_field)
        assert measured_error(made) <= 1e-12
