"""Polycrystals of irregular grains."""

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from keras_micromag.physics.geometry.halfspaces import EmptyBodyError, convex_body
from keras_micromag.physics.geometry.polyhedron import Polyhedron
from keras_micromag.physics.microstructure.material import ND2FE14B, Material
from keras_micromag.physics.microstructure.structure import SCHEME, Microstructure, NoRoomError
from keras_micromag.physics.microstructure.voronoi.diagram import neighbours
from keras_micromag.physics.microstructure.voronoi.samples import SAMPLES, sample_in
from keras_micromag.physics.microstructure.voronoi.sizes import log_normal_volumes, relaxed
from keras_micromag.utils import checks

_APART = 1e-9
"""Seeds nearer to each other than this part of the box are one."""


def voronoi_grains(
    n,
    box,
    seed=None,
    gap: float = 3e-9,
    *,
    sigma: float = 0.0,
    relaxation: int = 0,
    stretch=(1.0, 1.0, 1.0),
    weights=None,
    sample: str = "box",
    vanishing: str = "refuse",
    depth: float | None = None,
    scheme: Sequence[str] = SCHEME,
    material: Material = ND2FE14B,
) -> Microstructure:
    """A polycrystal: the Voronoi or Laguerre cells of points in a box, parted by boundaries.

    Args:
        n: how many grains, their seeds drawn uniformly in the box; or the seeds themselves, (n, 3)
            in metres in a box about the origin.
        box: edge of a cube in metres, or (3,) edges along x, y and z.
        seed: what `numpy.random.default_rng` takes, for all that is drawn.
        gap: thickness of the non-magnetic boundaries in metres: every face is moved inwards by half
            of it, on the box's walls too.
        sigma: standard deviation of the logarithm of the grains' diameters, those of spheres of
            the same volume. The cells then have log-normal sizes, to a millionth of their volume
            before the faces are moved. 0 for Voronoi cells, whose sizes are what they are.
        relaxation: how often every seed moves to its cell's centroid (Lloyd): 0 for cells of all
            shapes, 5 or more for nearly regular ones.
        stretch: (3,) how much longer grains are along x, y and z, such as (1, 1, 3) for needles and
            (2, 2, 1) for flat grains. Only the ratios count.
        weights: (n,) in m², of Laguerre cells for given seeds; see Notes.
        sample: "box"; "cylinder", with its axis along z, or "sphere": inscribed in the box, which
            it is cut from, so that it has fewer grains than n. An elliptical one in a box of
            unequal edges.
        vanishing: "refuse" raises where a grain vanishes between its boundaries, or is too thin
            for its particles; "drop" leaves it out.
        depth, scheme, material: see `Microstructure`.

    Returns:
        The magnet, centred on the origin; its `volume` is that of the sample, boundaries included.

    Raises:
        ValueError: naming the argument; for seeds that are not apart, or outside the box; and for
            grains that vanish, with their numbers, unless they are to be dropped.

    Notes:
        The cell of seed i is where |x - x_i|² - w_i is least, distances being measured after the
        stretch has been undone. Cells of equal weights are Voronoi's. A curved sample is a
        polyhedron of the same volume: a cylinder has 48 sides, a sphere 200 faces.

    Example:
        >>> from keras_micromag.physics import voronoi_grains
        >>> magnet = voronoi_grains(64, 212e-9, seed=1)
        >>> len(magnet), round(magnet.packing_fraction, 2)
        (64, 0.84)
        >>> plate = voronoi_grains(100, (400e-9, 400e-9, 100e-9), seed=1, sigma=0.3, relaxation=2)
        >>> len(plate), float(plate.bounds[1, 2])
        (100, 4.85e-08)
    """
    box = _box(box)
    stretch = checks.finite_array(stretch, "stretch", (3,))
    if not (stretch > 0).all():
        raise ValueError(f"`stretch` must be positive; received {stretch.tolist()}.")
    gap = checks.number(gap, "gap", least=0)
    sigma = checks.number(sigma, "sigma", least=0)
    checks.one_of(sample, "sample", SAMPLES)
    checks.one_of(vanishing, "vanishing", ("refuse", "drop"))
    relaxation = checks.count(relaxation, "relaxation", least=0)
    seeds, rng = _seeds(n, box, seed, sigma)
    # All distances are those before the stretch.
    unstretched = box / stretch
    seeds = (seeds + box / 2) / stretch
    if weights is None:
        volumes = None
        if sigma:
            volumes = log_normal_volumes(len(seeds), sigma, np.prod(unstretched), rng)
        seeds, weights = relaxed(seeds, unstretched, relaxation, volumes)
    else:
        if sigma or relaxation:
            raise ValueError("`weights` must not be given beside `sigma` or `relaxation`.")
        weights = checks.finite_array(weights, "weights", (len(seeds),), "one per seed")

    body = sample_in(box, sample)
    cells = _cells(seeds, weights, unstretched, stretch, body)
    grains = {}
    for number, (normals, offsets, inside) in cells.items():
        try:
            corners, faces, _ = convex_body(normals, offsets - gap / 2, inside)
        except EmptyBodyError:
            continue  # told below
        grains[number] = Polyhedron(corners, faces)
    empty = [] if sample != "box" else [i for i in range(len(seeds)) if i not in cells]
    thin = [i for i in cells if i not in grains]
    if vanishing == "refuse":
        _refuse_vanished(empty, "`weights` must leave every grain a cell")
        _refuse_vanished(thin, f"`gap` must leave something of every grain; received {gap:g} m")
    if not grains:
        raise ValueError(f"`gap` must leave something of the grains; received {gap:g} m.")
    told = {"depth": depth, "scheme": scheme, "material": material, "volume": body.volume}
    try:
        return Microstructure(list(grains.values()), **told)
    except NoRoomError as error:
        thin = [list(grains)[i] for i in error.grains]
        if vanishing == "refuse":
            _refuse_vanished(thin, "`depth` must leave room for particles in every grain")
        if len(thin) == len(grains):
            raise
        return Microstructure([grains[i] for i in grains if i not in set(thin)], **told)


