"""Training data of polycrystals: what a model is told of the grains, and states to learn."""

from dataclasses import dataclass

import keras
import numpy as np

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
"""What `grain_features` tells, and in which columns."""


def grain_features(easy_axes, centroids, volumes, *, Js=None, Ku=None) -> np.ndarray:
    """What a model is told of the grains of polycrystals in a field along z.

    Args:
        easy_axes: (b, g, 3) unit vectors. centroids: (b, g, 3) in metres.
        volumes: (b, g) in m³, 0 where a magnet has no such grain.
        Js: (b, g) saturation polarisation. Ku: (b, g) anisotropy constants. Only their ratios
            within a magnet count; left out, all grains are alike.

    Returns:
        (b, g, 13), in the columns of `FEATURES`: the grain's share in the saturated moment of the
        magnet; its easy axis, turned towards +z; its place about the magnet's centre, over the
        edge of a cube of the magnet's volume; the field at its centroid of the other grains, taken
        for dipoles along their easy axes, in units of the mean Js; the logarithm of its diameter
        over that of a grain of mean volume; those of Js and Ku over their means. 0 on padding.

    Raises:
        ValueError: when the shapes do not fit, or a magnet has no grain.

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
    there = volumes > 0
    if not there.any(axis=1).all():
        raise ValueError(
            "`volumes` must be positive somewhere in each magnet; magnet "
            f"{int(np.argmin(there.any(axis=1)))} has no grain."
        )

    def ratio(values, name):
        values = np.ones((b, g)) if values is None else checks.finite_array(values, name, (b, g))
        if not (values > 0)[there].all():
            raise ValueError(f"`{name}` must be positive.")
        return values / _mean(values, there)[:, None]

    Js, Ku = ratio(Js, "Js"), ratio(Ku, "Ku")
    whole = volumes.sum(axis=1)
    moments = Js * volumes
    axes = np.where(easy_axes[..., 2:] < 0, -easy_axes, easy_axes)
    shares = volumes / whole[:, None]
    centre = np.einsum("bg,bgi->bi", shares, centroids)
    place = (centroids - centre[:, None]) / np.cbrt(whole)[:, None, None]
    features = np.zeros((b, g, 13))
    features[..., 0] = moments / moments.sum(axis=1, keepdims=True)
    features[..., FEATURES["easy_axis"]] = axes
    features[..., FEATURES["place"]] = place
    features[..., FEATURES["dipole_field"]] = _dipole_fields(shares * Js, place, axes)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.stack([np.log(volumes / _mean(volumes, there)[:, None]) / 3, *np.log([Js, Ku])])
    features[..., 10:] = np.moveaxis(logs, 0, -1)
    features[~there] = 0
    return features


def _mean(values, there):
    return np.where(there, values, 0).sum(axis=1) / there.sum(axis=1)


def _dipole_fields(moments, place, axes):
    """(b, g, 3) from moments (b, g) along axes (b, g, 3), lengths in units of the whole's edge."""
    to = place[:, :, None] - place[:, None]
    square = np.square(to).sum(axis=-1)
    square = np.where(square > 0, square, np.inf)
    along = np.einsum("bghi,bhi->bgh", to, axes)
    strength = moments[:, None] / (4 * np.pi * square**1.5)
    return np.einsum("bgh,bghi->bgi", 3 * strength * along / square, to) - np.einsum(
        "bgh,bhi->bgi", strength, axes
    )


@dataclass(frozen=True, eq=False)
class Polycrystals:
    """Loops of polycrystals in a field along z, as a model sees them; arrays of float32.

    Attributes:
        moments: (s, t, g, 3) unit moments, 0 on padding.
        grains: (s, g, c) `grain_features`.
        neighbors: (s, g, g) how much grains have to do with each other, such as `contact_areas`.
    """

    moments: np.ndarray
    grains: np.ndarray
    neighbors: np.ndarray

    def __getitem__(self, magnets):
        """Some of the magnets, by a slice or indices."""
        return Polycrystals(
            *(part[magnets] for part in (self.moments, self.grains, self.neighbors))
        )

    @property
    def shares(self) -> np.ndarray:
        """(s, g) of the grains in the magnet's moment."""
        return self.grains[..., 0]

    @property
    def easy_axes(self) -> np.ndarray:
        """(s, g, 3)."""
        return self.grains[..., FEATURES["easy_axis"]]

    def turned(self, angles, mirrored=None) -> "Polycrystals":
        """The same physics elsewhere: magnets turned about z, the field's direction, and mirrored.

        Args:
            angles: (s,) in radians.
            mirrored: (s, 2) whether to mirror z, and whether to mirror x and reverse time.
        """
        mirrored = np.zeros((len(self.moments), 2), bool) if mirrored is None else mirrored
        grains = self.grains.copy()
        # Moments and fields are axial: a mirror through z turns what lies across z, and so does
        # one through x with time reversed what lies along x.
        axial = np.where(mirrored[:, :1], [-1, -1, 1], 1) * np.where(mirrored[:, 1:], [-1, 1, 1], 1)
        polar = np.where(mirrored[:, :1], [1, 1, -1], 1) * np.where(mirrored[:, 1:], [-1, 1, 1], 1)
        cos, sin = np.cos(angles), np.sin(angles)
        turn = np.zeros((len(angles), 3, 3))
        turn[:, 0, 0], turn[:, 0, 1], turn[:, 1, 0], turn[:, 1, 1] = cos, -sin, sin, cos
        turn[:, 2, 2] = 1
        turns = {
            kind: (turn * signs[:, None]).astype("float32")
            for kind, signs in (("axial", axial), ("polar", polar))
        }
        for name in ("easy_axis", "place", "dipole_field"):
            columns = FEATURES[name]
            kind = turns["polar" if name == "place" else "axial"]
            grains[..., columns] = np.einsum("sij,sgj->sgi", kind, grains[..., columns])
        moments = np.einsum("sij,stgj->stgi", turns["axial"], self.moments)
        return Polycrystals(moments, grains, self.neighbors)


class GrainStates(keras.utils.PyDataset):
    """States of polycrystals to train a `GrainAutoencoder` on, turned at random about the field.

    A batch is m magnets with n states of each: `({"states": (m, n, g, 3), "grains", "neighbors"},
    (m, n, g, 4), (m, n))`, the targets as `GrainLoss` takes them, and the weights of the states. An
    epoch is as many batches as it is told.

    Args:
        loops: `Polycrystals` of s magnets.
        step_weights: (s, t).
        magnets: m. states: n. batches: in an epoch. seed: of what is drawn.
    """

    def __init__(
        self,
        loops: Polycrystals,
        step_weights,
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

    def __len__(self):
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


def states_and_targets(part: Polycrystals):
    """Inputs of a `GrainAutoencoder`, and what `GrainLoss` holds its output against."""
    inputs = {"states": part.moments, "grains": part.grains, "neighbors": part.neighbors}
    shares = np.broadcast_to(part.shares[:, None, :, None], (*part.moments.shape[:3], 1))
    return inputs, np.concatenate([part.moments, shares], axis=-1)
