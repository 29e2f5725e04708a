"""Demagnetising fields of uniformly magnetised polyhedra (Eq. 4, 5), in float64 on the host."""

import numpy as np

from keras_micromag.physics import checks
from keras_micromag.physics.polyhedron import Polyhedron
from keras_micromag.physics.structure import Microstructure

_CHUNK = 2**15
"""Points times (vertices + edges + faces) that are worked on at once, so that it stays in cache."""

_SAME = 1e-11
"""Two offsets between grains are one if they agree to this part of the grain size."""


def demag_tensor(points, vertices, faces) -> np.ndarray:
    """Demagnetising tensor of a uniformly magnetised polyhedron, H(x) = tensor @ M.

    Its negative is the point-wise demagnetising factor: the trace is -1 inside and 0 outside.

    Args:
        points: (..., 3) where the field is wanted, in metres.
        vertices: (v, 3) in metres.
        faces: vertex indices of each face, counter-clockwise seen from outside.

    Returns:
        (..., 3, 3), symmetric. M and H share their unit.

    Raises:
        ValueError: for a point on an edge, where the field is infinite, and for a body that is not
            a closed polyhedron with flat faces (see `Polyhedron`).

    Notes:
        The field of the surface charge M·n is a sum over faces of solid angles Ω and over edges of
        logarithms Λ, in the grouping of DESIGN that survives rounding (D. Guptasarma and
        B. Singh, Geophysics 64 (1999) 70-74, give the closed form). The two faces of an edge share
        its Λ, so that, as in R. A. Werner and D. J. Scheeres, Celestial Mechanics and Dynamical
        Astronomy 65 (1997) 313-344,

            tensor = -1/4π · ( Σ_faces Ω n nᵀ + Σ_edges Λ Σ_{its 2 faces} (n × t) nᵀ )

        with constant matrices, t the unit vector along the edge as its face runs.
        On a face the field jumps by M·n; a point exactly there gets one of the two limits or their
        mean, as rounding has it.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.physics import cubic_grains, demag_tensor
        >>> cube = cubic_grains((1, 1, 1)).grains[0]
        >>> np.allclose(demag_tensor(cube.centroid, cube.vertices, cube.faces), -np.eye(3) / 3)
        True
    """
    body = Polyhedron(vertices, faces)
    points = checks.finite_array(points, "points", (..., 3))
    return _Kernel(body)(points.reshape(-1, 3) - body.centroid).reshape(points.shape + (3,))


def demag_matrix(structure: Microstructure, *, self_field: bool = False) -> np.ndarray:
    """The matrix B of Eq. 5: demagnetising fields at all particles from all grains' unit moments.

    Args:
        structure: g grains with p particles each.
        self_field: whether a grain's own field acts on its particles. If not, the grain's shape
            belongs into `Material.Kd`.

    Returns:
        (g, p, 3, g, 3): axes are the target grain, its particle, the field's component, the source
        grain and its moment's component, in units of each source grain's polarisation. Rows of
        padding are 0.

    Raises:
        ValueError: when a particle lies on an edge of a grain whose field acts on it.

    Notes:
        Blocks of grains of equal shapes and equal offsets are computed once, so a lattice costs
        its distinct offsets only. Temporaries are a few per cent of B.

    Example:
        >>> from keras_micromag.physics import cubic_grains, demag_matrix
        >>> demag_matrix(cubic_grains((2, 2, 2))).shape
        (8, 27, 3, 8, 3)
    """
    g, p = structure.weights.shape
    matrix = np.zeros((g, p, 3, g, 3))
    # Each class of equal grains is seen by all targets at once: one kernel, few large calls.
    for source_class in np.unique(structure.shape_class):
        kernel = _Kernel(structure.grains[source_class])
        sources = np.flatnonzero(structure.shape_class == source_class)
        for target_class in np.unique(structure.particle_class):
            targets = np.flatnonzero(structure.particle_class == target_class)
            _fill_blocks(matrix, structure, kernel, targets, sources, self_field)
    matrix[structure.weights == 0] = 0.0
    return matrix


