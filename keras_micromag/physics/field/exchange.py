"""Exchange fields of neighbouring grains at particles.

Two grains that are coupled by J (J/m²) over their contact act on each other at the boundary. A
nucleus of reversal beside face f of grain i feels the neighbours j that cover the face,

    Σ_j (a_fj / A_f) · J' / (Ms · w) · m_j      with 1/J' = 1/J + 0.1 d/A and w = 0.9 d,

in tesla, where d is the calibrated depth of the grain's material: w is the part of a nucleus that
the boundary turns. A nucleus that reaches the face from farther away, from up to 2 d, feels

    Σ_j a_fj · J' / (Ms · V) · m_j              with 1/J' = 1/J + d/A,

the coupling of a grain that turns as one. Only grains hardly larger than a nucleus have such. The
grain's own stiffness A acts in series with the boundary: so coercivity levels off with J.

The numbers were fitted to full micromagnetics: benchmarks/micromagnetics/README.md.
"""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from keras_micromag.physics.field.products import Dense, Lattice, Product
from keras_micromag.physics.microstructure.contacts import Contacts, face_contacts
from keras_micromag.physics.microstructure.material import Material, calibrated_depth
from keras_micromag.physics.microstructure.particles import AT_MOST
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.utils import checks

_LAYER = 0.9
"""Thickness of the layer that the boundary turns, over the depth of a nucleus."""

_BESIDE = 0.1
"""Length of grain, over the depth, in series with the boundary for a nucleus beside it."""

_ACROSS = 1.0
"""The same for a nucleus that reaches the boundary from farther away."""

_REACH = 2.0
"""Distance, over the depth, from which a nucleus reaches the boundary."""

_SAME = 1e-6
"""Relative tolerance of two distances from a face."""


class Pairs(NamedTuple):
    """The k pairs of a particle and a neighbour of its grain that acts on it."""

    grain: np.ndarray  # (k,) int
    particle: np.ndarray  # (k,) int, of that grain
    neighbor: np.ndarray  # (k,) int
    strength: np.ndarray  # (b, k) µ0·H in tesla of the neighbour's unit moment

    @classmethod
    def none(cls) -> "Pairs":
        """Return no pairs."""
        empty = np.zeros(0, int)
        return cls(empty, empty, empty, np.zeros((1, 0)))


def areal_exchange(stiffness: float, thickness: float) -> float:
    """Return the coupling of two grains in J/m² by the boundary phase between them, 2·A/t.

    It is the energy by which parallel moments lie below perpendicular ones, of a phase thinner
    than its own exchange length, in which the moment turns evenly.

    Args:
        stiffness: exchange stiffness of the boundary phase in J/m.
        thickness: of the boundary in metres.

    Raises:
        ValueError: for a stiffness that is negative, or a thickness that is not positive.

    Example:
        >>> from keras_micromag.physics import areal_exchange
        >>> round(1e3 * areal_exchange(2e-12, 4e-9), 2)  # mJ/m²
        1.0
    """
    stiffness = checks.number(stiffness, "stiffness", least=0)
    return 2 * stiffness / checks.number(thickness, "thickness", above=0)


def checked_exchange(exchange: ArrayLike, g: int) -> np.ndarray:
    """Return J in J/m² as a number, (), or one for each pair of g grains, (g, g).

    Raises:
        ValueError: for another shape, and for values that are negative or not symmetric.
    """
    array = checks.numbers(exchange, "exchange")
    array = checks.finite_array(array, "exchange", (g, g) if array.ndim else (), f"with g = {g}")
    if (array < 0).any():
        raise ValueError(f"`exchange` must be at least 0 J/m²; received {array.min():g}.")
    if array.ndim and not np.array_equal(array, array.T):
        raise ValueError("`exchange` must be symmetric: one coupling for each pair of grains.")
    return array


def exchange_pairs(
    structure: Microstructure, exchange: np.ndarray, materials: Sequence[Sequence[Material]]
) -> Pairs:
    """Return the pairs of particles and neighbours that are coupled.

    Args:
        structure: g convex grains with their particles.
        exchange: J in J/m², () or (g, g).
        materials: b rows of g materials.

    Raises:
        ValueError: where a grain is not convex.
    """
    if not exchange.any():
        return Pairs.none()
    contacts = face_contacts(structure)
    if exchange.ndim:
        coupled = exchange[contacts.grain, contacts.neighbor]
    else:
        coupled = np.full(len(contacts.grain), float(exchange))
    contacts = Contacts(*(part[coupled > 0] for part in contacts))
    coupled = coupled[coupled > 0]
    if not len(coupled):
        warnings.warn(
            "`exchange` couples no grains: no two grains that it names have faces beside each "
            "other, see `contact_areas`.",
            stacklevel=2,
        )
    return _pairs(structure, contacts, coupled, materials)


