"""A magnet's grains and the Stoner-Wohlfarth particles embedded in them."""

import copy
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from keras_micromag.physics.geometry.overlap import overlap, touch_tol
from keras_micromag.physics.geometry.polyhedron import Polyhedron
from keras_micromag.physics.microstructure.material import ND2FE14B, Material
from keras_micromag.physics.microstructure.particles import (
    SCHEME,
    Depth,
    checked_scheme,
    depths,
    padded,
    particle_positions,
)
from keras_micromag.utils import checks
from keras_micromag.utils.fingerprint import fingerprint
from keras_micromag.utils.indices import grid


class GrainTooThinError(ValueError):
    """Raised for grains that are too thin for particles at the depth asked for.

    Attributes:
        grains: numbers of all such grains.
    """

    def __init__(self, first, grains, error):
        more = f" So are {len(grains) - 1} more grains." if len(grains) > 1 else ""
        super().__init__(f"grain {first} is too thin for its particles: {error}{more}")
        self.grains = grains


class Microstructure(checks.Configured, checks.ReadOnlyArrays):
    """The grains of a magnet and the particles in them. Its arrays are read-only.

    Args:
        grains: g polyhedra, or (vertices, faces) pairs from which polyhedra are made.
        particles: (g, p, 3) positions in metres. By default the particles lie on the polyhedron of
            each grain moved inwards by `depth`, at the sites that `scheme` names.
        weights: (g, p) share of each particle in the moment of its grain. 0 marks padding; rows are
            normalised. By default all particles of a grain have equal weights.
        depth: distance in metres of the particles from the surface. By default `calibrated_depth`
            of `material`, at which loops with `self_field="nucleus"` agree with micromagnetics, but
            at most nine tenths of the distance of each face from the centroid.
        scheme: any of "vertices", "edges", "faces", "centroid".
        material: sets the calibrated depth; one for all grains, or a sequence of g. By default it
            is the material that `simulate` or a layer gets, and Nd2Fe14B elsewhere.
        volume: volume of the magnet in m³, including its non-magnetic parts; by default that of
            the bounding box of the grains.

    Attributes:
        grains: tuple of `Polyhedron`.
        particles: (g, p, 3) in metres; padding repeats the centroid of the grain.
        weights: (g, p), rows sum to 1, 0 on padding.
        volumes: (g,) of the grains in m³.
        centroids: (g, 3) of the grains in metres.
        bounds: (2, 3) lower and upper corner of the bounding box of the grains in metres.
        depth: (g,) of the particles in metres; nan where `particles` were given.
        volume: of the magnet in m³.
        packing_fraction: share of the grains in `volume`.

    Raises:
        ValueError: when a grain is not a closed polyhedron, overlaps another, or is too thin for
            particles at this depth. The message names the grain.

    Notes:
        In a convex grain, particles lie on the polyhedron with every face moved inwards by `depth`.
        In a grain that is not convex, every corner moves so that its faces move by `depth`, and
        edge midpoints and face centres move with their corners. Positions that then lie outside
        the grain, or nearer than `depth` / 2 to its surface, are left out.

    Example:
        >>> from keras_micromag.physics import Microstructure, cubic_grains
        >>> cube = cubic_grains((1, 1, 1), size=50e-9).grains[0]
        >>> pair = Microstructure([cube, cube.translated((60e-9, 0, 0))], scheme=("vertices",))
        >>> pair.particles.shape, round(pair.packing_fraction, 3)
        ((2, 8, 3), 0.909)
    """

    def __init__(
        self,
        grains: Sequence[Polyhedron | tuple],
        *,
        particles: ArrayLike | None = None,
        weights: ArrayLike | None = None,
        depth: Depth = "calibrated",
        scheme: Sequence[str] = SCHEME,
        material: Material | Sequence[Material] | None = None,
        volume: float | None = None,
    ):
        self.grains = tuple(_as_polyhedron(g, index) for index, g in enumerate(grains))
        if not self.grains:
            raise ValueError("`grains` must hold at least one grain; received none.")
        self.volumes = np.array([grain.volume for grain in self.grains])
        self.centroids = np.array([grain.centroid for grain in self.grains])
        self.bounds = np.array(
            [
                np.min([grain.vertices.min(axis=0) for grain in self.grains], axis=0),
                np.max([grain.vertices.max(axis=0) for grain in self.grains], axis=0),
            ]
        )
        self._refuse_overlap()
        box = float(np.prod(self.bounds[1] - self.bounds[0]))
        self.volume = box if volume is None else checks.number(volume, "volume", above=0)
        # Faces moved by rounding add this: a convex body has no more surface than its cube.
        sizes = np.array([grain.size for grain in self.grains])
        rounding = (6 * sizes**2 * touch_tol(sizes, np.abs(self.bounds).max())).sum()
        if self.volumes.sum() > self.volume + rounding:
            raise ValueError(
                f"`volume` must hold the grains of {self.volumes.sum():g} m³; received {volume:g}."
            )
        self._scheme: tuple[str, ...] | None = None
        self._given_weights = copy.copy(weights)
        self.depth = np.full(len(self.grains), np.nan)
        if particles is None:
            self._embed(depth, scheme, ND2FE14B if material is None else material)
            if material is None and isinstance(depth, str):
                self._scheme = checked_scheme(scheme)
        else:
            self.particles, self.weights = self._check_particles(particles, weights)
        self._make_read_only()

    def __len__(self):
        return len(self.grains)

    def get_config(self) -> dict:
        """Return what `from_config` needs, in a form that JSON can hold: 3 kB per cubic grain.

        The structure made from it has the same coordinates to the last digit.
        """
        grains = [[g.vertices.tolist(), [list(f) for f in g.faces]] for g in self.grains]
        config = {"grains": grains, "volume": self.volume}
        if self._scheme is None:
            return config | {
                "particles": self.particles.tolist(),
                "weights": self.weights.tolist(),
            }
        weights = self._given_weights
        weights = None if weights is None else np.asarray(weights).tolist()
        return config | {"scheme": list(self._scheme), "weights": weights}

    @property
    def is_movable(self) -> bool:
        """Whether the particles move to the calibrated depth of the material of a loop.

        They do unless `particles`, `material` or a `depth` in metres was given.
        """
        return self._scheme is not None

    def calibrated_for(self, material: Material | Sequence[Material]) -> "Microstructure":
        """Return the magnet with its particles at the calibrated depth of a material.

        `simulate` and the layers call it. Where `is_movable` is False, it is the magnet itself.

        Args:
            material: one for all grains, or a sequence of g.
        """
        depth_of, _ = depths("calibrated", material, len(self))
        if self._scheme is None or (self.depth == depth_of).all():
            return self
        other = copy.copy(self)
        vars(other).pop("particle_class", None)
        other._embed("calibrated", self._scheme, material)
        other._scheme = None
        other._make_read_only()
        return other

    @property
    def fingerprint(self) -> str:
        """Digest of the grains, their particles and the volume of the magnet, as "sha256 ..."."""
        faces = repr([grain.faces for grain in self.grains]).encode()
        vertices = np.concatenate([grain.vertices for grain in self.grains])
        parts = np.frombuffer(faces, np.uint8), self.particles, self.weights, np.array(self.volume)
        return fingerprint(vertices, *parts)

    @property
    def packing_fraction(self) -> float:
        """Share of the volume of the magnet that is magnetic."""
        return float(self.volumes.sum() / self.volume)

    @cached_property
    def shape_class(self) -> np.ndarray:
        """Index (g,) of the first grain with the same shape, up to a translation."""
        return _classes(
            (
                grain.faces,
                _digits((grain.vertices - grain.centroid) / grain.size),
                _rounded(grain.size),
            )
            for grain in self.grains
        )

    @cached_property
    def particle_class(self) -> np.ndarray:
        """Index (g,) of the first grain with the same particles relative to its centroid."""
        return _classes(
            (_digits((particles - grain.centroid) / grain.size), _rounded(grain.size))
            for particles, grain in zip(self.particles, self.grains, strict=True)
        )

    def _embed(self, depth, scheme, material):
        """Set particles (g, p, 3) on the inset grains, and their weights (g, p)."""
        depth_of, calibrated = depths(depth, material, len(self))
        self.depth = np.array(depth_of)
        scheme = checked_scheme(scheme)
        # Grains of the same shape share one inset polyhedron at each depth: this is faster, and
        # their particles agree to the last digit.
        bodies = list(zip(self.shape_class.tolist(), depth_of, strict=True))
        offsets, errors = {}, {}
        for body in dict.fromkeys(bodies):
            grain, deep = self.grains[body[0]], body[1]
            try:
                positions = particle_positions(grain, deep, scheme, capped=calibrated)
                offsets[body] = positions - grain.centroid
            except ValueError as error:
                errors[body] = error
        if errors:
            too_thin = [index for index, body in enumerate(bodies) if body in errors]
            error = errors[bodies[too_thin[0]]]
            raise GrainTooThinError(too_thin[0], too_thin, error) from error
        positions = [
            centroid + offsets[body] for centroid, body in zip(self.centroids, bodies, strict=True)
        ]
        self.particles, occupied = padded(positions, self.centroids)
        if self._given_weights is None:
            self.weights = occupied / occupied.sum(axis=1, keepdims=True)
            return
        weights = self._check_weights(self._given_weights, self.particles)
        if ((weights > 0) & ~occupied).any():
            grain = int(np.argwhere((weights > 0) & ~occupied)[0, 0])
            count = len(positions[grain])
            raise ValueError(
                f"`weights` must be 0 on padding; grain {grain} has {count} particles."
            )
        self.weights = weights

    def _check_particles(self, particles, weights):
        """Return given particles and weights as arrays; raise where a particle leaves its grain."""
        g = len(self.grains)
        particles = checks.finite_array(particles, "particles", (g, None, 3), f"with g = {g}")
        if particles.shape[1] == 0:
            raise ValueError(
                "`particles` must hold at least one particle per grain; received none."
            )
        for index, (grain, points) in enumerate(zip(self.grains, particles, strict=True)):
            tol = touch_tol(grain.size, np.abs(grain.vertices).max())
            outside = np.flatnonzero(~grain.contains(points, float(tol)))
            if len(outside):
                raise ValueError(
                    f"`particles` must lie in their grains; particle {outside[0]} of grain "
                    f"{index} does not."
                )
        if weights is None:
            weights = np.ones(particles.shape[:2])
        return particles, self._check_weights(weights, particles)

    def _check_weights(self, weights, particles):
        """Return given weights (g, p), normalised."""
        weights = checks.finite_array(weights, "weights", particles.shape[:2])
        if (weights < 0).any() or (weights.sum(axis=1) <= 0).any():
            raise ValueError("`weights` must be non-negative and positive somewhere in each grain.")
        total = weights.sum(axis=1, keepdims=True)
        # Weights that are normalised already keep their last digit, so that a structure made from
        # a config has the same ones.
        return np.where(np.abs(total - 1) < 1e-14, weights, weights / total)

    def _refuse_overlap(self):
        """Raise where two grains overlap by more than a tolerance."""
        radii = np.array(
            [
                np.linalg.norm(grain.vertices - grain.centroid, axis=-1).max()
                for grain in self.grains
            ]
        )
        low = np.array([grain.vertices.min(axis=0) for grain in self.grains])
        high = np.array([grain.vertices.max(axis=0) for grain in self.grains])
        pairs = cKDTree(self.centroids).query_pairs(2 * radii.max(), output_type="ndarray")
        sizes = np.array([grain.size for grain in self.grains])
        largest = np.abs(np.stack([low, high])).max(axis=(0, 2))
        tol = touch_tol(sizes[pairs].min(axis=1), largest[pairs].max(axis=1))[:, None]
        a, b = pairs.T
        boxes_overlap = ((low[a] < high[b] - tol) & (low[b] < high[a] - tol)).all(axis=1)
        for i, j in pairs[boxes_overlap]:
            if overlap(self.grains[i], self.grains[j]):
                raise ValueError(f"`grains` must not overlap; grains {i} and {j} do.")


