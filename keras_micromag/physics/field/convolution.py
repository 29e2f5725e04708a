"""Convolutions by Fourier transforms, of values with nothing around them, in NumPy and in graphs.

Their waves along z come first, and those along y and x for a few planes at a time, there and back,
while these are in the processor's cache. Of rows with zeros only, half or more, nothing is made.
"""

from math import prod

from keras_micromag.utils import backend

_POINTS = 2**18
"""Of the planes that are in the cache at a time: 2 MB in single precision."""

_ROUNDS = 32
"""In which planes are taken, at most: each is compiled."""


def convolved(xp, values, shape, through, rounds: int = _ROUNDS):
    """Real values (…, x, y, z) by way of their waves.

    Args:
        shape: of the kernel, (Z // 2 + 1, …, Y, X), wide enough for nothing to wrap around.
        through: (waves (k, …, Y, X), a slice of the Z // 2 + 1 planes) -> waves; leading axes may
            become others.
        rounds: in which the planes are taken, at most.

    Returns:
        (…, x, y, z), with the leading axes that `through` leaves.
    """
    planes, wide_y, wide_x = shape[0], *shape[-2:]
    wide_z = 2 * (planes - 1)
    x, y, z = values.shape[-3:]
    points = planes * wide_x * wide_y * prod(n or 1 for n in values.shape[:-3])
    if not backend.on_processor(values):
        rounds = 1
    at_once = -(-planes // max(1, min(rounds, points // _POINTS)))
    waves = xp.moveaxis(backend.real_waves(xp, values, wide_z), -1, 0)
    done = []
    for first in range(0, planes, at_once):
        some = slice(first, min(first + at_once, planes))
        part = xp.swapaxes(backend.waves(xp, waves[some], wide_y), -1, -2)
        part = through(backend.waves(xp, part, wide_x), some)
        part = xp.swapaxes(backend.values(xp, part)[..., :x], -1, -2)
        done.append(backend.values(xp, part)[..., :y])
    waves = xp.moveaxis(xp.concatenate(done, axis=0), 0, -1)
    return backend.real_values(xp, waves, wide_z)[..., :z]
