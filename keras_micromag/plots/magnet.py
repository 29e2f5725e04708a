"""Magnets as coloured polyhedra: complete, cut open, or with the grains moved apart."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import Normalize, to_rgb
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.plots.bodies import body_of, cut_open, sides_of
from keras_micromag.plots.painting import back_to_front, pieces
from keras_micromag.plots.style import (
    INK,
    MOMENT_COLORS,
    MOMENT_LIMITS,
    NO_VALUE,
    VALUE_COLORS,
    add_colorbar,
    new_axes,
    styled,
)
from keras_micromag.utils import checks

VIEW = (24.0, -58.0)
OUTLINE = to_rgb("0.15")


@styled
def plot_magnet(
    structure: Microstructure,
    moments: ArrayLike | None = None,
    *,
    values: ArrayLike | None = None,
    label: str = "",
    limits: tuple[float, float] | None = None,
    view: tuple[float, float] = VIEW,
    cut: tuple[ArrayLike, float] | None = None,
    explode: float = 0.0,
    ax: Axes | None = None,
    colorbar: bool = True,
    triad: bool = True,
) -> Axes:
    """Draw the grains as polyhedra in parallel projection, coloured by m_z or any other value.

    mplot3d is not used: it sorts single faces by their mean depth, which puts faces of unequal
    grains in the wrong order, and it cannot fill its axes.

    Args:
        structure: a `Microstructure` of g grains.
        moments: (g, 3) unit vectors, whose m_z is shown.
        values: (g,) shown in place of moments, such as switching fields in tesla or misorientations
            in degrees. Grains whose value is nan are grey, such as those that never switched.
        label: name of the values, with their unit.
        limits: lowest and highest value of the colour scale; those of the values if None.
        view: elevation and azimuth of the viewer in degrees, as in mplot3d.
        cut: (normal, offset) of a plane: normal (3,) of any length, offset in metres from the
            origin along it. The side that the normal points to is not drawn; grains on both sides
            of the plane are cut through.
        explode: displacement of each grain away from the centre of the magnet, as a share of the
            distance of its centroid.
        ax: ordinary two-dimensional axes to draw in; a new figure if None.
        colorbar: whether to add a colour bar, which for m_z extends from -1 to 1.
        triad: whether to draw the directions x, y, z beside the magnet.

    Returns:
        The axes. Their only collection holds one polygon per face turned to the viewer.

    Raises:
        ValueError: for arrays of another shape, both moments and values or neither, and a plane
            that leaves nothing or meets a grain in an area with holes.

    Example:
        >>> from keras_micromag import physics, plots
        >>> magnet = physics.voronoi_grains(8, 100e-9, seed=1)
        >>> ax = plots.plot_magnet(
        ...     magnet, values=1e27 * magnet.volumes, label="Volume (nm³)", cut=((0, -1, 0), 0.0)
        ... )
    """
    if (moments is None) == (values is None):
        raise ValueError("either `moments` or `values` must be given; received both or neither.")
    g = len(structure)
    if moments is not None:
        colors = moment_colors(_per_grain(moments, "moments", (g, 3)))
    else:
        values = _per_grain(values, "values", (g,))
        colors, mappable = _value_colors(values, limits)
        missing = bool(np.isnan(values).any())
    scene = project(structure, view=view, cut=cut, explode=explode)
    ax = new_axes(width=0.75, height=0.6) if ax is None else ax
    draw_scene(scene, colors, ax)
    if triad:
        draw_triad(ax, view)
    if colorbar and moments is not None:
        add_moment_colorbar(ax)
    elif colorbar:
        _add_value_colorbar(ax, mappable, label, missing)
    return ax


@dataclass(frozen=True)
class Scene:
    """The visible polygons of a magnet seen from one side, without colours.

    Attributes:
        polygons: (n, 2) each, in the order of painting, in units of the larger extent.
        grains: (polygons,) the grain of each.
        light: (polygons,) brightness, 0 to 1.
        outlined: (polygons,) whether to draw the sides of the polygon. Parts of a face that is not
            convex are not outlined, since they meet each other along sides that are no edges of the
            face. Its edges are polygons of two corners.
        size: (2,) extent, of which the larger is 1.
    """

    polygons: list
    grains: np.ndarray
    light: np.ndarray
    outlined: np.ndarray
    size: np.ndarray


def project(
    structure: Microstructure,
    *,
    view: tuple[float, float],
    cut: tuple[ArrayLike, float] | None = None,
    explode: float = 0.0,
) -> Scene:
    """Return the polygons of a magnet in the order of painting; see `plot_magnet`."""
    axes = camera(view)
    # The light comes over the viewer's left shoulder: top, left and right of a cube differ.
    light = np.array([-0.45, 0.65, 0.61]) @ axes
    bodies = _bodies(structure, cut)
    shifts = checks.number(explode, "explode", least=0) * (
        structure.centroids - structure.bounds.mean(axis=0)
    )
    projected = {g: (body.vertices + shifts[g]) @ axes.T for g, body in bodies.items()}
    corners = np.concatenate(list(projected.values()))
    low, extent = corners.min(axis=0), np.ptp(corners[:, :2], axis=0)
    parts = [
        piece
        for g, body in bodies.items()
        for piece in pieces(g, body, (projected[g] - low) / extent.max(), axes)
    ]
    polygons, grains, brightness, outlined = [], [], [], []
    for piece in (parts[p] for p in back_to_front(parts)):
        body = bodies[piece.body]
        for ring, polygon in zip(piece.rings, piece.polygons, strict=True):
            edges = [] if body.convex else _visible_edges(body, ring, polygon)
            polygons += [polygon, *edges]
            grains += [piece.body] * (1 + len(edges))
            shade = 0.72 + 0.28 * max(0.0, body.normals[ring] @ light)
            brightness += [shade] * (1 + len(edges))
            outlined += [body.convex] + [True] * len(edges)
    return Scene(
        polygons,
        np.array(grains),
        np.array(brightness),
        np.array(outlined),
        extent / extent.max(),
    )


def _bodies(structure, cut):
    """Return {grain: body} of the grains, or of the parts that a cut leaves."""
    bodies = {g: body_of(grain) for g, grain in enumerate(structure.grains)}
    if cut is None:
        return bodies
    try:
        normal, offset = cut
    except (TypeError, ValueError):
        raise ValueError(
            f"`cut` must be a pair (normal, offset); received {checks.shown(cut)}."
        ) from None
    normal = checks.finite_array(normal, "cut", (3,), "as its normal")
    length = np.linalg.norm(normal)
    if length == 0:
        raise ValueError("`cut` must have a normal that is not 0; received zeros.")
    offset = checks.number(offset, "cut")
    parts = {g: cut_open(body, normal / length, offset) for g, body in bodies.items()}
    parts = {g: body for g, body in parts.items() if body is not None}
    if not parts:
        raise ValueError(
            f"`cut` must leave something of the magnet; received an offset of {offset:g} m."
        )
    return parts


def _visible_edges(body, ring, polygon):
    """Return the sides of a ring at which the surface bends, each as (2, 2)."""
    owner = {side: r for r, other in enumerate(body.rings) for side in sides_of(other)}
    return [
        np.array([start, end])
        for (i, j), start, end in zip(
            sides_of(body.rings[ring]), polygon, np.roll(polygon, -1, axis=0), strict=True
        )
        if body.normals[owner[j, i]] @ body.normals[ring] < 1 - 1e-9
    ]


def draw_scene(scene: Scene, colors: np.ndarray, ax: Axes) -> PolyCollection:
    """Fill axes with a scene.

    Args:
        scene: what to draw.
        colors: (g, 3) of the grains.
        ax: axes, whose frame is removed and whose scales are made equal.
    """
    # Line joins are round: a mitre at a sharp corner would extend beyond the magnet.
    edge = float(np.clip(2.4 / np.sqrt(len(colors)), 0.08, 0.4))
    collection = PolyCollection(scene.polygons, linewidths=edge, joinstyle="round")
    set_colors(collection, scene, colors)
    ax.add_collection(collection)
    margin = 0.02
    width, height = scene.size
    ax.set(xlim=(-margin, width + margin), ylim=(-margin, height + margin), aspect="equal")
    ax.set_axis_off()
    return collection


def set_colors(collection: PolyCollection, scene: Scene, colors: np.ndarray) -> None:
    """Set the colours of polygons from those of the grains (g, 3) and the light of the scene."""
    faces = colors[scene.grains] * scene.light[:, None]
    edges = np.where(scene.outlined[:, None], OUTLINE, faces)
    collection.set(facecolor=faces, edgecolor=edges)


def moment_colors(moments: np.ndarray) -> np.ndarray:
    """Return the colours (g, 3) of moments (g, 3) by their m_z."""
    return mpl.colormaps[MOMENT_COLORS](MOMENT_LIMITS(moments[:, 2]))[:, :3]


def _value_colors(values, limits):
    """Return the colours (g, 3) of values (g,), and the mappable of their colour bar."""
    known = np.isfinite(values)
    if limits is not None:
        limits = checks.finite_array(limits, "limits", (2,))
        if limits[0] > limits[1]:
            raise ValueError(f"`limits` must rise; received {limits.tolist()}.")
    else:
        limits = (values[known].min(), values[known].max()) if known.any() else (0.0, 1.0)
    mappable = ScalarMappable(Normalize(*limits), VALUE_COLORS)
    colors = mappable.to_rgba(np.where(known, values, limits[0]))[:, :3]
    return np.where(known[:, None], colors, to_rgb(NO_VALUE)), mappable


def _per_grain(array, name, shape):
    """Return an array that must have one row per grain; nan and inf are allowed."""
    array = checks.numbers(array, name)
    if array.shape != shape:
        wanted = "(g, 3)" if len(shape) == 2 else "(g,)"
        raise ValueError(
            f"`{name}` must have shape {wanted} with g = {shape[0]}; received {array.shape}."
        )
    checks.finite(np.where(np.isfinite(array), array, 0.0), name)
    return array


def add_moment_colorbar(ax: Axes, *, fill: bool = False) -> None:
    """Add the colour bar of m_z, from -1 to 1, as `add_colorbar` does."""
    bar = add_colorbar(ScalarMappable(MOMENT_LIMITS, MOMENT_COLORS), ax, fill=fill)
    bar.set_ticks([-1, 0, 1])
    bar.ax.set_title(r"$m_z$", fontsize=8, pad=5)


def _add_value_colorbar(ax, mappable, label, missing):
    """Add the colour bar of the values, and below it, if any are `missing`, the grey of those."""
    bar = add_colorbar(mappable, ax)
    bar.set_label(label)
    if missing:
        place = {"transform": bar.ax.transAxes, "clip_on": False}
        bar.ax.add_patch(Rectangle((0, -0.14), 1, 0.07, fc=NO_VALUE, ec=INK, lw=0.5, **place))
        bar.ax.text(1.6, -0.105, "none", va="center", fontsize=7, **place)


def draw_triad(ax: Axes, view: tuple[float, float]) -> None:
    """Draw the directions x, y, z at the lower left of the axes, projected like the magnet."""
    origin, length = np.array([-0.06, -0.08]), 0.16
    line = {"arrowstyle": "-", "lw": 0.6, "color": INK, "shrinkA": 0, "shrinkB": 0}
    letter: dict = {"textcoords": "offset points", "ha": "center", "va": "center", "fontsize": 6}
    for name, direction in zip("xyz", camera(view)[:2].T, strict=True):
        tip = tuple(origin + length * direction)
        ax.annotate("", tip, tuple(origin), xycoords="axes fraction", arrowprops=line)
        # The letter of an axis that points toward the viewer stands beside the point.
        length_seen = np.linalg.norm(direction)
        beyond = direction / length_seen if length_seen > 1e-6 else np.array([-0.7, -0.7])
        ax.annotate(f"${name}$", tip, tuple(4 * beyond), xycoords="axes fraction", **letter)


def camera(view: tuple[float, float]) -> np.ndarray:
    """Return the axes of the viewer as rows (3, 3): right, up and toward the viewer.

    Args:
        view: elevation and azimuth in degrees.
    """
    e, a = np.radians(checks.finite_array(view, "view", (2,)))
    toward = np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    right = np.array([-np.sin(a), np.cos(a), 0.0])
    return np.stack([right, np.cross(toward, right), toward])
