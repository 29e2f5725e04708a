"""A grain's shape: a closed polyhedron with flat faces."""

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from operator import index

import numpy as np
from numpy.typing import ArrayLike

from keras_micromag.physics.geometry.halfspaces import EmptyBodyError, convex_body
from keras_micromag.physics.geometry.polygons import convex_parts
from keras_micromag.utils import checks

_FLAT = 1e-9
"""Largest distance of a vertex from its face's plane, in units of the polyhedron's size."""

_SHORT = 1e-12
"""Edges and faces smaller than this part of the polyhedron's size count as degenerate."""


class Polyhedron(checks.ReadOnlyArrays):
    """A closed polyhedron; the constructor checks that it is one. Its arrays are read-only.

    Args:
        vertices: (v, 3) in metres.
        faces: one sequence of vertex indices per face, counter-clockwise seen from outside. Faces
            may be any flat simple polygons; the body may be non-convex.

    Attributes:
        vertices: (v, 3) float64.
        faces: tuple of tuples of int.
        edges: (e, 2) vertex indices, each edge once, in the order of the faces.
        edge_faces: (e, 2) the face that runs along the edge from its first to its second vertex,
            and the one that runs back.
        normals: (f, 3) outward unit normals.
        areas: (f,) of the faces in m².
        size: largest extent of the bounding box in metres; tolerances are relative to it.
        volume: in m³. centroid: (3,) in metres.

    Raises:
        ValueError: for a polyhedron that is open, inside out, not flat-faced or degenerate.
    """

    def __init__(self, vertices: ArrayLike, faces: Sequence[Sequence[int]]):
        self.vertices = checks.finite_array(vertices, "vertices", (None, 3))
        try:
            self.faces = tuple(tuple(index(i) for i in face) for face in faces)
        except TypeError:
            raise ValueError(
                f"`faces` must be sequences of vertex indices; received {checks.shown(faces)}."
            ) from None
        self._check_indices()
        self.edges, self.edge_faces = self._pair_edges()
        self.size = float(np.ptp(self.vertices, axis=0).max())
        self.normals, self.areas = self._normals_and_areas()
        self.volume, self.centroid = self._volume_and_centroid()
        self._make_read_only()

    def _check_indices(self):
        """Raise where the faces are not polygons of all the vertices."""
        if len(self.faces) < 4:
            raise ValueError(f"`faces` must hold at least 4 faces; received {len(self.faces)}.")
        for f, face in enumerate(self.faces):
            if len(face) < 3 or len(set(face)) != len(face):
                raise ValueError(
                    "`faces` must hold polygons of at least 3 different vertices; "
                    f"face {f} is {face}."
                )
            if min(face) < 0 or max(face) >= len(self.vertices):
                raise ValueError(
                    f"`faces` must index the {len(self.vertices)} vertices from 0; "
                    f"face {f} is {face}."
                )
        unused = set(range(len(self.vertices))).difference(*self.faces)
        if unused:
            raise ValueError(f"`faces` must use all vertices; vertex {min(unused)} is in none.")

    def _pair_edges(self):
        """Return the edges, and the two faces of each; raise where there are not two."""
        owner = {}
        for f, face in enumerate(self.faces):
            for i, j in zip(face, face[1:] + face[:1], strict=True):
                if (i, j) in owner:
                    raise ValueError(
                        f"`faces` must run along each edge once in each direction; faces "
                        f"{owner[i, j]} and {f} both run from vertex {i} to {j}."
                    )
                owner[i, j] = f
        for i, j in owner:
            if (j, i) not in owner:
                raise ValueError(
                    "`faces` must close the polyhedron; the edge between vertices "
                    f"{i} and {j} has only face {owner[i, j]}."
                )
        edges = [e for e in owner if owner[e] < owner[e[::-1]]]
        return np.array(edges), np.array([(owner[i, j], owner[j, i]) for i, j in edges])

    def _normals_and_areas(self):
        """Return both of the faces, normals of length 1; raise where one is degenerate or bent."""
        lengths = np.linalg.norm(np.subtract(*self.vertices[self.edges.T]), axis=-1)
        if lengths.min() <= _SHORT * self.size:
            i, j = self.edges[lengths.argmin()]
            raise ValueError(f"`vertices` must differ; vertices {i} and {j} coincide.")
        first, *others = np.moveaxis(self.vertices[self.triangles], 1, 0)
        u, v = (other - first for other in others)
        starts = np.cumsum([0, *(len(face) - 2 for face in self.faces[:-1])])
        areas = 0.5 * np.add.reduceat(np.cross(u, v), starts)
        area = np.linalg.norm(areas, axis=-1)
        spokes = np.sqrt(np.maximum(_square(u), _square(v)))
        degenerate = area <= _SHORT * self.size * np.maximum.reduceat(spokes, starts)
        if degenerate.any():
            f = int(degenerate.argmax())
            raise ValueError(f"`faces` must enclose an area; face {f} has none.")
        normals = areas / area[:, None]
        per_triangle = np.repeat(normals, [len(face) - 2 for face in self.faces], axis=0)
        heights = np.abs([np.einsum("ti,ti->t", side, per_triangle) for side in (u, v)])
        height = np.maximum.reduceat(heights.max(axis=0), starts)
        if height.max() > _FLAT * self.size:
            f = int(np.argmax(height > _FLAT * self.size))
            raise ValueError(
                f"`faces` must be flat; face {f} leaves its plane by {height[f] / self.size:.2g} "
                "of the polyhedron's size."
            )
        return normals, area

    def _volume_and_centroid(self):
        """Return both, by the tetrahedra from one vertex to every triangle."""
        # About a vertex, not about the origin: a grain far from the origin would lose digits.
        origin = self.vertices[0]
        fan = self.vertices[self.triangles] - origin
        six_volumes = np.einsum("ti,ti->t", fan[:, 0], np.cross(fan[:, 1], fan[:, 2]))
        volume = six_volumes.sum() / 6.0
        if abs(volume) <= _FLAT * self.size**3:
            raise ValueError("`faces` must enclose a volume; the polyhedron has none.")
        if volume < 0:
            raise ValueError(
                "`faces` must be counter-clockwise seen from outside; the polyhedron is inside out."
            )
        return float(volume), origin + six_volumes @ fan.sum(axis=1) / (24.0 * volume)

    @cached_property
    def triangles(self) -> np.ndarray:
        """Vertex indices (n, 3) of the faces' triangles, as fans from their first corners."""
        fans = [(f[0], i, j) for f in self.faces for i, j in pairwise(f[1:])]
        return checks.read_only(np.array(fans))

    @cached_property
    def surface(self) -> np.ndarray:
        """Vertex indices (n, 3) of triangles that cover each point of the faces exactly once.

        They differ from `triangles` where a face is not convex: its fan has triangles that lie
        outside of the face, or have no area.
        """
        if self.is_convex:
            return self.triangles
        parts = (
            part
            for face, normal in zip(self.faces, self.normals, strict=True)
            for part in convex_parts(self.vertices, face, normal)
        )
        triangles = [(p[0], i, j) for p in parts for i, j in pairwise(p[1:])]
        return checks.read_only(np.array(triangles))

    @cached_property
    def offsets(self) -> np.ndarray:
        """Plane constants (f,): n·x = offset on the face, in metres from the centroid."""
        first = self.vertices[[face[0] for face in self.faces]] - self.centroid
        return checks.read_only(np.einsum("fi,fi->f", self.normals, first))

    @cached_property
    def is_convex(self) -> bool:
        """Whether every vertex lies on the inner side of every face."""
        height = (self.vertices - self.centroid) @ self.normals.T - self.offsets
        return bool(height.max() <= _FLAT * self.size)

    def contains(self, points: ArrayLike, margin: float = 0.0) -> np.ndarray:
        """Return for each point (n, 3) whether it lies inside the polyhedron, within a margin.

        Args:
            points: (n, 3) in metres.
            margin: in metres. Points less than this outside count as inside; if it is negative,
                points less than its size inside count as outside.

        Returns:
            (n,) bool.

        Raises:
            ValueError: for points of another shape, or that are not finite.
        """
        points = checks.finite_array(points, "points", (None, 3))
        if self.is_convex:
            height = (points - self.centroid) @ self.normals.T - self.offsets
            return (height <= margin).all(axis=1)
        # Not the fans: a point in the plane of a face may lie on triangles beyond the face.
        a, b, c = np.moveaxis(self.vertices[self.surface][:, :, None] - points, 1, 0)
        near = self._distance(points) <= abs(margin)
        ra, rb, rc = (np.linalg.norm(r, axis=-1) for r in (a, b, c))
        ab, bc, ca = (np.einsum("tni,tni->tn", r, s) for r, s in ((a, b), (b, c), (c, a)))
        volume = np.einsum("tni,tni->tn", a, np.cross(b, c))
        # Half the solid angle of each triangle; their sum is 2π inside.
        half = np.arctan2(volume, ra * rb * rc + ab * rc + bc * ra + ca * rb).sum(axis=0)
        return np.where(near, margin > 0, half > np.pi)

    def _distance(self, points):
        """Return the distances (n,) of points to the surface."""
        corner, u, v = np.moveaxis(self.vertices[self.surface], 1, 0)
        u, v = u - corner, v - corner
        normal = np.cross(u, v)
        square = np.einsum("ti,ti->t", normal, normal)
        to = points[:, None] - corner
        p = np.einsum("nti,ti->nt", np.cross(to, v), normal) / square
        q = np.einsum("nti,ti->nt", np.cross(u, to), normal) / square
        height = np.abs(np.einsum("nti,ti->nt", to, normal)) / np.sqrt(square)
        projects = np.minimum.reduce([p, q, 1.0 - p - q]) >= -_FLAT
        return np.minimum(
            np.where(projects, height, np.inf).min(axis=1), self._distance_from_edges(points)
        )

    def _distance_from_edges(self, points):
        """Return the distances (n,) of points to the nearest edge."""
        start, end = np.moveaxis(self.vertices[self.edges], 1, 0)
        along = end - start
        to = points[:, None] - start
        s = np.clip(np.einsum("nei,ei->ne", to, along) / _square(along), 0.0, 1.0)
        return np.linalg.norm(to - s[..., None] * along, axis=-1).min(axis=1)

    def translated(self, shift: ArrayLike) -> "Polyhedron":
        """Return the polyhedron moved by `shift` (3,) metres."""
        return Polyhedron(self.vertices + checks.finite_array(shift, "shift", (3,)), self.faces)

    def inset(self, depth: float, *, at_most: float | None = None) -> "Polyhedron":
        """Return the polyhedron with every face moved inwards by `depth` metres.

        Small faces may vanish.

        Args:
            depth: in metres.
            at_most: the share of its distance from the centroid by which a face moves at most. If
                it is below 1, something is left at any depth.

        Raises:
            ValueError: when the polyhedron is not convex, or nothing is left of it.
        """
        depth = checks.number(depth, "depth", least=0)
        if not self.is_convex:
            raise ValueError("a polyhedron must be convex to be inset; this one is not.")
        if depth == 0:
            return self
        depths = depth if at_most is None else np.minimum(depth, at_most * self.offsets)
        try:
            # About the centroid, so that equal grains in different places stay equal.
            vertices, faces, _ = convex_body(self.normals, self.offsets - depths, np.zeros(3))
            return Polyhedron(self.centroid + vertices, faces)
        except EmptyBodyError as error:
            raise ValueError(
                f"`depth` must leave something of the polyhedron; received {depth:g} m for one of "
                f"size {self.size:g} m."
            ) from error


def _square(vectors):
    """Return the squared lengths (n,) of vectors (n, 3)."""
    return np.einsum("ni,ni->n", vectors, vectors)
