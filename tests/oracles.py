"""Slow, obvious references that the fast code of the package is held to.

Nothing here imports the package: an oracle that shares code with what it judges judges nothing.
Every part takes the long way round: extended precision, brute force, one loop inside the other.
"""

from collections.abc import Sequence
from itertools import permutations

import mpmath
import numpy as np
from scipy.spatial import ConvexHull, Voronoi

Faces = Sequence[Sequence[int]]
Body = tuple[np.ndarray, list[list[int]]]

# ---------------------------------------------------------------------------------------------
# Geometry: example polyhedra
#
# Each returns (vertices, faces): vertices (v, 3) and faces as lists of vertex indices that run
# counter-clockwise seen from outside.
# ---------------------------------------------------------------------------------------------


def prism(a: float = 1.0, b: float = 1.0, c: float = 1.0) -> Body:
    """The rectangular prism of edges `a`, `b`, `c` along x, y, z, centred on the origin."""
    corners = [(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]
    faces = [
        [0, 1, 3, 2],
        [4, 6, 7, 5],
        [0, 4, 5, 1],
        [2, 3, 7, 6],
        [0, 2, 6, 4],
        [1, 5, 7, 3],
    ]
    return np.array(corners) * [a, b, c], faces


def cube(size: float = 1.0) -> Body:
    """The cube of edge `size`, centred on the origin."""
    return prism(size, size, size)


def tetrahedron(size: float = 1.0) -> Body:
    """The regular tetrahedron on four corners of the cube of edge `size`, volume size³ / 3."""
    vertices = np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)]) * (size / 2)
    return vertices, [[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]]


def truncated_octahedron(edge: float = 1.0) -> Body:
    """The truncated octahedron of edge `edge`, volume 8 √2 edge³: 6 squares and 8 hexagons.

    The squares lie at √2 edge from the centre, the hexagons at √(3/2) edge.
    """
    corners = {p for x in (-1, 1) for y in (-2, 2) for p in permutations((0, x, y))}
    return convex_polyhedron(np.array(sorted(corners)) * (edge / np.sqrt(2)))


def l_prism(size: float = 1.0) -> Body:
    """A non-convex body: the cube of edge `size` without one of its four vertical quarters.

    The two L-shaped faces start at the reentrant corner, from which a fan triangulates them.
    """
    outline = [(0, 0), (0, 1), (-1, 1), (-1, -1), (1, -1), (1, 0)]
    n = len(outline)
    vertices = np.array([(x, y, z) for z in (-1, 1) for x, y in outline], dtype=float)
    bottom, top = [0, *range(n - 1, 0, -1)], list(range(n, 2 * n))
    sides = [[i, (i + 1) % n, (i + 1) % n + n, i + n] for i in range(n)]
    return vertices * (size / 2), [bottom, top, *sides]


