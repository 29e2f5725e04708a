"""`python -m tfds_esw`, in this process."""

import subprocess
import sys

import pytest
import tensorflow_datasets as tfds

import tfds_esw
from tfds_esw.__main__ import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    assert main(["build", "tiny", "--data_dir", str(folder)]) == 0
    return folder


def test_build(folder, capsys):
    assert tfds_esw.Builder(config="tiny", data_dir=folder).is_prepared()
    assert main(["build", "tiny", "--data_dir", str(folder)]) == 0, "it is there already"
    printed = capsys.readouterr().out
    assert f"tfds_esw/tiny/{tfds_esw.Builder.VERSION}: {folder}" in printed
    assert "train: 4 simulations in 1 files" in printed


@pytest.mark.slow
def test_build_ones_own_again(tmp_path, capsys):
    own = '{"shape": [2, 1, 1], "steps": 20, "splits": {"train": 3}, "name": "own"}'
    options = ["--data_dir", str(tmp_path), "--num_shards", "2"]
    assert main(["build", own, *options]) == 0
    assert main(["build", own, *options, "--overwrite"]) == 0
    printed = capsys.readouterr().out
    assert "tfds_esw/own-" in printed and printed.count("train: 3 simulations in 2 files") == 2


def test_show(folder, tmp_path, capsys):
    picture = tmp_path / "loops.png"
    options = ["--data_dir", str(folder), "--split", "train[:3]", "--out", str(picture)]
    assert main(["show", "tiny", *options]) == 0
    printed = capsys.readouterr().out
    assert "coercivity" in printed and "3.627" in printed and "mean ± spread" in printed
    assert picture.stat().st_size > 10_000


@pytest.mark.slow
def test_show_tells_a_trial_from_the_complete_data_set(tmp_path, capsys):
    builder = tfds_esw.Builder(config="tiny", data_dir=tmp_path)
    settings = tfds.download.DownloadConfig(max_examples_per_split=2)
    builder.download_and_prepare(download_config=settings)
    capsys.readouterr()
    options = ["tiny", "--data_dir", str(tmp_path)]
    assert main(["show", *options]) == 0
    printed = capsys.readouterr()
    assert "3.627" in printed.out
    sentence = f"{builder.data_path} holds only 2 of the 4 simulations of 'train', since it was"
    assert printed.err == f"{sentence} built with `max_examples_per_split`.\n"
    assert main(["build", *options]) == 2
    [error] = capsys.readouterr().err.splitlines()
    assert error.startswith(f"python -m tfds_esw: error: {sentence}")
    assert main(["build", *options, "--overwrite"]) == 0
    assert main(["show", *options]) == 0
    assert not capsys.readouterr().err.count("holds only")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["build", "papper"], "one of paper, tiny, large, textures, polycrystal, real, or JSON"),
        (["build", "{1}"], "`CONFIG` must be parameters as JSON"),
        (["build", '{"colour": 1}'], "`CONFIG` must be parameters as JSON"),
        (["build", '{"cone": -3}'], "`cone` must be at least 0; received -3.0."),
        (["show", "paper"], "`CONFIG` must have been built"),
        (["build", "tiny", "--num_shards", "0"], "must be a whole number of at least 1"),
        (["build"], "CONFIG"),
    ],
)
def test_bad_input_gets_a_sentence(arguments, sentence, tmp_path, capsys):
    options = ["--data_dir", str(tmp_path)] if len(arguments) > 1 else []
    assert main([*arguments, *options]) == 2
    [printed] = capsys.readouterr().err.splitlines()
    assert printed.startswith("python -m tfds_esw: error: ") or sentence == "CONFIG"
    assert sentence in printed
    assert not list(tmp_path.iterdir())


def test_without_tfds_the_error_names_the_package_to_install():
    code = "import sys; sys.modules['tensorflow_datasets'] = None; import tfds_esw"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert 'pip install "keras-micromag[data]"' in ran.stderr.splitlines()[-1]
