"""The command line for structures other than cubes: polycrystals, and grains from files."""

import dataclasses
import hashlib
import json
import sys

import numpy as np
import pytest

import keras_micromag
from keras_micromag import cli, physics
from tests.test_cli import DATA, FIGURES, made_up, names, refusal

SHORT = ["simulate", "--steps", "40", "--seed", "5", "--quiet", "--no-figures"]
CUBES = [[0, 0, 0], [1, 0, 0]]  # corners of two, in units of their edge


@pytest.fixture
def ran(monkeypatch):
    """Record the arguments of `simulate`, in place of a simulation."""
    called = {}

    def simulate(structure, easy_axes, **kwargs):
        called.update(kwargs, structure=structure, easy_axes=easy_axes)
        return made_up(structure, easy_axes, **kwargs)

    monkeypatch.setattr(physics, "simulate", simulate)
    return called


@pytest.fixture
def tess(tmp_path):
    """A file of two cubes with orientations, in Neper's unit of 1 µm."""
    path = tmp_path / "cubes.tess"
    physics.write_neper(path, two_cubes(), easy_axes=[[0.0, 0.6, 0.8], [0.6, 0.0, 0.8]])
    return path


def two_cubes(size=1e-6):
    cube = physics.cubic_grains((1, 1, 1), size=size).grains[0]
    return physics.Microstructure([cube.translated(size * np.array(place)) for place in CUBES])


def write_off(path, grain, unit):
    """A surface mesh."""
    triangles = [(f[0], f[i], f[i + 1]) for f in grain.faces for i in range(1, len(f) - 1)]
    rows = [f"{len(grain.vertices)} {len(triangles)} 0"]
    rows += [" ".join(f"{x:.12g}" for x in vertex / unit) for vertex in grain.vertices]
    rows += [f"3 {a} {b} {c}" for a, b, c in triangles]
    path.write_text("\n".join(["OFF", *rows]))
    return path


def settings_of(out):
    return json.loads((out / "settings.json").read_text(encoding="utf-8"))


# Polycrystals


@pytest.mark.slow
def test_a_polycrystal_is_simulated_written_and_read_back(tmp_path):
    out, again = tmp_path / "out", tmp_path / "again"
    assert cli.main([*SHORT, "--voronoi", "20", "--magnets", "2", "--out", str(out)]) == 0
    assert names(out) == DATA | {"grains.tess"}
    structure = physics.voronoi_grains(20, 53e-9 * 20 ** (1 / 3), [5, 1])
    axes = physics.random_easy_axes((2, 20), seed=5)
    expected = physics.simulate(structure, axes, field=np.linspace(8, -8, 40))
    loops = physics.Hysteresis.load(out / "loops.npz")
    np.testing.assert_array_equal(loops.magnetization, expected.magnetization)
    assert loops.packing_fraction == pytest.approx(structure.packing_fraction)
    settings = settings_of(out)
    assert (
        settings["voronoi"] == settings["grains"] == 20
        and settings["gap_nm"] == 3
        and settings["size_nm"] == 50
    )
    assert "grid" not in settings and "unit_nm" not in settings and settings["sample"] == "box"

    file = out / "grains.tess"
    assert cli.main([*SHORT, "--structure", str(file), "--out", str(again)]) == 0
    same = physics.Hysteresis.load(again / "loops.npz")
    np.testing.assert_allclose(same.easy_axes, axes[:1], atol=1e-12)
    # Through a file coordinates are rounded: by the solver's tolerance, times what couples grains.
    np.testing.assert_allclose(same.magnetization, expected.magnetization[:1], atol=1e-3)


@pytest.mark.slow
def test_every_option_reaches_the_polycrystal(ran, tmp_path):
    arguments = ["--voronoi", "30", "--size", "40", "--gap", "2", "--sigma", "0.2"]
    arguments += ["--relaxation", "1", "--stretch", "1", "1", "2", "--sample", "cylinder"]
    arguments += ["--vanishing", "drop", "--depth", "2", "--scheme", "faces"]
    assert cli.main([*SHORT, *arguments, "--out", str(tmp_path)]) == 0
    expected = physics.voronoi_grains(
        30,
        42e-9 * 30 ** (1 / 3),
        [5, 1],
        2e-9,
        sigma=0.2,
        relaxation=1,
        stretch=(1, 1, 2),
        sample="cylinder",
        vanishing="drop",
        depth=2e-9,
        scheme="faces",
    )
    np.testing.assert_allclose(ran["structure"].particles, expected.particles, atol=1e-18)
    settings = settings_of(tmp_path)
    assert settings["grains"] == len(expected) and settings["stretch"] == [1, 1, 2]
    assert settings["magnets"] == 10 and settings["cone_degrees"] == 35


