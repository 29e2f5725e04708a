"""Baselines that a trained model must beat: simple predictions of loops, in NumPy."""

import numpy as np
from numpy.typing import ArrayLike

from keras_micromag.utils import checks, memory

__all__ = ["GrainsInOrder", "LinearLatent", "MeanByTilt", "mean_loop", "persistence"]


def mean_loop(training: ArrayLike) -> np.ndarray:
    """Return the mean of the training loops, the same prediction for every magnet.

    It is hard to beat where the magnets differ little.

    Args:
        training: (s, t, g, 3) loops.

    Returns:
        (t, g, 3).

    Raises:
        ValueError: for another shape, or no magnet.
    """
    return _loops(training, "training").mean(axis=0)


def persistence(states: ArrayLike, steps: int) -> np.ndarray:
    """Return loops in which the last of the first states (b, t, g, 3) does not change any more.

    Args:
        states: (b, t, g, 3) first states.
        steps: number of states of the loops.

    Returns:
        (b, steps, g, 3).

    Raises:
        ValueError: for another shape, or fewer steps than states.
    """
    states = _loops(states, "states")
    rest = checks.count(steps, "steps") - states.shape[1]
    if rest < 0:
        raise ValueError(f"`steps` must be at least {states.shape[1]}; received {steps}.")
    memory.require(rest * states[:, :1].nbytes, "the prediction", "fewer `steps` need less")
    return np.concatenate([states, np.repeat(states[:, -1:], rest, axis=1)], axis=1)


class LinearLatent:
    """The paper's method with linear parts: principal components and a linear predictor in them.

    Args:
        training: (s, t, g, 3) loops.
        field: (t,) µ0·H in tesla of all loops.
        size: d, the number of components; at most 3 g.
        window: number of states that the predictor takes; less than t.

    Raises:
        ValueError: when a shape does not fit.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.baselines import LinearLatent
        >>> loops = np.random.default_rng(0).normal(size=(3, 20, 8, 3))
        >>> LinearLatent(loops, np.linspace(1, -1, 20), size=2).predict(loops[:1, :4]).shape
        (1, 20, 8, 3)
    """

    def __init__(self, training: ArrayLike, field: ArrayLike, size: int = 16, window: int = 4):
        training = _loops(training, "training")
        self.window = checks.count(window, "window")
        self.field = checks.finite_array(field, "field", (training.shape[1],), "one per state")
        n, variables = training.shape[1], training.shape[2] * 3
        if checks.count(size, "size") > variables:
            raise ValueError(f"`size` must be at most 3 g = {variables}; received {size}.")
        if self.window >= n:
            raise ValueError(f"`window` must be less than t = {n}; received {window}.")
        self.mean = training.mean(axis=(0, 1), dtype=float).ravel()
        # The covariance is summed loop by loop, so that not all loops are in float64 at once.
        covariance = np.zeros((variables, variables))
        for loop in training:
            centred = loop.reshape(n, variables) - self.mean
            covariance += centred.T @ centred
        self.components = np.linalg.eigh(covariance)[1][:, ::-1][:, :size]
        latent = self.encode(training)
        inputs = [
            self._inputs(latent[:, i - window : i], self.field[i])
            for i in range(window, len(self.field))
        ]
        rows = np.stack(inputs, axis=1).reshape(-1, inputs[0].shape[-1])
        targets = latent[:, window:].reshape(len(rows), -1)
        self.matrix = np.linalg.lstsq(rows, targets, rcond=None)[0]

    def encode(self, states: ArrayLike) -> np.ndarray:
        """Return the components (..., d) of states (..., g, 3).

        Raises:
            ValueError: for another number of grains.
        """
        states, g = np.asarray(states), len(self.mean) // 3
        if states.shape[-2:] != (g, 3):
            raise ValueError(
                f"`states` must have shape (..., g, 3) with g = {g}; received {states.shape}."
            )
        return (states.reshape(*states.shape[:-2], -1) - self.mean) @ self.components

    def decode(self, latent: np.ndarray) -> np.ndarray:
        """Return the states (..., g, 3) of components (..., d)."""
        states = latent @ self.components.T + self.mean
        return states.reshape(*states.shape[:-1], -1, 3)

    def reconstruct(self, states: ArrayLike) -> np.ndarray:
        """Return the approximation of states (..., g, 3) by d components."""
        return self.decode(self.encode(states))

    def predict(self, states: ArrayLike) -> np.ndarray:
        """Return the loops (b, t, g, 3) predicted from the first states (b, window, g, 3).

        Raises:
            ValueError: for another shape, or no magnet.
        """
        states = _loops(states, "states")
        if states.shape[1] != self.window:
            raise ValueError(
                f"`states` must have shape (b, t, g, 3) with t = {self.window}; received "
                f"{states.shape}."
            )
        latent = list(np.moveaxis(self.encode(states), 1, 0))
        for field in self.field[self.window :]:
            past = np.stack(latent[-self.window :], axis=1)
            latent.append(self._inputs(past, field) @ self.matrix)
        rest = self.decode(np.stack(latent[self.window :], axis=1))
        return np.concatenate([states, rest], axis=1)

    @staticmethod
    def _inputs(past, field):
        ones = np.ones((len(past), 1))
        return np.concatenate([past.reshape(len(past), -1), field * ones, ones], axis=1)


