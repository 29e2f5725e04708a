"""Measures how far scale, rotation, the order of grains and float32 change fields and loops.

    KERAS_BACKEND=jax python -m tests.campaigns.precision --count 1000 --seed 0

For each kind of structure a row says how much the fields of an operator, the particles and the
coercivity change when all lengths are multiplied by 1e-9 to 1e9, when magnet and field are rotated,
and when the grains are permuted; and in how many of these cases the grains reverse in another
order. A last row compares float32 with float64 on `count` random polycrystals.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from keras_micromag.physics import (
    ND2FE14B,
    Hysteresis,
    Material,
    Microstructure,
    Polyhedron,
    core_shell,
    cubic_grains,
    demag_operator,
    random_easy_axes,
    read_neper,
    read_surfaces,
    simulate,
    voronoi_grains,
    write_neper,
)
from tests import oracles
from tests.keras_parts import precision

DEPTH = 1.2 * ND2FE14B.exchange_length
SOFT = Material(Js=1.61, Ku=2.5e6, A=8e-12)
SCALES = (1e-9, 1e-6, 1e-3, 1e3, 1e6, 1e9)
FIELD = np.linspace(8.0, -8.0, 33)


class Move(NamedTuple):
    """A rotation (3, 3), the order (g,) of the grains, and a factor of all lengths."""

    rotation: np.ndarray
    order: np.ndarray
    scale: float


class Kind(NamedTuple):
    """A kind of structure: its grains, and what makes a magnet of them.

    Attributes:
        grains: returns g polyhedra in metres.
        embed: returns the magnet of such grains; the scale multiplies its other lengths.
        shells: whether the magnet has a shell for each of the grains, after all of them.
    """

    grains: Callable[[], Sequence[Polyhedron]]
    embed: Callable[[Sequence[Polyhedron], float], Microstructure]
    shells: bool = False


def _alone(grains, scale):
    return Microstructure(grains, depth=DEPTH * scale)


def _in_shells(grains, scale):
    return core_shell(_alone(grains, scale), 4e-9 * scale, depth=DEPTH * scale)


def _of_stl(grains, scale):
    """Return grains that are written to an STL file in nanometres, and read from it."""
    unit = 1e-9 * scale
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "grains.stl")
        path.write_text("".join(_solid(grain, unit) for grain in grains))
        return _alone(read_surfaces(path, unit=unit), scale)


def _solid(grain, unit):
    lines = ["solid"]
    for triangle in oracles.fan(grain.faces):
        corners = (grain.vertices[list(triangle)] / unit).tolist()
        lines += ["facet normal 0 0 0", "outer loop"]
        lines += ["vertex {!r} {!r} {!r}".format(*corner) for corner in corners]
        lines += ["endloop", "endfacet"]
    return "\n".join([*lines, "endsolid", ""])


def _of_neper(grains, scale):
    """Return grains that are written to a file of Neper, and read from it."""
    unit = 1e-6 * scale
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "grains.tess")
        write_neper(path, Microstructure(grains, depth=DEPTH * scale), unit=unit)
        cells = read_neper(path, unit=unit)
    return cells.microstructure(gap=3e-9 * scale, depth=DEPTH * scale)


def _copies(body, edge):
    """Return eight copies of a body of size 1, as grains of size `edge` with gaps."""
    places = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    return [
        Polyhedron(*oracles.moved(body, scale=edge, shift=1.06 * edge * place)) for place in places
    ]


def _cells(gap=3e-9, **options):
    return voronoi_grains(10, 110e-9, 3, gap, depth=DEPTH, **options).grains


KINDS = {
    "cubes": Kind(lambda: cubic_grains((3, 2, 2)).grains, _alone),
    "touching cubes": Kind(lambda: cubic_grains((2, 2, 2), gap=0.0).grains, _alone),
    "Voronoi cells": Kind(_cells, _alone),
    "Laguerre cells": Kind(lambda: _cells(sigma=0.3, relaxation=2), _alone),
    "needles": Kind(lambda: _cells(stretch=(1.0, 1.0, 3.0)), _alone),
    "cores in shells": Kind(lambda: cubic_grains((2, 2, 1)).grains, _in_shells, shells=True),
    "octahedra": Kind(lambda: _copies(oracles.truncated_octahedron(0.35), 50e-9), _alone),
    "L": Kind(lambda: _copies(oracles.l_prism(), 50e-9), _alone),
    "STL": Kind(_cells, _of_stl),
    "Neper": Kind(lambda: _cells(gap=0.0), _of_neper),
}


def moves(grains: int, count: int, seed: int) -> Iterator[tuple[str, Move]]:
    """Yield what a move changes, and the move: all scales, then rotations, orders, all at once."""
    rng = np.random.default_rng(seed)
    still, in_order = np.eye(3), np.arange(grains)
    for scale in SCALES:
        yield "scaled", Move(still, in_order, scale)
    for _ in range(count):
        rotation = Rotation.random(None, rng).as_matrix()
        yield "rotated", Move(rotation, in_order, 1.0)
        yield "permuted", Move(still, rng.permutation(grains), 1.0)
        yield "all", Move(rotation, rng.permutation(grains), float(10 ** rng.uniform(-9, 9)))


class Magnet(NamedTuple):
    """A structure with its easy axes, the materials of its grains and the field's direction."""

    structure: Microstructure
    easy_axes: np.ndarray
    material: list[Material]
    direction: np.ndarray

    def loop(self, dtype: str = "float64", **options) -> Hysteresis:
        """Simulate the loop, by events."""
        with precision(dtype):
            return simulate(
                self.structure,
                self.easy_axes,
                material=self.material,
                field=FIELD,
                field_direction=self.direction,
                self_field=False,
                method="events",
                dtype=dtype,
                progress=False,
                **options,
            )


