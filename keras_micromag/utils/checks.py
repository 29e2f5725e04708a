"""Argument checks; each raises a ValueError of one sentence that names the argument."""

from collections.abc import Collection, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

LARGEST = 1e50
"""Limit of the magnitude of numbers, in any unit, so that products of four do not overflow."""

SelfField = bool | Literal["nucleus"]
"""Whether a grain's own demagnetising field acts on its particles.

"nucleus" leaves out the part that turns with the nucleus of a reversal; see `simulate`."""


MOST_ITERATIONS = 2**31 - 1
"""Largest number of iterations, which compiled loops count in int32."""


class Configured:
    """Base of classes that are made from a config, with one error for configs that do not fit."""

    @classmethod
    def from_config(cls, config: dict):
        """Return an object with the config that `get_config` returned.

        Raises:
            ValueError: for a config that does not fit.
        """
        return of_this_version(cls, config)


def read_only(array: np.ndarray) -> np.ndarray:
    """Return the array itself, which can no longer be written."""
    array.flags.writeable = False
    return array


class ReadOnlyArrays:
    """Base of classes whose arrays cannot be written, also in copies and after `pickle`."""

    def _make_read_only(self):
        """Make every array that is an attribute read-only."""
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                read_only(value)

    def __setstate__(self, state):
        # `pickle` and `copy.deepcopy` make new arrays, which can be written.
        vars(self).update(state)
        self._make_read_only()


def of_this_version(cls: type, config: dict):
    """Return `cls(**config)`, or raise a sentence about a config that does not fit."""
    try:
        return cls(**config)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(
            f"`config` must be one of this version's {cls.__name__}; received one that does not "
            f"fit: {error}"
        ) from error


def finite_array(
    value: ArrayLike, name: str, shape: tuple | None = None, meaning: str = ""
) -> np.ndarray:
    """Return `value` as a float64 array, or raise a sentence naming `name`.

    Args:
        value: anything that NumPy can read as an array of numbers.
        name: the argument's name in the caller's signature.
        shape: expected shape; `None` for a free axis, a leading `...` for any leading axes.
        meaning: words that follow the shape in the error, such as "with g = 64".

    Raises:
        ValueError: when `value` is no array of numbers, has another shape, or holds NaN or inf.
    """
    array = np.array(numbers(value, name))  # a copy: the caller keeps its own
    if shape is not None and not _matches(array.shape, shape):
        expected = "(" + ", ".join("..." if s is ... else str(s or "n") for s in shape)
        expected += ",)" if len(shape) == 1 else ")"
        raise ValueError(
            f"`{name}` must have shape {expected}{' ' + meaning if meaning else ''}; "
            f"received {array.shape}."
        )
    return finite(array, name)


def numbers(value: ArrayLike, name: str, dtype: DTypeLike | None = np.float64) -> np.ndarray:
    """Return `value` as an array of `dtype`, or of its own dtype if that is None."""
    try:
        array = np.asarray(value)
        # Not by a list of those that are: types such as bfloat16 are not NumPy's own.
        if array.dtype.kind in "cSUMm" or array.dtype.names:
            raise TypeError
        if array.dtype.kind == "O" and dtype is None:
            raise TypeError
        with np.errstate(over="ignore"):  # what is too large for `dtype` becomes inf
            return array if dtype is None else array.astype(dtype, copy=False)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            f"`{name}` must be an array of numbers; received {shown(value)}."
        ) from None


def shown(value: Any) -> str:
    """Return the first 200 characters of what Python shows of a value, in one line."""
    return f"{' '.join(repr(value).split()):.200}"


def finite(array: np.ndarray, name: str) -> np.ndarray:
    """Return `array`, whose values must be smaller than `LARGEST`, and not NaN."""
    is_finite = (array > -LARGEST) & (array < LARGEST) if _is_wide(array) else np.isfinite(array)
    if not is_finite.all():
        where = tuple(int(i) for i in np.argwhere(~is_finite)[0])
        wanted = f"below {LARGEST:g}" if np.isfinite(array[where]) else "finite"
        raise ValueError(f"`{name}` must be {wanted}; received {array[where]} at index {where}.")
    return array


def _is_wide(array):
    """Return whether the dtype of an array has numbers beyond `LARGEST`."""
    return array.dtype.kind == "f" and array.dtype.itemsize >= 8


