"""Read vertices and polygons from the files of surface meshes that hold polygons: OBJ, OFF, PLY.

`trimesh` reads them too, but gives triangles: fans from the first corner of each polygon, which
leave a polygon that is not convex. In an OBJ file it separates the corners of one vertex by their
normals, so that bodies are no longer closed.
"""

import os
import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

Mesh = tuple[Sequence[Sequence[float]], Sequence[Sequence[int]]]
"""Coordinates of the vertices, and the indices of the vertices around each polygon."""

_PLY_CODES = {
    **{"char": "b", "uchar": "B", "short": "h", "ushort": "H", "int": "i", "uint": "I"},
    **{"int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I"},
    **{"float": "f", "float32": "f", "double": "d", "float64": "d"},
}
"""Codes of `struct` for the types of a PLY file."""

_PLY_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">"}

_TOO_SHORT = "the file ends before its last element"


def read_obj(path: str | os.PathLike) -> Mesh:
    """Read the vertices and the polygons of a Wavefront OBJ file; normals and textures are skipped.

    Raises:
        ValueError: when a vertex or a polygon is not made of numbers.
    """
    vertices, polygons = [], []
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        text = file.read().replace("\\\n", " ")  # a long line goes on after a backslash
    for line in text.splitlines():
        kind, *words = line.partition("#")[0].split() or [""]
        if kind == "v":
            vertices.append([float(word) for word in words[:3]])
        elif kind == "f":
            # A corner is "vertex/texture/normal", counted from 1, or back from the last vertex.
            numbers = [int(word.partition("/")[0]) for word in words]
            polygons.append([n - 1 if n > 0 else len(vertices) + n for n in numbers])
    return vertices, polygons


def read_off(path: str | os.PathLike) -> Mesh:
    """Read the vertices and the polygons of an OFF file; colours and normals are skipped.

    Raises:
        ValueError: when the file is not of this format.
    """
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        lines = [line.partition("#")[0].split() for line in file]
    rows = iter([words for words in lines if words])
    keyword, *counts = next(rows, [""])
    if keyword not in ("OFF", "COFF", "NOFF", "CNOFF"):
        raise ValueError("the first word of an OFF file must be OFF")
    n_vertices, n_polygons, *_ = map(int, counts or next(rows, []))
    vertices = [[float(word) for word in row[:3]] for row in islice(rows, n_vertices)]
    polygons = []
    for row in islice(rows, n_polygons):
        corners = row[1 : 1 + int(row[0])]
        if len(corners) < int(row[0]):
            raise ValueError("a polygon has fewer corners than its line says")
        polygons.append([int(word) for word in corners])
    if len(vertices) < n_vertices or len(polygons) < n_polygons:
        raise ValueError("the file ends before its last vertex or polygon")
    return vertices, polygons


def read_ply(path: str | os.PathLike) -> Mesh:
    """Read the vertices and the polygons of a PLY file, in text or binary.

    Raises:
        ValueError: when the file is not of this format.
    """
    with open(path, "rb") as file:
        encoding, elements = _ply_header(file)
        data = file.read()
    take = _from_words(data) if encoding == "ascii" else _from_bytes(data, _PLY_ORDERS[encoding])
    vertices, polygons = [], []
    for element, count, properties in elements:
        for _ in range(count):
            row: dict[str, Any] = {
                name: take(code, 1)[0] if length is None else take(code, int(take(length, 1)[0]))
                for name, length, code in properties
            }
            if element == "vertex":
                vertices.append([row[axis] for axis in "xyz" if axis in row])
            elif element == "face":
                corners = row["vertex_indices" if "vertex_indices" in row else "vertex_index"]
                polygons.append([int(corner) for corner in corners])
    return vertices, polygons


def _ply_header(file):
    """Return the encoding, and each element's name, count and properties.

    A property is its name, the code of its length or None where it is no list, and its code.
    """
    encoding, elements = "", []
    if file.readline().strip() != b"ply":
        raise ValueError("the first line of a PLY file must be ply")
    while (words := file.readline().decode("latin-1").split()) != ["end_header"]:
        match words:
            case ["format", encoding, _] if encoding in ("ascii", *_PLY_ORDERS):
                pass
            case ["element", name, count]:
                elements.append((name, int(count), []))
            case ["property", "list", length, kind, name] if elements:
                elements[-1][2].append((name, _PLY_CODES[length], _PLY_CODES[kind]))
            case ["property", kind, name] if elements:
                elements[-1][2].append((name, None, _PLY_CODES[kind]))
            case ["comment" | "obj_info", *_]:
                pass
            case _:
                raise ValueError(f"{' '.join(words)!r} is no line of the header of a PLY file")
    if not encoding:
        raise ValueError("a PLY file must name its format")
    # Rows of no property hold nothing, however many the header claims.
    return encoding, [element for element in elements if element[2]]


def _from_words(data: bytes) -> Callable[[str, int], Sequence[float]]:
    """Return a function that reads the next numbers of a text."""
    words: Iterator[bytes] = iter(data.split())

    def take(code, count):
        numbers = [float(word) for word in islice(words, count)]
        if len(numbers) < count:
            raise ValueError(_TOO_SHORT)
        return numbers

    return take


def _from_bytes(data: bytes, order: str) -> Callable[[str, int], Sequence[float]]:
    """Return a function that reads the next numbers of binary data."""
    position = 0

    def take(code, count):
        nonlocal position
        layout = f"{order}{count}{code}"
        try:
            numbers = struct.unpack_from(layout, data, position)
        except struct.error:
            raise ValueError(_TOO_SHORT) from None
        position += struct.calcsize(layout)
        return numbers

    return take
