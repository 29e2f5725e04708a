"""Simulated loops from `tfds_esw`, to train on and to test on.

A configuration of `tfds_esw` is given by its name or as a `tfds_esw.Config`. `data_dir` is the
folder of the data sets; None is that of TFDS.
"""

from __future__ import annotations

import contextlib
import io
import os
from typing import TYPE_CHECKING

import numpy as np

from keras_micromag.data import Lattices, Polycrystals, grain_features
from keras_micromag.physics import Hysteresis

if TYPE_CHECKING:
    from tfds_esw import Builder, Config


def load(
    config: str | Config,
    data_dir: str | os.PathLike | None = None,
    *,
    split: str | None = None,
    start: int = 0,
    stop: int | None = None,
) -> tuple[Hysteresis, Lattices | Polycrystals]:
    """Return the loops of magnets of a configuration, and the same as inputs of a model.

    Args:
        config: a configuration with fields along z.
        data_dir: folder of the data sets.
        split: name of the split to read; if None all of them, one after the other.
        start, stop: the first magnet, and the one after the last; all magnets if not given.

    Raises:
        ValueError: for a configuration of fields that are not along z.
    """
    from tfds_esw import examples, hysteresis

    builder = build(config, data_dir)
    settings = builder.builder_config
    if settings.field_direction != (0.0, 0.0, 1.0):
        raise ValueError(
            f"`config` must be one of fields along z; received tfds_esw/{name_of(config)} with "
            f"fields along {settings.field_direction}."
        )
    magnets: list[dict] = []
    begin, end = start, magnet_count(config) if stop is None else stop
    for name in [split] if split else builder.info.splits:
        count = builder.info.splits[name].num_examples
        if begin < min(end, count):
            magnets += examples(builder, f"{name}[{begin}:{min(end, count)}]")
        begin, end = max(begin - count, 0), max(end - count, 0)
    loops = hysteresis(magnets, builder.info)
    if settings.grains is None:
        return loops, Lattices(loops.magnetization, settings.shape)
    return loops, _polycrystals(magnets)


def _polycrystals(magnets: list[dict]) -> Polycrystals:
    """Return the inputs of a model for magnets of irregular grains."""
    names = {"easy_axes", "centroids", "volumes", "contact_areas", "magnetization"}
    names |= {"grain_Js", "grain_Ku"} & set(magnets[0])
    stacked = {name: np.stack([magnet[name] for magnet in magnets]) for name in names}
    present = stacked["volumes"] > 0
    materials = {
        name: np.where(present, stacked[f"grain_{name}"], 1)
        for name in ("Js", "Ku")
        if f"grain_{name}" in stacked
    }
    grains = grain_features(
        stacked["easy_axes"], stacked["centroids"], stacked["volumes"], **materials
    )
    # Only the ratios of the areas matter; those of grains in m² are too small for float32.
    areas = stacked["contact_areas"]
    areas = areas / (areas.max() or 1.0)
    return Polycrystals(stacked["magnetization"], grains, areas)


def require_built(
    config: str | Config, argument: str, data_dir: str | os.PathLike | None = None
) -> None:
    """Raise unless a configuration has been built; several processes must not build it at once."""
    from tfds_esw import Builder

    known = Builder.builder_configs
    if isinstance(config, str) and config not in known:
        raise ValueError(f"`{argument}` must be one of {', '.join(known)}; received {config!r}.")
    builder = Builder(config=config, data_dir=data_dir)
    if not builder.is_prepared():
        name, where = name_of(config), "" if data_dir is None else f" --data_dir {data_dir}"
        raise ValueError(
            f"tfds_esw/{name} must be built first, by `python -m tfds_esw build {name}{where}`; "
            f"{builder.data_path} is not there."
        )


def lattice_of(config: str | Config) -> tuple[int, int, int]:
    """Return the lattice (x, y, z) of a configuration."""
    return _settings(config).shape


def require_same_setup(test: str | Config, config: str | Config) -> None:
    """Raise unless two configurations have the same lattice and the same fields."""
    expected, other = _settings(config), _settings(test)
    for name in ("shape", "field", "steps", "field_direction"):
        if getattr(expected, name) != getattr(other, name):
            raise ValueError(
                f"`test` must have the {name} of `config`, {getattr(expected, name)}; received "
                f"tfds_esw/{name_of(test)} with {getattr(other, name)}."
            )


def name_of(config: str | Config) -> str:
    """Return the name of a configuration."""
    return getattr(config, "name", config)


def magnet_count(config: str | Config, split: str | None = None) -> int:
    """Return the number of magnets of a configuration, or of one of its splits."""
    splits = _settings(config).splits
    return splits[split] if split else sum(splits.values())


def require_magnets(config: str | Config, magnets: int, split: str | None = None) -> None:
    """Raise unless a configuration, or one of its splits, has at least this number of magnets."""
    most = magnet_count(config, split)
    if magnets > most:
        raise ValueError(
            f"`magnets` must be at most {most}, all that tfds_esw/{name_of(config)} has; "
            f"received {magnets}."
        )


def require_unseen(test: str | Config, train: str | Config, magnets: int) -> None:
    """Raise if a magnet of `test` is among the first magnets of `train`; nothing is built.

    Magnets are compared by their easy axes.
    """
    from tfds_esw.simulations import draw

    def easy_axes(config, count):
        return {draw(config, index).easy_axes.tobytes() for index in range(count)}

    test, train = _settings(test), _settings(train)
    seen = len(easy_axes(test, magnet_count(test)) & easy_axes(train, magnets))
    if seen:
        raise ValueError(
            f"`train` must have no magnet of `test`; received {seen} that are in both."
        )


def _settings(config):
    """Return the settings of a configuration, given by its name or as a `Config`."""
    from tfds_esw import Builder

    return Builder.builder_configs[config] if isinstance(config, str) else config


def builder_of(config: str | Config, data_dir: str | os.PathLike | None) -> Builder:
    """Return the builder of a configuration; raise for a `data_dir` that cannot be a folder."""
    from tfds_esw import Builder

    return Builder(config=config, data_dir=data_dir)


def build(config: str | Config, data_dir: str | os.PathLike | None) -> Builder:
    """Return the builder of a configuration, and build what does not exist."""
    made = builder_of(config, data_dir)
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS prints that it downloads, which is wrong
        made.download_and_prepare()
    return made
