"""The measures of predicted loops, beside those of the baselines, as JSON holds them."""

import numpy as np

from keras_micromag.baselines import LinearLatent, mean_loop, persistence
from keras_micromag.judge import judge


class Baselines:
    """The baselines for loops trained on: fitted once, for any magnets.

    Args:
        training: (s, t, ..., 3), grains on a lattice or not. field: (t,) in tesla. size: d.
        window: t of the predictor.
    """

    def __init__(self, training, field, size: int, window: int):
        self.window = window
        training = training.reshape(*training.shape[:2], -1, 3)
        self.mean = mean_loop(training)
        self.linear = LinearLatent(training, field, size, window)

    def reconstructions(self, states) -> dict:
        """{name: states (b, t, g, 3)} as far as the baseline holds them."""
        return {f"PCA({self.linear.components.shape[1]})": self.linear.reconstruct(states)}

    def predictions(self, states) -> dict:
        """{name: loops (b, t, g, 3)} from the first states of (b, t, g, 3)."""
        first = states[:, : self.window]
        return {
            "mean training loop": self.mean,
            "persistence": persistence(first, states.shape[1]),
            "linear latent predictor": self.linear.predict(first),
        }


def of_reconstruction_and_prediction(loops, reconstructed, predicted, baselines) -> dict:
    """{kind: {name: {measure: values}}} of a trained model and of the baselines.

    Args:
        loops: `Hysteresis` of the magnets never seen.
        reconstructed, predicted: (b, t, g, 3).
        baselines: those for the loops trained on.
    """
    true = loops.magnetization
    found = {
        "reconstruction": {"autoencoder": reconstructed, **baselines.reconstructions(true)},
        "prediction from the first states": {
            "predictor": predicted,
            **baselines.predictions(true),
        },
    }
    return {
        kind: {name: of(loops, states) for name, states in each.items()}
        for kind, each in found.items()
    }


def of(loops, states, shares=None) -> dict[str, list]:
    """`judge` for JSON, magnet by magnet; None stands for what is no finite number.

    A recursion may grow beyond all bounds, a curve may never cross zero: neither has an error that
    one could average.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        measured = judge(loops.magnetization, states, loops.field, shares=shares)
    return {
        name: [float(v) if np.isfinite(v) else None for v in values]
        for name, values in measured.items()
    }
