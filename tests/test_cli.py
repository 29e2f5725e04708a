"""The command line: what it prints and writes, and what bad input gets."""

import csv
import errno
import json
import os
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from keras_micromag import cli, physics
from keras_micromag.cli import output

TINY = ["simulate", "--grid", "2", "2", "2", "--steps", "40", "--magnets", "3", "--seed", "5"]
DATA = {"loops.npz", "loops.csv", "settings.json"}
FIGURES = {"loops.png", "reversal.png"}


def names(folder):
    return {path.name for path in folder.iterdir()}


def python(*arguments, **environment):
    """Run this Python in a process of its own."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def made_up(structure, easy_axes, *, field, **_):
    """Stand in for `simulate`: every grain follows its easy axis and flips at -4 T."""
    signs = np.where(field > -4.0, 1.0, -1.0)
    magnetization = signs[:, None, None] * easy_axes[:, None]
    return physics.Hysteresis(
        field=field,
        magnetization=magnetization,
        easy_axes=easy_axes,
        converged=np.ones(magnetization.shape[:2], bool),
        iterations=np.ones(magnetization.shape[:2], int),
        polarization=np.full(len(structure), 1.61),
        volumes=structure.volumes,
        packing_fraction=structure.packing_fraction,
        field_direction=np.array([0.0, 0.0, 1.0]),
    )


@pytest.fixture
def quick(monkeypatch):
    """The command line without the solver, and without figures."""
    monkeypatch.setattr(physics, "simulate", made_up)
    return [*TINY, "--no-figures"]


@pytest.fixture
def never(monkeypatch):
    """A simulation that must not be reached."""

    def simulate(*_, **__):
        raise AssertionError("the simulation was started")

    monkeypatch.setattr(physics, "simulate", simulate)


def refusal(capsys, arguments, status=2):
    """The one sentence on stderr of a run that fails."""
    assert cli.main(arguments) == status
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert len(lines) == 1 and captured.out == ""
    assert lines[0].startswith("keras-micromag: ") and lines[0].endswith(".")
    return lines[0]


# What a run leaves


@pytest.mark.slow
@pytest.mark.backend
def test_simulate_writes_what_it_prints(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    out = tmp_path / "new" / "folder"
    assert cli.main([*TINY, "--field", "6", "-7", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert names(out) == DATA | FIGURES

    hysteresis = physics.Hysteresis.load(out / "loops.npz")
    structure = physics.cubic_grains((2, 2, 2))
    axes = physics.random_easy_axes((3, 8), cone=35.0, seed=5)
    expected = physics.simulate(structure, axes, field=np.linspace(6, -7, 40))
    np.testing.assert_array_equal(hysteresis.magnetization, expected.magnetization)

    with (out / "loops.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["mu0H (T)", *(f"magnet {b} M/Ms" for b in range(3))]
    table = np.array(rows, dtype=float)
    np.testing.assert_allclose(table[:, 0], hysteresis.field, rtol=1e-9)
    np.testing.assert_allclose(table[:, 1:].T, hysteresis.magnetization_along_field, rtol=1e-9)

    settings = json.loads((out / "settings.json").read_text(encoding="utf-8"))
    assert settings["grid"] == [2, 2, 2] and settings["field_T"] == [6, -7]
    assert settings["Js_T"] == physics.ND2FE14B.Js and settings["seed"] == 5

    for name in FIGURES:
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    for merit, digits in (
        (hysteresis.coercivity(), 3),
        (hysteresis.remanence(), 3),
        (hysteresis.energy_product() / 1000, 1),
    ):
        for value in merit:
            assert f"{value:.{digits}f}" in printed
        assert f"{merit.mean():.{digits}f} ± {merit.std(ddof=1):.{digits}f}" in printed
    for name in DATA | FIGURES:
        assert name in printed
    assert "set-up" in printed and "compilation included" in printed


@pytest.mark.integration
@pytest.mark.backend
def test_the_module_runs_on_the_backend_and_in_the_precision_asked_for(tmp_path):
    import keras

    asked = keras.backend.backend()
    other = "torch" if asked != "torch" else "jax"
    arguments = [*TINY, "--no-figures", "--out", str(tmp_path)]
    arguments += ["--backend", asked, "--dtype", "float64"]
    ran = python("-m", "keras_micromag", *arguments, KERAS_BACKEND=other)
    assert ran.returncode == 0, ran.stderr
    assert "mean ± spread" in ran.stdout and "Traceback" not in ran.stderr
    assert names(tmp_path) == DATA
    assert physics.Hysteresis.load(tmp_path / "loops.npz").magnetization.dtype == np.float64
    settings = json.loads((tmp_path / "settings.json").read_text(encoding="utf-8"))
    assert settings["backend"] == asked and asked in settings["versions"]


@pytest.mark.slow
def test_every_option_reaches_the_simulation(tmp_path, capsys):
    arguments = ["--size", "40", "--gap", "2", "--material", "SmCo5", "--js", "1.1", "--a", "1e-11"]
    arguments += ["--ku", "9e6", "--cone", "20", "--depth", "3", "--scheme", "vertices, centroid"]
    arguments += ["--self-field", "--avalanche", "weakest_first", "--field", "4", "-12"]
    arguments += ["--tol", "1e-5", "--max-iterations", "500", "--quiet", "--no-figures"]
    arguments += ["--exchange", "0.2"]
    assert cli.main([*TINY, *arguments, "--out", str(tmp_path)]) == 0
    assert capsys.readouterr() == ("", "")

    material = physics.Material(Js=1.1, Ku=9e6, A=1e-11)
    structure = physics.cubic_grains(
        (2, 2, 2), size=40e-9, gap=2e-9, depth=3e-9, scheme=("vertices", "centroid")
    )
    expected = physics.simulate(
        structure,
        physics.random_easy_axes((3, 8), cone=20.0, seed=5),
        material=material,
        field=np.linspace(4, -12, 40),
        self_field=True,
        exchange=0.2e-3,
        avalanche="weakest_first",
        tol=1e-5,
        max_iterations=500,
    )
    loaded = physics.Hysteresis.load(tmp_path / "loops.npz")
    np.testing.assert_array_equal(loaded.magnetization, expected.magnetization)
    settings = json.loads((tmp_path / "settings.json").read_text(encoding="utf-8"))
    assert settings["Ku_J_per_m3"] == 9e6 and settings["depth_nm"] == 3 and settings["self_field"]
    assert settings["exchange_mJ_per_m2"] == 0.2


@pytest.mark.slow
def test_a_temperature(tmp_path, capsys):
    arguments = [*TINY, "--material", "Sm2Co17", "--ku-spread", "0.1", "--quiet", "--no-figures"]
    assert cli.main([*arguments, "--temperature", "450", "--out", str(tmp_path)]) == 0
    materials = physics.spread_materials(physics.MATERIALS["Sm2Co17"], 8, Ku=0.1, seed=[5, 2])
    expected = physics.simulate(
        physics.cubic_grains((2, 2, 2)),
        physics.random_easy_axes((3, 8), cone=35.0, seed=5),
        material=materials,
        temperature=450.0,
        field=np.linspace(8, -8, 40),
    )
    loaded = physics.Hysteresis.load(tmp_path / "loops.npz")
    np.testing.assert_array_equal(loaded.magnetization, expected.magnetization)
    settings = json.loads((tmp_path / "settings.json").read_text(encoding="utf-8"))
    assert settings["temperature_K"] == 450 and settings["Js_T"] == 1.25, "as they were given"
    activated = [*arguments, "--temperature", "450", "--sweep-rate", "0.1", "--method", "events"]
    assert cli.main([*activated, "--out", str(tmp_path)]) == 0
    warm = physics.Hysteresis.load(tmp_path / "loops.npz")
    assert (warm.coercivity() < loaded.coercivity()).all()
    assert cli.main([*arguments, "--temperature", "2000", "--out", str(tmp_path)]) != 0
    assert "`temperature` must be below the Curie temperature" in capsys.readouterr().err


@pytest.mark.slow
def test_loops_with_the_field_of_nuclei(tmp_path):
    options = ["--self-field", "nucleus", "--depth", "calibrated", "--quiet", "--no-figures"]
    assert cli.main([*TINY, *options, "--out", str(tmp_path)]) == 0
    expected = physics.simulate(
        physics.cubic_grains((2, 2, 2), depth="calibrated"),
        physics.random_easy_axes((3, 8), seed=5),
        field=np.linspace(8, -8, 40),
        self_field="nucleus",
    )
    loaded = physics.Hysteresis.load(tmp_path / "loops.npz")
    np.testing.assert_array_equal(loaded.magnetization, expected.magnetization)
    settings = json.loads((tmp_path / "settings.json").read_text(encoding="utf-8"))
    assert (settings["self_field"], settings["depth_nm"]) == ("nucleus", "calibrated")


@pytest.mark.slow
def test_a_repeated_command_reads_its_checkpoint(capsys, tmp_path, monkeypatch):
    options = ["--checkpoint", str(tmp_path / "kept"), "--no-figures", "--quiet"]
    assert cli.main([*TINY, *options, "--out", str(tmp_path / "first")]) == 0
    monkeypatch.setattr(physics.solver.field_steps, "advance", None)
    assert cli.main([*TINY, *options, "--out", str(tmp_path / "second")]) == 0
    for name in DATA:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    sentence = refusal(capsys, [*TINY, *options, "--seed", "6", "--out", str(tmp_path / "third")])
    assert "`checkpoint` must be an empty folder or that of this loop" in sentence
    assert "kept, whose loop differs in `easy_axes`" in sentence
    assert not (tmp_path / "third").exists()


@pytest.mark.slow
def test_simulate_by_events_writes_them(tmp_path, capsys):
    out = tmp_path / "out"
    command = [*TINY, "--method", "events", "--no-figures", "--quiet", "--out", str(out)]
    assert cli.main(command) == 0
    assert names(out) == DATA | {"events.csv"}
    events = physics.Hysteresis.load(out / "loops.npz").events
    with (out / "events.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["magnet", "avalanche", "grain", "mu0H (T)"]
    table = np.array(rows, dtype=float).T
    columns = (events.magnet, events.avalanche, events.grain, events.field)
    np.testing.assert_allclose(table, columns, rtol=1e-9)
    settings = json.loads((out / "settings.json").read_text(encoding="utf-8"))
    assert settings["method"] == "events" and settings["avalanche"] == "weakest_first"
    message = refusal(capsys, [*command, "--checkpoint", str(tmp_path / "kept")])
    assert "`--checkpoint` must be left out by events" in message


def test_shape_anisotropy_reaches_the_material(quick, tmp_path):
    assert cli.main([*quick, "--kd", "-1e5", "--quiet", "--out", str(tmp_path)]) == 0
    settings = json.loads((tmp_path / "settings.json").read_text(encoding="utf-8"))
    assert settings["Kd_J_per_m3"] == -1e5 and settings["Ku_J_per_m3"] == physics.ND2FE14B.Ku


def test_exchange_that_is_none_is_refused(capsys, tmp_path):
    sentence = refusal(capsys, [*TINY, "--exchange", "-1", "--out", str(tmp_path / "out")])
    assert "`exchange` must be at least 0 J/m²; received -0.001" in sentence
    assert not (tmp_path / "out").exists()


def test_one_magnet_has_no_spread(quick, tmp_path, capsys):
    assert cli.main([*quick, "--magnets", "1", "--out", str(tmp_path)]) == 0
    assert "±" not in capsys.readouterr().out


def test_a_loop_that_never_reverses_has_no_coercivity(quick, tmp_path, capsys):
    assert cli.main([*quick, "--field", "8", "1", "--out", str(tmp_path)]) == 0
    assert "none" in capsys.readouterr().out


def test_files_of_an_earlier_run_are_replaced(quick, tmp_path):
    for name in DATA:
        (tmp_path / name).write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    assert cli.main([*quick, "--quiet", "--out", str(tmp_path)]) == 0
    assert names(tmp_path) == DATA | {"notes.txt"}
    assert all((tmp_path / name).read_bytes() != b"old" for name in DATA)


# What bad input gets


@pytest.mark.usefixtures("never")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--grid", "2", "0", "2"], "--grid: must be a whole number of at least 1; received 0"),
        (["--magnets", "0"], "--magnets: must be a whole number of at least 1; received 0"),
        (["--steps", "0"], "--steps: must be a whole number of at least 1; received 0"),
        (["--steps", "many"], "--steps: must be a whole number of at least 1; received many"),
        (["--max-iterations", "-1"], "--max-iterations: must be a whole number"),
        (["--field", "8", "nan"], "--field: must be a finite number; received nan"),
        (["--field", "8"], "--field: expected 2 arguments"),
        (["--seed", "-1"], "--seed: must be a whole number of at least 0; received -1"),
        (["--size", "0"], "`size` must be greater than 0; received 0.0"),
        (["--gap", "-1"], "`gap` must be at least 0"),
        (["--js", "-1.6"], "`Js` must be greater than 0; received -1.6"),
        (["--ku", "0"], "`Ku` must be greater than 0; received 0.0"),
        (["--a", "inf"], "--a: must be a finite number; received inf"),
        (["--kd", "-5e6"], "`Kd` must be greater than -Ku"),
        (["--cone", "-3"], "`cone`"),
        (["--depth", "25"], "grain 0"),
        (["--scheme", "vertices,corners"], "`scheme` must be one of"),
        (["--scheme", ""], "`scheme`"),
        (
            ["--material", "Unobtainium"],
            "Nd2Fe14B, SmCo5, Sm2Co17, BaFe12O19, SrFe12O19; received Unobt",
        ),
        (["--dtype", "float16"], "--dtype: invalid choice: 'float16'"),
        (["--avalanche", "slow"], "--avalanche: invalid choice: 'slow'"),
        (["--operator", "fast"], "--operator: invalid choice: 'fast'"),
        (["--rtol", "small"], "--rtol: must be a finite number; received small"),
        (["--backend", "numpy"], "--backend: invalid choice: 'numpy'"),
        (["--colour", "red"], "unrecognized arguments: --colour red"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_options_get_one_sentence(capsys, tmp_path, arguments, sentence):
    out = tmp_path / "out"
    assert sentence in refusal(capsys, [*TINY, "--out", str(out), *arguments])
    assert not out.exists()


@pytest.mark.parametrize("arguments", [[], ["fly"]], ids=["none", "unknown"])
def test_bad_commands_get_one_sentence(capsys, arguments):
    assert "COMMAND" in refusal(capsys, arguments)


def test_magnets_that_fail_are_named_and_the_others_written(capsys, tmp_path):
    options = ["--self-field", "none", "--depth", "2.4", "--max-iterations", "6", "--quiet"]
    options += ["--avalanche", "simultaneous"]
    assert cli.main([*TINY, *options, "--out", str(tmp_path)]) == 0
    warning = capsys.readouterr().err
    assert warning.startswith("keras-micromag: warning: 2 of 3 magnets found no equilibrium")
    assert warning.count("\n") == 1
    converged = physics.Hysteresis.load(tmp_path / "loops.npz").converged
    assert converged.all(axis=1).sum() == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--self-field", "--kd", "1e5"], "`self_field`"),
        (["--self-field", "nucleus", "--kd", "1e5"], "0, or the grain's shape counts twice; rece"),
        (["--tol", "0"], "`tol`"),
        (["--rtol", "2"], "`rtol` must be at least 5e-06 in float32, and below 1; received 2"),
        (["--max-iterations", "1"], "no magnet found an equilibrium at every field step within"),
    ],
    ids=["self-field with Kd", "nucleus with Kd", "tol", "rtol", "not converged"],
)
def test_errors_of_the_solver_get_one_sentence(capsys, tmp_path, arguments, sentence):
    out = tmp_path / "out"
    assert sentence in refusal(capsys, [*TINY, "--quiet", "--out", str(out), *arguments])
    assert not out.exists()


@pytest.mark.usefixtures("never")
def test_a_file_in_place_of_the_folder_is_refused_before_the_simulation(capsys, tmp_path):
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        sentence = refusal(capsys, [*TINY, "--out", str(out)])
        assert f"`--out` cannot be written: {out}: Not a directory." in sentence
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.usefixtures("never")
def test_a_folder_for_both_results_and_checkpoint_is_refused(capsys, tmp_path):
    out = ["--out", str(tmp_path / "runs"), "--checkpoint", str(tmp_path / "other" / ".." / "runs")]
    sentence = refusal(capsys, [*TINY, *out])
    assert "`--checkpoint` must be another folder than --out; received " in sentence
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("never")
def test_a_folder_in_place_of_a_file_is_refused_before_the_simulation(capsys, tmp_path):
    (tmp_path / "loops.csv").mkdir()
    assert "loops.csv is a folder." in refusal(capsys, [*TINY, "--out", str(tmp_path)])


@pytest.mark.usefixtures("never")
@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder where none can write")
def test_a_read_only_folder_is_refused_before_the_simulation(capsys):
    assert "`--out` cannot be written: /proc/runs" in refusal(
        capsys, [*TINY, "--out", "/proc/runs"]
    )


@pytest.mark.usefixtures("never")
@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may write anywhere")
def test_missing_permission_is_reported_before_the_simulation(capsys, tmp_path):
    tmp_path.chmod(0o500)
    try:
        sentence = refusal(capsys, [*TINY, "--out", str(tmp_path / "runs")])
    finally:
        tmp_path.chmod(0o700)
    assert "Permission denied." in sentence


# Two runs in one folder


def test_files_of_another_run_are_replaced_or_removed(quick, tmp_path):
    out = tmp_path / "out"
    assert cli.main([*quick, "--out", str(out)]) == 0
    (out / "loops").mkdir()
    of_run = {"events.csv", "grains.tess", "loops.pvd", "loops/step_0000.vtu"}
    own = {"notes.txt", "loops/notes.txt"}
    for name in of_run | own:
        (out / name).touch()
    # The same loops: whatever shows them stays.
    assert cli.main([*quick, "--out", str(out)]) == 0
    assert all((out / name).exists() for name in of_run | own)
    assert cli.main([*quick, "--cone", "20", "--out", str(out)]) == 0
    assert not any((out / name).exists() for name in of_run)
    assert names(out) == DATA | {"notes.txt", "loops"} and names(out / "loops") == {"notes.txt"}


def test_files_of_no_run_stay(quick, tmp_path):
    (tmp_path / "grains.tess").touch()
    assert cli.main([*quick, "--out", str(tmp_path)]) == 0
    assert names(tmp_path) == DATA | {"grains.tess"}


def test_a_run_waits_while_another_writes(quick, tmp_path):
    out, statuses = tmp_path / "out", []
    run = threading.Thread(
        target=lambda: statuses.append(cli.main([*quick, "--quiet", "--out", str(out)]))
    )
    with output.alone(out):
        run.start()
        run.join(timeout=1.0)
        assert run.is_alive() and names(out) <= {".lock"}
    run.join()
    assert statuses == [0] and names(out) == DATA


# What a failure leaves


def _disk_full(path, *_, **__):
    Path(path).write_bytes(b"half")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("fails", ["save", "csv", "replace"])
def test_a_full_disk_leaves_no_half_written_file(quick, capsys, tmp_path, monkeypatch, fails):
    for name in DATA:
        (tmp_path / name).write_text("old")
    if fails == "save":
        monkeypatch.setattr(physics.Hysteresis, "save", lambda self, path: _disk_full(path))
    elif fails == "csv":
        monkeypatch.setattr(np, "savetxt", _disk_full)
    else:
        monkeypatch.setattr(os, "replace", lambda part, path: _disk_full(part))
    sentence = refusal(capsys, [*quick, "--out", str(tmp_path)])
    assert f"`--out` cannot be written: {tmp_path}: No space left on device." in sentence
    assert names(tmp_path) == DATA
    assert all((tmp_path / name).read_text() == "old" for name in DATA)


def test_a_figure_that_fails_leaves_no_half_written_file(quick, capsys, tmp_path, monkeypatch):
    style = pytest.importorskip("keras_micromag.plots.style")
    monkeypatch.setattr(style, "save_figure", lambda figure, path, **_: _disk_full(path))
    quick.remove("--no-figures")
    refusal(capsys, [*quick, "--out", str(tmp_path)])
    assert names(tmp_path) == set()


def test_interrupting_leaves_nothing(capsys, tmp_path, monkeypatch):
    def simulate(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(physics, "simulate", simulate)
    out = tmp_path / "out"
    arguments = [*TINY, "--no-figures", "--out", str(out)]
    assert refusal(capsys, arguments, status=130) == "keras-micromag: interrupted."
    assert not out.exists()


def test_an_interrupted_process_exits_with_130():
    # A shell's background job ignores SIGINT, and so would its Python.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from keras_micromag import cli; "
    code += "cli.simulate.check_output = lambda *_: signal.raise_signal(signal.SIGINT); cli.main()"
    ran = python("-c", code, *TINY)
    assert (ran.returncode, ran.stderr) == (130, "keras-micromag: interrupted.\n")


# What is not installed, and what is not imported


@pytest.mark.usefixtures("never")
def test_without_matplotlib_the_sentence_names_the_extra(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    sentence = refusal(capsys, [*TINY, "--out", str(tmp_path)])
    assert "keras-micromag[plot]" in sentence and "--no-figures" in sentence


def test_without_matplotlib_everything_else_works(quick, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert cli.main([*quick, "--quiet", "--out", str(tmp_path)]) == 0


@pytest.mark.usefixtures("never")
def test_a_backend_chosen_too_late_is_refused(capsys, tmp_path):
    import keras

    other = "torch" if keras.backend.backend() != "torch" else "jax"
    sentence = refusal(capsys, [*TINY, "--no-figures", "--backend", other, "--out", str(tmp_path)])
    assert f"already uses {keras.backend.backend()}." in sentence
    assert os.environ.get("KERAS_BACKEND") != other


@pytest.mark.skipif(
    not (find_spec("tensorflow") or find_spec("torch")),
    reason="without any backend the package cannot be imported: see tests/test_house.py",
)
def test_a_missing_backend_gets_one_sentence(tmp_path):
    code = (
        "import sys; sys.modules['jax'] = None; from keras_micromag.cli import main; "
        "sys.exit(main(sys.argv[1:]))"
    )
    ran = python("-c", code, *TINY, "--no-figures", "--backend", "jax", "--out", str(tmp_path))
    assert ran.returncode == 2 and ran.stdout == ""
    assert "keras-micromag[jax]" in ran.stderr and "Traceback" not in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "request_", ["--help", "simulate --help", "--version", "simulate --grid 0"]
)
def test_help_and_bad_options_import_no_keras(request_):
    code = (
        "import sys; from keras_micromag.cli import main; status = main(sys.argv[1:]); "
        "heavy = {'keras', 'tensorflow', 'jax', 'torch', 'matplotlib'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else status)"
    )
    ran = python("-c", code, *request_.split())
    assert ran.returncode == (2 if request_.endswith("0") else 0), ran.stderr


def test_help_names_every_default_with_its_unit(capsys):
    assert cli.main(["simulate", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for piece in (
        "grains along x, y and z (default: 4 4 4)",
        "with --voronoi, of a cube of the mean volume (default: 50.0)",
        "(default: 3.0); the cells of a .tess file are made smaller for it (default: 0.0)",
        "elongated along x, y and z (default: 1.0 1.0 1.0)",
        "first and last field in T (default: 8.0 -8.0)",
        "agrees with micromagnetics (default: calibrated)",
        "(default: nucleus; all with no value)",
        *physics.MATERIALS,
    ):
        assert piece in text
    assert "None" not in text
