"""Who must agree with whom.

=====================================  ====================================================
features of the grains                 arithmetic, and `demag_tensor` of distant grains
turned and mirrored magnets            the loops that simulating those gives
states and images                      the loops that they are taken from
=====================================  ====================================================
"""

import numpy as np
import pytest

from keras_micromag.data import Polycrystals, grain_features
from keras_micromag.data.polycrystals import FEATURES
from keras_micromag.physics import (
    ND2FE14B,
    Microstructure,
    contact_areas,
    cubic_grains,
    demag_tensor,
    random_easy_axes,
    simulate,
    spread_materials,
    voronoi_grains,
)

FIELD = np.linspace(8.0, -8.0, 120)


@pytest.fixture(scope="module")
def magnet():
    """A structure, easy axes (1, g, 3), materials, and its loop as a model sees it."""
    structure = voronoi_grains(15, 130e-9, 1)
    axes = random_easy_axes((1, 15), seed=2)
    material = spread_materials(ND2FE14B, 15, Js=0.05, Ku=0.05, seed=3)
    return structure, axes, material, seen(structure, axes, material)


def seen(structure, axes, material):
    moments = simulate(structure, axes, material=material, field=FIELD).magnetization
    values = {name: [[getattr(m, name) for m in material]] for name in ("Js", "Ku")}
    grains = grain_features(axes, structure.centroids[None], structure.volumes[None], **values)
    areas = contact_areas(structure, 3e-9)[None]
    return Polycrystals(*(part.astype("float32") for part in (moments, grains, areas)))


@pytest.mark.slow
@pytest.mark.backend
def test_features_have_the_values_that_their_names_promise(magnet):
    structure, axes, material, loops = magnet
    grains = loops.grains[0]
    moments = structure.volumes * [m.Js for m in material]
    np.testing.assert_allclose(grains[:, 0], moments / moments.sum(), rtol=1e-6)
    assert (grains[:, FEATURES["easy_axis"]] * axes[0] > -1e-6).all()
    place = structure.centroids - structure.volumes @ structure.centroids / structure.volumes.sum()
    edge = np.cbrt(structure.volumes.sum())
    np.testing.assert_allclose(grains[:, FEATURES["place"]], place / edge, atol=1e-6)
    size = np.log(structure.volumes / structure.volumes.mean()) / 3
    np.testing.assert_allclose(grains[:, FEATURES["size"]][:, 0], size, atol=1e-6)
    for name in ("Js", "Ku"):
        values = np.array([getattr(m, name) for m in material])
        actual = grains[:, FEATURES[name]][:, 0]
        np.testing.assert_allclose(actual, np.log(values / values.mean()), atol=1e-6)


def test_dipoles_have_the_field_of_distant_grains():
    cube = cubic_grains((1, 1, 1), size=1.0).grains[0]
    shift = np.array([6.0, 8.0, 5.0])
    structure = Microstructure([cube, cube.translated(shift)], depth=0.1)
    axes = random_easy_axes((1, 2), seed=1)
    features = grain_features(axes, structure.centroids[None], structure.volumes[None])
    exact = [
        demag_tensor(
            structure.centroids[i], structure.grains[j].vertices, structure.grains[j].faces
        )
        @ axes[0, j]
        for i, j in ((0, 1), (1, 0))
    ]
    np.testing.assert_allclose(
        features[0, :, FEATURES["dipole_field"]], exact, rtol=1e-3, atol=1e-8
    )


def test_padding_is_zero_and_changes_nothing_else():
    structure, axes = cubic_grains((2, 2, 2)), random_easy_axes((1, 8), seed=1)
    alone = grain_features(axes, structure.centroids[None], structure.volumes[None])

    def padded(array):
        return np.pad(array, [(0, 0), (0, 3)] + [(0, 0)] * (array.ndim - 2))

    more = grain_features(
        padded(axes), padded(structure.centroids[None]), padded(structure.volumes[None])
    )
    np.testing.assert_allclose(more[:, :8], alone, rtol=1e-12)
    assert not more[:, 8:].any()


