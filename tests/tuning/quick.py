"""Searches on the tiny data set: loops, and trainings that take no time."""

import dataclasses
import functools
import os
import sys
import time
from pathlib import Path

from tests.paper.quick import OTHERS, QUICK
from tuning.hypermodels import RolloutHyperModel
from tuning.plan import Plan
from tuning.search import search

BASE = dataclasses.replace(QUICK, window=2, width=8, autoencoder_batches=8, predictor_batches=8)
ONLY = ("window", "input_noise")


def plan(kind="rollout", **kwargs):
    """A plan on `tiny`; four of its six magnets are those of a search."""
    return Plan(
        kind=kind,
        **{
            "tuner": "random",
            "trials": 2,
            "only": ONLY if kind == "rollout" else ("latent_size", "units"),
            "base": BASE,
            "batches": 8,
            "batch_size": 32,
            "magnets": 5,
            "trained_on": 3,
            "validated_on": 2,
            "seeds": 1,
            "config": "tiny",
            "test": OTHERS,
            **kwargs,
        },
    )


@functools.cache
def hypermodel(folder, data, **kwargs):
    """A rollout's, with an autoencoder that is trained and kept in `folder`."""
    Path(folder).mkdir(exist_ok=True)
    return plan(**kwargs).hypermodel(Path(folder), data)


def rollout(made, base, only=ONLY) -> RolloutHyperModel:
    """The same loops and autoencoder, another recipe."""
    loops = made.training, made.validation, made.field
    return RolloutHyperModel(made.autoencoder, *loops, base, only=only)


def run(out, data, trials=3, slowly=0.0):
    """A search, in whatever process; `slowly`, each trial takes some seconds more."""
    made = hypermodel(str(out), data)
    measure = made.measure

    def slow(hp):
        (Path(out) / f"{os.environ.get('KERASTUNER_TUNER_ID', 'alone')}.pid").write_text(
            str(os.getpid())
        )
        time.sleep(slowly)
        return measure(hp)

    made.measure = slow
    try:
        return search(made, Path(out) / "search", tuner="random", trials=trials, progress=_told)
    finally:
        del made.measure


def _told(line):
    print(line, flush=True)


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), slowly=float(sys.argv[3]))
