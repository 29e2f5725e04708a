"""From simulated loops to training data: weights (Eq. 8), splits, and windows for a rollout."""

from operator import getitem

import keras
import numpy as np
from keras import backend

from keras_micromag.physics import checks


def sample_weights(magnetization, field_direction=(0.0, 0.0, 1.0)):
    """Weight of each state in training: how far the grains turned since the state before (Eq. 8).

    Args:
        magnetization: (..., t, g, 3) unit moments of whole loops.
        field_direction: (3,) unit vector.

    Returns:
        (..., t) Σ_g |Δm| along the field, 0 for the first state; not normalised. Nearly all of the
        weight of a loop lies on the few steps at which grains reverse.

    Raises:
        ValueError: for other shapes, or values that are not finite.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.data import sample_weights
        >>> up = np.tile([0.0, 0.0, 1.0], (64, 1))
        >>> sample_weights([up, up, -up]).tolist()
        [0.0, 0.0, 128.0]
    """
    direction = checks.unit_vectors(field_direction, "field_direction", (3,))
    moments = np.asarray(magnetization)
    if moments.ndim < 3 or moments.shape[-1] != 3:
        raise ValueError(
            f"`magnetization` must have shape (..., t, g, 3); received {moments.shape}."
        )
    checks.finite(moments, "magnetization")
    # A float64 copy of the whole of large data would take longer than all else here.
    along = (moments @ direction.astype(np.result_type(moments, np.float32))).astype(float)
    weights = np.zeros(along.shape[:-1])
    weights[..., 1:] = np.abs(np.diff(along, axis=-2)).sum(axis=-1)
    return weights


def split_by_simulation(simulations: int, fraction: float = 0.2, *, seed: int | None = None):
    """Indices of the simulations to train on and of those to validate on.

    Whole simulations, since the windows of one loop overlap, and its states are nearly alike from
    step to step: a split of those would validate on what was trained. The paper takes 20 % of the
    samples, which Keras's `validation_split` cuts off the end: nearly the last two of its nine
    simulations, but for the window across the cut. The default gives just these two.

    Args:
        simulations: how many there are, at least 2.
        fraction: share to validate on, between 0 and 1; rounded to whole simulations, and at least
            one on each side.
        seed: draws them at random; without it they are the last ones.

    Returns:
        Two sorted integer arrays.

    Example:
        >>> from keras_micromag.data import split_by_simulation
        >>> training, validation = split_by_simulation(9)
        >>> validation.tolist()
        [7, 8]
    """
    if checks.count(simulations, "simulations") < 2:
        raise ValueError(f"`simulations` must be at least 2; received {simulations}.")
    if not 0 < fraction < 1:
        raise ValueError(f"`fraction` must lie between 0 and 1; received {fraction}.")
    held_out = min(max(round(simulations * fraction), 1), simulations - 1)
    order = np.arange(simulations)
    if seed is not None:
        order = np.random.default_rng(seed).permutation(simulations)
    return np.sort(order[:-held_out]), np.sort(order[-held_out:])


def symmetric_images(states, count: int | None = None):
    """Each magnet and its images under the symmetries of a lattice of cubes in a field along z.

    The images are magnets of their own, with easy axes that were not simulated, and their loops are
    exact: the same physics, turned. Moments are axial vectors, so a mirror through z takes time
    reversal with it, which leaves the field as it was.

    Args:
        states: (s, ..., x, y, z, 3) unit moments of s magnets, at fields along z.
        count: how many images at most, None for all.

    Returns:
        (s, k, ..., x, y, z, 3) with k = 16 for x = y, else 8, or the `count`; the first image is
        the magnet itself.

    Raises:
        ValueError: for another shape.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.data import symmetric_images
        >>> symmetric_images(np.zeros((9, 1000, 4, 4, 4, 3))).shape
        (9, 16, 1000, 4, 4, 4, 3)
    """
    states = np.asarray(states)
    if states.ndim < 5 or states.shape[-1] != 3:
        raise ValueError(f"`states` must have shape (s, ..., x, y, z, 3); received {states.shape}.")
    x, y, z = (states.ndim - 4 + i for i in range(3))
    quarters = (0, 1, 2, 3) if states.shape[x] == states.shape[y] else (0, 2)
    k = 4 * len(quarters)
    k = k if count is None else min(k, checks.count(count, "count"))
    images = np.empty((len(states), k, *states.shape[1:]), states.dtype)
    for i in range(k):
        image = _turned(states, (x, y), quarters[i // 4])
        if i % 4 > 1:
            image = np.flip(image, x) * np.array([-1, 1, 1], states.dtype)  # x -> -x, t -> -t
        if i % 2:
            image = np.flip(image, z) * np.array([-1, -1, 1], states.dtype)  # z -> -z
        images[:, i] = image
    return images


def _turned(states, plane, quarters):
    """`states` after quarter turns about z: the lattice, and the moments with it."""
    cos, sin = np.array([1, 0, -1, 0])[[quarters, quarters - 1]]
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], states.dtype)
    return np.rot90(states, quarters, plane) @ turn.T


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
