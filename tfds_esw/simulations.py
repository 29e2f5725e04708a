"""Simulations of a configuration; magnet i and its loop depend on (seed, i) alone."""

import functools
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from keras_micromag.data import sample_weights
from keras_micromag.physics import (
    ND2FE14B,
    Hysteresis,
    Material,
    Microstructure,
    Thermal,
    contact_areas,
    cubic_grains,
    random_easy_axes,
    simulate,
    spread_materials,
    voronoi_grains,
)
from keras_micromag.physics.hysteresis import Events
from keras_micromag.physics.solver.problem import SolverOptions, per_grain
from keras_micromag.utils import checks
from tfds_esw.batch_cache import BATCH
from tfds_esw.config import DRAWN, Config, metadata

_ROOM = 300.0
"""Temperature of thermal activation in kelvin, where a configuration has none."""


class Magnet(NamedTuple):
    """The random part of one simulation."""

    cone: float
    temperature: float | None
    exchange: float | None
    material: Material
    structure: Microstructure
    easy_axes: np.ndarray  # (g, 3)
    grains: list[Material]  # the material of each grain


@functools.lru_cache(maxsize=1)
def structure(config: Config) -> Microstructure:
    """Return the cubic grains, which all magnets of a configuration share."""
    return cubic_grains(config.shape, size=config.size, gap=config.gap, **_particles(config))


def _irregular(config: Config, n: int | tuple[int, int], rng) -> Microstructure:
    """Draw the irregular grains of one magnet: n, or a number of them from a range."""
    n = int(rng.integers(n[0], n[1] + 1)) if isinstance(n, tuple) else n
    return voronoi_grains(
        n,
        (config.size + config.gap) * n ** (1 / 3),
        rng,
        config.gap,
        sigma=config.sigma,
        relaxation=config.relaxation,
        vanishing="drop",
        **_particles(config),
    )


def _particles(config: Config) -> dict[str, Any]:
    return {"depth": config.depth, "scheme": config.scheme}


def field(config: Config) -> np.ndarray:
    """Return the field steps (t,), µ0·H in tesla."""
    return np.linspace(*config.field, config.steps)


def draw(config: Config, index: int) -> Magnet:
    """Draw magnet `index` from `numpy.random.default_rng([seed, index])`.

    Parameters with a range are drawn first, in the order of `DRAWN`, then the temperature and the
    exchange; then irregular grains, their number first; then the easy axes; then the materials of
    the grains.
    """
    rng = np.random.default_rng([config.seed, index])
    values: dict[str, Any] = {}
    for name in (*DRAWN, "temperature", "exchange"):
        value = getattr(config, name)
        values[name] = float(rng.uniform(*value)) if isinstance(value, tuple) else value
    cone, temperature, exchange = (values.pop(n) for n in ("cone", "temperature", "exchange"))
    material = _material(temperature, **values)
    body = structure(config) if config.grains is None else _irregular(config, config.grains, rng)
    easy_axes = random_easy_axes(len(body), cone=cone, seed=rng)
    spread = {"Js": config.Js_spread, "Ku": config.Ku_spread}
    grains = spread_materials(material, len(body), **spread, seed=rng)
    return Magnet(cone, temperature, exchange, material, body, easy_axes, grains)


def _material(temperature: float | None, **constants: Any) -> Material:
    """Return the material with these constants, which at a temperature are those at 300 K."""
    if temperature is None:
        return Material(**constants)
    return Material(**constants, temperature_law=ND2FE14B.temperature_law).at(temperature)


def check(config: Config) -> None:
    """Raise a ValueError that names an impossible parameter, before anything is simulated."""
    for end in (0, -1):
        values: dict[str, Any] = {
            name: float(np.atleast_1d(getattr(config, name))[end]) for name in DRAWN
        }
        random_easy_axes(1, cone=values.pop("cone"), seed=0)
        temperature = config.temperature
        if temperature is not None:
            temperature = float(np.atleast_1d(temperature)[end])
        material = _material(temperature, **values)
        per_grain(material, 1, config.self_field)
        spread_materials(material, 1, Js=config.Js_spread, Ku=config.Ku_spread, seed=0)
    if config.exchange is not None and np.min(config.exchange) < 0:
        raise ValueError(f"`exchange` must be at least 0 J/m²; received {config.exchange}.")
    options = _method(config)
    checks.unit_vectors(options.pop("field_direction"), "field_direction", (3,))
    SolverOptions.checked(**options)
    draw(config, 0)


