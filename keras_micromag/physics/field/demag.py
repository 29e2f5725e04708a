"""Demagnetising fields of uniformly magnetised polyhedra (Eq. 4, 5), in float64 on the host."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import ArrayLike

from keras_micromag.physics.geometry.polyhedron import Polyhedron
from keras_micromag.physics.microstructure.structure import Microstructure
from keras_micromag.utils import checks
from keras_micromag.utils.indices import grid

_CHUNK = 3 * 2**14
"""Points times (vertices + edges + faces) of one chunk, so that it stays in the cache."""

_SAME = 1e-11
"""Two offsets between grains are equal if they agree to this part of the grain size."""

_TINY = np.finfo(float).tiny

_CANCELLED = 1e-14
"""What is left of a tensor without that of a nucleus, where it is nothing but rounding."""


def demag_tensor(
    points: ArrayLike, vertices: ArrayLike, faces: Sequence[Sequence[int]]
) -> np.ndarray:
    """Return the demagnetising tensor of a uniformly magnetised polyhedron, H(x) = tensor @ M.

    Its negative is the point-wise demagnetising factor: the trace is -1 inside and 0 outside.

    Args:
        points: (..., 3) at which the field is evaluated, in metres.
        vertices: (v, 3) in metres.
        faces: vertex indices of each face, counter-clockwise seen from outside.

    Returns:
        (..., 3, 3), symmetric. M and H share their unit.

    Raises:
        ValueError: for a point on an edge, where the field is infinite, and for a body that is not
            a closed polyhedron with flat faces (see `Polyhedron`).

    Notes:
        The field of the surface charge M·n is a sum over faces of solid angles Ω and over edges of
        logarithms Λ, in a grouping that survives rounding (D. Guptasarma and
        B. Singh, Geophysics 64 (1999) 70-74, give the closed form). The two faces of an edge share
        its Λ, so that, as in R. A. Werner and D. J. Scheeres, Celestial Mechanics and Dynamical
        Astronomy 65 (1997) 313-344,

            tensor = -1/4π · ( Σ_faces Ω n nᵀ + Σ_edges Λ Σ_{its 2 faces} (n × t) nᵀ )

        with constant matrices, t the unit vector along the edge as its face runs.
        On a face the field jumps by M·n. A point exactly there gets one of the two limits or their
        mean, depending on rounding.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.physics import cubic_grains, demag_tensor
        >>> cube = cubic_grains((1, 1, 1)).grains[0]
        >>> np.allclose(demag_tensor(cube.centroid, cube.vertices, cube.faces), -np.eye(3) / 3)
        True
    """
    body = Polyhedron(vertices, faces)
    points = checks.finite_array(points, "points", (..., 3))
    return Kernel(body)(points.reshape(-1, 3) - body.centroid).reshape((*points.shape, 3))


def demag_matrix(
    structure: Microstructure, *, self_field: checks.SelfField = "nucleus"
) -> np.ndarray:
    """Return the matrix B of Eq. 5: fields at all particles of the unit moments of all grains.

    Args:
        structure: g grains with p particles each.
        self_field: whether a grain's own field acts on its particles. If not, `Material.Kd` has to
            hold the anisotropy of the grain's shape. "nucleus" leaves out the field of the nucleus
            of a reversal, -M/3 as of a sphere, which turns with it: the own field is that of
            `demag_tensor` + 1/3.

    Returns:
        (g, p, 3, g, 3): axes are the target grain, its particle, the field's component, the source
        grain and its moment's component, in units of each source grain's polarisation. Rows of
        padding are 0.

    Raises:
        ValueError: when a particle lies on an edge of a grain whose field acts on it.

    Notes:
        Blocks of equal shapes at equal offsets are computed once, so that of a lattice only the
        distinct offsets are computed. The peak memory is less than twice that of B.

    Example:
        >>> from keras_micromag.physics import cubic_grains, demag_matrix
        >>> demag_matrix(cubic_grains((2, 2, 2))).shape
        (8, 27, 3, 8, 3)
    """
    self_field = checks.self_field(self_field)
    g, p = structure.weights.shape
    matrix = np.zeros((g, p, 3, g, 3))
    # By class of equal particles: those that are real in any grain of the class. The rest is
    # padding in all of them.
    real = np.zeros((g, p), bool)
    np.logical_or.at(real, structure.particle_class, structure.weights > 0)

    # Equal source grains are treated together: one kernel, few large calls.
    def fill(source_class):
        sources = np.flatnonzero(structure.shape_class == source_class)
        _fill_columns(matrix, structure, real, sources, self_field)

    # Threads, since NumPy releases the interpreter's lock while it computes a chunk.
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for _ in threads.map(fill, np.unique(structure.shape_class)):
            pass
    if self_field == "nucleus":
        own = np.arange(g)
        matrix[own, :, :, own, :] = without_nucleus(matrix[own, :, :, own, :])
    matrix[structure.weights == 0] = 0.0
    return matrix


def without_nucleus(tensors: np.ndarray) -> np.ndarray:
    """Return demagnetising tensors (..., 3, 3) less that of a nucleus of reversal, a sphere's -1/3.

    Rounding is 0, so that in the centre of a cube no field acts at all.
    """
    rest = tensors + np.eye(3) / 3
    return np.where(np.abs(rest) > _CANCELLED, rest, 0.0)


def _fill_columns(matrix, structure, real, sources, self_field):
    """Compute the columns of B that belong to equal source grains.

    Args:
        real: (classes, p) the particles, by class of equal ones, that are not padding.
        sources: indices of the grains.
    """
    body = structure.grains[sources[0]]
    targets = np.arange(len(structure))
    pairs = grid(targets, sources).reshape(-1, 2)
    if not self_field:
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    if len(pairs) == 0:
        return
    shifts = structure.centroids[pairs[:, 0]] - structure.centroids[pairs[:, 1]]
    classes = structure.particle_class[pairs[:, 0]]
    if len(sources) == 1:  # no offset can repeat
        first = block = np.arange(len(pairs))
    else:
        first, block = _distinct(np.column_stack([classes, shifts / (_SAME * body.size)]))
    offsets = structure.particles - structure.centroids[:, None]
    pair, particle = np.nonzero(real[classes[first]])
    points = shifts[first[pair]] + offsets[classes[first[pair]], particle]
    tensors = np.zeros((len(first), offsets.shape[1], 3, 3))
    try:
        tensors[pair, particle] = Kernel(body)(points)
    except OnEdgeError as error:
        target, source = pairs[first[pair[error.index]]]
        raise ValueError(on_edge_message(particle[error.index], target, source)) from None
    # A slice of pairs at a time: the gathered blocks are as large as the part of B they fill.
    for part in np.array_split(np.arange(len(pairs)), max(1, len(pairs) // 512)):
        target, source = pairs[part].T
        matrix[target, :, :, source, :] = tensors[block[part]]


def _distinct(rows):
    """Group rows that are equal once rounded.

    Returns:
        The index of the first row of each group, and the group of each row.
    """
    rounded = np.round(rows).astype(np.int64)
    _, first, inverse = np.unique(rounded, axis=0, return_index=True, return_inverse=True)
    return first, inverse.reshape(-1)


def on_edge_message(particle: int, target: int, source: int) -> str:
    """Return the error message for a particle on an edge."""
    return (
        f"particle {particle} of grain {target} lies on an edge of grain {source}, where the "
        "field is infinite; `depth` must be greater than 0."
    )


class OnEdgeError(ValueError):
    """A point lies on an edge; `index` is its index among the points."""

    def __init__(self, index: int):
        super().__init__(f"point {index} lies on an edge of the polyhedron, where H is infinite.")
        self.index = index


class Kernel:
    """Evaluates the tensor of one polyhedron; all that no point enters is computed once."""

    def __init__(self, body: Polyhedron):
        self.body = body
        # In units of the size, so that the products below neither overflow nor underflow.
        self.vertices = (body.vertices - body.centroid) / body.size
        self.edges = body.edges
        start, end = self.vertices[self.edges.T]
        self.length = np.linalg.norm(end - start, axis=-1)
        tangent = (end - start) / self.length[:, None]
        left, right = body.normals[body.edge_faces.T]
        # Unit vectors in each face's plane, perpendicular to the edge and out of the face.
        out_left, out_right = np.cross(tangent, left), np.cross(right, tangent)
        # Every edge bounds two faces. Each such pair is a rim; the rims are sorted by face.
        rim_face = body.edge_faces.T.ravel()
        order = np.argsort(rim_face, kind="stable")
        self.rim_face = rim_face[order]
        self.rim_edge = np.tile(np.arange(len(self.edges)), 2)[order]
        self.face_starts = np.searchsorted(self.rim_face, np.arange(len(body.faces)))
        self.left_rim = np.argsort(order)[: len(self.edges)]
        # The height n·R under each face and the distance o·R before each rim are affine in the
        # point, so that one matrix product gives all of them.
        normals = np.concatenate([body.normals, np.concatenate([out_left, out_right])[order]])
        corners = [face[0] for face in body.faces]
        anchors = self.vertices[np.concatenate([corners, self.edges[self.rim_edge, 0]])]
        self.planes = np.column_stack([-normals, np.einsum("pi,pi->p", normals, anchors)])
        self.face_dyads = _outer(body.normals, body.normals).reshape(-1, 9) / (-4 * np.pi)
        edge_dyads = -(_outer(out_left, left) + _outer(out_right, right))
        # At an edge between coplanar faces, as in a triangulated cube, the charge does not jump.
        self.sharp = np.linalg.norm(edge_dyads, axis=(1, 2)) > 1e-9
        self.edge_dyads = edge_dyads[self.sharp].reshape(-1, 9) / (-4 * np.pi)
        # Rounding error of the coordinates: points nearer to an edge than this lie on it.
        self.resolution = 16 * np.finfo(float).eps * max(np.abs(body.vertices).max() / body.size, 1)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Return the tensors (n, 3, 3) at points (n, 3) relative to the centroid.

        Raises:
            OnEdgeError: for a point on an edge.
        """
        tensors = np.empty((len(points), 9))
        step = max(16, _CHUNK // (len(self.vertices) + len(self.edges) + len(self.body.faces)))
        for first in range(0, len(points), step):
            part = slice(first, first + step)
            try:
                tensors[part] = self._chunk(points[part] / self.body.size)
            except OnEdgeError as error:
                raise OnEdgeError(first + error.index) from None
        return tensors.reshape(-1, 3, 3)

    def _chunk(self, points):
        """Return the tensors (n, 9) of a chunk of points.

        Solid angles and logarithms share q (e, n) of each edge. With q = r_i r_j + R_i·R_j,
        (r_i + r_j)² - l² = 2q, so Λ = ln(1 + l (r_i + r_j + l) / q): exact far away. Near the edge
        R_i·R_j < 0, and q = |R_i × t|² l² / (r_i r_j - R_i·R_j) with |R_i × t|² = height² +
        across²: exact there too.
        """
        # Axes: vertex, edge or plane, then point, so that every line runs over contiguous memory.
        x, y, z = (v[:, None] - p for v, p in zip(self.vertices.T, points.T, strict=True))
        distance = np.sqrt(x * x + y * y + z * z)
        planes = self.planes @ np.vstack([points.T, np.ones(len(points))])
        height, across = np.split(planes, [len(self.body.faces)])

        i, j = self.edges.T
        dot = x[i] * x[j] + y[i] * y[j] + z[i] * z[j]
        far = distance[i] * distance[j] + np.abs(dot)
        far = np.maximum(far, _TINY)
        square = height[self.body.edge_faces[:, 0]] ** 2 + across[self.left_rim] ** 2
        beside = dot <= 0
        on_edge = (square <= self.resolution**2) & beside & self.sharp[:, None]
        at_corner = distance <= self.resolution
        if at_corner.any():  # rounding may have moved the point beyond the ends of the edges there
            on_edge |= (at_corner[i] | at_corner[j]) & self.sharp[:, None]
        if on_edge.any():
            raise OnEdgeError(int(np.nonzero(on_edge)[1].min()))
        q = np.where(beside, square * (self.length**2)[:, None] / far, far)
        over_q = 1.0 / np.maximum(q, _TINY)

        both = distance[i] + distance[j]
        length = self.length[:, None]
        sharp = self.sharp
        logarithms = np.log1p(length[sharp] * (both[sharp] + length[sharp]) * over_q[sharp])
        angles = self._solid_angles(height, across, both * over_q, length * over_q)
        return angles.T @ self.face_dyads + logarithms.T @ self.edge_dyads

    def _solid_angles(self, height, across, both_over_q, length_over_q):
        """Return Ω (f, n), the solid angle of each face, positive seen from the inner side.

        By A. van Oosterom and J. Strackee, IEEE Trans. Biomed. Eng. 30 (1983) 125-126, for the
        triangles between each edge and the foot of the perpendicular, seen in the direction of
        the normal. Their complex numbers are multiplied before the argument is taken, so a face
        costs one arctangent, and none of its diagonals matters, near which digits would be lost.
        """
        corner = np.empty(across.shape, complex)
        corner.real = np.abs(height)[self.rim_face]
        corner.real *= both_over_q[self.rim_edge]
        corner.real += 1.0
        np.multiply(across, length_over_q[self.rim_edge], out=corner.imag)
        product = np.multiply.reduceat(corner, self.face_starts, axis=0)
        return np.copysign(2.0 * np.arctan2(product.imag, product.real), height)


def _outer(a, b):
    """Return the dyads (n, 3, 3) of vectors (n, 3)."""
    return a[:, :, None] * b[:, None, :]
