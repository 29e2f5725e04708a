"""The texture: where the grains' easy axes point."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from matplotlib.patheffects import withStroke

from keras_micromag.plots.style import COLUMN, INK, styled
from keras_micromag.utils import checks

DENSITY_COLORS = "Blues"
PIXELS = 201


def misorientation(easy_axes, direction=(0.0, 0.0, 1.0)) -> np.ndarray:
    """Angle between easy axes, which have no sign, and a direction.

    Args:
        easy_axes: (..., 3) unit vectors.
        direction: (3,) unit vector.

    Returns:
        (...) in degrees, 0 to 90.

    Example:
        >>> from keras_micromag.plots import misorientation
        >>> misorientation([[0, 0, -1], [1, 0, 0]]).round(6).tolist()
        [0.0, 90.0]
    """
    axes = checks.unit_vectors(easy_axes, "easy_axes", (..., 3))
    direction = checks.unit_vectors(direction, "direction", (3,))
    # Not by the arc cosine: it loses half of the digits near 0 degrees.
    across = np.linalg.norm(np.cross(axes, direction), axis=-1)
    return np.degrees(np.arctan2(across, np.abs(axes @ direction)))


def pole_density(easy_axes, points, *, weights=None, halfwidth: float = 15.0) -> np.ndarray:
    """Density of easy axes in multiples of a uniform distribution (m.u.d.).

    Each axis spreads over the sphere as a von Mises-Fisher distribution about both of its ends
    (K. V. Mardia and P. E. Jupp, Directional Statistics (2000), ch. 9), so that the mean over the
    hemisphere is 1.

    Args:
        easy_axes: (g, 3) unit vectors.
        points: (..., 3) unit vectors, where the density is wanted.
        weights: (g,) such as the grains' volumes; equal if None.
        halfwidth: in degrees from an axis, where its density is half as high.

    Returns:
        (...) m.u.d.
    """
    axes = checks.unit_vectors(easy_axes, "easy_axes", (None, 3))
    weights = _weights(weights, len(axes))
    points = checks.unit_vectors(points, "points", (..., 3))
    halfwidth = checks.number(halfwidth, "halfwidth", above=0)
    kappa = np.log(2.0) / (1.0 - np.cos(np.radians(halfwidth)))
    cos = points @ axes.T
    # κ cosh(κ cos) / sinh κ, with exponents that do not overflow.
    spread = np.exp(kappa * (cos - 1.0)) + np.exp(-kappa * (cos + 1.0))
    return (spread @ weights) * kappa / -np.expm1(-2.0 * kappa) / weights.sum()


@styled
def plot_pole_figure(
    easy_axes,
    *,
    direction=(0.0, 0.0, 1.0),
    weights=None,
    halfwidth: float = 15.0,
    ax: Axes | None = None,
) -> Axes:
    """Draw the easy axes on the hemisphere about a direction, in equal-area projection.

    Args:
        easy_axes: (g, 3) unit vectors.
        direction: (3,) unit vector, in the middle. Of x and y, the first that is not along it
            points to the right.
        weights: (g,) such as the grains' volumes, which the points' areas follow; equal if None.
        halfwidth: of the density below the points in degrees, see `pole_density`.
        ax: where to draw; a new figure if None.

    Returns:
        The axes. An axis at the angle θ from the direction lies √2 sin(θ/2) from the middle, so
        that equal solid angles have equal areas; the circles are at 30, 60 and 90 degrees.
    """
    axes = checks.unit_vectors(easy_axes, "easy_axes", (None, 3))
    weights = _weights(weights, len(axes))
    frame = _frame(checks.unit_vectors(direction, "direction", (3,)))
    if ax is None:
        ax = plt.figure(figsize=(0.75 * COLUMN, 0.6 * COLUMN), layout="constrained").add_subplot()
    ax.set(xlim=(-1.15, 1.15), ylim=(-1.15, 1.15), aspect="equal")
    ax.set_axis_off()

    x, y = np.meshgrid(*[np.linspace(-1.0, 1.0, PIXELS)] * 2)
    points = _unprojected(x, y) @ frame
    density = pole_density(axes, points, weights=weights, halfwidth=halfwidth)
    image = ax.imshow(
        density,
        extent=(-1, 1, -1, 1),
        origin="lower",
        interpolation="bilinear",
        cmap=DENSITY_COLORS,
        vmin=0.0,
    )
    image.set_clip_path(Circle((0, 0), 1.0, transform=ax.transData))
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.7, aspect=14, pad=0.04)
    bar.set_label("Density (m.u.d.)")
    bar.outline.set_linewidth(0.5)
    bar.ax.tick_params(width=0.5, length=2)

    place = _projected(axes @ frame.T)
    area = 60.0 / np.sqrt(len(axes)) * weights / weights.mean()
    ax.scatter(*place.T, s=area, fc=INK, ec="w", lw=0.3, zorder=3, clip_on=False)
    _draw_net(ax, frame)
    return ax


def _draw_net(ax, frame):
    """Circles at 30, 60 and 90 degrees, and the magnet's directions at the rim."""
    halo = [withStroke(linewidth=2.0, foreground="w")]
    for angle in (30, 60, 90):
        radius = np.sqrt(2.0) * np.sin(np.radians(angle) / 2)
        color = INK if angle == 90 else "0.5"
        ax.add_patch(Circle((0, 0), radius, fc="none", ec=color, lw=0.6, zorder=2))
        side = 1.06 * radius * np.sqrt(0.5)
        label = {"fontsize": 6, "ha": "left", "va": "top", "path_effects": halo, "zorder": 4}
        ax.text(side, -side, f"{angle}°", **label)
    for name, axis in zip("xyz", frame.T, strict=True):
        length = np.hypot(*axis[:2])
        if length > 1e-6:
            ax.text(*(1.1 * axis[:2] / length), f"${name}$", ha="center", va="center")


def _weights(weights, g):
    if weights is None:
        return np.ones(g)
    weights = checks.finite_array(weights, "weights", (g,), f"with g = {g}")
    if (weights < 0).any() or not weights.sum() > 0:
        raise ValueError("`weights` must be non-negative and positive somewhere.")
    return weights


def _frame(direction):
    """(3, 3) rows: right, up, and the direction."""
    other = np.eye(3)[0 if abs(direction[0]) < 1 - 1e-9 else 1]
    right = other - (other @ direction) * direction
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(direction, right), direction])


def _projected(axes):
    """(g, 2) places of axes (g, 3), turned to the upper hemisphere; Lambert's equal-area map."""
    up = np.where(axes[:, 2:] < 0, -axes, axes)
    return up[:, :2] / np.sqrt(1.0 + up[:, 2:])


def _unprojected(x, y):
    """(..., 3) unit vectors of places in the picture; of those outside, the rim's nearest."""
    square = x**2 + y**2
    shrink = 1.0 / np.sqrt(np.maximum(square, 1.0))
    square = np.minimum(square, 1.0)
    lift = np.sqrt(2.0 - square) * shrink
    return np.stack([x * lift, y * lift, 1.0 - square], axis=-1)