def _refuse_vanished(numbers, wanted):
    if numbers:
        listed = ", ".join(map(str, numbers[:10])) + (" …" if len(numbers) > 10 else "")
        raise ValueError(
            f'{wanted}, or `vanishing` be "drop"; {len(numbers)} vanish, those of seeds {listed}.'
        )


def _box(box):
    edges = checks.numbers(box, "box")
    edges = checks.finite_array(np.full(3, edges) if edges.ndim == 0 else edges, "box", (3,))
    if not (edges > 0).all():
        raise ValueError(f"`box` must have positive edges; received {box!r}.")
    return edges


def _seeds(n, box, seed, drawn):
    """Seeds (n, 3) in a box about the origin, and the generator of what else is to be drawn."""
    if np.ndim(n) == 0:
        n = checks.count(n, "n")
    rng = checks.generator(seed, "grains") if drawn or isinstance(n, int) else None
    if isinstance(n, int):
        return box * (rng.random((n, 3)) - 0.5), rng
    seeds = checks.finite_array(n, "n", (None, 3), "if it holds the seeds")
    if not len(seeds):
        raise ValueError("`n` must hold at least one seed; received none.")
    outside = (np.abs(seeds) >= box / 2).any(axis=1)
    if outside.any():
        i = int(outside.argmax())
        raise ValueError(
            f"`n` must hold seeds in the box about the origin; seed {i} is {seeds[i].tolist()}."
        )
    twins = cKDTree(seeds / box).query_pairs(_APART)
    if twins:
        i, j = min(twins)
        raise ValueError(f"`n` must hold different seeds; {i} and {j} coincide.")
    return seeds, rng


def _cells(seeds, weights, unstretched, stretch, body):
    """{number: (normals, offsets, inside)} of the cells that reach into the sample.

    All in real space, about the origin; `inside` is a point likely to lie in the cell.
    """
    pairs = neighbours(seeds, weights, unstretched)
    own, other = pairs.T
    along = seeds[other] - seeds[own]
    square = (seeds**2).sum(axis=1) - weights
    # |u - u_i|² - w_i < |u - u_j|² - w_j, with u = (x + box / 2) / stretch.
    normals = along / stretch
    length = np.linalg.norm(normals, axis=1)
    normals /= length[:, None]
    offsets = (square[other] - square[own]) / (2 * length)
    offsets -= normals @ (unstretched * stretch / 2)
    starts = np.searchsorted(own, np.arange(len(seeds) + 1))
    places = (seeds - unstretched / 2) * stretch
    cells = {}
    for number, inside in enumerate(places):
        part = slice(starts[number], starts[number + 1])
        if len(seeds) > 1 and part.start == part.stop:
            continue  # covered by other cells
        planes = (
            np.concatenate([normals[part], body.normals]),
            np.concatenate([offsets[part], body.offsets]),
        )
        try:
            _, _, faces = convex_body(*planes, inside)
        except EmptyBodyError:
            continue  # cut away
        cells[number] = (*(plane[faces] for plane in planes), inside)
    return cells
