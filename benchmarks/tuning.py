"""Measures the overhead of a trial of a search: choosing values, building, writing files.

Each tuner of `python -m tuning` searches the full space of a rollout on a few of the paper's
magnets, and so does KerasTuner's own RandomSearch, which saves weights in every epoch. Everything
but the HyperModel's `fit` is overhead; the time that KerasTuner's saving adds to `fit` is not
counted. The overhead is also printed as a share of a trial of `--seconds`.

Run it with `python -m benchmarks.tuning`; KERAS_BACKEND chooses the backend.
"""

import argparse
import dataclasses
import platform
import tempfile
import time

import keras
import keras_tuner
import numpy as np

from benchmarks import records
from benchmarks.simulate import papers_loops
from benchmarks.timing import print_table, spread
from keras_micromag import recipes
from keras_micromag.data import Lattices
from tuning.hypermodels import RolloutHyperModel
from tuning.search import OBJECTIVE, TUNERS, search


def model(
    magnets: int = 8, steps: int = 100, recipe: recipes.Recipe = recipes.RECIPES["default"]
) -> RolloutHyperModel:
    """Return a HyperModel on loops of the paper's magnet, with trainings of a few batches."""
    simulated = papers_loops(magnets, steps)
    loops = Lattices(simulated.magnetization, (4, 4, 4))
    recipe = dataclasses.replace(recipe, autoencoder_batches=20, predictor_batches=20, images=1)
    autoencoder, _ = recipes.train_autoencoder(recipe, loops, verbose=0)
    half = magnets // 2
    return RolloutHyperModel(autoencoder, loops[:half], loops[half:], simulated.field, recipe)


def measure(hypermodel, tuner: str | None, trials: int) -> np.ndarray:
    """Return seconds (trials, 2): of `fit`, and of everything up to the next `fit`.

    Args:
        tuner: of `tuning.search.TUNERS`, or None for KerasTuner's own RandomSearch.
    """
    marks = []
    fit = hypermodel.fit

    def timed(*args, **kwargs):
        marks.append(time.perf_counter())
        try:
            return fit(*args, **kwargs)
        finally:
            marks.append(time.perf_counter())

    hypermodel.fit = timed
    try:
        with tempfile.TemporaryDirectory() as folder:
            if tuner is None:
                own = keras_tuner.RandomSearch(
                    hypermodel, OBJECTIVE, max_trials=trials + 1, seed=1, directory=folder
                )
                own.search(verbose=0)
            else:
                search(hypermodel, folder, tuner=tuner, trials=trials + 1, progress=str)
    finally:
        del hypermodel.fit
    times = np.diff(marks)  # from a start to an end, from an end to the next start
    return np.stack([times[0:-1:2], times[1::2]], axis=1)[:trials]


def main(argv=None) -> None:
    """Measure all tuners, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tuning", description=main.__doc__)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=10.0)
    records.add_argument(parser)
    options = parser.parse_args(argv)
    print(f"keras {keras.__version__} on {keras.backend.backend()}, {platform.machine()}")
    hypermodel, figures = model(), {}
    rows = [("tuner", "overhead, s", f"of {options.seconds:g} s", "fit, s")]
    for tuner in (*TUNERS, None):
        seconds = measure(hypermodel, tuner, options.trials)
        share = f"{100 * np.median(seconds[:, 1]) / options.seconds:.1f} %"
        name = tuner or "KerasTuner's RandomSearch"
        rows.append((name, spread(seconds[:, 1], 2), share, spread(seconds[:, 0], 2)))
        figures[tuner or "keras_tuner"] = records.measured(seconds[:, 1], "s")
    print_table(rows)
    if options.save:
        records.save("tuning", figures, parser, argv)


if __name__ == "__main__":
    main()
