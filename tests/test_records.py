"""The files of figures that benchmarks write, and the quotes of them in pages."""

import argparse
import datetime
import importlib.util
import json
import re

import keras
import numpy as np
import pytest

from benchmarks import records
from tests.test_house import ROOT

FILES = sorted((ROOT / "benchmarks/results").glob("*.json"))
FIGURES = {
    "grains": records.value(97_336),
    "error": records.value(np.float32(9.04e-5), "", 2),
    "loop": records.value(1.2999, "s"),
    "speed": records.measured(np.array([120.0, 149.4, 123.71]), "loops/s"),
    "change": records.scatter([-0.1, -0.054, -0.143], "T"),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "FOLDER", tmp_path / "results")
    return records.FOLDER


@pytest.fixture
def saved(folder):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.toy")
    records.save("toy", FIGURES, parser, ["--rounds", "3", "--save"], backend=False)


def test_figures_are_saved_and_loaded(saved, folder):
    content = records.load("toy")
    assert content["figures"] == FIGURES
    assert content["command"] == "python -m benchmarks.toy --rounds 3"
    assert content["date"] == datetime.date.today().isoformat()
    assert re.fullmatch(r"\d+ cores?, \w+", content["machine"])
    assert content["versions"]["keras"] == keras.__version__
    assert [path.name for path in folder.iterdir()] == ["toy.json"]


def test_the_backend_is_named(folder, monkeypatch):
    backend = keras.backend.backend()
    monkeypatch.setenv("JAX_ENABLE_X64", "1")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.toy")
    path = records.save("toy", {}, parser, ["--save"])
    assert path.name == f"toy-{backend}-float64.json"
    assert records.quoted(f"{path.stem}.command") == (
        f"`KERAS_BACKEND={backend} JAX_ENABLE_X64=1 python -m benchmarks.toy`"
    )


def test_a_file_that_cannot_be_written_is_left_as_it_was(saved, folder):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.toy")
    with pytest.raises(ValueError, match="JSON"):
        records.save(
            "toy", {"x": records.value(np.nan, decimals=2)}, parser, ["--save"], backend=False
        )
    assert records.load("toy")["figures"] == FIGURES
    assert [path.name for path in folder.iterdir()] == ["toy.json"]


@pytest.mark.parametrize(
    ("quote", "text"),
    [
        ("toy.grains", "97,336"),
        ("toy.error", "9.0e-5"),
        ("toy.loop", "1.30 s"),
        ("toy.speed", "124 [120, 149] loops/s"),
        ("toy.speed.median", "124 loops/s"),
        ("toy.speed.most", "149 loops/s"),
        ("toy.change", "−0.099 ± 0.045 T"),
        ("toy.change.mean", "−0.099 T"),
        ("toy.change.number", "−0.099 ± 0.045"),
        ("toy.speed.median.number", "124"),
        ("toy.loop.number", "1.30"),
        ("toy.command", "`python -m benchmarks.toy --rounds 3`"),
        ("toy.run", f"`python -m benchmarks.toy --rounds 3` ({datetime.date.today()})"),
    ],
)
def test_quotes(saved, quote, text):
    assert records.fill(f"a {{{{ {quote} }}}}, b") == f"a {text}, b"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([8.5, 8.94, 9.6], "8.9 [8.5, 9.6]"),
        ([45.0, 46.0, 48.0], "46 [45, 48]"),
        ([8499, 10_688, 10_700], "10,700 [8,500, 10,700]"),
        ([177.0, 177.4, 177.6], "177 [177, 178]"),
        ([0.2, 0.5, 30.0], "0.50 [0.20, 30.00]"),
        ([2.0, 2.0], "2.00"),
        ([0.0, 0.0], "0.000"),
    ],
)
def test_a_median_has_the_digits_that_its_range_allows(values, text):
    assert records.shown(records.measured(values)) == text


@pytest.mark.parametrize(
    ("quote", "sentence"),
    [
        ("no.x", "benchmarks/results has no file `no.json`."),
        (
            "toy.x",
            "benchmarks/results/toy.json has no figure `x`; it has grains, error, loop, speed, "
            "change.",
        ),
        ("toy.loop.least", "`loop` of benchmarks/results/toy.json has no `least`."),
        ("toy", "benchmarks/results/toy.json has no figure ``; it has grains"),
    ],
)
def test_a_quote_of_what_is_not_there_is_refused(saved, quote, sentence):
    with pytest.raises(LookupError, match=re.escape(sentence)):
        records.fill(f"{{{{ {quote} }}}}")


def test_a_page_gets_the_figures_of_the_files(saved):
    page = "about 3 grains\nin it, by +7 %, and 3 grains\n"
    text = "about {{ toy.grains }} grains in it"
    expected = page.replace("3", records.fill("{{ toy.grains }}"), 1)
    assert records.refreshed(page, text) == expected != page
    assert records.refreshed(expected, text) == expected
    with pytest.raises(LookupError, match="has no text 'about"):
        records.refreshed("another page", text)


def quotes():
    """Yield a page and a text of it, with quotes in place of the figures."""
    _, *pages = (ROOT / "tests/quotes.txt").read_text(encoding="utf-8").split("\n# ")
    for name, *lines in map(str.splitlines, pages):
        yield from ((name, line) for line in lines if line)


@pytest.mark.parametrize(("page", "line"), list(quotes()))
def test_the_figures_of_a_page_that_github_shows_are_those_of_the_files(page, line):
    text = (ROOT / page).read_text(encoding="utf-8").replace("+", "")  # before what is positive
    assert records.fill(line) in " ".join(text.split())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_has_figures_of_a_command_that_exists(file):
    content = json.loads(file.read_text(encoding="utf-8"))
    program, name = re.search(r"(make|keras-micromag|python -m) (\S+)", content["command"]).groups()
    if program == "python -m":
        assert importlib.util.find_spec(name)
    else:  # a report, whose figures somebody copied
        assert content["transcribed"]
    datetime.date.fromisoformat(content["date"])
    assert "cores" in content["machine"]
    assert content["figures"]
    for figure in content["figures"].values():
        assert set(figure) & set(records.PARTS) and "unit" in figure
        records.shown(figure)
