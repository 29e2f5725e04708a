"""Describes the magnets whose switching fields are computed, and keeps the results as CSV files.

A file has one row per grain. All but the last three columns describe the magnet, which `read` makes
again from them.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from math import ceil, cos, radians, sin, sqrt
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from benchmarks.micromagnetics.solver import (
    Curve,
    Magnet,
    NotConvergedError,
    demagnetise,
    make_magnet,
)
from keras_micromag import physics
from keras_micromag.physics import (
    ND2FE14B,
    Material,
    Microstructure,
    Polyhedron,
    contact_areas,
    random_easy_axes,
    voronoi_grains,
)
from keras_micromag.physics.geometry.halfspaces import convex_body
from keras_micromag.utils.indices import grid

DATA = Path(__file__).parent / "data"
MATERIALS = {
    name: physics.MATERIALS[name] for name in ("Nd2Fe14B", "SmCo5", "Sm2Co17", "BaFe12O19")
}
"""Those that were computed; strontium ferrite is nearly as barium ferrite."""

INPUTS = (
    *("material", "Js_T", "A_J_per_m", "Ku_J_per_m3", "shape", "n_x", "n_y", "n_z"),
    *("size_x_m", "size_y_m", "size_z_m", "gap_m", "cell_m", "J_J_per_m2", "seed"),
    *("grain", "x_m", "y_m", "z_m", "axis_x", "axis_y", "axis_z"),
)
RESULTS = ("switching_T", "bracket_T", "coercivity_T")


@dataclass(frozen=True)
class Case:
    """A magnet in a field along z.

    Args:
        material: the constants of all grains.
        easy_axes: a unit vector for each grain.
        cell: the edge of a cell of the mesh, in metres.
        size: the extent of a grain along x, y and z; of a Voronoi polycrystal, that of its box.
        shape: "box", "truncated octahedron" (`size` is the distance of opposite squares), or
            "voronoi".
        counts: the grains along x, y and z. A Voronoi polycrystal has their product.
        gap: the distance between neighbours.
        areal_exchange: J in J/m² between faces that lie opposite each other.
        seed: for the seeds of Voronoi cells.
        tol: the brackets' width as a part of the anisotropy field. It is not in the files.
    """

    material: Material
    easy_axes: tuple[tuple[float, float, float], ...]
    cell: float
    size: tuple[float, float, float]
    shape: Literal["box", "truncated octahedron", "voronoi"] = "box"
    counts: tuple[int, int, int] = (1, 1, 1)
    gap: float = 0.0
    areal_exchange: float = 0.0
    seed: int = 0
    tol: float = 0.002

    def structure(self, **kwargs) -> Microstructure:
        """Return the grains; `kwargs` such as `depth` and `scheme` place their particles."""
        if self.shape == "voronoi":
            n = int(np.prod(self.counts))
            return voronoi_grains(n, self.size, self.seed, self.gap, relaxation=2, **kwargs)
        half = np.array(self.size) / 2
        normals = np.concatenate([np.eye(3), -np.eye(3)])
        offsets = np.concatenate([half, half])
        if self.shape == "truncated octahedron":
            diagonals = np.array(list(product((-1, 1), repeat=3))) / sqrt(3)
            normals = np.concatenate([normals, diagonals])
            offsets = np.concatenate([offsets, np.full(8, 1.5 * half[0] / sqrt(3))])
        corners, faces, _ = convex_body(normals, offsets)
        body = Polyhedron(corners, faces)
        sites = grid(*map(np.arange, self.counts)).reshape(-1, 3)
        centres = (sites - (np.array(self.counts) - 1) / 2) * (2 * half + self.gap)
        return Microstructure([body.translated(centre) for centre in centres], **kwargs)

    def mesh(self) -> np.ndarray:
        """Return the grain of each cell, (x, y, z), from 1 on: the one that holds its centre."""
        structure = self.structure()
        low, high = structure.bounds
        cells = np.ceil((high - low) / self.cell - 1e-6).astype(int)
        start = (low + high - (cells - 1) * self.cell) / 2
        labels = np.zeros(cells, dtype=int)
        for number, grain in enumerate(structure.grains, start=1):
            # Only the cells about the grain.
            first, last = (
                np.clip(np.rint((corner - start) / self.cell).astype(int), 0, cells - 1)
                for corner in (grain.vertices.min(axis=0), grain.vertices.max(axis=0))
            )
            part = labels[tuple(map(slice, first, last + 1))]
            centres = start + self.cell * grid(*map(np.arange, first, last + 1))
            part[grain.contains(centres.reshape(-1, 3)).reshape(part.shape)] = number
        return labels

    def magnet(self) -> Magnet:
        """Return the magnet for the solver."""
        coupling = {}
        if self.areal_exchange:
            # Along an axis the gap of oblique faces is wider by √3 at most.
            coupling["gap"] = ceil(sqrt(3) * self.gap / self.cell - 1e-6)
            coupling["areas"] = contact_areas(self.structure())
        return make_magnet(
            self.mesh(),
            self.easy_axes,
            self.material,
            self.cell,
            areal_exchange=self.areal_exchange,
            **coupling,
        )

    def solve(self, verbose: bool = False) -> Curve:
        """Return the demagnetisation curve."""
        tol = self.tol * self.material.anisotropy_field
        return demagnetise(self.magnet(), tol, verbose=verbose)

    def inputs(self) -> list[tuple[str, ...]]:
        """Return the columns `INPUTS` of each grain."""
        m = self.material
        shared = (
            *(m.name, m.Js, m.A, m.Ku, self.shape, *self.counts, *self.size),
            *(self.gap, self.cell, self.areal_exchange, self.seed),
        )
        centroids = np.round(self.structure().centroids, 13)
        return [
            tuple(map(_text, (*shared, number, *centroid, *axis)))
            for number, (centroid, axis) in enumerate(zip(centroids, self.easy_axes, strict=True))
        ]


class Result(NamedTuple):
    """A case, and what was computed: switching fields and brackets (g,), coercivity, in tesla."""

    case: Case
    switching: np.ndarray
    bracket: np.ndarray
    coercivity: float


def _text(value):
    return value if isinstance(value, str) else f"{value + 0.0:.8g}"


def path(family: str) -> Path:
    """Return the file of a family."""
    return DATA / f"{family}.csv"


def run(family: str, count: int | None = None, seed: int = 0, verbose: bool = False) -> None:
    """Append the cases of a family that its file does not have yet, and print each.

    Args:
        family: a name in `FAMILIES`.
        count: only the first so many cases; by default all of a finite family, or 40.
        seed: for those families that are drawn.
        verbose: whether to print each field.
    """
    file = path(family)
    file.parent.mkdir(exist_ok=True)
    if not file.exists():
        file.write_text(",".join((*INPUTS, *RESULTS)) + "\n", encoding="utf-8")
    with file.open(encoding="utf-8", newline="") as lines:
        done = {tuple(row[name] for name in INPUTS) for row in csv.DictReader(lines)}
    for case in islice(FAMILIES[family](seed), 40 if count is None else count):
        inputs = case.inputs()
        if inputs[0] in done:
            continue
        try:
            curve = case.solve(verbose)
        except NotConvergedError as error:
            print(f"left out: {case}: {error}", flush=True)
            continue
        results = [
            tuple(map(_text, (switching, bracket, curve.coercivity())))
            for switching, bracket in zip(curve.switching, curve.bracket, strict=True)
        ]
        rows = [(*a, *b) for a, b in zip(inputs, results, strict=True)]
        with file.open("a", encoding="utf-8", newline="") as lines:
            lines.write("".join(",".join(row) + "\n" for row in rows))
        print("\n".join(",".join(row) for row in rows), flush=True)


def read(family: str) -> list[Result]:
    """Return the cases of a family's file with their results."""
    with path(family).open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    results = []
    while rows:
        first = rows[0]
        values = {name: float(first[name]) for name in INPUTS if name not in ("material", "shape")}
        counts = tuple(int(first[f"n_{axis}"]) for axis in "xyz")
        grains, rows = rows[: np.prod(counts)], rows[np.prod(counts) :]
        case = Case(
            Material(
                values["Js_T"], values["Ku_J_per_m3"], values["A_J_per_m"], name=first["material"]
            ),
            tuple(tuple(float(row[f"axis_{axis}"]) for axis in "xyz") for row in grains),
            values["cell_m"],
            tuple(values[f"size_{axis}_m"] for axis in "xyz"),
            first["shape"],
            counts,
            values["gap_m"],
            values["J_J_per_m2"],
            int(first["seed"]),
        )
        switching, bracket = (
            np.array([float(row[name]) for row in grains]) for name in RESULTS[:2]
        )
        results.append(Result(case, switching, bracket, float(first["coercivity_T"])))
    return results


