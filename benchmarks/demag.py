"""How fast `demag_tensor` and `demag_matrix` are, beside magpylib's TriangularMesh.

Both work in float64 in one process and take turns, so that what else the machine does falls on
both; a ratio is taken within each round. The count is the same for both: a truncated octahedron is
44 triangles, and the unit of time is one triangle seen from one point. In that time magpylib gives
the field of one magnetisation, and the package the whole tensor, the fields of all three: the ratio
does not make use of that. Making the meshes, checks included, is not timed for magpylib; for the
package everything from the vertices on is.

Run it with `python -m benchmarks.demag`.
"""

import argparse
import time
import tracemalloc
from itertools import permutations

import magpylib
import numpy as np
from scipy.spatial.transform import Rotation

from benchmarks.timing import interleave, print_table, spread
from keras_micromag.physics import (
    Microstructure,
    Polyhedron,
    cubic_grains,
    demag_matrix,
    demag_tensor,
)
from keras_micromag.utils.indices import grid

TRIANGLES = 44
GOALS = {"ratio": 8.0, "seconds": 0.1}


def truncated_octahedron(edge: float, rotation: np.ndarray, centre: np.ndarray) -> Polyhedron:
    """A truncated octahedron, whose faces lie in |x| = 2 and |x| + |y| + |z| = 3 when unscaled."""
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
    """n³ truncated octahedra, no two alike in size or attitude, so that nothing repeats."""
    rng = np.random.default_rng(seed)
    attitudes = Rotation.random(n**3, rng).as_matrix()
    sites = grid(*[np.arange(n)] * 3).reshape(-1, 3)
    return Microstructure(
        [
            truncated_octahedron(rng.uniform(14e-9, 16e-9), attitude, site * 52e-9)
            for attitude, site in zip(attitudes, sites, strict=True)
        ]
    )


def mesh(grain: Polyhedron) -> magpylib.magnet.TriangularMesh:
    """The grain for magpylib, unchecked."""
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
    """Nanoseconds (rounds, 2) per triangle and point, for one grain seen from many points."""
    rng = np.random.default_rng(1)
    grain = truncated_octahedron(15e-9, Rotation.random(None, rng).as_matrix(), np.zeros(3))
    # A few sizes around the grain, inside as well, as particles lie.
    seen_from = rng.uniform(-100e-9, 100e-9, size=(points, 3))
    peer = mesh(grain)
    _, seconds = interleave(
        (
            lambda: demag_tensor(seen_from, grain.vertices, grain.faces),
            lambda: peer.getH(seen_from),
        ),
        rounds,
    )
    return seconds * 1e9 / (TRIANGLES * points)


def whole_matrix(n: int, rounds: int) -> np.ndarray:
    """Nanoseconds (rounds, 2) per triangle and point, for the matrix of n³ different grains."""
    structure = polycrystal(n)
    g, p = structure.weights.shape
    meshes = [mesh(grain) for grain in structure.grains]
    particles = structure.particles.reshape(-1, 3)
    _, seconds = interleave(
        (
            lambda: demag_matrix(structure, self_field=True),
            lambda: magpylib.getH(meshes, particles),  # all at once, which is its faster way
        ),
        rounds,
    )
    return seconds * 1e9 / (TRIANGLES * g * g * p)


def papers_magnet(rounds: int) -> list[float]:
    """Seconds of `demag_matrix` for the paper's 64 cubes, each time a new structure."""
    seconds = []
    for _ in range(rounds + 1):
        structure = cubic_grains()
        start = time.perf_counter()
        demag_matrix(structure)
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def memory(structure: Microstructure) -> tuple[float, float]:
    """Size of B in MB, and the peak while it is made in units of it, B itself included."""
    demag_matrix(structure)  # what is cached on the structure is no temporary
    tracemalloc.start()
    size = demag_matrix(structure).nbytes
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / 1e6, peak / size


def main(argv=None) -> None:
    """Measure, and print one line each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demag", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="rounds that count, at least 7")
    parser.add_argument("--points", type=int, default=5000, help="points around the one grain")
    parser.add_argument("--grains", type=int, default=3, help="grains per axis of the polycrystal")
    arguments = parser.parse_args(argv)
    print(f"median [min, max] of {arguments.rounds} rounds; per triangle and point")
    rows = [("truncated octahedra", "keras-micromag, ns", "magpylib, ns", "ratio")]
    for name, times in (
        (f"demag_tensor, {arguments.points} points", one_grain(arguments.points, arguments.rounds)),
        (
            f"demag_matrix, {arguments.grains**3} grains",
            whole_matrix(arguments.grains, arguments.rounds),
        ),
    ):
        ours, peer = times.T
        rows.append((name, spread(ours, 1), spread(peer, 0), spread(peer / ours, 1)))
    print_table(rows)
    print(f"goal: ratio at least {GOALS['ratio']:g}")
    print()
    seconds = papers_magnet(arguments.rounds)
    print(f"the paper's magnet, 64 cubes: {spread(seconds, 3)} s (goal: {GOALS['seconds']:g} s)")
    for name, structure in (
        ("the paper's magnet", cubic_grains()),
        (f"{arguments.grains**3} truncated octahedra", polycrystal(arguments.grains)),
    ):
        size, peak = memory(structure)
        print(f"peak memory, {name}: {peak:.2f} times B of {size:.1f} MB, B itself included")


if __name__ == "__main__":
    main()