def test_the_operator_and_its_error_reach_the_simulation(ran, tmp_path):
    cubes = [*SHORT, "--grid", "2", "2", "2"]
    asked = ["--operator", "hierarchical", "--rtol", "2e-5"]
    for arguments, operator, rtol in (([], "auto", 1e-4), (asked, "hierarchical", 2e-5)):
        out = tmp_path / operator
        assert cli.main([*cubes, *arguments, "--out", str(out)]) == 0
        assert (ran["operator"], ran["rtol"]) == (operator, rtol)
        settings = settings_of(out)
        assert (settings["operator"], settings["rtol"]) == (operator, rtol)


@pytest.mark.parametrize("which", [["--grid", "2", "2", "2"], ["--voronoi", "8"]], ids=str)
def test_materials_scatter_from_grain_to_grain(ran, tmp_path, which):
    spreads = ["--ku-spread", "0.1", "--js-spread", "0.02", "--ku", "4e6"]
    assert cli.main([*SHORT, *which, *spreads, "--out", str(tmp_path)]) == 0
    median = dataclasses.replace(physics.ND2FE14B, Ku=4e6)
    assert ran["material"] == physics.spread_materials(median, 8, Js=0.02, Ku=0.1, seed=[5, 2])
    assert settings_of(tmp_path)["ku_spread"] == 0.1


# Files


def test_orientations_of_a_file_are_the_easy_axes(ran, tess, tmp_path):
    out = tmp_path / "out"
    assert cli.main([*SHORT, "--structure", str(tess), "--gap", "10", "--out", str(out)]) == 0
    np.testing.assert_allclose(ran["easy_axes"], [[[0.0, 0.6, 0.8], [0.6, 0.0, 0.8]]], atol=1e-9)
    np.testing.assert_allclose(ran["structure"].volumes, 990e-9**3)
    assert ran["structure"].volume == pytest.approx(2e-18)
    settings = settings_of(out)
    assert settings["structure"] == [str(tess)] and settings["magnets"] == 1
    assert settings["sha256"] == [hashlib.sha256(tess.read_bytes()).hexdigest()]
    assert settings["cone_degrees"] is None and settings["unit_nm"] == 1000


def test_a_cone_draws_others(ran, tess, tmp_path):
    arguments = ["--structure", str(tess), "--cone", "20", "--magnets", "3", "--unit", "50"]
    assert cli.main([*SHORT, *arguments, "--out", str(tmp_path / "out")]) == 0
    expected = physics.random_easy_axes((3, 2), cone=20.0, seed=5)
    np.testing.assert_array_equal(ran["easy_axes"], expected)
    np.testing.assert_allclose(ran["structure"].volumes, 50e-9**3)


def test_without_orientations_axes_are_drawn(ran, tmp_path):
    file = tmp_path / "cubes.TESS"
    physics.write_neper(file, two_cubes())
    assert cli.main([*SHORT, "--structure", str(file), "--out", str(tmp_path / "out")]) == 0
    np.testing.assert_array_equal(ran["easy_axes"], physics.random_easy_axes((10, 2), seed=5))


def test_grains_come_from_surface_meshes(ran, tmp_path):
    pytest.importorskip("trimesh")
    files = [
        write_off(tmp_path / f"{k}.off", grain, 1e-9)
        for k, grain in enumerate(two_cubes(50e-9).grains)
    ]
    arguments = ["--structure", *map(str, files), "--unit", "2"]
    assert cli.main([*SHORT, *arguments, "--out", str(tmp_path / "out")]) == 0
    np.testing.assert_allclose(ran["structure"].volumes, 100e-9**3)
    settings = settings_of(tmp_path / "out")
    assert settings["grains"] == 2 and len(settings["sha256"]) == 2 and "gap_nm" not in settings
    assert names(tmp_path / "out") == DATA | {"grains.tess"}


# What is drawn and written besides


