"""Compares coercivities with public micromagnetic simulations of cubes of 50 nm.

The simulations are those of the MaMMoS project (MIT licence): `cube50nm_aligned.csv` of its
repository BSW_data_generation, and `cube50nm_angles_mindriver.csv` of ML-models. Each is one cube
of a random material, by finite differences (mumax3); in the second set the easy axis and the field
have random directions, of which those within 50° of each other are compared. A cube here has
particles at the calibrated depth and the field of its own magnetisation less that of the nucleus.

The table has, for each range of Q = 2 µ0·Ku / Js², the number of cubes, R² of µ0·Hc in tesla and in
units of the anisotropy field, and the ratio of both coercivities: its median and quartiles, and its
5th and 95th percentile. Each has a second line for cubes clearly larger than a nucleus, whose depth
is below 0.45 of the size: smaller ones turn coherently.

Run it with `python -m benchmarks.public_cubes FOLDER`, with the folder of the two files;
KERAS_BACKEND chooses the backend.
"""

import argparse
from pathlib import Path

import numpy as np

from benchmarks.timing import print_table
from keras_micromag.physics import Material, calibrated_depth, cubic_grains, simulate
from keras_micromag.physics.microstructure.material import MU0

SIZE = 50e-9
LARGEST_ANGLE = 50.0
LARGER = 0.45
HARDNESS = ((1.0, 2.0), (2.0, np.inf))


def read(path: Path) -> np.ndarray:
    """Return the rows of a file as a structured array of its columns of numbers."""
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    names = lines[0].split(",")
    kept = [index for index, name in enumerate(names) if name not in ("", "calculator")]
    kept = [index for index in kept if "path" not in names[index]]
    return np.genfromtxt(lines, delimiter=",", names=True, usecols=kept)


def aligned(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the easy axes and the fields' directions (n, 3) of the first set."""
    up = np.tile([0.0, 0.0, 1.0], (len(rows), 1))
    return up, up


def at_angles(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the easy axes and the fields' directions (n, 3) of the second set.

    Of the two ends of an easy axis it is the one nearer to the field.
    """
    axes = _unit_vectors(rows["k1_theta"], rows["k1_phi"])
    directions = _unit_vectors(rows["h_theta"], rows["h_phi"])
    towards = np.sign(np.einsum("ni,ni->n", axes, directions))
    return axes * towards[:, None], directions


def _unit_vectors(theta, phi):
    return np.stack(
        [np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1
    )


def material_of(row: np.void) -> Material:
    """Return the material of a row."""
    return Material(Js=MU0 * row["Ms"], Ku=row["K1"], A=row["A"])


def coercivity(material: Material, axis: np.ndarray, direction: np.ndarray) -> float:
    """Return µ0·Hc in tesla of one cube."""
    reach = 1.5 * (material.anisotropy_field + material.Js)
    loop = simulate(
        cubic_grains((1, 1, 1), size=SIZE, depth="calibrated", material=material),
        axis[None],
        material=material,
        field=[reach, 0.0, -reach],
        field_direction=direction,
        self_field="nucleus",
        method="events",
        allow_unconverged=True,  # a cube without an equilibrium is counted, and left out
        progress=False,
    )
    return float(loop.coercivity())


def compare(rows, axes, directions) -> np.ndarray:
    """Return (n, 4) µ0·Hc here and there, the anisotropy field, and the depth over the size."""
    values = []
    for row, axis, direction in zip(rows, axes, directions, strict=True):
        material = material_of(row)
        here, there = coercivity(material, axis, direction), MU0 * row["Hc"]
        values.append((here, there, material.anisotropy_field, calibrated_depth(material) / SIZE))
    return np.reshape(values, (-1, 4))


def agreement(values: np.ndarray) -> list[str]:
    """Return the number of cubes, R² twice, and the ratio with its spread."""
    if len(values) < 2:
        return [str(len(values)), *["–"] * 4]
    found = np.isfinite(values[:, 0])
    here, there, scale, _ = values[found].T
    low, first, median, third, high = np.percentile(here / there, [5, 25, 50, 75, 95])
    return [
        str(len(values)) if found.all() else f"{found.sum()} of {len(values)}",
        f"{r_squared(here, there):.5f}",
        f"{r_squared(here / scale, there / scale):.4f}",
        f"{median:.4f} [{first:.4f}, {third:.4f}]",
        f"{low:.4f}, {high:.4f}",
    ]


def r_squared(computed: np.ndarray, expected: np.ndarray) -> float:
    """Return R², the share of the variance of the expected values that is explained."""
    error = ((computed - expected) ** 2).sum()
    return float(1 - error / ((expected - expected.mean()) ** 2).sum())


def main(argv=None) -> None:
    """Simulate the cubes, and print a line for each set and range of Q."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.public_cubes", description=main.__doc__
    )
    parser.add_argument("folder", type=Path, help="folder of the two files")
    parser.add_argument("--count", type=int, default=300, help="cubes of each line, at most")
    parser.add_argument("--seed", type=int, default=0, help="draws the cubes")
    parser.add_argument("--aligned", action="store_true", help="compare aligned cubes, too")
    arguments = parser.parse_args(argv)
    sets = [("at angles", "cube50nm_angles_mindriver.csv", at_angles)]
    if arguments.aligned:
        sets.append(("aligned", "cube50nm_aligned.csv", aligned))
    table = [("cubes", "n", "R², T", "R², reduced", "ratio [quartiles]", "5 %, 95 %")]
    for name, file, orient in sets:
        rows = read(arguments.folder / file)
        axes, directions = orient(rows)
        cosine = np.einsum("ni,ni->n", axes, directions)
        usable = np.isfinite(rows["Hc"]) & (rows["Hc"] > 0)
        usable &= cosine >= np.cos(np.radians(LARGEST_ANGLE))
        hardness = 2 * rows["K1"] / (MU0 * rows["Ms"] ** 2)
        for low, high in HARDNESS:
            chosen = np.flatnonzero(usable & (hardness > low) & (hardness <= high))
            rng = np.random.default_rng(arguments.seed)
            chosen = rng.permutation(chosen)[: arguments.count]
            values = compare(rows[chosen], axes[chosen], directions[chosen])
            label = f"{name}, Q > {low:g}" + (f" to {high:g}" if np.isfinite(high) else "")
            table.append((label, *agreement(values)))
            table.append(("  larger", *agreement(values[values[:, 3] < LARGER])))
    print_table(table)


if __name__ == "__main__":
    main()
