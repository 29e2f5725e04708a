"""Windows of latent loops: the training data of a rollout."""

from __future__ import annotations

from operator import getitem
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import backend
from numpy.typing import ArrayLike

from keras_micromag.utils import checks

if TYPE_CHECKING:
    import tensorflow as tf


class Windows(keras.utils.PyDataset):
    """Windows of t states, the l states that follow, and the fields of these l.

    A batch is `({"states": (b, t, d), "field": (b, l)}, (b, l, d))`, and the weights, if there are
    any. No window crosses the end of a simulation: s simulations of n steps give
    s·(n - t - l + 1) windows. They are gathered from the states batch by batch.

    Args:
        states: (s, n, d) latent states of s simulations; any further axes stay as they are.
        field: (n,) or (s, n) µ0·H in tesla.
        window: t.
        horizon: l.
        step_weights: (s, n), one per state, as `sample_weights` gives them. Each error of a window
            has the weight of the state that is predicted, so a batch has weights (b, l).
        start: (s, ...) an array of each simulation that is the input `start` of all its windows:
            its first state in real space, for a rollout that takes the microstructure.
        batch_size: b.
        shuffle: whether to shuffle the windows, differently in each epoch.
        seed: seed of the shuffling.
        **kwargs: passed to `keras.utils.PyDataset`, such as workers.

    Raises:
        ValueError: when a simulation is shorter than t + l, the shapes do not fit together, or a
            value is not finite.

    Notes:
        `RecursiveRolloutModel.fit` takes `Windows`, and on TensorFlow calls `to_tf_data`.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.data import Windows
        >>> states, field = np.zeros((9, 1000, 16)), np.linspace(8.0, -8.0, 1000)
        >>> windows = Windows(states, field, window=4, horizon=8)
        >>> windows.windows
        8901
        >>> inputs, targets = windows[0]
        >>> inputs["states"].shape, inputs["field"].shape, targets.shape
        ((64, 4, 16), (64, 8), (64, 8, 16))
    """

    def __init__(
        self,
        states: ArrayLike,
        field: ArrayLike,
        window: int,
        horizon: int,
        *,
        step_weights: ArrayLike | None = None,
        start: ArrayLike | None = None,
        batch_size: int = 64,
        shuffle: bool = True,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.window, self.horizon = checks.count(window, "window"), checks.count(horizon, "horizon")
        self.batch_size, self.shuffle = checks.count(batch_size, "batch_size"), shuffle
        floatx = backend.floatx()
        states = checks.numbers(states, "states", floatx)
        if states.ndim < 3 or not len(states):
            raise ValueError(
                "`states` must have shape (s, n, d) with at least one simulation; received "
                f"{states.shape}."
            )
        checks.finite(states, "states")
        s, n = states.shape[:2]
        if n < window + horizon:
            raise ValueError(
                f"`states` must have at least window + horizon = {window} + {horizon} steps in a "
                f"simulation; received {n}."
            )
        field = checks.finite_array(field, "field").astype(floatx)
        if field.shape not in ((n,), (s, n)):
            raise ValueError(
                f"`field` must have shape ({n},) or ({s}, {n}), one per state; received "
                f"{field.shape}."
            )
        field = np.broadcast_to(field, (s, n))
        # Simulations end to end: a window is identified by the index of its first state.
        self._parts = [part.reshape(s * n, *part.shape[2:]) for part in (states, field)]
        if step_weights is not None:
            weights = checks.finite_array(step_weights, "step_weights", (s, n), "one per state")
            self._parts.append(weights.astype(floatx).reshape(s * n))
        self._start = None
        if start is not None:
            start = checks.numbers(start, "start", floatx)
            if not start.ndim or len(start) != s:
                raise ValueError(
                    f"`start` must have shape (s, ...) with s = {s}; received {start.shape}."
                )
            checks.finite(start, "start")
            self._start = start
        self._steps = n
        first = np.arange(n - window - horizon + 1) + n * np.arange(s)[:, None]
        self._first = first.ravel()
        self._rng = checks.generator(seed, "order of the windows")
        self._order = self._first
        self.on_epoch_end()

    @property
    def windows(self) -> int:
        """Number of windows."""
        return len(self._first)

    def __len__(self) -> int:
        return -(-self.windows // self.batch_size)

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(f"`index` must be at least 0 and below {len(self)}; received {index}.")
        chosen = slice(index * self.batch_size, (index + 1) * self.batch_size)
        return self._gather(self._order[chosen], getitem, self._parts, self._start)

    def on_epoch_end(self) -> None:
        """Shuffle the windows again."""
        if self.shuffle:
            self._order = self._rng.permutation(self._first)

    def arrays(self) -> tuple:
        """Return all windows in order, as arrays for `fit`: x, y, and the weights, if any."""
        return self._gather(self._first, getitem, self._parts, self._start)

    def to_tf_data(self, *, cache: bool = True) -> tf.data.Dataset:
        """Return a `tf.data.Dataset` of the batches, shuffled again at each iteration.

        Args:
            cache: make the batches once and keep them. All windows are then in memory, with
                4·(t + l)·d bytes each and those of `start`, and only the order of the batches
                changes from epoch to epoch. Without it every epoch has other batches, which takes a
                little more time.

        Returns:
            A dataset of `len(self)` batches.
        """
        import tensorflow as tf

        parts = [tf.constant(part) for part in self._parts]
        start = None if self._start is None else tf.constant(self._start)
        seed = int(self._rng.integers(2**31))
        first = tf.data.Dataset.from_tensor_slices(self._first)
        if self.shuffle:
            first = first.shuffle(self.windows, seed, reshuffle_each_iteration=not cache)
        batches = first.batch(self.batch_size).map(
            lambda first: self._gather(first, tf.gather, parts, start)
        )
        if cache:
            batches = batches.cache()
            batches = batches.shuffle(len(self), seed) if self.shuffle else batches
        # Gathering takes little time; idle threads would take the cores from training.
        options = tf.data.Options()
        options.autotune.enabled = False
        options.threading.private_threadpool_size = 1
        return batches.prefetch(2).with_options(options)

    def _gather(self, first, take, parts, start):
        """Return the windows whose first states are `first`; `take` is the gather function."""
        states, field, *weights = parts
        begin = first[:, None]
        past = begin + np.arange(self.window)
        coming = begin + np.arange(self.window, self.window + self.horizon)
        x = {"states": take(states, past), "field": take(field, coming)}
        if start is not None:
            x["start"] = take(start, first // self._steps)
        return (x, take(states, coming), *(take(part, coming) for part in weights))
