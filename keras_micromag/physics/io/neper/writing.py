"""Write Neper's tessellation files."""

import os
from itertools import chain, product

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from keras_micromag.physics.io.neper.orientations import checked_rotations, matrices_from_easy_axes
from keras_micromag.physics.io.neper.tessellation import Tessellation
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.utils import checks
from keras_micromag.utils.files import atomic_open

CRYSTAL_SYMMETRIES = (
    *("triclinic", "cubic", "hexagonal", "-1", "2/m", "mmm", "4/m", "4/mmm", "-3", "-3m", "6/m"),
    *("6/mmm", "m-3", "m-3m"),
)
"""Neper's names of crystal symmetries."""

_WELD_TOL = 1e-10
"""Corners of two grains nearer than this, in units of the size of the smaller grain, are merged."""

_BOX_TOL = 1e-9
"""Tolerance, relative to its volume and edges, within which grains fill their bounding box."""


def write_neper(
    path: str | os.PathLike,
    structure: Microstructure | Tessellation,
    *,
    easy_axes: ArrayLike | None = None,
    orientations: ArrayLike | None = None,
    unit: float = 1e-6,
    crystal_symmetry: str | None = None,
) -> None:
    """Write grains to a tessellation file (`.tess`) of format 3.5.

    The file is written completely, or not at all.

    Args:
        path: of the file.
        structure: a microstructure, whose grains become the cells, or a tessellation.
        easy_axes: (g, 3) unit vectors along the c axes of the crystals; the rotation of a crystal
            about its c axis is arbitrary. Without `easy_axes` and `orientations`, a tessellation is
            written with its own orientations, and a microstructure without any.
        orientations: (g, 3, 3) rotation matrices, instead of `easy_axes`; see `Tessellation`.
        unit: metres per unit of length of the file.
        crystal_symmetry: one of Neper's names, such as "4/mmm". By default that of the
            tessellation, else "hexagonal".

    Raises:
        ValueError: for a symmetry that Neper does not have, for both `easy_axes` and
            `orientations`, or for one of a wrong shape.

    Notes:
        Corners of different grains that coincide (to 1e-10 of the size of the grain), and the edges
        and faces between them, are written once: Neper needs this to mesh a polycrystal. Faces that
        touch but differ in their corners, such as those of bricks in a wall, remain two faces.
        Neper then treats them as free surfaces and does not join the meshes.

        Grains that fill their bounding box get a domain `cube`, whose vertices, edges and faces
        list those of the grains, as in Neper's own files. All other grains, including grains
        separated by a gap, get a domain `unknown` without vertices, edges or faces. Neper can draw
        the cells and mesh each of them, but has no names for their outer faces. Orientations are
        written as `quaternion:passive`. Ids, seeds and weights are those of a tessellation;
        periodicity is not written. All numbers have enough digits to be read back unchanged, up to
        rounding by `unit`.

        The format follows Neper's documentation and the files in its repository. It was not tested
        with Neper itself.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from keras_micromag.physics import cubic_grains
        >>> from keras_micromag.physics.io.neper import write_neper
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "cubes.tess")
        ...     write_neper(path, cubic_grains((2, 2, 2), gap=0.0), easy_axes=[[0, 0, 1]] * 8)
        ...     path.read_text().split()[:6]
        ['***tess', '**format', '3.5', '**general', '3', 'standard']
    """
    tessellation = structure if isinstance(structure, Tessellation) else None
    grains = structure.cells if isinstance(structure, Tessellation) else structure.grains
    unit = checks.number(unit, "unit", above=0)
    if crystal_symmetry is None:
        crystal_symmetry = (tessellation and tessellation.crystal_symmetry) or "hexagonal"
    checks.one_of(crystal_symmetry, "crystal_symmetry", CRYSTAL_SYMMETRIES)
    if tessellation and easy_axes is None and orientations is None:
        orientations = tessellation.orientations
    rotations = _rotations(len(grains), easy_axes, orientations)
    points, loops, normals, surfaces = _shared_faces(grains)
    edges, sides = _edges(loops)
    with np.errstate(over="ignore"):
        points = points / unit
    if not (np.abs(points) < checks.LARGEST).all():
        raise ValueError(f"`unit` must not be so small; received {unit:g}.")
    lines = chain(
        ("***tess", " **format", "   3.5", " **general", "   3 standard"),
        _cell_lines(len(grains), tessellation, crystal_symmetry, rotations, unit),
        (" **vertex", f"  {len(points)}"),
        (f"  {k} {_row(point)} 0" for k, point in enumerate(points, 1)),
        (" **edge", f"  {len(edges)}"),
        (f"  {k} {a + 1} {b + 1} 0" for k, (a, b) in enumerate(edges, 1)),
        (" **face", f"  {len(loops)}"),
        *(
            (
                f"  {k} {len(loop)} {_row(v + 1 for v in loop)}",
                f"    {len(loop)} {_row(side)}",
                f"    {_row((normal @ points[loop[0]], *normal))}",
                f"    0 0 {_row(points[list(loop)].mean(axis=0))}",
            )
            for k, (loop, side, normal) in enumerate(zip(loops, sides, normals, strict=True), 1)
        ),
        (" **polyhedron", f"  {len(surfaces)}"),
        (f"  {k} {len(surface)} {_row(surface)}" for k, surface in enumerate(surfaces, 1)),
        _domain_lines(points, edges, loops, float(sum(g.volume for g in grains)) / unit**3),
        ("***end",),
    )
    with atomic_open(path, "w", encoding="ascii", newline="\n") as file:
        file.write("\n".join(lines) + "\n")


