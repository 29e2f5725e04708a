"""Damaged command lines, and damaged settings in JSON; see `fuzz`."""

import contextlib
import io
import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.random import Generator

import keras_micromag.cli
import tfds_esw.__main__
import tuning.__main__
from keras_micromag import layers, losses, metrics, physics
from keras_micromag.recipes import RECIPES, Recipe
from tests.campaigns import damage, fuzz_files
from tests.campaigns.sandbox import Call, CommandError

SIMULATE = "simulate --magnets 1 --steps 5 --no-figures --out out"
LINES = [
    f"{SIMULATE} --grid 2 2 1 --size 40 --gap 2 --depth 2 --cone 30 --field 8 -8",
    f"{SIMULATE} --grid 2 2 1 --material SmCo5 --js 1 --ku 2e6 --a 1e-11 --kd 0 --ku-spread 0.1",
    f"{SIMULATE} --grid 2 2 1 --material Sm2Co17 --temperature 400",
    f"{SIMULATE} --grid 2 2 1 --method events --avalanche weakest_first --tol 1e-5 --seed 3",
    f"{SIMULATE} --grid 2 2 1 --operator lattice --rtol 1e-3 --dtype float32 --max-iterations 99",
    f"{SIMULATE} --voronoi 4 --sigma 0.1 --relaxation 1 --stretch 1 1 2 --sample cylinder",
    f"{SIMULATE} --structure grains.tess --unit 1 --gap 1 --depth 1",
    f"{SIMULATE} --structure grains.off --unit 1 --scheme vertices,faces --depth 1 --self-field",
    "predict model.keras --loops loops.npz --out out",
    "predict model.keras --easy-axes axes.npy --out out",
    "train --grains cubes --recipe paper --magnets 4 --seed 1 --data-dir data --out out",
    "reproduce losses grid --jobs 1 --data-dir data --out out",
]
OTHERS = {
    tfds_esw.__main__.main: [
        "build tiny --data_dir data --num_shards 1",
        'build {"cone":20,"steps":9,"splits":{"train":1}} --data_dir data --file_format tfrecord',
        "show tiny --split train --data_dir data --out loops.png",
    ],
    tuning.__main__.main: [
        "autoencoder --tuner random --trials 1 --seed 1 --set horizon=2 --data-dir data --out out",
        "rollout --base best.json --only width --minutes 1 --batches 9 --data-dir data --out out",
    ],
}
"""Command lines that work, or would if there were data sets; tested is what is refused before."""

WORDS = ("--help", "--version", "--quiet", "--vtk", "--animation", "gif", "--checkpoint", "folder")
WORDS += ("--backend", "jax", "torch", "--structure", "grains.stl", "--out", "folder", "file", "x")
WORDS += (
    "",
    " ",
    "-",
    "--",
    "-1",
    "é",
    "/proc/x",
    "..",
    "a" * 300,
    "nan",
    "inf",
    "0",
    "1e9",
    "2,3",
)
WORDS += ("{", "{}", "[]", '{"x": 1}', '{"cone": [1]}', "latent_size=x", "=", "((((", "train[:9%]")


@cache
def _files() -> dict[str, bytes]:
    """Return the files that the command lines name."""
    axes = io.BytesIO()
    np.save(axes, np.tile([0.0, 0.0, 1.0], (2, 8, 1)))
    by_suffix = {suffix: content for suffix, content, _ in fuzz_files.meshes()}
    return {
        "grains.tess": fuzz_files.tessellations()[3],
        "grains.off": by_suffix["off"],
        "grains.stl": by_suffix["stl"],
        "model.keras": fuzz_files.model_file(),
        "loops.npz": fuzz_files.arrays_files()["loops"][0],
        "axes.npy": axes.getvalue(),
        "best.json": json.dumps({"settings": {"width": 8}}).encode(),
        "file": b"text",
    }


def commands(rng: Generator, folder: Path) -> Call:
    """Return a run of a damaged command line."""
    for name, content in _files().items():
        (folder / name).write_bytes(content)
    (folder / "folder").mkdir()
    lines = [(keras_micromag.cli.main, line) for line in LINES]
    lines += [(main, line) for main in OTHERS for line in OTHERS[main]]
    main, line = damage.pick(rng, lines)
    words = line.split(" ")
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(words)))
        match rng.integers(5):
            case 0 | 1:
                words[at] = damage.pick(rng, WORDS + damage.NUMBERS)
            case 2:
                words.insert(at, damage.pick(rng, WORDS))
            case 3 if len(words) > 1:
                del words[at]
            case _:
                words[at] = damage.text(rng, words[at])
    return Call(lambda: _run(main, words), is_command=True)


def _run(main, words):
    """Run a command line; raise if it ends in another way than by success or one sentence.

    One that begins to build a data set counts as a success.
    """
    with (
        contextlib.redirect_stderr(io.StringIO()) as said,
        patch.object(tfds_esw.Builder, "download_and_prepare", side_effect=_Accepted),
    ):
        try:
            status = main(words)
        except _Accepted:
            return
    lines = said.getvalue().splitlines()
    error = [line for line in lines if ": error: " in line]
    others = [line for line in lines if ": error: " not in line and ": warning: " not in line]
    if others or len(error) != (status == 2) or status not in (0, 2):
        raise AssertionError(f"{words} ended with status {status} and {lines}")
    if status:
        raise CommandError(f"{words}: {error[0]}")


class _Accepted(BaseException):
    """Raised where a command begins to build a data set."""


# -------------------------------------------------------------------------------------------------
# JSON
# -------------------------------------------------------------------------------------------------


@cache
def _settings() -> list:
    """Return what is made of settings, and settings that fit."""
    config = {"cone": [5, 55], "Js": 1.2, "steps": 50, "splits": {"train": 4}, "shape": [2, 2, 2]}
    config |= {"grains": [4, 8], "field": [8.0, -8.0], "scheme": ["faces"], "sigma": 0.2}
    material = physics.ND2FE14B.get_config()
    magnet = fuzz_files.magnet()
    field = [8.0, 0.0, -8.0]
    made = [
        layers.EmbeddedStonerWohlfarth(magnet),
        layers.GuptasarmaDemag(magnet),
        layers.StonerWohlfarth(),
        layers.GrainConvolution(4),
        layers.UnitNorm(),
        losses.NormPreservingLoss(),
        losses.RolloutLoss(),
        metrics.CoercivityError(field),
        metrics.MeanMomentError(),
    ]
    return [
        (lambda settings: tfds_esw.Config(**settings), config),
        (lambda settings: tfds_esw.Config(**settings), config),
        (lambda settings: Recipe(**settings), asdict(RECIPES["default"])),
        (lambda settings: Recipe(**settings), asdict(RECIPES["paper"])),
        (physics.Material.from_config, material),
        (physics.Microstructure.from_config, magnet.get_config()),
        *((part.from_config, part.get_config()) for part in made),
    ]


def settings(rng: Generator, folder: Path) -> Call:
    """Return the making of something from damaged settings."""
    make, intact = damage.pick(rng, _settings())
    damaged = damage.json_(rng, intact)
    if not isinstance(damaged, dict):
        damaged = {"x": damaged}
    return Call(lambda: make(damaged), by_keras=True)
