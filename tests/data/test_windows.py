"""Windows of latent loops."""

import keras
import numpy as np
import pytest

from keras_micromag.data import Windows

pytestmark = pytest.mark.backend

S, N, D, T, L = 3, 12, 2, 4, 5


def simulations():
    """States that tell where they are: (simulation, step); and fields that do, too."""
    s, n = np.meshgrid(np.arange(S), np.arange(N), indexing="ij")
    return np.stack([s, n], axis=-1).astype("float32"), (100 * s + n).astype("float32")


def make(**kwargs):
    states, field = simulations()
    return Windows(states, field, T, L, **kwargs)


def batches(windows):
    return [windows[i] for i in range(len(windows))]


def joined(parts):
    """Batches one after the other: states, fields, targets, weights if any."""
    x, y, *w = zip(*parts, strict=True)
    arrays = [[b["states"] for b in x], [b["field"] for b in x], y, *w]
    return [np.concatenate([np.asarray(a) for a in array]) for array in arrays]


def by_start(arrays):
    """Return the arrays in the order of (simulation, step) of the first state."""
    first = arrays[0][:, 0]
    order = np.lexsort((first[:, 1], first[:, 0]))
    return [a[order] for a in arrays]


# -------------------------------------------------------------------------------------------------
# Windows
# -------------------------------------------------------------------------------------------------


def test_windows_are_all_there_and_none_leaks():
    windows = make(batch_size=4)
    assert windows.windows == S * (N - T - L + 1) == 12
    assert [len(y) for _, y in batches(windows)] == [4, 4, 4]
    past, field, coming = by_start(joined(batches(windows)))
    complete = np.concatenate([past, coming], axis=1)
    steps = np.arange(T + L)
    wanted = [(s, n + steps) for s in range(S) for n in range(N - T - L + 1)]
    for window, fields, (s, n) in zip(complete, field, wanted, strict=True):
        assert (window[:, 0] == s).all() and (window[:, 1] == n).all()
        assert (fields == 100 * s + n[T:]).all(), "the field of each state to predict"


def test_shuffling_is_seeded_and_anew_each_epoch():
    def order(windows):
        return joined(batches(windows))[0][:, 0].tolist()

    one, two = make(seed=1), make(seed=1)
    first = order(one)
    assert first == order(two) != order(make(seed=2))
    one.on_epoch_end()
    assert sorted(order(one)) == sorted(first) and order(one) != first
    plain = make(shuffle=False)
    before = order(plain)
    plain.on_epoch_end()
    assert order(plain) == before == sorted(before)


@pytest.mark.parametrize("weights", ["none", "step"])
def test_arrays_and_weights(weights):
    _, field = simulations()
    kwargs = {} if weights == "none" else {f"{weights}_weights": field}
    windows = make(batch_size=5, **kwargs)
    x, y, *w = windows.arrays()
    complete = [x["states"], x["field"], y, *w]
    for array, other in zip(by_start(joined(batches(windows))), complete, strict=True):
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, other)
    if weights == "step":
        np.testing.assert_array_equal(w[0], x["field"])


def test_one_field_for_all_and_states_on_a_lattice():
    states = np.zeros((2, 20, 4, 4, 4, 3))
    windows = Windows(states, np.arange(20.0), 4, 8, shuffle=False)
    inputs, targets = windows[0]
    assert inputs["states"].shape == (18, 4, 4, 4, 4, 3)
    assert targets.shape == (18, 8, 4, 4, 4, 3)
    np.testing.assert_array_equal(inputs["field"][9], inputs["field"][0])


def test_windows_are_not_held():
    windows = Windows(np.zeros((9, 1000, 16)), np.zeros(1000), 4, 8)
    held = sum(a.nbytes for a in vars(windows).values() if isinstance(a, np.ndarray))
    held += sum(part.nbytes for part in windows._parts)
    x, y = windows.arrays()
    assert held < (x["states"].nbytes + y.nbytes) / 5


@pytest.mark.contract
@pytest.mark.parametrize("cache", [True, False])
def test_tf_data_gives_the_same(cache):
    pytest.importorskip("tensorflow")
    _, field = simulations()
    windows = make(batch_size=5, step_weights=field)
    dataset = windows.to_tf_data(cache=cache)
    assert len(dataset) == len(windows)
    epochs = [list(dataset.as_numpy_iterator()) for _ in range(2)]
    wanted = by_start(joined(batches(windows)))
    for epoch in epochs:
        for array, other in zip(by_start(joined(epoch)), wanted, strict=True):
            np.testing.assert_array_equal(array, other)
    starts = [joined(epoch)[0][:, 0].tolist() for epoch in epochs]
    assert starts[0] != starts[1] or cache, "shuffled anew"
    ordered = make(shuffle=False).to_tf_data(cache=cache)
    np.testing.assert_array_equal(joined(ordered.as_numpy_iterator())[2], make().arrays()[1])


@pytest.mark.contract
def test_fit_takes_them_and_tells_of_the_last_batch():
    windows = make(batch_size=5)
    assert [len(y) for _, y in batches(windows)] == [5, 5, 2]
    states = keras.Input((T, D), name="states")
    field = keras.Input((L,), name="field")
    flat = keras.layers.Concatenate()([keras.layers.Flatten()(states), field])
    outputs = keras.layers.Reshape((L, D))(keras.layers.Dense(L * D)(flat))
    model = keras.Model({"states": states, "field": field}, outputs)
    model.compile("sgd", "mse")
    x, y = windows.arrays()
    one = model.evaluate(windows, verbose=0)
    assert one == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-5)


BAD = {
    "window": ({"window": 0}, r"`window` must be an integer of at least 1; received 0\."),
    "horizon": ({"horizon": 0}, r"`horizon` must be an integer of at least 1; received 0\."),
    "batch_size": ({"batch_size": 2.5}, r"`batch_size` must be an integer of at least 1; received"),
    "long": (
        {"window": 8},
        r"`states` must have at least window \+ horizon = 8 \+ 5 steps in a simulation; "
        r"received 12\.",
    ),
    "flat": (
        {"states": np.zeros((3, 12))},
        r"`states` must have shape \(s, n, d\) with at least one simulation; received \(3, 12\)",
    ),
    "none": (
        {"states": np.zeros((0, 12, 2))},
        r"`states` must have shape .* with at least one simulation; received \(0, 12, 2\)",
    ),
    "ragged": (
        {"states": [np.zeros((12, 2)), np.zeros((11, 2))]},
        r"`states` must be an array of numbers; received \[array\(",
    ),
    "words": ({"states": "abc"}, r"`states` must be an array of numbers; received 'abc'\."),
    "nan": (
        {"states": np.full((3, 12, 2), np.nan)},
        r"`states` must be finite; received nan at index \(0, 0, 0\)\.",
    ),
    "field": (
        {"field": np.zeros(11)},
        r"`field` must have shape \(12,\) or \(3, 12\), one per state; received \(11,\)\.",
    ),
    "weights": (
        {"step_weights": np.zeros((3, 11))},
        r"`step_weights` must have shape \(3, 12\) one per state; received \(3, 11\)\.",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    changed, sentence = BAD[case]
    states, field = simulations()
    with pytest.raises(ValueError, match=sentence):
        Windows(**{"states": states, "field": field, "window": T, "horizon": L, **changed})


def test_no_batch_beyond_the_last():
    with pytest.raises(IndexError, match="`index` must be at least 0 and below 1; received 1"):
        make()[1]
