"""Error measures of predicted loops and of baselines, as JSON values."""

from typing import Any

import numpy as np

from keras_micromag.baselines import LinearLatent, mean_loop, persistence
from keras_micromag.data import Polycrystals
from keras_micromag.judge import judge
from keras_micromag.physics import Hysteresis

PREDICTION = "prediction from the first states"


class Baselines:
    """Baselines fitted to training loops.

    Args:
        training: (s, t, g, 3) loops.
        field: (t,) µ0·H in tesla.
        size: number of latent variables.
        window: number of first states that are given to a predictor.
    """

    def __init__(self, training: np.ndarray, field: np.ndarray, size: int, window: int):
        self.window = window
        self.mean = mean_loop(training)
        self.linear = LinearLatent(training, field, size, window)

    def reconstructions(self, states: np.ndarray) -> dict[str, np.ndarray]:
        """Return the baselines' reconstructions of states (b, t, g, 3), by their names."""
        return {f"PCA({self.linear.components.shape[1]})": self.linear.reconstruct(states)}

    def predictions(self, states: np.ndarray) -> dict[str, np.ndarray]:
        """Return the baselines' predictions from the first states of loops (b, t, g, 3)."""
        first = states[:, : self.window]
        return {
            "mean training loop": self.mean,
            "persistence": persistence(first, states.shape[1]),
            "linear latent predictor": self.linear.predict(first),
        }


def of_reconstruction_and_prediction(
    loops: Hysteresis,
    reconstructed: np.ndarray,
    predicted: np.ndarray,
    baselines: Any,
    magnets: Polycrystals | None = None,
) -> dict:
    """Return {kind: {name: {measure: values}}} of a trained model and of the baselines.

    Args:
        loops: the simulated loops of unseen magnets.
        reconstructed, predicted: (b, t, g, 3) states by the model.
        baselines: `Baselines`, or an object with the same methods for `magnets`.
        magnets: the unseen magnets, if they are polycrystals.
    """
    true, shares = loops.magnetization, None
    if magnets is not None:
        true, shares = magnets, magnets.shares
    states = {
        "reconstruction": {"autoencoder": reconstructed, **baselines.reconstructions(true)},
        PREDICTION: {"predictor": predicted, **baselines.predictions(true)},
    }
    return {
        kind: {name: of(loops, each, shares) for name, each in by_name.items()}
        for kind, by_name in states.items()
    }


def of(loops: Hysteresis, states: np.ndarray, shares: np.ndarray | None = None) -> dict[str, list]:
    """Return the measures of `judge` as JSON values, magnet by magnet.

    None stands for a value that is not finite: a recursion may diverge, and a curve may never cross
    zero. Such errors cannot be averaged.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        measured = judge(loops.magnetization, states, loops.field, shares=shares)
    return {
        name: [float(v) if np.isfinite(v) else None for v in values]
        for name, values in measured.items()
    }
