"""Digests: what a result follows from, told in a line."""

import hashlib

import numpy as np

from keras_micromag.physics.structure import Microstructure


def digest(*arrays) -> str:
    """`"sha256 ..."`, of arrays with their dtypes and shapes."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(f"{array.dtype} {array.shape} ".encode())
        total.update(np.ascontiguousarray(array))
    return f"sha256 {total.hexdigest()}"


def digest_of_structure(structure: Microstructure) -> str:
    """The same of a structure's grains, their particles, and their volume."""
    faces = repr([grain.faces for grain in structure.grains]).encode()
    vertices = np.concatenate([grain.vertices for grain in structure.grains])
    volume = np.array(structure.volume)
    faces = np.frombuffer(faces, np.uint8)
    return digest(vertices, faces, structure.particles, structure.weights, volume)
