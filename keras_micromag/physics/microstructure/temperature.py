"""How the intrinsic magnetic properties of a material change with temperature."""

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from scipy.interpolate import PchipInterpolator

from keras_micromag.utils import checks

Table = tuple[tuple[float, ...], tuple[float, ...]]
"""Rising temperatures in kelvin, and a value at each."""

_LARGEST_S = 2.5
"""Bound of Kuz'min's s below which m falls at every temperature up to the Curie temperature."""


@dataclass(frozen=True)
class TemperatureLaw(checks.Configured):
    """How the polarisation, anisotropy and exchange of a material change with temperature.

    A `Material` has one as `temperature_law`, and `Material.at` uses it. Only ratios to the values
    at the temperature `reference` count: there the material keeps its constants exactly.

    - m(T), the ratio of Js, is that of Kuz'min's formula [1 − s τ^{3/2} − (1 − s) τ^{5/2}]^{1/3}
      with τ = T / curie (M. D. Kuz'min, Phys. Rev. Lett. 94 (2005) 107204), or of `Js_table`.
    - Ku changes as m^Ku_exponent, or as `Ku_table`. 3 is the exponent of uniaxial anisotropy of
      single ions (H. B. and E. Callen, J. Phys. Chem. Solids 27 (1966) 1271).
    - A changes as m², since the exchange energy is a sum of products of two moments
      (M. D. Kuz'min et al., Eur. Phys. J. Plus 135 (2020) 301).

    Args:
        curie: Curie temperature in kelvin. Not with a `Js_table`.
        s: shape of Kuz'min's curve, above 0 and below 2.5; given with `curie`.
        Ku_exponent: power of m that Ku follows, without a `Ku_table`.
        Js_table: temperatures in kelvin, which rise, and Js in any unit, which does not rise.
            Interpolation is monotonic (PCHIP), and nothing is extrapolated.
        Ku_table: temperatures in kelvin, which rise, and Ku in any unit.
        valid_range: lowest and highest temperature in kelvin at which the law holds; by default
            from 0 up to the Curie temperature, or the range of the tables.
        reference: temperature in kelvin of the constants of the material.
        below: what happens below `valid_range`, for the error there.

    Raises:
        ValueError: unless there is either `curie` with `s` or a `Js_table`; and for tables that are
            not monotonic, or a `reference` outside the range.

    Example:
        >>> from keras_micromag.physics import Material, TemperatureLaw
        >>> law = TemperatureLaw(curie=585.0, s=1.0)
        >>> magnet = Material(Js=1.61, Ku=4.9e6, A=8e-12, temperature_law=law)
        >>> round(magnet.at(450.0).Js, 2)
        1.29
    """

    curie: float | None = None
    s: float | None = None
    Ku_exponent: float = 3.0
    Js_table: Table | None = None
    Ku_table: Table | None = None
    valid_range: tuple[float, float] | None = None
    reference: float = 300.0
    below: str = ""

    def __post_init__(self):
        if self.Js_table is None:
            if self.curie is None or self.s is None:
                raise ValueError(
                    "`curie` and `s` must be given, or a `Js_table`; "
                    f"received curie={self.curie} and s={self.s}."
                )
            self._set("curie", checks.number(self.curie, "curie", above=0))
            self._set("s", checks.number(self.s, "s", above=0))
            if self.s >= _LARGEST_S:
                raise ValueError(
                    f"`s` must be below {_LARGEST_S}, or Js does not fall everywhere; "
                    f"received {self.s:g}."
                )
        else:
            if self.curie is not None or self.s is not None:
                raise ValueError(
                    "`curie` and `s` must be left out with a `Js_table`; "
                    f"received curie={self.curie} and s={self.s}."
                )
            self._set("Js_table", _checked_table(self.Js_table, "Js_table", falling=True))
        if self.Ku_table is not None:
            self._set("Ku_table", _checked_table(self.Ku_table, "Ku_table"))
        self._set("Ku_exponent", checks.number(self.Ku_exponent, "Ku_exponent"))
        self._set("reference", checks.number(self.reference, "reference", least=0))
        checks.instance(self.below, "below", str)
        low, high = (0.0, self.curie) if self.Js_table is None else _ends(self.Js_table)
        if self.Ku_table is not None:
            low, high = max(low, self.Ku_table[0][0]), min(high, self.Ku_table[0][-1])
        if self.valid_range is not None:
            wanted = checks.finite_array(self.valid_range, "valid_range", (2,))
            if not low <= wanted[0] < wanted[1] <= high:
                raise ValueError(
                    f"`valid_range` must rise, and lie from {low:g} to {high:g} K; "
                    f"received {checks.shown(self.valid_range)}."
                )
            self._set("valid_range", tuple(wanted.tolist()))
        elif low < high:
            self._set("valid_range", (low, high))
        else:
            raise ValueError(
                "`Ku_table` must have temperatures in common with the law of Js; "
                f"received {self.Ku_table[0]}."
            )
        self._require_valid(self.reference, "reference")

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def get_config(self) -> dict:
        """Return the arguments in a form that JSON can hold."""
        return asdict(self)

    def ratios(self, temperature: float, name: str = "") -> tuple[float, float]:
        """Return Js and Ku at a temperature over those at `reference`.

        Args:
            temperature: in kelvin.
            name: of the material, for the error.

        Raises:
            ValueError: for a temperature outside the range in which the law holds.
        """
        temperature = checks.number(temperature, "temperature", least=0)
        self._require_valid(temperature, "temperature", name)
        if temperature == self.reference:
            return 1.0, 1.0
        m = self._polarization(temperature) / self._polarization(self.reference)
        if self.Ku_table is None:
            return m, m**self.Ku_exponent
        table = _interpolator(self.Ku_table)
        return m, float(table(temperature) / table(self.reference))

    def _polarization(self, temperature):
        """Return Js in the unit of the table, or over that at 0 K."""
        if self.Js_table is not None:
            return float(_interpolator(self.Js_table)(temperature))
        tau = temperature / self.curie
        # Just below the Curie temperature rounding may leave less than 0.
        return max(1 - self.s * tau**1.5 - (1 - self.s) * tau**2.5, 0.0) ** (1 / 3)

    def _require_valid(self, temperature, argument, name=""):
        of = f" of {name}" if name else ""
        if self.curie is not None and temperature >= self.curie:
            raise ValueError(
                f"`{argument}` must be below the Curie temperature{of}, {self.curie:g} K; "
                f"received {temperature:g}."
            )
        low, high = self.valid_range
        if not low <= temperature <= high:
            why = f" ({self.below})" if self.below and temperature < low else ""
            raise ValueError(
                f"`{argument}` must be from {low:g} to {high:g} K, where the law{of} holds"
                f"{why}; received {temperature:g}."
            )


