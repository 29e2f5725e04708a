"""Progress bars: their text, and their estimate of the time left."""

from types import SimpleNamespace

import numpy as np
import pytest

from keras_micromag.physics.solver.equilibria import Loops
from keras_micromag.utils.progress import Progress, Stages, tracked


@pytest.fixture
def loops():
    """Two magnets, of which another process did 40 and 20 of 100 fields with 90 products."""
    loops = Loops(2, np.linspace(8.0, -1.9, 100), 1, "float32")
    loops.reached[:] = 40, 20
    loops.iterations[0, :40], loops.iterations[1, 10:20] = 2, 1
    return loops


def state(products):
    return SimpleNamespace(products=np.array(products))


def test_it_tells_the_field_furthest_behind_and_all_products(loops, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with Progress(True, loops) as bar:
        loops.reached[:] = 70, 65
        loops.iterations[0, 69] = 30
        bar(state([5, 7]))
    printed = capsys.readouterr().err
    assert "field steps" in printed and "135/200" in printed
    assert "1.500 T, 132 products, 0:00:0" in printed


def test_the_time_left_is_from_the_pace_of_this_process(loops, monkeypatch):
    now = 0.0
    monkeypatch.setattr("rich.console.monotonic", lambda: now)
    with Progress(True, loops) as bar:
        for _ in range(4):
            # So slowly do steps of a large magnet come.
            now += 200.0
            loops.reached[1] += 2
            bar(state([0, 0]))
        [task] = bar._bar.tasks
        assert task.completed == 68 and task.elapsed == 800.0
        assert task.time_remaining == (200 - 68) * 100.0


def test_a_loop_that_is_done_needs_no_time(loops, capsys):
    loops.reached[:] = 100
    with Progress(True, loops):
        pass
    assert "200/200" in capsys.readouterr().err


def test_unasked_it_is_for_terminals(loops, capsys):
    for wanted in (None, False):
        with Progress(wanted, loops) as bar:
            bar(state([0, 0]))
    assert capsys.readouterr() == ("", "")


def test_a_bar_counts_items(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert list(tracked(iter("abc"), "fields of grains", 3, True)) == ["a", "b", "c"]
    printed = capsys.readouterr().err
    assert "fields of grains" in printed and "3/3" in printed
    for wanted in (None, False):
        assert list(tracked("abc", "fields of grains", 3, wanted)) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")


def test_stages_say_what_is_done_and_how_long_it_will_take(capsys, monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    stage = Stages(2)
    with stage("simulate ten magnets"):
        now += 7.0
    with stage("train") as report:
        now += 30.0
        report(1, 100)
        now += 12.0
        report(7, 100)
        now += 190.0
        report(100, 100)
    assert capsys.readouterr().err.splitlines() == [
        "[1/2] simulate ten magnets",
        "      done in 7 s",
        "[2/2] train",
        "      about 3 min left",
        "      done in 4 min",
    ]


def test_stages_show_a_bar_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    with Stages(1)("train") as report:
        report(30, 40)
    printed = capsys.readouterr().err
    assert printed.startswith("[1/1] train")
    assert "30/40" in printed and "about" not in printed


def test_stages_that_are_not_shown_write_nothing(capsys, monkeypatch):
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    with Stages(1, show=False)("train") as report:
        report(1, 2)
    assert not capsys.readouterr().err
