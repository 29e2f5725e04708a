"""How far a coercivity can be trusted: its difference from full micromagnetics.

The figures are those of `python -m benchmarks.micromagnetics trust`, which compares coercivities of
single grains and of magnets with those by finite differences.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from keras_micromag.physics.microstructure.material import MU0, Material, calibrated_depth
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.utils import checks


class Range(NamedTuple):
    """What was compared.

    Args:
        hardness: least and largest Q = 2 µ0·Ku/Js² of the grains.
        nuclei: the same of their thickness, twice the least distance of a face from the centroid,
            in diameters of a nucleus.
        angle: the same of the angles between easy axes and field in degrees.
        error: difference of the coercivity in % of the anisotropy field that 19 of 20 do not
            exceed.
        exchange: largest J in J/m² across the boundaries.
    """

    hardness: tuple[float, float]
    nuclei: tuple[float, float]
    angle: tuple[float, float]
    error: float
    exchange: float = 0.0


GRAIN = Range(hardness=(1.15, 37.1), nuclei=(1.0, 14.8), angle=(0.0, 60.1), error=1.4)
THIN_GRAIN = Range(hardness=(1.67, 15.2), nuclei=(0.47, 1.0), angle=(0.0, 42.2), error=3.5)
MAGNET = Range(hardness=(3.59, 37.1), nuclei=(0.6, 5.3), angle=(0.0, 90.0), error=1.3)
COUPLED = Range(
    hardness=(3.59, 6.77), nuclei=(0.83, 3.2), angle=(0.0, 35.0), error=1.0, exchange=6e-3
)
"""Single grains, those thinner than a nucleus, magnets, of which the isotropic ones had axes at up
to 78° from the field, and magnets with exchange across the boundaries of their grains, which is not
calibrated for larger grains."""

DEPTH = (0.9, 1.1)
"""Depth of the particles over the calibrated one at which they count as calibrated."""


@dataclass(frozen=True, eq=False)
class Trust:
    """How far the coercivity of a loop can be trusted: its difference from full micromagnetics.

    It is known from magnets that were computed by finite differences, too. What those leave out,
    such as thermal activation and damaged surfaces of grains, is not in it.

    Attributes:
        error: (...) in tesla, which 19 of 20 coercivities do not exceed; nan outside what was
            calibrated.
        outside: (...) what lies outside; "" where nothing does.

    Example:
        >>> from keras_micromag.physics import cubic_grains, random_easy_axes, simulate
        >>> axes = random_easy_axes(8, seed=1)
        >>> loop = simulate(cubic_grains((2, 2, 2)), axes, field=[8.0, -8.0], method="events")
        >>> print(loop.trust)
        within 0.1 T of micromagnetics, 19 of 20
    """

    error: np.ndarray
    outside: np.ndarray

    def __post_init__(self):
        error = checks.numbers(self.error, "trust.error", None)
        outside = np.asarray(self.outside)
        if outside.dtype.kind != "U" or outside.shape != error.shape:
            raise ValueError(
                f"`trust.outside` must hold text of shape {error.shape}; received "
                f"{outside.dtype.name} {outside.shape}."
            )
        object.__setattr__(self, "error", error)
        object.__setattr__(self, "outside", outside)

    def __getitem__(self, magnets: int | slice | Sequence[int] | np.ndarray) -> "Trust":
        """Return that of some magnets of a batch."""
        return Trust(self.error[magnets], self.outside[magnets])

    def __str__(self):
        pairs = zip(self.error.ravel(), self.outside.ravel(), strict=True)
        lines = (
            f"outside what was calibrated: {outside}"
            if outside
            else f"within {error:.2g} T of micromagnetics, 19 of 20"
            for error, outside in pairs
        )
        return "\n".join(dict.fromkeys(lines))


def estimate(
    structure: Microstructure,
    materials: Sequence[Sequence[Material]],
    easy_axes: np.ndarray,
    direction: ArrayLike,
    self_field: checks.SelfField,
    exchange: ArrayLike = 0.0,
) -> Trust:
    """Return how far the coercivities of b magnets can be trusted.

    Args:
        structure: g grains.
        materials: b rows of g, or a single row for all magnets.
        easy_axes: (b, g, 3).
        direction: (3,) unit vector of the field.
        self_field: of the loops.
        exchange: J in J/m² across the boundaries, () or (g, g).
    """
    b = len(easy_axes)
    if self_field != "nucleus":
        return Trust(np.full(b, np.nan), np.full(b, f"self_field={self_field!r}, not 'nucleus'"))
    inner = np.array([grain.offsets.min() for grain in structure.grains])
    nucleus = np.array([[calibrated_depth(m) for m in row] for row in materials])
    hardness = np.array([[2 * MU0 * m.Ku / m.Js**2 for m in row] for row in materials])
    angle = np.degrees(np.arccos(np.clip(np.abs(easy_axes @ np.asarray(direction)), 0.0, 1.0)))
    nuclei = inner / nucleus
    kind = MAGNET if len(structure) > 1 else THIN_GRAIN if nuclei.min() < 1 else GRAIN
    exchange = np.max(exchange) if kind is MAGNET else 0.0
    kind = COUPLED if exchange > 0 else kind
    outside = np.full(b, "", dtype=object)
    for text, values, (low, high) in (
        ("an easy axis at {:.3g}° from the field", angle, kind.angle),
        ("a grain of {:.3g} nuclei across", nuclei, kind.nuclei),
        ("a material of Q = {:.3g}", hardness, kind.hardness),
        ("particles at {:.3g} times the calibrated depth", structure.depth / nucleus, DEPTH),
    ):
        beyond = np.maximum(low - values, values - high)
        worst = np.take_along_axis(values, beyond.argmax(axis=1)[:, None], axis=1)[:, 0]
        sentences = [f"{text.format(each)}, not {low:.3g} to {high:.3g}" for each in worst]
        outside = np.where(beyond.max(axis=1) > 0, sentences, outside)
    if np.isnan(structure.depth).any():
        outside[:] = "particles at given positions"
    if exchange > kind.exchange:
        outside[:] = f"exchange of {1e3 * exchange:.3g} mJ/m², not 0 to {1e3 * kind.exchange:.3g}"
    field = np.array([np.mean([m.anisotropy_field for m in row]) for row in materials])
    error = np.where(outside == "", kind.error / 100 * field, np.nan)
    return Trust(error, outside.astype(str))
