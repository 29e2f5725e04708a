"""Counts the loops that end, of magnets in which the field calls for both branches of a grain.

    KERAS_BACKEND=jax python -m tests.campaigns.endings --count 1000 --seed 0

prints, for each kind of magnet, method and own field, how many of the magnets end, and the most
flips of a magnet between two fields. A thousand of each kind take some minutes by steps, and about
ten times as long by events. The suite runs a few dozen.

    KERAS_BACKEND=jax python -m tests.campaigns.endings --count 5000 --own-field none \
        --kind default SmCo5 BaFe12O19 polycrystals --method events --avalanche simultaneous

runs 20,000 textured magnets of 64 grains or so.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np

from keras_micromag.cli.simulate import SELF_FIELD
from keras_micromag.physics import (
    MATERIALS,
    ND2FE14B,
    Hysteresis,
    Material,
    Microstructure,
    core_shell,
    cubic_grains,
    mixed_phases,
    random_easy_axes,
    simulate,
    voronoi_grains,
)
from keras_micromag.utils import checks

SOFT = Material(Js=2.0, Ku=6e5, A=1e-11)
IRON = Material(Js=2.15, Ku=4.6e4, A=2.5e-11)

BATCH = 128
"""Magnets that are simulated at once; each size of a batch is compiled on its own."""


class Magnets(NamedTuple):
    """The arguments of `simulate` for n magnets of one structure."""

    structure: Microstructure
    easy_axes: np.ndarray
    material: Material | list
    field: np.ndarray
    field_direction: tuple[float, float, float] = (0.0, 0.0, 1.0)
    exchange: float | np.ndarray = 0.0


def _depth(own_field: checks.SelfField, material: Material = ND2FE14B) -> dict:
    """Return where the particles lie: at the calibrated depth in the own field of a nucleus.

    Else they lie 1.2 exchange lengths deep, and so much nearer to the edges.
    """
    if own_field == "nucleus":
        return {"depth": "calibrated", "material": material}
    return {"depth": 1.2 * material.exchange_length}


def isotropic(
    n: int, seed: int, own_field: checks.SelfField, largest_field: float = 8.0
) -> Magnets:
    """Return hard magnets with axes in all directions."""
    axes = random_easy_axes((n, 8), cone=90.0, seed=seed)
    field = np.linspace(largest_field, -largest_field, 81)
    return Magnets(cubic_grains((2, 2, 2), **_depth(own_field)), axes, ND2FE14B, field)


def isotropic_in_12_tesla(n: int, seed: int, own_field: checks.SelfField) -> Magnets:
    """Return magnets as `isotropic` does, up to a field above the anisotropy field."""
    return isotropic(n, seed, own_field, 12.0)


def across(n: int, seed: int, own_field: checks.SelfField) -> Magnets:
    """Return hard magnets with the field across their axes, beyond the anisotropy field."""
    axes = random_easy_axes((n, 27), cone=10.0, seed=seed)
    structure = cubic_grains((3, 3, 3), **_depth(own_field))
    return Magnets(structure, axes, ND2FE14B, np.linspace(12.0, -12.0, 61), (1.0, 0.0, 0.0))


def soft(n: int, seed: int, own_field: checks.SelfField) -> Magnets:
    """Return magnets whose polarisation exceeds the anisotropy field of their grains."""
    axes = random_easy_axes((n, 8), cone=90.0, seed=seed)
    structure = cubic_grains((2, 2, 2), **_depth(own_field, SOFT))
    return Magnets(structure, axes, SOFT, np.linspace(3.0, -3.0, 61))


def mixed(n: int, seed: int, own_field: checks.SelfField, softer: Material = SOFT) -> Magnets:
    """Return magnets of hard and of softer grains, in another order for each magnet."""
    structure = cubic_grains((2, 2, 2), **_depth(own_field))
    axes = random_easy_axes((n, 8), cone=60.0, seed=seed)
    phases = ND2FE14B, softer
    material = [mixed_phases(structure, phases, [1, 1], seed=seed + i) for i in range(n)]
    return Magnets(structure, axes, material, np.linspace(8.0, -8.0, 81))


def with_iron(n: int, seed: int, own_field: checks.SelfField) -> Magnets:
    """Return magnets as `mixed` does, half of whose grains have a polarisation of 50 times H_K."""
    return mixed(n, seed, own_field, IRON)


def shells(n: int, seed: int, own_field: checks.SelfField) -> Magnets:
    """Return magnets of hard cores in soft shells."""
    structure = core_shell(cubic_grains((2, 2, 1)), 4e-9, **_depth(own_field))
    axes = random_easy_axes((n, 4), cone=60.0, seed=seed)
    axes = np.concatenate([axes, axes], axis=1)
    return Magnets(structure, axes, [ND2FE14B] * 4 + [SOFT] * 4, np.linspace(8.0, -8.0, 81))


def default(
    n: int, seed: int, own_field: checks.SelfField, material: Material = ND2FE14B
) -> Magnets:
    """Return magnets as the paper's, whose field goes from one saturation to the other at once."""
    axes = random_easy_axes((n, 64), cone=35.0, seed=seed)
    saturation = 1.2 * material.anisotropy_field
    structure = cubic_grains(**_depth(own_field, material))
    return Magnets(structure, axes, material, np.array([saturation, -saturation]))