@pytest.mark.integration
def test_all_kinds_of_pictures_are_written(ran, tmp_path):
    for module in ("matplotlib", "pyvista"):
        pytest.importorskip(module)
    out = tmp_path / "out"
    arguments = [*SHORT[:-1], "--voronoi", "8", "--animation", "gif", "--vtk", "--out", str(out)]
    for _ in range(2):  # what an earlier run left is replaced
        assert cli.main([*arguments, "--steps", "4"]) == 0
    series = {"loop.gif", "grains.tess", "loops.pvd", "loops"}
    assert names(out) == DATA | FIGURES | series
    assert (out / "loop.gif").read_bytes().startswith(b"GIF8")
    assert names(out / "loops") == {f"step_{step:04d}.vtu" for step in range(4)}


@pytest.mark.parametrize(("grains", "cut"), [("8", False), ("70", True)])
def test_many_grains_are_drawn_cut_open(ran, tmp_path, monkeypatch, grains, cut):
    plots = pytest.importorskip("keras_micromag.plots")
    drawn = []
    monkeypatch.setattr(plots, "plot_reversal", lambda *_, **kwargs: drawn.append(kwargs["cut"]))
    assert cli.main([*SHORT[:-1], "--voronoi", grains, "--out", str(tmp_path)]) == 0
    assert (drawn[0] is not None) == cut


# What is refused before the simulation


@pytest.fixture
def never(monkeypatch):
    """A simulation that must not be reached."""
    monkeypatch.setattr(physics, "simulate", lambda *_, **__: pytest.fail("it was started"))


@pytest.mark.usefixtures("never")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--voronoi", "8", "--grid", "2", "2", "2"], "not allowed with argument --voronoi"),
        (["--voronoi", "0"], "--voronoi: must be a whole number of at least 1; received 0"),
        (["--voronoi", "8", "--size", "0"], "`size` must be greater than 0; received 0"),
        (["--voronoi", "8", "--sigma", "-1"], "`sigma` must be at least 0"),
        (["--voronoi", "8", "--stretch", "1", "1", "0"], "`stretch` must be positive"),
        (["--voronoi", "8", "--sample", "cone"], "--sample: invalid choice: 'cone'"),
        (["--voronoi", "8", "--gap", "60"], "`gap` must leave something of"),
        (["--voronoi", "8", "--unit", "1"], "`--unit` must not be given with --voronoi; received"),
        (["--sigma", "0.3"], "`--sigma` must not be given with --grid; received 0.3"),
        (["--ku-spread", "-0.1"], "`ku-spread` must be at least 0"),
        (["--structure", "none.tess"], "none.tess: No such file or directory"),
        (["--structure", "a.tess", "b.stl"], "one .tess file, or surface meshes; received a.tess"),
        (["--structure", "a.tess", "--size", "50"], "`--size` must not be given with a .tess file"),
        (["--structure", "a.stl", "--gap", "3"], "`--gap` must not be given with surface meshes"),
        (["--animation", "gif"], "`--animation` must not be given with --no-figures"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_contradictory_options_get_one_sentence(capsys, tmp_path, arguments, sentence):
    out = tmp_path / "out"
    assert sentence in refusal(capsys, [*SHORT, *arguments, "--out", str(out)])
    assert not out.exists()


@pytest.mark.usefixtures("never")
def test_a_files_orientations_are_those_of_one_magnet(capsys, tess):
    sentence = refusal(capsys, [*SHORT, "--structure", str(tess), "--magnets", "3"])
    assert "`--magnets` must be 1 with the orientations" in sentence and "received 3" in sentence


@pytest.mark.usefixtures("never")
def test_a_folder_of_other_files_is_left_alone(capsys, tmp_path):
    pytest.importorskip("pyvista")
    (tmp_path / "loops").mkdir()
    (tmp_path / "loops" / "notes.txt").write_text("mine")
    assert "notes.txt" in refusal(capsys, [*SHORT, "--vtk", "--out", str(tmp_path)])


@pytest.mark.usefixtures("never")
def test_missing_packages_are_reported_before_the_simulation(capsys, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("PATH", str(tmp_path))
    moving = [*SHORT[:-1], "--animation", "mp4", "--out", str(tmp_path)]
    assert "where there is no ffmpeg; received mp4" in refusal(capsys, moving)
    monkeypatch.setitem(sys.modules, "pyvista", None)
    monkeypatch.delitem(sys.modules, "keras_micromag.vtk", raising=False)
    monkeypatch.delattr(keras_micromag, "vtk", raising=False)
    sentence = refusal(capsys, [*SHORT, "--vtk", "--out", str(tmp_path)])
    assert "keras-micromag[vtk]" in sentence and not names(tmp_path)
