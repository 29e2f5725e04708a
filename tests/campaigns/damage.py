"""Damages bytes, texts, archives, JSON and arrays at random."""

import io
import json
import re
import warnings
import zipfile
from collections.abc import Callable, Sequence

import numpy as np
from numpy.random import Generator

NUMBERS = ("nan", "inf", "-inf", "1e308", "-1e308", "1e-320", "-1", "0", "1", "3", "0.5", "-0.0")
NUMBERS += ("99999999999999999999", "4294967296", "2147483647", "1e3", "1_0", "1e400", "0x10")
"""Numbers that a text gets in place of its own."""

VALUES = (None, True, False, 0, 1, -1, 2, 0.5, -0.5, 1e308, 10**400, 2**63, 2**31, 1e-320, "", "x")
VALUES += (
    [],
    {},
    [1, 2],
    [[]],
    ["x"],
    {"x": 1},
    float("nan"),
    float("inf"),
    [None],
    "é\0",
    [1e308],
)
"""Values that JSON gets in place of its own."""


def pick(rng: Generator, choices: Sequence):
    """Return one of several things, which need not be of one type."""
    return choices[rng.integers(len(choices))]


def bytes_(rng: Generator, data: bytes) -> bytes:
    """Return bytes of which a few are changed, missing, added or repeated."""
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(data) + 1))
        length = int(rng.integers(1, 9)) if rng.random() < 0.7 else int(rng.integers(1, 999))
        match rng.integers(5):
            case 0:
                data = data[:at] + rng.bytes(min(length, len(data) - at)) + data[at + length :]
            case 1:
                data = data[:at] + data[at + length :]
            case 2:
                data = data[:at] + rng.bytes(length) + data[at:]
            case 3:
                data = data[:at] + data[at : at + length] + data[at:]
            case 4:
                data = data[:at]
    return data


def text(rng: Generator, text: str) -> str:
    """Return a text of which a few numbers, words or lines are changed."""
    for _ in range(rng.integers(1, 4)):
        lines = text.splitlines(keepends=True) or [""]
        at, to = (int(rng.integers(len(lines))) for _ in range(2))
        match rng.integers(8):
            case 0 | 1 | 2:
                text = _replaced(rng, text, r"[-+\d.eE]*\d[-+\d.eE]*", NUMBERS)
            case 3:
                text = _replaced(rng, text, r"\S+", [*text.split(), "é", "\0", "*", "-", "x" * 999])
            case 4:
                text = "".join([*lines[:at], *lines[at + 1 :]])
            case 5:
                text = "".join([*lines[:at], lines[to], *lines[at:]])
            case 6:  # one block of lines in place of another
                first, last = sorted((at, to))
                text = "".join([*lines[last:], *lines[first:last], *lines[:first]])
            case 7:
                text = text[: rng.integers(len(text) + 1)]
    return text


def _replaced(rng, text, pattern, choices):
    """Return a text with one match of a pattern replaced."""
    matches = list(re.finditer(pattern, text))
    if not matches:
        return text
    match = pick(rng, matches)
    return text[: match.start()] + pick(rng, choices) + text[match.end() :]


def as_file(rng: Generator, data: bytes, is_text: bool) -> bytes:
    """Return the damaged content of a file."""
    if is_text and rng.random() < 0.8:
        return text(rng, data.decode("latin-1")).encode("latin-1")
    return bytes_(rng, data)


def json_(rng: Generator, value):
    """Return a copy of a JSON value in which one part is changed, missing or added."""
    value = json.loads(json.dumps(value))
    parents = []

    def collect(part):
        if isinstance(part, dict | list) and part:
            parents.append(part)
            for child in part.values() if isinstance(part, dict) else part:
                collect(child)

    collect(value)
    if not parents or rng.random() < 0.02:
        return pick(rng, VALUES)
    for _ in range(rng.integers(1, 3)):
        parent = pick(rng, parents)
        key = pick(rng, list(parent) if isinstance(parent, dict) else range(len(parent)))
        match rng.integers(6):
            case 0 | 1 | 2:
                parent[key] = pick(rng, VALUES)
            case 3 if isinstance(parent[key], int | float):
                parent[key] = parent[key] * pick(rng, (-1, 0, 2, 1e-9, 1e9, 0.5))
            case 4 if len(parent) > 1:
                del parent[key]
            case _:
                other = pick(rng, VALUES)
                parent.update({"x": other}) if isinstance(parent, dict) else parent.append(other)
    return value


def archive(rng: Generator, data: bytes, member: Callable[[Generator, str, bytes], bytes]) -> bytes:
    """Return a damaged zip archive: its bytes, or a member of an archive that is intact.

    Args:
        member: returns the damaged content of a member of that name and content.
    """
    if rng.random() < 0.3:
        return bytes_(rng, data)
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        members = {name: file.read(name) for name in file.namelist()}
    names = list(members)
    name, other = pick(rng, names), pick(rng, names)
    match rng.integers(8):
        case 0:
            del members[name]
        case 1:
            members[f"x{name}"] = members.pop(name)
        case 2:
            members[name], members[other] = members[other], members[name]
        case _:
            members[name] = member(rng, name, members[name])
    result = io.BytesIO()
    with zipfile.ZipFile(result, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return result.getvalue()


DTYPES = ("bool", "int8", "uint8", "int16", "int64", "uint64", "float16", "float32", "float64")
DTYPES += (
    "longdouble",
    "complex64",
    "complex128",
    "U3",
    "S3",
    "M8[s]",
    "m8[s]",
    "O",
    "f8,i4",
    ">f8",
)


def array(rng: Generator, like=None, objects: bool = True) -> np.ndarray:
    """Return an array of another shape, dtype or content than `like`."""
    if like is None or rng.random() < 0.4:
        shape = tuple(int(n) for n in rng.integers(0, 5, rng.integers(0, 6)))
        return _cast(rng, rng.normal(size=shape), objects)
    like = np.array(like)
    match rng.integers(6):
        case 0:
            return _cast(rng, like, objects)
        case 1 if like.size and like.dtype.kind in "fiu":
            like = like.astype(like.dtype if like.dtype.kind == "f" else float)
            odd = pick(rng, (np.nan, np.inf, -np.inf, 1e308, -1e308, 1e-320, 0, -1, 1e30, 1e-30))
            with np.errstate(over="ignore"):
                like.flat[rng.integers(like.size)] = odd
            return like
        case 2 if like.dtype.kind in "fiu":
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                return like * pick(rng, (-1.0, 0.0, 1e200, 1e-200, 1e9, 1e-9, 1 + 1e-5))
        case 3:
            return like.T if rng.random() < 0.5 else like[None]
        case 4 if like.size and like.ndim:
            axis = int(rng.integers(like.ndim))
            return np.take(like, range(rng.integers(like.shape[axis] + 2)), axis, mode="wrap")
        case _:
            return np.asfortranarray(like)[..., ::-1] if like.ndim else like
    return like


def _cast(rng, array, objects):
    dtype = np.dtype(pick(rng, DTYPES))
    if array.dtype.names:  # damaged before
        return array
    if dtype.kind == "V":
        return np.zeros(array.shape, dtype)
    if array.dtype.kind not in "biufc" or (dtype.kind == "O" and not objects):
        return array.astype("U30")
    if dtype.kind in "mM":
        array = np.zeros(array.shape, "i8")
    with warnings.catch_warnings(action="ignore"):
        return array.astype(dtype)
