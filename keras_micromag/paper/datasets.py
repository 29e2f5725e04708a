"""The simulated loops that are trained on and judged by, out of `tfds_esw`."""

import numpy as np

from keras_micromag.data import Polycrystals, grain_features


def all_loops(config, data_dir=None, after: int = 0):
    """Loops of a configuration, from magnet `after` on in its order, and the lattice (x, y, z).

    Returns:
        A `Hysteresis`, None if there are no such magnets; and a tuple.
    """
    from tfds_esw import examples, hysteresis

    builder = _built(config, data_dir)
    found = []
    for split, info in builder.info.splits.items():
        if after < info.num_examples:
            found += examples(builder, f"{split}[{after}:]")
        after = max(after - info.num_examples, 0)
    loops = hysteresis(found, builder.info) if found else None
    return loops, builder.builder_config.shape


def require_built(config, argument: str, data_dir=None) -> None:
    """Raise unless a configuration has been built: several processes must not do so at once."""
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


def field_of(config, data_dir=None):
    """(t,) µ0·H in tesla that all loops of a configuration run along."""
    from tfds_esw.simulations import field

    return field(_built(config, data_dir).builder_config)


def lattice_of(config, data_dir=None) -> tuple[int, int, int]:
    """(x, y, z) of a configuration."""
    return _built(config, data_dir).builder_config.shape


def require_alike(test, config, data_dir=None) -> None:
    """Raise unless two configurations have the same lattice, and run along the same fields."""
    chosen, other = (_built(each, data_dir).builder_config for each in (config, test))
    for name in ("shape", "field", "steps", "field_direction"):
        if getattr(chosen, name) != getattr(other, name):
            raise ValueError(
                f"`test` must have the {name} of `config`, {getattr(chosen, name)}; received "
                f"tfds_esw/{name_of(test)} with {getattr(other, name)}."
            )


def name_of(config) -> str:
    """That of a configuration of `tfds_esw`: it is one, or a `tfds_esw.Config` of your own."""
    return getattr(config, "name", config)


def require(config, magnets: int, data_dir=None) -> None:
    """Raise unless a configuration has so many magnets."""
    most = sum(info.num_examples for info in _built(config, data_dir).info.splits.values())
    if magnets > most:
        raise ValueError(
            f"`magnets` must be at most {most}, all that tfds_esw/{name_of(config)} has; "
            f"received {magnets}."
        )


def first_moments(config, magnets: int, data_dir=None):
    """(magnets, t, x, y, z, 3) moments of the first magnets of a configuration.

    Raises:
        ValueError: when there are not so many.
    """
    from tfds_esw import examples

    require(config, magnets, data_dir)
    builder = _built(config, data_dir)
    found = []
    for split, info in builder.info.splits.items():
        if left := min(magnets - len(found), info.num_examples):
            found += [e["magnetization"] for e in examples(builder, f"{split}[:{left}]")]
    return on_lattice(np.stack(found), builder.builder_config.shape)


def polycrystals(config, split: str, data_dir=None, magnets: int | None = None):
    """Magnets of irregular grains: their loops, and what a model is told of them.

    Args:
        config: a configuration of `tfds_esw` with `grains`.
        split: of it. magnets: how many, the first ones; None for all.

    Returns:
        A `Hysteresis`, and `Polycrystals`.

    Raises:
        ValueError: for a configuration of cubes, or of fields that are not along z, or when there
            are not so many.
    """
    from tfds_esw import examples, hysteresis

    builder = _built(config, data_dir)
    chosen = builder.builder_config
    if chosen.grains is None or chosen.field_direction != (0.0, 0.0, 1.0):
        raise ValueError(
            f"`config` must be one of irregular grains in fields along z; {name_of(config)} is not."
        )
    there = builder.info.splits[split].num_examples
    if magnets is not None and not 2 <= magnets <= there:
        raise ValueError(f"`magnets` must be from 2 to {there}; received {magnets}.")
    found = list(examples(builder, split if magnets is None else f"{split}[:{magnets}]"))
    names = {"easy_axes", "centroids", "volumes", "contact_areas", "magnetization"}
    names |= {"grain_Js", "grain_Ku"} & set(found[0])
    stacked = {name: np.stack([example[name] for example in found]) for name in names}
    there = stacked["volumes"] > 0
    materials = {
        name: np.where(there, stacked[f"grain_{name}"], 1)
        for name in ("Js", "Ku")
        if f"grain_{name}" in stacked
    }
    grains = grain_features(
        stacked["easy_axes"], stacked["centroids"], stacked["volumes"], **materials
    )
    # Only the ratios of the areas count, and float32 has none as small as that of a grain in m².
    areas = stacked["contact_areas"]
    areas = areas / (areas.max() or 1.0)
    parts = (stacked["magnetization"], grains, areas)
    return hysteresis(found, builder.info), Polycrystals(*(p.astype("float32") for p in parts))


def require_unseen(unseen, training) -> None:
    """Raise where a magnet of a `Hysteresis` is among those trained on, (s, t, x, y, z, 3).

    Two magnets with other easy axes have other last states, and so have mirrored ones.
    """
    known = {state.tobytes() for state in training[:, -1]}
    last = unseen.magnetization[:, -1].astype(training.dtype)
    seen = sum(state.tobytes() in known for state in last)
    if seen:
        raise ValueError(
            f"`train` must have no magnet of `test`; received {seen} that are in both."
        )


def on_lattice(moments, lattice):
    """(b, t, g, 3) moments as (b, t, x, y, z, 3) of float32."""
    return np.asarray(moments, "float32").reshape(*moments.shape[:2], *lattice, 3)


def _built(config, data_dir):
    from tfds_esw import Builder

    builder = Builder(config=config, data_dir=data_dir)
    builder.download_and_prepare()
    return builder
