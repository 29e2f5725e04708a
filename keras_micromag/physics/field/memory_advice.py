"""Advice for the user where an operator does not fit into memory."""

from collections.abc import Callable

from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.utils import memory


def memory_advice(
    structure: Microstructure,
    dtype: str,
    required_bytes: Callable[[int, str], float],
    smallest_dtype: str = "float32",
) -> str:
    """Name the options with which an operator would fit into memory, as the end of a sentence.

    A larger `rtol` is not named: whether a coarser precision keeps it is known only once it is
    built.

    Args:
        structure: of which the operator does not fit.
        dtype: that was asked for.
        required_bytes: (number of particles, dtype) -> bytes of the operator.
        smallest_dtype: that may be asked for instead.
    """
    particles = int((structure.weights > 0).sum())
    corners = sum(len(grain.vertices) for grain in structure.grains)
    smaller, fewer = f"`dtype` {smallest_dtype!r}", "`scheme` ('vertices',)"
    # An option that changes nothing, or adds particles, does not fit either.
    options = {
        smaller: required_bytes(particles, smallest_dtype),
        fewer: required_bytes(corners, dtype),
    }
    fitting = [option for option, size in options.items() if memory.fits(size)]
    if not fitting and memory.fits(required_bytes(corners, smallest_dtype)):
        fitting = [f"{smaller} with {fewer}"]
    return f"{' or '.join(fitting) or 'a magnet of fewer grains'} would fit"
