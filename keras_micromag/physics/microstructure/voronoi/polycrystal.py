"""Polycrystals of irregular grains."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from keras_micromag.physics.geometry.halfspaces import EmptyBodyError, convex_body
from keras_micromag.physics.geometry.polyhedron import Polyhedron
from keras_micromag.physics.microstructure.material import Material, for_each_grain
from keras_micromag.physics.microstructure.particles import Depth
from keras_micromag.physics.microstructure.structure import (
    SCHEME,
    GrainTooThinError,
    Microstructure,
)
from keras_micromag.physics.microstructure.voronoi.diagram import neighbours
from keras_micromag.physics.microstructure.voronoi.samples import SAMPLES, inscribed_sample
from keras_micromag.physics.microstructure.voronoi.sizes import log_normal_volumes, relax_seeds
from keras_micromag.utils import checks, memory

_SAME_SEED = 1e-9
"""Seeds nearer to each other than this, in units of the box, coincide."""

_LONGEST = 1e5
"""Largest ratio of two edges of the box. Beyond it the lifted points of the diagram lose the
distances along the short edge to rounding."""


_MOST_ITERATIONS = 10_000
"""Largest number of Lloyd iterations; a larger one is a mistake that would take hours."""


def voronoi_grains(
    n: int | ArrayLike,
    box: float | ArrayLike,
    seed: int | Sequence[int] | np.random.Generator | None = None,
    gap: float = 3e-9,
    *,
    sigma: float = 0.0,
    relaxation: int = 0,
    stretch: ArrayLike = (1.0, 1.0, 1.0),
    weights: ArrayLike | None = None,
    sample: Literal["box", "cylinder", "sphere"] = "box",
    vanishing: Literal["refuse", "drop"] = "refuse",
    depth: Depth = "calibrated",
    scheme: Sequence[str] = SCHEME,
    material: Material | Sequence[Material] | None = None,
) -> Microstructure:
    """Make a polycrystal: Voronoi or Laguerre cells in a box, separated by grain boundaries.

    Args:
        n: number of grains, whose seeds are drawn uniformly in the box; or the seeds themselves,
            (n, 3) in metres in a box about the origin.
        box: edge of a cube in metres, or (3,) edges along x, y and z.
        seed: for the random numbers, as `numpy.random.default_rng` takes it. It is needed unless
            the seeds of the grains are given and `sigma` is 0.
        gap: thickness of the non-magnetic boundaries in metres. Every face moves inwards by half
            of it, also on the walls of the box.
        sigma: standard deviation of the logarithm of the grain diameters (of spheres of the same
            volume). The cells then have log-normal sizes, accurate to a millionth of their volume
            before the faces move inwards. 0 leaves the sizes of Voronoi cells as they are.
        relaxation: number of Lloyd iterations, each of which moves every seed to the centroid of
            its cell: 0 for cells of all shapes, 5 or more for nearly regular ones.
        stretch: (3,) relative length of the grains along x, y and z, such as (1, 1, 3) for needles
            and (2, 2, 1) for flat grains. Only the ratios count.
        weights: (n,) Laguerre weights in m², for given seeds; see Notes.
        sample: "box"; "cylinder", with its axis along z; or "sphere". A cylinder or sphere is
            inscribed in the box and cut from it, so that it has fewer grains than n. In a box of
            unequal edges it is elliptical.
        vanishing: "refuse" raises an error where a grain vanishes between its boundaries, or is too
            thin for its particles; "drop" leaves that grain out.
        depth, scheme, material: see `Microstructure`. A sequence of materials has one per seed.

    Returns:
        The magnet, centred on the origin. Its `volume` is that of the sample, boundaries included.

    Raises:
        ValueError: for a bad argument, which the message names; for seeds that coincide or lie
            outside the box; and for grains that vanish, with their numbers, unless `vanishing` is
            "drop".

    Notes:
        The cell of seed i holds the points where |x - x_i|² - w_i is least. Distances are measured
        before the stretch. Cells of equal weights are Voronoi cells. A curved sample is a
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
    box = _box_edges(box)
    stretch = checks.finite_array(stretch, "stretch", (3,))
    if not (stretch > 0).all():
        raise ValueError(f"`stretch` must be positive; received {stretch.tolist()}.")
    gap = checks.number(gap, "gap", least=0)
    sigma = checks.number(sigma, "sigma", least=0)
    checks.one_of(sample, "sample", SAMPLES)
    checks.one_of(vanishing, "vanishing", ("refuse", "drop"))
    relaxation = checks.count(relaxation, "relaxation", least=0, most=_MOST_ITERATIONS)
    seeds, rng = _seeds_and_rng(n, box, seed, sigma)

    # The diagram is computed before the stretch, in a box that begins at the origin.
    with np.errstate(over="ignore"):
        unstretched_box = box / stretch
    if unstretched_box.max() > _LONGEST * unstretched_box.min():
        raise ValueError(
            f"`box` / `stretch` must have edges of a ratio of at most {_LONGEST:g}; received "
            f"{unstretched_box.tolist()}."
        )
    seeds = (seeds + box / 2) / stretch
    if weights is None:
        seeds, weights = _relaxed_seeds(seeds, unstretched_box, sigma, relaxation, rng)
    else:
        if sigma or relaxation:
            raise ValueError("`weights` must not be given beside `sigma` or `relaxation`.")
        weights = checks.finite_array(weights, "weights", (len(seeds),), "one per seed")
        weights = _bounded(weights, 2 * (unstretched_box**2).sum())

    sample_body = inscribed_sample(box, sample)
    cells = _cells(seeds, weights, unstretched_box, stretch, sample_body)
    grains = _shrunken_cells(cells, gap)
    if vanishing == "refuse":
        if sample == "box":
            # In a cylinder or sphere, cells outside the sample are empty for a good reason.
            empty = [number for number in range(len(seeds)) if number not in cells]
            _refuse_vanished(empty, "`weights` must leave every grain a cell")
        thin = [number for number in cells if number not in grains]
        _refuse_vanished(thin, f"`gap` must leave something of every grain; received {gap:g} m")
    if not grains:
        raise ValueError(f"`gap` must leave something of the grains; received {gap:g} m.")
    return _embed_particles(
        grains,
        None if material is None else for_each_grain(material, len(seeds)),
        vanishing,
        depth=depth,
        scheme=scheme,
        volume=sample_body.volume,
    )


