"""Operators in files: what takes long to make, and serves any number of loops, is made once."""

import numpy as np

from keras_micromag.physics.field.operator import DemagOperator
from keras_micromag.physics.field.products import Dense, Hierarchical, Lattice
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.utils import checks, memory
from keras_micromag.utils.files import UNREADABLE, whole

_FORMAT = 1
"""Of what the files hold: rises when an older one can no longer be read."""

_PRODUCTS = {"dense": Dense, "lattice": Lattice, "hierarchical": Hierarchical}

_SETTINGS = ("kind", "self_field", "rtol", "error")


def write_operator(operator: DemagOperator, path) -> None:
    """Write an operator to a file, for `read_operator`: whole, or not at all.

    The file is as large as `operator.nbytes`, and some, and NumPy's `.npz`; a file that is there is
    replaced.

    Args:
        path: of the file; nothing is added to its name.

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
        if isinstance(part, tuple):
            content |= {f"{name} {number}": array for number, array in enumerate(part)}
        else:
            content[name] = part
    with whole(path, "wb") as file:
        np.savez(file, **content)


def read_operator(path, structure: Microstructure) -> DemagOperator:
    """An operator that `write_operator` wrote.

    Args:
        structure: the one that it was made for, or one that is equal to the last digit.

    Raises:
        OSError: where there is no such file.
        ValueError: for a file that holds something else, or is damaged; for another structure.
        MemoryError: before it takes more memory than there is.
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
                "`path` must be a file that `write_operator` wrote, of this version and whole; "
                f"received {path}."
            ) from error
    if operator is None:
        raise ValueError(
            f"`structure` must be that for which the operator in {path} was made; "
            "received another one."
        )
    return operator


def _read(stored, structure):
    if stored["format"] != _FORMAT:
        raise ValueError("another format")
    kind, self_field, rtol, error = (stored[name].item() for name in _SETTINGS)
    parts = {}
    for name in _PRODUCTS[kind]._fields:
        if name in stored.files:
            parts[name] = _aligned(stored[name])
        else:
            count = sum(key.startswith(f"{name} ") for key in stored.files)
            parts[name] = tuple(_aligned(stored[f"{name} {number}"]) for number in range(count))
    product, places = _PRODUCTS[kind](**parts), stored["places"]
    return DemagOperator(structure, self_field, kind, product, places, rtol=rtol, error=error)


def _aligned(array):
    """The same where backends take it as it is."""
    place = memory.zeros(array.shape, array.dtype)
    place[...] = array
    return place
