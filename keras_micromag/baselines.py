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


def _loops(loops, name):
    loops = np.asarray(loops)
    if loops.ndim != 4 or loops.shape[-1] != 3:
        raise ValueError(f"`{name}` must have shape (s, t, g, 3); received {loops.shape}.")
    if not len(loops):
        raise ValueError(f"`{name}` must be those of at least one magnet; received none.")
    checks.finite(loops, name)
    return loops