class GrainsInOrder:
    """Sorts the grains of each magnet by tilt and rotates them to one azimuth.

    A grain's switching depends above all on the tilt of its easy axis against the field. So grain
    3 of 50 in the order of tilt is comparable between magnets, after a rotation about the field.
    With this order the baselines for lattices can be used for polycrystals.

    Args:
        easy_axes: (b, g, 3), of magnets in a field along z.
        shares: (b, g) shares of the grains in the magnet's moment, 0 where there is no grain.
        places: number of places in the order, at least g; in magnets with fewer grains, some grains
            take several places.

    Raises:
        ValueError: for other shapes, or fewer places than grains.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.baselines import GrainsInOrder
        >>> axes = np.array([[[0.6, 0.0, 0.8], [0.0, 0.0, 1.0]]])
        >>> order = GrainsInOrder(axes, np.ones((1, 2)), places=4)
        >>> order.ordered(axes[:, None])[0, 0, :, 0].tolist()
        [0.0, 0.0, 0.6, 0.6]
        >>> bool((order.back(order.ordered(axes[:, None])) == axes).all())
        True
    """

    def __init__(self, easy_axes: ArrayLike, shares: ArrayLike, places: int = 64):
        easy_axes = checks.finite_array(easy_axes, "easy_axes", (None, None, 3))
        shares = checks.finite_array(shares, "shares", easy_axes.shape[:2])
        if not len(shares):
            raise ValueError("`easy_axes` must be those of at least one magnet; received none.")
        present = shares > 0
        counts = present.sum(axis=1, keepdims=True)
        if not 1 <= counts.min() <= counts.max() <= checks.count(places, "places"):
            raise ValueError(
                f"`places` must be at least the number of grains, 1 to {counts.max()}; received "
                f"{places}."
            )
        memory.require(8 * len(shares) * places, "the order", "fewer `places` need less")
        tilt, self._azimuth = _polar(easy_axes)
        order = np.where(present, tilt, np.inf).argsort(axis=1, kind="stable")
        rank = order.argsort(axis=1)
        self._grain = np.take_along_axis(order, np.arange(places) * counts // places, axis=1)
        self._place = np.where(present, -(-rank * places // counts), 0)
        self._present = present[:, None, :, None]

    def ordered(self, moments: ArrayLike) -> np.ndarray:
        """Return moments (b, t, g, 3) in the order of tilt, (b, t, places, 3)."""
        moments = _loops(moments, "moments")
        b, _, g, _ = moments.shape
        if (b, g) != self._azimuth.shape:
            raise ValueError(
                "`moments` must have shape (b, t, g, 3) with (b, g) = "
                f"{self._azimuth.shape}; received {moments.shape}."
            )
        rotated = _rotate(moments, -self._azimuth)
        return np.take_along_axis(rotated, self._grain[:, None, :, None], axis=2)

    def back(self, ordered: ArrayLike) -> np.ndarray:
        """Return the moments (b, t, g, 3) of the grains in their own order and orientation.

        Args:
            ordered: (b, t, places, 3), or (t, places, 3) if all magnets have the same.
        """
        ordered = np.broadcast_to(ordered, (len(self._place), *np.shape(ordered)[-3:]))
        moments = np.take_along_axis(ordered, self._place[:, None, :, None], axis=2)
        return _rotate(moments, self._azimuth) * self._present


class MeanByTilt:
    """Predicts the mean loop of all training grains with a similar tilt of the easy axis.

    Unlike the mean in `GrainsInOrder` it depends on the tilt itself, not on the rank within the
    magnet. So it predicts that a magnet of better aligned grains switches later.

    Args:
        moments: (s, t, g, 3) loops in a field along z.
        easy_axes: (s, g, 3).
        shares: (s, g) shares in the magnet's moment, 0 where there is no grain.
        classes: number of classes of tilt, with equally many grains in each.

    Raises:
        ValueError: for other shapes.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.baselines import MeanByTilt
        >>> up = np.tile([0.0, 0.0, 1.0], (2, 5, 8, 1))
        >>> MeanByTilt(up, up[:, 0], np.ones((2, 8)), classes=1).predict(up[:, 0]).shape
        (2, 5, 8, 3)
    """

    def __init__(
        self, moments: ArrayLike, easy_axes: ArrayLike, shares: ArrayLike, classes: int = 20
    ):
        moments = _loops(moments, "moments")
        s, _, g, _ = moments.shape
        tilt, azimuth = _polar(checks.finite_array(easy_axes, "easy_axes", (s, g, 3)))
        present = checks.finite_array(shares, "shares", (s, g)) > 0
        if not present.any():
            raise ValueError("`shares` must be positive for at least one grain; received none.")
        memory.require(8 * checks.count(classes, "classes"), "the classes", "fewer need less")
        levels = np.linspace(0, 1, classes + 1)[1:-1]
        self._edges = np.quantile(tilt[present], levels)
        rotated = np.swapaxes(_rotate(moments, -azimuth), 1, 2)[present]
        class_of = np.searchsorted(self._edges, tilt[present])
        # A class may be empty where many grains have the same tilt; `predict` never selects it.
        members = (rotated[class_of == k] for k in range(classes))
        self.loops = np.stack([each.sum(axis=0) / max(len(each), 1) for each in members])

    def predict(self, easy_axes: ArrayLike) -> np.ndarray:
        """Return the predicted loops (b, t, g, 3) of grains with easy axes (b, g, 3)."""
        tilt, azimuth = _polar(checks.finite_array(easy_axes, "easy_axes", (None, None, 3)))
        loops = self.loops[np.searchsorted(self._edges, tilt)]  # (b, g, t, 3)
        return _rotate(np.swapaxes(loops, 1, 2), azimuth)


def _polar(axes):
    """Return the tilt of axes against z, and the azimuth of their upper ends."""
    axes = np.where(axes[..., 2:] < 0, -axes, axes)
    x, y, z = np.moveaxis(axes, -1, 0)
    return np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)


def _rotate(moments, angles):
    """Return moments (b, t, g, 3), those of each grain rotated about z by angles (b, g)."""
    cos, sin = (f(angles)[:, None] for f in (np.cos, np.sin))
    x, y, z = np.moveaxis(moments, -1, 0)
    return np.stack([cos * x - sin * y, sin * x + cos * y, z], axis=-1)


def _loops(loops, name):
    """Return `loops` as an array, or raise unless it is a finite (s, t, g, 3)."""
    loops = checks.numbers(loops, name, None)
    if loops.ndim != 4 or loops.shape[-1] != 3:
        raise ValueError(f"`{name}` must have shape (s, t, g, 3); received {loops.shape}.")
    if not len(loops):
        raise ValueError(f"`{name}` must be those of at least one magnet; received none.")
    checks.finite(loops, name)
    return loops
