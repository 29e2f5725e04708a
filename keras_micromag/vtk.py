"""Magnets as files for ParaView, and in an interactive window, through PyVista.

Only the command line imports this module. PyVista comes with the extra `vtk`.
"""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import ArrayLike

try:
    import pyvista as pv
except ModuleNotFoundError as error:
    if error.name != "pyvista":
        raise
    raise ModuleNotFoundError(
        "The files for ParaView and the windows need PyVista, which is not installed: "
        'pip install "keras-micromag[vtk]".',
        name=error.name,
    ) from None

from keras_micromag.physics.frames import representative_steps, select_magnet
from keras_micromag.physics.hysteresis import Hysteresis
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.utils import checks
from keras_micromag.utils.files import atomic_path, scratch_folder

__all__ = ["plotter", "unstructured_grid", "write_vtk"]

FILE = "step_{:04d}.vtu"
STEPS = 100  # largest number of states in a series whose steps are not given


def unstructured_grid(structure: Microstructure, **cell_data: ArrayLike) -> pv.UnstructuredGrid:
    """Return the grains as polyhedral cells, convex or not.

    Args:
        structure: a `Microstructure` of g grains.
        **cell_data: (g,) or (g, 3) arrays, one value per grain, by name. The names should
            contain the unit: ParaView shows nothing else.

    Returns:
        One cell per grain, with `grain`, its number, and `volume_m3`. Points are in metres, and no
        two grains share any.

    Raises:
        ValueError: for an array of another length.

    Example:
        >>> from keras_micromag import physics, vtk
        >>> grid = vtk.unstructured_grid(physics.cubic_grains((2, 1, 1)))
        >>> grid.n_cells, grid.n_points, grid.cell_data.keys()
        (2, 16, ['grain', 'volume_m3'])
    """
    cells, first = [], 0
    for grain in structure.grains:
        faces = [i for face in grain.faces for i in (len(face), *(first + v for v in face))]
        cells += [1 + len(faces), len(grain.faces), *faces]
        first += len(grain.vertices)
    grid = pv.UnstructuredGrid(
        np.array(cells),
        np.full(len(structure), pv.CellType.POLYHEDRON),
        np.concatenate([grain.vertices for grain in structure.grains]),
    )
    own = {"grain": np.arange(len(structure)), "volume_m3": structure.volumes}
    for name, values in (own | cell_data).items():
        array, g = checks.numbers(values, name, None), len(structure)
        if array.shape not in ((g,), (g, 3)):
            raise ValueError(
                f"`{name}` must have shape (g,) or (g, 3) with g = {g}; received {array.shape}."
            )
        # Of other precisions VTK has no type.
        wide = array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8)
        grid.cell_data[name] = array.astype(float) if wide else array
    return grid


def write_vtk(
    path: str | os.PathLike,
    structure: Microstructure,
    hysteresis: Hysteresis | None = None,
    *,
    magnet: int = 0,
    steps: ArrayLike | None = None,
    **cell_data: ArrayLike,
) -> None:
    """Write a magnet, or its states along a loop, for ParaView.

    Args:
        path: `x.vtu` for a structure alone or one state; `x.pvd` for a series of states, which
            come as `step_0000.vtu` and so on in a folder `x` beside it. All of it is written, or
            nothing; an earlier series is replaced.
        structure: a `Microstructure` of g grains.
        hysteresis: the result of `simulate`, for the cell data `moment` (g, 3), `easy_axis` (g, 3)
            and `switching_field_T` (g,), nan where a grain never switches, and for the field data
            `field_T` and `step`.
        magnet: which magnet of the batch.
        steps: indices of the loop's field steps: one for a `.vtu`, any number for a `.pvd`. By
            default at most 100, close together where the magnet reverses
            (`keras_micromag.physics.frames.representative_steps`).
        **cell_data: more values of the grains, see `unstructured_grid`.

    Raises:
        ValueError: for another suffix, a series without a loop, a `.vtu` of more than one step,
            steps outside the loop, or no such magnet.
        FileExistsError: when the folder of a series holds other files.

    Notes:
        The time of a state in the series is the number of its step, since ParaView wants times
        that rise; the field is in `field_T`. Polyhedra are stored as VTK does from 9.4 on: the
        files need VTK 9.4 or later, as in ParaView 6. They are compressed binary.
    """
    path = Path(path)
    series = checks.one_of(path.suffix, "path", (".vtu", ".pvd")) == ".pvd"
    if hysteresis is None:
        if series or steps is not None:
            raise ValueError("`hysteresis` must be given for a series of states, or for `steps`.")
        states = [unstructured_grid(structure, **cell_data)]
    else:
        loop = select_magnet(hysteresis, magnet)
        steps = representative_steps(loop, STEPS) if series and steps is None else steps
        steps = _steps(steps, len(loop.field), series)
        states = (_state(structure, loop, step, cell_data) for step in steps)
    if series:
        _write_series(path, states, steps)
        return
    (state,) = states
    with atomic_path(path) as partial:
        _save(state, partial)


