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


def all_loops(
    config: str | Config, data_dir: str | os.PathLike | None = None
) -> tuple[Hysteresis, tuple[int, int, int]]:
    """Return the loops of all magnets of a configuration, and its lattice (x, y, z)."""
    from tfds_esw import hysteresis

    builder = build(config, data_dir)
    return hysteresis(_examples(builder, 0), builder.info), builder.builder_config.shape


def later_loops(
    config: str | Config, after: int, data_dir: str | os.PathLike | None = None
) -> Hysteresis | None:
    """Return the loops of a configuration after its first `after` magnets; None if none follow."""
    from tfds_esw import hysteresis

    builder = build(config, data_dir)
    magnets = _examples(builder, after)
    return hysteresis(magnets, builder.info) if magnets else None


def _examples(builder, after: int) -> list[dict]:
    """Return the examples of all splits without the first `after`."""
    from tfds_esw import examples

    magnets: list[dict] = []
    for split, info in builder.info.splits.items():
        if after < info.num_examples:
            magnets += examples(builder, f"{split}[{after}:]")
        after = max(after - info.num_examples, 0)
    return magnets


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


def field_of(config: str | Config, data_dir: str | os.PathLike | None = None) -> np.ndarray:
    """Return µ0·H (t,) in tesla of all loops of a configuration."""
    from tfds_esw.simulations import field

    return field(build(config, data_dir).builder_config)


def lattice_of(
    config: str | Config, data_dir: str | os.PathLike | None = None
) -> tuple[int, int, int]:
    """Return the lattice (x, y, z) of a configuration."""
    return build(config, data_dir).builder_config.shape


def require_same_setup(
    test: str | Config, config: str | Config, data_dir: str | os.PathLike | None = None
) -> None:
    """Raise unless two configurations have the same lattice and the same fields."""
    expected, other = (build(each, data_dir).builder_config for each in (config, test))
    for name in ("shape", "field", "steps", "field_direction"):
        if getattr(expected, name) != getattr(other, name):
            raise ValueError(
                f"`test` must have the {name} of `config`, {getattr(expected, name)}; received "
                f"tfds_esw/{name_of(test)} with {getattr(other, name)}."
            )


def name_of(config: str | Config) -> str:
    """Return the name of a configuration."""
    return getattr(config, "name", config)


def require_magnets(config: str | Config, magnets: int) -> None:
    """Raise unless a configuration has at least this number of magnets; nothing is built."""
    most = _number_of_magnets(_settings(config))
    if magnets > most:
        raise ValueError(
            f"`magnets` must be at most {most}, all that tfds_esw/{name_of(config)} has; "
            f"received {magnets}."
        )


def first_loops(
    config: str | Config, magnets: int, data_dir: str | os.PathLike | None = None
) -> Lattices:
    """Return the loops of the first magnets of a configuration of cubes, as inputs of a model.

    Raises:
        ValueError: when there are fewer magnets.
    """
    from tfds_esw import examples

    require_magnets(config, magnets)
    builder = build(config, data_dir)
    moments: list[np.ndarray] = []
    for split, info in builder.info.splits.items():
        if count := min(magnets - len(moments), info.num_examples):
            moments += [e["magnetization"] for e in examples(builder, f"{split}[:{count}]")]
    return Lattices(np.stack(moments), builder.builder_config.shape)


def polycrystals(
    config: str | Config,
    split: str,
    data_dir: str | os.PathLike | None = None,
    magnets: int | None = None,
) -> tuple[Hysteresis, Polycrystals]:
    """Return the loops of magnets of irregular grains, and the same as inputs of a model.

    Args:
        config: a configuration with `grains`.
        split: name of one of its splits.
        data_dir: folder of the data sets.
        magnets: number of magnets, the first ones; None for all.

    Raises:
        ValueError: for a configuration of cubes, or of fields that are not along z, or when there
            are fewer magnets.
    """
    from tfds_esw import examples, hysteresis

    builder = build(config, data_dir)
    settings = builder.builder_config
    if settings.grains is None or settings.field_direction != (0.0, 0.0, 1.0):
        raise ValueError(
            f"`config` must be one of irregular grains in fields along z; {name_of(config)} is not."
        )
    available = builder.info.splits[split].num_examples
    if magnets is not None and not 2 <= magnets <= available:
        raise ValueError(f"`magnets` must be from 2 to {available}; received {magnets}.")
    selected = list(examples(builder, split if magnets is None else f"{split}[:{magnets}]"))
    names = {"easy_axes", "centroids", "volumes", "contact_areas", "magnetization"}
    names |= {"grain_Js", "grain_Ku"} & set(selected[0])
    stacked = {name: np.stack([example[name] for example in selected]) for name in names}
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
    loops = Polycrystals(stacked["magnetization"], grains, areas)
    return hysteresis(selected, builder.info), loops


def require_unseen(test: str | Config, train: str | Config, magnets: int) -> None:
    """Raise if a magnet of `test` is among the first magnets of `train`; nothing is built.

    Magnets are compared by their easy axes.
    """
    from tfds_esw.simulations import draw

    def easy_axes(config, count):
        return {draw(config, index).easy_axes.tobytes() for index in range(count)}

    test, train = _settings(test), _settings(train)
    seen = len(easy_axes(test, _number_of_magnets(test)) & easy_axes(train, magnets))
    if seen:
        raise ValueError(
            f"`train` must have no magnet of `test`; received {seen} that are in both."
        )


def _settings(config):
    """Return the settings of a configuration, given by its name or as a `Config`."""
    from tfds_esw import Builder

    return Builder.builder_configs[config] if isinstance(config, str) else config


def _number_of_magnets(settings):
    return sum(settings.splits.values())


def build(config: str | Config, data_dir: str | os.PathLike | None) -> Builder:
    """Return the builder of a configuration, and build what does not exist."""
    from tfds_esw import Builder

    builder = Builder(config=config, data_dir=data_dir)
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS prints that it downloads, which is wrong
        builder.download_and_prepare()
    return builder
