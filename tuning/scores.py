"""What a recipe is judged by in a search: whole loops of magnets that it was not trained on."""

import numpy as np

from keras_micromag.baselines import mean_loop
from keras_micromag.judge import judge

WORST = 10.0
"""How often the mean training loop's error a magnet's error can be at most, in a score."""

MEASURES = ("curve_rmse", "coercivity_error")


class Score:
    """Errors of predicted loops, in units of those of the mean training loop.

    The score is the mean of two ratios: of the RMSE of M/Ms over the loop, and of the coercivity
    error. 1 is as wrong as to predict the mean loop of the magnets trained on, whatever the magnet;
    no setting of the model enters, neither t nor l. An error without bound, of a recursion that
    grows or of a curve that never crosses zero, counts `WORST` times the baseline's.

    Args:
        training: (s, t, ..., 3) loops. validation: (b, t, ..., 3) loops. field: (t,) in tesla.

    Raises:
        ValueError: where the mean loop is not wrong in a measure, so that it is no unit.
    """

    def __init__(self, training, validation, field):
        self.true, self.field = _grains(validation), field
        baseline = self._errors(mean_loop(_grains(training)))
        self.units = {name: float(values.mean()) for name, values in baseline.items()}
        for name, unit in self.units.items():
            if not (np.isfinite(unit) and unit > 0):
                raise ValueError(
                    "`validation` must have loops that the mean loop of `training` is wrong about; "
                    f"received loops for which its {name} is {unit}."
                )

    def of(self, loops) -> dict[str, float]:
        """`score`, and the mean of each measure, of loops (b, t, ..., 3) for the validation's."""
        errors = self._errors(_grains(loops))
        found = {}
        for name, unit in self.units.items():
            bounded = np.where(np.isfinite(errors[name]), errors[name], np.inf)
            found[name] = float(np.minimum(bounded, WORST * unit).mean())
        return {"score": self._mean_ratio(found), **found}

    def worst(self) -> dict[str, float]:
        """What a training that diverged gets."""
        found = {name: WORST * unit for name, unit in self.units.items()}
        return {"score": self._mean_ratio(found), **found}

    def _mean_ratio(self, found):
        return float(np.mean([found[name] / unit for name, unit in self.units.items()]))

    def _errors(self, loops):
        with np.errstate(over="ignore", invalid="ignore"):
            measured = judge(self.true, loops, self.field)
        return {name: measured[name] for name in MEASURES}


def _grains(loops):
    return loops.reshape(*loops.shape[:2], -1, 3)
