"""Times `RecursiveRolloutModel.fit` beside an epoch written by hand.

An epoch has windows (t = 4, l = 8, d = 16, batches of 64) for a predictor of four layers of 128
with Keras's Nadam. By hand it is one compiled function over all batches: dense layers as matrix
products, the recursion unrolled, the optimizer's update. On PyTorch, which compiles nothing here,
it is the same in a loop. `fit` is timed with `Windows`, and with data prepared for the backend: the
batches of `to_tf_data` on TensorFlow, arrays elsewhere. All take turns in one process; ratios are
taken within a round.

Run it with `python -m benchmarks.training`; KERAS_BACKEND chooses the backend.
"""

import argparse
import platform
from collections.abc import Callable
from functools import partial

import keras
import numpy as np
from keras import ops

from benchmarks import records
from benchmarks.timing import interleave, print_table, spread
from keras_micromag.data import Windows
from keras_micromag.losses import RolloutLoss
from keras_micromag.models import RecursiveRolloutModel, predictor

WINDOW, HORIZON, LATENT, BATCH = 4, 8, 16, 64
LAYERS, WIDTH, RATE = 4, 128, 1e-4
NAMES = ("first", "prepared")


def windows(simulations: int, steps: int) -> Windows:
    """Return windows of random states, in order."""
    rng = np.random.default_rng(0)
    states = rng.normal(size=(simulations, steps, LATENT))
    field = np.linspace(8.0, -8.0, steps)
    return Windows(states, field, WINDOW, HORIZON, batch_size=BATCH, shuffle=False)


def optimizer() -> keras.optimizers.Optimizer:
    """Return the optimizer of all three."""
    return keras.optimizers.Nadam(RATE)


def model(weights: list[np.ndarray] | None = None, **compiling) -> RecursiveRolloutModel:
    """Return a compiled model, with these weights if they are given."""
    network = predictor(
        LATENT,
        WINDOW,
        hidden_layers=LAYERS,
        width=WIDTH,
        activation="elu",
        output_activation="elu",
    )
    if weights is not None:
        network.set_weights(weights)
    rollout = RecursiveRolloutModel(network, window=WINDOW, horizon=HORIZON)
    rollout.compile(optimizer(), RolloutLoss(), **compiling)
    return rollout


class First:
    """Calls `fit` with `Windows`."""

    def __init__(self, data: Windows, weights: list[np.ndarray]):
        self.model, self.data = model(weights), data

    def __call__(self) -> None:
        """Train for an epoch."""
        self.model.fit(self.data, verbose=0)

    def weights(self) -> list[np.ndarray]:
        """Return the present weights."""
        return self.model.get_weights()


class Prepared(First):
    """Calls `fit` with data prepared for the backend."""

    def __init__(self, data: Windows, weights: list[np.ndarray]):
        self.model = model(weights)
        if keras.backend.backend() == "tensorflow":
            self.data, self.kwargs = (data.to_tf_data(),), {}
        else:
            self.data, self.kwargs = data.arrays(), {"batch_size": BATCH}

    def __call__(self) -> None:
        """Train for an epoch."""
        self.model.fit(*self.data, **self.kwargs, shuffle=False, verbose=0)


# -------------------------------------------------------------------------------------------------
# By hand
# -------------------------------------------------------------------------------------------------


def loss(weights, states, field, targets, *, matmul, concatenate, elu, mean):
    """Return the loss of Eq. 12 by a backend's own operations; `field` is divided by 8 T."""
    past, error = [states[:, i] for i in range(WINDOW)], 0.0
    for j in range(HORIZON):
        x = concatenate([*past, field[:, j : j + 1]], 1)
        for i in range(0, len(weights), 2):
            x = elu(matmul(x, weights[i]) + weights[i + 1])
        error += LATENT * mean((x - targets[:, j]) ** 2)
        past = [*past[1:], x]
    return error


def complete_batches_and_rest(data: Windows):
    """Return states, scaled fields and targets (n, BATCH, ...); and of the last batch, or None."""
    x, y = data.arrays()
    arrays = [x["states"], x["field"] / np.float32(8.0), y]
    n = len(y) // BATCH * BATCH
    batches = [ops.convert_to_tensor(a[:n].reshape(-1, BATCH, *a.shape[1:])) for a in arrays]
    return batches, [ops.convert_to_tensor(a[n:]) for a in arrays] if n < len(y) else None