def _row(values):
    """Return numbers as a line of Neper, with all their digits."""
    return " ".join(map(str, np.asarray(list(values)).tolist()))


def _rotations(g, easy_axes, orientations):
    """Return the g rotations of the crystals, or None."""
    if easy_axes is not None and orientations is not None:
        raise ValueError("`easy_axes` or `orientations` must be given, not both; received both.")
    if easy_axes is not None:
        axes = checks.unit_vectors(easy_axes, "easy_axes", (g, 3), f"with g = {g}")
        return checked_rotations(matrices_from_easy_axes(axes), "easy_axes")
    if orientations is not None:
        matrices = checks.finite_array(orientations, "orientations", (g, 3, 3), f"with g = {g}")
        return checked_rotations(matrices, "orientations")
    return None


def _cell_lines(g, tessellation, crystal_symmetry, rotations, unit):
    """Yield the lines of the section "cell"."""
    yield from (" **cell", f"  {g}")
    if tessellation:
        yield from ("  *id", f"   {_row(tessellation.ids)}")
    yield from ("  *crysym", f"   {crystal_symmetry}")
    if tessellation and tessellation.seeds is not None:
        yield "  *seed"
        weights = np.zeros(g) if tessellation.weights is None else tessellation.weights
        seeds = np.column_stack([tessellation.seeds, weights]) / unit
        yield from (f"   {k} {_row(seed)}" for k, seed in enumerate(seeds, 1))
    if rotations is not None:
        yield from ("  *ori", "   quaternion:passive")
        quaternions = np.roll(rotations.as_quat(canonical=True), 1, axis=1)  # the scalar first
        yield from (f"   {_row(q)}" for q in quaternions)


# ---------------------------------------------------------------------------------------------
# Shared vertices, edges and faces
# ---------------------------------------------------------------------------------------------


def _shared_faces(grains):
    """Merge the corners and faces that grains have in common.

    Returns:
        Points (v, 3) in metres; for each face its points and its normal; for each grain its faces,
        counted from 1, negative where the grain is on the side that the normal points to.
    """
    points, indices = _merged_corners(grains)
    numbers, loops, normals, surfaces = {}, [], [], []
    for grain, index in zip(grains, indices, strict=True):
        surface = []
        for face, normal in zip(grain.faces, grain.normals, strict=True):
            loop = [int(v) for v in index[list(face)]]
            # The face of a neighbour has the same corners in the opposite order.
            shared = numbers.pop(_from_smallest(loop[::-1]), None)
            if shared is None:
                loops.append(_from_smallest(loop))
                normals.append(normal)
                numbers[loops[-1]] = len(loops)
            surface.append(-shared if shared else len(loops))
        surfaces.append(surface)
    return points, loops, normals, surfaces


def _from_smallest(loop):
    """Return a loop rotated so that it begins with its smallest index."""
    k = loop.index(min(loop))
    return tuple(loop[k:] + loop[:k])


def _merged_corners(grains):
    """Return the distinct points of all grains, and for each grain the indices of its vertices."""
    points = np.concatenate([grain.vertices for grain in grains])
    counts = [len(grain.vertices) for grain in grains]
    owner = np.repeat(np.arange(len(grains)), counts)
    tol = _WELD_TOL * np.array([grain.size for grain in grains])[owner]
    a, b = cKDTree(points).query_pairs(tol.max(), output_type="ndarray").T
    near = np.linalg.norm(points[a] - points[b], axis=1) <= np.minimum(tol[a], tol[b])
    links = coo_array((near[near], (a[near], b[near])), shape=(len(points),) * 2)
    group = connected_components(links, directed=False)[1]
    # Two corners of one grain must not be merged, even at the ends of a very short edge. In groups
    # with two such corners, only corners with equal coordinates are merged.
    _, which, times = np.unique(
        np.stack([group, owner]), axis=1, return_inverse=True, return_counts=True
    )
    exact = np.isin(group, group[times[which] > 1])
    group[exact] = len(points) + np.unique(points[exact], axis=0, return_inverse=True)[1]
    _, first, index = np.unique(group, return_index=True, return_inverse=True)
    return points[first], np.split(index, np.cumsum(counts)[:-1])