def unit_vectors(value: ArrayLike, name: str, shape: tuple, meaning: str = "") -> np.ndarray:
    """Return `value` as normalised vectors along the last axis; their lengths must be 1 to 1e-3.

    The other arguments are those of `finite_array`.
    """
    array = finite_array(value, name, shape, meaning)
    length = np.linalg.norm(array, axis=-1)
    # Float32 input and rounded text files are allowed, so the vectors are normalised afterwards;
    # 1e-3 distinguishes these from vectors that were never meant to have unit length.
    wrong = np.abs(length - 1.0) > 1e-3
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"`{name}` must hold unit vectors; received length {length[where]:.6g} "
            f"at index {where}."
        )
    return array / length[..., None]


def number(
    value: Any, name: str, *, above: float | None = None, least: float | None = None
) -> float:
    """Return `value` as a finite float above `above` or at least `least`."""
    try:
        if isinstance(value, bool | np.bool_ | str | bytes) or np.ndim(value):  # float() takes it
            raise TypeError
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"`{name}` must be a number; received {shown(value)}.") from None
    bound = f"greater than {above}" if above is not None else f"at least {least}"
    if above is None and least is None:
        bound = "finite"
    if LARGEST <= abs(result) < np.inf:
        bound = f"below {LARGEST:g}"
    if (
        not abs(result) < LARGEST
        or (above is not None and result <= above)
        or (least is not None and result < least)
    ):
        raise ValueError(f"`{name}` must be {bound}; received {shown(value)}.")
    return result


def generator(seed: Any, drawn: str) -> np.random.Generator:
    """Return the random generator of a seed that must be given.

    Args:
        seed: as in `np.random.default_rng`, but not None.
        drawn: what it draws, in the plural, for the error.
    """
    if seed is None:
        raise ValueError(
            f"`seed` must be given, so that the {drawn} can be drawn again; received None."
        )
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError):
        raise ValueError(
            f"`seed` must be a whole number of at least 0, or several; received {shown(seed)}."
        ) from None


def count(value: Any, name: str, least: int = 1, most: int | None = None) -> int:
    """Return `value` as an int of at least `least`, and at most `most` unless that is None."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise ValueError(
            f"`{name}` must be an integer of at least {least}; received {shown(value)}."
        )
    if most is not None and value > most:
        raise ValueError(f"`{name}` must be at most {most}; received {shown(value)}.")
    return int(value)


def counts(values: Sequence[int], name: str) -> tuple[int, ...]:
    """Return `values`, a sequence, as a tuple of ints of at least 1."""
    if isinstance(values, str) or not np.iterable(values):
        raise ValueError(f"`{name}` must be a sequence of integers; received {shown(values)}.")
    return tuple(count(value, name) for value in values)


def flag(value: Any, name: str) -> bool:
    """Return `value`, True or False, as a bool."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"`{name}` must be True or False; received {shown(value)}.")
    return bool(value)


def self_field(value: Any) -> SelfField:
    """Return `value`, one of the choices of an argument `self_field`."""
    if isinstance(value, str) and value == "nucleus":
        return "nucleus"
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"`self_field` must be False, True or 'nucleus'; received {shown(value)}.")
    return bool(value)


def instance(value: Any, name: str, kind: type):
    """Return `value`, which must be a `kind`."""
    if not isinstance(value, kind):
        raise ValueError(f"`{name}` must be a {kind.__name__}; received {shown(value)}.")
    return value


def one_of(value: Any, name: str, choices: Collection[str]) -> str:
    """Return `value` when it is among the strings `choices`, else raise a sentence with them."""
    if not isinstance(value, str) or value not in choices:
        listed = ", ".join(repr(c) for c in choices)
        raise ValueError(f"`{name}` must be one of {listed}; received {shown(value)}.")
    return value


def compatible(shape: Sequence[int | None], other: Sequence[int | None]) -> bool:
    """Return whether two static shapes may be the same; None stands for any size."""
    return len(shape) == len(other) and all(
        a is None or b is None or a == b for a, b in zip(shape, other, strict=True)
    )


def _matches(actual, expected):
    """Return whether a shape is the expected one; see `shape` of `finite_array`."""
    if expected and expected[0] is ...:
        expected = expected[1:]
        actual = actual[len(actual) - len(expected) :] if len(actual) >= len(expected) else (-1,)
    return len(actual) == len(expected) and all(
        w is None or a == w for a, w in zip(actual, expected, strict=True)
    )
