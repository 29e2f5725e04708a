"""Network that describes a magnet's microstructure by a few numbers, from its first state."""

from collections.abc import Sequence

import keras
from numpy.typing import ArrayLike

from keras_micromag.utils import checks


def microstructure_encoder(
    grid: Sequence[int] = (4, 4, 4),
    size: int = 16,
    *,
    width: int = 32,
    mean: ArrayLike = (0.0, 0.0, 0.979),
    spread: ArrayLike = (0.144, 0.144, 0.012),
    activation: str = "elu",
    name: str = "microstructure_encoder",
) -> keras.Model:
    """Make a network that maps a magnet's first state to c numbers on its microstructure.

    In a strong field every moment lies between the field and its grain's easy axis, so the first
    state depends on all easy axes. Two dense layers with the same weights for all grains are
    followed by the mean over the grains, so a few magnets are enough to train on. (The paper's
    conclusion proposes such an input as future work.)

    Args:
        grid: (x, y, z).
        size: c.
        width: size of the dense layers.
        mean, spread: (3,) mean and standard deviation of the components of the first states; the
            defaults are those of the paper's magnets at 8 T.
        activation: activation of the dense layers.
        name: name of the model.

    Returns:
        A functional model, (b, x, y, z, 3) -> (b, c).

    Raises:
        ValueError: when a size is not a positive integer, or `spread` is not positive.

    Example:
        >>> from keras_micromag.models import microstructure_encoder
        >>> microstructure_encoder((2, 2, 2), size=4).output_shape
        (None, 4)
    """
    grid = tuple(checks.count(n, "grid") for n in grid)
    size, width = checks.count(size, "size"), checks.count(width, "width")
    mean = checks.finite_array(mean, "mean", (3,))
    spread = checks.finite_array(spread, "spread", (3,))
    if not (spread > 0).all():
        raise ValueError(f"`spread` must be positive; received {spread.tolist()}.")
    layers = keras.layers
    options = {"activation": activation, "kernel_initializer": "he_normal"}
    start = keras.Input((*grid, 3), name="start")
    x = layers.Rescaling((1 / spread).tolist(), (-mean / spread).tolist())(start)
    x = layers.Reshape((-1, 3))(x)
    for _ in range(2):
        x = layers.Dense(width, **options)(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(start, layers.Dense(size)(x), name=name)
