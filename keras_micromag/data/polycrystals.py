"""Training data of polycrystals: features of the grains, and states to learn."""

from dataclasses import dataclass

import keras
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
    """Loops of polycrystals in a field along z, as float32 inputs of a model.

    Attributes:
        moments: (s, t, g, 3) unit moments, 0 on padding.
        grains: (s, g, c) `grain_features`.
        neighbors: (s, g, g) weights of the pairs of grains, such as `contact_areas`.
    """

    moments: np.ndarray
    grains: np.ndarray
    neighbors: np.ndarray

    def __getitem__(self, magnets: slice | np.ndarray) -> "Polycrystals":
        """Return some of the magnets, by a slice or indices."""
        return Polycrystals(
            *(part[magnets] for part in (self.moments, self.grains, self.neighbors))
        )

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


class GrainStates(keras.utils.PyDataset):
    """States of polycrystals to train a `GrainAutoencoder` on, rotated at random about the field.

    A batch has n states of each of m magnets: `({"states": (m, n, g, 3), "grains", "neighbors"},
    (m, n, g, 4), (m, n))`, with the targets as `GrainLoss` takes them, and the weights of the
    states. Magnets, states and rotations are drawn at random for each batch.

    Args:
        loops: `Polycrystals` of s magnets.
        step_weights: (s, t) weights of the states.
        magnets: m.
        states: n.
        batches: number of batches in an epoch.
        seed: seed of the random numbers.
        **kwargs: passed to `keras.utils.PyDataset`, such as workers.

    Raises:
        ValueError: when `step_weights` has another shape, or a number is not a positive integer.
    """

    def __init__(
        self,
        loops: Polycrystals,
        step_weights: ArrayLike,
        *,
        magnets: int = 16,
        states: int = 16,
        batches: int = 100,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.loops = loops
        s, t = loops.moments.shape[:2]
        self.step_weights = checks.finite_array(step_weights, "step_weights", (s, t))
        self.magnets, self.states = checks.count(magnets, "magnets"), checks.count(states, "states")
        self.batches, self._rng = checks.count(batches, "batches"), np.random.default_rng(seed)

    def __len__(self) -> int:
        return self.batches

    def __getitem__(self, index):
        s, t = self.loops.moments.shape[:2]
        which = self._rng.integers(s, size=self.magnets)
        when = self._rng.integers(t, size=(self.magnets, self.states))
        part = Polycrystals(
            self.loops.moments[which[:, None], when],
            self.loops.grains[which],
            self.loops.neighbors[which],
        ).turned(
            self._rng.uniform(0, 2 * np.pi, self.magnets),
            self._rng.integers(2, size=(self.magnets, 2)).astype(bool),
        )
        return (*states_and_targets(part), self.step_weights[which[:, None], when])


def states_and_targets(loops: Polycrystals) -> tuple[dict, np.ndarray]:
    """Return the inputs of a `GrainAutoencoder`, and the targets for `GrainLoss`."""
    inputs = {"states": loops.moments, "grains": loops.grains, "neighbors": loops.neighbors}
    shares = np.broadcast_to(loops.shares[:, None, :, None], (*loops.moments.shape[:3], 1))
    return inputs, np.concatenate([loops.moments, shares], axis=-1)
