"""Thermal activation: grains that reverse before their barrier against it has vanished.

A particle in the reduced field h, at which it would switch at h_sw without temperature, is held by
the barrier

    ΔE = (Ku + Kd)·V·(1 - h/h_sw)^n      with n = 0.86 + 1.14 h_sw

(H. Pfeiffer, Phys. Status Solidi A 118 (1990) 295; exact for a field along the easy axis, n = 2).
It is crossed at the rate f0·exp(-ΔE/kT) (Arrhenius and Néel). A grain reverses where the rate of
its least stable particle, times the time τ that counts at that field, reaches ln 2, the median:

    h = h_sw·(1 - x)      with ΔE/kT = ((Ku + Kd)·V/kT)·x^n = ln(f0·τ/ln 2)

So it is as if the astroid had shrunk by 1 - x, by an amount that depends on the angle. τ is the
time for which each field is held, or at a constant sweep rate that in which the rate grows by a
factor e: kT over the rate of change of the barrier (J. Kurkijärvi, Phys. Rev. B 6 (1972) 832).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import pi

import numpy as np

from keras_micromag.physics.microstructure.material import Material, calibrated_depth
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.utils import checks

BOLTZMANN = 1.380649e-23
"""Boltzmann's constant in J/K."""

_DEGREE = 6
"""Of the polynomial in h_sw that stands for x in a loop; its error is below 1e-4 of x."""

_NODES = np.linspace(0.5, 1.0, 33)
"""Values of h_sw, which is 0.5 at 45°, that the polynomial is fitted to."""

_ITERATIONS = 30
"""Of the fixed point at a constant sweep rate, whose logarithm hardly changes."""


@dataclass(frozen=True)
class Thermal(checks.Configured):
    """Thermal activation of the reversal of grains, during a measurement that takes time.

    Give either `sweep_rate` or `wait`.

    Args:
        temperature: in kelvin. It sets kT; materials at it are those of `Material.at`.
        sweep_rate: of the field in T/s, in measurements with a constant one. A pulse takes 1e3,
            a laboratory magnet 1e-3 to 1e-1.
        wait: time in seconds for which each field is held.
        attempt_frequency: f0 in Hz.
        activation_volume: V in m³ of the nucleus that crosses the barrier: a number, or None for a
            sphere with the calibrated depth as its radius, or the grain where that is smaller. What
            experiments call so, (1/Ms)·∂ΔE/∂B, is V·n·x^(n-1) / (2 h_sw), about a fifth of it.
        seed: where given, each grain of each magnet reverses at a random time, exponentially
            distributed, in place of the median.

    Raises:
        ValueError: for values that are not positive, for a negative temperature, and unless exactly
            one of `sweep_rate` and `wait` is given.

    Example:
        >>> from keras_micromag.physics import Thermal, cubic_grains, random_easy_axes, simulate
        >>> magnet, axes = cubic_grains((2, 2, 2)), random_easy_axes(8, seed=1)
        >>> slow = Thermal(temperature=300, sweep_rate=1e-3)
        >>> loops = [
        ...     simulate(magnet, axes, field=[8.0, -8.0], method="events", thermal=thermal)
        ...     for thermal in (None, slow)
        ... ]
        >>> [round(float(loop.coercivity()), 1) for loop in loops]
        [3.6, 3.1]
    """

    temperature: float
    sweep_rate: float | None = None
    wait: float | None = None
    attempt_frequency: float = 1e10
    activation_volume: float | None = None
    seed: int | None = None

    def __post_init__(self):
        temperature = checks.number(self.temperature, "temperature", least=0)
        object.__setattr__(self, "temperature", temperature)
        if (self.sweep_rate is None) == (self.wait is None):
            raise ValueError(
                "`sweep_rate` or `wait` must be given, and not both; received "
                f"{self.sweep_rate!r} and {self.wait!r}."
            )
        for name in ("sweep_rate", "wait", "attempt_frequency", "activation_volume"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, checks.number(value, name, above=0))
        if self.seed is not None:
            checks.count(self.seed, "seed", least=0)

    def get_config(self) -> dict:
        """Return the arguments in a form that JSON can hold."""
        return asdict(self)


def checked_thermal(thermal: Thermal | None) -> Thermal | None:
    """Return the argument `thermal` of a loop; raise where it is something else."""
    return None if thermal is None else checks.instance(thermal, "thermal", Thermal)


def softening(
    thermal: Thermal | None,
    structure: Microstructure,
    materials: Sequence[Sequence[Material]],
    magnets: int,
) -> np.ndarray:
    """Return the shares x by which grains reverse earlier, as polynomials in h_sw.

    Args:
        thermal: None, or what a loop takes.
        structure: g grains.
        materials: b rows of g, or a single row for all magnets.
        magnets: their number, for times that are drawn.

    Returns:
        (b, k, g) coefficients, from that of the highest power on; a single row stands for all
        magnets, and k is 0 without thermal activation.

    Raises:
        ValueError: for an activation volume larger than a grain.
    """
    if thermal is None or thermal.temperature == 0:
        return np.zeros((1, 0, len(structure)))
    hardness = np.array([[m.Ku + m.Kd for m in row] for row in materials])
    field = np.array([[m.anisotropy_field for m in row] for row in materials])
    barrier = hardness * _volumes(thermal, structure, materials)
    barrier = barrier / (BOLTZMANN * thermal.temperature)
    events = np.log(2.0)
    if thermal.seed is not None:
        rng = np.random.default_rng(thermal.seed)
        events = rng.exponential(size=(magnets, len(structure)))
    x = _shares(thermal, barrier[..., None], field[..., None], np.asarray(events)[..., None])
    powers = np.vander(_NODES, _DEGREE + 1)
    return np.moveaxis(x @ np.linalg.pinv(powers).T, -1, 1)


def _volumes(thermal, structure, materials):
    """Return the volumes (b, g) of the nuclei."""
    if thermal.activation_volume is None:
        radius = np.array([[calibrated_depth(m) for m in row] for row in materials])
        return np.minimum(4 / 3 * pi * radius**3, structure.volumes)
    smallest = int(structure.volumes.argmin())
    if thermal.activation_volume > structure.volumes[smallest]:
        raise ValueError(
            "`activation_volume` must be at most that of a grain, "
            f"{structure.volumes[smallest]:g} m³ for grain {smallest}; received "
            f"{thermal.activation_volume:g}."
        )
    return np.full((len(materials), len(structure)), thermal.activation_volume)


def _shares(thermal, barrier, field, events):
    """Return x (b, g, n) at `_NODES`, in [0, 1].

    Args:
        barrier: (b, g, 1) (Ku + Kd)·V/kT. field: (b, g, 1) the anisotropy field in tesla.
        events: rate times time at which a grain reverses, (b, g, 1) or a number.
    """
    n = 0.86 + 1.14 * _NODES

    def share(logarithm):
        return np.clip(np.maximum(logarithm, 0.0) / barrier, 0.0, 1.0) ** (1 / n)

    if thermal.wait is not None:
        return share(np.log(thermal.attempt_frequency * thermal.wait / events))
    # While the rate grows by a factor e, the field changes by this over x^(n-1).
    change = field * _NODES / (barrier * n)
    x = np.full(np.broadcast_shapes(change.shape, np.shape(events)), 0.2)
    for _ in range(_ITERATIONS):
        tau = change / (thermal.sweep_rate * np.maximum(x, 1e-3) ** (n - 1))
        x = share(np.log(thermal.attempt_frequency * tau / events))
    return x
