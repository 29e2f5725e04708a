"""A magnet on its way along the loop, as a moving picture."""

from __future__ import annotations

import tempfile
from pathlib import Path

from matplotlib.animation import FFMpegWriter, PillowWriter
from matplotlib.figure import Figure

from keras_micromag.physics.frames import one_magnet, telling_steps
from keras_micromag.plots.loops import loop_frame
from keras_micromag.plots.magnet import (
    VIEW,
    draw_scene,
    draw_triad,
    moment_colors,
    moment_scale,
    paint,
    scene,
)
from keras_micromag.plots.style import COLUMN, INK, MARK, styled, tesla
from keras_micromag.utils import checks

WRITERS = {".gif": PillowWriter, ".mp4": FFMpegWriter}
DPI = 150


@styled
def animate_loop(
    structure,
    hysteresis,
    path,
    *,
    magnet: int = 0,
    frames: int = 60,
    fps: int = 12,
    view: tuple[float, float] = VIEW,
    cut=None,
    explode: float = 0.0,
) -> None:
    """Write a moving picture of a magnet, coloured by m_z, above its loop with a moving mark.

    Args:
        structure: the `Microstructure` that was simulated.
        hysteresis: the result of `simulate`.
        path: of the file: whole, or not at all. `.gif`, or `.mp4`, which needs ffmpeg.
        magnet: which magnet of the batch.
        frames: how many steps of the loop at most; they are close together where the magnet
            reverses, see `keras_micromag.physics.frames.telling_steps`.
        fps: frames per second.
        view, cut, explode: see `plot_magnet`.

    Raises:
        ValueError: for another suffix, or no such magnet.
        RuntimeError: for `.mp4` where ffmpeg is not on the path.
    """
    path = Path(path)
    checks.one_of(path.suffix, "path", tuple(WRITERS))
    writer = WRITERS[path.suffix](fps=checks.count(fps, "fps"))
    if not writer.isAvailable():
        raise RuntimeError(
            f"{path.suffix} needs the program ffmpeg, which is not on the path; a .gif does not."
        )
    hysteresis = one_magnet(hysteresis, magnet)
    steps = telling_steps(hysteresis, frames)
    picture = scene(structure, view=view, cut=cut, explode=explode)

    # Not pyplot's, which would keep it open.
    figure = Figure(figsize=(COLUMN, 1.36 * COLUMN), dpi=DPI, layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(1.1, 1), width_ratios=(1, 0.05))
    top, loop = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, :])
    grains = draw_scene(picture, moment_colors(hysteresis.magnetization[0]), top)
    draw_triad(top, *view)
    moment_scale(figure, cax=figure.add_subplot(grid[0, 1]))
    field, curve = hysteresis.field, hysteresis.magnetization_along_field
    loop_frame(loop, field)
    loop.plot(field, curve, color=INK, lw=1.0)
    (mark,) = loop.plot([], [], "o", **MARK)
    title = loop.set_title(tesla(0.0), fontsize=8)

    with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as parts:
        partial = Path(parts, path.name)
        with writer.saving(figure, partial, DPI):
            for step in steps:
                paint(grains, picture, moment_colors(hysteresis.magnetization[step]))
                mark.set_data([field[step]], [curve[step]])
                title.set_text(tesla(field[step]))
                writer.grab_frame()
        partial.replace(path)
