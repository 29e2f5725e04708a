"""Runs a command that `kill` kills, with settings with which it takes some seconds.

    python -m tests.campaigns.kill_commands simulate FOLDER [LOG]

All files of the command go into FOLDER. A line in the file LOG, if it is given, names each part of
the work that is stored.
"""

import dataclasses
import functools
import json
import os
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from keras_micromag.utils import files

LOG = "KERAS_MICROMAG_KILL_LOG"
"""Environment variable with the path of the log, which also reaches processes of the command."""

DATA_SET = {"shape": [2, 2, 2], "steps": 500, "splits": {"train": 200, "test": 120}}
"""Parameters of the data set, of ten batches."""


def log(part: object) -> None:
    """Append a line to the log: at once, so that lines of several processes are not mixed."""
    if path := os.environ.get(LOG):
        with open(path, "ab", buffering=0) as file:
            file.write(f"{part}\n".encode())


def _logging(atomic_path):
    """Return `atomic_path` with a line in the log for each file that has its name."""

    @contextmanager
    def logged(path):
        with atomic_path(path) as partial:
            yield partial
        # Names alone: the folder of a run that is killed is not that of the undisturbed one.
        log(Path(path).name)

    return logged


# Before others import it; here, since processes that are spawned import this module first.
if LOG in os.environ:
    files.atomic_path = _logging(files.atomic_path)


def simulate(folder: Path, magnets: int = 60) -> int:
    """Run `keras-micromag simulate --checkpoint`, which saves after each call of the solver."""
    from keras_micromag import cli

    def save_always(options, run=cli.simulate._run):
        from keras_micromag.physics.solver import checkpoint

        checkpoint._SAVED_EVERY = 0.0
        run(options)

    cli.simulate._run = save_always
    count = ["--grid", "3", "3", "3", "--magnets", str(magnets), "--steps", "3000"]
    where = ["--out", str(folder / "out"), "--checkpoint", str(folder / "checkpoint")]
    states = ["--vtk"] if find_spec("pyvista") else []
    return cli.main(["simulate", *count, *where, *states])


def build(folder: Path) -> int:
    """Run `python -m tfds_esw build`."""
    from tfds_esw import __main__

    return __main__.main(["build", json.dumps(DATA_SET), "--data_dir", str(folder / "data")])


def tfds_build(folder: Path) -> int:
    """Run `tfds build`, TFDS's own command."""
    from tensorflow_datasets.scripts.cli import main

    sys.argv = ["tfds", "build", "tfds_esw", "--imports", "tfds_esw"]
    sys.argv += ["--config", json.dumps(DATA_SET), "--data_dir", str(folder / "data")]
    main.launch_cli()
    return 0


def train(folder: Path) -> int:
    """Run `keras-micromag train` on data sets of small magnets."""
    from keras_micromag import cli, recipes
    from keras_micromag.paper import training
    from tests.paper.quick import OTHERS, QUICK

    batches = {"autoencoder_batches": 400, "predictor_batches": 400}
    recipes.RECIPES["default"] = dataclasses.replace(QUICK, **batches)
    training.train = functools.partial(training.train, test="tiny", train=OTHERS)
    return cli.main(["train", "--magnets", "4", *_folders(folder)])


def reproduce(folder: Path) -> int:
    """Run `keras-micromag reproduce losses depth` on data sets of small magnets, in two processes.

    These experiments have pieces that need those of others.
    """
    from keras_micromag import cli
    from keras_micromag.paper import reproduction
    from tests.paper.test_reproduction import PLAN

    reproduction.reproduce = functools.partial(reproduction.reproduce, plan=PLAN)
    return cli.main(["reproduce", "losses", "depth", "--jobs", "2", *_folders(folder)])


def search(folder: Path) -> int:
    """Run `python -m tuning rollout` on data sets beside the folder, which the first run builds."""
    import tuning.study
    from tests.paper.quick import OTHERS
    from tests.tuning import quick
    from tfds_esw import Builder
    from tuning.__main__ import main

    data = folder.parent / "data"
    data.mkdir(exist_ok=True)
    with files.lock(data, wait=True):
        for config in ("tiny", OTHERS):
            Builder(config=config, data_dir=data).download_and_prepare()
    plan = quick.plan(trials=3, seeds=2)
    study, end_trial = tuning.study.study, tuning.search._Budgeted.end_trial
    tuning.study.study = lambda _, out, **kwargs: study(plan, out, **kwargs)
    tuning.search._Budgeted.end_trial = lambda *arguments: (end_trial(*arguments), log("trial"))[0]
    return main(["rollout", "--data-dir", str(data), "--out", str(folder / "out")])


def _folders(folder):
    return ["--data-dir", str(folder / "data"), "--out", str(folder / "out")]


COMMANDS = {
    "simulate_few": functools.partial(simulate, magnets=1),  # for the suite
    "simulate": simulate,
    "build": build,
    "tfds_build": tfds_build,
    "train": train,
    "reproduce": reproduce,
    "search": search,
}

if __name__ == "__main__":
    sys.exit(COMMANDS[sys.argv[1]](Path(sys.argv[2])))
