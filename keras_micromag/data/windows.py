"""Windows of latent loops, to train a rollout on."""

from operator import getitem

import keras
import numpy as np
from keras import backend

from keras_micromag.utils import checks


class Windows(keras.utils.PyDataset):
    """Windows of t states, the l states that follow, and the fields of these l.

    A batch is `({"states": (b, t, d), "field": (b, l)}, (b, l, d))`, and the weights, if there are
    any. No window reaches from one simulation into another: s simulations of n steps give
    s·(n - t - l + 1) of them. They are cut out of the states batch by batch.

    Args:
        states: (s, n, d) latent states of s simulations; any further axes stay as they are.
        field: (n,) or (s, n) µ0·H in tesla.
        window: t. horizon: l.
        step_weights: (s, n), one per state, as `sample_weights` gives them: each error of a window
            is weighted by the state it is made at, (b, l).
        window_weights: the same, but a window as a whole is weighted by its first target, (b,): the
            paper's sample b⁽ⁱ⁾ and its weight wᵢ. Not both.
        start: (s, ...), something of each simulation that all its windows get as the input `start`:
            its first state in real space, for a rollout that takes the microstructure.
        batch_size, shuffle, seed: the windows are shuffled anew for every epoch, by the seed.
        **kwargs: of `keras.utils.PyDataset`: workers and so on.

    Raises:
        ValueError: when a simulation is shorter than t + l, the shapes do not fit together, or a
            value is not finite.

    Notes:
        `RecursiveRolloutModel.fit` takes it as it is, and on TensorFlow goes through `to_tf_data`.

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
        states,
        field,
        window: int,
        horizon: int,
        *,
        step_weights=None,
        window_weights=None,
        start=None,
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
        if step_weights is not None and window_weights is not None:
            raise ValueError("`window_weights` must not be given beside `step_weights`.")
        weights = window_weights if step_weights is None else step_weights
        if weights is not None:
            name = "window_weights" if step_weights is None else "step_weights"
            weights = checks.finite_array(weights, name, (s, n), "one per state").astype(floatx)
        self._start = None
        if start is not None:
            start = np.asarray(start, floatx)
            if not start.ndim or len(start) != s:
                raise ValueError(
                    f"`start` must have shape (s, ...) with s = {s}; received {start.shape}."
                )
            checks.finite(start, "start")
            self._start = start
        self._steps = n
        self._by_step = step_weights is not None
        # Simulations end to end: a window is known by the index of its first state.
        parts = [states, field] if weights is None else [states, field, weights]
        self._parts = [part.reshape(s * n, *part.shape[2:]) for part in parts]
        starts = np.arange(n - window - horizon + 1) + n * np.arange(s)[:, None]
        self._starts = starts.ravel()
        self._seeds = np.random.default_rng(seed)
        self._order = self._starts
        self.on_epoch_end()

    @property
    def windows(self) -> int:
        """How many there are."""
        return len(self._starts)

    def __len__(self):
        return -(-self.windows // self.batch_size)

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(f"`index` must be at least 0 and below {len(self)}; received {index}.")
        chosen = slice(index * self.batch_size, (index + 1) * self.batch_size)
        return self._cut(self._order[chosen], getitem, self._parts, self._start)

    def on_epoch_end(self):
        """Shuffle the windows anew."""
        if self.shuffle:
            self._order = self._seeds.permutation(self._starts)

    def arrays(self):
        """All windows in order, as arrays for `fit`: x, y, and the weights if there are any."""
        return self._cut(self._starts, getitem, self._parts, self._start)

    def to_tf_data(self, *, cache: bool = True):
        """The same as a `tf.data.Dataset` of batches, shuffled anew whenever it is iterated.

        Args:
            cache: keep the batches, made once: all windows are then held in memory,
                4·(t + l)·d bytes each and those of `start`, and only the order of the batches is
                shuffled anew. Without it every epoch has batches of its own, which costs a little
                time.

        Returns:
            A dataset of `len(self)` batches.
        """
        import tensorflow as tf

        parts = [tf.constant(part) for part in self._parts]
        start = None if self._start is None else tf.constant(self._start)
        seed = int(self._seeds.integers(2**31))
        starts = tf.data.Dataset.from_tensor_slices(self._starts)
        if self.shuffle:
            starts = starts.shuffle(self.windows, seed, reshuffle_each_iteration=not cache)
        batches = starts.batch(self.batch_size).map(
            lambda starts: self._cut(starts, tf.gather, parts, start)
        )
        if cache:
            batches = batches.cache()
            batches = batches.shuffle(len(self), seed) if self.shuffle else batches
        # What there is to do takes no time; threads that wait for it take the cores from training.
        options = tf.data.Options()
        options.autotune.enabled = False
        options.threading.private_threadpool_size = 1
        return batches.prefetch(2).with_options(options)

    def _cut(self, starts, take, parts, start):
        """The windows that begin at `starts`; `take` gathers from `parts` and `start`."""
        states, field, *weights = parts
        begin = starts[:, None]
        past = begin + np.arange(self.window)
        coming = begin + np.arange(self.window, self.window + self.horizon)
        x = {"states": take(states, past), "field": take(field, coming)}
        if start is not None:
            x["start"] = take(start, starts // self._steps)
        batch = x, take(states, coming)
        weighted = coming if self._by_step else coming[:, 0]
        return (*batch, *(take(part, weighted) for part in weights))
