"""Compares ELU with a linear activation on the output of the autoencoder.

ELU reaches -1, the m_z of a reversed grain, only in the limit. The paper's autoencoder (Table 1,
Eq. 9, Nadam, batches of 64, no weights) is trained on nine of its simulated magnets with each
activation and several seeds, and evaluated on the tenth. The learning rate is ten times the
paper's, so that few epochs are enough. Errors are per grain: |Δm|² over all states, the same over
states in which more than half of the grains are reversed, and (1 - |m|)².

Run it with `python -m benchmarks.output_activation`; KERAS_BACKEND chooses the backend.
"""

import argparse
import platform

import keras
import numpy as np

from benchmarks import records
from benchmarks.simulate import papers_loops
from benchmarks.timing import print_table, spread
from keras_micromag.losses import NormPreservingLoss
from keras_micromag.models import autoencoder

ACTIVATIONS = ("linear", "elu")


def loops(magnets: int, fields: int) -> np.ndarray:
    """Return moments (magnets, fields, 64, 3) of the paper's magnets."""
    return papers_loops(magnets, fields).magnetization.astype("float32")


def errors(states: np.ndarray, decoded: np.ndarray) -> tuple[float, float, float]:
    """Return squared errors per grain: of all states, of reversed ones, and of the length."""
    error = ((states - decoded) ** 2).sum(axis=-1).mean(axis=-1)
    reversed_ = (states[..., 2] < 0).mean(axis=-1) > 0.5
    length = np.linalg.norm(decoded, axis=-1)
    return error.mean(), error[reversed_].mean(), ((1 - length) ** 2).mean()


def measure(magnets: int, fields: int, epochs: int, seeds: int) -> dict[str, np.ndarray]:
    """Return errors (seeds, 3) on the last magnet, by activation."""
    *training, unseen = loops(magnets, fields)
    training = np.concatenate(training)[:, None]  # (b, 1, g, 3): single states
    unseen = unseen[None]
    results = {}
    for activation in ACTIVATIONS:
        rows = []
        for seed in range(seeds):
            keras.utils.set_random_seed(seed)
            model = autoencoder(output_activation=activation)
            model.compile(keras.optimizers.Nadam(1e-3), NormPreservingLoss())
            model.fit(training, training, batch_size=64, epochs=epochs, verbose=0)
            rows.append(errors(unseen, model.predict(unseen, verbose=0)))
        results[activation] = np.array(rows)
    return results


def main(argv=None) -> None:
    """Train, and print a line for each activation."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.output_activation", description=main.__doc__
    )
    parser.add_argument("--magnets", type=int, default=10, help="the last one is not trained on")
    parser.add_argument("--fields", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    records.add_argument(parser)
    arguments = parser.parse_args(argv)
    results = measure(arguments.magnets, arguments.fields, arguments.epochs, arguments.seeds)
    print(
        f"Keras {keras.__version__} on {keras.backend.backend()}, Python "
        f"{platform.python_version()}; median [min, max] of {arguments.seeds} seeds, "
        f"{arguments.epochs} epochs; squared errors per grain of a magnet not trained on"
    )
    rows = [("output", "moment", "mostly reversed", "length")]
    rows += [(name, *(spread(column, 4) for column in each.T)) for name, each in results.items()]
    print_table(rows)
    if arguments.save:
        kinds = ("moment", "mostly_reversed", "length")
        figures = {
            f"{name}_{kind}": records.measured(column)
            for name, each in results.items()
            for kind, column in zip(kinds, each.T, strict=True)
        }
        records.save("output_activation", figures, parser, argv)


if __name__ == "__main__":
    main()
