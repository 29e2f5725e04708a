"""Which steps of a loop show best how a magnet reverses."""

import numpy as np

from keras_micromag.physics.hysteresis import Hysteresis
from keras_micromag.utils import checks


def one_magnet(hysteresis: Hysteresis, magnet: int) -> Hysteresis:
    """The loop of one magnet of a batch; of a single magnet, which is magnet 0, its own.

    Raises:
        ValueError: when there is no such magnet.
    """
    batch = hysteresis.magnetization.ndim == 4
    count = len(hysteresis.magnetization) if batch else 1
    if not -count <= magnet < count:
        raise ValueError(f"`magnet` must be below {count}; received {magnet}.")
    return hysteresis[magnet] if batch else hysteresis


def telling_steps(hysteresis: Hysteresis, number: int) -> np.ndarray:
    """Steps of one magnet's loop between which equally much happens.

    The way from step to step is the mean change of the grains' moments, plus the change of the
    field as a share of all its changes: steps are close together where the magnet reverses, and
    nowhere far apart.

    Args:
        hysteresis: of one magnet.
        number: how many steps at most: fewer where much happens within one, all of a shorter loop.

    Returns:
        Rising indices; the first and the last step are among them.
    """
    number = checks.count(number, "number", least=2)
    steps = len(hysteresis.field)
    if steps <= number:
        return np.arange(steps)
    states = np.asarray(hysteresis.magnetization, dtype=float)
    moved = np.linalg.norm(np.diff(states, axis=0), axis=-1).mean(axis=-1) / 2
    swept = np.abs(np.diff(hysteresis.field))
    way = np.concatenate([[0.0], np.cumsum(moved + swept / (swept.sum() or 1.0))])
    chosen = np.searchsorted(way, np.linspace(0.0, way[-1], number))
    return np.unique([0, *np.minimum(chosen, steps - 1), steps - 1])
