"""A few inputs of each kind of the campaign `fuzz`, and what it takes for a fault."""

import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from tests.campaigns import fuzz_calls
from tests.campaigns.fuzz import KINDS, outcomes, run
from tests.campaigns.sandbox import Call, outcome, scratch

COUNTS = {"tess": 60, "meshes": 60, "npz": 30, "settings": 60, "commands": 15, "calls": 60}
"""Inputs of each kind; `.keras` files are read by `commands`."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", COUNTS)
def test_damaged_input_ends_in_a_result_or_a_sentence(kind, tmp_path):
    ended = {number: run(kind, 0, number, tmp_path) for number in range(COUNTS[kind])}
    assert {number: each.text for number, each in ended.items() if each.kind == "fault"} == {}
    assert {each.kind for each in ended.values()} == {"result", "sentence"}


def test_every_kind_runs_in_the_suite():
    assert KINDS.keys() - COUNTS.keys() == {"keras"}


@pytest.mark.slow
def test_every_public_function_that_takes_arrays_is_called():
    called = {name.partition(" ")[0] for name in fuzz_calls.templates()}
    public = {f"{room}.{name}" for room, name in fuzz_calls.public_names()}
    exempt = {name for name in public if name.rpartition(".")[2] in fuzz_calls.NO_ARRAYS}
    assert public - called - exempt == set()


WORKER = """if True:
    import json, os, sys
    first, count = map(int, sys.argv[1:])
    for number in range(first, first + count):
        if number == 8 or (number == 5 and first < 4):
            os.kill(os.getpid(), 9)
        print(json.dumps([number, "result", "", 0.0]), flush=True)
"""
"""A process that 8 kills, and 5 after many others."""


def test_an_input_that_kills_its_process_is_a_fault_where_it_does_so_again(monkeypatch):
    popen, begun = subprocess.Popen, []

    def worker(command, **kwargs):
        first, count = (command[command.index(name) + 1] for name in ("--first", "--count"))
        begun.append(int(first))
        return popen([sys.executable, "-c", WORKER, first, count], **kwargs)

    monkeypatch.setattr(subprocess, "Popen", worker)
    ended = dict(outcomes("tess", 0, 0, 12))
    assert list(ended) == list(range(12)) and begun == [0, 4, 7, 9]
    assert [number for number, each in ended.items() if each.kind == "fault"] == [8]
    assert ended[8].text.startswith("the process ended with status -9")


def _leave_a_file():
    Path("left").touch()
    np.zeros(3).reshape(2)


FAULTS = {
    "an error of NumPy": (lambda: np.zeros(3).reshape(2), "ValueError from tests"),
    "an index": (lambda: [][0], "IndexError from tests"),
    "a file": (_leave_a_file, r"files left behind: \['left'\]"),
    "a line on stderr": (lambda: print("x", file=sys.__stderr__), "output on stderr: x"),
    "a warning": (lambda: warnings.warn("x", RuntimeWarning, 1), "RuntimeWarning from .*: x"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_counts_as_a_fault(fault, tmp_path):
    function, text = FAULTS[fault]
    with scratch(tmp_path) as folder:
        ended = outcome(Call(function), folder)
    assert ended.kind == "fault"
    assert re.search(text, ended.text)
