"""Metrics of states and curves: each against its definition in NumPy."""

import keras
import numpy as np
import pytest

from keras_micromag import metrics
from keras_micromag.physics import Hysteresis, random_easy_axes
from tests.keras_parts import numpy

pytestmark = pytest.mark.backend

SHAPES = [(6, 8, 3), (6, 5, 8, 3), (6, 2, 2, 2, 3), (6, 5, 2, 2, 2, 3)]
FIELD = np.linspace(1.0, -3.0, 5)


def moments(shape, seed):
    axes = random_easy_axes(int(np.prod(shape[:-1])), cone=90.0, seed=seed)
    return axes.reshape(shape).astype("float32")


def flat(array):
    """(b, t, g, 3), whatever it was."""
    lattice = array.ndim >= 5
    time = array.ndim in (4, 6)
    lead = array.shape[:2] if time else (array.shape[0], 1)
    return array.reshape(*lead, 8, 3).astype(float) if lattice or time else array[:, None]


DEFINITIONS = {
    "SquaredError": lambda x, y: ((x - y) ** 2).sum(axis=(2, 3)).mean(axis=1),
    "NormError": lambda x, y: ((1 - np.linalg.norm(y, axis=-1)) ** 2).sum(axis=2).mean(axis=1),
    "MeanMomentError": lambda x, y: abs((x - y).mean(axis=2)[..., 2]).mean(axis=1),
    "BranchAccuracy": lambda x, y: ((x * y).sum(axis=-1) > 0).mean(axis=(1, 2)),
}


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=len)
@pytest.mark.parametrize("name", DEFINITIONS)
def test_definition(name, shape):
    x, y = moments(shape, 1), 0.9 * moments(shape, 2)
    each = DEFINITIONS[name](flat(x), flat(y))
    metric = getattr(metrics, name)()
    for half in (slice(0, 2), slice(2, 6)):  # batches of different size count by their size
        metric.update_state(x[half], y[half])
    assert float(metric.result()) == pytest.approx(each.mean(), rel=1e-5)
    weights = np.arange(6.0)
    metric.reset_state()
    metric.update_state(x, y, sample_weight=weights)
    wanted = (weights * each).sum() / weights.sum()
    assert float(metric.result()) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*DEFINITIONS, "CoercivityError"])
def test_weights_of_grains(name):
    kind = getattr(metrics, name)
    metric = kind(FIELD) if name == "CoercivityError" else kind()
    x, y = reversal([[1, 2, 3, 4]], (4,)), 0.9 * reversal([[2, 2, 1, 4]], (4,))
    weights = np.broadcast_to([2.0, 1.0, 1.0, 0.0], x.shape[:3])
    weighted = float(metric(np.concatenate([x, weights[..., None]], axis=-1), y))
    repeated = [0, 0, 1, 2]
    metric.reset_state()
    wanted = float(metric(x[:, :, repeated], y[:, :, repeated]))
    assert weighted == pytest.approx(wanted, rel=1e-5) and weighted > 0


@pytest.mark.parametrize("name", [*DEFINITIONS, "CoercivityError"])
def test_shapes_are_checked(name):
    kind = getattr(metrics, name)
    metric = kind(FIELD) if name == "CoercivityError" else kind()
    sentence = r"`y_true` and `y_pred` must have the same shape \(b, \.\.\., 3\); received \("
    for x, y in [(2, 5, 1, 3), (2, 5, 8, 3)], [(2, 5, 8, 2)] * 2, [(2, 5, 8), (2, 5, 8, 3)]:
        with pytest.raises(ValueError, match=sentence):
            metric.update_state(np.zeros(x), np.zeros(y))


def test_a_curve_has_grains():
    with pytest.raises(ValueError, match=r"same shape \(b, ..., g, 3\); received \(8, 3\) and"):
        metrics.MeanMomentError()(np.ones((8, 3)), np.ones((8, 3)))


def test_direction_of_the_field():
    x, y = moments(SHAPES[0], 1), moments(SHAPES[0], 2)
    wanted = abs((x - y).mean(axis=1)[:, 0]).mean()
    error = metrics.MeanMomentError(field_direction=(1, 0, 0))(x, y)
    assert float(error) == pytest.approx(wanted, rel=1e-5)