class ByHand:
    """Trains an epoch with nothing of Keras but its optimizer."""

    def __init__(self, data: Windows, weights: list[np.ndarray]):
        self.optimizer = optimizer()
        start = {
            "tensorflow": self._tensorflow,
            "jax": self._jax,
            "torch": self._torch,
        }[keras.backend.backend()]
        self.variables = [keras.Variable(w) for w in weights]
        self.optimizer.build(self.variables)
        self.epoch = start(data)

    def __call__(self) -> None:
        """Train for an epoch."""
        self.epoch()

    def weights(self) -> list[np.ndarray]:
        """Return the present weights."""
        return [ops.convert_to_numpy(variable) for variable in self.variables]

    def _tensorflow(self, data) -> Callable[[], object]:
        import tensorflow as tf

        error = partial(
            loss, matmul=tf.matmul, concatenate=tf.concat, elu=tf.nn.elu, mean=tf.reduce_mean
        )
        weights = [variable.value for variable in self.variables]

        @tf.function(jit_compile=True)
        def step(*batch):
            with tf.GradientTape() as tape:
                value = error(weights, *batch)
            self.optimizer.apply(tape.gradient(value, weights), self.variables)
            return value

        @tf.function
        def epoch(iterator):
            mean = tf.zeros(())
            for _ in tf.range(len(data)):
                mean += step(*next(iterator))
            return mean

        batches = data.to_tf_data().map(lambda x, y: (x["states"], x["field"] / 8.0, y)).cache()
        return lambda: epoch(iter(batches)).numpy()

    def _jax(self, data) -> Callable[[], object]:
        import jax
        from jax import numpy as jnp

        error = partial(
            loss, matmul=jnp.matmul, concatenate=jnp.concatenate, elu=jax.nn.elu, mean=jnp.mean
        )

        def step(state, batch):
            weights, moments = state
            value, slopes = jax.value_and_grad(error)(weights, *batch)
            return self.optimizer.stateless_apply(moments, slopes, weights), value

        @partial(jax.jit, donate_argnums=0)
        def epoch(state, batches, rest):
            state, values = jax.lax.scan(step, state, batches)
            if rest is not None:
                state, value = step(state, rest)
                values = jnp.append(values, value)
            return state, values.sum()

        batches, rest = complete_batches_and_rest(data)
        current = [v.value for v in self.variables], [v.value for v in self.optimizer.variables]

        def run():
            nonlocal current
            current, value = epoch(current, batches, rest)
            for variable, now in zip(self.variables, current[0], strict=True):
                variable.assign(jnp.copy(now))  # the next call donates `current`
            return float(value)

        return run

    def _torch(self, data) -> Callable[[], object]:
        import torch

        error = partial(
            loss,
            matmul=torch.matmul,
            concatenate=torch.cat,
            elu=torch.nn.functional.elu,
            mean=torch.mean,
        )
        weights = [variable.value for variable in self.variables]
        batches, rest = complete_batches_and_rest(data)

        def step(batch):
            value = error(weights, *batch)
            slopes = torch.autograd.grad(value, weights)
            with torch.no_grad():
                self.optimizer.apply(list(slopes), self.variables)
            return value.detach()

        def epoch():
            mean = sum(step([a[i] for a in batches]) for i in range(len(batches[0])))
            return float(mean if rest is None else mean + step(rest))

        return epoch


def measure(simulations: int, steps: int, rounds: int):
    """Time epochs by all three, in turns.

    Returns:
        Seconds (rounds, 3) of `fit` first and prepared and by hand, and the largest difference of
        their weights from those by hand after all epochs, (2,).
    """
    data = windows(simulations, steps)
    weights = [w.copy() for w in model().get_weights()]
    trainings = [training(data, weights) for training in (First, Prepared, ByHand)]
    _, seconds = interleave(trainings, rounds)
    *ours, by_hand = (training.weights() for training in trainings)
    apart = [
        max(float(np.abs(a - b).max()) for a, b in zip(one, by_hand, strict=True)) for one in ours
    ]
    return seconds, apart


def main(argv=None) -> None:
    """Time the trainings, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="timed rounds")
    parser.add_argument("--simulations", type=int, default=9)
    parser.add_argument("--steps", type=int, default=1011, help="per simulation")
    records.add_argument(parser)
    arguments = parser.parse_args(argv)
    seconds, apart = measure(arguments.simulations, arguments.steps, arguments.rounds)
    count = windows(arguments.simulations, arguments.steps).windows
    print(
        f"Keras {keras.__version__} on {keras.backend.backend()}, Python "
        f"{platform.python_version()}; median [min, max] of {arguments.rounds} epochs of {count} "
        "windows"
    )
    rows = [("", "epoch, s", "times as fast", "difference of weights")]
    by_hand = seconds[:, 2]
    figures = {"by_hand": records.measured(by_hand, "s")}
    for i, name in enumerate(NAMES):
        ratio = by_hand / seconds[:, i]
        rows.append((f"fit, {name}", spread(seconds[:, i], 3), spread(ratio, 2), f"{apart[i]:.0e}"))
        figures[name] = records.measured(seconds[:, i], "s")
        figures[f"{name}_ratio"] = records.measured(ratio)
    rows.append(("by hand", spread(by_hand, 3), "1", ""))
    print_table(rows)
    if arguments.save:
        records.save("training", figures, parser, argv)


if __name__ == "__main__":
    main()
