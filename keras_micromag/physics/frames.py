"""Select the magnet of a batch and the steps of its loop that a figure or a film shows."""

import numpy as np

from keras_micromag.physics.hysteresis import Hysteresis
from keras_micromag.utils import checks


def select_magnet(hysteresis: Hysteresis, magnet: int) -> Hysteresis:
    """Return the loop of one magnet of a batch.

    The loop of a single magnet is returned as it is; its only magnet has the number 0.

    Raises:
        ValueError: when there is no such magnet.
    """
    batch = hysteresis.magnetization.ndim == 4
    count = len(hysteresis.magnetization) if batch else 1
    if not checks.count(magnet, "magnet", least=-count) < count:
        raise ValueError(f"`magnet` must be below {count}; received {magnet}.")
    return hysteresis[magnet] if batch else hysteresis


def representative_steps(hysteresis: Hysteresis, number: int) -> np.ndarray:
    """Return steps of a magnet's loop that are evenly spaced by the change between them.

    The change from one step to the next is the mean change of the grains' moments, plus the change
    of the field as a share of all its changes. The steps are therefore close together where the
    magnet reverses, and nowhere far apart.

    Args:
        hysteresis: of one magnet.
        number: largest number of steps. There are fewer where one step holds much of the change,
            and all of them in a shorter loop.

    Returns:
        Rising indices, which include the first and the last step.
    """
    number = checks.count(number, "number", least=2)
    steps = len(hysteresis.field)
    if steps <= number:
        return np.arange(steps)
    states = np.asarray(hysteresis.magnetization, dtype=float)
    moment_changes = np.linalg.norm(np.diff(states, axis=0), axis=-1).mean(axis=-1) / 2
    field_changes = np.abs(np.diff(hysteresis.field))
    changes = moment_changes + field_changes / (field_changes.sum() or 1.0)
    path_length = np.concatenate([[0.0], np.cumsum(changes)])
    indices = np.searchsorted(path_length, np.linspace(0.0, path_length[-1], number))
    return np.unique([0, *np.minimum(indices, steps - 1), steps - 1])
