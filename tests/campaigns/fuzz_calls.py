"""Arrays of random shapes, dtypes and contents for every public function; see `fuzz`."""

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import ops, tree
from numpy.random import Generator

from keras_micromag import (
    analysis,
    baselines,
    data,
    layers,
    losses,
    metrics,
    models,
    physics,
    plots,
)
from keras_micromag.physics.hysteresis import Events
from tests.campaigns import damage, fuzz_files
from tests.campaigns.sandbox import Call, all_numbers

ROOMS = "physics layers losses metrics data models analysis baselines plots recipes vtk".split()
"""Modules of the package whose `__all__` is public."""

NO_ARRAYS = {"MATERIALS", "ND2FE14B", "ConvergenceError", "DemagOperator", "RECIPES", "Recipe"}
NO_ARRAYS |= {
    "Material",
    "calibrated_depth",
    "neper_grains",
    "read_neper",
    "read_surfaces",
    "MEASURES",
    "MicrostructuralParameters",
}
NO_ARRAYS |= {"train", "train_autoencoder", "train_predictor", "Autoencoder", "plotter"}
"""Public names without arguments that are arrays, or that `files` and `settings` test."""


class Template(NamedTuple):
    """A call that works.

    Attributes:
        function: of keyword arguments.
        arguments: of which arrays, numbers, lists and texts are changed.
        nan: whether finite input may give NaN, as the documentation says.
    """

    function: Callable
    arguments: dict[str, Any]
    nan: bool = False


def public_names() -> Iterator[tuple[str, str]]:
    """Yield module and name of what the package's modules export."""
    for room in ROOMS:
        module = import_module(f"keras_micromag.{room}")
        yield from ((room, name) for name in module.__all__ if not _is_module(module, name))


def _is_module(module, name):
    return isinstance(getattr(module, name), ModuleType)


def array(*shape: int) -> np.ndarray:
    """Return normal numbers."""
    return np.random.default_rng(1).normal(size=shape)


def units(*shape: int) -> np.ndarray:
    """Return unit vectors."""
    vectors = array(*shape)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _of(layer, **fixed):
    """Return a function of the inputs of a layer, by their names."""
    return lambda **inputs: layer({**inputs, **fixed})


def _loss(loss):
    def call(y_true, y_pred, sample_weight):
        return loss(y_true, y_pred, sample_weight=sample_weight)

    return call


def _metric(metric):
    return lambda **arguments: _loss(metric())(**arguments)


def _used(make, *uses):
    """Return a function that makes an object, and uses it."""

    def call(**arguments):
        made = make(**arguments)
        return [use(made) for use in uses]

    return call


@cache
def templates() -> dict[str, Template]:
    """Return a call for every public function that takes arrays, by "module.name"."""
    return {**_physics(), **_keras_parts(), **_data(), **_models(), **_drawings()}


