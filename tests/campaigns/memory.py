"""Repeats calls with changing shapes, and prints how much the resident memory grows.

    KERAS_BACKEND=jax python -m tests.campaigns.memory --count 10000 --seed 0

Each kind of call takes one of a few shapes at random. Once all shapes are compiled, the memory of
the process must stay as it is. The command prints the memory after each tenth of the calls. The
suite runs some hundred calls.
"""

import argparse
import gc
from collections.abc import Callable, Iterator
from functools import cache

if __name__ == "__main__":  # compiled as by the tests, and with no settings of the user's
    import tests.conftest  # noqa: F401

import numpy as np
import psutil

from keras_micromag import layers, losses, metrics, physics

GRAINS = (1, 2, 3, 4)
"""Numbers of grains along x; a structure is made anew for each call of `simulate`."""

BATCHES = (1, 2, 5)
"""Numbers of magnets."""


def simulate(rng: np.random.Generator, method: str) -> None:
    """Simulate the loops of a few magnets."""
    grains, batch = int(rng.choice(GRAINS)), int(rng.choice(BATCHES))
    magnet = physics.cubic_grains((grains, 1, 1), size=rng.uniform(40e-9, 60e-9))
    axes = physics.random_easy_axes((batch, grains), seed=rng)
    field = np.linspace(8.0, -8.0, int(rng.integers(2, 12)))
    physics.simulate(magnet, axes, field=field, method=method, progress=False)


def by_steps(rng: np.random.Generator) -> None:
    """Simulate loops from one field to the next."""
    simulate(rng, "steps")


def by_events(rng: np.random.Generator) -> None:
    """Simulate loops from one avalanche to the next."""
    simulate(rng, "events")


@cache
def _layers() -> list:
    """Return layers, a loss and a metric, which are made once."""
    made = [layers.StonerWohlfarth(), layers.UnitNorm(), layers.GrainConvolution(4)]
    return [*made, losses.NormPreservingLoss(), metrics.SquaredError()]


@cache
def _loop_layer(grains: int) -> layers.EmbeddedStonerWohlfarth:
    """Return the layer of a magnet's loop, whose compilation takes seconds."""
    return layers.EmbeddedStonerWohlfarth(physics.cubic_grains((grains, 1, 1)))


def apply_layers(rng: np.random.Generator) -> None:
    """Call layers, a loss and a metric on batches of different sizes."""
    batch, grains = int(rng.choice(BATCHES)), int(rng.choice(GRAINS))
    axes = physics.random_easy_axes((batch, grains), seed=rng).astype("float32")
    particle, norm, convolution, loss, metric = _layers()
    branch = np.ones((batch, grains), "float32")
    moments = particle({"branch": branch, "easy_axes": axes, "field": 8.0 * axes})["moments"]
    neighbors = np.ones((batch, grains, grains), "float32")
    convolution({"features": norm(moments), "neighbors": neighbors})
    loss(axes, moments)
    metric(axes, moments)


def apply_loop_layers(rng: np.random.Generator) -> None:
    """Call the layer of a magnet's loop on batches of different sizes."""
    batch, grains = int(rng.choice(BATCHES)), int(rng.choice(GRAINS))
    axes = physics.random_easy_axes((batch, grains), seed=rng).astype("float32")
    field = np.tile(np.linspace(8.0, -8.0, 4, dtype="float32"), (batch, 1))
    _loop_layer(grains)({"easy_axes": axes, "field": field})


def make_layers(rng: np.random.Generator) -> None:
    """Make a layer of the demagnetising field for a structure, and call it."""
    batch, grains = int(rng.choice(BATCHES)), int(rng.choice(GRAINS))
    magnet = physics.cubic_grains((grains, 1, 1), size=rng.uniform(40e-9, 60e-9))
    layers.GuptasarmaDemag(magnet)(physics.random_easy_axes((batch, grains), seed=rng))


KINDS: dict[str, Callable[[np.random.Generator], None]] = {
    "simulate by steps": by_steps,
    "simulate by events": by_events,
    "layers": apply_layers,
    "layers of loops": apply_loop_layers,
    "layers that are made": make_layers,
}


def resident() -> float:
    """Return the resident memory of this process in MB."""
    gc.collect()
    return psutil.Process().memory_info().rss / 1e6


def memory(kind: str, count: int, seed: int, parts: int = 10) -> Iterator[float]:
    """Yield the resident memory in MB after each of `parts` parts of the calls."""
    rng = np.random.default_rng(seed)
    for _ in range(parts):
        for _ in range(count // parts):
            KINDS[kind](rng)
        yield resident()


def main() -> None:
    """Print a row for each kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", nargs="*", choices=KINDS, default=list(KINDS))
    options = parser.parse_args()
    for kind in options.kind:
        sizes = list(memory(kind, options.count, options.seed))
        row = " ".join(f"{size:.0f}" for size in sizes)
        print(f"{kind:21} {options.count} calls, MB after each tenth: {row}", flush=True)


if __name__ == "__main__":
    main()
