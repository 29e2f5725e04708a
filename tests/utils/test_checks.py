"""Each check returns what is right in its own type, and raises one sentence for what is not."""

import numpy as np
import pytest

from keras_micromag.utils import checks


class Thing(checks.Configured):
    def __init__(self, size):
        self.size = checks.count(size, "size")


def test_arrays_are_copies_of_the_shape_asked_for():
    given = np.arange(6.0).reshape(2, 3)
    array = checks.finite_array(given, "a", (None, 3))
    array[0, 0] = 9
    assert array.dtype == float and given[0, 0] == 0
    assert checks.finite_array(np.zeros((5, 2, 3)), "a", (..., 3)).shape == (5, 2, 3)
    assert checks.finite_array(np.zeros(3), "a", (..., 3)).shape == (3,)
    assert checks.unit_vectors([[0, 0, 1.0005]], "a", (None, 3))[0].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("value", "shape", "meaning", "sentence"),
    [
        ("words", None, "", "`a` must be an array of numbers; received 'words'."),
        ([[1], [1, 2]], None, "", "`a` must be an array of numbers; received [[1], [1, 2]]."),
        (np.zeros((3, 64)), (64, 3), "with g = 64", "`a` must have shape (64, 3) with g = 64; "),
        (np.zeros((2, 2)), (None,), "", "`a` must have shape (n,); received (2, 2)."),
        (np.zeros(2), (..., 3), "", "`a` must have shape (..., 3); received (2,)."),
        ([1.0, np.nan], None, "", "`a` must be finite; received nan at index (1,)."),
        ([1.0, -1e60], None, "", "`a` must be below 1e+50; received -1e+60 at index (1,)."),
        ([1, 10**400], None, "", "`a` must be an array of numbers; received [1, 1000"),
        (["1.0"], None, "", "`a` must be an array of numbers; received ['1.0']."),
        ([1j], None, "", "`a` must be an array of numbers; received [1j]."),
        (np.zeros(2, "m8[s]"), None, "", "`a` must be an array of numbers; received array([0, 0],"),
        (np.zeros(1, "f8,i4"), None, "", "`a` must be an array of numbers; received array([(0., 0"),
        (np.array([["a"], ["b"]]), None, "", "`a` must be an array of numbers; received array([['"),
    ],
)
def test_arrays_that_are_refused(value, shape, meaning, sentence):
    with pytest.raises(ValueError) as error:
        checks.finite_array(value, "a", shape, meaning)
    assert str(error.value).startswith(sentence)


def test_numbers_keep_their_dtype_where_none_is_asked_for():
    for dtype in ("float32", "int8", "bool"):
        assert checks.numbers(np.zeros(2, dtype), "a", None).dtype == dtype
    for other in (["x"], [1j], [None], [[1], [1, 2]]):
        with pytest.raises(ValueError, match="`a` must be an array of numbers; received"):
            checks.numbers(other, "a", None)
    assert checks.numbers([1e60], "a", "float32").tolist() == [np.inf]


def test_vectors_that_are_no_unit_vectors():
    with pytest.raises(ValueError, match=r"`k` must hold unit vectors; received length 2 at .*1,"):
        checks.unit_vectors([[0, 0, 1], [0, 2, 0]], "k", (None, 3))


@pytest.mark.parametrize(
    ("check", "value", "options", "sentence"),
    [
        (checks.number, 0, {"above": 0}, "`x` must be greater than 0; received 0."),
        (checks.number, -1, {"least": 0}, "`x` must be at least 0; received -1."),
        (checks.number, np.inf, {}, "`x` must be finite; received inf."),
        (checks.number, np.nan, {"least": 0}, "`x` must be at least 0; received nan."),
        (checks.number, "one", {}, "`x` must be a number; received 'one'."),
        (checks.number, "1.0", {}, "`x` must be a number; received '1.0'."),
        (checks.number, 1e60, {}, "`x` must be below 1e+50; received 1e+60."),
        (checks.number, [1.0], {}, "`x` must be a number; received [1.0]."),
        (checks.number, True, {}, "`x` must be a number; received True."),
        (checks.count, 0, {}, "`x` must be an integer of at least 1; received 0."),
        (checks.count, 2.0, {}, "`x` must be an integer of at least 1; received 2.0."),
        (checks.count, True, {"least": 0}, "`x` must be an integer of at least 0; received True."),
        (checks.count, 4, {"most": 3}, "`x` must be at most 3; received 4."),
        (checks.counts, 3, {}, "`x` must be a sequence of integers; received 3."),
        (checks.counts, "12", {}, "`x` must be a sequence of integers; received '12'."),
        (checks.flag, 1, {}, "`x` must be True or False; received 1."),
        (checks.instance, 1, {"kind": dict}, "`x` must be a dict; received 1."),
        (checks.one_of, "c", {"choices": ("a", "b")}, "`x` must be one of 'a', 'b'; received 'c'."),
        (checks.one_of, 1, {"choices": ("a",)}, "`x` must be one of 'a'; received 1."),
    ],
)
def test_values_that_are_refused(check, value, options, sentence):
    with pytest.raises(ValueError) as error:
        check(value, "x", **options)
    assert str(error.value) == sentence


def test_values_come_back_in_their_own_type():
    assert checks.number(np.float32(2), "x", above=1) == 2.0
    assert type(checks.count(np.int64(3), "x", most=3)) is int
    assert checks.counts([np.int32(1), 2], "x") == (1, 2)
    assert checks.flag(np.True_, "x") is True
    assert checks.one_of("a", "x", ("a",)) == "a"


def test_a_self_field_is_one_of_three():
    assert checks.self_field(False) is False
    assert checks.self_field(np.True_) is True
    assert checks.self_field(np.str_("nucleus")) == "nucleus"
    assert type(checks.self_field(np.str_("nucleus"))) is str
    for wrong in (1, None, "True", "sphere", ["nucleus"], np.array([True])):
        with pytest.raises(ValueError, match="`self_field` must be False, True or 'nucleus'; rec"):
            checks.self_field(wrong)


def test_a_seed_must_be_given():
    with pytest.raises(ValueError, match="`seed` must be given, so that the axes can be drawn"):
        checks.generator(None, "axes")
    one, same = (checks.generator(3, "axes").random() for _ in range(2))
    assert one == same
    for seed in (0.5, -1, "one"):
        with pytest.raises(ValueError, match="`seed` must be a whole number of at least 0, or"):
            checks.generator(seed, "axes")
    generator = np.random.default_rng(1)
    assert checks.generator(generator, "axes") is generator


def test_configs_of_another_version():
    assert Thing.from_config({"size": 2}).size == 2
    for config in ({"size": 0}, {"size": [1]}, {"length": 2}, {}):
        with pytest.raises(ValueError, match="`config` must be one of this version's Thing; "):
            Thing.from_config(config)
