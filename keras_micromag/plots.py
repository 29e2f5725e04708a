"""Figures: the demagnetisation curves, the magnet, and both together as in the paper's Fig. 4.

Nothing in the package imports this module but the command line, when it draws. matplotlib comes
with the extra `plot`.
"""

from __future__ import annotations

import functools
import heapq
from string import ascii_lowercase

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

COLUMN = 3.4  # inches: one column of a two-column journal
STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "mathtext.fontset": "dejavusans",
    "font.size": 8.0,
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 7.0,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "axes.axisbelow": True,
}
FIELD_LABEL = r"External field $\mu_0 H$ (T)"
MAGNETIZATION_LABEL = r"Magnetisation $M/M_\mathrm{s}$"
# Moreland's map was made for shaded surfaces: its middle is grey, so that shading is not read as
# a value, and it holds for the common colour deficiencies.
MOMENT_COLORS = "coolwarm"
MOMENT_LIMITS = Normalize(-1.0, 1.0)
MARK = {"ms": 3.5, "mfc": "w", "mec": "#b2401f", "mew": 1.0, "zorder": 5, "clip_on": False}
LOWER_RIGHT = {"va": "top", "xytext": (4, -3)}
INK, THIN, ACCENT = "0.1", "#8fb2cf", "#b2401f"