def _edges(loops):
    """Return the edges as pairs of points (e, 2), and for each face its edges, counted from 1.

    The number of an edge is negative where a face runs along it from the second point to the first.
    """
    numbers = {}
    sides = []
    for loop in loops:
        signed = []
        for a, b in zip(loop, loop[1:] + loop[:1], strict=True):
            number = numbers.setdefault((min(a, b), max(a, b)), len(numbers) + 1)
            signed.append(number if a < b else -number)
        sides.append(signed)
    return np.array(list(numbers)), sides


# ---------------------------------------------------------------------------------------------
# The domain
# ---------------------------------------------------------------------------------------------


def _domain_lines(points, edges, loops, volume):
    """Yield the lines of the section "domain": a box that the grains fill, or an unknown domain."""
    bounds = np.stack([points.min(axis=0), points.max(axis=0)])
    lengths = bounds[1] - bounds[0]
    # on_side[axis][end]: (v,) whether a point lies on that side of the box.
    on_side = np.abs(points.T[:, None] - bounds.T[:, :, None]) <= _BOX_TOL * lengths[:, None, None]
    corners = [
        (ends, np.flatnonzero(on_side[0][ends[0]] & on_side[1][ends[1]] & on_side[2][ends[2]]))
        for ends in product((0, 1), repeat=3)
    ]
    filled = abs(volume / np.prod(lengths) - 1) <= _BOX_TOL
    filled = filled and all(len(at_corner) == 1 for _, at_corner in corners)
    yield from (" **domain", "  *general", f"   {'cube' if filled else 'unknown'}")
    if filled:
        yield from _box_lines(bounds, on_side, corners, edges, loops)
    else:
        yield from ("  *vertex", "   0", "  *edge", "   0", "  *face", "   0")


def _box_lines(bounds, on_side, corners, edges, loops):
    """Yield the vertices, edges and faces of the box, with Neper's labels and what lies on them.

    `corners` holds for each corner of the box its ends (0 or 1 along x, y and z) and the points
    that lie there.
    """
    corner_ends = [ends for ends, _ in corners]
    yield from ("  *vertex", "   8")
    for k, (ends, at_corner) in enumerate(corners, 1):
        position = (bounds[ends[axis], axis] for axis in range(3))
        yield f"   {k} {_row(position)} {_label(zip('xyz', ends, strict=True))}"
        yield f"     1 {at_corner[0] + 1}"
    yield from ("  *edge", "   12")
    edge_numbers = {}
    for (i, a), (j, b) in product(enumerate(corner_ends), repeat=2):
        fixed = [axis for axis in range(3) if a[axis] == b[axis]]
        if i < j and len(fixed) == 2:
            edge_numbers[i, j] = edge_numbers[j, i] = len(edge_numbers) // 2 + 1
            on_edge = on_side[fixed[0]][a[fixed[0]]] & on_side[fixed[1]][a[fixed[1]]]
            members = np.flatnonzero(on_edge[edges].all(axis=1)) + 1
            yield f"   {edge_numbers[i, j]} 2 {i + 1} {j + 1}"
            yield from ("     line", "     0")
            yield f"     {_label(('xyz'[axis], a[axis]) for axis in fixed)}"
            yield f"     {len(members)} {_row(members)}"
    yield from ("  *face", "   6")
    for k, (axis, end) in enumerate(product(range(3), (0, 1)), 1):
        around = ((0, 0), (0, 1), (1, 1), (1, 0))
        ring = [corner_ends.index((*pair[:axis], end, *pair[axis:])) for pair in around]
        sides = (edge_numbers[i, j] for i, j in zip(ring, ring[1:] + ring[:1], strict=True))
        members = [f for f, loop in enumerate(loops, 1) if on_side[axis][end][list(loop)].all()]
        inward = (np.arange(3) == axis) * (1.0 - 2.0 * end)
        yield f"   {k} 4 {_row(i + 1 for i in ring)}"
        yield f"     4 {_row(sides)}"
        yield "     plane"
        yield f"     4 {_row((bounds[end] @ inward, *inward))}"
        yield f"     {'xyz'[axis]}{end}"
        yield f"     {len(members)} {_row(members)}"


def _label(sides):
    """Return Neper's label of sides of the box, given as (axis, end): "x0y1"."""
    return "".join(f"{axis}{end}" for axis, end in sides)
