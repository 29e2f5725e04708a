"""What a learnt model must beat: predictions of loops that learn next to nothing, in NumPy."""

import numpy as np

from keras_micromag.physics import checks


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


class MeanGrain:
    """What the grains trained on do, on the average: alone, with no neighbours.

    Every grain follows the mean of the training grains whose easy axes are tilted as much against
    the field as its own, which is most of what a grain knows of itself.

    Args:
        moments: (s, t, g, 3) loops in a field along z.
        easy_axes: (s, g, 3). shares: (s, g) in the magnet's moment, 0 where there is no grain.
        classes: of equally many grains each; 1 for the mean of all.

    Raises:
        ValueError: for other shapes.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.baselines import MeanGrain
        >>> up = np.tile([0.0, 0.0, 1.0], (2, 5, 8, 1))
        >>> MeanGrain(up, up[:, 0], np.ones((2, 8)), classes=1).predict(up[:, 0]).shape
        (2, 5, 8, 3)
    """

    def __init__(self, moments, easy_axes, shares, classes: int = 20):
        moments = _loops(moments, "moments")
        s, _, g, _ = moments.shape
        easy_axes = checks.finite_array(easy_axes, "easy_axes", (s, g, 3))
        shares = checks.finite_array(shares, "shares", (s, g))
        there = shares > 0
        tilt, azimuth = _polar(easy_axes)
        edges = np.quantile(tilt[there], np.linspace(0, 1, checks.count(classes, "classes") + 1))
        self._edges = edges[1:-1]
        turned = _turned(moments, -azimuth)
        found = np.searchsorted(self._edges, tilt)
        weights = [np.where(there & (found == k), shares, 0) for k in range(classes)]
        self.loops = np.stack(
            [np.einsum("sg,stgi->ti", w / max(w.sum(), 1e-300), turned) for w in weights]
        )

    def predict(self, easy_axes):
        """(b, t, g, 3) loops of grains with easy axes (b, g, 3)."""
        easy_axes = checks.finite_array(easy_axes, "easy_axes", (None, None, 3))
        tilt, azimuth = _polar(easy_axes)
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