def _styled(function):
    """Draw inside the module's style, without changing the caller's."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        with mpl.rc_context(STYLE):
            return function(*args, **kwargs)

    return wrapper


def save_figure(figure: Figure, path, *, dpi: int = 300) -> None:
    """Write `figure` to `path`, at `dpi` for pixels and with embedded TrueType fonts for PDF."""
    with mpl.rc_context(STYLE | {"pdf.fonttype": 42, "svg.fonttype": "none"}):
        figure.savefig(path, dpi=dpi)


@_styled
def plot_loops(hysteresis, *, ax: Axes | None = None) -> Axes:
    """Draw the demagnetisation curves of all magnets, their mean, and the mean coercivity.

    Args:
        hysteresis: the result of `simulate`, of one magnet or of a batch.
        ax: where to draw; a new figure of column width if None.

    Returns:
        The axes. One thin line per magnet; with two magnets or more also their mean curve. The
        bar on the axis M = 0 spans the coercivity's mean ± one standard deviation.
    """
    if ax is None:
        ax = plt.figure(figsize=(COLUMN, 0.75 * COLUMN), layout="constrained").add_subplot()
    field = np.asarray(hysteresis.field, dtype=float)
    curves = np.atleast_2d(hysteresis.magnetization_along_field)
    mean = curves.mean(axis=0)
    single = len(curves) == 1
    _loop_frame(ax, field)
    thin = ax.plot(field, curves.T, color=INK if single else THIN, lw=1.0 if single else 0.5)
    if not single:
        thin[0].set_label(f"{len(curves)} magnets")
        ax.plot(field, mean, color=INK, lw=1.2, label="mean")
        # Below the branch from +H; or, where that place is taken, inside the full loop.
        taken = np.any(curves[:, field > (field.min() + field.max()) / 2] < 0.2)
        place = {"loc": "center", "bbox_to_anchor": (0.5, 0.3)} if taken else {"loc": "lower right"}
        ax.legend(**place, frameon=False, handlelength=1.4)
    _mark_coercivity(ax, field, mean, np.atleast_1d(hysteresis.coercivity()))
    return ax


@_styled
def plot_prediction(simulated, predicted, *, magnet: int = 0, mean=None, ax: Axes) -> Axes:
    """Draw a predicted demagnetisation curve over the simulated one.

    Args:
        simulated, predicted: `Hysteresis` of the same b magnets.
        magnet: which of them.
        mean: (t, g, 3) mean loop of the magnets trained on, drawn thin.
        ax: where to draw.
    """
    _loop_frame(ax, simulated.field)
    if mean is not None:
        along = np.asarray(mean).mean(axis=-2) @ simulated.field_direction
        ax.plot(simulated.field, along, color=THIN, lw=1.0, label="mean training loop")
    for loops, style in ((simulated, {"color": INK}), (predicted, {"color": ACCENT, "ls": "--"})):
        label = "simulated" if loops is simulated else "predicted"
        curve = loops.magnetization_along_field[magnet]
        ax.plot(loops.field, curve, lw=1.0, label=label, **style)
    ax.legend(loc="lower right", frameon=False, handlelength=1.6)
    return ax


@_styled
def plot_history(history: dict, *, title: str, ax: Axes) -> Axes:
    """Draw training and validation loss against epochs, on a logarithmic scale.

    Args:
        history: of a Keras training: a list for `loss`, and one for `val_loss`.
        title: of the axes.
        ax: where to draw.
    """
    for key, label, color in (("loss", "training", INK), ("val_loss", "validation", ACCENT)):
        ax.semilogy(np.arange(1, len(history[key]) + 1), history[key], color=color, label=label)
    ax.set(title=title, xlabel="Epoch", ylabel="Loss")
    ax.legend(frameon=False)
    return ax


@_styled
def plot_magnet(
    structure,
    moments,
    *,
    ax: Axes | None = None,
    view: tuple[float, float] = (24.0, -58.0),
    colorbar: bool = True,
    triad: bool = True,
) -> Axes:
    """Draw the grains as polyhedra in parallel projection, coloured by m_z.

    The polyhedra are projected here and not by mplot3d: that sorts single faces by their mean
    depth, which puts faces of unlike grains in the wrong order, and it cannot fill its axes.

    Args:
        structure: a `Microstructure` of g grains.
        moments: (g, 3) unit vectors.
        ax: where to draw, ordinary two-dimensional axes; a new figure if None.
        view: elevation and azimuth of the viewer in degrees, as in mplot3d.
        colorbar: whether to add the scale of m_z, always from -1 to 1.
        triad: whether to draw the directions x, y, z beside the magnet.

    Returns:
        The axes; their only collection holds one polygon per face turned to the viewer.

    Raises:
        ValueError: if `moments` does not have shape (g, 3).
    """
    moments = np.asarray(moments, dtype=float)
    if moments.shape != (len(structure.grains), 3):
        raise ValueError(
            f"`moments` must have shape (g, 3) with g = {len(structure.grains)}; "
            f"received {moments.shape}."
        )
    if ax is None:
        ax = plt.figure(figsize=(0.75 * COLUMN, 0.6 * COLUMN), layout="constrained").add_subplot()
    camera = _camera(*view)
    # A light over the viewer's left shoulder: top, left and right of a cube differ.
    light = np.array([-0.45, 0.65, 0.61]) @ camera
    shades = mpl.colormaps[MOMENT_COLORS](MOMENT_LIMITS(moments[:, 2]))[:, :3]
    polygons, colors = [], []
    for g in _back_to_front(structure.grains, camera):
        grain = structure.grains[g]
        flat = np.asarray(grain.vertices) @ camera[:2].T
        for face, normal in zip(grain.faces, np.asarray(grain.normals), strict=True):
            if normal @ camera[2] > 0:
                polygons.append(flat[list(face)])
                colors.append(shades[g] * (0.72 + 0.28 * max(0.0, normal @ light)))
    extent = np.concatenate(polygons)
    low, high = extent.min(axis=0), extent.max(axis=0)
    scale = np.max(high - low)
    # Line joins stay round: a mitre at a sharp projected corner would stick out of the magnet.
    edge = float(np.clip(2.4 / np.sqrt(len(structure.grains)), 0.08, 0.4))
    ax.add_collection(
        PolyCollection(
            [(polygon - low) / scale for polygon in polygons],
            facecolors=colors,
            edgecolors="0.15",
            linewidths=edge,
            joinstyle="round",
        )
    )
    width, height = (high - low) / scale
    margin = 0.02
    ax.set(xlim=(-margin, width + margin), ylim=(-margin, height + margin), aspect="equal")
    ax.set_axis_off()
    if triad:
        _draw_triad(ax, camera)
    if colorbar:
        _moment_scale(ax.figure, ax=ax, shrink=0.7, aspect=14, pad=0.04)
    return ax


@_styled
def plot_reversal(
    structure, hysteresis, *, magnet: int = 0, fields=None, figure: Figure | None = None
) -> Figure:
    """Draw one loop and, above it, the magnet at chosen fields, as in the paper's Fig. 4.

    Args:
        structure: the `Microstructure` that was simulated.
        hysteresis: the result of `simulate`.
        magnet: which magnet of the batch.
        fields: (n,) T; the first step nearest each is drawn. By default four: the remanent state,
            and where a quarter, a half and three quarters of the reversal are done.
        figure: where to draw; a new figure of column width if None.

    Returns:
        The figure. The magnets stand in the order of the loop's steps; the letter of each marks
        its step on the loop.

    Raises:
        ValueError: if a field lies outside the loop, there are more than 26, or no such magnet.
    """
    field = np.asarray(hysteresis.field, dtype=float)
    curves = np.atleast_2d(hysteresis.magnetization_along_field)
    if not -len(curves) <= magnet < len(curves):
        raise ValueError(f"`magnet` must be below {len(curves)}; received {magnet}.")
    curve = curves[magnet]
    states = np.asarray(hysteresis.magnetization)
    states = states if states.ndim == 3 else states[magnet]
    steps = _default_steps(field, curve) if fields is None else _nearest_steps(field, fields)

    if figure is None:
        figure = plt.figure(figsize=(COLUMN, COLUMN))
    figure.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.02)
    widths = [1.0] * len(steps) + [0.07]
    grid = figure.add_gridspec(2, len(widths), height_ratios=(1, 2.1), width_ratios=widths)
    loop = figure.add_subplot(grid[1, :])
    _loop_frame(loop, field)
    loop.plot(field, curve, color=INK, lw=1.0)
    for column, (letter, step) in enumerate(zip(ascii_lowercase, steps, strict=False)):
        panel = figure.add_subplot(grid[0, column])
        plot_magnet(structure, states[step], ax=panel, colorbar=False, triad=column == 0)
        panel.set_title(rf"$\mathbf{{{letter}}}$  {_tesla(field[step])}", fontsize=7, pad=3)
        loop.plot(field[step], curve[step], "o", **MARK)
        # A branch rises with the field, so that its lower right side is free; but at the foot of
        # the loop the frame is there.
        side = {"va": "bottom", "xytext": (4, 3)} if curve[step] < -0.75 else LOWER_RIGHT
        at = (field[step], curve[step])
        loop.annotate(rf"$\mathbf{{{letter}}}$", at, textcoords="offset points", **side)
    _moment_scale(figure, cax=figure.add_subplot(grid[0, -1]))
    return figure


def _tesla(value: float) -> str:
    return f"{value + 0.0:.2f} T".replace("-", "\N{MINUS SIGN}").replace(
        "\N{MINUS SIGN}0.00", "0.00"
    )


def _loop_frame(ax: Axes, field: np.ndarray) -> None:
    """Axes of a loop: labels with units, the zero lines, and fixed limits in M/Ms."""
    ax.set(xlabel=FIELD_LABEL, ylabel=MAGNETIZATION_LABEL, ylim=(-1.08, 1.08))
    ax.set_yticks([-1, -0.5, 0, 0.5, 1])
    if field.min() < field.max():
        ax.set_xlim(field.min(), field.max())
    ax.axhline(0.0, color="0.85", lw=0.5, zorder=0)
    ax.axvline(0.0, color="0.85", lw=0.5, zorder=0)


def _mark_coercivity(ax: Axes, field, mean, coercivity) -> None:
    """A bar of mean ± standard deviation where the mean curve changes its sign."""
    crossing = np.flatnonzero(np.sign(mean[1:]) != np.sign(mean[:-1]))
    coercivity = np.abs(coercivity[np.isfinite(coercivity)])
    if not len(crossing) or not len(coercivity):
        return
    value, spread = coercivity.mean(), coercivity.std(ddof=min(1, len(coercivity) - 1))
    side = np.sign(field[crossing[0] + 1])
    text = rf"$\mu_0H_\mathrm{{c}}$ = {value:.2f}"
    if len(coercivity) > 1:
        text += f" ± {spread:.2f}"
        bar = {"ecolor": ACCENT, "elinewidth": 0.7, "capthick": 0.7, "capsize": 5.0, "zorder": 4}
        ax.errorbar(side * value, 0.0, xerr=spread, fmt="none", **bar)
    else:
        ax.plot(side * value, 0.0, "o", **MARK)
    ax.annotate(
        f"{text} T",
        (side * value, 0.0),
        xytext=(-side * 10, -4),
        textcoords="offset points",
        ha="left" if side < 0 else "right",
        va="top",
        color=ACCENT,
        fontsize=7,
    )


def _moment_scale(figure: Figure, **where) -> None:
    """The scale of m_z, from -1 to 1."""
    bar = figure.colorbar(ScalarMappable(MOMENT_LIMITS, MOMENT_COLORS), ticks=[-1, 0, 1], **where)
    bar.ax.set_title(r"$m_z$", fontsize=8, pad=5)
    bar.outline.set_linewidth(0.5)
    bar.ax.tick_params(width=0.5, length=2)


def _draw_triad(ax: Axes, camera: np.ndarray) -> None:
    """Directions x, y, z at the lower left of the axes, in the magnet's own projection."""
    origin, length = np.array([-0.06, -0.08]), 0.16
    line = {"arrowstyle": "-", "lw": 0.6, "color": INK, "shrinkA": 0, "shrinkB": 0}
    fraction = "axes fraction"
    for name, direction in zip("xyz", camera[:2].T, strict=True):
        tip, beyond = origin + length * direction, 4 * direction / np.linalg.norm(direction)
        ax.annotate("", tip, origin, xycoords=fraction, arrowprops=line)
        letter = {"textcoords": "offset points", "ha": "center", "va": "center", "fontsize": 6}
        ax.annotate(f"${name}$", tip, beyond, xycoords=fraction, **letter)


