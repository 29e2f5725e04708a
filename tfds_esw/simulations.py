"""The simulations of a configuration: magnet i is drawn from (seed, i), and so is its loop."""

import functools
import sys
import warnings
from typing import NamedTuple

import keras
import numpy as np
import tensorflow_datasets as tfds

import keras_micromag
from keras_micromag.data import sample_weights
from keras_micromag.physics import (
    Hysteresis,
    Material,
    Microstructure,
    cubic_grains,
    random_easy_axes,
    simulate,
)
from keras_micromag.physics.simulation import check_method, per_grain
from tfds_esw.config import DRAWN, Config, metadata

BATCH = 32
"""Magnets that are simulated at once; always as many, since rounding depends on how many there are.
More are hardly faster: see benchmarks/dataset.py."""


class Magnet(NamedTuple):
    """What is drawn for one simulation."""

    cone: float
    material: Material
    easy_axes: np.ndarray  # (g, 3)


@functools.lru_cache(maxsize=1)
def structure(config: Config) -> Microstructure:
    """The grains, which all magnets share."""
    middle = {name: float(np.mean(getattr(config, name))) for name in ("Js", "Ku", "A", "Kd")}
    return cubic_grains(
        config.shape,
        size=config.size,
        gap=config.gap,
        depth=config.depth,
        scheme=config.scheme,
        material=Material(**middle),
    )


def field(config: Config) -> np.ndarray:
    """(t,) µ0·H in tesla."""
    return np.linspace(*config.field, config.steps)


def draw(config: Config, index: int) -> Magnet:
    """Magnet `index`, from `numpy.random.default_rng([seed, index])`.

    What has a range is drawn first, in the order of `DRAWN`, then the easy axes.
    """
    rng = np.random.default_rng([config.seed, index])
    values = {name: getattr(config, name) for name in DRAWN}
    values = {
        name: float(rng.uniform(*value)) if isinstance(value, tuple) else value
        for name, value in values.items()
    }
    cone = values.pop("cone")
    grains = int(np.prod(config.shape))
    return Magnet(cone, Material(**values), random_easy_axes(grains, cone=cone, seed=rng))


def check(config: Config) -> None:
    """Raise a ValueError that names what cannot be: at once, rather than after an hour."""
    for end in (0, -1):
        values = {name: float(np.atleast_1d(getattr(config, name))[end]) for name in DRAWN}
        random_easy_axes(1, cone=values.pop("cone"), seed=0)
        per_grain(Material(**values), 1, config.self_field)
    check_method(**_method(config))
    structure(config)


def batch(config: Config, number: int) -> dict[str, np.ndarray]:
    """Simulations `BATCH * number` and following, `BATCH` of them, of whatever split.

    Returns:
        The features of the data set, each with a leading axis.
    """
    indices = range(BATCH * number, BATCH * (number + 1))
    magnets = [draw(config, index) for index in indices]
    body = structure(config)
    materials = [magnet.material for magnet in magnets]
    one = len(set(materials)) == 1
    loops = simulate(
        body,
        np.stack([magnet.easy_axes for magnet in magnets]),
        material=materials[0] if one else [[m] * len(body) for m in materials],
        field=field(config),
        self_field=config.self_field,
        allow_unconverged=True,
        progress=False,
        **_method(config),
    )
    if not loops.converged.all():
        warnings.warn(
            f"{(~loops.converged).sum()} of the {loops.converged.size} states of simulations "
            f"{indices[0]} to {indices[-1]} found no equilibrium; `converged` tells which.",
            stacklevel=2,
        )
    found = {
        "index": np.array(indices, np.int64),
        "seed": np.full(BATCH, config.seed, np.int64),
        "cone": np.array([magnet.cone for magnet in magnets]),
        **{name: np.array([getattr(m, name) for m in materials]) for name in DRAWN[1:]},
        "field": np.tile(loops.field, (BATCH, 1)),
        "easy_axes": loops.easy_axes,
        "magnetization": loops.magnetization.astype(np.float32),
        "converged": loops.converged,
        "iterations": loops.iterations.astype(np.int32),
        "sample_weights": sample_weights(loops.magnetization, loops.field_direction),
        "switching_fields": loops.switching_fields,
        "coercivity": loops.coercivity(),
        "remanence": loops.remanence(),
        "energy_product": loops.energy_product(),
    }
    return {name: np.asarray(value) for name, value in found.items()}


def examples(builder, split: str):
    """The examples of a split of a built data set, decoded one by one, in order.

    Args:
        builder: a `Builder` whose data set is there.
        split: as TFDS has it, such as "train" or "test[:3]".
    """
    if builder.info.file_format in tfds.core.FileFormat.with_random_access():
        return builder.as_data_source(split=split)
    return tfds.as_numpy(builder.as_dataset(split=split))


def hysteresis(examples, info) -> Hysteresis:
    """The loops of some examples of the data set, with all that is read off them.

    Args:
        examples: dicts of arrays, as `tfds.data_source` or `tfds.as_numpy` give them.
        info: `builder.info`.

    Returns:
        The loops (b, t, g, 3), in the order of the examples.

    Raises:
        ValueError: when there are none, or the metadata are not there.
    """
    examples = list(examples)
    if not examples:
        raise ValueError("`examples` must hold at least one; received none.")
    body = microstructure(info)
    stacked = {
        name: np.stack([example[name] for example in examples])
        for name in ("magnetization", "easy_axes", "converged", "iterations", "Js")
    }
    return Hysteresis(
        field=np.asarray(examples[0]["field"]),
        polarization=stacked.pop("Js")[:, None] * np.ones(len(body)),
        volumes=np.array(body.volumes),
        packing_fraction=body.packing_fraction,
        field_direction=np.array(metadata(info)["parameters"]["field_direction"]),
        **stacked,
    )


def microstructure(info) -> Microstructure:
    """The grains of the magnets in a data set, from its metadata alone.

    Args:
        info: `builder.info`.

    Raises:
        ValueError: when these are not there.
    """
    return Microstructure.from_config(metadata(info)["structure"])


def versions() -> dict[str, str]:
    """Of the packages that the numbers depend on."""
    packages = keras_micromag, keras, sys.modules[keras.backend.backend()], np
    return {package.__name__: package.__version__ for package in packages}


def _method(config):
    names = ("field_direction", "avalanche", "dtype", "tol", "max_iterations")
    return {name: getattr(config, name) for name in names}
