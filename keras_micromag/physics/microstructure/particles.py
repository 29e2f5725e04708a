"""Positions of the Stoner-Wohlfarth particles in a grain."""

from collections.abc import Collection, Sequence
from typing import Literal

import numpy as np

from keras_micromag.physics.geometry.polyhedron import Polyhedron
from keras_micromag.physics.microstructure.material import (
    ND2FE14B,
    Material,
    calibrated_depth,
    for_each_grain,
)
from keras_micromag.utils import checks

Depth = float | Literal["calibrated"]
"""Depth of the particles in metres, or "calibrated" for `calibrated_depth` of the material."""

PAPER_DEPTH = 1.2 * ND2FE14B.exchange_length
"""Depth of the particles in metres in the data sets `paper` and `large`; the paper gives none."""

SCHEME = ("vertices", "edges", "faces", "centroid")
"""Sites of particles on the inset polyhedron: corners, edge midpoints, face centres, centroid."""

AT_MOST = 0.9
"""Share of its distance from the centroid by which a face moves inwards at most, at the calibrated
depth.

A grain hardly larger than a nucleus turns nearly as one, but first where the field of its
neighbours is strongest. With a single particle in its centre cubes of BaFe12O19 of 30 nm reversed
0.8 % of the anisotropy field too late in magnets of eight; 0.87 to 0.9 fits."""

_PARALLEL = 1e-2
"""Singular values, over the largest, below which the faces at a corner are nearly parallel."""


def checked_scheme(scheme: str | Sequence[str]) -> tuple[str, ...]:
    """Return a name out of `SCHEME`, or several, as a tuple; raise if there is none."""
    if not np.iterable(scheme):
        raise ValueError(f"`scheme` must be a sequence of names; received {checks.shown(scheme)}.")
    scheme = (scheme,) if isinstance(scheme, str) else tuple(scheme)
    if not scheme:
        raise ValueError(f"`scheme` must name at least one of {SCHEME}; received none.")
    for site in scheme:
        checks.one_of(site, "scheme", SCHEME)
    return scheme


def depths(
    depth: Depth, material: Material | Sequence[Material], g: int
) -> tuple[list[float], bool]:
    """Return the depth in metres for each of g grains, and whether it is calibrated.

    Args:
        depth: as `Microstructure` takes it.
        material: one for all grains, or a sequence of g.
    """
    materials = for_each_grain(material, g)
    if not isinstance(depth, str):
        return [checks.number(depth, "depth", least=0)] * g, False
    if depth != "calibrated":
        raise ValueError(
            f"`depth` must be a number or 'calibrated'; received {checks.shown(depth)}."
        )
    return [calibrated_depth(m) for m in materials], True


def particle_positions(
    grain: Polyhedron, depth: float, scheme: Collection[str], *, capped: bool = False
) -> np.ndarray:
    """Return the positions (p, 3) in metres of the particles of a grain.

    Args:
        grain: convex or not; see the Notes of `Microstructure`.
        depth: distance in metres of the particles from the surface.
        scheme: names out of `SCHEME`, at least one.
        capped: whether each face moves inwards by at most nine tenths of its distance from the
            centroid, so that the grain may have any size. One that is not convex has its centroid
            alone where it is too thin.

    Raises:
        ValueError: when the grain is too thin for particles at this depth.
    """
    if grain.is_convex:
        return _sites(grain.inset(depth, at_most=AT_MOST if capped else None), scheme)
    try:
        return _beside_surface(grain, depth, scheme)
    except ValueError:
        if capped and grain.contains(grain.centroid[None])[0]:
            return grain.centroid[None]
        raise


def _beside_surface(grain, depth, scheme):
    """Return the positions (p, 3) in a grain that is not convex, of which there is at least one."""
    vertices = _inset_corners(grain, depth)
    positions = _sites(grain, scheme, vertices)
    if depth:
        positions = positions[grain.contains(positions, -depth / 2)]
    if not len(positions):
        raise ValueError(f"`depth` must leave something of the polyhedron; received {depth:g} m.")
    return positions


def padded(positions: Sequence[np.ndarray], padding: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return lists of positions as one array (g, p, 3), and (g, p) which of its rows are theirs.

    `padding` (g, 3) holds the point that fills the other rows of each grain.
    """
    counts = np.array([len(each) for each in positions])
    occupied = np.arange(counts.max()) < counts[:, None]
    particles = np.repeat(padding[:, None], counts.max(), axis=1)
    particles[occupied] = np.concatenate(positions)
    return particles, occupied


def _sites(polyhedron, scheme, vertices=None):
    """Return the sites of a scheme on a polyhedron, whose `vertices` may have been moved."""
    vertices = polyhedron.vertices if vertices is None else vertices
    sites = {
        "vertices": vertices,
        "edges": vertices[polyhedron.edges].mean(axis=1),
        "faces": np.array([vertices[list(face)].mean(axis=0) for face in polyhedron.faces]),
        "centroid": polyhedron.centroid[None],
    }
    return np.concatenate([sites[name] for name in SCHEME if name in scheme])


def _inset_corners(grain, depth):
    """Return the corners (v, 3), each moved so that the faces that meet there move in by `depth`.

    Of all such shifts it is the shortest. Nearly parallel faces count as one: a slightly bent face
    may consist of such.
    """
    corners = grain.vertices.copy()
    faces_at = [[] for _ in corners]
    for f, face in enumerate(grain.faces):
        for v in face:
            faces_at[v].append(f)
    for v, faces in enumerate(faces_at):
        face_shifts = np.full(len(faces), -depth)
        corners[v] += np.linalg.lstsq(grain.normals[faces], face_shifts, rcond=_PARALLEL)[0]
    return corners
