"""Magnets of more than one material: spreads, mixed phases, cores in shells."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from keras_micromag.physics.geometry.polyhedron import Polyhedron
from keras_micromag.physics.microstructure.material import ND2FE14B, Material
from keras_micromag.physics.microstructure.particles import SCHEME, places
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.utils import checks


def spread_materials(
    material: Material, n: int, *, Js: float = 0.0, Ku: float = 0.0, seed
) -> list[Material]:
    """Materials of n grains that scatter about one, for `material=` of `simulate` and the layers.

    Args:
        material: the median. n: number of grains.
        Js, Ku: standard deviation of the logarithm of each, which is nearly the relative one: the
            values are log-normal, and so never below 0.
        seed: what `numpy.random.default_rng` takes.

    Raises:
        ValueError: for a negative spread, or a `Ku` that a grain's negative `Kd` outweighs.

    Example:
        >>> from keras_micromag.physics import ND2FE14B, spread_materials
        >>> len(spread_materials(ND2FE14B, 64, Ku=0.1, seed=1))
        64
    """
    rng, n = checks.generator(seed, "materials"), checks.count(n, "n")
    spreads = {"Js": checks.number(Js, "Js", least=0), "Ku": checks.number(Ku, "Ku", least=0)}
    factors = {name: np.exp(sigma * rng.standard_normal(n)) for name, sigma in spreads.items()}
    return [
        replace(material, **{name: getattr(material, name) * factors[name][i] for name in factors})
        for i in range(n)
    ]


def mixed_phases(
    structure: Microstructure, materials: Sequence[Material], fractions, *, seed
) -> list[Material]:
    """Materials of the grains of a magnet of several phases, each grain of one, at random.

    Args:
        structure: g grains.
        materials: of the phases.
        fractions: share of each phase in the grains' volume. They need not add up to 1.
        seed: what `numpy.random.default_rng` takes.

    Returns:
        g materials. Grain after grain, in random order, goes to the phase that lacks most, so that
        the volumes are as close to what is wanted as whole grains allow.

    Raises:
        ValueError: when the fractions are not one positive number for each material.

    Notes:
        What a magnet does with a soft phase depends on exchange between the grains, which the
        embedded Stoner-Wohlfarth method leaves out; and grains that are too soft for it make
        `simulate` raise a `ConvergenceError` (see there).

    Example:
        >>> from keras_micromag.physics import ND2FE14B, SMCO5, cubic_grains, mixed_phases
        >>> phases = mixed_phases(cubic_grains(), [ND2FE14B, SMCO5], [0.75, 0.25], seed=1)
        >>> phases.count(SMCO5)
        16
    """
    materials = [checks.instance(material, "materials", Material) for material in materials]
    fractions = checks.finite_array(fractions, "fractions", (len(materials),), "one per material")
    if not len(materials) or not (fractions > 0).all():
        raise ValueError(
            f"`fractions` must be positive, one per material; received {fractions.tolist()}."
        )
    missing = structure.volumes.sum() * fractions / fractions.sum()
    chosen = np.empty(len(structure), int)
    for grain in checks.generator(seed, "materials").permutation(len(structure)):
        chosen[grain] = missing.argmax()
        missing[chosen[grain]] -= structure.volumes[grain]
    return [materials[phase] for phase in chosen]


def core_shell(
    structure: Microstructure,
    thickness: float,
    *,
    depth: float | None = None,
    scheme: Sequence[str] = SCHEME,
    material: Material = ND2FE14B,
) -> Microstructure:
    """The magnet with every grain cut into a core and a shell, bodies of their own.

    A shell may have another material than its core: softer, where a grain's surface is damaged, or
    harder, where a heavy rare earth has diffused in.

    Args:
        structure: g convex grains.
        thickness: of the shells in metres.
        depth, scheme, material: see `Microstructure`; for the particles of the cores. Those of a
            shell sit half-way through it.

    Returns:
        A magnet of 2g grains: the cores, in the order of `structure`, then the shells.

    Raises:
        ValueError: when a grain is not convex, or the shell leaves no core.

    Notes:
        Core and shell act on each other by their demagnetising fields, but for them the exchange
        between them is left out as it is between grains.

    Example:
        >>> from keras_micromag.physics import core_shell, cubic_grains
        >>> magnet = core_shell(cubic_grains((2, 2, 2)), 4e-9)
        >>> len(magnet), magnet.particles.shape
        (16, (16, 27, 3))
    """
    thickness = checks.number(thickness, "thickness", above=0)
    depth = 1.2 * material.exchange_length if depth is None else depth
    bodies, points = [], []
    for index, grain in enumerate(structure.grains):
        try:
            core = grain.inset(thickness)
            inside = places(core, depth, scheme)
            through = places(grain, thickness / 2, [s for s in scheme if s != "centroid"])
        except ValueError as error:
            raise ValueError(
                f"`thickness` must leave a core of every grain, with room for particles; received "
                f"{thickness:g} m, and of grain {index}: {error}"
            ) from error
        first = len(grain.vertices)
        hole = [tuple(first + i for i in reversed(face)) for face in core.faces]
        shell = Polyhedron(np.concatenate([grain.vertices, core.vertices]), [*grain.faces, *hole])
        bodies.append((core, shell))
        points.append((inside, through))
    bodies, points = ([pair[i] for i in (0, 1) for pair in each] for each in (bodies, points))
    particles, weights = _padded(points, [body.vertices[0] for body in bodies])
    return Microstructure(bodies, particles=particles, weights=weights, volume=structure.volume)


def _padded(points, padding):
    counts = np.array([len(each) for each in points])
    inside = np.arange(counts.max()) < counts[:, None]
    particles = np.repeat(np.array(padding)[:, None], counts.max(), axis=1)
    particles[inside] = np.concatenate(points)
    return particles, inside.astype(float)