def cubic_grains(
    shape: Sequence[int] = (4, 4, 4),
    *,
    size: float = 50e-9,
    gap: float = 3e-9,
    depth: Depth = "calibrated",
    scheme: Sequence[str] = SCHEME,
    material: Material | Sequence[Material] | None = None,
) -> Microstructure:
    """Make the magnet of the paper: equal cubes on a cubic lattice with a non-magnetic gap.

    Args:
        shape: number of grains along x, y and z. Grain (i, j, k) has index (i·ny + j)·nz + k.
        size: edge of a cube in metres.
        gap: distance between the faces of neighbours in metres; the lattice constant is size + gap.
        depth, scheme, material: see `Microstructure`.

    Returns:
        The magnet, centred on the origin.

    Raises:
        ValueError: for a shape that is not three positive integers, `size` <= 0, `gap` < 0, or a
            depth that leaves nothing of the cubes.

    Notes:
        The paper gives neither grain size, gap nor particle positions; the defaults are choices of
        this package.

    Example:
        >>> from keras_micromag.physics import cubic_grains
        >>> magnet = cubic_grains()
        >>> len(magnet), magnet.particles.shape, round(magnet.packing_fraction, 3)
        (64, (64, 27, 3), 0.876)
    """
    counts = checks.numbers(shape, "shape")
    whole = (counts >= 1) & (counts < 2**31) & (counts == np.floor(counts))
    if counts.shape != (3,) or not whole.all():
        raise ValueError(
            f"`shape` must be three positive whole numbers; received {checks.shown(shape)}."
        )
    counts = counts.astype(int)
    size = checks.number(size, "size", above=0)
    gap = checks.number(gap, "gap", least=0)
    corners = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]) - 0.5
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    cells = grid(*map(np.arange, counts))
    centres = (cells.reshape(-1, 3) - (counts - 1) / 2) * (size + gap)
    return Microstructure(
        [Polyhedron(centre + size * corners, faces) for centre in centres],
        depth=depth,
        scheme=scheme,
        material=material,
    )


def _as_polyhedron(grain, index):
    """Return grain `index` as a `Polyhedron`."""
    try:
        return grain if isinstance(grain, Polyhedron) else Polyhedron(*grain)
    except (ValueError, TypeError) as error:
        raise ValueError(f"grain {index} is not a closed polyhedron: {error}") from error


def _digits(array):
    """Return coordinates in units of the size of a grain, rounded to 1e-12, as bytes.

    Grains whose digits are the same count as equal.
    """
    return np.round(array * 1e12).astype(np.int64).tobytes()


def _rounded(size):
    """Return a length rounded to twelve digits."""
    return float(f"{size:.12e}")


def _classes(keys):
    """Return for each key the index of the first key that is equal to it."""
    first = {}
    return checks.read_only(np.array([first.setdefault(k, index) for index, k in enumerate(keys)]))
