"""Times and figures of `benchmarks.micromagnetics`, at the size of a toy."""

import numpy as np
import pytest

pytest.importorskip("jax")  # whatever the backend of Keras

import matplotlib.image

from benchmarks import records
from benchmarks.micromagnetics import __main__ as command
from benchmarks.micromagnetics import agreement, cases, figures, speed, trust
from benchmarks.micromagnetics.agreement import switching_fields
from keras_micromag.physics import MATERIALS, Material

SMCO5 = MATERIALS["SmCo5"]
STIFF = Material(Js=0.48, Ku=0.33e6, A=60e-12, name="stiff")
SMALL = cases.single(STIFF, 12e-9, 10.0, cell=4e-9)


@pytest.mark.slow
def test_the_iterations_of_a_curve_are_those_of_its_fields(capsys):
    curve = SMALL.solve(verbose=True)
    printed = [int(line.split()[2]) for line in capsys.readouterr().out.splitlines()]
    assert curve.iterations == sum(printed) > 0


@pytest.mark.slow
def test_times_are_measured_or_estimated(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(speed, "BATCH", 2)
    iterations = SMALL.solve().iterations
    monkeypatch.setattr(
        speed, "magnets", lambda: [("computed", SMALL, None), ("estimated", SMALL, 10**9)]
    )
    computed, estimated = speed.compare(rounds=2)
    for row in (computed, estimated):
        for seconds in (row.solver, row.one, row.each, row.setup):
            assert seconds.shape == (2,) and (seconds > 0).all()
        assert (row.setup < row.one).all()
    assert computed.iterations == str(iterations)
    assert estimated.iterations == f"{10**9}, not run"
    assert estimated.solver.min() > computed.solver.max()
    assert "2 rounds; batches of 2" in capsys.readouterr().out
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    command.main(["speed", "--rounds", "1", "--whole", "--save"])
    printed = capsys.readouterr().out
    assert "estimated: " in printed and f"{iterations}, not run" in printed
    [file] = tmp_path.glob("micromagnetics_speed-*.json")
    assert "computed_ratio" in records.load(file.stem)["figures"]


@pytest.mark.slow
def test_agreement_is_saved(monkeypatch, tmp_path):
    case = cases.many(SMCO5, (2, 1, 1), 30e-9, 3e-9, (0, 0))
    pairs = [cases.Result(case, np.array([-21.0, -22.0]), np.array([0.1, 0.1]), 20.0)]
    singles = [
        cases.Result(cases.single(SMCO5, size, 15.0), np.array([-20.0]), np.array([0.1]), 20.0)
        for size in (30e-9, (30e-9, 30e-9, 6e-9))
    ]
    monkeypatch.setattr(agreement, "read", lambda family: pairs)
    monkeypatch.setattr(trust, "read", lambda family: [*singles, *pairs])
    monkeypatch.setattr(trust, "FAMILIES", ["eight"])
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    command.main(["compare", "angles", "eight", "gaps", "--save"])
    command.main(["trust", "--save"])
    names = sorted(file.stem.partition("-")[0] for file in tmp_path.iterdir())
    assert names == ["micromagnetics_compare", "micromagnetics_trust"]
    compared, trusted = (
        records.load(next(tmp_path.glob(f"{name}-*")).stem)["figures"] for name in names
    )
    for row in ("angles", "of_cubes", "all_families"):
        assert {f"{row}_r_squared", f"{row}_ratio_95", f"{row}_paper_r_squared"} <= set(compared)
    assert compared["of_cubes_grains"]["value"] == 4
    for kind in ("grain", "thin_grain", "magnet"):
        assert trusted[f"{kind}_cases"]["value"] == 1


def test_the_magnets_are_of_one_eight_and_64_grains():
    assert [len(case.easy_axes) for _, case, _ in speed.magnets()] == [1, 8, 64]
    assert [iterations for *_, iterations in speed.magnets()] == [None, None, speed.ITERATIONS]


@pytest.fixture
def results(monkeypatch):
    """Let a toy take the place of the files."""
    case = cases.many(SMCO5, (2, 1, 1), 30e-9, 3e-9, (0, 0))
    single = cases.single(SMCO5, 30e-9, 15.0)
    files = {
        "angles": [cases.Result(single, np.array([-20.0]), np.array([0.1]), 20.0)],
        "eight": [cases.Result(case, np.array([-21.0, -22.0]), np.array([0.1, 0.1]), 20.0)],
        "sixtyfour": [],
    }
    monkeypatch.setattr(figures, "SINGLE", {"angles": "at angles"})
    monkeypatch.setattr(figures, "MAGNETS", ("eight",))
    monkeypatch.setattr(figures, "read", files.__getitem__)
    monkeypatch.setattr(figures, "path", lambda family: cases.path("eight"))
    return files


@pytest.mark.slow
def test_figures_are_drawn_of_what_there_is(results, tmp_path, capsys):
    command.main(["figures", str(tmp_path / "new")])
    names = ["hardness.png", "size.png", "grains.png"]
    assert capsys.readouterr().out.split() == names
    results["sixtyfour"] = results["eight"]
    assert figures.draw(tmp_path) == [*names, "order.png"]
    for name in (*names, "order.png"):
        width = matplotlib.image.imread(tmp_path / name).shape[1]
        assert 600 <= width <= 750
        assert (tmp_path / name).stat().st_size < 60_000


@pytest.mark.slow
def test_figures_show_the_fields_of_both_sides(results):
    [result] = results["eight"]
    grains = figures.grains_of(result)
    scale = SMCO5.anisotropy_field
    ours, _ = switching_fields(result.case, "nucleus", depth="calibrated", material=SMCO5)
    np.testing.assert_allclose(grains.expected * scale, [21.0, 22.0])
    np.testing.assert_allclose(grains.calibrated * scale, -ours)
    all_at_once, _ = switching_fields(result.case, avalanche="simultaneous")
    np.testing.assert_allclose(all_at_once, ours, rtol=1e-5)  # the same for two grains
    [left, right] = figures.scatter([grains]).axes
    for ax, computed in ((left, grains.paper), (right, grains.calibrated)):
        line = ax.lines[list(MATERIALS).index("SmCo5")]
        np.testing.assert_array_equal(line.get_data(), [grains.expected, computed])


def test_errors_are_positive_where_the_grain_here_is_too_hard():
    grains = figures.Grains(SMALL, np.array([0.5]), np.array([0.4]), np.array([0.52]))
    for figure in (figures.hardness({"cubes": [grains]}), figures.size({"cubes": [grains]})):
        points = [line for line in figure.axes[0].lines if line.get_label() == "cubes at 1°"]
        assert points[0].get_ydata() == pytest.approx([2.0])


def test_grains_that_reverse_together_have_one_rank_and_one_step():
    ax = figures.style.new_figure().add_subplot()
    figures._steps(ax, np.array([-2.0, -1.0, -2.0]))
    [line] = ax.lines
    np.testing.assert_array_equal(line.get_data(), [[-1, -1, -2, -2], [0, 1, 2, 3]])
