"""Metrics of states and of demagnetisation curves.

Moments have the shape (b, g, 3) or, over loops, (b, t, g, 3); in both, grains on a lattice may have
the axes (x, y, z) in place of g. `y_true` may have a fourth column on the last axis with the weight
of each grain, as for `NormPreservingLoss`; without it every grain has the weight 1. Each metric is
the mean over all states, or over all loops. Other shapes, or two that differ, raise a ValueError.
"""

import keras
from keras import ops
from numpy.typing import ArrayLike

from keras_micromag import losses
from keras_micromag.physics.hysteresis import coercivity
from keras_micromag.utils import checks

__all__ = [
    "BranchAccuracy",
    "CoercivityError",
    "MeanMomentError",
    "NormError",
    "SquaredError",
]


class _Mean(checks.Configured, keras.metrics.MeanMetricWrapper):
    """Base class: the mean of a function over the batch, weighted by `sample_weight` if given."""

    def __init__(self, function, name, dtype):
        super().__init__(function, name=name, dtype=dtype)
        self._direction = "down"

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Add a batch to the mean."""
        y_true, y_pred = (ops.convert_to_tensor(y, dtype=self.dtype) for y in (y_true, y_pred))
        losses.require_moments(y_true, y_pred)
        super().update_state(y_true, y_pred, sample_weight=sample_weight)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {"name": self.name, "dtype": self.dtype}


@keras.saving.register_keras_serializable(package="keras_micromag")
class SquaredError(_Mean):
    """Squared error of the moments, summed over grains and components: L_MSE of Eq. 9, unweighted.

    Input:
        `y_true`, `y_pred`: moments as in the module's docstring, or one per sample, (b, 3).

    Example:
        >>> import numpy as np
        >>> from keras_micromag.metrics import SquaredError
        >>> up = np.tile([0.0, 0.0, 1.0], (2, 64, 1))
        >>> float(SquaredError()(up, -up))
        256.0
    """

    def __init__(self, name: str = "squared_error", dtype=None):
        super().__init__(self._error, name, dtype)

    def _error(self, y_true, y_pred):
        return losses.squared_error(*losses.checked_moments(y_true, y_pred))


@keras.saving.register_keras_serializable(package="keras_micromag")
class NormError(_Mean):
    """Squared error of the moments' length, summed over grains: L_Norm of Eq. 9, unweighted.

    Input:
        `y_true`, `y_pred`, as for `SquaredError`; of `y_true` only the weights count.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.metrics import NormError
        >>> up = np.tile([0.0, 0.0, 1.0], (2, 64, 1))
        >>> float(NormError()(up, 0.5 * up))
        16.0
    """

    def __init__(self, name: str = "norm_error", dtype=None):
        super().__init__(self._error, name, dtype)

    def _error(self, y_true, y_pred):
        _, predicted, weights = losses.checked_moments(y_true, y_pred)
        return losses.norm_error(predicted, weights)


class _AlongField(_Mean):
    """Base class of metrics of the moment along the field."""

    def __init__(self, function, field_direction, name, dtype):
        super().__init__(function, name, dtype)
        self.field_direction = checks.unit_vectors(
            field_direction, "field_direction", (3,)
        ).tolist()

    def curves(self, y_true, y_pred):
        """Return the grains' mean moments along the field, true and predicted, (b,) or (b, t)."""
        *moments, weights = losses.checked_moments(y_true, y_pred, min_axes=3)
        weights = weights / losses.total_weight(weights)[..., None]
        direction = ops.convert_to_tensor(self.field_direction, weights.dtype)
        return [ops.sum(weights * ops.sum(m * direction, axis=-1), axis=-1) for m in moments]

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "field_direction": self.field_direction}


