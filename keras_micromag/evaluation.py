"""Error measures of predicted loops, magnet by magnet."""

import numpy as np
from numpy.typing import ArrayLike

from keras_micromag.physics.hysteresis import coercivity
from keras_micromag.utils import checks

__all__ = ["MEASURES", "SWITCHING", "evaluate"]

SWITCHING = 0.8
"""|M|/Ms along the field below which a state is in the switching region."""

MEASURES = {
    "squared_error": "squared error per state",
    "squared_error_switching": "… in the switching region",
    "norm_error": "norm error per state",
    "curve_rmse": "RMSE of M/Ms over the loop",
    "coercivity_error": "coercivity error, T",
    "coercivity_steps": "… in field steps",
    "branch_accuracy": "grain states right",
}
"""Name of each measure, and its label in tables."""


def evaluate(
    true: ArrayLike,
    predicted: ArrayLike,
    field: ArrayLike,
    field_direction: ArrayLike = (0.0, 0.0, 1.0),
    *,
    shares: ArrayLike | None = None,
) -> dict[str, np.ndarray]:
    """Return the error measures of predicted loops.

    Args:
        true: (b, t, g, 3) unit moments.
        predicted: (b, t, g, 3), or (t, g, 3) if all magnets have the same prediction.
        field: (t,) µ0·H in tesla.
        field_direction: (3,) unit vector.
        shares: (b, g) shares of the grains in the moment of their magnet, 0 where a magnet has no
            such grain; by default all grains have equal shares.

    Returns:
        For each of `MEASURES`, (b,) values. Squared and norm errors are those of Eq. 9: sums over
        grains, averaged over states. The coercivity error is unsigned, and nan where a curve never
        crosses zero. A grain state is right when it is less than 90° from the true one.

    Raises:
        ValueError: when the shapes do not fit.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.evaluation import evaluate
        >>> up = np.tile([0.0, 0.0, 1.0], (4, 1))
        >>> loop = np.stack([up, up, -up])
        >>> evaluate(loop[None], loop, [1.0, 0.0, -1.0])["branch_accuracy"].tolist()
        [1.0]
    """
    true = np.asarray(true)
    if true.ndim != 4 or true.shape[-1] != 3:
        raise ValueError(f"`true` must have shape (b, t, g, 3); received {true.shape}.")
    predicted = np.asarray(predicted)
    if predicted.shape not in (true.shape, true.shape[1:]):
        raise ValueError(
            f"`predicted` must have shape {true.shape} or {true.shape[1:]}; "
            f"received {predicted.shape}."
        )
    predicted = np.broadcast_to(predicted, true.shape)
    field = checks.finite_array(field, "field", (true.shape[1],), "one per state")
    direction = checks.unit_vectors(field_direction, "field_direction", (3,))
    b, _, g, _ = true.shape
    shares = np.ones((b, g)) if shares is None else checks.finite_array(shares, "shares", (b, g))
    if (shares < 0).any() or not (shares > 0).any(axis=1).all():
        raise ValueError("`shares` must be at least 0, and positive somewhere in each magnet.")
    present = (shares > 0)[:, None]
    shares = shares / shares.sum(axis=1, keepdims=True)
    curves = [np.einsum("btgi,bg,i->bt", m, shares, direction) for m in (true, predicted)]
    squared = (np.square(true - predicted).sum(axis=3, dtype=float) * present).sum(axis=2)
    lengths = np.where(present, np.linalg.norm(predicted, axis=-1), 1)
    right = ((true * predicted).sum(axis=-1) > 0) & present
    switching = np.abs(curves[0]) < SWITCHING
    with np.errstate(invalid="ignore"):  # nan for a loop without states in the switching region
        in_switching = np.where(switching, squared, 0).sum(axis=1) / switching.sum(axis=1)
    error = np.abs(coercivity(field, curves[1]) - coercivity(field, curves[0]))
    return {
        "squared_error": squared.mean(axis=1),
        "squared_error_switching": in_switching,
        "norm_error": np.square(1 - lengths).sum(axis=2, dtype=float).mean(axis=1),
        "curve_rmse": np.sqrt(np.square(curves[1] - curves[0]).mean(axis=1)),
        "coercivity_error": error,
        "coercivity_steps": error / np.abs(np.diff(field)).mean(),
        "branch_accuracy": (right.sum(axis=2) / present.sum(axis=2)).mean(axis=1),
    }
