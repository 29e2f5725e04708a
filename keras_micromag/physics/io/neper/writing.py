"""Write Neper's tessellation files."""

from itertools import chain, product

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from keras_micromag.physics.io.neper.orientations import rotations, turned_to
from keras_micromag.physics.io.neper.tessellation import Tessellation
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.utils import checks
from keras_micromag.utils.files import whole

CRYSTAL_SYMMETRIES = (
    *("triclinic", "cubic", "hexagonal", "-1", "2/m", "mmm", "4/m", "4/mmm", "-3", "-3m", "6/m"),
    *("6/mmm", "m-3", "m-3m"),
)
"""Neper's names."""

_WELD = 1e-10
"""Corners of two grains nearer than this, in units of the smaller grain's size, are one."""

_FILLED = 1e-9
"""What may be missing of a box that is full, in units of its volume or of its edges."""


def write_neper(
    path,
    structure: Microstructure | Tessellation,
    *,
    easy_axes=None,
    orientations=None,
    unit: float = 1e-6,
    crystal_symmetry: str | None = None,
) -> None:
    """Write grains to a tessellation file (`.tess`) of format 3.5: whole, or not at all.

    Args:
        path: of the file.
        structure: its grains or cells become the cells.
        easy_axes: (g, 3) unit vectors that the crystals' c axes lie along; how the crystals are
            turned about their c is arbitrary. Without these and `orientations`, a tessellation's
            own orientations are written, and none for a microstructure.
        orientations: (g, 3, 3) rotation matrices, instead of `easy_axes`; see `Tessellation`.
        unit: metres per unit of length of the file.
        crystal_symmetry: one of Neper's names, such as "4/mmm". By default the tessellation's own,
            else "hexagonal".

    Raises:
        ValueError: for a symmetry that Neper does not have, both `easy_axes` and `orientations`,
            or a wrong shape of one.

    Notes:
        Corners of different grains that coincide (to 1e-10 of the grain's size), and the edges and
        faces between them, are written once, which is what Neper needs to mesh a polycrystal.
        Faces that touch without having the same corners, such as of bricks in a wall, stay two
        faces: Neper then takes them for free surfaces, and does not join the meshes.

        Grains that fill their bounding box get a domain `cube` whose vertices, edges and faces
        name those of the grains, as Neper writes it. All others, so also grains parted by a gap,
        get a domain `unknown` that has none: Neper can draw the cells and mesh each of them, but
        has no names for their outer faces. Orientations are written as `quaternion:passive`, ids,
        seeds and weights are those of a tessellation, and periodicity is not written. All numbers
        have the digits to come back as they were, up to rounding by `unit`.

        Neper itself was not at hand: what it does with such files follows its documentation and
        the files in its repository.

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
    grains = structure.cells if tessellation else structure.grains
    unit = checks.number(unit, "unit", above=0)
    if crystal_symmetry is None:
        crystal_symmetry = (tessellation and tessellation.crystal_symmetry) or "hexagonal"
    checks.one_of(crystal_symmetry, "crystal_symmetry", CRYSTAL_SYMMETRIES)
    if tessellation and easy_axes is None and orientations is None:
        orientations = tessellation.orientations
    turns = _turns(len(grains), easy_axes, orientations)
    points, loops, normals, surfaces = _joined(grains)
    edges, sides = _edges(loops)
    points = points / unit
    lines = chain(
        ("***tess", " **format", "   3.5", " **general", "   3 standard"),
        _cell_lines(len(grains), tessellation, crystal_symmetry, turns, unit),
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
    with whole(path, "w", encoding="ascii", newline="\n") as file:
        file.write("\n".join(lines) + "\n")


def _row(values):
    """Numbers as Neper reads them, with all their digits."""
    return " ".join(map(str, np.asarray(list(values)).tolist()))


def _turns(g, easy_axes, orientations):
    if easy_axes is not None and orientations is not None:
        raise ValueError("`easy_axes` or `orientations` must be given, not both; received both.")
    if easy_axes is not None:
        axes = checks.unit_vectors(easy_axes, "easy_axes", (g, 3), f"with g = {g}")
        return rotations(turned_to(axes), "easy_axes")
    if orientations is not None:
        matrices = checks.finite_array(orientations, "orientations", (g, 3, 3), f"with g = {g}")
        return rotations(matrices, "orientations")
    return None


def _cell_lines(g, tessellation, crystal_symmetry, turns, unit):
    yield from (" **cell", f"  {g}")
    if tessellation:
        yield from ("  *id", f"   {_row(tessellation.ids)}")
    yield from ("  *crysym", f"   {crystal_symmetry}")
    if tessellation and tessellation.seeds is not None:
        yield "  *seed"
        weights = np.zeros(g) if tessellation.weights is None else tessellation.weights
        seeds = np.column_stack([tessellation.seeds, weights]) / unit
        yield from (f"   {k} {_row(seed)}" for k, seed in enumerate(seeds, 1))
    if turns is not None:
        yield from ("  *ori", "   quaternion:passive")
        yield from (f"   {_row(q)}" for q in turns.as_quat(canonical=True, scalar_first=True))


# ---------------------------------------------------------------------------------------------
# What grains share
# ---------------------------------------------------------------------------------------------


def _joined(grains):
    """Points (v, 3) in metres; of each face its points and normal; of each grain its ±faces."""
    points, corners = _welded(grains)
    numbers, loops, normals, surfaces = {}, [], [], []
    for grain, corner in zip(grains, corners, strict=True):
        surface = []
        for face, normal in zip(grain.faces, grain.normals, strict=True):
            loop = [int(v) for v in corner[list(face)]]
            # Its neighbour, if there is one, has the same corners in the opposite order.
            shared = numbers.pop(_from_least(loop[::-1]), None)
            if shared is None:
                loops.append(_from_least(loop))
                normals.append(normal)
                numbers[loops[-1]] = len(loops)
            surface.append(-shared if shared else len(loops))
        surfaces.append(surface)
    return points, loops, normals, surfaces


def _from_least(loop):
    k = loop.index(min(loop))
    return tuple(loop[k:] + loop[:k])


def _welded(grains):
    """Points without repetitions, and for each grain which of them its vertices are."""
    points = np.concatenate([grain.vertices for grain in grains])
    counts = [len(grain.vertices) for grain in grains]
    owner = np.repeat(np.arange(len(grains)), counts)
    room = _WELD * np.array([grain.size for grain in grains])[owner]
    a, b = cKDTree(points).query_pairs(room.max(), output_type="ndarray").T
    near = np.linalg.norm(points[a] - points[b], axis=1) <= np.minimum(room[a], room[b])
    links = coo_array((near[near], (a[near], b[near])), shape=(len(points),) * 2)
    group = connected_components(links, directed=False)[1]
    # A grain may have edges as short as that, which must not vanish: there, equal corners are one.
    _, which, times = np.unique(
        np.stack([group, owner]), axis=1, return_inverse=True, return_counts=True
    )
    apart = np.isin(group, group[times[which] > 1])
    group[apart] = len(points) + np.unique(points[apart], axis=0, return_inverse=True)[1]
    _, first, index = np.unique(group, return_index=True, return_inverse=True)
    return points[first], np.split(index, np.cumsum(counts)[:-1])


def _edges(loops):
    """(e, 2) the points that edges join, and of each face its ±edges, counted from 1."""
    numbers = {}
    sides = []
    for loop in loops:
        side = []
        for a, b in zip(loop, loop[1:] + loop[:1], strict=True):
            number = numbers.setdefault((min(a, b), max(a, b)), len(numbers) + 1)
            side.append(number if a < b else -number)
        sides.append(side)
    return np.array(list(numbers)), sides


# ---------------------------------------------------------------------------------------------
# The domain
# ---------------------------------------------------------------------------------------------


def _domain_lines(points, edges, loops, volume):
    bounds = np.stack([points.min(axis=0), points.max(axis=0)])
    edge = bounds[1] - bounds[0]
    # on[axis][end]: (v,) whether a point lies on that side of the box.
    on = np.abs(points.T[:, None] - bounds.T[:, :, None]) <= _FILLED * edge[:, None, None]
    corners = [
        (ends, np.flatnonzero(on[0][ends[0]] & on[1][ends[1]] & on[2][ends[2]]))
        for ends in product((0, 1), repeat=3)
    ]
    full = abs(volume / np.prod(edge) - 1) <= _FILLED and all(len(at) == 1 for _, at in corners)
    yield from (" **domain", "  *general", f"   {'cube' if full else 'unknown'}")
    if full:
        yield from _box_lines(bounds, on, corners, edges, loops)
    else:
        yield from ("  *vertex", "   0", "  *edge", "   0", "  *face", "   0")


def _box_lines(bounds, on, corners, edges, loops):
    """The box with what lies on it, in the labels that Neper gives it."""
    ends = [end for end, _ in corners]
    yield from ("  *vertex", "   8")
    for k, (end, at) in enumerate(corners, 1):
        place = (bounds[end[axis], axis] for axis in range(3))
        yield f"   {k} {_row(place)} {_label(zip('xyz', end, strict=True))}"
        yield f"     1 {at[0] + 1}"
    yield from ("  *edge", "   12")
    numbers = {}
    for (i, a), (j, b) in product(enumerate(ends), repeat=2):
        fixed = [axis for axis in range(3) if a[axis] == b[axis]]
        if i < j and len(fixed) == 2:
            numbers[i, j] = numbers[j, i] = len(numbers) // 2 + 1
            along = on[fixed[0]][a[fixed[0]]] & on[fixed[1]][a[fixed[1]]]
            held = np.flatnonzero(along[edges].all(axis=1)) + 1
            yield f"   {numbers[i, j]} 2 {i + 1} {j + 1}"
            yield from ("     line", "     0")
            yield f"     {_label(('xyz'[axis], a[axis]) for axis in fixed)}"
            yield f"     {len(held)} {_row(held)}"
    yield from ("  *face", "   6")
    for k, (axis, end) in enumerate(product(range(3), (0, 1)), 1):
        around = ((0, 0), (0, 1), (1, 1), (1, 0))
        ring = [ends.index((*pair[:axis], end, *pair[axis:])) for pair in around]
        sides = (numbers[i, j] for i, j in zip(ring, ring[1:] + ring[:1], strict=True))
        held = [f for f, loop in enumerate(loops, 1) if on[axis][end][list(loop)].all()]
        inward = (np.arange(3) == axis) * (1.0 - 2.0 * end)
        yield f"   {k} 4 {_row(i + 1 for i in ring)}"
        yield f"     4 {_row(sides)}"
        yield "     plane"
        yield f"     4 {_row((bounds[end] @ inward, *inward))}"
        yield f"     {'xyz'[axis]}{end}"
        yield f"     {len(held)} {_row(held)}"


def _label(sides):
    return "".join(f"{axis}{end}" for axis, end in sides)
