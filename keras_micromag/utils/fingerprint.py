"""Digests of arrays, which identify the input of a stored result."""

import hashlib

import numpy as np


def fingerprint(*arrays: np.ndarray) -> str:
    """Return `"sha256 ..."`, a digest of arrays with their dtypes and shapes."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(f"{array.dtype} {array.shape} ".encode())
        total.update(np.ascontiguousarray(array).data)
    return f"sha256 {total.hexdigest()}"