def _write_series(path, states, steps):
    """Write the states to a folder beside `path`, and their names and times to `path`."""
    folder = path.with_suffix("")
    require_own_folder(folder)
    with (
        scratch_folder(folder) as scratch,
        atomic_path(path) as partial,
    ):
        new = scratch / "new"
        new.mkdir()
        for number, state in enumerate(states):
            _save(state, new / FILE.format(number))
        _write_collection(partial, folder.name, steps)
        if folder.exists():
            os.rename(folder, scratch / "old")
        os.rename(new, folder)


def _save(state, path):
    """Write a grid to a file; raise where VTK could not, which only prints that."""
    state.save(path)
    if not path.exists() or not path.read_bytes().endswith(b"</VTKFile>\n"):
        raise OSError(f"{path.name} could not be written; the disk may be full.")


def _steps(steps, count, series):
    """Return steps as indices from 0, in their order along the loop."""
    if steps is None and count == 1:
        steps = [0]
    steps = np.atleast_1d(checks.numbers([] if steps is None else steps, "steps", None))
    if not series and len(steps) != 1:
        raise ValueError(
            f"`steps` must name one step for a .vtu; received {len(steps)}, of a loop of {count}."
        )
    if not len(steps) or steps.ndim > 1 or steps.dtype.kind not in "iu":
        raise ValueError(f"`steps` must hold whole numbers; received {steps.tolist()}.")
    wrong = steps[(steps < -count) | (steps >= count)]
    if len(wrong):
        raise ValueError(f"`steps` must be below {count}; received {wrong[0]}.")
    return np.unique(steps % count)


def _state(structure, loop, step, cell_data):
    """Return the grid of one state of one magnet's loop."""
    grid = unstructured_grid(
        structure,
        moment=loop.magnetization[step],
        easy_axis=loop.easy_axes,
        switching_field_T=loop.switching_fields,
        **cell_data,
    )
    grid.field_data["field_T"] = [float(loop.field[step])]
    grid.field_data["step"] = [int(step)]
    return grid


def require_own_folder(folder: Path) -> None:
    """Raise where the folder of a series holds files that no series wrote."""
    files = sorted(folder.iterdir()) if folder.exists() else []
    foreign = [file.name for file in files if not file.match("step_*.vtu")]
    if foreign:
        raise FileExistsError(
            f"`path` must leave a folder to the series; {folder} holds {foreign[0]}."
        )


def _write_collection(path, folder, steps):
    """Write the names and times of the files of a series."""
    root = ElementTree.Element("VTKFile", type="Collection", version="0.1")
    collection = ElementTree.SubElement(root, "Collection")
    for number, step in enumerate(steps):
        attributes = {"timestep": str(step), "part": "0", "file": f"{folder}/{FILE.format(number)}"}
        ElementTree.SubElement(collection, "DataSet", attributes)
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def plotter(
    structure: Microstructure,
    moments: ArrayLike | None = None,
    *,
    values: ArrayLike | None = None,
    label: str = "",
    off_screen: bool = False,
) -> pv.Plotter:
    """Return a scene of the grains and a plane that cuts them open and follows the mouse.

    `plotter(structure, moments).show()` opens a window.

    Args:
        structure: a `Microstructure` of g grains.
        moments: (g, 3) unit vectors, whose m_z is shown.
        values: (g,) shown in place of moments; grey where nan.
        label: name of the values, with their unit.
        off_screen: whether to render into memory, for `screenshot`, instead of a window.

    Returns:
        PyVista's plotter, to which more can be added.

    Raises:
        ValueError: for arrays of another shape, and for both or neither.
        RuntimeError: for a window where there is no display.

    Notes:
        With Mesa's software renderer and TensorFlow in one process, rendering was seen to crash;
        with a graphics card's own driver, or on JAX or PyTorch, it does not.
    """
    if (moments is None) == (values is None):
        raise ValueError("either `moments` or `values` must be given; received both or neither.")
    if not off_screen and not pv.system_supports_plotting():
        raise RuntimeError(
            "A window needs a display, and there is none: write_vtk writes files for another "
            "machine, and plotter(..., off_screen=True).screenshot(path) a picture."
        )
    g = len(structure)
    if moments is not None:
        moments = checks.finite_array(moments, "moments", (g, 3), f"with g = {g}")
        name, shown = "m_z", moments[:, 2]
        colors: dict = {"cmap": "coolwarm", "clim": (-1.0, 1.0)}
    elif values is not None:
        name, shown = label or "value", checks.numbers(values, "values")
        colors = {"cmap": "viridis", "nan_color": "lightgrey"}
    scene = pv.Plotter(off_screen=off_screen)
    grid = unstructured_grid(structure, **{name: shown})
    scene.add_mesh_clip_plane(
        grid,
        normal="-y",
        scalars=name,
        ambient=0.3,
        scalar_bar_args={"title": f"{name}\n", "position_x": 0.25, "width": 0.5, "fmt": "%.3g"},
        **colors,
    )
    scene.add_axes()  # type: ignore[call-arg]  # its decorator has another signature
    return scene
