"""Complete loops: weights of their states, split by simulation, symmetric images."""

import numpy as np
import pytest

from keras_micromag.data import sample_weights, split_by_simulation, symmetric_images
from keras_micromag.physics import cubic_grains, random_easy_axes, simulate

pytestmark = pytest.mark.backend

# -------------------------------------------------------------------------------------------------
# Symmetric images
# -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("grid", "k"), [((2, 2, 3), 16), ((2, 3, 2), 8)], ids=str)
def test_images_equal_simulations_of_their_easy_axes(grid, k):
    magnet, field = cubic_grains(grid), np.linspace(8.0, -8.0, 40)
    axes = random_easy_axes(len(magnet), seed=2)
    loop = simulate(magnet, axes, field=field, progress=False).magnetization
    images = symmetric_images(loop.reshape(1, 40, *grid, 3))[0]
    turned = symmetric_images(axes.reshape(1, *grid, 3))[0].reshape(k, -1, 3)
    assert len({image.tobytes() for image in turned.round(9)}) == k
    direct = simulate(magnet, turned, field=field, progress=False).magnetization
    # An image turns easy axes to k or -k, which is the same; moments converge to 1e-5 in float32.
    np.testing.assert_allclose(images.reshape(k, 40, -1, 3), direct, atol=1e-4)
    np.testing.assert_array_equal(images[0].reshape(loop.shape), loop)


def test_images_of_a_shape_that_is_no_lattice():
    with pytest.raises(ValueError, match=r"`states` must have shape .*; received \(9, 64, 3\)"):
        symmetric_images(np.zeros((9, 64, 3)))


# -------------------------------------------------------------------------------------------------
# Weights and split
# -------------------------------------------------------------------------------------------------


def test_equation_8():
    rng = np.random.default_rng(1)
    m = rng.normal(size=(2, 6, 4, 3))
    m /= np.linalg.norm(m, axis=-1, keepdims=True)
    weights = sample_weights(m, field_direction=(0.6, 0.0, 0.8))
    assert weights.shape == (2, 6)
    for b in range(2):
        assert weights[b, 0] == 0
        for i in range(1, 6):
            change = [(m[b, i, g] - m[b, i - 1, g]) @ [0.6, 0.0, 0.8] for g in range(4)]
            assert weights[b, i] == pytest.approx(np.abs(change).sum())


def test_weights_refuse():
    with pytest.raises(ValueError, match=r"`magnetization` must have shape"):
        sample_weights(np.zeros((5, 2)))
    with pytest.raises(ValueError, match=r"`magnetization` must be finite; received nan at index"):
        sample_weights(np.full((5, 2, 3), np.nan))


@pytest.mark.parametrize(
    ("simulations", "fraction", "held_out"), [(9, 0.2, 2), (2, 0.2, 1), (10, 0.95, 9), (5, 0.2, 1)]
)
@pytest.mark.parametrize("seed", [None, 3])
def test_a_split_keeps_simulations_together(simulations, fraction, held_out, seed):
    training, validation = split_by_simulation(simulations, fraction, seed=seed)
    assert len(validation) == held_out
    assert sorted([*training, *validation]) == list(range(simulations))
    if seed is None:
        assert validation.tolist() == list(range(simulations - held_out, simulations))


def test_split_refuses():
    with pytest.raises(ValueError, match="`simulations` must be at least 2; received 1"):
        split_by_simulation(1)
    with pytest.raises(
        ValueError, match="`simulations` must be an integer of at least 1; received"
    ):
        split_by_simulation(2.5)
    with pytest.raises(ValueError, match=r"`fraction` must lie between 0 and 1; received 1.0"):
        split_by_simulation(5, 1.0)
    with pytest.raises(ValueError, match="`fraction` must be a number"):
        split_by_simulation(5, "half")
    with pytest.raises(ValueError, match="`seed` must be a whole number of at least 0"):
        split_by_simulation(5, seed=0.5)
