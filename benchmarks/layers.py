"""Times `GuptasarmaDemag`, forward and backward, beside the bare matrix product.

Both compute the gradient of the squared field with respect to the moments of the paper's magnet:
the layer from (b, x, y, z, 3), the product from (b, 3·g) with the same matrix. Both are compiled on
TensorFlow and JAX, and take turns in one process. Each call repeats the computation, so that the
start of a compiled function does not matter.

Run it with `python -m benchmarks.layers`; KERAS_BACKEND chooses the backend.
"""

import argparse
import platform
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from benchmarks import records
from benchmarks.timing import interleave, print_table, spread
from keras_micromag.layers import GuptasarmaDemag
from keras_micromag.physics import cubic_grains
from keras_micromag.physics.microstructure.particles import PAPER_DEPTH

REPETITIONS = 20


def gradient(function: Callable) -> Callable:
    """Return the compiled gradient of a function of one tensor."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.jit(jax.grad(function))
    if backend == "tensorflow":
        import tensorflow as tf

        @tf.function(jit_compile=True)
        def slope(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = function(x)
            return tape.gradient(value, x)

        return slope
    import torch

    def slope(x):
        x = x.detach().requires_grad_()
        return torch.autograd.grad(function(x), x)[0]

    return slope


def measure(batch: int, rounds: int):
    """Time layer and product.

    Returns:
        Seconds (rounds, 2) of layer and product, and the largest relative difference of the
        gradients.
    """
    structure = cubic_grains(depth=PAPER_DEPTH)
    layer = GuptasarmaDemag(structure, self_field=False)
    rng = np.random.default_rng(1)
    moments = ops.convert_to_tensor(rng.normal(size=(batch, 4, 4, 4, 3)).astype("float32"))
    flat = ops.reshape(moments, (batch, -1))
    unit = np.eye(flat.shape[1], dtype="float32").reshape(-1, len(structure), 3)
    matrix = ops.reshape(layer(unit), (flat.shape[1], -1))
    slopes = (
        gradient(lambda m: ops.sum(ops.square(layer(m)))),
        gradient(lambda m: ops.sum(ops.square(ops.matmul(m, matrix)))),
    )
    one, two = (ops.convert_to_numpy(f(x)) for f, x in zip(slopes, (moments, flat), strict=True))
    apart = np.abs(one.reshape(batch, -1) - two).max() / np.abs(two).max()

    def repeat(slope, x):
        for _ in range(REPETITIONS):
            result = slope(x)
        return ops.convert_to_numpy(result)  # waits for it

    _, seconds = interleave(
        (lambda: repeat(slopes[0], moments), lambda: repeat(slopes[1], flat)), rounds
    )
    return seconds / REPETITIONS, apart


def main(argv=None) -> None:
    """Time layer and product, and print a line for each batch."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.layers", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="timed rounds")
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 512])
    records.add_argument(parser)
    arguments = parser.parse_args(argv)
    print(
        f"Keras {keras.__version__} on {keras.backend.backend()}, Python "
        f"{platform.python_version()}; median [min, max] of {arguments.rounds} rounds"
    )
    rows = [("magnets", "GuptasarmaDemag, ms", "product, ms", "times as fast", "difference")]
    figures = {}
    for batch in arguments.batches:
        seconds, apart = measure(batch, arguments.rounds)
        layer, product = seconds.T * 1e3
        ratio = spread(product / layer, 2)
        rows.append((str(batch), spread(layer, 2), spread(product, 2), ratio, f"{apart:.0e}"))
        figures[f"layer_{batch}"] = records.measured(layer, "ms")
        figures[f"product_{batch}"] = records.measured(product, "ms")
        figures[f"ratio_{batch}"] = records.measured(product / layer)
    print_table(rows)
    if arguments.save:
        records.save("layers", figures, parser, argv)


if __name__ == "__main__":
    main()
