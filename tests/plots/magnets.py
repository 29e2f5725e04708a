"""Artificial magnets and loops to draw."""

import numpy as np

from keras_micromag import physics

TETRAHEDRON = (
    np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float),
    [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)],
)
PYRAMID = (
    np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0.5, 0.5, 1]], float),
    [(0, 3, 2, 1), (0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4)],
)


def box(low, high):
    """Return a cuboid as (vertices, faces)."""
    corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    vertices = np.where(corners, high, low).astype(float)
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return vertices, faces


def moved(body, offset, size=1.0):
    return size * body[0] + np.asarray(offset, float), body[1]


def ragged(seed, n=12):
    """Return boxes, pyramids and tetrahedra of different sizes that do not touch."""
    rng = np.random.default_rng(seed)
    cells = rng.permutation([(i, j, k) for i in range(3) for j in range(3) for k in range(3)])[:n]
    bodies = [box((0, 0, 0), (1, 1, 1)), PYRAMID, TETRAHEDRON]
    grains = [
        moved(bodies[i % 3], cell + 0.02 * rng.random(3), size=rng.uniform(0.4, 0.95))
        for i, cell in enumerate(cells)
    ]
    # A bar so long that the depth of its centroid does not show what it covers.
    grains.append(box((-30, -1.4, 0.4), (6, -0.4, 0.9)))
    return physics.Microstructure(grains, depth=0.0)


def loop(switching, shape=(2, 2, 2), field=None, moment=0.95):
    """Return an artificial loop, whose moments along z jump at `switching` (b, g) or (g,) tesla."""
    structure = physics.cubic_grains(shape)
    field = np.linspace(8, -8, 161) if field is None else np.asarray(field, float)
    m_z = np.where(field[:, None] > switching[..., None, :], moment, -moment)
    tilt = np.full_like(m_z, np.sqrt(1 - moment**2))
    axes = np.zeros((*switching.shape, 3))
    axes[..., 2] = 1.0
    return structure, physics.Hysteresis(
        field=field,
        magnetization=np.stack([tilt, np.zeros_like(tilt), m_z], axis=-1),
        easy_axes=axes,
        converged=np.ones(m_z.shape[:-1], bool),
        iterations=np.ones(m_z.shape[:-1], int),
        polarization=np.full(len(structure), 1.61),
        volumes=structure.volumes,
        packing_fraction=structure.packing_fraction,
        field_direction=np.array([0.0, 0.0, 1.0]),
    )


def only_collection(ax):
    """Return the polygons of a magnet."""
    (collection,) = [c for c in ax.collections if type(c).__name__ == "PolyCollection"]
    return collection


def polycrystal(n, seed, gap=0.0):
    """Return Voronoi cells in a unit cube about the origin, with particles at their centroids."""
    return physics.voronoi_grains(n, 1.0, seed, gap, depth=0.0, scheme="centroid")


def prism(outline, low, high):
    """Return a prism over a polygon (n, 2), counter-clockwise, as (vertices, faces)."""
    n = len(outline)
    vertices = [(*point, z) for z in (low, high) for point in outline]
    sides = [(i, (i + 1) % n, n + (i + 1) % n, n + i) for i in range(n)]
    return np.array(vertices, float), [tuple(range(n))[::-1], tuple(range(n, 2 * n)), *sides]


# A horseshoe open towards +y.
HORSESHOE = [(0, 0), (3, 0), (3, 3), (2, 3.2), (2, 1), (1, 1), (1, 3.2), (0, 3)]