def reversal(switched, lattice):
    """(b, 5, ...) loops of 8 grains; grain g has reversed from step `switched[b, g]` on."""
    side = np.where(np.arange(5)[:, None] >= np.asarray(switched)[:, None], -1.0, 1.0)
    loop = side[..., None] * np.array([0.6, 0.0, 0.8])
    return loop.reshape(len(switched), 5, *lattice, 3).astype("float32")


@pytest.mark.slow
@pytest.mark.contract
@pytest.mark.parametrize("lattice", [(8,), (2, 2, 2)], ids=["grains", "lattice"])
def test_coercivity_is_that_of_hysteresis(lattice):
    rng = np.random.default_rng(5)
    true, predicted = (rng.integers(1, 5, (6, 8)) for _ in range(2))
    x, y = reversal(true, lattice), reversal(predicted, lattice)

    def exact(states):
        loop = Hysteresis(
            FIELD,
            states.reshape(6, 5, 8, 3),
            states.reshape(6, 5, 8, 3)[:, 0],
            np.ones((6, 5), bool),
            np.ones((6, 5), int),
            np.ones(8),
            np.ones(8),
            1.0,
            np.array([0.0, 0.0, 1.0]),
        )
        return loop.coercivity()

    wanted = abs(exact(x) - exact(y)).mean()
    assert wanted > 0.1
    assert float(metrics.CoercivityError(FIELD)(x, y)) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.slow
def test_a_curve_that_never_crosses_has_no_error():
    x = reversal([[2] * 8], (8,))
    never = reversal([[9] * 8], (8,))
    assert np.isnan(float(metrics.CoercivityError(FIELD)(x, never)))


def test_coercivity_refuses_loops_of_other_length():
    with pytest.raises(ValueError, match=r"`y_true` must have shape .* t = 5, as `field`"):
        metrics.CoercivityError(FIELD)(*np.zeros((2, 6, 4, 8, 3)))
    with pytest.raises(ValueError, match="`field` must be finite"):
        metrics.CoercivityError([1.0, np.nan])
    with pytest.raises(ValueError, match="`field` must hold at least one value; received none"):
        metrics.CoercivityError([])


@pytest.mark.parametrize("name", [*DEFINITIONS, "CoercivityError"])
def test_a_config_of_another_version_is_refused(name):
    kind = getattr(metrics, name)
    config = (kind(FIELD) if name == "CoercivityError" else kind()).get_config()
    with pytest.raises(ValueError, match=rf"one of this version's {name}; received .*'units'"):
        kind.from_config({**config, "units": "T"})


@pytest.mark.parametrize("name", [*DEFINITIONS, "CoercivityError"])
def test_in_a_model_that_is_saved(name, tmp_path):
    kind = getattr(metrics, name)
    metric = kind(FIELD, (0, 1, 0)) if name == "CoercivityError" else kind()
    x, y = moments(SHAPES[1], 1), moments(SHAPES[1], 2)
    model = keras.Sequential([keras.Input((5, 8, 3)), keras.layers.Identity()])
    model.compile("sgd", "mse", metrics=[metric])
    _, wanted = model.evaluate(y, x, verbose=0)
    assert wanted == pytest.approx(float(metric(x, y)), rel=1e-5, nan_ok=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loaded.evaluate(y, x, verbose=0)
    [twin] = [m for m in loaded._compile_metrics.metrics if m.name == metric.name]
    assert type(twin) is kind and twin.get_config() == metric.get_config()
    assert numpy(twin.result()) == pytest.approx(wanted, rel=1e-5, nan_ok=True)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="the setting is one of JAX")
def test_a_coercivity_is_computed_without_nan():
    import jax

    up = np.tile([0.0, 0.0, 1.0], (4, 1))
    loop = np.stack([up, up, -up, -up])[None]
    jax.config.update("jax_debug_nans", True)
    try:
        assert float(metrics.CoercivityError([0.0, -1.0, -2.0, -3.0])(loop, loop)) == 0
    finally:
        jax.config.update("jax_debug_nans", False)
