"""How fast `LatentHysteresis` predicts whole loops, beside `simulate` on the same magnets.

The paper's magnet; the autoencoder and the predictor have the paper's sizes and are not trained,
since the time does not depend on the weights. The prediction goes from the first four states to
unit moments of every grain at all fields, encoder and decoder included; `simulate` from the easy
axes to the same. Both take turns in one process, compiled before they are timed.

Run it with `python -m benchmarks.loops`; KERAS_BACKEND chooses the backend.
"""

import argparse
import platform

import keras
import numpy as np

from benchmarks.timing import interleave, print_table, spread
from keras_micromag.models import LatentHysteresis, RecursiveRolloutModel, autoencoder, predictor
from keras_micromag.physics import cubic_grains, random_easy_axes, simulate

WINDOW = 4


def measure(magnets: int, fields: int, rounds: int) -> np.ndarray:
    """Seconds (rounds, 2) of the prediction and of `simulate` for all magnets together."""
    structure = cubic_grains()
    easy_axes = random_easy_axes((magnets, len(structure)), seed=1)
    field = np.linspace(8.0, -8.0, fields)
    whole = autoencoder()
    rollout = RecursiveRolloutModel(predictor(), window=WINDOW, horizon=8)
    model = LatentHysteresis(whole.encoder, rollout, whole.decoder)
    start = np.tile([0.0, 0.0, 1.0], (magnets, WINDOW, 4, 4, 4, 1)).astype("float32")
    inputs = {"states": start, "field": np.tile(field.astype("float32"), (magnets, 1))}
    _, seconds = interleave(
        (
            lambda: model.predict(inputs, batch_size=magnets, verbose=0),
            lambda: simulate(structure, easy_axes, field=field, progress=False),
        ),
        rounds,
    )
    return seconds


def main(argv=None) -> None:
    """Measure, and print one line each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loops", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--magnets", type=int, default=256)
    parser.add_argument("--fields", type=int, default=1000)
    arguments = parser.parse_args(argv)
    seconds = measure(arguments.magnets, arguments.fields, arguments.rounds)
    print(
        f"Keras {keras.__version__} on {keras.backend.backend()}, Python "
        f"{platform.python_version()}; median [min, max] of {arguments.rounds} rounds; "
        f"{arguments.magnets} magnets, {arguments.fields} fields"
    )
    predicted, simulated = seconds.T
    per_second = arguments.magnets / seconds
    print_table(
        [
            ("", "seconds", "loops per second", "ratio"),
            ("LatentHysteresis", spread(predicted, 2), spread(per_second[:, 0], 0), ""),
            (
                "simulate",
                spread(simulated, 2),
                spread(per_second[:, 1], 0),
                spread(simulated / predicted, 1),
            ),
        ]
    )


if __name__ == "__main__":
    main()