def _physics():
    magnet, loop = fuzz_files.magnet(), fuzz_files.loops()
    cube = magnet.grains[0]
    axes, field = units(8, 3), np.linspace(8.0, -8.0, 5)
    simulated = {"easy_axes": axes, "field": field, "field_direction": [0.0, 0.0, 1.0]}
    simulated |= {"initial_state": units(8, 3), "tol": 1e-5, "rtol": 1e-4}
    options = {"max_iterations": 99, "avalanche": "weakest_first", "dtype": "float32"}
    options |= {"operator": "dense", "self_field": False, "allow_unconverged": False}
    options |= {"temperature": 350.0}
    coupling = 1e-3 * (np.ones((8, 8)) - np.eye(8))
    hysteresis = {name: getattr(loop, name) for name in loop.__dataclass_fields__}
    events = vars(fuzz_files.loops("events").events)
    operator = physics.demag_operator(magnet, "dense")
    bodies = {"vertices": cube.vertices, "faces": [list(face) for face in cube.faces]}
    embedding = {"scheme": ["faces"], "depth": 1e-9}
    grains = {"n": 4, "box": [1e-7, 1e-7, 1e-7], "seed": 1, "gap": 1e-9, "sigma": 0.0}
    grains |= {"relaxation": 0, "stretch": [1.0, 1.0, 2.0]}
    phases = [physics.MATERIALS["SmCo5"], physics.ND2FE14B]

    def simulate(method, **arguments):
        return physics.simulate(magnet, method=method, progress=False, **arguments).magnetization

    return {
        "physics.simulate": Template(lambda **a: simulate("steps", **a), simulated),
        "physics.simulate with options": Template(
            lambda **a: simulate("steps", easy_axes=axes, field=field, **a), options
        ),
        "physics.simulate by events": Template(lambda **a: simulate("events", **a), simulated),
        "physics.simulate with exchange": Template(
            lambda **a: simulate("steps", easy_axes=axes, field=field, **a), {"exchange": coupling}
        ),
        "physics.areal_exchange": Template(
            physics.areal_exchange, {"stiffness": 2e-12, "thickness": 4e-9}
        ),
        "physics.Hysteresis": Template(
            _used(physics.Hysteresis, fuzz_files.use), hysteresis, nan=True
        ),
        "physics.Hysteresis of events": Template(
            _used(lambda **a: _with_events(loop, a), fuzz_files.use), events, nan=True
        ),
        "physics.Microstructure": Template(
            lambda vertices, faces, **a: physics.Microstructure([(vertices, faces)], **a).particles,
            {
                **bodies,
                "particles": [[cube.centroid] * 2],
                "weights": np.ones((1, 2)),
                "volume": 1.0,
            },
        ),
        "physics.Polyhedron": Template(
            lambda points, depth, **a: _polyhedron(points, depth, **a),
            {**bodies, "points": array(3, 3) * 1e-8, "depth": 1e-9},
        ),
        "physics.cubic_grains": Template(
            _used(physics.cubic_grains, lambda made: made.particles),
            {"shape": [2, 1, 1], "size": 5e-8, "gap": 1e-9, **embedding},
        ),
        "physics.random_easy_axes": Template(
            physics.random_easy_axes, {"n": [2, 3], "cone": 30.0, "seed": 1}
        ),
        "physics.voronoi_grains": Template(
            _used(physics.voronoi_grains, lambda made: made.particles), {**grains, **embedding}
        ),
        "physics.voronoi_grains of points": Template(
            _used(physics.voronoi_grains, lambda made: made.particles),
            {
                **grains,
                "n": np.abs(array(4, 3)) % 1 * 1e-7 - 5e-8,
                "weights": np.zeros(4),
                **embedding,
            },
        ),
        "physics.contact_areas": Template(
            lambda gap: physics.contact_areas(magnet, gap), {"gap": 3e-9}
        ),
        "physics.demag_matrix": Template(
            lambda **a: physics.demag_matrix(magnet, **a), {"self_field": True}
        ),
        "physics.demag_operator": Template(
            lambda **a: physics.demag_operator(magnet, progress=False, **a)(units(8, 3)),
            {"kind": "lattice", "rtol": 1e-4, "dtype": "float32", "self_field": False},
        ),
        "physics.core_shell": Template(
            lambda **a: physics.core_shell(magnet, **a).particles,
            {"thickness": 4e-9, "depth": 3e-9, "scheme": ["faces", "centroid"]},
        ),
        "physics.demag_tensor": Template(
            physics.demag_tensor, {"points": array(4, 3) * 1e-7, **bodies}
        ),
        "physics.DemagOperator.__call__": Template(operator, {"moments": units(8, 3)}),
        "physics.DemagOperator.adjoint": Template(
            operator.adjoint, {"fields": array(*magnet.particles.shape)}
        ),
        "physics.equilibrium": Template(
            physics.equilibrium, {"h_parallel": array(3), "h_perpendicular": np.abs(array(3))}
        ),
        "physics.switching_field": Template(physics.switching_field, {"angle": array(3)}),
        "physics.mixed_phases": Template(
            lambda **a: len(physics.mixed_phases(magnet, phases, **a)),
            {"fractions": [0.5, 0.5], "seed": 1},
        ),
        "physics.spread_materials": Template(
            lambda **a: [m.Ku for m in physics.spread_materials(physics.ND2FE14B, **a)],
            {"n": 3, "Js": 0.1, "Ku": 0.1, "seed": 1},
        ),
        "physics.Thermal": Template(
            lambda **a: simulate(
                "events", easy_axes=axes, field=field, thermal=physics.Thermal(wait=1.0, **a)
            ),
            {
                **{"temperature": 300.0, "attempt_frequency": 1e9, "activation_volume": 1e-25},
                "seed": 1,
            },
        ),
        "physics.TemperatureLaw": Template(
            _used(
                lambda **a: physics.TemperatureLaw(curie=700.0, s=0.5, **a),
                lambda law: law.ratios(400.0),
            ),
            {
                **{"Ku_exponent": 2.0, "valid_range": [200.0, 600.0], "reference": 300.0},
                "Ku_table": [[200.0, 400.0, 600.0], [5.0, 4.0, 1.0]],
            },
        ),
        "analysis.kronmueller": Template(
            lambda **a: vars(analysis.kronmueller(**a)),
            {
                **{"coercivity": [1.2, 0.9, 0.5], "nucleation_field": [7.0, 6.0, 4.5]},
                "polarization": [1.6, 1.5, 1.3],
            },
        ),
        "analysis.temperature_coefficient": Template(
            analysis.temperature_coefficient,
            {"temperatures": [300.0, 400.0], "values": [1.3, 1.1]},
        ),
        "physics.write_neper": Template(
            lambda **a: physics.write_neper("grains.tess", magnet, **a),
            {"easy_axes": axes, "unit": 1e-6},
        ),
    }


