"""The physics layers: equal to the physics, and at home in Keras."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_micromag.layers import (
    EmbeddedStonerWohlfarth,
    GrainConvolution,
    GuptasarmaDemag,
    StonerWohlfarth,
    UnitNorm,
)
from keras_micromag.physics import (
    MATERIALS,
    ND2FE14B,
    Microstructure,
    cubic_grains,
    demag_matrix,
    random_easy_axes,
    simulate,
)
from tests.keras_parts import check_layer, gradient, numpy

SMCO5 = MATERIALS["SmCo5"]

pytestmark = pytest.mark.backend


@pytest.fixture
def structure():
    return cubic_grains((2, 2, 1))


def moments(*lead):
    return random_easy_axes(lead, cone=90.0, seed=3).astype("float32")


# GuptasarmaDemag


@pytest.mark.contract
@pytest.mark.parametrize("self_field", [False, True, "nucleus"])
def test_demag_is_the_matrix_product(structure, self_field):
    m = moments(3, 4)
    field = numpy(GuptasarmaDemag(structure, self_field)(m))
    matrix = demag_matrix(structure, self_field=self_field)
    wanted = ND2FE14B.Js * np.einsum("gpisj,bsj->bgpi", matrix, m)
    # Float32 products of up to 12 terms of the size of the self-field.
    np.testing.assert_allclose(field, wanted, atol=2e-6)


def test_demag_on_a_lattice_and_with_materials(structure):
    m, materials = moments(3, 4), [ND2FE14B, SMCO5] * 2
    layer = GuptasarmaDemag(structure, material=materials)
    flat, lattice = numpy(layer(m)), numpy(layer(m.reshape(3, 2, 2, 1, 3)))
    np.testing.assert_array_equal(lattice.reshape(flat.shape), flat)
    assert abs(flat - numpy(GuptasarmaDemag(structure)(m))).max() > 0.01


@pytest.mark.contract
@pytest.mark.parametrize("lead", [(5, 4), (5, 2, 2, 1)], ids=["grains", "lattice"])
def test_demag_is_a_keras_layer(structure, lead, tmp_path):
    check_layer(GuptasarmaDemag(structure, material=[SMCO5] * 4), moments(*lead), tmp_path)


def test_a_structure_survives_its_config_to_the_last_digit():
    structure = cubic_grains((2, 2, 1), size=1 / 3, gap=0.1, depth=0.07)
    twin = Microstructure.from_config(structure.get_config())
    np.testing.assert_array_equal(demag_matrix(twin), demag_matrix(structure))
    assert twin.packing_fraction == structure.packing_fraction


def test_demag_trains_through(structure):
    layer = GuptasarmaDemag(structure)
    given = gradient(lambda m: ops.sum(layer(m) ** 2), moments(2, 4))
    matrix = ND2FE14B.Js * demag_matrix(structure).reshape(-1, 12)
    wanted = 2 * moments(2, 4).reshape(2, 12) @ matrix.T @ matrix
    np.testing.assert_allclose(given.reshape(2, 12), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(2, 5, 3), (2, 2, 2, 2, 3), (2, 4, 2), (4, 3)])
def test_demag_refuses_other_grains(structure, shape):
    with pytest.raises(ValueError, match=r"`moments` must have shape .* = 4; received"):
        GuptasarmaDemag(structure)(np.zeros(shape, "float32"))


@pytest.mark.contract
def test_physics_stays_in_float32_under_mixed_precision(structure):
    layer = GuptasarmaDemag(structure, dtype="mixed_bfloat16")
    field = layer(moments(2, 4))
    assert keras.backend.standardize_dtype(field.dtype) == "bfloat16"
    exact = numpy(GuptasarmaDemag(structure)(moments(2, 4)))
    rounded = numpy(ops.cast(field, "float32"))
    np.testing.assert_allclose(rounded, exact, rtol=2**-8)  # rounded once, at the end
    with pytest.raises(ValueError, match=r"`dtype` must be a policy .* received 'float16'"):
        GuptasarmaDemag(structure, dtype="float16")


# StonerWohlfarth


def particle(b=4, g=3, p=2):
    rng = np.random.default_rng(5)
    return {
        "branch": rng.choice([-1.0, 1.0], (b, g)).astype("float32"),
        "easy_axes": moments(b, g),
        "field": rng.normal(size=(b, g, p, 3), scale=3.0).astype("float32"),
    }


def test_particles_are_at_rest_or_switch():
    state = particle(8, 8, 4)
    result = numpy(StonerWohlfarth()(state))
    h = state["field"].astype(float) / ND2FE14B.anisotropy_field
    k = (state["branch"][..., None] * state["easy_axes"]).astype(float)[:, :, None]
    along = (h * k).sum(-1)
    across = np.linalg.norm(h - along[..., None] * k, axis=-1)
    outside = (along < 0) & (abs(along) ** (2 / 3) + across ** (2 / 3) > 1)
    np.testing.assert_array_equal(result["switches"], outside)
    assert outside.any() and not outside.all()
    m = result["moments"].astype(float)
    np.testing.assert_allclose(np.linalg.norm(m, axis=-1), 1.0, atol=1e-6)
    torque = np.cross(m, h + (m * k).sum(-1, keepdims=True) * k)
    assert abs(torque[~outside]).max() < 1e-5
    assert ((m * k).sum(-1) > -1e-6).all()


@pytest.mark.slow
@pytest.mark.contract
@pytest.mark.parametrize("name", ["field", "easy_axes"])
def test_derivatives_are_those_of_finite_differences(name):
    layer = StonerWohlfarth()
    # Well inside the astroid, where the curvature does not drown finite differences in float32.
    state = particle() | {"field": 0.3 * particle()["field"]}
    state["field"][0, 0, 0] = 0.0  # along the axis: no direction across
    state["field"][0, 1, 0] = 2.0 * state["branch"][0, 1] * state["easy_axes"][0, 1]
    probe = np.random.default_rng(6).normal(size=state["field"].shape).astype("float32")

    def loss(value):
        return ops.sum(layer({**state, name: value})["moments"] * ops.convert_to_tensor(probe))

    given = gradient(loss, state[name])
    step = 5e-3
    wanted = np.empty_like(given)
    for component in range(3):  # of all particles at once: they do not know of each other
        shift = step * np.eye(3, dtype="float32")[component]
        there, back = (
            numpy(layer({**state, name: state[name] + side * shift})["moments"]).astype(float)
            for side in (1, -1)
        )
        change = ((there - back) * probe).sum(axis=-1) / (2 * step)
        wanted[..., component] = change if name == "field" else change.sum(axis=-1)
    if name == "easy_axes":  # an axis that is no unit vector means nothing: compare across it
        k = state[name]
        given, wanted = (d - (d * k).sum(-1, keepdims=True) * k for d in (given, wanted))
    np.testing.assert_allclose(given, wanted, atol=3e-3 * abs(wanted).max())


@pytest.mark.slow
@pytest.mark.contract
def test_derivatives_are_finite_and_zero_beyond_the_fold():
    state = particle() | {"field": 4.0 * particle()["field"]}
    layer = StonerWohlfarth()
    switches = numpy(layer(state)["switches"])
    slope = gradient(
        lambda field: ops.sum(layer({**state, "field": field})["moments"]), state["field"]
    )
    assert np.isfinite(slope).all()
    assert switches.any() and (slope[switches] == 0).all()


@pytest.mark.slow
@pytest.mark.contract
@pytest.mark.parametrize("shape", [(4, 3, 2, 3), (4, 3, 3)], ids=["particles", "grains"])
def test_stoner_wohlfarth_is_a_keras_layer(shape, tmp_path):
    state = particle()
    state["field"] = np.resize(state["field"], shape)
    check_layer(StonerWohlfarth(material=SMCO5), state, tmp_path, atol=1e-6)


def test_stoner_wohlfarth_refuses_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"`field` must have shape .* with g = 3; received"):
        StonerWohlfarth()(particle() | {"field": np.zeros((4, 5, 3), "float32")})
    wanted = "`inputs` must be a dict of `branch`, `easy_axes` and `field`; received"
    layer = StonerWohlfarth()
    for _ in range(2):  # before and after it was built
        for other in ({"field": np.zeros((4, 5, 3), "float32")}, np.zeros((4, 3), "float32")):
            with pytest.raises(ValueError, match=wanted):
                layer(other)
        layer(particle())
    with pytest.raises(
        ValueError, match="must be of the same batch size b; received 4 and 4 and 2"
    ):
        layer(particle() | {"field": np.zeros((2, 3, 3), "float32")})


# EmbeddedStonerWohlfarth


def loops(b=3, g=4, t=240):
    ends = np.linspace(-7.0, -5.0, b)[:, None]
    field = 1.0 + (ends - 1.0) * np.linspace(0, 1, t)
    axes = random_easy_axes((b, g), seed=1)
    return {"easy_axes": axes.astype("float32"), "field": field.astype("float32")}


@pytest.fixture(scope="module")
def embedded():
    """One layer for all tests, since each layer compiles its own loop."""
    return EmbeddedStonerWohlfarth(cubic_grains((2, 2, 1)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "avalanche", ["simultaneous", pytest.param("weakest_first", marks=pytest.mark.contract)]
)
def test_the_loop_is_that_of_simulate(structure, embedded, avalanche):
    inputs = loops()
    weakest_first = EmbeddedStonerWohlfarth(structure, avalanche="weakest_first")
    layer = embedded if avalanche == "simultaneous" else weakest_first
    states = numpy(layer(inputs))
    for axes, field, actual in zip(inputs["easy_axes"], inputs["field"], states, strict=True):
        wanted = simulate(structure, axes, field=field, avalanche=avalanche)
        assert (wanted.iterations == 0).any()  # it strides
        np.testing.assert_allclose(actual, wanted.magnetization, atol=3e-5)
    assert (states[:, -1, :, 2] < 0).any() and (states[:, 0, :, 2] > 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("field", [[3.0], [8.0, 0.0, 0.0, 8.0, -8.0]], ids=["one", "turns"])
def test_short_and_turning_fields(structure, field):
    axes = random_easy_axes(4, seed=2)
    wanted = simulate(structure, axes, field=field).magnetization
    inputs = {"easy_axes": 3 * axes[None], "field": np.array([field])}  # of any length
    np.testing.assert_allclose(
        numpy(EmbeddedStonerWohlfarth(structure)(inputs))[0], wanted, atol=3e-5
    )


@pytest.mark.slow
@pytest.mark.contract
def test_the_loop_is_a_keras_layer(structure, tmp_path):
    check_layer(EmbeddedStonerWohlfarth(structure, self_field=True), loops(), tmp_path, atol=3e-5)


@pytest.mark.slow
@pytest.mark.contract
def test_loops_with_the_field_of_nuclei(tmp_path):
    structure = cubic_grains((2, 2, 1), depth="calibrated")
    layer, inputs = EmbeddedStonerWohlfarth(structure, self_field="nucleus"), loops()
    wanted = simulate(
        structure, inputs["easy_axes"], field=inputs["field"][0], self_field="nucleus"
    )
    inputs["field"] = np.tile(inputs["field"][0], (len(inputs["field"]), 1))
    np.testing.assert_allclose(numpy(layer(inputs)), wanted.magnetization, atol=3e-5)
    path = tmp_path / "loops.keras"
    model = keras.Sequential([layer])
    model(inputs)
    model.save(path)
    loaded = keras.saving.load_model(path)
    assert loaded.layers[0].self_field == "nucleus"
    np.testing.assert_array_equal(numpy(loaded(inputs)), numpy(layer(inputs)))


@pytest.mark.slow
def test_a_state_without_equilibrium_is_nan(structure, embedded):
    inputs = loops()
    inputs["field"][1, 3] = np.nan
    states = numpy(embedded(inputs))
    assert np.isnan(states[1]).all() and np.isfinite(states[[0, 2]]).all()
    few = numpy(EmbeddedStonerWohlfarth(structure, max_iterations=2)(loops()))
    assert np.isnan(few).any() and np.isfinite(few).any()


def test_loop_refuses_other_grains(structure):
    layer = EmbeddedStonerWohlfarth(structure)
    with pytest.raises(ValueError, match=r"`easy_axes` must have shape .* g = 4; received"):
        layer(loops(g=5))
    with pytest.raises(ValueError, match=r"`easy_axes` must have shape \(b, g, 3\); received"):
        layer({name: value[None] for name, value in loops().items()})
    with pytest.raises(ValueError, match=r"`field` must have shape \(b, t\)"):
        layer(loops() | {"field": np.zeros((3, 5, 1), "float32")})
    with pytest.raises(ValueError, match="must be of the same batch size b; received 3 and 2"):
        layer(loops() | {"field": np.zeros((2, 5), "float32")})
    for other in ({"field": np.zeros((3, 5), "float32")}, np.zeros((3, 4, 3), "float32")):
        with pytest.raises(ValueError, match="`inputs` must be a dict of `easy_axes` and `field`;"):
            layer(other)


@pytest.mark.slow
def test_the_loop_in_the_backends_own_graphs(embedded):
    inputs = loops()
    wanted = numpy(embedded(inputs))
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        mapped = tf.data.Dataset.from_tensor_slices(inputs).batch(3).map(embedded)
        actual = np.concatenate(list(mapped.as_numpy_iterator()))
    elif backend == "jax":
        import jax

        actual = np.asarray(jax.jit(lambda x: embedded(x))(inputs))
    else:
        pytest.skip("PyTorch has no such graph here")
    np.testing.assert_allclose(actual, wanted, atol=3e-5)


@pytest.mark.parametrize("layer", [StonerWohlfarth(), UnitNorm()], ids=lambda layer: layer.name)
def test_a_config_of_another_version_is_refused(layer):
    kind = type(layer)
    with pytest.raises(ValueError, match=rf"this version's {kind.__name__}; .*'temperature'"):
        kind.from_config(layer.get_config() | {"temperature": 300.0})


def without(config, name):
    return {key: value for key, value in config.items() if key != name}


STEEL = ND2FE14B.get_config() | {"temperature": 300.0}
OTHER_VERSIONS = {
    "no structure": (lambda c: without(c, "structure"), "GuptasarmaDemag"),
    "none": (lambda c: c | {"structure": None}, "Microstructure"),
    "key": (lambda c: c | {"structure": c["structure"] | {"mesh": 1}}, "Microstructure"),
    "no key": (lambda c: c | {"structure": without(c["structure"], "grains")}, "Microstructure"),
    "material": (lambda c: c | {"material": STEEL}, "Material"),
    "materials": (lambda c: c | {"material": [STEEL] * 4}, "Material"),
    "no material": (lambda c: c | {"material": None}, "Material"),
    "no Js": (lambda c: c | {"material": without(c["material"], "Js")}, "Material"),
}


@pytest.mark.parametrize("case", OTHER_VERSIONS)
def test_a_config_of_another_version_of_grains_or_materials_is_refused(structure, case):
    change, kind = OTHER_VERSIONS[case]
    config = change(GuptasarmaDemag(structure).get_config())
    sentence = f"`config` must be one of this version's {kind}; received one that does not fit: "
    with pytest.raises(ValueError, match=sentence):
        GuptasarmaDemag.from_config(config)


def test_arguments_are_checked(structure):
    for kind in (GuptasarmaDemag, EmbeddedStonerWohlfarth):
        with pytest.raises(ValueError, match="`structure` must be a Microstructure; received 'x'"):
            kind("x")
    with pytest.raises(ValueError, match=r"`material` must be a Material; received \[Material\("):
        StonerWohlfarth(material=[ND2FE14B] * 4)
    for number in (0, -1, 2.5, "x"):
        with pytest.raises(ValueError, match="`max_iterations` must be an integer of at least 1; "):
            EmbeddedStonerWohlfarth(structure, max_iterations=number)
    with pytest.raises(ValueError, match="`max_iterations` must be at most 2147483647; "):
        EmbeddedStonerWohlfarth(structure, max_iterations=2**31)


# UnitNorm


@pytest.mark.contract
def test_unit_norm(tmp_path):
    check_layer(UnitNorm(), 3.0 * moments(5, 4), tmp_path)
    vectors = np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 4.0]], "float32")
    np.testing.assert_allclose(numpy(UnitNorm()(vectors)), [[0, 0, 0], [0.6, 0, 0.8]], rtol=1e-6)
    slope = gradient(lambda v: ops.sum(UnitNorm()(v)), vectors)
    np.testing.assert_allclose(slope[1], (1 - 1.4 * vectors[1] / 5) / 5, atol=1e-6)
    assert (slope[0] == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "lengths"),
    [("float16", [300.0, 6e4, 1e-4, 1e-6]), ("float32", [1e20, 3e38, 1e-24, 1e-37])],
)
def test_unit_norm_of_the_longest_and_shortest_vectors(dtype, lengths):
    layer = UnitNorm(dtype=dtype)
    vectors = np.array([[0.0, 0.0, 0.0], *([0.6 * n, 0.0, 0.8 * n] for n in lengths)], dtype)
    wanted = [[0, 0, 0]] + [[0.6, 0, 0.8]] * len(lengths)
    # The shortest of float16 is a multiple of 6e-8.
    atol = 0.03 if dtype == "float16" else 1e-6
    np.testing.assert_allclose(numpy(layer(vectors)), wanted, atol=atol)
    slope = gradient(lambda v: ops.sum(layer(v)), vectors[:3])
    assert np.isfinite(slope).all() and (slope[0] == 0).all()


# GrainConvolution


@pytest.mark.contract
def test_grain_convolution_equals_its_formula():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    a = rng.random((2, 5, 5)).astype("float32")
    a[0, 1] = 0  # a grain without neighbours
    layer = GrainConvolution(4, "relu")
    actual = numpy(layer({"features": x, "neighbors": a}))
    own, neighbors, bias = (numpy(w) for w in (layer.own, layer.neighbors, layer.bias))
    for b in range(2):
        for g in range(5):
            total = sum(a[b, g])
            around = sum(a[b, g, j] * x[b, j] for j in range(5)) / (total or 1)
            wanted = np.maximum(x[b, g] @ own + around @ neighbors + bias, 0)
            np.testing.assert_allclose(actual[b, g], wanted, atol=1e-5)


def test_grain_convolution_is_a_keras_layer(tmp_path):
    rng = np.random.default_rng(1)
    inputs = {
        "features": rng.normal(size=(2, 5, 3)).astype("float32"),
        "neighbors": rng.random((2, 5, 5)).astype("float32"),
    }
    check_layer(GrainConvolution(4, "elu"), inputs, tmp_path, atol=1e-6)


@pytest.mark.parametrize(
    ("features", "neighbors"),
    [((2, 5), (2, 5, 5)), ((2, 5, 3), (2, 5, 4)), ((2, 5, 3), (3, 5, 5)), ((2, 5, 3), (5, 5))],
)
def test_grain_convolution_refuses_other_shapes(features, neighbors):
    with pytest.raises(ValueError, match="must"):
        GrainConvolution(4)({"features": np.ones(features), "neighbors": np.ones(neighbors)})
