"""The campaign of kills in short, and whether it would see what was lost."""

import json
import random

import numpy as np
import pytest

from tests.campaigns import kill


@pytest.mark.integration
def test_a_loop_that_is_killed_twice_is_that_of_an_undisturbed_run(tmp_path):
    command = kill.Command("simulate_few", tmp_path, runs=1)
    outcome = kill.killed(command, 2, random.Random(0))
    assert outcome._replace(ended=1) == (2, 1, 0.0, 0, []), str(outcome)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"a": [np.array([1.0, 2.0])], "b": "text"}, 0.0),
        ({"a": [np.array([1.0, 2.0 + 2e-7])], "b": "text"}, 1e-7),
        ({"a": [np.array([1.0, 2.0], "float32")], "b": "text"}, np.inf),
        ({"a": [np.array([1.0, 2.0, 3.0])], "b": "text"}, np.inf),
        ({"a": [], "b": "text"}, np.inf),
        ({"a": [np.array([1.0, 2.0])]}, np.inf),
        ({"a": [np.array([1.0, 2.0])], "b": "other"}, np.inf),
    ],
    ids=["equal", "rounding", "dtype", "shape", "shorter", "missing", "text"],
)
def test_results_that_differ(other, expected):
    result = {"a": [np.array([1.0, 2.0])], "b": "text"}
    assert kill.difference(other, result) == pytest.approx(expected, rel=1e-6)


def test_missing_values_are_equal():
    assert kill.difference(np.array([np.nan, 1.0]), np.array([np.nan, 1.0])) == 0.0
    assert kill.difference(np.array([np.nan, 1.0]), np.array([2.0, 1.0])) == np.inf


@pytest.mark.parametrize("name", ["loops.npz", "settings.json", "loops.png", "loops.csv"])
def test_half_a_file_is_broken(tmp_path, name):
    path = tmp_path / name
    if path.suffix == ".npz":
        np.savez(path, a=np.arange(100.0))
    elif path.suffix == ".json":
        path.write_text(json.dumps({"a": list(range(100))}))
    else:
        path.write_bytes(b"half of a picture, IEND\xaeB`\x82")
    assert kill.broken(tmp_path) == []
    (tmp_path / f".partial-12345678-{name}").write_bytes(b"")
    assert kill.broken(tmp_path) == [], "a temporary file"
    path.write_bytes(path.read_bytes()[: 0 if path.suffix == ".csv" else -5])
    assert kill.broken(tmp_path) == [str(path)]