@keras.saving.register_keras_serializable(package="keras_micromag")
class MeanMomentError(_AlongField):
    """Error of the demagnetisation curve: |ΔM| of the grains' mean moment along the field.

    It is in units of the saturation value, so at most 2, and is averaged over the steps of loops.

    Args:
        field_direction: (3,) unit vector.

    Input:
        `y_true`, `y_pred`: moments as in the module's docstring.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.metrics import MeanMomentError
        >>> up = np.tile([0.0, 0.0, 1.0], (2, 64, 1))
        >>> float(MeanMomentError()(up, 0.5 * up))
        0.5
    """

    def __init__(
        self,
        field_direction: ArrayLike = (0.0, 0.0, 1.0),
        name: str = "mean_moment_error",
        dtype=None,
    ):
        super().__init__(self._error, field_direction, name, dtype)

    def _error(self, y_true, y_pred):
        true, predicted = self.curves(y_true, y_pred)
        return ops.abs(predicted - true)


@keras.saving.register_keras_serializable(package="keras_micromag")
class CoercivityError(_AlongField):
    """Error of the coercivity, |ΔHc| in tesla, of complete loops.

    It is nan where a true or predicted curve never crosses zero, and so has no coercivity.

    Args:
        field: (t,) µ0·H in tesla, the same for all loops.
        field_direction: (3,) unit vector.

    Input:
        `y_true`, `y_pred` (b, t, g, 3) or (b, t, x, y, z, 3).

    Raises:
        ValueError: when `field` is not finite, or the loops do not have its t steps.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.metrics import CoercivityError
        >>> up = np.tile([0.0, 0.0, 1.0], (64, 1))
        >>> loop = [np.stack([up, up, -up, -up]), np.stack([up, up, up, -up])]
        >>> metric = CoercivityError(field=[0.0, -1.0, -2.0, -3.0])
        >>> float(metric(loop[0][None], loop[1][None]))
        1.0
    """

    def __init__(
        self,
        field: ArrayLike,
        field_direction: ArrayLike = (0.0, 0.0, 1.0),
        name: str = "coercivity_error",
        dtype=None,
    ):
        super().__init__(self._error, field_direction, name, dtype)
        self.field = checks.finite_array(field, "field", (None,)).tolist()
        if not self.field:
            raise ValueError("`field` must hold at least one value; received none.")

    def _error(self, y_true, y_pred):
        for moments, argument in ((y_true, "y_true"), (y_pred, "y_pred")):
            shape = tuple(moments.shape)
            if len(shape) not in (4, 6) or shape[1] != len(self.field):
                raise ValueError(
                    f"`{argument}` must have shape (b, t, g, 3) or (b, t, x, y, z, 3) with "
                    f"t = {len(self.field)}, as `field`; received {shape}."
                )
        field = ops.convert_to_tensor(self.field, y_pred.dtype)
        true, predicted = (coercivity(field, curve) for curve in self.curves(y_true, y_pred))
        return ops.abs(true - predicted)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "field": self.field}


@keras.saving.register_keras_serializable(package="keras_micromag")
class BranchAccuracy(_Mean):
    """Share of grains, by their weights, on the right branch.

    A grain counts as right where its predicted moment is less than 90° from the true one, so the
    easy axes are not needed. The moments of a grain's two branches are more than 90° apart while
    the field across its easy axis stays below 0.6 of the anisotropy field.

    Input:
        `y_true`, `y_pred`, as for `SquaredError`.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.metrics import BranchAccuracy
        >>> up = np.tile([0.0, 0.0, 1.0], (2, 4, 1))
        >>> float(BranchAccuracy()(up, up * [[1.0], [1.0], [1.0], [-1.0]]))
        0.75
    """

    def __init__(self, name: str = "branch_accuracy", dtype=None):
        super().__init__(self._same_branch, name, dtype)
        self._direction = "up"

    def _same_branch(self, y_true, y_pred):
        true, predicted, weights = losses.checked_moments(y_true, y_pred)
        same = ops.cast(ops.sum(true * predicted, axis=-1) > 0, weights.dtype)
        return ops.sum(weights * same, axis=-1) / losses.total_weight(weights)
