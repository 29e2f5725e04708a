"""Operators in files: one that takes long to build is built once for any number of loops."""

import os

import numpy as np

from keras_micromag.physics.field.products import Arrays, Dense, Hierarchical, Lattice, arrays_of
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.utils import checks, memory
from keras_micromag.utils.files import UNREADABLE, atomic_open, read_arrays

_FORMAT = 1
"""Version of the files' content: raised when older files can no longer be read."""

_PRODUCTS = {"dense": Dense, "lattice": Lattice, "hierarchical": Hierarchical}

_KEYS = {
    "block_sources": "sources",
    "piece_grain": "grain",
    "source_node": "onto",
    "source_offsets": "source_steps",
    "block_slot": "room",
    "gradient_weights": "slopes",
    "target_node": "at",
    "target_offsets": "target_steps",
}
"""Keys in the files of those arrays of a product whose keys are not their names."""


def write(path: str | os.PathLike, structure: Microstructure, arrays: Arrays, **settings) -> None:
    """Write the arrays of an operator, its structure's fingerprint and its settings to a file."""
    content = {name: np.array(value) for name, value in settings.items()}
    content |= {"format": np.array(_FORMAT), "error": np.array(arrays.error)}
    content |= {"places": arrays.places, "structure": np.array(structure.fingerprint)}
    for name, part in arrays.product._asdict().items():
        key = _KEYS.get(name, name)
        if isinstance(part, tuple):
            content |= {f"{key} {number}": array for number, array in enumerate(part)}
        else:
            content[key] = part
    with atomic_open(path, "wb") as file:
        np.savez(file, **content)  # type: ignore[arg-type]  # none is called allow_pickle


def read(path: str | os.PathLike, structure: Microstructure) -> dict:
    """Return the attributes of an operator that `write` wrote; see `DemagOperator.load`."""
    checks.instance(structure, "structure", Microstructure)
    memory.require(
        os.stat(path).st_size, f"the operator in {path}", "a machine with more memory would do"
    )
    try:
        content = read_arrays(path)
        same = content["structure"].item() == structure.fingerprint
        attributes = _attributes(content, structure) if same else None
    except UNREADABLE as error:
        raise ValueError(
            "`path` must be a file that `DemagOperator.save` wrote, of this version and "
            f"complete; received {path}."
        ) from error
    if attributes is None:
        raise ValueError(
            f"`structure` must be that for which the operator in {path} was made; "
            "received another one."
        )
    return attributes


def _attributes(content, structure):
    """Return the attributes of the operator that the arrays in a file describe."""
    if content["format"] != _FORMAT:
        raise ValueError("another format")
    settings = {name: content[name].item() for name in ("kind", "self_field", "rtol")}
    settings["self_field"] = checks.self_field(settings["self_field"])
    product = _PRODUCTS[settings["kind"]]
    parts = {}
    for name in product._fields:
        key = _KEYS.get(name, name)
        if key in content:
            parts[name] = _aligned(content.pop(key))
        else:
            count = sum(other.startswith(f"{key} ") for other in content)
            parts[name] = tuple(_aligned(content.pop(f"{key} {i}")) for i in range(count))
    arrays = Arrays(product(**parts), content["places"], content["error"].item())
    dtype = np.result_type(*(a.real for a in arrays_of(arrays.product) if a.dtype.kind in "fc"))
    _require_applicable(arrays, structure, dtype)
    return settings | {"dtype": dtype.name, "arrays": arrays}


def _require_applicable(arrays, structure, dtype):
    """Raise unless the operator maps moments of the structure's grains to fields at its particles.

    Any error means that the arrays do not fit together.
    """
    with np.errstate(all="ignore"):  # of inf in the arrays
        field = arrays.product.field(np.zeros((1, 3, len(structure)), dtype))
    fits = field.shape == (1, 3, arrays.product.places) and np.isfinite(field).all()
    if not fits or field[0, :, arrays.places].shape != (*structure.weights.shape, 3):
        raise ValueError("another structure")


def _aligned(array):
    """Return a copy at an aligned address, which backends take without another copy."""
    aligned = memory.zeros(array.shape, array.dtype)
    aligned[...] = array
    return aligned