def nucleus(material: Material) -> float:
    """Return the length √(L_ex·δ) with δ = √(A/Ku), on which the size of a nucleus depends."""
    return sqrt(material.exchange_length * material.wall_width)


def single(
    material: Material,
    size: float | Sequence[float],
    angle: float,
    azimuth: float = 20.0,
    *,
    cell: float = 2e-9,
    shape: str = "box",
) -> Case:
    """Return a single grain whose easy axis has an angle to the field, in degrees."""
    theta, phi = radians(angle), radians(azimuth)
    axis = (sin(theta) * cos(phi), sin(theta) * sin(phi), cos(theta))
    size = tuple(map(float, np.broadcast_to(size, 3)))
    return Case(material, (axis,), cell, size, shape, tol=0.001)


def many(
    material: Material,
    counts: tuple[int, int, int],
    size: float,
    gap: float,
    seed: Sequence[int],
    *,
    cell: float = 2e-9,
    cone: float = 35.0,
    shape: str = "box",
    areal_exchange: float = 0.0,
) -> Case:
    """Return a magnet of several grains, with easy axes drawn from a cone."""
    axes = random_easy_axes(int(np.prod(counts)), cone=cone, seed=seed)
    return Case(
        material,
        tuple(map(tuple, axes.tolist())),
        cell,
        (size, size, size),
        shape,
        counts,
        gap,
        areal_exchange,
        seed[0],
    )


