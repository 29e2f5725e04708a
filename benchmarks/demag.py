"""Times `demag_tensor` and `demag_matrix` beside magpylib's TriangularMesh.

Both compute in float64 in one process and in turns, so that other load on the machine falls on
both; ratios are taken within a round. The unit is the time of one triangle seen from one point: a
truncated octahedron has 44 triangles. In that time magpylib computes the field of one
magnetisation, and the package the tensor, that is the fields of three, which the ratio leaves out.
The time of magpylib leaves out making the meshes; that of the package includes everything from the
vertices on.

Run it with `python -m benchmarks.demag`.
"""

import argparse
from itertools import permutations

import magpylib
import numpy as np
from scipy.spatial.transform import Rotation

from benchmarks import records
from benchmarks.timing import interleave, print_table, spread
from keras_micromag.physics import (
    Microstructure,
    Polyhedron,
    demag_matrix,
    demag_tensor,
)
from keras_micromag.utils.indices import grid

TRIANGLES = 44


def truncated_octahedron(edge: float, rotation: np.ndarray, centre: np.ndarray) -> Polyhedron:
    """Return a truncated octahedron; unscaled, its faces lie in |x| = 2 and |x| + |y| + |z| = 3."""
    corners = {p for x in (-1, 1) for y in (-2, 2) for p in permutations((0, x, y))}
    vertices = np.array(sorted(corners))
    squares = [sign * axis for axis in np.eye(3) for sign in (-1, 1)]
    hexagons = [np.array((x, y, z)) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
    faces = []
    for normal in (*squares, *hexagons):
        height = vertices @ normal
        on = np.flatnonzero(height == height.max())
        spokes = vertices[on] - vertices[on].mean(axis=0)
        sideways = np.cross(normal, spokes[0]) / np.linalg.norm(normal)
        faces.append(on[np.argsort(np.arctan2(spokes @ sideways, spokes @ spokes[0]))])
    return Polyhedron(centre + vertices @ rotation.T * (edge / np.sqrt(2)), faces)


def polycrystal(n: int, seed: int = 0) -> Microstructure:
    """Return n³ truncated octahedra, all of different size and orientation."""
    rng = np.random.default_rng(seed)
    rotations = Rotation.random(n**3, rng).as_matrix()
    sites = grid(*[np.arange(n)] * 3).reshape(-1, 3)
    return Microstructure(
        [
            truncated_octahedron(rng.uniform(14e-9, 16e-9), rotation, site * 52e-9)
            for rotation, site in zip(rotations, sites, strict=True)
        ]
    )


def mesh(grain: Polyhedron) -> magpylib.magnet.TriangularMesh:
    """Return a grain as magpylib's mesh, without magpylib's checks."""
    triangles = [(f[0], f[i], f[i + 1]) for f in grain.faces for i in range(1, len(f) - 1)]
    return magpylib.magnet.TriangularMesh(
        vertices=grain.vertices,
        faces=triangles,
        polarization=(0.0, 0.0, 1.0),
        check_open="skip",
        check_disconnected="skip",
        check_selfintersecting="skip",
        reorient_faces="skip",
    )


def one_grain(points: int, rounds: int) -> np.ndarray:
    """Return nanoseconds (rounds, 2) per triangle and point, for one grain and many points."""
    rng = np.random.default_rng(1)
    grain = truncated_octahedron(15e-9, Rotation.random(None, rng).as_matrix(), np.zeros(3))
    # Inside the grain, and up to a few grain sizes away.
    at = rng.uniform(-100e-9, 100e-9, size=(points, 3))
    peer = mesh(grain)
    _, seconds = interleave(
        (
            lambda: demag_tensor(at, grain.vertices, grain.faces),
            lambda: peer.getH(at),
        ),
        rounds,
    )
    return seconds * 1e9 / (TRIANGLES * points)


def matrix_of_grains(n: int, rounds: int) -> np.ndarray:
    """Return nanoseconds (rounds, 2) per triangle and point, for the matrix of n³ grains."""
    structure = polycrystal(n)
    g, p = structure.weights.shape
    meshes = [mesh(grain) for grain in structure.grains]
    particles = structure.particles.reshape(-1, 3)
    _, seconds = interleave(
        (
            lambda: demag_matrix(structure, self_field=True),
            lambda: magpylib.getH(meshes, particles),  # in one call, which is faster
        ),
        rounds,
    )
    return seconds * 1e9 / (TRIANGLES * g * g * p)


def main(argv=None) -> None:
    """Time both, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demag", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="timed rounds")
    parser.add_argument("--points", type=int, default=5000, help="points around the one grain")
    parser.add_argument("--grains", type=int, default=3, help="grains per axis of the polycrystal")
    records.add_argument(parser)
    arguments = parser.parse_args(argv)
    print(f"median [min, max] of {arguments.rounds} rounds; per triangle and point")
    rows = [("truncated octahedra", "keras-micromag, ns", "magpylib, ns", "ratio")]
    figures = {}
    for key, name, times in (
        (
            "tensor",
            f"demag_tensor, {arguments.points} points",
            one_grain(arguments.points, arguments.rounds),
        ),
        (
            "matrix",
            f"demag_matrix, {arguments.grains**3} grains",
            matrix_of_grains(arguments.grains, arguments.rounds),
        ),
    ):
        ours, peer = times.T
        rows.append((name, spread(ours, 1), spread(peer, 0), spread(peer / ours, 1)))
        figures[key] = records.measured(ours, "ns")
        figures[f"{key}_magpylib"] = records.measured(peer, "ns")
        figures[f"{key}_ratio"] = records.measured(peer / ours)
    print_table(rows)
    if arguments.save:
        records.save("demag", figures, parser, argv, backend=False)


if __name__ == "__main__":
    main()
