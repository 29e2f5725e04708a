"""Loops of the paper's ten magnets by Algorithm 1, literally: they take too long to make in a test.

    python -m tests.oracle_loops   # makes oracle_loops.npz again; a minute

The file keeps what a test compares: on which branch every grain is at every field, the mean moment
along the field, and all moments at every 50th field.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_micromag.physics import ND2FE14B, cubic_grains, demag_matrix, random_easy_axes
from keras_micromag.physics.microstructure.particles import PAPER_DEPTH
from tests import oracles

PATH = Path(__file__).with_suffix(".npz")
FIELD = np.linspace(8.0, -8.0, 1000)
EVERY = 50


class OracleLoops(NamedTuple):
    """Ten loops of g = 64 grains along t fields, every 50th of which is one of n."""

    easy_axes: np.ndarray  # (10, g, 3)
    up: np.ndarray  # (10, t, g) bool: whether a grain is on the branch along its easy axis
    along_field: np.ndarray  # (10, t) mean moment along the field
    moments: np.ndarray  # (10, n, g, 3)


def make():
    """Run Algorithm 1 literally and write the file."""
    structure, easy_axes = cubic_grains(depth=PAPER_DEPTH), random_easy_axes((10, 64), seed=1)
    matrix = demag_matrix(structure, self_field=False)
    loops = np.array(
        [
            oracles.simulate_literal(
                matrix,
                structure.weights,
                axes,
                FIELD,
                polarization=ND2FE14B.Js,
                anisotropy_field=ND2FE14B.anisotropy_field,
                avalanche="simultaneous",
            )[0]
            for axes in easy_axes
        ]
    )
    kept = {
        "easy_axes": easy_axes,
        "up": np.packbits(np.einsum("btgi,bgi->btg", loops, easy_axes) > 0, axis=-1),
        "along_field": loops[..., 2].mean(axis=-1).astype(np.float32),
        "moments": loops[:, ::EVERY].astype(np.float32),
    }
    np.savez_compressed(PATH, **kept)


def load() -> OracleLoops:
    """Read the file."""
    with np.load(PATH) as kept:
        loops = OracleLoops(**kept)
    return loops._replace(up=np.unpackbits(loops.up, axis=-1).astype(bool))


if __name__ == "__main__":
    make()
