"""Compares coercivities of cubes of 50 nm with public ones by mumax3.

The public ones are `cube50nm_angles_mindriver.csv` of the MaMMoS project. Only cubes with Q > 2
whose easy axis is at most 40° from the field are taken, for which the coercivity is the switching
field, and only those whose edge is 6 to 25 times √(L_ex·δ): smaller ones reverse as one particle,
and larger ones take long.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.micromagnetics.cases import nucleus
from benchmarks.micromagnetics.solver import demagnetise, make_magnet
from benchmarks.public_cubes import SIZE, at_angles, material_of, read
from keras_micromag.physics import Material
from keras_micromag.physics.microstructure.material import MU0


def cubes(file: str | Path) -> Iterator[tuple[Material, np.ndarray, np.ndarray, float]]:
    """Yield the material, easy axis, direction of the field, and public coercivity in tesla."""
    rows = read(Path(file))
    rows = rows[np.isfinite(rows["Hc"])]
    axes, directions = at_angles(rows)
    for row, axis, direction in zip(rows, axes, directions, strict=True):
        material = material_of(row)
        quality = 2 * MU0 * material.Ku / material.Js**2
        near = axis @ direction > np.cos(np.radians(40.0))
        of_size = 6 <= SIZE / nucleus(material) <= 25
        if quality > 2 and near and of_size:
            yield material, axis, direction, MU0 * row["Hc"]


def compare(file: str | Path, count: int) -> np.ndarray:
    """Print the first cubes, and return the ratios of their coercivities to the public ones.

    Args:
        file: `cube50nm_angles_mindriver.csv`.
        count: how many cubes.
    """
    ratios = []
    for material, axis, field, public in islice(cubes(file), count):
        cells = max(10, int(np.ceil(SIZE / nucleus(material))))
        grain = np.ones((cells, cells, cells), dtype=int)
        magnet = make_magnet(grain, [axis], material, SIZE / cells, direction=field)
        ours = demagnetise(magnet, 1e-3 * material.anisotropy_field).coercivity()
        ratios.append(ours / public)
        angle = np.degrees(np.arccos(min(1.0, abs(axis @ field))))
        print(
            f"Js {material.Js:.2f} T, Ku {material.Ku / 1e6:.2f} MJ/m³, A {material.A * 1e12:.1f} "
            f"pJ/m, {angle:.1f}°: {ours:.4f} T, public {public:.4f} T, ratio {ratios[-1]:.4f}",
            flush=True,
        )
    print(f"median ratio {np.median(ratios):.4f} [{min(ratios):.4f}, {max(ratios):.4f}]")
    return np.array(ratios)
