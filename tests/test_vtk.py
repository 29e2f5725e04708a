"""Files for ParaView, read again, and the interactive scene."""

import doctest
import os
import subprocess
import sys
from importlib.util import find_spec
from xml.etree import ElementTree

import numpy as np
import pytest

pv = pytest.importorskip("pyvista")

from keras_micromag import physics, vtk  # noqa: E402
from tests.plots.magnets import HORSESHOE, loop, polycrystal, prism  # noqa: E402


def volumes(grid):
    """By the divergence theorem over each cell's faces: VTK's own are good to 1e-6 only."""
    totals = []
    for cell in grid.cell:
        corner = cell.points[0]
        total = 0.0
        for face in cell.faces:
            points = face.points - corner
            area = 0.5 * np.cross(points, np.roll(points, -1, axis=0)).sum(axis=0)
            total += points[0] @ area / 3
        totals.append(total)
    return np.array(totals)


@pytest.fixture
def cells():
    return polycrystal(30, seed=1, gap=0.01)


def test_each_grain_is_a_polyhedron_with_its_volume(cells):
    grid = vtk.unstructured_grid(cells, moment=np.ones((30, 3)), switching_field_T=np.arange(30.0))
    assert (grid.celltypes == pv.CellType.POLYHEDRON).all()
    np.testing.assert_allclose(volumes(grid), cells.volumes, rtol=1e-9)
    np.testing.assert_array_equal(grid["volume_m3"], cells.volumes)
    np.testing.assert_array_equal(grid["grain"], np.arange(30))
    assert grid["moment"].shape == (30, 3)
    # VTK itself takes them for closed bodies.
    np.testing.assert_allclose(grid.compute_cell_sizes()["Volume"], cells.volumes, rtol=1e-5)


def test_grains_that_are_not_convex_are_cells_too():
    grain = physics.Polyhedron(*prism(HORSESHOE, 0, 1))
    structure = physics.Microstructure([grain], depth=0.0)
    np.testing.assert_allclose(volumes(vtk.unstructured_grid(structure)), [grain.volume], rtol=1e-9)


def test_a_magnet_of_real_size_can_be_cut_by_vtk():
    structure = physics.cubic_grains((2, 2, 2))
    half = vtk.unstructured_grid(structure).clip(normal="x", origin=(10e-9, 0, 0))
    expected = 100e-9**2 * (50e-9 + 10e-9 - 1.5e-9)
    np.testing.assert_allclose(half.compute_cell_sizes()["Volume"].sum(), expected, rtol=1e-5)


def test_arrays_of_another_length_are_refused(cells):
    with pytest.raises(ValueError, match=r"`kind` must have shape \(g,\) or \(g, 3\) with g = 30"):
        vtk.unstructured_grid(cells, kind=np.ones(3))
    with pytest.raises(ValueError, match="`kind` must be an array of numbers"):
        vtk.unstructured_grid(cells, kind=["hard"] * 30)
    assert vtk.unstructured_grid(cells, kind=np.ones(30, "float16"))["kind"].dtype == float


def test_a_structure_is_written_and_read_again(cells, tmp_path):
    vtk.write_vtk(tmp_path / "magnet.vtu", cells, kind=np.arange(30) % 2)
    grid = pv.read(tmp_path / "magnet.vtu")
    np.testing.assert_allclose(volumes(grid), cells.volumes, rtol=1e-9)
    np.testing.assert_array_equal(grid["kind"], np.arange(30) % 2)
    assert [file.name for file in tmp_path.iterdir()] == ["magnet.vtu"]
    text = (tmp_path / "magnet.vtu").read_bytes()
    assert b'compressor="vtkZLibDataCompressor"' in text


def test_a_state_is_written_with_its_field(tmp_path):
    structure, hysteresis = loop(np.linspace(-3, -5, 16).reshape(2, 8))
    path = tmp_path / "state.vtu"
    vtk.write_vtk(path, structure, hysteresis, magnet=1, steps=-1)
    grid = pv.read(path)
    np.testing.assert_array_equal(grid["moment"], hysteresis.magnetization[1, -1])
    np.testing.assert_array_equal(grid["easy_axis"], hysteresis.easy_axes[1])
    np.testing.assert_array_equal(grid["switching_field_T"], hysteresis.switching_fields[1])
    assert grid.field_data["field_T"].tolist() == [-8.0]
    assert grid.field_data["step"].tolist() == [160]


def test_a_series_is_written_and_read_again(tmp_path):
    structure, hysteresis = loop(np.linspace(-3, -5, 8))
    path = tmp_path / "loop.pvd"
    vtk.write_vtk(path, structure, hysteresis)
    reader = pv.get_reader(path)
    times = reader.time_values
    assert times[0] == 0 and times[-1] == 160 and np.all(np.diff(times) > 0)
    assert 50 < len(times) <= 100
    for time in (times[0], times[-1]):
        reader.set_active_time_value(time)
        (grid,) = reader.read()
        step = int(time)
        np.testing.assert_array_equal(grid["moment"], hysteresis.magnetization[step])
        assert grid.field_data["field_T"].tolist() == [hysteresis.field[step]]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["loop", "loop.pvd"]


def test_chosen_steps_replace_an_earlier_series(tmp_path):
    structure, hysteresis = loop(np.linspace(-3, -5, 8))
    path = tmp_path / "loop.pvd"
    vtk.write_vtk(path, structure, hysteresis, steps=[0, 80, 120])
    vtk.write_vtk(path, structure, hysteresis, steps=[-1, 20])
    assert pv.get_reader(path).time_values == [20, 160]
    names = sorted(file.name for file in (tmp_path / "loop").iterdir())
    assert names == ["step_0000.vtu", "step_0001.vtu"]
    files = [part.get("file") for part in ElementTree.parse(path).iter("DataSet")]
    assert files == [f"loop/{name}" for name in names]