def batch(config: Config, number: int) -> dict[str, np.ndarray]:
    """Compute the `BATCH` simulations from `BATCH * number` on, whatever their split.

    Returns:
        The features of the data set, each with a leading axis.
    """
    indices = range(BATCH * number, BATCH * (number + 1))
    magnets = [draw(config, index) for index in indices]
    if _share_a_body(config):
        loops = [_simulated(config, magnets)]
    else:  # each magnet has a demagnetising matrix of its own
        loops = [_simulated(config, [magnet]) for magnet in magnets]
    converged = np.concatenate([each.converged for each in loops])
    if not converged.all():
        warnings.warn(
            f"{(~converged).sum()} of the {converged.size} states of simulations "
            f"{indices[0]} to {indices[-1]} have no equilibrium; `converged` marks the others.",
            stacklevel=2,
        )
    features = {
        "index": np.array(indices, np.int64),
        "seed": np.full(BATCH, config.seed, np.int64),
        "cone": np.array([magnet.cone for magnet in magnets]),
        **{name: np.array([getattr(m.material, name) for m in magnets]) for name in DRAWN[1:]},
        "field": np.tile(loops[0].field, (BATCH, 1)),
    }
    for name in ("temperature", "exchange"):
        if getattr(config, name) is not None:
            features[name] = np.array([getattr(magnet, name) for magnet in magnets])
    most = config.most_grains
    parts = [_features(config, each, most) for each in loops]
    features |= {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if config.material_varies:
        for name in ("Js", "Ku"):
            grains = [[getattr(grain, name) for grain in magnet.grains] for magnet in magnets]
            features[f"grain_{name}"] = np.array([_filled(np.array(row), most) for row in grains])
    if config.grains is not None:
        bodies = [magnet.structure for magnet in magnets]
        features |= {
            "grains": np.array([len(body) for body in bodies], np.int64),
            "volumes": np.array([_filled(body.volumes, most) for body in bodies]),
            "centroids": np.array([_filled(body.centroids, most) for body in bodies]),
            "contact_areas": np.array(
                [_filled(_filled(contact_areas(b, config.gap), most).T, most) for b in bodies]
            ),
            "packing_fraction": np.array([body.packing_fraction for body in bodies]),
        }
    return features


def _share_a_body(config: Config) -> bool:
    """Return whether all magnets have the same particles, exchange and activation."""

    def drawn(*names):
        return any(isinstance(getattr(config, name), tuple) for name in names)

    moves = drawn("Js", "Ku", "A", "temperature") or config.material_varies
    activated = config.sweep_rate is not None and drawn("temperature")
    one_depth = config.depth != "calibrated" or not moves
    return config.grains is None and one_depth and not drawn("exchange") and not activated


def _simulated(config, magnets) -> Hysteresis:
    """Simulate the loops of magnets of the same structure, exchange and activation."""
    first = magnets[0]
    thermal = None
    if config.sweep_rate is not None:
        temperature = _ROOM if first.temperature is None else first.temperature
        thermal = Thermal(temperature, sweep_rate=config.sweep_rate)
    materials = [magnet.grains for magnet in magnets]
    one = materials[0][0]
    uniform = all(grain == one for row in materials for grain in row)
    return simulate(
        first.structure,
        np.stack([magnet.easy_axes for magnet in magnets]),
        material=one if uniform else materials,
        field=field(config),
        self_field=config.self_field,
        exchange=0.0 if first.exchange is None else first.exchange,
        thermal=thermal,
        allow_unconverged=True,
        progress=False,
        **_method(config),
    )


def _features(config, loops, most) -> dict[str, np.ndarray]:
    """Return the features of loops, padded to `most` grains."""
    features = {
        "easy_axes": _filled(loops.easy_axes, most, 1),
        "magnetization": _filled(loops.magnetization.astype(np.float32), most, 2),
        "converged": loops.converged,
        "iterations": loops.iterations.astype(np.int32),
        "sample_weights": sample_weights(loops.magnetization, loops.field_direction),
        "switching_fields": _filled(loops.switching_fields, most, 1, np.nan),
        "coercivity": loops.coercivity(),
        "remanence": loops.remanence(),
        "energy_product": loops.energy_product(),
    }
    if loops.events is not None:
        avalanches = loops.events.first_avalanches(loops.easy_axes.shape[1])
        features["avalanches"] = _filled(avalanches.astype(np.int32), most, 1, -1)
    return features


def _filled(array, most, axis=0, value=0):
    """Pad `array` with `value` to `most` grains along `axis`."""
    missing = [(0, 0)] * array.ndim
    missing[axis] = (0, most - array.shape[axis])
    return np.pad(array, missing, constant_values=value)


def examples(builder: tfds.core.DatasetBuilder, split: str) -> Iterable[dict]:
    """Return the examples of a split of a built data set, decoded one by one, in order.

    Args:
        builder: a `Builder` whose data set is built.
        split: in TFDS's syntax, such as "train" or "test[:3]".
    """
    if builder.info.file_format in tfds.core.FileFormat.with_random_access():
        return builder.as_data_source(split=split)
    return tfds.as_numpy(builder.as_dataset(split=split))


def hysteresis(examples: Iterable[Mapping], info: tfds.core.DatasetInfo) -> Hysteresis:
    """Return the loops of some examples of the data set.

    Of loops by events, `events` hold the first flip of each grain, in no order within an avalanche,
    and nan for the moments before and after, which the data set does not contain.

    Args:
        examples: dicts of arrays, as returned by `tfds.data_source` or `tfds.as_numpy`.
        info: `builder.info`.

    Returns:
        The loops (b, t, g, 3), in the order of the examples.

    Raises:
        ValueError: when there are none, or the metadata are missing.
    """
    examples = list(examples)
    if not examples:
        raise ValueError("`examples` must hold at least one example; received none.")
    names = {"magnetization", "easy_axes", "converged", "iterations", "Js"}
    names |= {"grain_Js", "volumes", "packing_fraction"} & set(examples[0])
    stacked: dict[str, Any] = {
        name: np.stack([example[name] for example in examples]) for name in names
    }
    every = stacked.pop("Js")[:, None] * np.ones(stacked["easy_axes"].shape[1])
    polarization = stacked.pop("grain_Js", every)
    if "volumes" not in stacked:
        body = microstructure(info)
        stacked |= {"volumes": np.array(body.volumes), "packing_fraction": body.packing_fraction}
    loops = Hysteresis(
        field=np.asarray(examples[0]["field"]),
        polarization=polarization,
        field_direction=np.array(metadata(info)["parameters"]["field_direction"]),
        **stacked,
    )
    return replace(loops, events=_events(examples, loops)) if "avalanches" in examples[0] else loops


def _events(examples, loops) -> Events:
    """Return the events that are stored in the examples of loops by events."""
    avalanches, switching, coercivity = (
        np.stack([example[name] for example in examples])
        for name in ("avalanches", "switching_fields", "coercivity")
    )
    magnet, grain = np.nonzero(avalanches >= 0)
    order = np.lexsort((avalanches[magnet, grain], magnet))
    magnet, grain = magnet[order], grain[order]
    field = switching[magnet, grain]
    sign = np.sign(loops.field[-1] - loops.field[0])  # `searchsorted` needs rising values
    return Events(
        magnet=magnet,
        grain=grain,
        field=field,
        avalanche=avalanches[magnet, grain],
        step=np.searchsorted(sign * loops.field, sign * field),
        moment=np.full((len(grain), 2), np.nan),
        crossing=-coercivity * np.sign(loops.magnetization_along_field[:, 0]),
    )


def microstructure(info: tfds.core.DatasetInfo, index: int | None = None) -> Microstructure:
    """Return the grains of the magnets in a data set, from its metadata alone.

    Args:
        info: `builder.info`.
        index: of the simulation, where each has grains of its own; they are then drawn again.

    Raises:
        ValueError: when the metadata are missing; when the index is missing where each magnet has
            grains of its own, or given where all share them.
    """
    content = metadata(info)
    shared = content["structure"] is not None
    if shared != (index is None):
        raise ValueError(
            "`index` must be left out where all magnets have the same grains, and given where they "
            f"do not; received {index!r}."
        )
    if shared:
        return Microstructure.from_config(content["structure"])
    return draw(Config(**content["parameters"]), checks.count(index, "index", least=0)).structure


def _method(config):
    names = ("field_direction", "method", "avalanche", "dtype", "tol", "max_iterations")
    return {name: getattr(config, name) for name in names}
