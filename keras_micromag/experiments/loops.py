"""The simulated loops that are trained on and judged by, out of `tfds_esw`."""

import numpy as np


def all_loops(config: str, data_dir=None):
    """All loops of a configuration in its order, as a `Hysteresis`, and the lattice (x, y, z)."""
    from tfds_esw import examples, hysteresis

    builder = _built(config, data_dir)
    found = [example for split in builder.info.splits for example in examples(builder, split)]
    return hysteresis(found, builder.info), builder.builder_config.shape


def first_moments(config: str, magnets: int, data_dir=None):
    """(magnets, t, x, y, z, 3) moments of the first magnets of a configuration.

    Raises:
        ValueError: when there are not so many.
    """
    from tfds_esw import examples

    builder = _built(config, data_dir)
    splits = {split: info.num_examples for split, info in builder.info.splits.items()}
    if magnets > sum(splits.values()):
        raise ValueError(
            f"`magnets` must be at most {sum(splits.values())}, all that tfds_esw/{config} has; "
            f"received {magnets}."
        )
    found, left = [], magnets
    for split, most in splits.items():
        if left:
            taken = min(left, most)
            found += [e["magnetization"] for e in examples(builder, f"{split}[:{taken}]")]
            left -= taken
    return on_lattice(np.stack(found), builder.builder_config.shape)


def on_lattice(moments, lattice):
    """(b, t, g, 3) moments as (b, t, x, y, z, 3) of float32."""
    return np.asarray(moments, "float32").reshape(*moments.shape[:2], *lattice, 3)


def _built(config, data_dir):
    from tfds_esw import Builder

    builder = Builder(config=config, data_dir=data_dir)
    builder.download_and_prepare()
    return builder