def test_a_failure_leaves_the_earlier_series_and_nothing_else(tmp_path, monkeypatch):
    structure, hysteresis = loop(np.linspace(-3, -5, 8))
    path = tmp_path / "loop.pvd"
    vtk.write_vtk(path, structure, hysteresis, steps=[0, 160])
    save, saved = pv.UnstructuredGrid.save, []

    def fail(self, file):
        if saved:
            raise OSError("disk full")
        saved.append(file)
        save(self, file)

    monkeypatch.setattr(pv.UnstructuredGrid, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        vtk.write_vtk(path, structure, hysteresis, steps=[20, 40])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["loop", "loop.pvd"]
    assert pv.get_reader(path).time_values == [0, 160]
    assert len(list((tmp_path / "loop").iterdir())) == 2


@pytest.mark.parametrize("written", [None, b"<VTKFile>half"])
@pytest.mark.parametrize("name", ["loop.pvd", "state.vtu"])
def test_a_full_disk_is_an_error(tmp_path, monkeypatch, written, name):
    # As VTK leaves it: it prints that a file could not be written, and goes on.
    def save(self, file):
        if written is not None:
            file.write_bytes(written)

    monkeypatch.setattr(pv.UnstructuredGrid, "save", save)
    structure, hysteresis = loop(np.linspace(-3, -5, 8))
    with pytest.raises(OSError, match=r"\.vtu could not be written; the disk may be full"):
        vtk.write_vtk(tmp_path / name, structure, hysteresis, steps=[20])
    assert not list(tmp_path.iterdir())


def test_a_folder_of_somebody_elses_is_left_alone(tmp_path):
    structure, hysteresis = loop(np.linspace(-3, -5, 8))
    (tmp_path / "loop").mkdir()
    (tmp_path / "loop" / "thesis.tex").write_text("mine")
    with pytest.raises(FileExistsError, match=r"leave a folder to the series; .* holds thesis.tex"):
        vtk.write_vtk(tmp_path / "loop.pvd", structure, hysteresis)
    assert [file.name for file in tmp_path.iterdir()] == ["loop"]


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("x.vtk", {}, "`path` must be one of '.vtu', '.pvd'; received '.vtk'"),
        ("x.pvd", {"hysteresis": None}, "`hysteresis` must be given for a series"),
        ("x.vtu", {}, "`steps` must name one step for a .vtu; received 0, of a loop of 161"),
        ("x.vtu", {"steps": [1, 2]}, "`steps` must name one step for a .vtu; received 2"),
        ("x.pvd", {"steps": [0.5]}, r"`steps` must hold whole numbers; received \[0.5\]"),
        ("x.pvd", {"steps": []}, r"`steps` must hold whole numbers; received \[\]"),
        ("x.pvd", {"steps": [161]}, "`steps` must be below 161; received 161"),
        ("x.pvd", {"magnet": 1}, "`magnet` must be below 1; received 1"),
    ],
)
def test_bad_input(tmp_path, name, kwargs, message):
    structure, hysteresis = loop(np.linspace(-3, -5, 8))
    with pytest.raises(ValueError, match=message):
        vtk.write_vtk(tmp_path / name, structure, **{"hysteresis": hysteresis, **kwargs})
    assert not list(tmp_path.iterdir())


def test_plotter_wants_one_value_per_grain(cells):
    with pytest.raises(ValueError, match="either `moments` or `values`"):
        vtk.plotter(cells, off_screen=True)
    with pytest.raises(ValueError, match=r"`moments` must have shape \(30, 3\)"):
        vtk.plotter(cells, np.ones((3, 30)), off_screen=True)


def test_without_a_display_the_error_names_an_alternative(cells, monkeypatch):
    monkeypatch.setattr(pv, "system_supports_plotting", lambda: False)
    with pytest.raises(RuntimeError, match="A window needs a display, and there is none: write"):
        vtk.plotter(cells, values=cells.volumes)


def run(code, **environ):
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.integration
@pytest.mark.skipif(not find_spec("jax"), reason="TensorFlow and a software renderer clash")
def test_the_scene_is_rendered_and_cut_open():
    code = """if True:
        import numpy as np
        from keras_micromag import physics, vtk  # noqa: E402
        magnet = physics.cubic_grains((2, 2, 2))
        moments = np.tile([0, 0, 1.0], (8, 1))
        scene = vtk.plotter(magnet, moments, off_screen=True)
        picture = scene.screenshot(return_img=True, window_size=(300, 200)).astype(int)
        red = picture[..., 0] - picture[..., 2]
        assert (red > 60).mean() > 0.05, (red > 60).mean()
        print("rendered")
    """
    result = run(code, KERAS_BACKEND="jax")
    assert result.stdout == "rendered\n", result.stderr


def test_without_pyvista_the_import_says_what_to_install():
    code = "import sys; sys.modules['pyvista'] = None; import keras_micromag.vtk"
    result = run(code)
    assert result.returncode == 1
    *_, sentence = result.stderr.splitlines()
    assert 'PyVista, which is not installed: pip install "keras-micromag[vtk]".' in sentence


def test_its_examples_run():
    # pytest does not collect the module, which cannot be imported without PyVista.
    results = doctest.testmod(vtk, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.attempted and not results.failed
