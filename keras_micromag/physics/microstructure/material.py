"""Intrinsic magnetic properties of a grain (Eq. 1)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import pi, sqrt

from keras_micromag.physics.microstructure.temperature import LAWS, TemperatureLaw
from keras_micromag.utils import checks

MU0 = 4e-7 * pi
"""Magnetic constant in T·m/A. The 2019 SI value differs by 1e-10, below any material constant."""


@dataclass(frozen=True)
class Material(checks.Configured):
    """A uniaxial hard magnetic material.

    Args:
        Js: saturation polarisation µ0·Ms in tesla.
        Ku: uniaxial anisotropy constant in J/m³.
        A: exchange stiffness in J/m.
        Kd: shape anisotropy constant of the grain in J/m³ (Eq. 1), ½ µ0 Ms² (N⊥ − N∥); negative
            for a flat grain. 0 for a cube, and wherever grains have an own field.
        name: for tables and figures.
        temperature_law: how the constants change with temperature, for `at`. The materials of
            `MATERIALS` have one, which a `dataclasses.replace` of their constants keeps.

    Raises:
        ValueError: when `Js`, `Ku` or `A` is not positive, or `Ku + Kd` is not.

    Example:
        >>> from keras_micromag.physics import Material
        >>> magnet = Material(Js=1.61, Ku=4.9e6, A=8e-12)
        >>> round(magnet.anisotropy_field, 2), round(magnet.exchange_length * 1e9, 2)
        (7.65, 1.97)
    """

    Js: float
    Ku: float
    A: float
    Kd: float = 0.0
    name: str = ""
    temperature_law: TemperatureLaw | None = None

    def __post_init__(self):
        for name in ("Js", "Ku", "A"):
            object.__setattr__(self, name, checks.number(getattr(self, name), name, above=0))
        object.__setattr__(self, "Kd", checks.number(self.Kd, "Kd"))
        if self.Ku + self.Kd <= 0:
            raise ValueError(
                "`Kd` must be greater than -Ku, or the grain has no easy axis; "
                f"received Ku = {self.Ku:g} and Kd = {self.Kd:g} J/m³."
            )
        if self.temperature_law is not None:
            checks.instance(self.temperature_law, "temperature_law", TemperatureLaw)

    @classmethod
    def from_config(cls, config: dict) -> "Material":
        """Return the material with the config that `get_config` returned.

        Raises:
            ValueError: for a config that does not fit.
        """
        law = config.get("temperature_law") if isinstance(config, dict) else None
        if law is not None:
            config = {**config, "temperature_law": TemperatureLaw.from_config(law)}
        return super().from_config(config)

    def get_config(self) -> dict:
        """Return the arguments in a form that JSON can hold."""
        config = asdict(self)
        if self.temperature_law is None:
            del config["temperature_law"]
        return config

    def at(self, temperature: float) -> "Material":
        """Return the material at a temperature, by its `temperature_law`.

        `Js` and `Ku` follow the law, and `A` and `Kd` change as Js². The law counts relative to its
        `reference`, 300 K in `MATERIALS`: there all constants are exactly those of the material.
        From the result `at` leads to any other temperature, and back.

        Args:
            temperature: in kelvin.

        Raises:
            ValueError: for a material without a law, and for a temperature outside the range in
                which the law holds.

        Example:
            >>> from keras_micromag.physics import ND2FE14B
            >>> hot = ND2FE14B.at(450.0)
            >>> round(hot.Js, 2), round(hot.anisotropy_field, 2)
            (1.29, 4.91)
        """
        if self.temperature_law is None:
            raise ValueError(
                "`temperature` must be given with materials that have a law for it, such as "
                "Material(..., temperature_law=TemperatureLaw(curie=585.0, s=1.0)); "
                f"received {self!r}."
            )
        js, ku = self.temperature_law.ratios(temperature, self.name)
        return replace(
            self,
            Js=js * self.Js,
            Ku=ku * self.Ku,
            A=js**2 * self.A,
            Kd=js**2 * self.Kd,
            temperature_law=replace(self.temperature_law, reference=temperature),
        )

    @property
    def Ms(self) -> float:
        """The saturation magnetisation in A/m."""
        return self.Js / MU0

    @property
    def anisotropy_field(self) -> float:
        """The switching field at perfect alignment, µ0·H_n⁰ = 2 (Ku + Kd) / Ms in tesla (Eq. 1)."""
        return 2.0 * (self.Ku + self.Kd) / self.Ms

    @property
    def exchange_length(self) -> float:
        """The exchange length, sqrt(µ0·A) / Js, in metres."""
        return sqrt(MU0 * self.A) / self.Js

    @property
    def wall_width(self) -> float:
        """The width parameter of a domain wall, sqrt(A / Ku), in metres: without a factor π."""
        return sqrt(self.A / self.Ku)


_CALIBRATED = 3.0
"""Depth of the particles over the geometric mean of exchange length and wall width. A single number
for all materials, sizes and shapes: fitted to single grains it is 3.2, to magnets 2.8 to 3.0."""


def calibrated_depth(material: Material) -> float:
    """Return the depth of the particles at which loops agree with full micromagnetics.

    It is 3 times the geometric mean of the exchange length and the wall width,
    3 (µ0·A / Js²)^¼ (A / Ku)^¼ in metres, and is meant for `self_field="nucleus"`: a nucleus of
    reversal is a sphere of this radius, which fits into the corners of the grain.

    The factor was fitted to switching fields of single grains and of magnets, computed by finite
    differences; docs/explanation/trust.md shows how far they agree.

    Args:
        material: of the grain. `Kd` does not count.

    Example:
        >>> from keras_micromag.physics import ND2FE14B, calibrated_depth
        >>> round(calibrated_depth(ND2FE14B) * 1e9, 2)
        4.76
    """
    return _CALIBRATED * sqrt(material.exchange_length * material.wall_width)


def for_each_grain(material: Material | Sequence[Material], g: int) -> list[Material]:
    """Return one material for each of g grains, from a single one or a sequence.

    Raises:
        ValueError: for another number of materials.
    """
    materials = [material] * g if isinstance(material, Material) else material
    if (
        not isinstance(materials, Sequence)
        or len(materials) != g
        or not all(isinstance(m, Material) for m in materials)
    ):
        raise ValueError(
            f"`material` must be a Material or a sequence of g = {g} of them; "
            f"received {material!r:.200}."
        )
    return list(materials)


def at_temperature(material, temperature: float | None):
    """Return materials at a temperature: a single one, or those in nested sequences.

    Args:
        material: as `simulate` takes it. What is no material is left for it to refuse.
        temperature: in kelvin; None leaves the materials as they are.
    """
    if temperature is None:
        return material
    if isinstance(material, Material):
        return material.at(temperature)
    if isinstance(material, list | tuple):
        return [at_temperature(each, temperature) for each in material]
    return material


# Rounded room-temperature values after J. M. D. Coey, "Magnetism and Magnetic Materials" (Cambridge
# University Press, 2010); for Ku and Js see also R. Skomski and J. M. D. Coey, Scripta Materialia
# 112 (2016) 3-8. The exchange stiffness is the least certain. Real alloys differ with
# composition: give your own `Material`.
MATERIALS = {
    name: Material(Js, Ku, A, name=name, temperature_law=LAWS[name])
    for name, Js, Ku, A in (
        ("Nd2Fe14B", 1.61, 4.9e6, 8e-12),
        ("SmCo5", 1.08, 17.2e6, 12e-12),
        ("Sm2Co17", 1.25, 4.2e6, 16e-12),
        ("BaFe12O19", 0.48, 0.33e6, 6e-12),
        ("SrFe12O19", 0.46, 0.35e6, 6e-12),
    )
}
ND2FE14B = MATERIALS["Nd2Fe14B"]
