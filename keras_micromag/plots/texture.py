"""Textures: distributions of the easy axes of the grains."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike

from keras_micromag.plots.style import INK, add_colorbar, new_axes, styled
from keras_micromag.utils import checks

DENSITY_COLORS = "Blues"
PIXELS = 201


def misorientation(easy_axes: ArrayLike, direction: ArrayLike = (0.0, 0.0, 1.0)) -> np.ndarray:
    """Return the angles between easy axes, which have no sign, and a direction.

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
    # The arc cosine would lose half of the digits near 0 degrees.
    sin = np.linalg.norm(np.cross(axes, direction), axis=-1)
    return np.degrees(np.arctan2(sin, np.abs(axes @ direction)))


def pole_density(
    easy_axes: ArrayLike,
    points: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    halfwidth: float = 15.0,
) -> np.ndarray:
    """Return the density of easy axes in multiples of a uniform distribution (m.u.d.).

    The density of each axis is a von Mises-Fisher distribution about both of its ends (K. V. Mardia
    and P. E. Jupp, Directional Statistics (2000), ch. 9). Its mean over the hemisphere is 1.

    Args:
        easy_axes: (g, 3) unit vectors.
        points: (..., 3) unit vectors at which to evaluate the density.
        weights: (g,) of the axes, such as the volumes of the grains; equal if None.
        halfwidth: angle from an axis in degrees at which its density has fallen to a half.

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
    kernel = np.exp(kappa * (cos - 1.0)) + np.exp(-kappa * (cos + 1.0))
    return (kernel @ weights) * kappa / -np.expm1(-2.0 * kappa) / weights.sum()


@styled
def plot_pole_figure(
    easy_axes: ArrayLike,
    *,
    direction: ArrayLike = (0.0, 0.0, 1.0),
    weights: ArrayLike | None = None,
    halfwidth: float = 15.0,
    ax: Axes | None = None,
) -> Axes:
    """Draw the easy axes on the hemisphere about a direction, in equal-area projection.

    Args:
        easy_axes: (g, 3) unit vectors.
        direction: (3,) unit vector at the centre of the figure. The x axis points to the right, or
            the y axis if `direction` is along x.
        weights: (g,) of the axes, such as the volumes of the grains, to which the areas of the
            points are proportional; equal if None.
        halfwidth: of the density in degrees, see `pole_density`.
        ax: axes to draw in; a new figure if None.

    Returns:
        The axes. An easy axis at the angle θ from the direction lies √2 sin(θ/2) from the centre,
        so that equal solid angles have equal areas. The circles are at 30, 60 and 90 degrees.
    """
    axes = checks.unit_vectors(easy_axes, "easy_axes", (None, 3))
    weights = _weights(weights, len(axes))
    frame = _frame(checks.unit_vectors(direction, "direction", (3,)))
    ax = new_axes(width=0.75, height=0.6) if ax is None else ax
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
    add_colorbar(image, ax).set_label("Density (m.u.d.)")

    x, y = _projected(axes @ frame.T).T
    area = 60.0 / np.sqrt(len(axes)) * weights / weights.mean()
    ax.scatter(x, y, area, fc=INK, ec="w", lw=0.3, zorder=3, clip_on=False)
    _draw_net(ax, frame)
    return ax


def _draw_net(ax, frame):
    """Draw circles at 30, 60 and 90 degrees, and the directions x, y, z at the rim."""
    halo = [withStroke(linewidth=2.0, foreground="w")]
    for angle in (30, 60, 90):
        radius = np.sqrt(2.0) * np.sin(np.radians(angle) / 2)
        color = INK if angle == 90 else "0.5"
        ax.add_patch(Circle((0, 0), radius, fc="none", ec=color, lw=0.6, zorder=2))
        offset = 1.06 * radius * np.sqrt(0.5)
        label = {"fontsize": 6, "ha": "left", "va": "top", "path_effects": halo, "zorder": 4}
        ax.text(offset, -offset, f"{angle}°", **label)
    for name, axis in zip("xyz", frame.T, strict=True):
        length = np.hypot(*axis[:2])
        if length > 1e-6:
            ax.text(*(1.1 * axis[:2] / length), f"${name}$", ha="center", va="center")


def _weights(weights, g):
    """Return the weights (g,) of the axes, equal if None."""
    if weights is None:
        return np.ones(g)
    weights = checks.finite_array(weights, "weights", (g,), f"with g = {g}")
    if (weights < 0).any() or not weights.sum() > 0:
        raise ValueError("`weights` must be non-negative and positive somewhere.")
    return weights


def _frame(direction):
    """Return the axes of the figure as rows (3, 3): right, up, and the direction."""
    other = np.eye(3)[0 if abs(direction[0]) < 1 - 1e-9 else 1]
    right = other - (other @ direction) * direction
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(direction, right), direction])


def _projected(axes):
    """Return the positions (g, 2) of axes (g, 3) in Lambert's equal-area projection.

    Axes that point down are reversed, since an axis has no sign.
    """
    up = np.where(axes[:, 2:] < 0, -axes, axes)
    return up[:, :2] / np.sqrt(1.0 + up[:, 2:])


def _unprojected(x, y):
    """Return the unit vectors (..., 3) at positions in the figure.

    A position outside the rim gets the vector of the nearest point on it.
    """
    square = x**2 + y**2
    shrink = 1.0 / np.sqrt(np.maximum(square, 1.0))
    square = np.minimum(square, 1.0)
    lift = np.sqrt(2.0 - square) * shrink
    return np.stack([x * lift, y * lift, 1.0 - square], axis=-1)
