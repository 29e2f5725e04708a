"""Magnets of more than one material: scattered properties, mixed phases, cores in shells."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from keras_micromag.physics.geometry.polyhedron import Polyhedron
from keras_micromag.physics.microstructure.material import ND2FE14B, Material
from keras_micromag.physics.microstructure.particles import (
    SCHEME,
    Depth,
    checked_scheme,
    depths,
    padded,
    particle_positions,
)
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.utils import checks, memory


def spread_materials(
    material: Material,
    n: int,
    *,
    Js: float = 0.0,
    Ku: float = 0.0,
    seed: int | Sequence[int] | np.random.Generator,
) -> list[Material]:
    """Draw materials of n grains that scatter about a median material.

    The list is what `simulate` and the layers take as `material=`.

    Args:
        material: the median.
        n: number of grains.
        Js, Ku: standard deviation of the logarithm of each property, which is nearly its relative
            standard deviation. The values are log-normal, so that they are always positive.
        seed: as `numpy.random.default_rng` takes it.

    Raises:
        ValueError: for a negative standard deviation, or where a negative `Kd` outweighs the `Ku`
            that is drawn for a grain.

    Example:
        >>> from keras_micromag.physics import ND2FE14B, spread_materials
        >>> len(spread_materials(ND2FE14B, 64, Ku=0.1, seed=1))
        64
    """
    rng, n = checks.generator(seed, "materials"), checks.count(n, "n")
    memory.require(100 * n, "a list of materials", "fewer grains need less")
    spreads = {"Js": checks.number(Js, "Js", least=0), "Ku": checks.number(Ku, "Ku", least=0)}
    with np.errstate(over="ignore"):  # `Material` refuses what is not finite
        factors = {name: np.exp(sigma * rng.standard_normal(n)) for name, sigma in spreads.items()}
    return [
        replace(material, **{name: getattr(material, name) * factors[name][i] for name in factors})
        for i in range(n)
    ]


def mixed_phases(
    structure: Microstructure,
    materials: Sequence[Material],
    fractions: ArrayLike,
    *,
    seed: int | Sequence[int] | np.random.Generator,
) -> list[Material]:
    """Assign the grains of a magnet at random to phases with given volume fractions.

    Args:
        structure: g grains.
        materials: one of each phase.
        fractions: share of each phase in the volume of the grains. They need not add up to 1.
        seed: as `numpy.random.default_rng` takes it.

    Returns:
        g materials. The grains are assigned in random order, each to the phase that then lacks most
        volume. The volume fractions so come as close to `fractions` as entire grains allow.

    Raises:
        ValueError: when the fractions are not one positive number for each material.

    Notes:
        The reversal of a magnet with a soft phase depends on exchange between the grains, which
        `simulate` takes into account where it is given. Of grains that are too soft for the
        embedded Stoner-Wohlfarth method, particles call for opposite branches; `simulate` says
        which one such a grain takes.

    Example:
        >>> from keras_micromag.physics import MATERIALS, cubic_grains, mixed_phases
        >>> hard, soft = MATERIALS["SmCo5"], MATERIALS["Sm2Co17"]
        >>> phases = mixed_phases(cubic_grains(), [hard, soft], [0.75, 0.25], seed=1)
        >>> phases.count(soft)
        16
    """
    materials = [checks.instance(material, "materials", Material) for material in materials]
    fractions = checks.finite_array(fractions, "fractions", (len(materials),), "one per material")
    if not len(materials) or not (fractions > 0).all():
        raise ValueError(
            f"`fractions` must be positive, one per material; received {fractions.tolist()}."
        )
    missing_volumes = structure.volumes.sum() * fractions / fractions.sum()
    phases = np.empty(len(structure), int)
    for grain in checks.generator(seed, "materials").permutation(len(structure)):
        phases[grain] = missing_volumes.argmax()
        missing_volumes[phases[grain]] -= structure.volumes[grain]
    return [materials[phase] for phase in phases]


def core_shell(
    structure: Microstructure,
    thickness: float,
    *,
    depth: Depth = "calibrated",
    scheme: Sequence[str] = SCHEME,
    material: Material | Sequence[Material] = ND2FE14B,
) -> Microstructure:
    """Divide every grain of a magnet into a core and a shell, which are grains of their own.

    A shell may have another material than its core: a softer one, where the surface of a grain is
    damaged, or a harder one, where a heavy rare earth has diffused in.

    Args:
        structure: g convex grains.
        thickness: of the shells in metres.
        depth, scheme, material: for the particles of the cores; see `Microstructure`. A sequence of
            materials has one per core. The particles of a shell lie half-way between its two
            surfaces.

    Returns:
        A magnet of 2g grains: the cores, in the order of `structure`, then the shells.

    Raises:
        ValueError: when a grain is not convex, or the shell leaves no core.

    Notes:
        Core and shell interact by their demagnetising fields alone: `simulate` refuses exchange in
        these magnets, since the shells are not convex.

    Example:
        >>> from keras_micromag.physics import core_shell, cubic_grains
        >>> magnet = core_shell(cubic_grains((2, 2, 2)), 4e-9)
        >>> len(magnet), magnet.particles.shape
        (16, (16, 27, 3))
    """
    thickness = checks.number(thickness, "thickness", above=0)
    depth_of, calibrated = depths(depth, material, len(structure))
    scheme = checked_scheme(scheme)
    sites = [site for site in scheme if site != "centroid"]
    if not sites:
        raise ValueError(
            f"`scheme` must name a site on the surface of a grain, out of {SCHEME[:3]}; "
            f"received {scheme}."
        )
    cores, shells, core_particles, shell_particles = [], [], [], []
    for index, grain in enumerate(structure.grains):
        try:
            core = grain.inset(thickness)
            in_core = particle_positions(core, depth_of[index], scheme, capped=calibrated)
            in_shell = particle_positions(grain, thickness / 2, sites)
        except ValueError as error:
            raise ValueError(
                "`thickness` must leave a core for particles in every grain; received "
                f"{thickness:g} m, and in grain {index}: {error}"
            ) from error
        cores.append(core)
        shells.append(_shell(grain, core))
        core_particles.append(in_core)
        shell_particles.append(in_shell)
    bodies = cores + shells
    # Padding repeats a corner: the centroid of a shell lies outside the shell.
    padding = np.array([body.vertices[0] for body in bodies])
    particles, occupied = padded(core_particles + shell_particles, padding)
    return Microstructure(bodies, particles=particles, weights=occupied, volume=structure.volume)


def _shell(grain, core):
    """Return the polyhedron between the surface of a grain and that of its core."""
    first = len(grain.vertices)
    # The faces of the cavity are wound the other way round, so that they face its inside.
    cavity = [tuple(first + i for i in reversed(face)) for face in core.faces]
    return Polyhedron(np.concatenate([grain.vertices, core.vertices]), [*grain.faces, *cavity])