def magnet(kind: Kind, seed: int, move: Move | None = None) -> tuple[Magnet, np.ndarray]:
    """Return a magnet that is moved, and (g,) the numbers that its grains had before."""
    grains = kind.grains()
    if move is None:
        move = Move(np.eye(3), np.arange(len(grains)), 1.0)
    moved = [
        Polyhedron(move.scale * grains[i].vertices @ move.rotation.T, grains[i].faces)
        for i in move.order
    ]
    structure = kind.embed(moved, move.scale)
    before = np.concatenate([move.order, move.order + len(grains)]) if kind.shells else move.order
    axes = random_easy_axes(len(structure), cone=35.0, seed=seed)[before] @ move.rotation.T
    material = [SOFT if kind.shells and i >= len(grains) else ND2FE14B for i in before]
    return Magnet(structure, axes, material, move.rotation[:, 2]), before


class Change(NamedTuple):
    """How far a moved magnet is from the one before, each relative to the scale.

    Attributes:
        particles: largest displacement, in units of the smallest grain.
        fields: by the operator's kind, the largest change of a field in units of Js.
        course: whether the grains reverse in another order.
        coercivity: change in tesla.
    """

    particles: float
    fields: dict[str, float]
    course: bool
    coercivity: float


def change(
    kind: Kind, move: Move, seed: int, operators: Sequence[str] = ("dense", "hierarchical")
) -> Change:
    """Compare a moved magnet with the one before."""
    first, (second, before) = magnet(kind, seed)[0], magnet(kind, seed, move)
    loop, moved = first.loop(), second.loop()
    return Change(
        *field_change(kind, move, seed, operators),
        course=not np.array_equal(before[moved.events.grain], loop.events.grain),
        coercivity=float(np.abs(moved.coercivity() - loop.coercivity()).max()),
    )