def _camera(elevation: float, azimuth: float) -> np.ndarray:
    """(3, 3) rows: right, up, and toward the viewer; angles in degrees."""
    e, a = np.radians([elevation, azimuth])
    toward = np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    right = np.array([-np.sin(a), np.cos(a), 0.0])
    return np.stack([right, np.cross(toward, right), toward])


def _back_to_front(grains, camera: np.ndarray) -> list[int]:
    """Order in which to paint the grains so that none covers one nearer to the viewer.

    Two convex grains are parted by a face plane of one of them; the side on which the other lies
    says which is nearer. Only pairs that overlap in the picture count. Pairs that no face parts,
    and rings of grains covering each other, fall back on the depth of the centroids.
    """
    seen = [np.asarray(grain.vertices) @ camera.T for grain in grains]
    low = np.array([points.min(axis=0) for points in seen])
    high = np.array([points.max(axis=0) for points in seen])
    depth = np.array([points[:, 2].mean() for points in seen])
    slack = 1e-6 * np.max(high - low)
    inside = (low[:, None, :2] < high[None, :, :2] - slack).all(axis=-1)
    overlap = inside & inside.T
    nearer, farther = np.zeros((2, len(grains), len(grains)), dtype=bool)
    for g, grain in enumerate(grains):
        normals = np.asarray(grain.normals) @ camera.T
        offset = np.max(normals @ seen[g].T, axis=1)
        for other in np.flatnonzero(overlap[g]):
            if other != g:
                parted = np.min(normals @ seen[other].T, axis=1) > offset - slack
                nearer[g, other] = np.any(parted & (normals[:, 2] > 1e-9))
                farther[g, other] = np.any(parted & (normals[:, 2] < -1e-9))
    # covers[i, j]: j must be painted after i.
    before, after = nearer | farther.T, farther | nearer.T
    undecided = overlap & ~before & ~after
    covers = (before & ~after) | (undecided & (depth[:, None] < depth[None, :]))

    waiting = covers.sum(axis=0)
    ready = [(depth[g], g) for g in np.flatnonzero(waiting == 0)]
    heapq.heapify(ready)
    order, rest = [], set(range(len(grains)))
    while rest:
        _, g = heapq.heappop(ready) if ready else min((depth[g], g) for g in rest)
        if g not in rest:
            continue
        rest.remove(g)
        order.append(int(g))
        for other in np.flatnonzero(covers[g]):
            waiting[other] -= 1
            if waiting[other] == 0:
                heapq.heappush(ready, (depth[other], other))
    return order


def _default_steps(field: np.ndarray, curve: np.ndarray) -> list[int]:
    """The remanent state, and a quarter, a half and three quarters of the reversal."""
    start = int(np.argmin(np.abs(field)))
    change = np.abs(curve[start:] - curve[start])
    parts = [start + int(np.argmax(change >= part * change.max())) for part in (0.25, 0.5, 0.75)]
    return sorted({start, *parts})


def _nearest_steps(field: np.ndarray, chosen) -> list[int]:
    """The first step nearest each chosen field."""
    chosen, steps = np.atleast_1d(np.asarray(chosen, dtype=float)), []
    if len(chosen) > len(ascii_lowercase):
        raise ValueError(f"`fields` must name at most 26 fields; received {len(chosen)}.")
    for value in chosen:
        if not field.min() <= value <= field.max():
            raise ValueError(
                f"`fields` must lie within the loop, {field.min():g} to {field.max():g} T; "
                f"received {value:g}."
            )
        steps.append(int(np.argmin(np.abs(field - value))))
    return sorted(set(steps))