def cubes(seed: int) -> Iterator[Case]:
    """Yield cubes at 1° from the field."""
    sizes = {"Nd2Fe14B": (20, 30, 40, 50, 70)}
    for name, material in MATERIALS.items():
        for size in sizes.get(name, (30, 50)):
            yield single(material, size * 1e-9, 1.0)
    for (size, cells), material in product(((15e-9, 8), (100e-9, 32)), MATERIALS.values()):
        yield single(material, size, 1.0, cell=size / cells)
    yield single(MATERIALS["Nd2Fe14B"], 140e-9, 1.0, cell=140e-9 / 48)


def angles(seed: int) -> Iterator[Case]:
    """Yield cubes of 40 nm at other angles."""
    for angle, material in product((0.5, 5, 10, 20, 35, 45, 60), MATERIALS.values()):
        yield single(material, 40e-9, angle)


def drawn(seed: int) -> Iterator[Case]:
    """Yield cubes of random materials, sizes and easy axes.

    Js is 0.4 to 1.8 T, A 4 to 20 pJ/m, Q = Ku/Kd with Kd = Js²/2µ0 1 to 30, the size 15 to 80 nm
    (all but Js on a logarithmic scale), and the easy axis lies 0.5° to 50° from the field. Cells
    have at most √(L_ex·δ); cubes of more than 36 of them along an edge are drawn again.
    """
    index = 0
    while True:
        rng = np.random.default_rng((seed, index))
        index += 1
        js = rng.uniform(0.4, 1.8)
        stiffness, quality, size = np.exp(
            rng.uniform(np.log([4e-12, 1.0, 15e-9]), np.log([20e-12, 30.0, 80e-9]))
        )
        angle, azimuth = rng.uniform((0.5, 0.0), (50.0, 45.0))
        material = Material(js, quality * js**2 / (8e-7 * np.pi), stiffness)
        cells = int(np.ceil(size / nucleus(material)))
        if cells <= 36:
            yield single(material, size, angle, azimuth, cell=size / max(cells, 8))


def eight(seed: int) -> Iterator[Case]:
    """Yield magnets of 2×2×2 cubes of 30 nm with gaps of 3 nm, three textures per material."""
    for texture, material in product(range(3), MATERIALS.values()):
        yield many(material, (2, 2, 2), 30e-9, 3e-9, (seed, texture), cell=3e-9)


def isotropic(seed: int) -> Iterator[Case]:
    """Yield magnets as in `eight` with easy axes in all directions, two textures per material."""
    for texture, material in product(range(2), MATERIALS.values()):
        yield many(material, (2, 2, 2), 30e-9, 3e-9, (seed, 30 + texture), cell=3e-9, cone=90.0)


def larger(seed: int) -> Iterator[Case]:
    """Yield magnets of 2×2×2 cubes of 50 nm with gaps of 2.5 nm, four textures."""
    for texture in range(4):
        cell = 2.5e-9
        yield many(ND2FE14B, (2, 2, 2), 50e-9, cell, (seed, 40 + texture), cell=cell)


def twentyseven(seed: int) -> Iterator[Case]:
    """Yield magnets of 3×3×3 cubes of 20 nm with gaps of 2.5 nm."""
    for material in MATERIALS.values():
        yield many(material, (3, 3, 3), 20e-9, 2.5e-9, (seed, 0), cell=2.5e-9)


def shapes(seed: int) -> Iterator[Case]:
    """Yield plates, needles and truncated octahedra at 1° and 15°."""
    for angle, material in product((1.0, 15.0), MATERIALS.values()):
        yield single(material, (40e-9, 40e-9, 14e-9), angle)
        yield single(material, (20e-9, 20e-9, 60e-9), angle)
        yield single(material, 40e-9, angle, shape="truncated octahedron")
    # Plates of 1.5 to 4 times the radius of a nucleus.
    for (name, side, heights), angle in product(
        (("Sm2Co17", 40, (12, 16, 24, 32)), ("BaFe12O19", 60, (22, 30, 44, 60))), (1.0, 15.0)
    ):
        for height in heights:
            size = (side * 1e-9, side * 1e-9, height * 1e-9)
            yield single(MATERIALS[name], size, angle)


