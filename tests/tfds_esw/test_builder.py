"""The data set as TFDS builds and reads it."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow_datasets as tfds

import tfds_esw
from tfds_esw import simulations
from tfds_esw.config import CONFIGS, Config

TINY = next(config for config in CONFIGS if config.name == "tiny")


def read(builder, split="train"):
    """The decoded examples of a split."""
    if builder.info.file_format in tfds.core.FileFormat.with_random_access():
        return list(builder.as_data_source(split=split))
    return list(tfds.as_numpy(builder.as_dataset(split=split)))


def assert_same(actual, expected):
    assert len(actual) == len(expected)
    for one, other in zip(actual, expected, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The builder of `tiny`, whose data are there."""
    folder = tmp_path_factory.mktemp("data")
    builder = tfds_esw.Builder(config="tiny", data_dir=folder)
    builder.download_and_prepare()
    return builder


@pytest.mark.slow
@pytest.mark.backend
def test_it_holds_the_simulations_in_their_order(built):
    batch = simulations.batch(TINY, 0)
    for split in ("train", "validation", "test"):
        rows = [{name: values[i] for name, values in batch.items()} for i in TINY.indices(split)]
        assert_same(read(built, split), rows)
    assert {name: s.num_examples for name, s in built.info.splits.items()} == TINY.splits


@pytest.mark.backend
def test_the_magnet_and_its_loops_come_back(built):
    reread = tfds_esw.Builder(config="tiny", data_dir=built.data_dir_root)
    body = tfds_esw.microstructure(reread.info)
    np.testing.assert_array_equal(body.particles, simulations.structure(TINY).particles)
    examples = read(reread)
    loops = tfds_esw.hysteresis(examples, reread.info)
    assert loops.magnetization.shape == (4, 50, 8, 3)
    for merit in ("coercivity", "remanence", "energy_product"):
        wanted = [example[merit] for example in examples]
        np.testing.assert_allclose(getattr(loops, merit)(), wanted, rtol=1e-6)
    assert Config(**reread.info.metadata["parameters"]).digest == TINY.digest
    assert "keras_micromag" in reread.info.metadata["versions"]
    with pytest.raises(ValueError, match="`examples` must hold at least one"):
        tfds_esw.hysteresis([], reread.info)


@pytest.mark.integration
@pytest.mark.backend
@pytest.mark.skipif(keras.backend.backend() != "jax", reason="one without TensorFlow tells")
def test_a_data_source_needs_no_tensorflow_to_be_built_and_read(tmp_path):
    code = f"""if True:
        import sys
        from importlib.machinery import PathFinder
        find = PathFinder.find_spec
        PathFinder.find_spec = lambda name, *a: None if name == "tensorflow" else find(name, *a)
        import tensorflow_datasets as tfds, tfds_esw
        assert "keras" not in sys.modules, "reading needs no Keras"
        source = tfds.data_source("tfds_esw/tiny", split="train", data_dir={str(tmp_path)!r})
        print([int(source[i]["index"]) for i in (3, 0)], source[2]["magnetization"].shape)
    """
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stdout.endswith("[3, 0] (50, 8, 3)\n"), ran.stderr


def test_the_default_format_is_readable_here(built, tmp_path, monkeypatch):
    def chosen(folder, **kwargs):
        return tfds_esw.Builder(config="tiny", data_dir=folder, **kwargs).info.file_format.value

    assert chosen(tmp_path) == "tfrecord"
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    assert chosen(tmp_path) == "array_record"
    assert chosen(tmp_path, file_format="tfrecord") == "tfrecord", "as it was asked for"
    assert chosen(built.data_dir_root) == "tfrecord", "as it was built"


