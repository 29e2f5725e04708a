"""Times loops predicted by the trained method, beside Algorithm 1 and beside `simulate`.

All are loops of the paper's magnet, one at a time or many at once. The model predicts all states
from the first ones, encoder and decoder included. It is one that `make demo` trained (`--model
runs/demo/model.keras`), or one of the default recipe after a single batch, since the time depends
neither on the weights nor on the states. `simulate` and Algorithm 1 written literally in NumPy
(`simulate_literal` of tests/oracles.py, float64, one magnet, its matrix given) start from the easy
axes. All take turns in one process after they are compiled.

Run it with `python -m benchmarks.loops`; KERAS_BACKEND chooses the backend.
"""

import argparse
import dataclasses
import platform

import keras
import numpy as np

from benchmarks import records
from benchmarks.simulate import Literal
from benchmarks.timing import interleave, print_table, spread
from keras_micromag import recipes
from keras_micromag.data import Lattices
from keras_micromag.physics import cubic_grains, random_easy_axes, simulate
from keras_micromag.physics.microstructure.particles import PAPER_DEPTH


def untrained(recipe: recipes.Recipe = recipes.RECIPES["default"]):
    """Return a model of a recipe after a batch of training."""
    recipe = dataclasses.replace(recipe, autoencoder_batches=1, predictor_batches=1)
    up = Lattices(np.tile([0.0, 0.0, 1.0], (2, 20, 64, 1)), (4, 4, 4))
    return recipes.train(recipe, up, np.linspace(8.0, -8.0, 20), verbose=0).model


def measure(model, batches, fields: int, rounds: int) -> np.ndarray:
    """Return seconds (rounds, 1 + 2·batches): Algorithm 1, then prediction, simulation by batch."""
    structure = cubic_grains(depth=PAPER_DEPTH)
    easy_axes = random_easy_axes((max(batches), len(structure)), seed=1)
    field = np.linspace(8.0, -8.0, fields)
    window, grid = model.rollout.window, model.autoencoder.grid
    if grid != (4, 4, 4):
        raise ValueError(f"`model` must be one of the paper's 4 x 4 x 4 grains; received {grid}.")
    up = [0.0, 0.0, 1.0]

    def predicted(magnets):
        inputs = {
            "states": np.tile(up, (magnets, window, 64, 1)).astype("float32"),
            "field": np.tile(field.astype("float32"), (magnets, 1)),
        }
        return lambda: model.predict(inputs, batch_size=magnets, verbose=0)

    def simulated(magnets):
        axes = easy_axes[:magnets]
        return lambda: simulate(
            structure, axes, field=field, self_field=False, avalanche="simultaneous", progress=False
        )

    functions = [Literal(structure, easy_axes, field)]
    for magnets in batches:
        functions += [predicted(magnets), simulated(magnets)]
    return interleave(functions, rounds)[1]


def main(argv=None) -> None:
    """Time the loops, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loops", description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 256])
    parser.add_argument("--fields", type=int, default=1000)
    parser.add_argument("--model", help="a .keras file that keras-micromag train wrote")
    records.add_argument(parser)
    arguments = parser.parse_args(argv)
    model = keras.saving.load_model(arguments.model) if arguments.model else untrained()
    seconds = measure(model, arguments.batches, arguments.fields, arguments.rounds)
    print(
        f"Keras {keras.__version__} on {keras.backend.backend()}, Python "
        f"{platform.python_version()}; median [min, max] of {arguments.rounds} rounds; "
        f"{arguments.fields} fields"
    )
    literal, *ours = seconds.T
    rows = [("", "loops per second", "times Algorithm 1", "times simulate")]
    rows.append(("Algorithm 1 in NumPy,   1", spread(1 / literal, 2), "1", ""))
    figures = {"literal": records.measured(1 / literal, "loops/s")}
    for i, magnets in enumerate(arguments.batches):
        predicted, simulated = ours[2 * i : 2 * i + 2]
        figures[f"predict_{magnets}_over_simulate"] = records.measured(simulated / predicted)
        for name, own in (("simulate", simulated), ("LatentHysteresis", predicted)):
            times = [spread(magnets * other / own, 1) for other in (literal, simulated / magnets)]
            key = f"{'simulate' if name == 'simulate' else 'predict'}_{magnets}"
            figures[key] = records.measured(magnets / own, "loops/s")
            figures[f"{key}_ratio"] = records.measured(magnets * literal / own)
            rows.append(
                (
                    f"{name}, {magnets:3}",
                    spread(magnets / own, 1),
                    times[0],
                    "1" if name == "simulate" else times[1],
                )
            )
    print_table(rows)
    if arguments.save:
        records.save("loops", figures, parser, argv)


if __name__ == "__main__":
    main()