def _fill_blocks(matrix, structure, kernel, targets, sources, self_field):
    pairs = np.stack(np.meshgrid(targets, sources, indexing="ij"), axis=-1).reshape(-1, 2)
    if not self_field:
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    if len(pairs) == 0:
        return
    shifts = structure.centroids[pairs[:, 0]] - structure.centroids[pairs[:, 1]]
    first, block = _distinct(shifts / (_SAME * kernel.body.size))
    particles = structure.particles[targets[0]] - structure.centroids[targets[0]]
    try:
        tensors = kernel((shifts[first, None] + particles).reshape(-1, 3))
    except OnEdgeError as error:
        pair, particle = divmod(error.index, len(particles))
        target, source = pairs[first[pair]]
        raise ValueError(
            f"particle {particle} of grain {target} lies on an edge of grain {source}, where the "
            "field is infinite; `depth` must be greater than 0."
        ) from None
    tensors = tensors.reshape(len(first), -1, 3, 3)
    # A slice of pairs at a time: the gathered blocks are as large as the part of B they fill.
    for part in np.array_split(np.arange(len(pairs)), max(1, len(pairs) // 512)):
        target, source = pairs[part].T
        matrix[target, :, :, source, :] = tensors[block[part]]


def _distinct(rows):
    """First index of each distinct row once rounded, and for every row the number of its like."""
    rounded = np.round(rows).astype(np.int64)
    _, first, inverse = np.unique(rounded, axis=0, return_index=True, return_inverse=True)
    return first, inverse.reshape(-1)


class OnEdgeError(ValueError):
    """A point lies on an edge; `index` is its number among the points."""

    def __init__(self, index):
        super().__init__(f"point {index} lies on an edge of the polyhedron, where H is infinite.")
        self.index = index


class _Kernel:
    """The tensor of one polyhedron, with all that does not depend on the point computed once."""

    def __init__(self, body: Polyhedron):
        self.body = body
        self.vertices = body.vertices - body.centroid
        along = np.subtract(*body.vertices[body.edges.T[::-1]])
        self.length = np.linalg.norm(along, axis=-1)
        tangent = along / self.length[:, None]
        left, right = body.normals[body.edge_faces.T]
        self.face_dyads = _outer(body.normals, body.normals).reshape(-1, 9) / (-4 * np.pi)
        edge_dyads = _outer(np.cross(left, tangent), left) - _outer(np.cross(right, tangent), right)
        # An edge between coplanar faces, as in a triangulated cube, carries no step of the charge.
        self.sharp = np.linalg.norm(edge_dyads, axis=(1, 2)) > 1e-9
        self.edges, self.length = body.edges[self.sharp], self.length[self.sharp]
        self.tangent = tangent[self.sharp]
        self.edge_dyads = edge_dyads[self.sharp].reshape(-1, 9) / (-4 * np.pi)
        self.fans = _fans(body)
        # Rounding of the coordinates as they were given: nearer to an edge is on it.
        self.resolution = 16 * np.finfo(float).eps * max(np.abs(body.vertices).max(), body.size)

    def __call__(self, points):
        """Tensors (n, 3, 3) at `points` (n, 3), relative to the centroid."""
        out = np.empty((len(points), 9))
        step = max(16, _CHUNK // (len(self.vertices) + len(self.edges) + len(self.body.faces)))
        for start in range(0, len(points), step):
            part = slice(start, start + step)
            try:
                out[part] = self._chunk(points[part])
            except OnEdgeError as error:
                raise OnEdgeError(start + error.index) from None
        return out.reshape(-1, 3, 3)

    def _chunk(self, points):
        # Axes: component, vertex, point. The points are last, so that every line below runs over
        # contiguous memory.
        seen = self.vertices.T[:, :, None] - points.T[:, None, :]
        distance = np.sqrt(np.einsum("ivn,ivn->vn", seen, seen))
        logarithms = self._logarithms(seen, distance)
        angles = self._solid_angles(seen, distance)
        return angles.T @ self.face_dyads + logarithms.T @ self.edge_dyads

    def _logarithms(self, seen, distance):
        """Λ (e, n) = ln[(r_i + r_j + l) / (r_i + r_j - l)], written so that nothing cancels.

        With q = r_i r_j + R_i·R_j, (r_i + r_j)² - l² = 2q, so Λ = ln(1 + l (r_i + r_j + l) / q):
        exact far away. Near the edge R_i·R_j < 0, and q = |R_i × t|² l² / (r_i r_j - R_i·R_j).
        """
        i, j = self.edges.T
        start, length = seen[:, i], self.length[:, None]
        dot = np.einsum("ien,ien->en", start, seen[:, j])
        product = distance[i] * distance[j]
        q = product + dot
        near = dot <= 0
        if near.any():
            edge, point = np.nonzero(near)
            across = np.cross(start[:, edge, point].T, self.tangent[edge])
            square = np.einsum("ni,ni->n", across, across)
            on_edge = square <= self.resolution**2
            if on_edge.any():
                raise OnEdgeError(int(point[on_edge].min()))
            q[edge, point] = (
                square * self.length[edge] ** 2 / (product[edge, point] - dot[edge, point])
            )
        return np.log1p(length * (distance[i] + distance[j] + length) / q)

    def _solid_angles(self, seen, distance):
        """Ω (f, n), the solid angle of each face, positive seen from the inner side.

        A. van Oosterom and J. Strackee, IEEE Trans. Biomed. Eng. 30 (1983) 125-126, for the
        triangles of each face's fan; their complex numbers are multiplied before the argument is
        taken, so a polygon costs one arctangent.
        """
        inverse = 1.0 / distance
        angles = np.empty((len(self.body.faces), seen.shape[-1]))
        for faces, corners, areas in self.fans:
            height = np.einsum(
                "fi,ifn->fn", self.body.normals[faces], seen[:, corners[:, 0]], optimize=True
            )
            cosine = [
                np.einsum("ifn,ifn->fn", seen[:, a], seen[:, b]) * inverse[a] * inverse[b]
                for a, b in _fan_pairs(corners)
            ]
            spoke, rim = cosine[: corners.shape[1] - 1], cosine[corners.shape[1] - 1 :]
            height = height * inverse[corners[:, 0]]
            total = None
            for k in range(corners.shape[1] - 2):
                real = 1.0 + spoke[k] + spoke[k + 1] + rim[k]
                imaginary = (
                    areas[:, k, None] * height * inverse[corners[:, k + 1]]
                    * inverse[corners[:, k + 2]]
                )  # fmt: skip
                if total is None:
                    total = real, imaginary
                else:
                    total = (
                        total[0] * real - total[1] * imaginary,
                        total[0] * imaginary + total[1] * real,
                    )
            angles[faces] = 2.0 * np.arctan2(total[1], total[0])
        return angles


def _outer(a, b):
    return a[:, :, None] * b[:, None, :]


def _fans(body):
    """Faces grouped by their number of corners: (faces, corners (f, c), twice the fan's areas)."""
    counts = np.array([len(face) for face in body.faces])
    fans = []
    for count in np.unique(counts):
        faces = np.flatnonzero(counts == count)
        corners = np.array([body.faces[f] for f in faces])
        spokes = body.vertices[corners[:, 1:]] - body.vertices[corners[:, :1]]
        normals = np.cross(spokes[:, :-1], spokes[:, 1:])
        fans.append((faces, corners, np.einsum("fki,fi->fk", normals, body.normals[faces])))
    return fans


def _fan_pairs(corners):
    """Corner pairs of which a fan needs the angle: hub to each corner, then along the rim."""
    hub, rim = corners[:, 0], corners[:, 1:]
    yield from ((hub, rim[:, k]) for k in range(rim.shape[1]))
    yield from ((rim[:, k], rim[:, k + 1]) for k in range(rim.shape[1] - 1))