def _with_events(loop, events):
    return physics.Hysteresis(
        **{name: getattr(loop, name) for name in loop.__dataclass_fields__ if name != "events"},
        events=Events(**events),
    )


def _polyhedron(points, depth, **arguments):
    body = physics.Polyhedron(**arguments)
    inset = body.inset(depth)
    return body.volume, body.centroid, body.contains(points), inset.vertices


def _keras_parts():
    magnet = fuzz_files.magnet()
    moments, weights = units(2, 4, 8, 3), np.ones((2, 4))
    targets = {"y_true": moments, "y_pred": units(2, 4, 8, 3), "sample_weight": weights}
    latent = {"y_true": array(2, 4, 2), "y_pred": array(2, 4, 2), "sample_weight": weights}
    esw = layers.EmbeddedStonerWohlfarth(magnet, max_iterations=50)
    calls = {
        "layers.EmbeddedStonerWohlfarth": (
            _of(esw),
            {"easy_axes": units(1, 8, 3), "field": np.linspace(8.0, -8.0, 5)[None]},
        ),
        "layers.GuptasarmaDemag": (
            lambda moments: layers.GuptasarmaDemag(magnet)(moments),
            {"moments": units(2, 8, 3)},
        ),
        "layers.StonerWohlfarth": (
            _of(layers.StonerWohlfarth()),
            {"easy_axes": units(2, 4, 3), "field": array(2, 4, 3), "branch": np.ones((2, 4))},
        ),
        "layers.GrainConvolution": (
            lambda **a: layers.GrainConvolution(4)(a),
            {"features": array(2, 8, 3), "neighbors": np.abs(array(2, 8, 8))},
        ),
        "layers.UnitNorm": (lambda vectors: layers.UnitNorm()(vectors), {"vectors": array(2, 3)}),
        "losses.NormPreservingLoss": (_loss(losses.NormPreservingLoss()), targets),
        "losses.RolloutLoss": (_loss(losses.RolloutLoss()), latent),
        "metrics.CoercivityError": (
            lambda field, **a: _loss(metrics.CoercivityError(field))(**a),
            {"field": [1.0, 0.5, -0.5, -1.0], **targets, "sample_weight": np.ones(2)},
        ),
    }
    for name in ("BranchAccuracy", "MeanMomentError", "NormError", "SquaredError"):
        calls[f"metrics.{name}"] = (_metric(getattr(metrics, name)), targets)
    return {name: Template(*call, nan="Coercivity" in name) for name, call in calls.items()}


