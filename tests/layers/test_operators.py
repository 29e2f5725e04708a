"""The physics layers with each of the demagnetising operators.

| who                                       | must agree with whom                  | to           |
| ----------------------------------------- | ------------------------------------- | ------------ |
| `GuptasarmaDemag`, and its derivatives,   | those of the dense one                | 2e-5; rtol   |
| with each operator                        |                                       |              |
| `EmbeddedStonerWohlfarth`, with each      | `simulate` with the same              | 3e-5         |
| both, from their config, and saved        | themselves                            | 1e-5         |

In tesla, for float32: fields of the size of 1 are sums of hundreds.
"""

import keras
import numpy as np
import pytest
from keras import ops

from keras_micromag.layers import EmbeddedStonerWohlfarth, GuptasarmaDemag
from keras_micromag.physics import (
    MATERIALS,
    ND2FE14B,
    cubic_grains,
    demag_operator,
    random_easy_axes,
    simulate,
    voronoi_grains,
)
from tests.keras_parts import check_layer, gradient, numpy

SMCO5 = MATERIALS["SmCo5"]

pytestmark = pytest.mark.backend

SERVED = [("cubes", "lattice"), ("cubes", "hierarchical"), ("grains", "hierarchical")]
served = pytest.mark.parametrize(("name", "operator"), SERVED)
one_each = pytest.mark.parametrize(("name", "operator"), [SERVED[0], SERVED[2]])


@pytest.fixture(scope="module")
def magnets():
    return {
        "cubes": cubic_grains((4, 2, 1), gap=0.0, depth=4e-9, scheme=("vertices",)),
        "grains": voronoi_grains(8, (260e-9, 70e-9, 70e-9), seed=1, scheme=("faces",)),
    }


def moments(*lead):
    return random_easy_axes(lead, cone=90.0, seed=3).astype("float32")


@pytest.mark.slow
@pytest.mark.contract
@pytest.mark.parametrize("self_field", [False, True, "nucleus"], ids=["others", "own", "nucleus"])
@served
def test_fields_are_those_of_the_matrix(magnets, name, operator, self_field):
    structure, m, materials = magnets[name], moments(3, 8), [ND2FE14B, SMCO5] * 4
    options = {"self_field": self_field, "material": materials}
    layer = GuptasarmaDemag(structure, operator=operator, **options)
    wanted = numpy(GuptasarmaDemag(structure, operator="dense", **options)(m))
    actual = numpy(layer(m))
    assert actual.shape == wanted.shape and actual.dtype == wanted.dtype
    assert (actual[:, structure.weights == 0] == 0).all()
    if operator == "lattice":
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=2e-6)
    else:
        assert np.linalg.norm(actual - wanted) <= 1e-4 * np.linalg.norm(wanted)
    # And of NumPy's product, to rounding.
    strength = np.array([material.Js for material in materials])[:, None]
    structure = structure.calibrated_for(materials)
    made = demag_operator(structure, operator, self_field=self_field)
    np.testing.assert_allclose(actual, made(m * strength), rtol=0, atol=2e-6)


@pytest.mark.slow
@pytest.mark.contract
@one_each
def test_derivatives_are_those_of_the_matrix(magnets, name, operator):
    structure, m = magnets[name], moments(2, 8)
    probe = ops.convert_to_tensor(moments(2, *structure.weights.shape))
    given = {}
    for kind in (operator, "dense"):
        layer = GuptasarmaDemag(structure, True, operator=kind)
        given[kind] = [
            gradient(lambda x, layer=layer: ops.sum(layer(x) * probe), m),
            gradient(lambda x, layer=layer: ops.sum(layer(x) ** 2), m),
        ]
    for actual, wanted in zip(given[operator], given["dense"], strict=True):
        assert np.isfinite(actual).all() and abs(wanted).max() > 0.1
        error = np.linalg.norm(actual - wanted) / np.linalg.norm(wanted)
        # A probe of any direction sees of the field less than its error is measured by.
        assert error <= (2e-6 if operator == "lattice" else 5e-4)


@pytest.mark.integration
@one_each
def test_a_model_learns_through_it(magnets, name, operator):
    # Moments are fitted to a field by gradient descent, compiled.
    structure = magnets[name]
    wanted = moments(1, 8)
    demag = GuptasarmaDemag(structure, True, operator=operator)

    class Moments(keras.layers.Layer):
        def build(self, input_shape):
            self.moments = self.add_weight(shape=(1, 8, 3), initializer="zeros")

        def call(self, inputs):
            return inputs + self.moments

    model = keras.Sequential([Moments(), demag])
    model.compile(keras.optimizers.Adam(0.1), "mse")
    inputs, field = np.zeros((1, 8, 3), "float32"), numpy(demag(wanted))
    losses = model.fit(inputs, field, epochs=60, verbose=0).history["loss"]
    assert losses[-1] < 0.01 * losses[0]


