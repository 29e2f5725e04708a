"""Score of a trained model: errors of predicted loops of magnets that it was not trained on."""

import numpy as np

from keras_micromag.baselines import mean_loop
from keras_micromag.evaluation import evaluate

WORST = 10.0
"""Largest error of a magnet in a score, in units of the error of the mean training loop."""

MEASURES = ("curve_rmse", "coercivity_error")


class Score:
    """Computes errors of predicted loops in units of those of the mean training loop.

    The score is the mean of two ratios: that of the RMSE of M/Ms over the loop, and that of the
    coercivity error. A score of 1 is that of the mean training loop as the prediction for every
    magnet. The score does not depend on settings of the model such as t and l, so models can be
    compared. An error that is not finite, of a recursion that diverges or of a curve that never
    crosses zero, is replaced by `WORST` times the baseline's.

    Args:
        training: (s, t, g, 3) loops.
        validation: (b, t, g, 3) loops.
        field: (t,) µ0·H in tesla.

    Raises:
        ValueError: when an error of the mean loop is 0, and cannot be a unit.
    """

    def __init__(self, training: np.ndarray, validation: np.ndarray, field: np.ndarray):
        self.true, self.field = validation, field
        baseline = self._errors(mean_loop(training))
        self.units = {name: float(values.mean()) for name, values in baseline.items()}
        for name, unit in self.units.items():
            if not (np.isfinite(unit) and unit > 0):
                raise ValueError(
                    "`validation` must have loops that the mean loop of `training` is wrong about; "
                    f"received loops for which its {name} is {unit}."
                )

    def of(self, loops: np.ndarray) -> dict[str, float]:
        """Return `score` and the mean of each measure, of predictions (b, t, g, 3)."""
        errors = self._errors(loops)
        means = {}
        for name, unit in self.units.items():
            bounded = np.where(np.isfinite(errors[name]), errors[name], np.inf)
            means[name] = float(np.minimum(bounded, WORST * unit).mean())
        return {"score": self._mean_ratio(means), **means}

    def worst(self) -> dict[str, float]:
        """Return the score of a training that diverged."""
        means = {name: WORST * unit for name, unit in self.units.items()}
        return {"score": self._mean_ratio(means), **means}

    def _mean_ratio(self, means):
        return float(np.mean([means[name] / unit for name, unit in self.units.items()]))

    def _errors(self, loops):
        with np.errstate(over="ignore", invalid="ignore"):
            measured = evaluate(self.true, loops, self.field)
        return {name: measured[name] for name in MEASURES}