def _data():
    loops = units(3, 6, 8, 3)
    field = np.linspace(1.0, -1.0, 6)
    polycrystals = {"moments": loops, "grains": array(3, 8, 13), "neighbors": np.ones((3, 8, 8))}
    features = {"easy_axes": units(2, 8, 3), "centroids": array(2, 8, 3) * 1e-7}
    features |= {"volumes": np.ones((2, 8)) * 1e-23, "Js": np.ones((2, 8)), "Ku": np.ones((2, 8))}
    windows = {"states": array(3, 6, 2), "field": field, "window": 2, "horizon": 2}
    windows |= {"step_weights": np.ones((3, 6)), "start": array(3, 8, 3), "batch_size": 4}
    shares = np.ones((3, 8)) / 8
    calls = {
        "data.Lattices": (
            _used(
                data.Lattices, lambda made: made.images(4).moments, lambda made: made[:1].moments
            ),
            {"moments": loops, "grid": [2, 2, 2]},
        ),
        "data.Polycrystals": (
            _used(data.Polycrystals, lambda made: made.targets, lambda made: made[:1].magnet),
            polycrystals,
        ),
        "data.Windows": (
            _used(data.Windows, lambda made: made[0], lambda made: made.arrays()),
            windows,
        ),
        "data.grain_features": (data.grain_features, features),
        "data.sample_weights": (
            data.sample_weights,
            {"magnetization": loops, "field_direction": [0.0, 0.0, 1.0]},
        ),
        "data.split_by_simulation": (
            data.split_by_simulation,
            {"simulations": 9, "fraction": 0.2, "seed": 1},
        ),
        "data.symmetric_images": (
            data.symmetric_images,
            {"states": loops.reshape(3, 6, 2, 2, 2, 3), "count": 4},
        ),
        "baselines.mean_loop": (baselines.mean_loop, {"training": loops}),
        "baselines.persistence": (baselines.persistence, {"states": loops, "steps": 9}),
        "baselines.LinearLatent": (
            lambda states, **a: baselines.LinearLatent(**a).predict(states),
            {"training": loops, "field": field, "size": 2, "window": 2, "states": loops[:, :2]},
        ),
        "baselines.GrainsInOrder": (
            lambda moments, **a: _in_order(moments, **a),
            {"easy_axes": units(3, 8, 3), "shares": shares, "places": 9, "moments": loops},
        ),
        "baselines.MeanByTilt": (
            lambda others, **a: baselines.MeanByTilt(**a).predict(others),
            {
                **{"moments": loops, "easy_axes": units(3, 8, 3), "shares": shares, "classes": 2},
                "others": units(2, 8, 3),
            },
        ),
    }
    return {name: Template(*call) for name, call in calls.items()}


def _in_order(moments, **arguments):
    order = baselines.GrainsInOrder(**arguments)
    return order.back(order.ordered(moments))


def _models():
    keras.utils.set_random_seed(1)
    field = np.linspace(8.0, -8.0, 5)
    network = models.predictor(2, 2, hidden_layers=1, width=4)
    rollout = models.RecursiveRolloutModel(network, 2, 2)
    whole = models.autoencoder((2, 2, 2), 2, units=(4,))
    loop = models.LatentHysteresis(whole, rollout)
    small = {"latent_size": 2, "activation": "elu"}
    calls = {
        "models.autoencoder": (
            lambda **a: models.autoencoder(**a).count_params(),
            {"grid": [2, 2, 2], "filters": [2], "units": [3], **small},
        ),
        "models.grain_autoencoder": (
            lambda **a: models.grain_autoencoder(**a).count_params(),
            {"features": 3, "embedding_size": 2, "width": 3, "spread": [1.0, 1.0, 1.0], **small},
        ),
        "models.microstructure_encoder": (
            lambda **a: models.microstructure_encoder(**a).count_params(),
            {"size": 2, "features": 3, "width": 3, "mean": [0.0, 0, 1], "spread": [1.0, 1, 1]},
        ),
        "models.predictor": (
            lambda **a: models.predictor(**a).count_params(),
            {"window": 2, "hidden_layers": 1, "width": 3, "field_scale": 8.0, **small},
        ),
        "models.RecursiveRolloutModel": (
            rollout.rollout,
            {"states": array(2, 2, 2), "field": field},
        ),
        "models.LatentHysteresis": (
            loop.coercivity,
            {"states": units(2, 2, 8, 3), "field": field, "field_direction": [0.0, 0.0, 1.0]},
        ),
    }
    return {name: Template(*call, nan="Latent" in name) for name, call in calls.items()}