def gaps(seed: int) -> Iterator[Case]:
    """Yield magnets of 2×2×2 cubes of 30 nm with gaps of 6 and 2 nm, and two of 4 nm."""
    for gap, material in product((6e-9, 2e-9), MATERIALS.values()):
        yield many(material, (2, 2, 2), 30e-9, gap, (seed, 10), cell=min(gap, 3e-9))
    for name in ("Nd2Fe14B", "SmCo5"):  # the first texture of `eight`, with finer cells
        yield many(MATERIALS[name], (2, 2, 2), 30e-9, 4e-9, (seed, 0))


def polycrystals(seed: int) -> Iterator[Case]:
    """Yield Voronoi polycrystals of eight grains with gaps of 4 nm in a box of 69 nm."""
    for texture, material in product(range(3), MATERIALS.values()):
        kind = {"cell": 2.5e-9, "shape": "voronoi"}
        yield many(material, (2, 2, 2), 69e-9, 4e-9, (seed + texture, 20), **kind)


def avalanches(seed: int) -> Iterator[Case]:
    """Yield magnets as in `eight` in which the order of flips decides which grains reverse.

    They are the first of the textures (99, 0), (99, 1), … for which this package's loops by
    "weakest_first" and by "simultaneous" differ.
    """
    textures = {"Nd2Fe14B": (1, 5, 23, 50, 55, 57, 58, 65)}
    textures["BaFe12O19"] = (1, 15, 18, 19, 20, 24, 36, 51)
    for pair in zip(*textures.values(), strict=True):
        for name, texture in zip(textures, pair, strict=True):
            yield many(MATERIALS[name], (2, 2, 2), 30e-9, 3e-9, (99, texture), cell=3e-9)


def coupled(seed: int) -> Iterator[Case]:
    """Yield magnets as in `eight` with exchange across the boundaries, which are 3 or 6 nm thick.

    Of ten textures, five have each thickness.
    """
    names, areals = ("Nd2Fe14B", "Sm2Co17", "BaFe12O19"), (1e-3, 3e-3, 3e-4, 6e-3, 1e-4)
    for texture, areal, name in product((0, 5, 1, 6, 2, 7, 3, 8, 4, 9), areals, names):
        kind = {"cell": 3e-9, "areal_exchange": areal}
        gap = 3e-9 if texture < 5 else 6e-9
        yield many(MATERIALS[name], (2, 2, 2), 30e-9, gap, (seed, texture), **kind)


def coupled_polycrystals(seed: int) -> Iterator[Case]:
    """Yield Voronoi polycrystals of 15 grains in a box of 79 nm, coupled across gaps of 4 nm."""
    for texture, areal in product(range(3), (1e-3, 3e-3, 3e-4)):
        kind = {"cell": 2.5e-9, "shape": "voronoi", "areal_exchange": areal}
        yield many(ND2FE14B, (5, 3, 1), 79e-9, 4e-9, (seed + texture, 60), **kind)


def coupled_larger(seed: int) -> Iterator[Case]:
    """Yield magnets as in `larger` with exchange across the boundaries."""
    for texture, areal in product(range(2), (1e-3, 3e-3, 3e-4)):
        kind = {"cell": 2.5e-9, "areal_exchange": areal}
        yield many(ND2FE14B, (2, 2, 2), 50e-9, 2.5e-9, (seed, 40 + texture), **kind)


def coupled_small(seed: int) -> Iterator[Case]:
    """Yield coupled magnets of 2×2×2 cubes of 12 and 8 nm, hardly larger than nuclei or smaller."""
    for size, texture, areal in product((12e-9, 8e-9), range(3), (1e-3, 3e-3, 3e-4)):
        kind = {"areal_exchange": areal}
        yield many(ND2FE14B, (2, 2, 2), size, 2e-9, (seed, 70 + texture), **kind)


def sixtyfour(seed: int) -> Iterator[Case]:
    """Yield magnets of 4×4×4 cubes of 30 and 50 nm with gaps of one cell."""
    for size, cell in ((30e-9, 3e-9), (50e-9, 50e-9 / 15)):
        yield many(ND2FE14B, (4, 4, 4), size, cell, (seed, 0), cell=cell)


FAMILIES: dict[str, Callable[[int], Iterator[Case]]] = {
    "cubes": cubes,
    "angles": angles,
    "random": drawn,
    "eight": eight,
    "isotropic": isotropic,
    "larger": larger,
    "twentyseven": twentyseven,
    "shapes": shapes,
    "gaps": gaps,
    "polycrystals": polycrystals,
    "coupled": coupled,
    "coupled_polycrystals": coupled_polycrystals,
    "coupled_larger": coupled_larger,
    "coupled_small": coupled_small,
    "avalanches": avalanches,
    "sixtyfour": sixtyfour,
}