def polycrystals(n: int, seed: int, own_field: checks.SelfField) -> Magnets:
    """Return textured magnets of Voronoi grains."""
    particles = _depth(own_field)
    structure = voronoi_grains(60, 200e-9, seed=seed, gap=3e-9, vanishing="drop", **particles)
    axes = random_easy_axes((n, len(structure)), cone=35.0, seed=seed)
    return Magnets(structure, axes, ND2FE14B, np.array([8.0, -8.0]))


def coupled(
    n: int, seed: int, own_field: checks.SelfField, material: Material = ND2FE14B
) -> Magnets:
    """Return textured magnets with exchange of up to 6 mJ/m² across their boundaries.

    It differs between the boundaries by up to a factor of two, and its largest from seed to seed.
    """
    rng = np.random.default_rng([seed, 1])
    structure = cubic_grains((3, 3, 3), size=30e-9, **_depth(own_field, material))
    exchange = rng.uniform(0.0, 6e-3) * np.triu(rng.uniform(0.5, 1.0, (27, 27)), 1)
    axes = random_easy_axes((n, 27), cone=35.0, seed=seed)
    saturation = 1.5 * material.anisotropy_field
    field = np.linspace(saturation, -saturation, 101)
    return Magnets(structure, axes, material, field, exchange=exchange + exchange.T)


KINDS: dict[str, Callable[[int, int, checks.SelfField], Magnets]] = {
    "isotropic, 8 T": isotropic,
    "isotropic, 12 T": isotropic_in_12_tesla,
    "across": across,
    "soft": soft,
    "mixed": mixed,
    "with iron": with_iron,
    "shells": shells,
    "default": default,
    "SmCo5": partial(default, material=MATERIALS["SmCo5"]),
    "BaFe12O19": partial(default, material=MATERIALS["BaFe12O19"]),
    "polycrystals": polycrystals,
    "coupled": coupled,
    "coupled SmCo5": partial(coupled, material=MATERIALS["SmCo5"]),
    "coupled BaFe12O19": partial(coupled, material=MATERIALS["BaFe12O19"]),
    "coupled, soft": partial(coupled, material=SOFT),
}


def loops(
    kind: str, count: int, seed: int, self_field: checks.SelfField, **options
) -> Iterator[Hysteresis]:
    """Yield the loops of `count` magnets, a batch at a time.

    Args:
        kind: a key of `KINDS`. self_field, options: of `simulate`.
    """
    for first in range(0, count, BATCH):
        n = min(BATCH, count)
        magnets = KINDS[kind](n, seed + first, self_field)._asdict()
        options |= {"self_field": self_field, "progress": False, "allow_unconverged": True}
        yield simulate(**magnets, **options)


def ended(batch: Hysteresis) -> np.ndarray:
    """Return (b,) whether each loop converged at all fields."""
    return batch.converged.all(axis=1)


def most_flips(batch: Hysteresis) -> int:
    """Return the most flips of a magnet in an avalanche by events, or the grains between fields."""
    if batch.events is not None:
        each = [
            np.bincount(batch.events.avalanche[batch.events.magnet == m]).max(initial=0)
            for m in np.unique(batch.events.magnet)
        ]
        return int(max(each, default=0))
    side = np.einsum("btgi,bgi->btg", batch.magnetization, batch.easy_axes) > 0
    return int((side[:, 1:] != side[:, :-1]).sum(axis=2).max())


def main() -> None:
    """Print a row for each kind of magnet, method and own field."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", nargs="*", choices=KINDS, default=list(KINDS))
    methods, avalanches = ["steps", "events"], ["simultaneous", "weakest_first"]
    parser.add_argument("--method", nargs="*", choices=methods, default=methods)
    parser.add_argument("--avalanche", nargs="*", choices=avalanches, default=avalanches)
    parser.add_argument("--own-field", nargs="*", choices=SELF_FIELD, default=list(SELF_FIELD))
    arguments = parser.parse_args()
    for kind in arguments.kind:
        for method, avalanche in product(arguments.method, arguments.avalanche):
            for own_field in arguments.own_field:
                done, total, flips = 0, 0, 0
                options = {"method": method, "avalanche": avalanche}
                options["self_field"] = SELF_FIELD[own_field]
                for batch in loops(kind, arguments.count, arguments.seed, **options):
                    done, total = done + ended(batch).sum(), total + len(batch.easy_axes)
                    flips = max(flips, most_flips(batch))
                print(
                    f"{kind:16} {method:7} {avalanche:13} own field: {own_field:7} "
                    f"{done} of {total} end, {flips} flips at most",
                    flush=True,
                )


if __name__ == "__main__":
    main()