def largest_field(exchange: np.ndarray, materials: Sequence[Sequence[Material]]) -> float:
    """Return the exchange field in tesla at the corner of a grain where three faces meet."""
    if not exchange.any():
        return 0.0
    layer = min(m.Ms * _LAYER * calibrated_depth(m) for row in materials for m in row)
    return 3 * float(exchange.max()) / layer


def in_product(
    product: Product, places: np.ndarray, pairs: Pairs, polarization: np.ndarray
) -> Product | None:
    """Return a copy of a product with the exchange fields added, which then cost nothing.

    Args:
        product: with the demagnetising operator. places: (g, p) of the particles in its fields.
        pairs: the same in all magnets.
        polarization: (b, g) Js of the grains, by which it multiplies the moments.

    Returns:
        None where it cannot hold them: the kind is hierarchical, or not all grains of a lattice are
        coupled alike.
    """
    if isinstance(product, Dense):
        return _in_matrix(product, places, pairs, polarization)
    if isinstance(product, Lattice):
        return _in_kernel(product, pairs, polarization)
    return None


def _in_matrix(product, places, pairs, polarization):
    matrix = product.matrix.copy()
    by_component = matrix.reshape(3, -1, 3, product.places)
    place = places[pairs.grain, pairs.particle]
    for component in range(3):
        np.add.at(
            by_component[component, :, component],
            (pairs.neighbor, place),
            pairs.strength[0] / polarization[0, pairs.neighbor],
        )
    return Dense(matrix)


def _in_kernel(product, pairs, polarization):
    """Return the convolution with exchange; None where it is not one of the same step everywhere.

    A grain at a step from its neighbour, in sites, feels the same wherever it is.
    """
    shape = product.sites.shape
    site = np.empty((product.sites.size, 3), int)
    site[product.sites.ravel()] = np.argwhere(np.ones(shape, bool))
    steps = site[pairs.grain] - site[pairs.neighbor]
    field = pairs.strength[0] / polarization[0, pairs.neighbor]
    keys, which = np.unique(np.column_stack([steps, pairs.particle]), axis=0, return_inverse=True)
    which, count = which.ravel(), np.prod(shape - np.abs(keys[:, :3]), axis=1)
    mean = np.bincount(which, field) / count
    # As many pairs as sites at that step, all of them alike.
    if (np.bincount(which) != count).any() or not np.allclose(field, mean[which], rtol=_SAME):
        return None
    kernel = product.kernel.copy()
    planes, _, _, _, y, x = kernel.shape
    waves = [np.arange(n) / length for n, length in ((x, x), (y, y), (planes, 2 * planes - 2))]
    for (*step, particle), strength in zip(keys.tolist(), mean, strict=True):
        along = (np.exp(-2j * np.pi * n * wave) for n, wave in zip(step, waves, strict=True))
        transform = strength * np.einsum("x,y,z->zyx", *along)
        for component in range(3):
            kernel[:, component, particle, component] += transform
    return Lattice(kernel, product.sites)


def _pairs(structure, contacts, coupled, materials):
    grain, face = contacts.grain, contacts.face
    depth, ms, stiffness = (
        np.array([[value(m) for m in row] for row in materials])[:, grain]
        for value in (calibrated_depth, lambda m: m.Ms, lambda m: m.A)
    )
    in_series = [
        coupled / (1 + coupled * share * depth / stiffness) for share in (_BESIDE, _ACROSS)
    ]
    areas = np.array([structure.grains[i].areas[f] for i, f in zip(grain, face, strict=True)])
    beside = in_series[0] * (contacts.area / areas) / (ms * _LAYER * depth)
    across = in_series[1] * contacts.area / (ms * structure.volumes[grain])

    distance = np.array(
        [_distances(structure, i, f) for i, f in zip(grain, face, strict=True)]
    ).reshape(-1, structure.weights.shape[1])
    nearest = distance.min(axis=1, keepdims=True)
    # A small face may have no particle beside it, since it vanishes where faces move inwards; and a
    # scheme may have none there.
    offset = [structure.grains[i].offsets[f] for i, f in zip(grain, face, strict=True)]
    inset = np.minimum(structure.depth[grain], AT_MOST * np.array(offset))[:, None]
    has = np.isnan(inset) | (nearest <= inset * (1 + _SAME))
    is_beside = has & (distance <= nearest * (1 + _SAME))
    reaches = distance < _REACH * depth.mean(axis=0)[:, None]
    contact, particle = np.nonzero((is_beside | reaches) & np.isfinite(distance))
    strength = np.maximum(
        beside[:, contact] * is_beside[contact, particle],
        across[:, contact] * reaches[contact, particle],
    )
    return Pairs(grain[contact], particle, contacts.neighbor[contact], strength)


def _distances(structure, i, f):
    """Return the distances (p,) of the particles of grain i from its face f, inf at padding."""
    grain = structure.grains[i]
    distance = grain.offsets[f] - (structure.particles[i] - grain.centroid) @ grain.normals[f]
    return np.where(structure.weights[i] > 0, distance, np.inf)
