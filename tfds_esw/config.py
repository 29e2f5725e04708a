"""Configurations of the data set: the magnets, the field, the method and the splits."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable
from typing import Literal

import numpy as np
import tensorflow_datasets as tfds

from keras_micromag.utils import checks

_DIGITS = 10
"""Number of digits of the digest in the name."""


@dataclasses.dataclass(kw_only=True, eq=False)
class Config(tfds.core.BuilderConfig):
    """All parameters of the simulations; the defaults are those of the paper, completed by ours.

    A digest of all parameters is appended to the name, so that data on disk are never read as those
    of other physics.

    Args:
        name: of letters, digits and `_.+-`; `-` and the digest are appended.
        shape: number of cubic grains along x, y and z.
        grains: number of irregular grains instead, or a pair (low, high) from which each magnet's
            number is drawn. The grains are the Voronoi or Laguerre cells of a cube, different in
            each magnet (see `keras_micromag.physics.voronoi_grains`). Grains that are too small for
            boundaries or particles are left out.
        sigma, relaxation: of irregular grains, see `voronoi_grains`.
        size: edge of a grain in metres; of irregular ones that of a cube of their mean volume.
            gap: non-magnetic gap between grains in metres.
        depth: of the particles below the grain's surface in metres; by default that of
            `keras_micromag.physics.calibrated_depth`, each grain's of its own material.
        scheme: where particles sit, see `keras_micromag.physics.Microstructure`.
        Js: saturation polarisation in tesla. Ku: anisotropy constant in J/m³. A: exchange stiffness
            in J/m. Kd: shape anisotropy constant in J/m³. A pair (low, high) is drawn from
            uniformly, once for each magnet.
        Js_spread, Ku_spread: standard deviation of the logarithm of each over the grains of a
            magnet, about the magnet's own.
        temperature: in kelvin, or a pair (low, high) likewise. Js, Ku, A and Kd are then those at
            300 K, and change as those of Nd2Fe14B do (see `keras_micromag.physics.Material.at`).
            By default they are taken as they are.
        exchange: J in J/m² across the boundaries of neighbouring grains, or a pair likewise; none
            by default.
        sweep_rate: of the field in T/s, with which heat reverses grains earlier (see
            `keras_micromag.physics.Thermal`), at `temperature` or 300 K. None by default.
        cone: half angle of the easy axes' cone in degrees, or a pair likewise.
        field: first and last µ0·H in tesla. steps: number of fields, these two included.
        field_direction, self_field, method, avalanche, dtype, tol, max_iterations: see
            `keras_micromag.physics.simulate`.
        seed: magnet i is drawn from (seed, i).
        splits: number of simulations in each; they take the indices i in this order.

    Raises:
        ValueError: naming the parameter. Values that only the physics can refuse are refused when
            the data set is built, before anything is written.

    Example:
        >>> from tfds_esw import Config
        >>> Config(name="wide", cone=50.0).name
        'wide-94f98ef175'
    """

    name: str = "custom"
    shape: tuple[int, int, int] = (4, 4, 4)
    size: float = 50e-9
    gap: float = 3e-9
    depth: float | Literal["calibrated"] = "calibrated"
    scheme: tuple[str, ...] = ("vertices", "edges", "faces", "centroid")
    Js: float | tuple[float, float] = 1.61
    Ku: float | tuple[float, float] = 4.9e6
    A: float | tuple[float, float] = 8e-12
    Kd: float | tuple[float, float] = 0.0
    cone: float | tuple[float, float] = 35.0
    field: tuple[float, float] = (8.0, -8.0)
    steps: int = 1000
    field_direction: tuple[float, float, float] = (0.0, 0.0, 1.0)
    self_field: checks.SelfField = "nucleus"
    avalanche: str = "weakest_first"
    dtype: str = "float32"
    tol: float | None = None
    max_iterations: int = 5000
    seed: int = 0
    splits: dict[str, int] = dataclasses.field(default_factory=lambda: {"train": 9, "test": 1})
    method: str = "steps"
    grains: int | tuple[int, int] | None = None
    sigma: float = 0.0
    relaxation: int = 0
    Js_spread: float = 0.0
    Ku_spread: float = 0.0
    temperature: float | tuple[float, float] | None = None
    exchange: float | tuple[float, float] | None = None
    sweep_rate: float | None = None

    def __post_init__(self):
        checks.instance(self.name, "name", str)
        checks.instance(self.dtype, "dtype", str)
        self.self_field = checks.self_field(self.self_field)
        checks.one_of(self.method, "method", ("steps", "events"))
        checks.instance(self.avalanche, "avalanche", str)
        _require(re.fullmatch(r"[\w.+-]+", self.name), "name", "be of letters, digits, _.+-", self)
        for name in ("size", "gap", "depth", "tol"):
            value = getattr(self, name)
            if value is not None and (name, value) != ("depth", "calibrated"):
                setattr(self, name, checks.number(value, name))
        for name in DRAWN:
            setattr(self, name, _one_or_pair(getattr(self, name), name, checks.number))
        for name in ("sigma", "Js_spread", "Ku_spread"):
            setattr(self, name, checks.number(getattr(self, name), name))
        self.relaxation = checks.count(self.relaxation, "relaxation", least=0)
        if self.grains is not None:
            self.grains = _one_or_pair(self.grains, "grains", checks.count)
        for name in ("temperature", "exchange"):
            if getattr(self, name) is not None:
                setattr(self, name, _one_or_pair(getattr(self, name), name, checks.number))
        if self.sweep_rate is not None:
            self.sweep_rate = checks.number(self.sweep_rate, "sweep_rate", above=0)
        self.field = _each(self.field, "field", 2, checks.number)
        self.field_direction = _each(self.field_direction, "field_direction", 3, checks.number)
        self.shape = _each(self.shape, "shape", 3, checks.count)
        _require(isinstance(self.scheme, list | tuple), "scheme", "be a list of places", self)
        self.scheme = tuple(self.scheme)
        self.steps = checks.count(self.steps, "steps")
        self.max_iterations = checks.count(
            self.max_iterations, "max_iterations", most=checks.MOST_ITERATIONS
        )
        self.seed = checks.count(self.seed, "seed", least=0)
        wanted = 'be a dict of names, of letters, digits, _- and not "all", and numbers'
        _require(_are_splits(self.splits), "splits", wanted, self)
        self.splits = {
            name: checks.count(n, f"splits[{name!r}]") for name, n in self.splits.items()
        }
        base, dash, tail = self.name.rpartition("-")
        if dash and len(tail) == _DIGITS and set(tail) <= set("0123456789abcdef"):
            self.name = base  # of a copy made by `dataclasses.replace`
        self.name = f"{self.name}-{self.digest[:_DIGITS]}"
        self._made = self.digest

    @property
    def parameters(self) -> dict:
        """All parameters that determine the data, as JSON can hold them.

        Those that came after the first data sets are left out where they are None, so that the
        digests of those stay.
        """
        left_out = {f.name for f in dataclasses.fields(tfds.core.BuilderConfig)}
        left_out |= {name for name in _LATER if getattr(self, name) is None}
        names = [f.name for f in dataclasses.fields(self) if f.name not in left_out]
        return {name: getattr(self, name) for name in names}

    @property
    def most_grains(self) -> int:
        """Largest number of grains in a magnet."""
        return int(np.max(self.grains) if self.grains else np.prod(self.shape))

    @property
    def material_varies(self) -> bool:
        """Whether the grains of a magnet differ in their material."""
        return self.Js_spread > 0 or self.Ku_spread > 0

    @property
    def digest(self) -> str:
        """SHA-256 digest of the parameters, which does not depend on the name."""
        return hashlib.sha256(json.dumps(self.parameters).encode()).hexdigest()

    def require_unchanged(self) -> None:
        """Raise where a parameter was set after the name was made."""
        if self.digest != self._made:
            raise ValueError(
                f"`config` must stay as it was made; {self.name!r} was changed: copy it with "
                "dataclasses.replace."
            )

    def indices(self, split: str) -> range:
        """Return the indices of the simulations in `split`."""
        names = list(self.splits)
        first = sum(self.splits[name] for name in names[: names.index(split)])
        return range(first, first + self.splits[split])


_LATER = ("temperature", "exchange", "sweep_rate")
"""Parameters that came after the first data sets; None leaves the data as they were."""

DRAWN = ("cone", "Js", "Ku", "A", "Kd")
"""Parameters that may be drawn for each magnet, in the order of the draws."""


def metadata(info: tfds.core.DatasetInfo) -> dict:
    """Return the metadata of a built data set: `structure`, `parameters`, `versions` and `files`.

    Args:
        info: `builder.info`.

    Raises:
        ValueError: when they are missing or damaged.
    """
    try:
        content = info.metadata
    except ValueError:  # no JSON
        content = None
    if not content:
        raise ValueError(
            f"{info.data_dir}/metadata.json must be as it was built; it is missing or damaged: "
            "remove its folder and build it again."
        )
    return content


def _require(right, name: str, wanted: str, config: Config) -> None:
    if not right:
        raise ValueError(f"`{name}` must {wanted}; received {checks.shown(getattr(config, name))}.")


def _are_splits(value) -> bool:
    return (isinstance(value, dict) and len(value) > 0) and all(
        isinstance(name, str) and re.fullmatch(r"[\w-]+", name) and name != "all" for name in value
    )


def _each(value, name: str, length: int, check: Callable) -> tuple:
    """Return `value`, a list or tuple of that length, as a tuple of checked parts."""
    if not isinstance(value, list | tuple) or len(value) != length:
        raise ValueError(f"`{name}` must be {length} numbers; received {checks.shown(value)}.")
    return tuple(check(part, name) for part in value)


def _one_or_pair(value, name: str, check: Callable):
    """Return `value`, checked: a number, or a pair (low, high)."""
    if not isinstance(value, list | tuple):
        return check(value, name)
    low, high = _each(value, name, 2, check)
    if low > high:
        raise ValueError(
            f"`{name}` must be a number or a pair (low, high); received {checks.shown(value)}."
        )
    return low, high


def _known(name: str, description: str, **parameters) -> Config:
    config = Config(description=description, **parameters)
    config.name = name  # without a digest: a test holds that it does not change
    return config


# The depth is `PAPER_DEPTH` of keras_micromag, 1.2 exchange lengths of Nd2Fe14B: importing it would
# import Keras, which readers of the data do not need.
_PAPER = {"depth": 2.3632262147215963e-09, "self_field": False, "avalanche": "simultaneous"}

CONFIGS = [
    _known("paper", "The ten magnets of the paper: nine to train on, one to test.", **_PAPER),
    _known(
        "tiny",
        "Magnets of eight grains and short loops, to try things out.",
        shape=(2, 2, 2),
        steps=50,
        splits={"train": 4, "validation": 1, "test": 1},
    ),
    _known(
        "large",
        "A thousand magnets like those of the paper, none of which is among its ten.",
        **_PAPER,
        seed=1,
        splits={"train": 800, "validation": 100, "test": 100},
    ),
    _known(
        "textures",
        "A thousand magnets with cones from 5° to 55° and materials around Nd2Fe14B.",
        cone=(5.0, 55.0),
        Js=(1.2, 1.65),
        Ku=(3e6, 5e6),
        field=(11.0, -11.0),
        method="events",
        seed=2,
        splits={"train": 800, "validation": 100, "test": 100},
    ),
    _known(
        "polycrystal",
        "Five hundred magnets of 48 to 64 irregular grains, each with a structure of its own.",
        grains=(48, 64),
        sigma=0.25,
        relaxation=1,
        Ku_spread=0.03,
        method="events",
        seed=3,
        splits={"train": 400, "validation": 50, "test": 50},
    ),
    _known(
        "real",
        "A thousand magnets from 300 to 450 K, coupled by up to 3 mJ/m², of cones from 5° to 35°, "
        "swept at 10 mT/s.",
        cone=(5.0, 35.0),
        temperature=(300.0, 450.0),
        exchange=(0.0, 3e-3),
        sweep_rate=0.01,
        method="events",
        seed=4,
        splits={"train": 800, "validation": 100, "test": 100},
    ),
]