def _drawings():
    from keras_micromag import vtk

    magnet, loop = fuzz_files.magnet(), fuzz_files.loops()
    axes = {"easy_axes": units(8, 3), "direction": [0.0, 0.0, 1.0]}
    view = {"view": [20.0, 30.0], "explode": 0.1}
    hysteresis = {name: getattr(loop, name) for name in ("field", "magnetization", "easy_axes")}

    def of_loop(draw):
        def call(**arguments):
            own = {name: getattr(loop, name) for name in loop.__dataclass_fields__}
            return draw(physics.Hysteresis(**{**own, **arguments}))

        return call

    calls = {
        "plots.misorientation": (plots.misorientation, axes),
        "plots.plot_pole_figure": (
            plots.plot_pole_figure,
            {**axes, "weights": np.ones(8), "halfwidth": 15.0},
        ),
        "plots.plot_loops": (of_loop(plots.plot_loops), hysteresis),
        "plots.plot_avalanches": (of_loop(plots.plot_avalanches), hysteresis),
        "plots.avalanche_sizes": (of_loop(plots.avalanche_sizes), hysteresis),
        "plots.plot_magnet": (
            lambda **a: plots.plot_magnet(magnet, **a),
            {"values": array(8), "limits": [0.0, 1.0], "cut": [[0.0, -1.0, 0.0], 0.0], **view},
        ),
        "plots.plot_reversal": (
            lambda **a: plots.plot_reversal(magnet, loop, **a),
            {"fields": [4.0, -4.0], "magnet": 0, **view},
        ),
        "plots.animate_loop": (
            lambda **a: plots.animate_loop(magnet, loop, Path("loop.gif"), **a),
            {"magnet": 0, "frames": 2, "fps": 5, **view},
        ),
        "vtk.unstructured_grid": (
            lambda **a: vtk.unstructured_grid(magnet, **a).n_cells,
            {"moment": units(8, 3), "Js_T": array(8)},
        ),
        "vtk.write_vtk": (
            lambda **a: vtk.write_vtk("loop.vtu", magnet, loop, **a),
            {"magnet": 0, "steps": [1], "Js_T": array(8)},
        ),
    }
    return {name: Template(*call) for name, call in calls.items()}


OF_TENSORS = ("layers", "losses", "metrics")
"""Modules whose functions get their arrays from Keras, as tensors of numbers."""

SCALARS = (*damage.VALUES, "nan", b"x", np.float32(3), np.array(3), -3, 5, 10**6, 1e-3, 1e9, 1 + 2j)


def calls(rng: Generator, folder: Path) -> Call:
    """Return a call of a public function with a damaged argument."""
    del folder
    name = damage.pick(rng, sorted(templates()))
    template = templates()[name]
    arguments = dict(template.arguments)
    for _ in range(rng.integers(1, 3)):
        changed = damage.pick(rng, [each for each in arguments if each != "events"])
        of_tensors = name.startswith(OF_TENSORS)
        damaged = _damaged_tensor if of_tensors else _damaged
        if name.startswith("models"):
            damaged = _damaged_setting
        arguments[changed] = damaged(rng, arguments[changed])
    by_keras = name.startswith((*OF_TENSORS, "models"))
    return Call(lambda: _run(name, template, arguments), by_keras=by_keras)


def _damaged_tensor(rng, value):
    """Return numbers of a type that all backends have; none so large that squares overflow."""
    with warnings.catch_warnings(action="ignore"):
        array = damage.array(rng, value)
        narrow = array.astype("float32") if array.dtype.kind == "f" else array
    if array.dtype.kind not in "biuf":
        return np.zeros(array.shape, "float32")
    return np.where(np.abs(narrow) < np.float64(1e9), narrow, np.ones_like(narrow))


def _damaged_setting(rng, value):
    """Return no large number: a model that has so many weights is what was asked for."""
    damaged = _damaged(rng, value)
    if isinstance(damaged, int | float):
        return damaged if abs(damaged) <= 100 else -1
    if isinstance(damaged, np.ndarray) and damaged.dtype.kind in "fc":
        return np.where(np.abs(damaged) < np.float64(1e9), damaged, np.ones_like(damaged))
    return damaged


def _damaged(rng, value):
    if isinstance(value, np.ndarray | list) and rng.random() < 0.85:
        try:
            return damage.array(rng, value)
        except ValueError:  # ragged
            return damage.array(rng)
    return damage.pick(rng, SCALARS) if rng.random() < 0.8 else damage.array(rng)


def _run(name, template, arguments):
    try:
        result = template.function(**arguments)
    finally:
        plt.close("all")
    finite = all_numbers(arguments)
    arrays = [
        ops.convert_to_numpy(part) if ops.is_tensor(part) else part for part in tree.flatten(result)
    ]
    if finite and not template.nan and not all_numbers(arrays, lambda part: ~np.isnan(part)):
        raise AssertionError(f"{name} has NaN")
