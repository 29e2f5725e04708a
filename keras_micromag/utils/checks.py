"""Argument checks; each raises one sentence that names the argument."""

import numpy as np


class Configured:
    """What `get_config` tells, and `from_config` makes again."""

    @classmethod
    def from_config(cls, config):
        """What `get_config` told, or one sentence about a config that does not fit."""
        return of_this_version(cls, config)


def of_this_version(cls, config):
    """`cls(**config)`, or one sentence about a config that does not fit."""
    try:
        return cls(**config)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`config` must be one of this version's {cls.__name__}; received one that does not "
            f"fit: {error}"
        ) from error


def finite_array(value, name, shape=None, meaning=""):
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
        wanted = "(" + ", ".join("..." if s is ... else str(s or "n") for s in shape)
        wanted += ",)" if len(shape) == 1 else ")"
        raise ValueError(
            f"`{name}` must have shape {wanted}{' ' + meaning if meaning else ''}; "
            f"received {array.shape}."
        )
    return finite(array, name)


def numbers(value, name, dtype=np.float64):
    """`value` as an array of `dtype`."""
    try:
        return np.asarray(value, dtype=dtype)
    except (TypeError, ValueError):
        raise ValueError(
            f"`{name}` must be an array of numbers; received {value!r:.200}."
        ) from None


def finite(array, name):
    """Return the NumPy `array`, which must hold neither NaN nor inf."""
    right = np.isfinite(array)
    if not right.all():
        where = tuple(int(i) for i in np.argwhere(~right)[0])
        raise ValueError(f"`{name}` must be finite; received {array[where]} at index {where}.")
    return array


def unit_vectors(value, name, shape, meaning=""):
    """Like `finite_array`, and every vector along the last axis must have length 1 (to 1e-3)."""
    array = finite_array(value, name, shape, meaning)
    length = np.linalg.norm(array, axis=-1)
    # Float32 input and rounded text files are welcome, so the vectors are normalised afterwards;
    # 1e-3 tells those from vectors that were never meant to have unit length.
    wrong = np.abs(length - 1.0) > 1e-3
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"`{name}` must hold unit vectors; received length {length[where]:.6g} "
            f"at index {where}."
        )
    return array / length[..., None]


def number(value, name, *, above=None, least=None):
    """Return `value` as a finite float above `above` or at least `least`."""
    try:
        result = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"`{name}` must be a number; received {value!r}.") from None
    bound = f"greater than {above}" if above is not None else f"at least {least}"
    if above is None and least is None:
        bound = "finite"
    if (
        not np.isfinite(result)
        or (above is not None and result <= above)
        or (least is not None and result < least)
    ):
        raise ValueError(f"`{name}` must be {bound}; received {value!r}.")
    return result


def generator(seed, drawn: str) -> np.random.Generator:
    """The generator of a seed that must be given; `drawn` says of what, in the plural."""
    if seed is None:
        raise ValueError(
            f"`seed` must be given, so that the {drawn} can be drawn again; received None."
        )
    return np.random.default_rng(seed)


def count(value, name, least: int = 1):
    """Return `value` as an int of at least `least`."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise ValueError(f"`{name}` must be an integer of at least {least}; received {value!r}.")
    return int(value)


def counts(values, name):
    """Return `values`, a sequence, as a tuple of ints of at least 1."""
    if isinstance(values, str) or not np.iterable(values):
        raise ValueError(f"`{name}` must be a sequence of integers; received {values!r}.")
    return tuple(count(value, name) for value in values)


def flag(value, name):
    """Return `value`, True or False, as a bool."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"`{name}` must be True or False; received {value!r:.200}.")
    return bool(value)


def instance(value, name, kind):
    """Return `value`, which must be a `kind`."""
    if not isinstance(value, kind):
        raise ValueError(f"`{name}` must be a {kind.__name__}; received {value!r:.200}.")
    return value


def one_of(value, name, choices):
    """Return `value` when it is among the strings `choices`, else raise a sentence with them."""
    if not isinstance(value, str) or value not in choices:
        listed = ", ".join(repr(c) for c in choices)
        raise ValueError(f"`{name}` must be one of {listed}; received {value!r:.200}.")
    return value


def _matches(actual, wanted):
    if wanted and wanted[0] is ...:
        wanted = wanted[1:]
        actual = actual[len(actual) - len(wanted) :] if len(actual) >= len(wanted) else (-1,)
    return len(actual) == len(wanted) and all(
        w is None or a == w for a, w in zip(actual, wanted, strict=True)
    )
