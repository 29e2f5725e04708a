"""Particles in columns: each particle once, with its weight and place, in a column of its grain.

what is compared           with what
-------------------------  ----------------------------------------------
weights, places, owners    the structure's own arrays, grain by grain
sums over grains' columns  those over the structure's rows
padding for shared loops   grains that are not there: one particle of weight 1
"""

import numpy as np
import pytest

from keras_micromag import physics
from keras_micromag.physics.field.exchange import Pairs
from keras_micromag.physics.solver.layout import Sizes, exchange_in_columns, in_columns


def structure_of(counts, seed=0):
    """Grains in a row with as many particles, not all of them first in their rows."""
    rng = np.random.default_rng(seed)
    cube = physics.cubic_grains((len(counts), 1, 1))
    p = max(counts) + 2
    weights = np.zeros((len(counts), p))
    for row, count in zip(weights, counts, strict=True):
        row[rng.choice(p, count, replace=False)] = rng.uniform(1, 2, count)
    weights /= weights.sum(axis=1, keepdims=True)
    particles = np.repeat(cube.centroids[:, None], p, axis=1)
    return physics.Microstructure(cube.grains, particles=particles, weights=weights)


def places_of(structure):
    """A number for each particle."""
    g, p = structure.weights.shape
    return np.arange(g * p).reshape(g, p)[::-1]


def explicit_indices(columns, sizes):
    """Return owners (c,) and grains' columns (k, g), also where the layout leaves them out."""
    own = np.arange(sizes.grains)
    if not len(columns.grain):
        return own, own[None]
    return columns.grain, columns.of_grains


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(
    "counts", [[1], [5, 5, 5], [3, 1, 4], [8, 9, 16, 17], [40, *[3] * 60], [1, 2] * 40]
)
def test_each_particle_is_once_in_a_column_of_its_grain(counts, shared):
    structure = structure_of(counts)
    sizes = Sizes.of(structure)
    sizes = sizes.shared if shared else sizes
    places = places_of(structure)
    columns = in_columns(structure, places, sizes)
    assert columns.weights.shape == (sizes.rows, sizes.columns)
    owner, of_grains = explicit_indices(columns, sizes)
    place = columns.places.reshape(columns.weights.shape)
    for grain, (row, at) in enumerate(zip(structure.weights, places, strict=True)):
        mine = of_grains[:, grain]
        mine = np.unique(mine[owner[mine] == grain])
        filled = columns.weights[:, mine] > 0
        assert dict(zip(place[:, mine][filled], columns.weights[:, mine][filled], strict=True)) == (
            dict(zip(at[row > 0], row[row > 0], strict=True))
        )
    # No column counts twice, and those that are not there weigh 1.
    total = columns.weights.sum(axis=0)[of_grains].sum(axis=0)
    np.testing.assert_allclose(total, 1.0, rtol=1e-12)
    assert (columns.weights > 0).sum() == sum(counts) + sizes.grains - len(counts)


def test_regular_grains_in_order_need_no_numbers():
    structure = physics.cubic_grains((3, 2, 1))
    places = np.arange(27 * 6).reshape(27, 6).T
    columns = in_columns(structure, places, Sizes.of(structure))
    assert [part.size for part in columns] == [27 * 6, 0, 0, 0]
    np.testing.assert_array_equal(columns.weights, structure.weights.T)


def test_little_is_padding():
    counts = np.random.default_rng(1).poisson(20, 500) + 4
    counts[0] = 60
    sizes = Sizes.of(structure_of(counts))
    assert sizes.rows * sizes.columns < 1.2 * counts.sum()
    assert sizes.shared.columns < 1.3 * sizes.columns


@pytest.mark.slow
def test_magnets_of_like_size_share_a_loop():
    rng = np.random.default_rng(2)
    shared_sizes = {Sizes.of(structure_of(rng.poisson(20, 100) + 1)).shared for _ in range(20)}
    assert len(shared_sizes) <= 10


@pytest.mark.parametrize("counts", [(5, 5, 5), (9, 20, 1)])
@pytest.mark.parametrize("shared", [False, True])
def test_pairs_act_on_their_particles(counts, shared):
    structure = structure_of(counts)
    sizes = Sizes.of(structure).shared if shared else Sizes.of(structure)
    rng = np.random.default_rng(3)
    grain, particle = np.nonzero(structure.weights > 0)
    # Two neighbours of each particle, the second of which counts twice.
    grain, particle = (np.concatenate([part] * 3) for part in (grain, particle))
    neighbor = (grain + np.repeat([1, 2, 2], len(grain) // 3)) % 3
    pairs = Pairs(grain, particle, neighbor, rng.uniform(size=(2, len(grain))))
    laid_out = exchange_in_columns(structure, pairs, sizes)
    neighbors = laid_out.neighbors.reshape(-1, 1, sizes.columns)
    moments = rng.normal(size=sizes.grains)
    field = (laid_out.strength * moments[neighbors]).sum(axis=1)
    expected = np.zeros((2, *structure.weights.shape))
    np.add.at(expected, (slice(None), grain, particle), pairs.strength * moments[neighbor])
    places = places_of(structure)
    columns = in_columns(structure, places, sizes)
    owner, _ = explicit_indices(columns, sizes)
    real = (columns.weights > 0) & (owner < len(counts))
    at_places = np.zeros((2, places.size))
    at_places[:, columns.places.reshape(real.shape)[real]] = field[:, real]
    real = structure.weights > 0
    np.testing.assert_allclose(at_places[:, places][:, real], expected[:, real], rtol=1e-12)