@pytest.mark.slow
def test_the_card_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = Path(tfds_esw.__file__).with_name("README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    namespace = {}
    for block in blocks:
        exec(compile(block.replace("/paper", "/tiny"), "README.md", "exec"), namespace)
    assert len(namespace["train"]) == len(namespace["dataset"]) == 4


def test_parts_of_splits_read_well(built):
    assert [int(e["index"]) for e in read(built, "train[1:3]")] == [1, 2]
    assert [int(e["index"]) for e in read(built, "train+test")] == [0, 1, 2, 3, 5]


def test_tfds_load_knows_it(built):
    dataset = tfds.load("tfds_esw/tiny", split="test", data_dir=built.data_dir_root)
    [example] = tfds.as_numpy(dataset)
    assert example["index"] == 5 and example["magnetization"].shape == (50, 8, 3)


def test_a_first_look(built):
    frame = tfds.as_dataframe(built.as_dataset(split="train"), built.info)
    assert frame["coercivity"].between(3.5, 4.1).all() and len(frame) == 4
    assert "tesla" in str(built.info.features["coercivity"].doc)


@pytest.mark.integration
def test_more_files_hold_the_same(built, tmp_path):
    config = dataclasses.replace(TINY, splits={"train": 70, "test": 3})
    one = tfds_esw.Builder(config=config, data_dir=tmp_path / "one")
    one.download_and_prepare()
    assert_same(read(one)[:4], read(built))
    several = tfds_esw.Builder(config=config, data_dir=tmp_path / "several")
    settings = tfds.download.DownloadConfig(num_shards=4)
    several.download_and_prepare(download_config=settings)
    assert several.info.splits["train"].num_shards == 4
    assert_same(read(several), read(one))
    assert_same(read(several, "test"), read(one, "test"))
    assert [int(e["index"]) for e in read(one, "test")] == [70, 71, 72]


def test_shards_have_a_bounded_size_and_complete_batches(built):
    builder = tfds_esw.Builder(config="large", data_dir=built.data_dir_root)
    builder._download_config = tfds.download.DownloadConfig()
    parts = builder._shards(TINY.indices("train"))
    assert parts == [range(0, 4)]
    parts = [builder._shards(builder.builder_config.indices(s)) for s in ("train", "validation")]
    assert [index for part in parts[0] for index in part] == [*range(800)]
    assert [index for part in parts[1] for index in part] == [*range(800, 900)]
    sizes = {len(part) for part in parts[0]}
    assert len(parts[0]) > 1 and max(sizes) * 800e3 < 160 << 20
    assert all(part[0] % simulations.BATCH == 0 for part in parts[0])


def at_most(number):
    return tfds.download.DownloadConfig(max_examples_per_split=number)


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """The builder of `tiny` that was asked for two simulations of each split."""
    builder = tfds_esw.Builder(config="tiny", data_dir=tmp_path_factory.mktemp("trial"))
    builder.download_and_prepare(download_config=at_most(2))
    return builder


SHORT = (
    r"^{} holds only 2 of the 4 simulations of 'train', since it was built with "
    "`max_examples_per_split`"
)


@pytest.mark.slow
def test_fewer_examples_for_a_trial(trial):
    assert [int(e["index"]) for e in read(trial)] == [0, 1]  # as asked for, without a warning
    assert [int(e["index"]) for e in read(trial, "test")] == [5]


@pytest.mark.slow
def test_a_trial_is_not_taken_for_the_complete_data_set(trial):
    folder, sentence = trial.data_dir_root, SHORT.format(trial.data_path)
    reread = tfds_esw.Builder(config="tiny", data_dir=folder)
    with pytest.warns(UserWarning, match=sentence + r"\.$"):
        assert len(read(reread)) == 2
    with pytest.raises(UserWarning, match=sentence):  # an error in tests
        tfds.load("tfds_esw/tiny", split="test", data_dir=folder)
    for settings in (None, at_most(3)):
        with pytest.raises(ValueError, match=sentence + ": remove its folder and build it again"):
            reread.download_and_prepare(download_config=settings)
    for number in (2, 1):
        reread.download_and_prepare(download_config=at_most(number))
        assert len(read(reread)) == 2


@pytest.mark.slow
def test_a_trial_in_an_array_record_warns_too(tmp_path):
    builder = tfds_esw.Builder(config="tiny", data_dir=tmp_path, file_format="array_record")
    builder.download_and_prepare(download_config=at_most(2))
    assert len(builder.as_data_source(split="train")) == 2
    reread = tfds_esw.Builder(config="tiny", data_dir=tmp_path)
    with pytest.warns(UserWarning, match=SHORT.format(builder.data_path)):
        assert len(reread.as_data_source(split="train")) == 2


@pytest.mark.slow
def test_a_limit_beyond_the_configuration_is_no_limit(built):
    reread = tfds_esw.Builder(config="tiny", data_dir=built.data_dir_root)
    for settings in (at_most(100), at_most(1), None):
        reread.download_and_prepare(download_config=settings)
        assert len(read(reread)) == 4


@pytest.mark.parametrize("name", ["max_examples_per_split", "num_shards"])
@pytest.mark.parametrize("value", [0, -1, 1.5])
def test_an_impossible_number_is_refused_before_anything_is_written(name, value, tmp_path):
    builder = tfds_esw.Builder(config="tiny", data_dir=tmp_path)
    settings = tfds.download.DownloadConfig(**{name: value})
    with pytest.raises(ValueError, match=f"`{name}` must be an integer of at least 1; received"):
        builder.download_and_prepare(download_config=settings)
    assert not list(tmp_path.iterdir())


def test_a_data_set_that_is_not_built_cannot_be_read(tmp_path):
    builder = tfds_esw.Builder(config="tiny", data_dir=tmp_path)
    sentence = r"^tfds_esw/tiny/[\d.]+ must be built before it is read, .* holds no data set\.$"
    for read_split in (builder.as_dataset, builder.as_data_source):
        with pytest.raises(ValueError, match=sentence):
            read_split(split="train")


def test_a_folder_of_another_format_is_refused(built):
    folder = built.data_dir_root
    sentence = rf"^{built.data_path} must be of the format array_record for a data source, and is"
    with pytest.raises(ValueError, match=sentence):
        built.as_data_source(split="train")
    for other in ("array_record", "text"):
        with pytest.raises(ValueError, match=f"`file_format` must be .*; received '{other}'"):
            tfds_esw.Builder(config="tiny", data_dir=folder, file_format=other)
    with pytest.raises(ValueError, match="nope"):
        tfds_esw.Builder(config="nope", data_dir=folder, file_format="array_record")


def test_examples_are_shuffled_after_they_are_read(built):
    with pytest.raises(ValueError, match="not be read in order because `shuffle_files=True`"):
        built.as_dataset(split="train", shuffle_files=True)
    shuffled = built.as_dataset(split="train").shuffle(4, seed=0)  # as the card says
    assert {int(e["index"]) for e in tfds.as_numpy(shuffled)} == {0, 1, 2, 3}
    unguarded = tfds.ReadConfig(enable_ordering_guard=False)
    files = built.as_dataset(split="train", shuffle_files=True, read_config=unguarded)
    assert len(files) == 4


def test_other_physics_never_gets_this_cache(built):
    wider = tfds_esw.Builder(
        config=dataclasses.replace(TINY, cone=50.0), data_dir=built.data_dir_root
    )
    assert not wider.is_prepared() and wider.data_dir != built.data_dir
    config = Config(steps=5)
    config.cone = 20.0
    changed = tfds_esw.Builder(config=config, data_dir=built.data_dir_root)
    with pytest.raises(ValueError, match="`config` must stay as it was made"):
        changed.download_and_prepare()


def test_nothing_but_the_data_set_is_left(built):
    names = files(Path(built.data_dir_root))
    assert not [n for n in names if "kept" in n or "incomplete" in n or "lock" in n]
    sizes = json.loads((built.data_path / "metadata.json").read_text())["files"]
    assert len(sizes) == 3 and all((built.data_path / n).stat().length == sizes[n] for n in sizes)


@pytest.mark.parametrize("damage", ["cut", "removed"])
def test_a_damaged_shard_is_refused_before_it_is_read(damage, tmp_path):
    builder = tfds_esw.Builder(config="tiny", data_dir=tmp_path)
    builder.download_and_prepare()
    path = builder.data_path / "tfds_esw-train.tfrecord-00000-of-00001"
    content = path.read_bytes()
    path.unlink() if damage == "removed" else path.write_bytes(content[:-100])
    length = 0 if damage == "removed" else len(content) - 100
    reread = tfds_esw.Builder(config="tiny", data_dir=tmp_path)
    sentence = rf"{path} must have {len(content)} bytes, as it was built; it has {length}: remove "
    with pytest.raises(ValueError, match=sentence):
        reread.as_dataset(split="train")
    with pytest.raises(ValueError, match=sentence):
        tfds.load("tfds_esw/tiny", split="test", data_dir=tmp_path)


@pytest.mark.parametrize("damage", ["cut", "removed"])
def test_damaged_metadata_are_refused(damage, built, tmp_path):
    folder = shutil.copytree(built.data_path, tmp_path / "tfds_esw" / "tiny" / str(built.version))
    path = folder / "metadata.json"
    path.unlink() if damage == "removed" else path.write_text(path.read_text()[:100])
    sentence = rf"^{path} must be as it was built; it is missing or damaged: remove its folder"
    reread = tfds_esw.Builder(config="tiny", data_dir=tmp_path)
    with pytest.raises(ValueError, match=sentence):
        reread.as_dataset(split="train")
    with pytest.raises(ValueError, match=sentence):
        tfds_esw.microstructure(reread.info)
    with pytest.raises(ValueError, match=sentence):
        tfds_esw.hysteresis(read(built), tfds.builder_from_directory(folder).info)


@pytest.mark.slow
def test_a_flipped_bit_is_refused_when_it_is_read(tmp_path):
    import tensorflow as tf

    builder = tfds_esw.Builder(config="tiny", data_dir=tmp_path)
    builder.download_and_prepare()
    path = builder.data_path / "tfds_esw-train.tfrecord-00000-of-00001"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(tf.errors.DataLossError, match="corrupted record"):
        read(builder)


@pytest.mark.slow
def test_a_single_field_will_do(tmp_path):
    config = Config(shape=(2, 1, 1), steps=1, splits={"train": 2})
    builder = tfds_esw.Builder(config=config, data_dir=tmp_path)
    builder.download_and_prepare()
    for example in read(builder):
        assert example["field"] == [8.0] and example["magnetization"].shape == (1, 2, 3)
        assert np.isnan(example["switching_fields"]).all() and np.isnan(example["coercivity"])


def test_an_impossible_config_is_refused_before_anything_is_written(tmp_path):
    builder = tfds_esw.Builder(config=Config(avalanche="sideways"), data_dir=tmp_path)
    with pytest.raises(ValueError, match="`avalanche` must be one of"):
        builder.download_and_prepare()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["data[1]", "data*", "**", "?", "data\0"])
def test_a_folder_that_tfds_would_not_find_again_is_refused(name, tmp_path):
    with pytest.raises(
        ValueError, match=r"`data_dir` must be the name of a folder, with none of \*, "
    ):
        tfds_esw.Builder(config="tiny", data_dir=tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    builder = tfds_esw.Builder(config="tiny", data_dir=tmp_path / "file" / "data")
    with pytest.raises(OSError, match="`data_dir` must be a folder that can be written"):
        builder.download_and_prepare()