def random_convex_hull(seed: int, points: int = 12) -> Body:
    """The hull of `points` random points in the unit ball's shell, of size about 1."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(points, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return convex_polyhedron(directions * rng.uniform(0.35, 0.5, size=(points, 1)))


def voronoi_cells(seed: int, count: int) -> list[Body]:
    """The unit cube cut into the Voronoi cells of random points: grains that touch and fill it."""
    points = np.random.default_rng(seed).uniform(size=(count, 3))
    # Mirror images in all six faces make the cells of the points themselves end at the cube.
    mirrored = [points]
    for axis in range(3):
        for wall in (0.0, 1.0):
            image = points.copy()
            image[:, axis] = 2 * wall - image[:, axis]
            mirrored.append(image)
    diagram = Voronoi(np.concatenate(mirrored))
    regions = [diagram.regions[diagram.point_region[i]] for i in range(count)]
    return [convex_polyhedron(diagram.vertices[region]) for region in regions]


def convex_polyhedron(points: np.ndarray) -> Body:
    """The convex hull of `points` (n, 3) with coplanar facets joined into polygons."""
    points = np.asarray(points, dtype=float)
    hull = ConvexHull(points)
    used = {int(i): k for k, i in enumerate(hull.vertices)}
    planes: list[tuple[np.ndarray, set[int]]] = []
    for simplex, equation in zip(hull.simplices, hull.equations, strict=True):
        for normal, members in planes:
            if np.allclose(normal, equation, rtol=0, atol=1e-9 * np.abs(points).max()):
                members.update(int(i) for i in simplex)
                break
        else:
            planes.append((equation, {int(i) for i in simplex}))
    faces = []
    for equation, members in planes:
        corners = sorted(members)
        centre = points[corners].mean(axis=0)
        first = points[corners[0]] - centre
        second = np.cross(equation[:3], first)
        around = [
            np.arctan2((points[i] - centre) @ second, (points[i] - centre) @ first) for i in corners
        ]
        faces.append([used[corners[i]] for i in np.argsort(around)])
    return points[hull.vertices], faces


def fan(faces: Faces) -> list[list[int]]:
    """Every polygon cut into triangles that share its first vertex."""
    return [[f[0], f[i], f[i + 1]] for f in faces for i in range(1, len(f) - 1)]


def moved(body: Body, *, rotation=None, shift=0.0, scale: float = 1.0) -> Body:
    """`body` rotated about the origin, then scaled, then shifted by `shift` (3,)."""
    vertices, faces = body
    if rotation is not None:
        vertices = vertices @ np.asarray(rotation).T
    return vertices * scale + shift, faces


def volume_and_centroid(vertices: np.ndarray, faces: Faces) -> tuple[float, np.ndarray]:
    """Volume and centroid as sums over the signed tetrahedra under each triangle of a fan."""
    origin = vertices.mean(axis=0)
    corners = np.array([[vertices[i] for i in triangle] for triangle in fan(faces)]) - origin
    sixths = np.linalg.det(corners)
    volume = sixths.sum() / 6
    return volume, origin + (sixths[:, None] * corners.sum(axis=1)).sum(axis=0) / (24 * volume)


# ---------------------------------------------------------------------------------------------
# Geometry: the demagnetising tensor
# ---------------------------------------------------------------------------------------------


def demag_tensor_mp(point, vertices, faces: Faces, digits: int = 50) -> np.ndarray:
    """The demagnetising tensor (3, 3) at `point` (3,), to `digits` decimal digits inside.

    It is the potential theory of a charged triangle in polar coordinates about the foot of the
    perpendicular from the point, edge by edge: with h the height over the plane, d the signed
    distance of the foot from an edge (positive towards the triangle), s the coordinate along the
    edge and r the distance to its ends, an edge adds

        asinh(s / √(h² + d²))                    to the field along the edge's outward normal, and
        atan(s / d) − atan(s |h| / (d r))        to the solid angle,

    each taken between its ends. Neither the solid angle by triple products nor the logarithm of
    sums of distances, which the package groups its formulas by, occurs here. The floats given are
    taken as exact numbers. A point in the plane of a triangle sees no solid angle of it.
    """
    with mpmath.workdps(digits):
        point = [mpmath.mpf(float(x)) for x in point]
        seen = [[mpmath.mpf(float(c)) - x for c, x in zip(v, point, strict=True)] for v in vertices]
        tensor = [[mpmath.mpf(0)] * 3 for _ in range(3)]
        for triangle in fan(faces):
            corners = [seen[i] for i in triangle]
            normal = _cross(_minus(corners[1], corners[0]), _minus(corners[2], corners[0]))
            if not any(normal):  # three corners on one line: no area, no charge
                continue
            normal = _times(1 / mpmath.sqrt(_dot(normal, normal)), normal)
            field = _charged_triangle_mp(corners, normal)
            for i in range(3):
                for j in range(3):
                    tensor[i][j] += field[i] * normal[j] / (4 * mpmath.pi)
        return np.array([[float(x) for x in row] for row in tensor])


def _charged_triangle_mp(corners, normal):
    """∫ (x − a) / |x − a|³ dS over a triangle seen from x, the corners being a − x."""
    height = -_dot(corners[0], normal)  # of the point over the plane
    angle = mpmath.mpf(0)
    field = [mpmath.mpf(0)] * 3
    for start, end in zip(corners, corners[1:] + corners[:1], strict=True):
        along = _minus(end, start)
        along = _times(1 / mpmath.sqrt(_dot(along, along)), along)
        outward = _cross(along, normal)
        d = _dot(start, outward)
        rho = mpmath.sqrt(height**2 + d**2)
        logarithm = mpmath.mpf(0)
        for sign, corner in ((1, end), (-1, start)):
            s = _dot(corner, along)
            if rho:
                logarithm += sign * mpmath.asinh(s / rho)
            else:  # on the edge's extension: the limit of the difference, s of one sign
                logarithm += sign * mpmath.sign(s) * mpmath.log(abs(s))
            if d:
                r = mpmath.sqrt(_dot(corner, corner))
                angle += sign * (mpmath.atan(s / d) - mpmath.atan(s * abs(height) / (d * r)))
        field = [f + logarithm * o for f, o in zip(field, outward, strict=True)]
    solid_angle = mpmath.sign(height) * angle
    return [f + solid_angle * n for f, n in zip(field, normal, strict=True)]


def _dot(a, b):
    return mpmath.fsum(x * y for x, y in zip(a, b, strict=True))


def _cross(a, b):
    return [a[i - 2] * b[i - 1] - a[i - 1] * b[i - 2] for i in range(3)]


def _minus(a, b):
    return [x - y for x, y in zip(a, b, strict=True)]


def _times(factor, a):
    return [factor * x for x in a]


def demag_tensor_quadrature(
    points, vertices: np.ndarray, faces: Faces, *, order: int = 20, levels: int = 3
) -> np.ndarray:
    """The demagnetising tensor (n, 3, 3) at `points` (n, 3) by surface quadrature of Eq. 4.

    H(x) = ∮ (M·n) (x − a) / (4π |x − a|³) dS, with every triangle halved along each side `levels`
    times and order² Gauss–Legendre points on each part. It knows no closed form at all, and
    therefore needs distance: a fifth of the body's size from the surface gives about 1e-12.
    """
    nodes, weights = np.polynomial.legendre.leggauss(order)
    nodes, weights = (nodes + 1) / 2, weights / 2
    u, v = np.meshgrid(nodes, nodes, indexing="ij")
    u, v = u.ravel(), (v * (1 - u)).ravel()  # the square folded onto a triangle
    area_weights = (weights[:, None] * weights * (1 - nodes[:, None])).ravel()
    tensors = np.zeros((len(points), 3, 3))
    for triangle in fan(faces):
        parts = np.array([[vertices[i] for i in triangle]], dtype=float)
        for _ in range(levels):
            a, b, c = parts[:, 0], parts[:, 1], parts[:, 2]
            ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
            quarters = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
            parts = np.concatenate([np.stack(quarter, axis=1) for quarter in quarters])
        a, b, c = parts[:, 0], parts[:, 1], parts[:, 2]
        charge = np.cross(b - a, c - a)  # unit normal times twice the area, per part
        sources = a[:, None] + u[:, None] * (b - a)[:, None] + v[:, None] * (c - a)[:, None]
        for i, point in enumerate(points):
            towards = point - sources
            field = towards / np.linalg.norm(towards, axis=-1, keepdims=True) ** 3
            tensors[i] += np.einsum("q,pqi,pj->ij", area_weights, field, charge)
    return tensors / (4 * np.pi)


def prism_demagnetizing_factor(a: float, b: float, c: float) -> float:
    """The volume-mean demagnetising factor along `c` of a prism of edges `a`, `b`, `c`.

    Aharoni, J. Appl. Phys. 83 (1998) 3432, Eq. 1. It depends on ratios only, so full and half
    edges do alike. The mean of the tensor's zz component over the prism is minus this.
    """
    abc = np.sqrt(a * a + b * b + c * c)
    ab, bc, ca = np.hypot(a, b), np.hypot(b, c), np.hypot(c, a)

    def log_ratio(diagonal, edge):
        return np.log((diagonal - edge) / (diagonal + edge))

    total = (
        (b * b - c * c) / (2 * b * c) * log_ratio(abc, a)
        + (a * a - c * c) / (2 * a * c) * log_ratio(abc, b)
        - b / (2 * c) * log_ratio(ab, a)
        - a / (2 * c) * log_ratio(ab, b)
        + c / (2 * a) * log_ratio(bc, b)
        + c / (2 * b) * log_ratio(ca, a)
        + 2 * np.arctan(a * b / (c * abc))
        + (a**3 + b**3 - 2 * c**3) / (3 * a * b * c)
        + (a * a + b * b - 2 * c * c) / (3 * a * b * c) * abc
        + c / (a * b) * (ca + bc)
        - (ab**3 + bc**3 + ca**3) / (3 * a * b * c)
    )
    return float(total / np.pi)


def mean_over_prism(function, a: float, b: float, c: float, *, order: int = 16) -> np.ndarray:
    """The mean of `function` ((n, 3) -> (n, ...)) over the prism, by graded Gauss–Legendre.

    The field diverges logarithmically at the edges, so the points crowd there: on each half edge
    the coordinate is 1 − (1 − u)³ and the integrand comes to rest at the surface.
    """
    nodes, weights = np.polynomial.legendre.leggauss(order)
    u, weights = (nodes + 1) / 2, weights / 2
    x, weights = 1 - (1 - u) ** 3, weights * 3 * (1 - u) ** 2
    x, weights = np.concatenate([-x, x]), np.concatenate([weights, weights]) / 2
    grid = np.stack(np.meshgrid(x * a / 2, x * b / 2, x * c / 2, indexing="ij"), axis=-1)
    product = weights[:, None, None] * weights[:, None] * weights
    values = function(grid.reshape(-1, 3))
    return np.tensordot(product.ravel(), values, axes=1)


def quadrature_over_volume(
    vertices: np.ndarray, faces: Faces, *, order: int = 8
) -> tuple[np.ndarray, np.ndarray]:
    """Return points (n, 3) and weights (n,), which sum to the volume, inside a body.

    All of its surface must be visible from its centroid. From there it is cut into tetrahedra, each
    a folded cube of Gauss–Legendre points.
    """
    nodes, weights = np.polynomial.legendre.leggauss(order)
    nodes, weights = (nodes + 1) / 2, weights / 2
    u, v, w = (x.ravel() for x in np.meshgrid(nodes, nodes, nodes, indexing="ij"))
    folded = np.stack([u, u * v, u * v * w], axis=-1)
    cubature = (weights[:, None, None] * weights[:, None] * weights).ravel() * u * u * v
    _, centroid = volume_and_centroid(vertices, faces)
    points, all_weights = [], []
    for triangle in fan(faces):
        a, b, c = (np.asarray(vertices[i], dtype=float) for i in triangle)
        sides = np.stack([a - centroid, b - a, c - b])
        points.append(centroid + folded @ sides)
        all_weights.append(cubature * np.linalg.det(sides))
    return np.concatenate(points), np.concatenate(all_weights)


# ---------------------------------------------------------------------------------------------
# Stoner-Wohlfarth particle
# ---------------------------------------------------------------------------------------------


def equilibrium_mp(h_parallel, h_perpendicular, digits: int = 40) -> float:
    """The first minimum of e(φ) = ½ sin²φ - h∥ cosφ - h⊥ sinφ met from φ = 0 downhill.

    In extended precision and without any bracket of the package's: walk until the torque changes
    its sign, or until it has a maximum, on which a narrow pair of roots may sit; then bisect.
    Returns nan where the energy falls all the way.
    """
    with mpmath.workdps(digits):
        along, across = mpmath.mpf(h_parallel), mpmath.mpf(h_perpendicular)

        def slope(phi):
            sin, cos = mpmath.sin(phi), mpmath.cos(phi)
            return sin * cos + along * sin - across * cos

        if across == 0 and along > -1:
            return 0.0
        step = mpmath.pi / 2000
        low = mpmath.mpf(0)
        while low < mpmath.pi:
            high = low + step
            if slope(high) >= 0:
                break
            if slope(high) > slope(low) and slope(high) > slope(high + step):
                top = _maximum_mp(slope, low, high + step, digits)
                if slope(top) >= 0:
                    high = top
                    break
            low = high
        else:
            return float("nan")
        for _ in range(4 * digits):
            middle = (low + high) / 2
            low, high = (middle, high) if slope(middle) < 0 else (low, middle)
        return float((low + high) / 2)


def _maximum_mp(function, low, high, digits):
    for _ in range(6 * digits):
        third = (high - low) / 3
        if function(low + third) < function(high - third):
            low += third
        else:
            high -= third
    return (low + high) / 2


def stoner_wohlfarth_loop(angle: float, field) -> np.ndarray:
    """Textbook loop of one particle: the moment along `field` directions, by following minima.

    Args:
        angle: between easy axis and field in radians. field: (t,) reduced fields, in sequence.

    Returns:
        (t,) cos of the angle between moment and field; each state is the local minimum of
        e(θ) = ½ sin²(θ - angle) - h cosθ reached downhill from the one before.
    """
    moments, theta = [], 0.0
    for h in field:
        for _ in range(100000):
            torque = 0.5 * np.sin(2 * (theta - angle)) + h * np.sin(theta)
            stiffness = np.cos(2 * (theta - angle)) + h * np.cos(theta)
            # Newton where the energy is well convex, small steps downhill where it is not.
            step = -torque / stiffness if stiffness > 0.3 else -0.5 * torque
            theta += np.clip(step, -0.05, 0.05)
            if abs(step) < 1e-13:
                break
        moments.append(np.cos(theta))
    return np.array(moments)


# ---------------------------------------------------------------------------------------------
# Algorithm 1, literally
# ---------------------------------------------------------------------------------------------


def _literal_angles(phi, h_parallel, h_perpendicular):
    """Equilibrium angles by safeguarded Newton steps from the angles before, and who has none."""
    fold = np.arctan(np.cbrt(h_perpendicular / np.maximum(-h_parallel, 1e-100)))
    unstable = (h_parallel < 0) & (np.cbrt(h_parallel**2) + np.cbrt(h_perpendicular**2) > 1.0)
    low = np.zeros_like(phi)
    high = np.where(h_parallel < 0, fold, np.pi / 2)
    phi = np.clip(phi, low, high)
    for _ in range(100):
        sin, cos = np.sin(phi), np.cos(phi)
        torque = sin * cos + h_parallel * sin - h_perpendicular * cos
        stiffness = cos * cos - sin * sin + h_parallel * cos + h_perpendicular * sin
        low, high = np.where(torque < 0, phi, low), np.where(torque > 0, phi, high)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = phi - torque / stiffness
        new = np.where((newton >= low) & (newton <= high), newton, 0.5 * (low + high))
        moved = np.abs(new - phi)[~unstable].max(initial=0.0)
        phi = new
        if moved < 1e-9:
            break
    return np.where(unstable, fold, phi), unstable


def simulate_literal(
    matrix,
    weights,
    easy_axes,
    field,
    *,
    polarization,
    anisotropy_field,
    direction=(0.0, 0.0, 1.0),
    avalanche="weakest_first",
    tol=1e-7,
    max_iterations=1000,
    share=1.0,
):
    """Algorithm 1 as it is written down, for one magnet, in NumPy float64.

    Relax all grains with their branches held until no moment moves by more than `tol`; flip every
    unstable grain (or the one furthest outside the astroid); repeat until none flips; next field.
    A grain does not flip where its particles would be as far outside on the other branch, nor a
    third time at one field; its unstable particles are then held at their fold in the same field
    across the axis, 90° where there is none.

    Args:
        matrix: B, (g, p, 3, g, 3). weights: (g, p). easy_axes: (g, 3). field: (t,) in tesla.
        polarization, anisotropy_field: per grain or one for all, in tesla.
        share: by how much of its change a moment moves in an iteration; in their own field, grains
            need less than 1 to come to rest shortly before they flip.

    Returns:
        (moments (t, g, 3), number of products with B).
    """
    g, p = weights.shape
    direction = np.asarray(direction)
    flat = (matrix * np.broadcast_to(polarization, g)[:, None]).reshape(g * p * 3, g * 3)
    scale = np.broadcast_to(anisotropy_field, g)[:, None]
    start = np.sign(field[0]) or 1.0
    branch = np.where(easy_axes @ direction * start >= 0, 1.0, -1.0)
    moments, phi = branch[:, None] * easy_axes, np.zeros((g, p))
    states, products = [], 0
    real = weights > 0
    for value in field:
        count = np.zeros(g, int)
        for _ in range(max_iterations):
            for _ in range(max_iterations):
                total = (flat @ moments.ravel()).reshape(g, p, 3) + value * direction
                products += 1
                total /= scale[..., None]
                along = np.einsum("gpi,gi->gp", total, easy_axes)
                across = total - along[..., None] * easy_axes[:, None]
                h_perpendicular = np.linalg.norm(across, axis=-1)
                signed = branch[:, None] * along
                phi, unstable = _literal_angles(phi, signed, h_perpendicular)
                astroid = np.cbrt(along**2) + np.cbrt(h_perpendicular**2)
                own = np.where((signed < 0) & real, astroid, 0.0).max(axis=1)
                other = np.where((signed > 0) & real, astroid, 0.0).max(axis=1)
                stays = (other > 1.0) | (count >= 2)
                across_fold = np.arcsin(np.minimum(np.cbrt(h_perpendicular), 1.0))
                phi = np.where(unstable & stays[:, None], across_fold, phi)
                unit = across / np.maximum(h_perpendicular, 1e-300)[..., None]
                particle = (
                    np.cos(phi)[..., None] * (branch[:, None] * easy_axes)[:, None]
                    + np.sin(phi)[..., None] * unit
                )
                new = np.einsum("gp,gpi->gi", weights, particle)
                new /= np.linalg.norm(new, axis=-1, keepdims=True)
                new = share * new + (1 - share) * moments
                new /= np.linalg.norm(new, axis=-1, keepdims=True)
                moved = np.linalg.norm(new - moments, axis=-1).max()
                moments = new
                if moved < tol:
                    break
            else:
                raise RuntimeError(f"no equilibrium at {value} T")
            outside = np.where(count < 2, own / np.maximum(other, 1.0), 0.0)
            flips = outside > 1.0
            if not flips.any():
                break
            if avalanche == "weakest_first":
                flips = np.arange(g) == outside.argmax()
            count += flips
            branch = np.where(flips, -branch, branch)
            phi[flips] = 0.0
            moments[flips] = branch[flips, None] * easy_axes[flips]
        else:
            raise RuntimeError(f"the avalanche at {value} T does not end")
        states.append(moments)
    return np.array(states), products


def energy(matrix, weights, volumes, easy_axes, moments, field, *, polarization, Ku, direction):
    """Energy in J of one magnet: anisotropy, applied field and half the demagnetising field's.

    Args as in `simulate_literal`; moments (g, 3), volumes (g,) in m³, `field` in tesla, Ku in
    J/m³. The demagnetising field of a grain is the weighted mean over its particles.
    """
    mean = np.einsum("gp,gpihj,hj->gi", weights, matrix, moments) * polarization
    along = np.einsum("gi,gi->g", moments, easy_axes)
    work = np.einsum("gi,gi->g", moments, 0.5 * mean + field * np.asarray(direction))
    density = Ku * (1.0 - along**2) - polarization / (4e-7 * np.pi) * work
    return float((volumes * density).sum())
