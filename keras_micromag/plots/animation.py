"""A film of a magnet along its loop."""

from __future__ import annotations

import logging
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

from matplotlib.animation import FFMpegWriter, PillowWriter
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from keras_micromag.physics.frames import representative_steps, select_magnet
from keras_micromag.physics.hysteresis import Hysteresis
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.plots.loops import format_loop_axes
from keras_micromag.plots.magnet import (
    VIEW,
    add_moment_colorbar,
    draw_scene,
    draw_triad,
    moment_colors,
    project,
    set_colors,
)
from keras_micromag.plots.style import COLUMN, INK, MARK, format_tesla, styled
from keras_micromag.utils import checks
from keras_micromag.utils.files import atomic_path

WRITERS = {".gif": PillowWriter, ".mp4": FFMpegWriter}
DPI = 150


@styled
def animate_loop(
    structure: Microstructure,
    hysteresis: Hysteresis,
    path: str | os.PathLike,
    *,
    magnet: int = 0,
    frames: int = 60,
    fps: int = 12,
    view: tuple[float, float] = VIEW,
    cut: tuple[ArrayLike, float] | None = None,
    explode: float = 0.0,
) -> None:
    """Write a film of a magnet, coloured by m_z, above its loop with a moving marker.

    Args:
        structure: the `Microstructure` that was simulated.
        hysteresis: the result of `simulate`.
        path: of the file, which is written completely or not at all: `.gif`, or `.mp4`, which needs
            ffmpeg.
        magnet: number of the magnet in the batch.
        frames: largest number of steps of the loop to show. They are close together where the
            magnet reverses, see `keras_micromag.physics.frames.representative_steps`.
        fps: frames per second.
        view, cut, explode: see `plot_magnet`.

    Raises:
        ValueError: for another suffix, or where there is no such magnet.
        RuntimeError: for `.mp4` where ffmpeg is not on the path.
        OSError: where the file cannot be written.
    """
    path = Path(path)
    checks.one_of(path.suffix, "path", tuple(WRITERS))
    writer = WRITERS[path.suffix](fps=checks.count(fps, "fps"))
    if not writer.isAvailable():
        raise RuntimeError(
            f"{path.suffix} needs the program ffmpeg, which is not on the path; a .gif does not."
        )
    hysteresis = select_magnet(hysteresis, magnet)
    steps = representative_steps(hysteresis, frames)
    scene = project(structure, view=view, cut=cut, explode=explode)

    # A figure made by pyplot would stay open.
    figure = Figure(figsize=(COLUMN, 1.36 * COLUMN), dpi=DPI, layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(1.1, 1), width_ratios=(1, 0.05))
    magnet_ax, loop_ax = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, :])
    polygons = draw_scene(scene, moment_colors(hysteresis.magnetization[0]), magnet_ax)
    draw_triad(magnet_ax, view)
    add_moment_colorbar(figure.add_subplot(grid[0, 1]), fill=True)
    field, curve = hysteresis.field, hysteresis.magnetization_along_field
    format_loop_axes(loop_ax, field)
    loop_ax.plot(field, curve, color=INK, lw=1.0)
    (marker,) = loop_ax.plot([], [], "o", **MARK)
    title = loop_ax.set_title(format_tesla(0.0), fontsize=8)

    with _failing_as_os_error(), atomic_path(path) as partial, writer.saving(figure, partial, DPI):
        for step in steps:
            set_colors(polygons, scene, moment_colors(hysteresis.magnetization[step]))
            marker.set_data([field[step]], [curve[step]])
            title.set_text(format_tesla(field[step]))
            writer.grab_frame()


@contextmanager
def _failing_as_os_error():
    """Raise an OSError where ffmpeg fails; matplotlib does not log what ffmpeg said."""
    logger = logging.getLogger("matplotlib.animation")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.split()[:50]) or f"status {error.returncode}"
        raise OSError(f"ffmpeg could not write the film: {reason}") from error
    finally:
        logger.setLevel(level)
