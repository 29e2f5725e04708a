"""Error measures of predicted loops and of baselines, as JSON values."""

import numpy as np

from keras_micromag.baselines import (
    GrainsInOrder,
    LinearLatent,
    MeanByTilt,
    mean_loop,
    persistence,
)
from keras_micromag.data import Lattices, Polycrystals
from keras_micromag.evaluation import evaluate
from keras_micromag.physics import Hysteresis

PREDICTION = "prediction from the first states"


class Baselines:
    """Baselines fitted to training loops.

    Those of polycrystals take the grains in the order of their tilt; see `GrainsInOrder`.

    Args:
        training: s magnets.
        field: (t,) µ0·H in tesla.
        size: number of latent variables.
        window: number of first states that are given to a predictor.

    Attributes:
        mean: (t, g, 3) mean training loop.
    """

    def __init__(
        self, training: Lattices | Polycrystals, field: np.ndarray, size: int, window: int
    ):
        self.window, self._places = window, training.moments.shape[2]
        ordered = training.moments
        if isinstance(training, Polycrystals):
            ordered = self._order(training).ordered(ordered)
            self._by_tilt = MeanByTilt(training.moments, training.easy_axes, training.shares)
        self.mean = mean_loop(ordered)
        self.linear = LinearLatent(ordered, field, size, window)

    def reconstructions(self, magnets: Lattices | Polycrystals) -> dict[str, np.ndarray]:
        """Return reconstructions (b, t, g, 3) of the states of magnets, by their names."""
        name = f"PCA({self.linear.components.shape[1]})"
        return self._apply(lambda states: {name: self.linear.reconstruct(states)}, magnets)

    def predictions(self, magnets: Lattices | Polycrystals) -> dict[str, np.ndarray]:
        """Return predictions (b, t, g, 3) from the first states of magnets, by their names.

        The mean loop of lattices, the same for all, is (t, g, 3).
        """
        results = self._apply(self._predict, magnets)
        if isinstance(magnets, Polycrystals):
            results["mean by tilt"] = self._by_tilt.predict(magnets.easy_axes)
        return results

    def _predict(self, states):
        first = states[:, : self.window]
        return {
            "mean training loop": self.mean,
            "persistence": persistence(first, states.shape[1]),
            "linear latent predictor": self.linear.predict(first),
        }

    def _apply(self, baselines, magnets):
        """Return what `baselines` returns for the states, in the grains' own order."""
        if isinstance(magnets, Lattices):
            return baselines(magnets.moments)
        order = self._order(magnets)
        results = baselines(order.ordered(magnets.moments))
        return {name: order.back(states) for name, states in results.items()}

    def _order(self, magnets):
        return GrainsInOrder(magnets.easy_axes, magnets.shares, self._places)


def of(loops: Hysteresis, states: np.ndarray, shares: np.ndarray | None = None) -> dict[str, list]:
    """Return the measures of `evaluate` as JSON values, magnet by magnet.

    None stands for a value that is not finite: a recursion may diverge, and a curve may never cross
    zero. Such errors cannot be averaged.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        measured = evaluate(loops.magnetization, states, loops.field, shares=shares)
    return {
        name: [float(v) if np.isfinite(v) else None for v in values]
        for name, values in measured.items()
    }