def field_change(
    kind: Kind, move: Move, seed: int, operators: Sequence[str]
) -> tuple[float, dict[str, float]]:
    """Return how far particles and fields of a moved magnet are off; see `Change`."""
    first, (second, before) = magnet(kind, seed)[0], magnet(kind, seed, move)
    # The particles of a grain are in no certain order.
    back = second.structure.particles @ move.rotation / move.scale
    which, distance = _nearest(first.structure.particles[before], back)
    size = min(grain.size for grain in first.structure.grains)
    moments = np.random.default_rng(seed).normal(size=first.easy_axes.shape)
    moments /= np.linalg.norm(moments, axis=1, keepdims=True)
    fields = {}
    for name in operators:
        one, other = (
            demag_operator(each.structure, name, dtype="float64", self_field=False, progress=False)
            for each in (first, second)
        )
        expected = np.take_along_axis(one(moments)[before], which[..., None], axis=1)
        found = other(moments[before] @ move.rotation.T) @ move.rotation
        fields[name] = float(np.abs(found - expected).max())
    return float(distance.max() / size), fields


def _nearest(points, queries):
    """Return (g, p) the number of the point of each grain that is nearest, and the distances."""
    found = [cKDTree(p).query(q) for p, q in zip(points, queries, strict=True)]
    return np.stack([which for _, which in found]), np.stack([d for d, _ in found])


def polycrystal(rng: np.random.Generator) -> Magnet:
    """Draw a polycrystal of 8 to 20 grains, with a particle below each face."""
    n = int(rng.integers(8, 21))
    structure = voronoi_grains(
        n, 53e-9 * n ** (1 / 3), rng, relaxation=1, vanishing="drop", scheme=("faces",)
    )
    g = len(structure)
    axes = random_easy_axes(g, cone=35.0, seed=rng)
    return Magnet(structure, axes, [ND2FE14B] * g, np.array([0.0, 0.0, 1.0]))


class Pair(NamedTuple):
    """A loop in float32 compared with that in float64.

    Attributes:
        course: whether the grains reverse in another order.
        coercivity: difference in tesla. field: largest difference of the fields, in tesla, at which
            a grain reverses.
    """

    course: bool
    coercivity: float
    field: float


def pairs(count: int, seed: int, **options) -> Iterator[Pair]:
    """Yield a comparison for each of `count` random polycrystals; `options` are of `simulate`."""
    for number in range(count):
        drawn = polycrystal(np.random.default_rng([seed, number]))
        low, high = (drawn.loop(dtype, **options) for dtype in ("float32", "float64"))
        fields = np.abs(low.switching_fields - high.switching_fields)
        yield Pair(
            course=not np.array_equal(low.events.grain, high.events.grain),
            coercivity=float(np.abs(low.coercivity() - high.coercivity()).max()),
            field=float(fields.max()),
        )


def main() -> None:
    """Print a row for each kind of structure and move, and one on float32."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--moves", type=int, default=5, help="rotations and orders of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", nargs="*", choices=KINDS, default=list(KINDS))
    arguments = parser.parse_args()
    for name in arguments.kind:
        kind, found = KINDS[name], {}
        for what, move in moves(len(kind.grains()), arguments.moves, arguments.seed):
            found.setdefault(what, []).append(change(kind, move, arguments.seed))
        for what, changes in found.items():
            fields = ", ".join(
                f"{operator} {max(c.fields[operator] for c in changes):.0e}"
                for operator in changes[0].fields
            )
            print(
                f"{name:16} {what:9} particles {max(c.particles for c in changes):.0e}, fields "
                f"{fields}, Hc {max(c.coercivity for c in changes):.0e} T, other course "
                f"{sum(c.course for c in changes)} of {len(changes)}",
                flush=True,
            )
    for avalanche in ("weakest_first", "simultaneous"):
        every = list(pairs(arguments.count, arguments.seed, avalanche=avalanche))
        for course, title in ((False, "same course"), (True, "other course")):
            some = [pair for pair in every if pair.course == course]
            print(
                f"float32, {avalanche:13}: {title} {len(some)} of {len(every)}, Hc within "
                f"{max((p.coercivity for p in some), default=0.0):.1e} T, single grains within "
                f"{max((p.field for p in some), default=0.0):.1e} T",
                flush=True,
            )


if __name__ == "__main__":
    main()