@lru_cache(maxsize=16)
def _interpolator(table):
    return PchipInterpolator(*table)


def _ends(table):
    return table[0][0], table[0][-1]


def _checked_table(table, name, falling=False) -> Table:
    """Return a table as tuples of floats; its temperatures must rise, and all values be positive.

    Args:
        table: (temperatures, values). name: of the argument.
        falling: whether no value may be larger than the one before.
    """
    if not isinstance(table, list | tuple) or len(table) != 2:
        raise ValueError(
            f"`{name}` must be a pair (temperatures, values); received {checks.shown(table)}."
        )
    temperatures = checks.finite_array(table[0], name, (None,))
    values = checks.finite_array(table[1], name, temperatures.shape, "like its temperatures")
    if (
        len(temperatures) < 2
        or temperatures[0] < 0
        or (temperatures[1:] <= temperatures[:-1]).any()
    ):
        raise ValueError(
            f"`{name}` must have at least two temperatures, which rise from 0 K or more; "
            f"received {checks.shown(temperatures.tolist())}."
        )
    if (values <= 0).any() or (falling and (values[1:] > values[:-1]).any()):
        wanted = "positive values, none above the one before" if falling else "positive values"
        raise ValueError(f"`{name}` must have {wanted}; received {checks.shown(values.tolist())}.")
    return tuple(temperatures.tolist()), tuple(values.tolist())


# Curie temperatures: J. F. Herbst, Rev. Mod. Phys. 63 (1991) 819 for Nd2Fe14B; J. M. D. Coey,
# "Magnetism and Magnetic Materials" (Cambridge University Press, 2010) for the others. What s, the
# tables, the exponents and the ranges rest on stands in docs/explanation/real_magnets.md.
_FERRITE = TemperatureLaw(
    # -0.2 % of the value at 293 K per kelvin, the coefficient of hard ferrites in data sheets.
    # They are ferrimagnets: no s makes Kuz'min's formula fall as fast.
    Js_table=((233.15, 423.15), (1.12, 0.74)),
    Ku_exponent=1.0,  # their anisotropy field hardly changes
)
LAWS = {
    "Nd2Fe14B": TemperatureLaw(
        curie=585.0,
        s=1.0,
        valid_range=(273.0, 550.0),
        below="below, Ku has a maximum, and under 135 K the easy axis tilts",
    ),
    "SmCo5": TemperatureLaw(curie=1020.0, s=1.3, valid_range=(173.0, 800.0)),
    "Sm2Co17": TemperatureLaw(curie=1190.0, s=1.25, valid_range=(173.0, 800.0)),
    "BaFe12O19": _FERRITE,
    "SrFe12O19": _FERRITE,
}
"""Laws of the materials in `keras_micromag.physics.MATERIALS`."""
