"""What a magnet's first state tells of its microstructure, as a few numbers."""

from collections.abc import Sequence

import keras

from keras_micromag.utils import checks


def microstructure_encoder(
    grid: Sequence[int] = (4, 4, 4),
    size: int = 16,
    *,
    width: int = 32,
    mean=(0.0, 0.0, 0.979),
    spread=(0.144, 0.144, 0.012),
    activation: str = "elu",
    name: str = "microstructure_encoder",
) -> keras.Model:
    """Network from a magnet's first state to numbers that tell its microstructure.

    In a strong field every moment lies between the field and its grain's easy axis, so the first
    state holds all axes. The same two dense layers look at each grain, and the mean over the grains
    is taken: what is learnt from one grain holds for all of them, which a few magnets suffice for.
    (The paper's conclusion proposes such an input and leaves it open.)

    Args:
        grid: (x, y, z).
        size: c.
        width: of the layers.
        mean, spread: (3,) of the components of the first states; by default those of the paper's
            magnets at 8 T.
        activation: of the layers.
        name: the model's.

    Returns:
        A functional model, (b, x, y, z, 3) -> (b, c).

    Raises:
        ValueError: when a size is no positive integer, or `spread` not positive.

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
    common = {"activation": activation, "kernel_initializer": "he_normal"}
    start = keras.Input((*grid, 3), name="start")
    x = layers.Rescaling((1 / spread).tolist(), (-mean / spread).tolist())(start)
    x = layers.Reshape((-1, 3))(x)
    for _ in range(2):
        x = layers.Dense(width, **common)(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(start, layers.Dense(size)(x), name=name)
