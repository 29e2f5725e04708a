"""What a learnt model must beat: predictions of loops that learn next to nothing, in NumPy."""

import numpy as np

from keras_micromag.utils import checks


def mean_loop(training):
    """(t, g, 3) states averaged over the training magnets (s, t, g, 3): the same for every magnet.

    Hard to beat: magnets of one make differ little.

    Raises:
        ValueError: for another shape, or no magnet.
    """
    return _loops(training, "training").mean(axis=0)


def persistence(states, steps: int):
    """(b, steps, g, 3) loops from the first states (b, t, g, 3): the last of them never changes.

    Raises:
        ValueError: for another shape, or fewer steps than states.
    """
    states = _loops(states, "states")
    rest = checks.count(steps, "steps") - states.shape[1]
    if rest < 0:
        raise ValueError(f"`steps` must be at least {states.shape[1]}; received {steps}.")
    return np.concatenate([states, np.repeat(states[:, -1:], rest, axis=1)], axis=1)


class LinearLatent:
    """Principal components of states and a linear predictor in them: the paper's method, linear.

    Args:
        training: (s, t, g, 3) loops.
        field: (t,) in tesla, of all of them.
        size: d, how many components; at most 3 g.
        window: how many states the predictor sees; fewer than t.

    Raises:
        ValueError: when a shape does not fit.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.baselines import LinearLatent
        >>> loops = np.random.default_rng(0).normal(size=(3, 20, 8, 3))
        >>> LinearLatent(loops, np.linspace(1, -1, 20), size=2).predict(loops[:1, :4]).shape
        (1, 20, 8, 3)
    """

    def __init__(self, training, field, size: int = 16, window: int = 4):
        training = _loops(training, "training")
        self.window = checks.count(window, "window")
        self.field = checks.finite_array(field, "field", (training.shape[1],), "one per state")
        n, variables = training.shape[1], training.shape[2] * 3
        if checks.count(size, "size") > variables:
            raise ValueError(f"`size` must be at most 3 g = {variables}; received {size}.")
        if self.window >= n:
            raise ValueError(f"`window` must be less than t = {n}; received {window}.")
        self.mean = training.mean(axis=(0, 1), dtype=float).ravel()
        # From the covariance, a loop at a time: many loops need not be there in float64 at once.
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

    def encode(self, states):
        """(..., d) components of states (..., g, 3)."""
        states = np.asarray(states)
        return (states.reshape(*states.shape[:-2], -1) - self.mean) @ self.components

    def decode(self, latent):
        """(..., g, 3) states of components (..., d)."""
        states = latent @ self.components.T + self.mean
        return states.reshape(*states.shape[:-1], -1, 3)

    def reconstruct(self, states):
        """States (..., g, 3) as far as d components hold them."""
        return self.decode(self.encode(states))

    def predict(self, states):
        """(b, t, g, 3) loops from the first `window` states (b, window, g, 3)."""
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
    """Grains of unlike magnets made comparable: in the order of their tilt, and turned alike.

    What a grain knows of itself is, above all, how much its easy axis is tilted against the field.
    So grain 3 of 50 in that order stands for grain 3 of 50 of any magnet, whatever its azimuth, and
    all that lattices have for baselines serves polycrystals too.

    Args:
        easy_axes: (b, g, 3), of magnets in a field along z. shares: (b, g) of the grains in the
            magnet's moment, 0 where there is no grain.
        places: in the order, at least g; magnets of fewer grains have some of them several times.

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

    def __init__(self, easy_axes, shares, places: int = 64):
        easy_axes = checks.finite_array(easy_axes, "easy_axes", (None, None, 3))
        shares = checks.finite_array(shares, "shares", easy_axes.shape[:2])
        there = shares > 0
        counts = there.sum(axis=1, keepdims=True)
        if not 1 <= counts.min() <= counts.max() <= checks.count(places, "places"):
            raise ValueError(
                f"`places` must be at least the number of grains, 1 to {counts.max()}; received "
                f"{places}."
            )
        tilt, self._azimuth = _polar(easy_axes)
        order = np.where(there, tilt, np.inf).argsort(axis=1, kind="stable")
        rank = order.argsort(axis=1)
        self._grain = np.take_along_axis(order, np.arange(places) * counts // places, axis=1)
        self._place = np.where(there, -(-rank * places // counts), 0)
        self._there = there[:, None, :, None]

    def ordered(self, moments):
        """(b, t, places, 3) from moments (b, t, g, 3)."""
        turned = _turned(np.asarray(moments), -self._azimuth)
        return np.take_along_axis(turned, self._grain[:, None, :, None], axis=2)

    def back(self, ordered):
        """(b, t, g, 3) from (b, t, places, 3), or from (t, places, 3), the same for all magnets."""
        ordered = np.broadcast_to(ordered, (len(self._place), *np.shape(ordered)[-3:]))
        moments = np.take_along_axis(ordered, self._place[:, None, :, None], axis=2)
        return _turned(moments, self._azimuth) * self._there


class MeanByTilt:
    """The mean loop of all grains trained on whose easy axes are tilted alike.

    Unlike the mean in `GrainsInOrder` it goes by the tilt itself, not by the rank in the magnet: it
    knows that a magnet of better aligned grains switches later.

    Args:
        moments: (s, t, g, 3) loops in a field along z.
        easy_axes: (s, g, 3). shares: (s, g) in the magnet's moment, 0 where there is no grain.
        classes: of equally many grains each.

    Raises:
        ValueError: for other shapes.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.baselines import MeanByTilt
        >>> up = np.tile([0.0, 0.0, 1.0], (2, 5, 8, 1))
        >>> MeanByTilt(up, up[:, 0], np.ones((2, 8)), classes=1).predict(up[:, 0]).shape
        (2, 5, 8, 3)
    """

    def __init__(self, moments, easy_axes, shares, classes: int = 20):
        moments = _loops(moments, "moments")
        s, _, g, _ = moments.shape
        tilt, azimuth = _polar(checks.finite_array(easy_axes, "easy_axes", (s, g, 3)))
        there = checks.finite_array(shares, "shares", (s, g)) > 0
        levels = np.linspace(0, 1, checks.count(classes, "classes") + 1)[1:-1]
        self._edges = np.quantile(tilt[there], levels)
        turned = np.swapaxes(_turned(moments, -azimuth), 1, 2)[there]
        found = np.searchsorted(self._edges, tilt[there])
        # A class may be empty where many grains have the same tilt; nobody is then in it.
        members = (turned[found == k] for k in range(classes))
        self.loops = np.stack([each.sum(axis=0) / max(len(each), 1) for each in members])

    def predict(self, easy_axes):
        """(b, t, g, 3) loops of grains with easy axes (b, g, 3)."""
        tilt, azimuth = _polar(checks.finite_array(easy_axes, "easy_axes", (None, None, 3)))
        loops = self.loops[np.searchsorted(self._edges, tilt)]  # (b, g, t, 3)
        return _turned(np.swapaxes(loops, 1, 2), azimuth)


def _polar(axes):
    """Tilt against z, an axis having no sign, and azimuth of its upper end."""
    axes = np.where(axes[..., 2:] < 0, -axes, axes)
    x, y, z = np.moveaxis(axes, -1, 0)
    return np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)


def _turned(moments, angles):
    """Moments (b, t, g, 3), each grain's turned about z by angles (b, g)."""
    cos, sin = (f(angles)[:, None] for f in (np.cos, np.sin))
    x, y, z = np.moveaxis(moments, -1, 0)
    return np.stack([cos * x - sin * y, sin * x + cos * y, z], axis=-1)


def _loops(loops, name):
    loops = np.asarray(loops)
    if loops.ndim != 4 or loops.shape[-1] != 3:
        raise ValueError(f"`{name}` must have shape (s, t, g, 3); received {loops.shape}.")
    if not len(loops):
        raise ValueError(f"`{name}` must be those of at least one magnet; received none.")
    checks.finite(loops, name)
    return loops
