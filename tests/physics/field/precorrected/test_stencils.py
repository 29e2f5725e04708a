"""Interpolation stencils: the mesh nodes that stand for a source or a particle.

| who                                   | must agree with whom                       | to         |
| ------------------------------------- | ------------------------------------------ | ---------- |
| charges fitted to a grain's moments   | the grain, seen from `reach` and further   | 30 errors  |
| `gradient_weights` of potentials      | the field of a charge `reach` away         | 10 errors  |
| both                                  | the third power of the distance            |            |
| `gradient_weights`, moved             | themselves                                 | 1e-9       |
| `gradient_weights`, turned            | themselves                                 | 1e-4       |

The error is that of the `Precision`: of the whole field, of which the nearest piece makes a part.
"""

import numpy as np
import pytest

from keras_micromag.physics.field.precorrected.harmonics import harmonics
from keras_micromag.physics.field.precorrected.hierarchical import PRECISIONS
from keras_micromag.physics.field.precorrected.stencils import Stencil
from tests.physics.field.magnets import unit_moments

precisions = pytest.mark.parametrize("precision", PRECISIONS, ids=lambda p: f"{p.error:g}")


def potential(points, charges, places):
    """(n,) of charges (s,) at places (s, 3)."""
    away = np.linalg.norm(points[:, None] - places, axis=-1)
    return (charges / away).sum(axis=1)


def field(points, charges, places):
    """(n, 3) gradients of the potential."""
    away = points[:, None] - places
    return -(charges[:, None] * away / np.linalg.norm(away, axis=-1, keepdims=True) ** 3).sum(1)


def test_precisions_go_from_coarse_to_fine():
    errors = [precision.error for precision in PRECISIONS]
    assert errors == sorted(errors, reverse=True)
    costs = [len(p.stencils[0]) + len(p.stencils[1]) for p in PRECISIONS]
    assert costs == sorted(costs)
    assert [p.reach for p in PRECISIONS] == sorted(p.reach for p in PRECISIONS)


@pytest.mark.parametrize("which", [0, 1], ids=["sources", "targets"])
@precisions
def test_nodes_are_those_of_a_sphere(precision, which):
    stencil = precision.stencils[which]
    width, square, *_ = (precision.sources, precision.targets)[which]
    assert (stencil.offsets >= 0).all() and (stencil.offsets < width).all()
    assert len(np.unique(stencil.offsets, axis=0)) == len(stencil)
    np.testing.assert_allclose(stencil.nodes.sum(axis=0), 0, atol=1e-12)
    distance = (stencil.nodes**2).sum(axis=1)
    assert (distance <= square).all()
    assert len(stencil) == sum(
        (np.array([i, j, k]) - (width - 1) / 2) @ (np.array([i, j, k]) - (width - 1) / 2) <= square
        for i in range(width)
        for j in range(width)
        for k in range(width)
    )


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("width", [4, 5])
def test_a_stencil_is_about_its_points(width, every):
    stencil = Stencil(width, 6.0, 3, 4.0)
    points = np.random.default_rng(1).uniform(5, 20, (200, 3))
    corner = stencil.corner(points, every)
    assert corner.dtype == np.int64 and (corner % every == 0).all()
    assert abs(points - stencil.centre(corner)).max() <= every / 2
    np.testing.assert_array_equal(stencil.corner(points + 2, every), corner + 2)


@precisions
def test_charges_on_nodes_look_like_the_cluster(precision):
    sources, _ = precision.stencils
    # On two faces of a cube of a grain's usual size, off the stencil's centre.
    side = np.linspace(-1.25, 1.25, 6)
    places = np.stack(np.meshgrid(side, side, [-1.25, 1.25]), axis=-1).reshape(-1, 3)
    charges = np.sign(places[:, 2])
    places += [0.5, -0.4, 0.3]
    fitted = sources.weights @ (harmonics(places, sources.degree).T @ charges)
    for distance in (precision.reach, 2 * precision.reach):
        seen = distance * unit_moments(300, seed=5)
        expected = field(seen, charges, places)
        computed = field(seen, fitted, sources.nodes)
        error = np.linalg.norm(computed - expected) / np.linalg.norm(expected)
        # What comes from the nearest pieces of all is but a part of the field.
        assert error <= 30 * precision.error * (precision.reach / distance) ** 4


@precisions
def test_slopes_are_the_field_of_distant_charges(precision):
    _, targets = precision.stencils
    points = 30 + np.random.default_rng(3).uniform(-0.5, 0.5, (100, 3))
    weights, corner = targets.gradient_weights(points), targets.corner(points)
    assert weights.shape == (100, len(targets), 3)
    for distance in (precision.reach, 2 * precision.reach):
        charge = 30 + distance * unit_moments(100, seed=6)
        computed, expected = np.empty((2, 100, 3))
        for n in range(100):
            nodes = corner[n] + targets.offsets
            computed[n] = potential(nodes, np.ones(1), charge[n : n + 1]) @ weights[n]
            expected[n] = field(points[n : n + 1], np.ones(1), charge[n : n + 1])[0]
        error = np.linalg.norm(computed - expected) / np.linalg.norm(expected)
        assert error <= 10 * precision.error * (precision.reach / distance) ** 3


@precisions
def test_symmetries(precision):
    _, targets = precision.stencils
    points = np.random.default_rng(4).uniform(-0.4, 0.4, (20, 3)) + targets.centre(np.zeros(3))
    weights = targets.gradient_weights(points)
    np.testing.assert_allclose(
        targets.gradient_weights(points + np.array([3, -2, 7])), weights, atol=1e-9
    )
    # x -> y -> z -> x about the stencil's centre, but for the fit's points on a sphere.
    turned = targets.gradient_weights(points[:, [2, 0, 1]])
    number = {tuple(step): s for s, step in enumerate(targets.offsets)}
    there = [number[tuple(step[[2, 0, 1]])] for step in targets.offsets]
    np.testing.assert_allclose(turned[:, there], weights[:, :, [2, 0, 1]], atol=1e-4)