# ---------------------------------------------------------------------------------------------
# Arguments
# ---------------------------------------------------------------------------------------------


def _box_edges(box):
    """Return the edges (3,) of the box in metres."""
    edges = checks.numbers(box, "box")
    edges = checks.finite_array(np.full(3, edges) if edges.ndim == 0 else edges, "box", (3,))
    if not (edges > 0).all():
        raise ValueError(f"`box` must have positive edges; received {checks.shown(box)}.")
    return edges


def _seeds_and_rng(n, box, seed, sigma):
    """Return seeds (n, 3) in a box about the origin, and the random generator.

    The generator is None where nothing is drawn: for given seeds and `sigma` = 0.
    """
    if np.ndim(n) == 0:
        n = checks.count(n, "n")
        rng = checks.generator(seed, "grains")
        memory.require(8 * 3 * n, "a list of seeds", "fewer grains need less")
        return box * (rng.random((n, 3)) - 0.5), rng
    rng = checks.generator(seed, "grains") if sigma else None
    return _checked_seeds(n, box), rng


def _checked_seeds(seeds, box):
    """Return given seeds (n, 3) as an array; raise where they coincide or leave the box."""
    seeds = checks.finite_array(seeds, "n", (None, 3), "if it holds the seeds")
    if not len(seeds):
        raise ValueError("`n` must hold at least one seed; received none.")
    outside = (np.abs(seeds) >= box / 2).any(axis=1)
    if outside.any():
        i = int(outside.argmax())
        raise ValueError(
            f"`n` must hold seeds in the box about the origin; seed {i} is {seeds[i].tolist()}."
        )
    coinciding = cKDTree(seeds / box).query_pairs(_SAME_SEED)
    if coinciding:
        i, j = min(coinciding)
        raise ValueError(f"`n` must hold different seeds; {i} and {j} coincide.")
    return seeds


# ---------------------------------------------------------------------------------------------
# Cells
# ---------------------------------------------------------------------------------------------


def _bounded(weights, bound):
    """Return weights (n,) of the same cells, none of which is larger than `bound`.

    Larger ones would take all digits from the places of the seeds. Only their differences count,
    and a seed has no cell where its weight is less than another by the box's diagonal squared.
    """
    if (np.abs(weights) <= bound).all():
        return weights
    return np.maximum(weights - weights.max(), -bound)


def _relaxed_seeds(seeds, box, sigma, relaxation, rng):
    """Return seeds after Lloyd's iterations, and the weights that give log-normal volumes."""
    volumes = log_normal_volumes(len(seeds), sigma, np.prod(box), rng) if sigma else None
    return relax_seeds(seeds, box, relaxation, volumes)