@pytest.mark.backend
@pytest.mark.parametrize("mirrored", [(0, 0), (1, 0), (0, 1), (1, 1)], ids=str)
def test_a_turned_magnet_equals_its_simulation(mirrored, magnet):
    structure, axes, material, loops = magnet
    angle, (z, x) = 0.7, mirrored
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    mirror = np.diag([-1 if x else 1, 1, -1 if z else 1])
    # A mirror turns faces inside out; easy axes are axial, and their sign is of no account.
    order = -1 if (x + z) % 2 else 1
    image = turn @ mirror
    grains = [(g.vertices @ image.T, [f[::order] for f in g.faces]) for g in structure.grains]
    axial = image * np.linalg.det(mirror)
    other = seen(Microstructure(grains), axes @ axial.T, material)
    turned = loops.turned(np.array([angle]), np.array([mirrored], bool))
    np.testing.assert_allclose(turned.grains, other.grains, atol=1e-5)
    np.testing.assert_allclose(turned.moments, other.moments, atol=3e-4)
    np.testing.assert_allclose(turned.neighbors, other.neighbors, rtol=1e-4, atol=1e-20)


def test_states_and_targets_are_those_of_the_loops(magnet):
    loops = magnet[-1]
    magnets, steps = np.array([0, 0]), np.array([[1, 5, 9], [100, 0, 5]])
    states = loops.states(magnets, steps)
    np.testing.assert_array_equal(states.moments, loops.moments[0, steps])
    inputs, targets = states.inputs, states.targets
    assert inputs["states"].shape == (2, 3, 15, 3) and targets.shape == (2, 3, 15, 4)
    np.testing.assert_array_equal(inputs["grains"], loops.grains[magnets])
    np.testing.assert_array_equal(targets[..., :3], inputs["states"])
    np.testing.assert_array_equal(targets[..., 3], np.broadcast_to(loops.shares, (2, 3, 15)))


def test_images_are_turned_copies(magnet):
    loops = magnet[-1]
    images = loops.images(3, np.random.default_rng(1))
    assert len(images) == 3
    np.testing.assert_array_equal(images.moments[0], loops.moments[0])
    rng = np.random.default_rng(1)
    for i in (1, 2):
        again = loops.turned(rng.uniform(0, 2 * np.pi, 1), rng.integers(2, size=(1, 2)) > 0)
        np.testing.assert_array_equal(images.moments[i], again.moments[0])
        np.testing.assert_array_equal(images.grains[i], again.grains[0])
    np.testing.assert_allclose(images.moments[..., 2], loops.moments.repeat(3, 0)[..., 2])


def test_shapes_of_loops():
    loops = [np.ones((2, 5, 3, 3)), np.ones((2, 3, 13)), np.ones((2, 3, 3))]
    assert Polycrystals(*loops).moments.dtype == np.float32
    for i, other in ((0, (2, 5, 4, 3)), (0, (2, 15, 3)), (1, (3, 3, 13)), (2, (2, 3, 4))):
        changed = [*loops[:i], np.ones(other), *loops[i + 1 :]]
        with pytest.raises(ValueError, match=r"must have shapes \(s, t, g, 3\), \(s, g, c\) and"):
            Polycrystals(*changed)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"volumes": np.zeros((1, 2))}, "`volumes` must be positive somewhere in each magnet"),
        ({"volumes": np.ones(2)}, r"`volumes` must have shape \(n, n\); received \(2,\)"),
        ({"centroids": np.zeros((1, 3, 3))}, r"`centroids` must have shape \(1, 2, 3\)"),
        ({"Ku": np.zeros((1, 2))}, "`Ku` must be positive"),
    ],
    ids=str,
)
def test_bad_input(change, sentence):
    given = {"easy_axes": np.ones((1, 2, 3)), "centroids": np.ones((1, 2, 3))}
    with pytest.raises(ValueError, match=sentence):
        grain_features(**{**given, "volumes": np.ones((1, 2)), **change})
