"""The benchmarks run, at the size of a toy."""

import json
import re

import keras
import numpy as np
import pytest

pytest.importorskip("magpylib")  # the peer of one

from benchmarks import __main__ as everything
from benchmarks import (
    dataset,
    demag,
    demo,
    events,
    large,
    layers,
    loops,
    output_activation,
    polycrystals,
    public_cubes,
    real_magnets,
    records,
    sensitivity,
    simulate,
    timing,
    training,
    tuning,
)
from keras_micromag.physics import cubic_grains, random_easy_axes, switching_field
from keras_micromag.physics.microstructure.material import MU0
from tests.keras_parts import precision
from tests.paper.quick import QUICK

pytestmark = pytest.mark.integration

BATCHES = [(1, "float32"), (3, "float32")]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Let no benchmark write to the files that pages quote."""
    monkeypatch.setattr(records, "FOLDER", tmp_path / "results")
    return records.FOLDER


def saved(name):
    """Return the figures that a benchmark has saved."""
    return records.load(f"{name}-{keras.backend.backend()}")["figures"]


@pytest.fixture(scope="module")
def toy():
    return cubic_grains((2, 2, 1)), random_easy_axes((3, 4), seed=1), np.linspace(8.0, -8.0, 9)


@pytest.fixture(scope="module")
def measured(toy):
    return simulate.measure(*toy, batches=BATCHES, compared=2, rounds=2)


@pytest.mark.backend
def test_simulate_is_measured(measured):
    literal, rows = measured
    assert literal.shape == (2,) and (literal > 0).all()
    for row, (magnets, dtype) in zip(rows, BATCHES, strict=True):
        assert (row.magnets, row.dtype) == (magnets, dtype)
        for values in (row.seconds, row.ratio):
            assert values.shape == (2,) and np.isfinite(values).all() and (values > 0).all()
        assert np.isfinite(row.compiling)


@pytest.mark.backend
def test_all_timed_loops_are_equal(measured):
    for row in measured[1]:
        assert row.alike == 1.0
        assert row.worst < 0.5


@pytest.mark.backend
def test_nothing_is_compiled_twice(measured):
    if simulate.keras.backend.backend() == "torch":
        pytest.skip("PyTorch traces an iteration, not the function")
    # Another test may have compiled for these shapes already.
    assert all(first <= 1 and later == 0 for first, later in (row.traces for row in measured[1]))


def test_another_backend_takes_turns(capsys):
    seconds = simulate.measure_peer(simulate.header, rounds=2)
    assert seconds.shape == (2, 2) and (seconds > 0).all()
    simulate.report_peer(seconds)
    assert "jax" in capsys.readouterr().out


@pytest.mark.backend
def test_report(measured, capsys):
    simulate.report(*measured)
    printed = capsys.readouterr().out
    assert "100.00 %" in printed
    assert "nan" not in printed
    assert "processors" in simulate.header()


@pytest.mark.backend
def test_training_is_measured_and_by_hand_it_is_the_same(monkeypatch):
    monkeypatch.setattr(training, "BATCH", 8)
    seconds, (first, prepared) = training.measure(simulations=2, steps=30, rounds=1)
    assert seconds.shape == (1, 3) and (seconds > 0).all()
    # Two epochs in the same order: the same weights but for rounding, in steps of RATE each.
    assert prepared < training.RATE / 10
    assert first < training.RATE / 10 or keras.backend.backend() != "tensorflow"


def test_loops_are_measured():
    seconds = loops.measure(loops.untrained(QUICK), batches=(1, 2), fields=12, rounds=1)
    assert seconds.shape == (1, 5) and (seconds > 0).all()


def test_loops_by_events_are_measured():
    rows = events.main("--rounds 1 --magnets 2 --fields 9 --grid 2 2 1".split())
    assert [row[0] for row in rows[1:5]] == ["literal float64"] + [
        f"{kind}, 2 magnets, float32" for kind in events.KINDS
    ]
    assert all(int(row[3]) > 0 for row in rows[2:])


def test_figures_are_saved_where_that_is_asked_for(folder):
    command = "--rounds 1 --points 50 --grains 2".split()
    demag.main(command)
    assert not folder.exists()
    demag.main([*command, "--save"])
    assert records.load("demag")["command"] == f"python -m benchmarks.demag {' '.join(command)}"
    assert re.fullmatch(r"[\d.]+", records.quoted("demag.matrix_ratio"))


@pytest.mark.parametrize(
    ("benchmark", "command", "name", "figures"),
    [
        (events, "--sides 2 --fields 9", "events_sizes", "grains_8_events_weakest_first_matvecs"),
        (
            events,
            "--rounds 1 --magnets 2 --fields 9 --grid 2 2 1",
            "events",
            "literal events_2_float32_ratio steps_2_float32_matvecs",
        ),
        (layers, "--rounds 1 --batches 2", "layers", "layer_2 product_2 ratio_2"),
        (
            training,
            "--rounds 1 --simulations 2 --steps 30",
            "training",
            "by_hand prepared_ratio first_ratio",
        ),
        (
            output_activation,
            "--magnets 2 --fields 12 --epochs 1 --seeds 2",
            "output_activation",
            "elu_moment linear_mostly_reversed",
        ),
        (
            sensitivity,
            "--magnets 2 --steps 60",
            "sensitivity",
            "data_set_paper gap_0_change Ku_5_higher",
        ),
        (
            polycrystals,
            "--made 50 --grains 8 --fields 4",
            "polycrystals",
            "making_log_normal matrix matvecs",
        ),
        (
            large,
            "product --kinds lattice --most 1000",
            "large_product",
            "lattice_1000_particles lattice_1000_product",
        ),
        (
            large,
            "loop --kind lattice --grains 27 --field 8 -8 9",
            "large_loop_lattice",
            "grains loop peak",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_figures_are_saved(benchmark, command, name, figures, monkeypatch):
    changes = [name for name in sensitivity.CHANGES if name[:3] in ("dat", "gap", "Ku ")]
    monkeypatch.setattr(sensitivity, "CHANGES", {n: sensitivity.CHANGES[n] for n in changes})
    benchmark.main([*command.split(), "--save"])
    assert set(figures.split()) <= set(saved(name))


def test_the_errors_of_predicted_loops_are_read(tmp_path, folder):
    errors = {
        "predictor": {"curve_rmse": [0.1, 0.2], "coercivity_error": [0.3, 0.1]},
        "mean training loop": {"curve_rmse": [0.2, 0.5], "coercivity_error": [0.2, 0.4]},
        "persistence": {"curve_rmse": [1.0, 1.0], "coercivity_error": [None, None]},
    }
    metrics = {"more": {"prediction from the first states": errors}}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    demo.main([str(tmp_path), "--save"])
    assert records.quoted("demo.magnets") == "2"
    assert records.quoted("demo.predictor_curve_rmse") == "0.150 ± 0.071"
    # The mean of the differences 0.1 and 0.3, and its standard error.
    assert records.quoted("demo.lead_curve_rmse") == "0.20 ± 0.10"
    assert "persistence_coercivity_error" not in records.load("demo")["figures"]


def test_larger_magnets_by_events_are_measured(capsys):
    events.main("--sides 2 --fields 9".split())
    *_, row = capsys.readouterr().out.splitlines()
    products = [int(n) for n in row.split()[2:8:2]]
    assert row.split()[:2] == ["8,", "dense"] and all(n > 9 for n in products)


def test_precision_of_events_is_measured(capsys):
    with precision("float64"):
        events.main("--precision 3 --fields 9 --grid 2 2 1".split())
    assert "3 magnets: 0 without an equilibrium somewhere; 3 whose" in capsys.readouterr().out


def test_the_layer_is_measured():
    seconds, apart = layers.measure(batch=2, rounds=1)
    assert seconds.shape == (1, 2) and (seconds > 0).all()
    assert apart < 1e-5


def test_searches_are_measured():
    seconds = tuning.measure(tuning.model(magnets=4, steps=20, recipe=QUICK), "random", trials=1)
    assert seconds.shape == (1, 2) and (seconds > 0).all()


def test_output_activations_are_measured(capsys):
    toy = {"magnets": 2, "fields": 12, "epochs": 1, "seeds": 2}
    output_activation.main([text for name, n in toy.items() for text in (f"--{name}", str(n))])
    printed = capsys.readouterr().out
    assert all(f"\n{name}  " in printed for name in output_activation.ACTIVATIONS)
    assert "nan" not in printed


def test_the_data_set_is_measured():
    seconds = dataset.loops(rounds=1, batches=1, steps=20)
    assert seconds.shape == (1, 4) and (seconds[:, [0, 2, 3]] > 0).all()
    [peak] = dataset.memory(sizes=(2,), steps=10)
    assert 100 < peak < 10_000


def test_sensitivities_are_measured(monkeypatch, capsys):
    changes = dict(list(sensitivity.CHANGES.items())[:2])
    monkeypatch.setattr(sensitivity, "CHANGES", changes)
    sensitivity.main(["--magnets", "2", "--steps", "60"])
    _, first, second = capsys.readouterr().out.splitlines()
    assert "+0.000 ± 0.000" in first and "+0.000 ± 0.000" not in second
    assert "nan" not in second


def test_demag_is_measured():
    for seconds in (demag.one_grain(50, 1), demag.matrix_of_grains(2, 1)):
        assert seconds.shape == (1, 2)
        assert (seconds > 0).all()


@pytest.mark.slow
def test_what_real_magnets_change_and_cost_is_measured(capsys):
    rows = real_magnets.main(["--rounds", "1", "--scale", "2"])
    kinds = [(row.kind, row.variant) for row in rows]
    assert kinds[:3] == [("dense", "exchange"), ("dense", "activation"), ("lattice", "exchange")]
    assert all((row.each > 0).all() and min(row.products) > 0 for row in rows)
    cold, hot = (
        real_magnets.merits(name, magnets=2, shape=(2, 2, 2))
        for name in ("none of them", "temperature")
    )
    assert all(h < c for h, c in zip(hot, cold, strict=True))
    assert "time of one" in capsys.readouterr().out


def test_polycrystals_are_measured():
    magnet = polycrystals.polycrystal(20)
    took = polycrystals.loop(magnet, fields=4)
    assert took.matrix > 0 and took.rest > 0 and took.matvecs >= 4


def test_making_polycrystals_is_measured(capsys):
    polycrystals.main("--made 50 --grains 8 --fields 4".split())
    printed = capsys.readouterr().out
    assert "sigma = 0.3" in printed and "matvecs" in printed


def test_turns_are_taken():
    calls = []
    first, later = timing.interleave([lambda: calls.append("a"), lambda: calls.append("b")], 2)
    assert calls == ["a", "b"] * 3
    assert first.shape == (2,) and later.shape == (2, 2)


def test_spread_and_table(capsys):
    assert timing.spread([3.0, 1.0, 2.26], 1) == "2.3 [1.0, 3.0]"
    timing.print_table([("name", "ratio"), ("a", "12.5"), ("longer", "")])
    assert capsys.readouterr().out == "name     ratio\na         12.5\nlonger\n"


def test_everything_runs_in_processes_of_their_own(monkeypatch, capsys):
    ran = []

    class Failed:
        returncode = 1

    monkeypatch.setattr(
        everything.subprocess, "run", lambda command, env: ran.append((command, env)) or Failed
    )
    assert everything.main([]) == len(everything.RUNS) == len(ran)
    for (command, env), (words, setting) in zip(ran, everything.RUNS, strict=True):
        assert command[1:] == ["-m", *f"benchmarks.{words} --save".split()]
        assert env["KERAS_BACKEND"] == setting.split()[0]
    assert "KERAS_BACKEND=jax JAX_ENABLE_X64=1 python -m" in capsys.readouterr().out
    ran.clear()
    assert everything.main(["events", "demag"]) == len(ran) == 5


def test_public_cubes_are_compared(tmp_path, capsys):
    # Small grains whose own field is weak, as Stoner and Wohlfarth have them reverse.
    angles, Ms, K1 = np.radians([5.0, 20.0, 40.0]), 2e4, 4e6
    hc = [2 * K1 / (MU0 * Ms) * float(switching_field(angle)) for angle in angles]
    rows = [
        f"{Ms},1e-9,{K1},{angle},0.3,0.0,0.0,{h},x" for angle, h in zip(angles, hc, strict=True)
    ]
    head = "#mammos csv v1\nMs,A,K1,k1_theta,k1_phi,h_theta,h_phi,Hc,file_path\n"
    (tmp_path / "cube50nm_angles_mindriver.csv").write_text(head + "\n".join(rows))
    public_cubes.main([str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[3].split()[-8:-3] == ["3", "1.00000", "1.0000", "1.0000", "[1.0000,"]


def test_large_magnets_are_measured(capsys):
    size = large.measure("hierarchical", 30, rounds=2)
    assert size.grains == 30 and size.particles > 30 and 0 < size.error <= 1e-4
    assert min(size.setup, size.product, size.bytes, size.peak) > 0
    large.accuracy(30, [1e-4])
    assert "at all" in capsys.readouterr().out
    large.ranks(30, (0, 10, 29))
    assert "nearest 11 to 29 " in capsys.readouterr().out
    large.agreement(30)
    printed = capsys.readouterr().out
    assert "100.000% of grain states alike" in printed
    for kind in ("hierarchical", "lattice"):
        large.loop(kind, 27, (8.0, -8.0, 9), None)
        printed = capsys.readouterr().out
        assert printed.startswith(f"{kind}, 27 grains") and "complete, coercivity" in printed


def test_an_unknown_section_is_refused(capsys):
    with pytest.raises(SystemExit):
        large.main(["products"])
    assert "invalid choice: 'products'" in capsys.readouterr().err
