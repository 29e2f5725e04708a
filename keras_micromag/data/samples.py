"""Simulated loops as training data: weights of states (Eq. 8), splits, symmetric images."""

import numpy as np
from numpy.typing import ArrayLike

from keras_micromag.utils import checks, memory


def sample_weights(
    magnetization: ArrayLike, field_direction: ArrayLike = (0.0, 0.0, 1.0)
) -> np.ndarray:
    """Return the training weight of each state: how far the grains turned since the last (Eq. 8).

    Args:
        magnetization: (..., t, g, 3) unit moments of complete loops.
        field_direction: (3,) unit vector.

    Returns:
        (..., t) Σ_g |Δm| along the field, 0 for the first state, not normalised. Nearly all of the
        weight of a loop is on the few steps at which grains reverse.

    Raises:
        ValueError: for other shapes, or values that are not finite.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.data import sample_weights
        >>> up = np.tile([0.0, 0.0, 1.0], (64, 1))
        >>> sample_weights([up, up, -up]).tolist()
        [0.0, 0.0, 128.0]
    """
    direction = checks.unit_vectors(field_direction, "field_direction", (3,))
    moments = checks.numbers(magnetization, "magnetization", None)
    if moments.ndim < 3 or moments.shape[-1] != 3:
        raise ValueError(
            f"`magnetization` must have shape (..., t, g, 3); received {moments.shape}."
        )
    checks.finite(moments, "magnetization")
    # In the dtype of the moments: a float64 copy of large data would take longer than all the rest.
    along = (moments @ direction.astype(np.result_type(moments, np.float32))).astype(float)
    weights = np.zeros(along.shape[:-1])
    weights[..., 1:] = np.abs(np.diff(along, axis=-2)).sum(axis=-1)
    return weights


def split_by_simulation(
    simulations: int, fraction: float = 0.2, *, seed: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the simulations to train on, and of those to validate on.

    Complete simulations are held out. The windows of one loop overlap and its states change little
    from step to step, so a split within loops would validate on nearly the training data. The paper
    takes 20 % of the samples, which Keras's `validation_split` cuts off the end: about the last two
    of its nine simulations. The default gives exactly these two.

    Args:
        simulations: number of simulations, at least 2.
        fraction: share to validate on, between 0 and 1; rounded to a number of simulations, of
            which each side has at least one.
        seed: seed of a random split; without it the last simulations are held out.

    Returns:
        Two sorted integer arrays.

    Raises:
        ValueError: for fewer than two simulations, or another fraction.

    Example:
        >>> from keras_micromag.data import split_by_simulation
        >>> training, validation = split_by_simulation(9)
        >>> validation.tolist()
        [7, 8]
    """
    if checks.count(simulations, "simulations") < 2:
        raise ValueError(f"`simulations` must be at least 2; received {simulations}.")
    memory.require(8 * simulations, "the split", "fewer `simulations` need less")
    fraction = checks.number(fraction, "fraction")
    if not 0 < fraction < 1:
        raise ValueError(f"`fraction` must lie between 0 and 1; received {fraction}.")
    held_out = min(max(round(simulations * fraction), 1), simulations - 1)
    order = np.arange(simulations)
    if seed is not None:
        order = checks.generator(seed, "split").permutation(simulations)
    return np.sort(order[:-held_out]), np.sort(order[-held_out:])


def symmetric_images(states: ArrayLike, count: int | None = None) -> np.ndarray:
    """Return each magnet and its images under the symmetries of a lattice in a field along z.

    The images are magnets with other easy axes, which need not be simulated: their loops are exact,
    since the physics has the same symmetries. Moments and fields are axial vectors. A reflection of
    z leaves the field as it is. A reflection of x reverses the field, and is therefore combined
    with time reversal, which reverses it again.

    Args:
        states: (s, ..., x, y, z, 3) unit moments of s magnets, at fields along z.
        count: largest number of images, None for all.

    Returns:
        (s, k, ..., x, y, z, 3) with k = 16 for x = y, else 8, or the `count`; the first image is
        the magnet itself.

    Raises:
        ValueError: for another shape.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.data import symmetric_images
        >>> symmetric_images(np.zeros((9, 1000, 4, 4, 4, 3))).shape
        (9, 16, 1000, 4, 4, 4, 3)
    """
    states = checks.numbers(states, "states", None)
    if states.ndim < 5 or states.shape[-1] != 3:
        raise ValueError(f"`states` must have shape (s, ..., x, y, z, 3); received {states.shape}.")
    checks.finite(states, "states")
    if states.dtype.kind in "bu":  # which have no sign
        states = states.astype(float)
    x, y, z = (states.ndim - 4 + i for i in range(3))
    quarters = (0, 1, 2, 3) if states.shape[x] == states.shape[y] else (0, 2)
    k = 4 * len(quarters)
    k = k if count is None else min(k, checks.count(count, "count"))
    images = np.empty((len(states), k, *states.shape[1:]), states.dtype)
    for i in range(k):
        image = _rotated(states, (x, y), quarters[i // 4])
        if i % 4 > 1:
            image = np.flip(image, x) * np.array([-1, 1, 1], states.dtype)  # x -> -x, t -> -t
        if i % 2:
            image = np.flip(image, z) * np.array([-1, -1, 1], states.dtype)  # z -> -z
        images[:, i] = image
    return images


def _rotated(states, plane, quarters):
    """Return `states` after quarter turns of lattice and moments about z."""
    cos, sin = np.array([1, 0, -1, 0])[[quarters, quarters - 1]]
    rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], states.dtype)
    return np.rot90(states, quarters, plane) @ rotation.T
