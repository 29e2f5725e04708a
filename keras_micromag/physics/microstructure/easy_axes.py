"""Random crystallographic textures."""

import math
from collections.abc import Sequence

import numpy as np

from keras_micromag.utils import checks, memory


def random_easy_axes(
    n: int | Sequence[int], *, cone: float = 35.0, seed: int | Sequence[int] | np.random.Generator
) -> np.ndarray:
    """Draw easy axes uniformly from the spherical cap of half-angle `cone` about +z.

    Args:
        n: number of axes, or a shape such as `(10, 64)` for ten magnets of 64 grains.
        cone: half-angle in degrees, 0 (all along z) to 180 (the whole sphere). An easy axis has
            no sign, so 90 is already an isotropic magnet.
        seed: as `numpy.random.default_rng` takes it. There is no default, so that the axes can
            always be drawn again.

    Returns:
        Unit vectors, shape (n, 3) or (*n, 3).

    Raises:
        ValueError: when `n` is not positive, or `cone` is outside 0 to 180 degrees.

    Example:
        >>> from keras_micromag.physics import random_easy_axes
        >>> random_easy_axes(64, cone=35.0, seed=1).shape
        (64, 3)
    """
    shape = np.atleast_1d(checks.numbers(n, "n", None))
    if not np.issubdtype(shape.dtype, np.integer) or shape.ndim != 1 or not (shape > 0).all():
        raise ValueError(
            "`n` must be a positive whole number or several in a tuple; received "
            f"{checks.shown(n)}."
        )
    shape = tuple(shape.tolist())
    memory.require(8 * 3 * math.prod(shape), "the easy axes", "fewer need less")
    rng = checks.generator(seed, "axes")
    cone = checks.number(cone, "cone", least=0)
    if cone > 180:
        raise ValueError(f"`cone` must be at most 180 degrees; received {cone:g}.")
    # Uniform on the cap means uniform in cos(theta), not in theta (Archimedes).
    cos = 1.0 - rng.random(shape) * (1.0 - np.cos(np.radians(cone)))
    azimuth = rng.random(shape) * 2.0 * np.pi
    sin = np.sqrt(np.maximum(0.0, 1.0 - cos**2))
    return np.stack([sin * np.cos(azimuth), sin * np.sin(azimuth), cos], axis=-1)
