"""Search spaces: how each setting of a recipe is chosen.

A space is a dict from a name to a function of KerasTuner's `hp`, of the recipe whose values are the
defaults, and of the lattice (x, y, z). The function returns settings of the recipe, often only the
one of that name.
"""

import math
from collections.abc import Sequence
from typing import Any

from keras_tuner import HyperParameters

from keras_micromag.recipes import Recipe
from keras_micromag.utils import checks

ACTIVATIONS = ("elu", "gelu", "silu", "tanh")


def _choice(name, *values):
    def suggest(hp, base, lattice):
        return {name: _chosen(hp, name, values, getattr(base, name))}

    return suggest


def _float(name, low, high, **kwargs):
    def suggest(hp, base, lattice):
        return {name: _number(hp, name, low, high, getattr(base, name), **kwargs)}

    return suggest


def _chosen(hp, name, values, default):
    """Return a choice among `values` and the default."""
    values = list(values)
    if default is not None and default not in values:
        values = [*values, default] if isinstance(default, str) else sorted([*values, default])
    return hp.Choice(name, values, default=default)


def _number(hp, name, low, high, default, **kwargs):
    """Return a number from a range, widened if necessary to contain the default."""
    return hp.Float(name, min(low, default), max(high, default), default=default, **kwargs)


def _layers(hp, name, count_name, sizes, max_layers, base):
    """Return the sizes of one or more layers; a layer's size is drawn only if the layer exists."""
    counts = list(range(1, max_layers + 1))
    n = _chosen(hp, count_name, counts, len(base))
    chosen = []
    for i in counts:
        default = base[i - 1] if i <= len(base) else None
        if i == 1:
            size = _chosen(hp, f"{name}_1", sizes, default)
        else:
            with hp.conditional_scope(count_name, counts[i - 1 :]):
                size = _chosen(hp, f"{name}_{i}", sizes, default)
        chosen.append(size)
    return tuple(chosen[:n])


def _filters(hp, base, lattice):
    # Each convolution halves the lattice: as many as its sizes can be divided by 2, and at most 2.
    common_size = math.gcd(*lattice)
    halvings = int(math.log2(common_size & -common_size))
    max_layers = min(max(halvings, 1), 2)
    return {"filters": _layers(hp, "filters", "convolutions", (4, 8, 16), max_layers, base.filters)}


def _units(hp, base, lattice):
    return {"units": _layers(hp, "units", "dense_layers", (32, 64, 128), 3, base.units)}


def _loss(hp, base, lattice):
    norm = _number(hp, "norm_weight", 0.0, 0.5, base.norm_weight, step=0.05)
    return {"mse_weight": 1.0 - norm, "norm_weight": norm}


def _schedule(hp, base, lattice):
    schedule = _chosen(hp, "schedule", ("cosine", "plateau"), base.schedule)
    with hp.conditional_scope("schedule", ["plateau"]):
        default = base.rate_patience if base.schedule == "plateau" else None
        patience = _chosen(hp, "rate_patience", (1, 2, 4), default)
    return {"schedule": schedule} | ({"rate_patience": patience} if schedule == "plateau" else {})


def _noise(hp, base, lattice):
    noisy = hp.Boolean("noise", default=base.input_noise > 0)
    with hp.conditional_scope("noise", [True]):
        noise = _number(hp, "input_noise", 0.05, 1.0, base.input_noise or 1.0, sampling="log")
    return {"input_noise": noise if noisy else 0.0}


AUTOENCODER = {
    "filters": _filters,
    "units": _units,
    "latent_size": _choice("latent_size", 8, 16, 24, 32, 48),
    "activation": _choice("activation", *ACTIVATIONS),
    "output_activation": _choice("output_activation", "linear", "elu", "tanh"),
    "norm_weight": _loss,
    "moment_weight": _choice("moment_weight", 0.0, 1.0, 10.0, 100.0),
    "eq8_share": _float("eq8_share", 0.0, 1.0, step=0.1),
    "autoencoder_rate": _float("autoencoder_rate", 5e-4, 2e-2, sampling="log"),
    "schedule": _schedule,
}
"""Space of autoencoders; `norm_weight` is a2 of Eq. 9, and a1 = 1 - a2."""

ROLLOUT = {
    "window": _choice("window", 2, 3, 4, 6, 8),
    "horizon": _choice("horizon", 1, 2, 4, 8, 16),
    "hidden_layers": _choice("hidden_layers", 1, 2, 3, 4, 6),
    "width": _choice("width", 64, 128, 192),
    "predictor_activation": _choice("predictor_activation", *ACTIVATIONS),
    "predictor_rate": _float("predictor_rate", 5e-4, 2e-2, sampling="log"),
    "schedule": _schedule,
    "input_noise": _noise,
    "predictor_eq8_share": _float("predictor_eq8_share", 0.0, 1.0, step=0.1),
    "microstructure_size": _choice("microstructure_size", 0, 8, 16, 32),
}
"""Space of predictors; `window` is t and `horizon` is l."""


def suggest(space: dict, hp: HyperParameters, base: Recipe, lattice: Sequence[int]) -> dict:
    """Return the settings of a recipe that `hp` chooses in a space."""
    settings: dict[str, Any] = {}
    for choose in space.values():
        settings |= choose(hp, base, lattice)
    return settings


def part(space: dict, only: Sequence[str] | None = None) -> dict:
    """Return the part of a space with these names, or the space.

    Raises:
        ValueError: for a name that is not in the space, or for no names.
    """
    if only is None:
        return space
    for name in only:
        checks.one_of(name, "only", tuple(space))
    if not only:
        raise ValueError("`only` must name at least one hyperparameter; received none.")
    return {name: suggest for name, suggest in space.items() if name in only}
