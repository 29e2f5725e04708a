"""Training data of polycrystals: features of the grains, and loops."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from keras_micromag.utils import checks

FEATURES = {
    "share": slice(0, 1),
    "easy_axis": slice(1, 4),
    "place": slice(4, 7),
    "dipole_field": slice(7, 10),
    "size": slice(10, 11),
    "Js": slice(11, 12),
    "Ku": slice(12, 13),
}
"""Columns of each feature in `grain_features`."""


def grain_features(
    easy_axes: ArrayLike,
    centroids: ArrayLike,
    volumes: ArrayLike,
    *,
    Js: ArrayLike | None = None,
    Ku: ArrayLike | None = None,
) -> np.ndarray:
    """Return the features of the grains of polycrystals in a field along z.

    Args:
        easy_axes: (b, g, 3) unit vectors.
        centroids: (b, g, 3) in metres.
        volumes: (b, g) in m³, 0 where a magnet has no such grain.
        Js: (b, g) saturation polarisations. Only their ratios within a magnet matter; by default
            all are equal.
        Ku: (b, g) anisotropy constants, as `Js`.

    Returns:
        (b, g, 13), 0 on padding, in the columns of `FEATURES`: the grain's share in the saturated
        moment of the magnet; its easy axis, with the sign that points to +z; its centroid relative
        to the magnet's centre, divided by the edge of a cube of the magnet's volume; the field at
        its centroid of the other grains, approximated by dipoles along their easy axes, in units of
        the mean Js; the logarithm of its diameter over that of a grain of mean volume; the
        logarithms of Js and Ku over their means.

    Raises:
        ValueError: when the shapes do not fit, a magnet has no grain, or a Js or Ku is not
            positive.

    Example:
        >>> from keras_micromag.data import grain_features
        >>> from keras_micromag.physics import cubic_grains, random_easy_axes
        >>> cubes = cubic_grains()
        >>> axes = random_easy_axes((1, 64), seed=1)
        >>> grain_features(axes, cubes.centroids[None], cubes.volumes[None]).shape
        (1, 64, 13)
    """
    volumes = checks.finite_array(volumes, "volumes", (None, None))
    b, g = volumes.shape
    centroids = checks.finite_array(centroids, "centroids", (b, g, 3))
    easy_axes = checks.finite_array(easy_axes, "easy_axes", (b, g, 3))
    present = volumes > 0
    if not present.any(axis=1).all():
        raise ValueError(
            "`volumes` must be positive somewhere in each magnet; magnet "
            f"{int(np.argmin(present.any(axis=1)))} has no grain."
        )

    def ratio(values, name):
        values = np.ones((b, g)) if values is None else checks.finite_array(values, name, (b, g))
        if not (values > 0)[present].all():
            raise ValueError(f"`{name}` must be positive.")
        return values / _mean(values, present)[:, None]

    Js, Ku = ratio(Js, "Js"), ratio(Ku, "Ku")
    total = volumes.sum(axis=1)
    moments = Js * volumes
    axes = np.where(easy_axes[..., 2:] < 0, -easy_axes, easy_axes)
    shares = volumes / total[:, None]
    centre = np.einsum("bg,bgi->bi", shares, centroids)
    position = (centroids - centre[:, None]) / np.cbrt(total)[:, None, None]
    features = np.zeros((b, g, 13))
    features[..., 0] = moments / moments.sum(axis=1, keepdims=True)
    features[..., FEATURES["easy_axis"]] = axes
    features[..., FEATURES["place"]] = position
    features[..., FEATURES["dipole_field"]] = _dipole_fields(shares * Js, position, axes)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.stack([np.log(volumes / _mean(volumes, present)[:, None]) / 3, *np.log([Js, Ku])])
    features[..., 10:] = np.moveaxis(logs, 0, -1)
    features[~present] = 0
    return features


def _mean(values, present):
    return np.where(present, values, 0).sum(axis=1) / present.sum(axis=1)


def _dipole_fields(moments, position, axes):
    """Return the field (b, g, 3) at each grain of all others, taken as dipoles.

    Args:
        moments: (b, g) dipole moments.
        position: (b, g, 3) in units of the edge of a cube of the magnet's volume.
        axes: (b, g, 3) directions of the moments.
    """
    distance = position[:, :, None] - position[:, None]
    square = np.square(distance).sum(axis=-1)
    square = np.where(square > 0, square, np.inf)  # no field of a grain on itself
    along = np.einsum("bghi,bhi->bgh", distance, axes)
    strength = moments[:, None] / (4 * np.pi * square**1.5)
    return np.einsum("bgh,bghi->bgi", 3 * strength * along / square, distance) - np.einsum(
        "bgh,bhi->bgi", strength, axes
    )


@dataclass(frozen=True, eq=False)
class Polycrystals:
    """Loops of polycrystals in a field along z, as inputs of a model.

    `Lattices` has the same methods, for equal grains on a lattice.

    Attributes:
        moments: (s, t, g, 3) unit moments, 0 on padding.
        grains: (s, g, c) `grain_features`.
        neighbors: (s, g, g) weights of the pairs of grains, such as `contact_areas` in m². Only
            their ratios matter.

    All are kept as float32.

    Raises:
        ValueError: when a shape does not fit.
    """

    moments: np.ndarray
    grains: np.ndarray
    neighbors: np.ndarray

    def __post_init__(self):
        for name in ("moments", "grains", "neighbors"):
            array = checks.numbers(getattr(self, name), name, np.float32)
            object.__setattr__(self, name, array)
        s, _, g, _ = self.moments.shape if self.moments.ndim == 4 else (0, 0, 0, 0)
        shapes = [part.shape for part in (self.moments, self.grains, self.neighbors)]
        expected = [(s, *shapes[0][1:2], g, 3), (s, g, *shapes[1][2:]), (s, g, g)]
        if shapes != expected:
            raise ValueError(
                "`moments`, `grains` and `neighbors` must have shapes (s, t, g, 3), (s, g, c) and "
                f"(s, g, g); received {shapes[0]}, {shapes[1]} and {shapes[2]}."
            )

    def __len__(self) -> int:
        return len(self.moments)

    def __getitem__(self, magnets: slice | np.ndarray) -> "Polycrystals":
        """Return some of the magnets, by a slice or indices."""
        return Polycrystals(self.moments[magnets], self.grains[magnets], self.neighbors[magnets])

    @property
    def magnet(self) -> dict[str, np.ndarray]:
        """Inputs of a model besides states and fields."""
        return {"grains": self.grains, "neighbors": self.neighbors}

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        """Inputs of an `Autoencoder`."""
        return {"states": self.moments, **self.magnet}

    @property
    def targets(self) -> np.ndarray:
        """Targets (s, t, g, 4) for `NormPreservingLoss`: moments and shares."""
        shares = np.broadcast_to(self.shares[:, None, :, None], (*self.moments.shape[:3], 1))
        return np.concatenate([self.moments, shares], axis=-1)

    def states(self, magnets: np.ndarray, steps: np.ndarray) -> "Polycrystals":
        """Return the states at steps (m, n) of magnets (m,), as m loops of n steps."""
        moments = self.moments[magnets[:, None], steps]
        return Polycrystals(moments, self.grains[magnets], self.neighbors[magnets])

    def images(self, count: int, rng: np.random.Generator) -> "Polycrystals":
        """Return the magnets and images turned at random, `count` in all of each."""
        copies = [self, *(self.turned_at_random(rng) for _ in range(count - 1))]
        parts = ("moments", "grains", "neighbors")
        return Polycrystals(*(np.concatenate([getattr(c, part) for c in copies]) for part in parts))

    def turned_at_random(self, rng: np.random.Generator) -> "Polycrystals":
        """Return the magnets, each rotated by a random angle, and reflected or not."""
        angles = rng.uniform(0, 2 * np.pi, len(self))
        return self.turned(angles, rng.integers(2, size=(len(self), 2)).astype(bool))

    @property
    def shares(self) -> np.ndarray:
        """Shares (s, g) of the grains in the magnet's moment."""
        return self.grains[..., 0]

    @property
    def easy_axes(self) -> np.ndarray:
        """Easy axes (s, g, 3)."""
        return self.grains[..., FEATURES["easy_axis"]]

    def turned(self, angles: np.ndarray, mirrored: np.ndarray | None = None) -> "Polycrystals":
        """Return the magnets rotated about z, the direction of the field, and reflected.

        The loops of the images are exact, see `symmetric_images`.

        Args:
            angles: (s,) in radians.
            mirrored: (s, 2) whether to reflect z, and whether to reflect x and reverse time.
        """
        mirrored = np.zeros((len(self.moments), 2), bool) if mirrored is None else mirrored
        grains = self.grains.copy()
        # Moments and fields are axial vectors: a reflection of z reverses their x and y, and a
        # reflection of x with time reversal reverses their x. Positions are polar vectors.
        axial = np.where(mirrored[:, :1], [-1, -1, 1], 1) * np.where(mirrored[:, 1:], [-1, 1, 1], 1)
        polar = np.where(mirrored[:, :1], [1, 1, -1], 1) * np.where(mirrored[:, 1:], [-1, 1, 1], 1)
        cos, sin = np.cos(angles), np.sin(angles)
        rotation = np.zeros((len(angles), 3, 3))
        rotation[:, 0, 0], rotation[:, 0, 1] = cos, -sin
        rotation[:, 1, 0], rotation[:, 1, 1] = sin, cos
        rotation[:, 2, 2] = 1
        of_axial = (rotation * axial[:, None]).astype("float32")
        of_polar = (rotation * polar[:, None]).astype("float32")
        for name in ("easy_axis", "place", "dipole_field"):
            columns = FEATURES[name]
            matrix = of_polar if name == "place" else of_axial
            grains[..., columns] = np.einsum("sij,sgj->sgi", matrix, grains[..., columns])
        moments = np.einsum("sij,stgj->stgi", of_axial, self.moments)
        return Polycrystals(moments, grains, self.neighbors)
