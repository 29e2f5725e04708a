"""What a learnt model must beat: predictions of loops that learn next to nothing, in NumPy."""

import numpy as np

from keras_micromag.physics import checks


def mean_loop(training):
    """(t, g, 3) states averaged over the training magnets (s, t, g, 3): the same for every magnet.

    Hard to beat: magnets of one make differ little.
    """
    return _loops(training, "training").mean(axis=0)


def persistence(states, steps: int):
    """(b, steps, g, 3) loops from the first states (b, t, g, 3): the last of them never changes."""
    states = _loops(states, "states")
    rest = checks.count(steps, "steps") - states.shape[1]
    return np.concatenate([states, np.repeat(states[:, -1:], rest, axis=1)], axis=1)


class LinearLatent:
    """Principal components of states and a linear predictor in them: the paper's method, linear.

    Args:
        training: (s, t, g, 3) loops.
        field: (t,) in tesla, of all of them.
        size: d, how many components.
        window: how many states the predictor sees.

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
        flat = training.reshape(-1, training.shape[-2] * 3)
        self.mean = flat.mean(axis=0, dtype=float)
        # From the covariance: a matrix of all states need not be copied.
        covariance = flat.T.astype(float) @ flat / len(flat) - np.outer(self.mean, self.mean)
        self.components = np.linalg.eigh(covariance)[1][:, ::-1][:, : checks.count(size, "size")]
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
    checks.finite(loops, name)
    return loops
