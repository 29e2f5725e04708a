"""Magnets that the tests of operators share, each with its matrix, made once."""

from functools import cache

import numpy as np

from keras_micromag.physics import (
    Microstructure,
    Polyhedron,
    cubic_grains,
    demag_matrix,
    demag_operator,
    voronoi_grains,
)
from keras_micromag.physics.microstructure.particles import PAPER_DEPTH
from tests import oracles

CORNERS = ("vertices",)
SCHEMES = [CORNERS, ("faces",), ("centroid",), ("vertices", "edges")]


def boxes(edges, places, gap=0.06, depth=0.05):
    """Prisms of `edges` at `places` (g, 3) of a lattice, parted by `gap`, particles in corners."""
    pitch = np.add(edges, gap)
    grains = [oracles.moved(oracles.prism(*edges), shift=place * pitch) for place in places]
    return Microstructure(grains, depth=depth, scheme=CORNERS)


def lattice_places(*shape):
    """(x·y·z, 3)."""
    return np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(-1, 3)


def reordered(structure, order):
    """The same grains with the same particles in another order."""
    return Microstructure(
        [structure.grains[i] for i in order],
        particles=structure.particles[order],
        weights=structure.weights[order],
        volume=structure.volume,
    )


def _shuffled():
    structure = cubic_grains((4, 3, 2), scheme=CORNERS)
    return reordered(structure, np.random.default_rng(1).permutation(24))


# Elongated, where most pairs are not in sight of each other.
LATTICES = {
    "box": lambda: cubic_grains((5, 4, 3), scheme=("vertices", "centroid")),
    "touching": lambda: cubic_grains((12, 2, 2), gap=0.0, depth=PAPER_DEPTH, scheme=CORNERS),
    "row": lambda: cubic_grains((7, 1, 1)),
    "one": lambda: cubic_grains((1, 1, 1)),
    "shuffled": _shuffled,
    "bricks": lambda: boxes((1.0, 0.6, 1.5), lattice_places(3, 4, 2)),
}
POLYCRYSTALS = {
    "corners": lambda: voronoi_grains(20, (340e-9, 80e-9, 80e-9), seed=1, scheme=CORNERS),
    "faces": lambda: voronoi_grains(
        20, (300e-9, 100e-9, 80e-9), seed=2, scheme=("faces", "centroid")
    ),
}
# Few enough to compile soon.
FEW = {
    "few cubes": lambda: cubic_grains((4, 2, 1), gap=0.0, scheme=CORNERS),
    "few grains": lambda: voronoi_grains(7, (240e-9, 70e-9, 70e-9), seed=1, scheme=("faces",)),
}


@cache
def magnet(name):
    return (LATTICES | POLYCRYSTALS | FEW)[name]()


@cache
def matrix(name, self_field):
    return demag_matrix(magnet(name), self_field=self_field)


@cache
def made(name, kind, self_field=False, dtype="float64", rtol=1e-4):
    """The operator of a magnet."""
    return demag_operator(magnet(name), kind, self_field=self_field, dtype=dtype, rtol=rtol)


def any_magnet(seed):
    """Grains of any shape in some cells of a lattice of any pitch."""
    rng = np.random.default_rng(seed)
    places = lattice_places(*rng.integers(1, 5, 3))
    places = places[rng.random(len(places)) < rng.choice([0.3, 0.7, 1.0])]
    places = places if len(places) else np.zeros((1, 3))
    pitch = 10 ** rng.uniform(-0.4, 0.4, 3)
    bodies = [oracles.prism(), oracles.tetrahedron(), oracles.random_convex_hull(seed)]
    grains = []
    for place in places:
        vertices, faces = bodies[rng.integers(3)]
        edges = 0.97 * pitch * 10 ** -rng.uniform(0, rng.choice([0.1, 0.6]), 3)
        grains.append((1e-7 * (vertices * edges + place * pitch), faces))
    return Microstructure(grains, depth=1e-10, scheme=SCHEMES[rng.integers(4)])


def any_lattice(seed):
    """Equal grains of any shape, in all cells of a lattice of any pitch, in any order."""
    rng = np.random.default_rng(seed)
    places = rng.permutation(lattice_places(*rng.integers(1, 5, 3)))
    pitch = 10 ** rng.uniform(-0.4, 0.4, 3)
    bodies = [oracles.prism(), oracles.tetrahedron(), oracles.random_convex_hull(seed)]
    vertices, faces = bodies[rng.integers(3)]
    body = Polyhedron(1e-7 * vertices * 0.97 * pitch * 10 ** -rng.uniform(0, 0.6, 3), faces)
    grains = [body.translated(1e-7 * place * pitch) for place in places]
    return Microstructure(grains, depth=1e-10, scheme=SCHEMES[rng.integers(4)])


def unit_moments(*lead, seed=3):
    """Unit vectors (*lead, 3), all over the sphere."""
    vectors = np.random.default_rng(seed).normal(size=(*lead, 3))
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def states(g):
    """(3, g, 3): saturated, random, and half of the grains reversed."""
    saturated = np.tile([0.0, 0.0, 1.0], (g, 1))
    signs = np.random.default_rng(4).choice([-1, 1], (g, 1))
    return np.stack([saturated, unit_moments(g), signs * saturated])


def by_matrix(matrix, moments):
    """(b, g, p, 3)."""
    return np.einsum("gpisj,bsj->bgpi", matrix, moments, optimize=True)


def relative_error(computed, expected):
    """Root mean square of the error over that of the field, of the worst state."""
    wrong = ((computed - expected) ** 2).sum(axis=(1, 2, 3))
    return float(np.sqrt(wrong / (expected**2).sum(axis=(1, 2, 3))).max())


def measured_error(operator, matrix=None):
    """Of an operator, in the states above."""
    structure = operator.structure
    if matrix is None:
        matrix = demag_matrix(structure, self_field=operator.self_field)
    moments = states(len(structure))
    return relative_error(operator(moments), by_matrix(matrix, moments))


def check_field_and_adjoint(operator, rtol, seed):
    """Hold an operator to the matrix within `rtol`, and its adjoint to itself."""
    moments = states(len(operator.structure))
    field = operator(moments)
    if len(moments[0]) > 1 or operator.self_field:
        assert measured_error(operator) <= rtol
    else:
        np.testing.assert_allclose(field, 0.0, atol=1e-12)
    other = np.random.default_rng(seed).normal(size=field.shape)
    there, back = (field * other).sum(), (operator.adjoint(other) * moments).sum()
    scale = np.linalg.norm(other) * max(np.linalg.norm(field), 1.0)
    assert abs(there - back) <= 1e-12 * scale
