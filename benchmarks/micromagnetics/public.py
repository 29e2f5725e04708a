"""Compares coercivities of cubes of 50 nm with public ones by mumax3.

The public ones are `cube50nm_angles_mindriver.csv` of the MaMMoS project. Only cubes with Q > 2
whose easy axis is at most 40° from the field are taken, for which the coercivity is the switching
field, and only those whose edge is 6 to 25 times √(L_ex·δ): smaller ones reverse as one particle,
and larger ones take long.
"""

import csv
from collections.abc import Iterator
from itertools import islice
from math import pi
from pathlib import Path

import numpy as np

from benchmarks.micromagnetics.cases import nucleus
from benchmarks.micromagnetics.solver import demagnetise, make_magnet
from keras_micromag.physics import Material

SIZE = 50e-9


def cubes(file: str | Path) -> Iterator[tuple[Material, np.ndarray, np.ndarray, float]]:
    """Yield the material, easy axis, direction of the field, and public coercivity in tesla."""
    with open(file, encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(line for line in lines if not line.startswith("#")):
            if not row["Hc"]:
                continue
            mu0 = 4e-7 * pi
            material = Material(mu0 * float(row["Ms"]), float(row["K1"]), float(row["A"]))
            axis, field = (
                _direction(float(row[f"{name}_theta"]), float(row[f"{name}_phi"]))
                for name in ("k1", "h")
            )
            quality = 2 * mu0 * material.Ku / material.Js**2
            aligned = abs(axis @ field) > np.cos(np.radians(40.0))
            if quality > 2 and aligned and 6 <= SIZE / nucleus(material) <= 25:
                yield material, axis, field, mu0 * float(row["Hc"])


def _direction(theta, phi):
    return np.array([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)])


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