@pytest.mark.slow
@pytest.mark.parametrize("lead", [(5, 8), (5, 4, 2, 1)], ids=["grains", "lattice"])
@pytest.mark.parametrize("operator", ["lattice", "hierarchical"])
def test_demag_is_a_keras_layer(magnets, operator, lead, tmp_path):
    layer = GuptasarmaDemag(magnets["cubes"], material=SMCO5, operator=operator, rtol=1e-3)
    check_layer(layer, moments(*lead), tmp_path, atol=1e-6)
    config = GuptasarmaDemag.from_config(layer.get_config()).get_config()
    assert (config["operator"], config["rtol"]) == (operator, 1e-3)


def loops():
    field = np.linspace(1.0, -7.0, 60)
    axes = random_easy_axes((2, 8), seed=1)
    return {
        "easy_axes": axes.astype("float32"),
        "field": np.stack([field, 0.9 * field]).astype("float32"),
    }


@pytest.mark.slow
@one_each
def test_loops_are_those_of_simulate(magnets, name, operator, tmp_path):
    structure, inputs = magnets[name], loops()
    layer = EmbeddedStonerWohlfarth(structure, operator=operator, rtol=1e-3)
    made = demag_operator(structure, operator, rtol=1e-3)
    states = numpy(layer(inputs))
    assert (states[:, -1, :, 2] < 0).all() and (states[:, 0, :, 2] > 0).all()
    for axes, field, actual in zip(inputs["easy_axes"], inputs["field"], states, strict=True):
        wanted = simulate(structure, axes, field=field, operator=made)
        np.testing.assert_allclose(actual, wanted.magnetization, atol=3e-5)
    config = layer.get_config()
    assert (config["operator"], config["rtol"]) == (operator, 1e-3)
    if operator == "hierarchical":  # one will do: each compiles three times
        check_layer(layer, inputs, tmp_path, atol=3e-5)


@pytest.mark.parametrize("kind", [GuptasarmaDemag, EmbeddedStonerWohlfarth])
def test_bad_operators_get_a_sentence(magnets, kind, monkeypatch):
    cubes, grains = magnets["cubes"], magnets["grains"]
    with pytest.raises(ValueError, match=r"`operator` must be one of 'auto', .* received 'fast'"):
        kind(cubes, operator="fast")
    with pytest.raises(ValueError, match=r"`operator` must be .* received 'lattice', but its"):
        kind(grains, operator="lattice")
    with pytest.raises(
        ValueError, match=r"`self_field` must be False, True or 'nucleus'; received 'no'"
    ):
        kind(cubes, self_field="no")
    assert kind(cubes, self_field=np.False_).get_config()["self_field"] is False
    for rtol, sentence in (
        (0, "greater than 0; received 0"),
        (np.nan, "greater than 0; received nan"),
        ("x", "a number; received 'x'"),
        (1e-9, "at least 5e-06 in float32, and below 1; received 1e-09"),
        (1.0, "at least 5e-06 in float32, and below 1; received 1"),
    ):
        for operator in ("auto", "hierarchical"):
            with pytest.raises(ValueError, match=f"`rtol` must be {sentence}"):
                kind(cubes, operator=operator, rtol=rtol)
    # One that is made fits in no config.
    with pytest.raises(ValueError, match=r"`operator` must be a str; received <.*DemagOperator"):
        kind(cubes, operator=demag_operator(cubes))
    monkeypatch.setattr("keras_micromag.utils.memory.available", lambda: 9_000)
    for operator in ("auto", "dense"):
        with pytest.raises(MemoryError, match=r"the matrix of 8 grains with 64 particles needs"):
            kind(cubes, operator=operator)
    with pytest.raises(MemoryError, match="the lattice of 8 grains with 8 particles each needs"):
        kind(cubes, operator="lattice")
    with pytest.raises(MemoryError, match=r"the hierarchical operator of 8 .* needs"):
        kind(grains, operator="hierarchical")


@pytest.mark.parametrize("operator", ["auto", "dense", "lattice", "hierarchical"])
def test_particles_on_edges_are_named(operator):
    touching = cubic_grains((3, 1, 1), depth=0.0, gap=0.0, scheme=("vertices",))
    for kind in (GuptasarmaDemag, EmbeddedStonerWohlfarth):
        with pytest.raises(
            ValueError, match=r"particle \d of grain \d lies on an edge of grain \d"
        ):
            kind(touching, operator=operator)
