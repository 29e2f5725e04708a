"""Names and digests of configurations."""

import dataclasses
import json
from pathlib import Path

import pytest

import tfds_esw
from keras_micromag.physics.microstructure.particles import PAPER_DEPTH
from tfds_esw.config import CONFIGS, Config

KNOWN = {config.name: config for config in CONFIGS}


def test_names_of_the_known_ones_stand_for_these_parameters():
    # One of these changes: it is other data, and needs another VERSION of the builder.
    assert {name: config.digest[:10] for name, config in KNOWN.items()} == {
        "paper": "abf9316b96",
        "tiny": "ee13f16b5f",
        "large": "0d5858d56a",
        "textures": "c81685c03c",
        "polycrystal": "5647f07502",
        "real": "8e7aa89709",
    }


def test_the_paper():
    paper = KNOWN["paper"]
    assert paper.shape == (4, 4, 4) and paper.cone == 35.0
    assert paper.field == (8.0, -8.0) and paper.steps == 1000
    assert list(paper.splits.items()) == [("train", 9), ("test", 1)]


def test_a_name_carries_a_digest_of_every_parameter():
    own = Config(name="own")
    assert own.name == f"own-{own.digest[:10]}"
    changes = {
        **dict(shape=(2, 2, 2), size=1e-8, gap=0.0, depth=1e-9, scheme=("centroid",), Js=1.5),
        **dict(Ku=1e6, A=1e-11, Kd=1.0, cone=(5, 55), field=(3, -3), steps=10, self_field=True),
        **dict(field_direction=(1, 0, 0), avalanche="simultaneous", dtype="float64", tol=1e-4),
        **dict(max_iterations=10, seed=1, splits={"train": 1}),
    }
    changes |= dict(grains=(2, 3), sigma=0.1, relaxation=1, Js_spread=0.1, Ku_spread=0.1)
    changes |= dict(method="events", temperature=400.0, exchange=1e-3, sweep_rate=0.1)
    fields = {field.name for field in dataclasses.fields(Config)}
    inherited = {field.name for field in dataclasses.fields(Config.__base__)}
    assert set(changes) == fields - inherited
    # What came later is among the parameters only where it is used.
    later = {"temperature", "exchange", "sweep_rate"}
    assert fields - inherited - later == set(own.parameters)
    assert dataclasses.replace(own, temperature=400).parameters["temperature"] == 400.0
    others = {dataclasses.replace(own, **{name: value}).name for name, value in changes.items()}
    assert len(others) == len(changes) and own.name not in others
    assert all(name.startswith("own-") and name.count("-") == 1 for name in others)


def test_the_same_parameters_are_the_same_however_they_are_written():
    lists = Config(shape=[4, 4, 4], cone=35, field=[8, -8], splits={"train": 9, "test": 1})
    assert lists.name == Config().name
    assert Config(splits={"test": 1, "train": 9}).name != Config().name, "the order counts"


def test_the_field_of_nuclei_at_the_calibrated_depth():
    own = Config()
    assert (own.self_field, own.depth) == ("nucleus", "calibrated")
    for name in ("paper", "large"):
        assert (KNOWN[name].self_field, KNOWN[name].depth) == (False, PAPER_DEPTH)
        assert KNOWN[name].avalanche == "simultaneous"
    again = Config(**json.loads(json.dumps(own.parameters)))
    assert again.name == own.name
    with pytest.raises(ValueError, match=r"`size` must be a number; received 'calibrated'"):
        Config(size="calibrated")


def test_indices_follow_one_another():
    config = Config(splits={"train": 3, "validation": 1, "test": 2})
    assert [*config.indices("train")] == [0, 1, 2]
    assert [*config.indices("validation")] == [3]
    assert [*config.indices("test")] == [4, 5]


def test_one_that_was_changed_is_refused():
    config = Config()
    config.require_unchanged()
    config.cone = 20.0
    with pytest.raises(ValueError, match=r"`config` must stay as it was made; 'custom-.*' was ch"):
        config.require_unchanged()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", "50 nm"),
        ("Js", float("nan")),
        ("cone", (55.0, 5.0)),
        ("cone", (1.0, 2.0, 3.0)),
        ("field", 8.0),
        ("field_direction", (0.0, 1.0)),
        ("shape", (4, 4, 0)),
        ("shape", (4, 4)),
        ("shape", 4),
        ("scheme", "vertices"),
        ("self_field", "yes"),
        ("avalanche", 3),
        ("method", "steeps"),
        ("method", ["events"]),
        ("dtype", float),
        ("name", None),
        ("name", 3),
        ("name", ""),
        ("name", "../x"),
        ("name", "a b"),
        ("steps", 0),
        ("steps", 10.5),
        ("seed", -1),
        ("splits", {}),
        ("splits", {"all": 3}),
        ("splits", ["train"]),
        ("splits", {"train": 0}),
        ("splits", {"": 1}),
        ("splits", {"tr/ain": 1}),
        ("splits", {1: 1}),
        ("max_iterations", True),
        ("max_iterations", 2**31),
    ],
)
def test_bad_input_gets_a_sentence(name, value):
    with pytest.raises(ValueError, match=rf"^`{name}\b.*` must .*; received .*\.$"):
        Config(**{name: value})


def test_the_card_names_its_example():
    name = Config(cone=20.0, splits={"train": 5, "test": 2}).name
    assert f"tfds_esw/{name}/" in Path(tfds_esw.__file__).with_name("README.md").read_text()
