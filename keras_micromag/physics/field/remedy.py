"""What would fit where an operator does not."""

from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.utils import memory


def remedy(structure: Microstructure, dtype: str, need, shortest: str = "float32") -> str:
    """The changes after which an operator fits, in words.

    Not a larger `rtol`: whether a coarser setting keeps it is known only once it is made.

    Args:
        dtype: asked for.
        need: bytes for a number of particles and a dtype.
        shortest: dtype that may be asked for instead.
    """
    particles = int((structure.weights > 0).sum())
    corners = sum(len(grain.vertices) for grain in structure.grains)
    short, few = f"`dtype` {shortest!r}", "`scheme` ('vertices',)"
    # What changes nothing, or adds particles, does not fit either.
    ways = {short: need(particles, shortest), few: need(corners, dtype)}
    fitting = [way for way, size in ways.items() if memory.fits(size)]
    if not fitting and memory.fits(need(corners, shortest)):
        fitting = [f"{short} with {few}"]
    return f"{' or '.join(fitting) or 'a magnet of fewer grains'} would fit"