def _cells(seeds, weights, unstretched_box, stretch, sample_body):
    """Return the half-spaces of the cells that reach into the sample.

    Args:
        seeds, weights: of the diagram, before the stretch, in a box that begins at the origin.
        unstretched_box: (3,) edges of that box.
        stretch: (3,) factors that take it to the box of the magnet.
        sample_body: the `Sample` that the cells are cut by.

    Returns:
        {number of the seed: (normals, offsets, inside)} in real space, about the origin. Only
        planes on which the cell has a face are kept. `inside` is a point likely to lie in the cell.
    """
    pairs = neighbours(seeds, weights, unstretched_box)
    normals, offsets = _planes_between(pairs, seeds, weights, unstretched_box, stretch)
    # `pairs` is sorted by its first column, so that the planes of a cell are consecutive.
    starts = np.searchsorted(pairs[:, 0], np.arange(len(seeds) + 1))
    from_middle = seeds - unstretched_box / 2
    stretched_seeds = from_middle * stretch
    in_middle = ((from_middle**2).sum(axis=1) - weights).argmin()
    cells = {}
    for number, inside in enumerate(stretched_seeds):
        own = slice(starts[number], starts[number + 1])
        if own.start == own.stop and number != in_middle:
            continue  # others cover it, or it would cover the middle of the box
        planes = (
            np.concatenate([normals[own], sample_body.normals]),
            np.concatenate([offsets[own], sample_body.offsets]),
        )
        try:
            _, _, faces = convex_body(*planes, inside)
        except EmptyBodyError:
            continue  # it lies outside the sample
        cells[number] = (*(plane[faces] for plane in planes), inside)
    return cells


def _planes_between(pairs, seeds, weights, unstretched_box, stretch):
    """Return normals (k, 3) and offsets (k,), in real space, of the planes between cells.

    The plane of the pair (i, j) is where |u - u_i|² - w_i = |u - u_j|² - w_j, for a point x of real
    space that was at u = (x + box / 2) / stretch before the stretch. Its normal points to j.
    """
    own, other = pairs.T
    separation = seeds[other] - seeds[own]
    power = (seeds**2).sum(axis=1) - weights
    normals = separation / stretch
    length = np.linalg.norm(normals, axis=1)
    normals /= length[:, None]
    offsets = (power[other] - power[own]) / (2 * length)
    offsets -= normals @ (unstretched_box * stretch / 2)
    return normals, offsets


# ---------------------------------------------------------------------------------------------
# Grains
# ---------------------------------------------------------------------------------------------


def _shrunken_cells(cells, gap):
    """Return {number: Polyhedron} of the cells with every face moved inwards by half the gap.

    Cells of which nothing is left are missing.
    """
    grains = {}
    for number, (normals, offsets, inside) in cells.items():
        try:
            corners, faces, _ = convex_body(normals, offsets - gap / 2, inside)
        except EmptyBodyError:
            continue
        try:
            grains[number] = Polyhedron(corners, faces)
        except ValueError as error:  # a needle, of which rounding leaves no volume
            raise ValueError(
                f"the grain of seed {number} is not a closed polyhedron: {error}"
            ) from error
    return grains


def _embed_particles(grains, materials, vanishing, **kwargs):
    """Return the `Microstructure` of the grains; refuse or drop those too thin for particles.

    Args:
        grains: {number of the seed: Polyhedron}. materials: one per seed, or None.
    """

    def embedded(numbers):
        bodies = [grains[i] for i in numbers]
        own = None if materials is None else [materials[i] for i in numbers]
        return Microstructure(bodies, material=own, **kwargs)

    try:
        return embedded(list(grains))
    except GrainTooThinError as error:
        numbers = list(grains)
        thin = {numbers[index] for index in error.grains}
        if vanishing == "refuse":
            _refuse_vanished(sorted(thin), "`depth` must be small enough for every grain")
        if len(thin) == len(grains):
            raise
    return embedded([i for i in grains if i not in thin])


def _refuse_vanished(numbers, requirement):
    """Raise where there are `numbers` of seeds whose grains vanish."""
    if numbers:
        listed = ", ".join(map(str, numbers[:10])) + (" …" if len(numbers) > 10 else "")
        raise ValueError(
            f'{requirement}, or `vanishing` be "drop"; {len(numbers)} vanish, those of seeds '
            f"{listed}."
        )
