"""Whole simulated loops: weights of their states (Eq. 8), splits, symmetric images."""

import numpy as np

from keras_micromag.utils import checks


def sample_weights(magnetization, field_direction=(0.0, 0.0, 1.0)):
    """Weight of each state in training: how far the grains turned since the state before (Eq. 8).

    Args:
        magnetization: (..., t, g, 3) unit moments of whole loops.
        field_direction: (3,) unit vector.

    Returns:
        (..., t) Σ_g |Δm| along the field, 0 for the first state; not normalised. Nearly all of the
        weight of a loop lies on the few steps at which grains reverse.

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
    moments = np.asarray(magnetization)
    if moments.ndim < 3 or moments.shape[-1] != 3:
        raise ValueError(
            f"`magnetization` must have shape (..., t, g, 3); received {moments.shape}."
        )
    checks.finite(moments, "magnetization")
    # A float64 copy of the whole of large data would take longer than all else here.
    along = (moments @ direction.astype(np.result_type(moments, np.float32))).astype(float)
    weights = np.zeros(along.shape[:-1])
    weights[..., 1:] = np.abs(np.diff(along, axis=-2)).sum(axis=-1)
    return weights


def split_by_simulation(simulations: int, fraction: float = 0.2, *, seed: int | None = None):
    """Indices of the simulations to train on and of those to validate on.

    Whole simulations, since the windows of one loop overlap, and its states are nearly alike from
    step to step: a split of those would validate on what was trained. The paper takes 20 % of the
    samples, which Keras's `validation_split` cuts off the end: nearly the last two of its nine
    simulations, but for the window across the cut. The default gives just these two.

    Args:
        simulations: how many there are, at least 2.
        fraction: share to validate on, between 0 and 1; rounded to whole simulations, and at least
            one on each side.
        seed: draws them at random; without it they are the last ones.

    Returns:
        Two sorted integer arrays.

    Example:
        >>> from keras_micromag.data import split_by_simulation
        >>> training, validation = split_by_simulation(9)
        >>> validation.tolist()
        [7, 8]
    """
    if checks.count(simulations, "simulations") < 2:
        raise ValueError(f"`simulations` must be at least 2; received {simulations}.")
    if not 0 < fraction < 1:
        raise ValueError(f"`fraction` must lie between 0 and 1; received {fraction}.")
    held_out = min(max(round(simulations * fraction), 1), simulations - 1)
    order = np.arange(simulations)
    if seed is not None:
        order = np.random.default_rng(seed).permutation(simulations)
    return np.sort(order[:-held_out]), np.sort(order[-held_out:])


def symmetric_images(states, count: int | None = None):
    """Each magnet and its images under the symmetries of a lattice of cubes in a field along z.

    The images are magnets of their own, with easy axes that were not simulated, and their loops are
    exact: the same physics, turned. Moments are axial vectors, so a mirror through z takes time
    reversal with it, which leaves the field as it was.

    Args:
        states: (s, ..., x, y, z, 3) unit moments of s magnets, at fields along z.
        count: how many images at most, None for all.

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
    states = np.asarray(states)
    if states.ndim < 5 or states.shape[-1] != 3:
        raise ValueError(f"`states` must have shape (s, ..., x, y, z, 3); received {states.shape}.")
    x, y, z = (states.ndim - 4 + i for i in range(3))
    quarters = (0, 1, 2, 3) if states.shape[x] == states.shape[y] else (0, 2)
    k = 4 * len(quarters)
    k = k if count is None else min(k, checks.count(count, "count"))
    images = np.empty((len(states), k, *states.shape[1:]), states.dtype)
    for i in range(k):
        image = _turned(states, (x, y), quarters[i // 4])
        if i % 4 > 1:
            image = np.flip(image, x) * np.array([-1, 1, 1], states.dtype)  # x -> -x, t -> -t
        if i % 2:
            image = np.flip(image, z) * np.array([-1, -1, 1], states.dtype)  # z -> -z
        images[:, i] = image
    return images


def _turned(states, plane, quarters):
    """`states` after quarter turns about z: the lattice, and the moments with it."""
    cos, sin = np.array([1, 0, -1, 0])[[quarters, quarters - 1]]
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], states.dtype)
    return np.rot90(states, quarters, plane) @ turn.T
