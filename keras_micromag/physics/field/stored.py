"""Operators in files: one that takes long to build serves any number of loops."""

import os

import numpy as np

from keras_micromag.physics.field.operator import DemagOperator
from keras_micromag.physics.field.products import Dense, Hierarchical, Lattice
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.utils import checks, memory
from keras_micromag.utils.files import UNREADABLE, atomic_open

_FORMAT = 1
"""Version of the files' content: raised when older files can no longer be read."""

_PRODUCTS = {"dense": Dense, "lattice": Lattice, "hierarchical": Hierarchical}

_SETTINGS = ("kind", "self_field", "rtol", "error")

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


def write_operator(operator: DemagOperator, path: str | os.PathLike) -> None:
    """Write an operator to a file for `read_operator`, completely or not at all.

    The file is NumPy's `.npz`, and slightly larger than `operator.nbytes`. A file that exists is
    replaced.

    Args:
        operator: to be written.
        path: of the file; no suffix is added.

    Raises:
        OSError: where it cannot be written.

    Example:
        >>> import tempfile
        >>> from keras_micromag.physics import cubic_grains, demag_operator
        >>> magnet = cubic_grains((3, 3, 3))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_operator(demag_operator(magnet, "lattice"), f"{folder}/operator.npz")
        ...     read_operator(f"{folder}/operator.npz", magnet).kind
        'lattice'
    """
    checks.instance(operator, "operator", DemagOperator)
    content = {name: np.array(getattr(operator, name)) for name in _SETTINGS}
    content |= {"format": np.array(_FORMAT), "places": operator.places}
    content["structure"] = np.array(operator.structure.fingerprint)
    for name, part in operator.product._asdict().items():
        key = _KEYS.get(name, name)
        if isinstance(part, tuple):
            content |= {f"{key} {number}": array for number, array in enumerate(part)}
        else:
            content[key] = part
    with atomic_open(path, "wb") as file:
        np.savez(file, **content)  # type: ignore[arg-type]  # none is called allow_pickle


def read_operator(path: str | os.PathLike, structure: Microstructure) -> DemagOperator:
    """Read an operator that `write_operator` wrote.

    Args:
        path: of the file.
        structure: the one that the operator was built for, or one that is equal to the last digit.

    Raises:
        OSError: where there is no such file.
        ValueError: for a file that holds something else, or is damaged; for another structure.
        MemoryError: before it takes more memory than is available.
    """
    checks.instance(structure, "structure", Microstructure)
    with open(path, "rb") as file:
        memory.require(
            file.seek(0, 2), f"the operator in {path}", "a machine with more memory would do"
        )
        file.seek(0)
        try:
            with np.load(file, allow_pickle=False) as stored:
                same = stored["structure"].item() == structure.fingerprint
                operator = _read(stored, structure) if same else None
        except UNREADABLE as error:
            raise ValueError(
                "`path` must be a file that `write_operator` wrote, of this version and complete; "
                f"received {path}."
            ) from error
    if operator is None:
        raise ValueError(
            f"`structure` must be that for which the operator in {path} was made; "
            "received another one."
        )
    return operator


def _read(stored, structure):
    """Return the operator of an open file."""
    if stored["format"] != _FORMAT:
        raise ValueError("another format")
    kind, self_field, rtol, error = (stored[name].item() for name in _SETTINGS)
    parts = {}
    for name in _PRODUCTS[kind]._fields:
        key = _KEYS.get(name, name)
        if key in stored.files:
            parts[name] = _aligned(stored[key])
        else:
            count = sum(other.startswith(f"{key} ") for other in stored.files)
            parts[name] = tuple(_aligned(stored[f"{key} {number}"]) for number in range(count))
    product, places = _PRODUCTS[kind](**parts), stored["places"]
    return DemagOperator(structure, self_field, kind, product, places, rtol=rtol, error=error)


def _aligned(array):
    """Return a copy at an aligned address, which backends take without another copy."""
    aligned = memory.zeros(array.shape, array.dtype)
    aligned[...] = array
    return aligned
