"""Who must agree with whom.

=====================================  ====================================================
`voronoi_grains`                       held to
=====================================  ====================================================
cells                                  the nearest seed, in the sense of the diagram, of any point
a cubic lattice of seeds               `cubic_grains`, and its loop; so does a file of Neper's
volumes without gap                    the sample's, to 1e-9
columns, seeds in one plane            SciPy's cells in the plane, times the height
bamboo, seeds on one line              the distances between the seeds
sizes                                  log-normal, as drawn
gap                                    the distance between faces
the field of all grains, gap 0         that of the box they fill
traces                                 -1 in the grain itself, 0 in others
joint rotation                         rotates fields and loops
every length times 1e-9 to 1e9         the same structure
bad input                              one sentence that names what is wrong
=====================================  ====================================================
"""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull, Voronoi
from scipy.spatial.transform import Rotation

from keras_micromag.physics import (
    MATERIALS,
    Microstructure,
    cubic_grains,
    demag_matrix,
    demag_tensor,
    random_easy_axes,
    read_neper,
    simulate,
    voronoi_grains,
    write_neper,
)
from tests import oracles

BOX = np.array([300e-9, 250e-9, 200e-9])


def test_each_grain_has_the_depth_of_its_material():
    two = [MATERIALS["Nd2Fe14B"], MATERIALS["SmCo5"]]
    materials = [two[number % 2] for number in range(40)]
    options = {"seed": 1, "gap": 20e-9, "vanishing": "drop", "depth": "calibrated"}
    magnet = voronoi_grains(40, 120e-9, material=materials, **options)
    assert len(magnet) < 40
    # Which seed a grain is of: the materials one by one, else alike.
    one_by_one = [voronoi_grains(40, 120e-9, material=material, **options) for material in two]
    own = np.array(
        [
            [(m.particles[i, :1] == magnet.particles[i, :1]).all() for m in one_by_one]
            for i in range(len(magnet))
        ]
    )
    assert own.any(axis=1).all() and (own.sum(axis=0) > 5).all()
    # In both materials there are grains too small for a nucleus, whose particles agree.
    assert own.all(axis=1).any()
    with pytest.raises(ValueError, match="`material` must be a Material or a sequence of g = 40"):
        voronoi_grains(40, 120e-9, material=two, **options)


SHAPES = {
    "Voronoi": {},
    "log-normal": {"sigma": 0.35},
    "relaxed": {"relaxation": 3},
    "flat": {"stretch": (2, 2, 1)},
    "needles, sized and relaxed": {"stretch": (1, 1, 3), "sigma": 0.2, "relaxation": 1},
}

property_test = settings(max_examples=20, deadline=None, derandomize=True, database=None)


def lattice(n, spacing):
    cells = np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), axis=-1)
    return (cells.reshape(-1, 3) - (n - 1) / 2) * spacing


def filling(*args, **kwargs):
    """Return grains that touch, with a particle at each centroid."""
    return voronoi_grains(*args, gap=0.0, depth=0.0, scheme=("centroid",), **kwargs)


# ---------------------------------------------------------------------------------------------
# Cells
# ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_the_cells_fill_the_box(shape):
    magnet = filling(200, BOX, 1, **SHAPES[shape])
    assert len(magnet) == 200
    np.testing.assert_allclose(magnet.volumes.sum(), np.prod(BOX), rtol=1e-9)
    np.testing.assert_allclose(magnet.bounds, [-BOX / 2, BOX / 2], rtol=1e-12)
    assert magnet.packing_fraction == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("stretch", [(1, 1, 1), (1, 2, 3)])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_point_lies_in_the_cell_of_the_nearest_seed(stretch, weighted):
    rng = np.random.default_rng(2)
    seeds = BOX * (rng.random((60, 3)) - 0.5)
    weights = (8e-9) ** 2 * rng.random(60) if weighted else np.zeros(60)
    magnet = voronoi_grains(
        seeds, BOX, gap=0.0, depth=0.0, scheme="centroid", weights=weights, stretch=stretch
    )
    points = BOX * (rng.random((2000, 3)) - 0.5)
    distances = (((points[:, None] - seeds) / stretch) ** 2).sum(axis=-1) - weights
    first, second = np.sort(distances, axis=1)[:, :2].T
    clear = second - first > 1e-9 * first.max()
    inside = np.array([grain.contains(points) for grain in magnet.grains])
    assert (inside.sum(axis=0) == 1)[clear].all()
    assert (inside.argmax(axis=0) == distances.argmin(axis=1))[clear].all()


def test_the_cells_are_scipys():
    cells = oracles.voronoi_cells(seed=3, count=30)
    seeds = np.random.default_rng(3).random((30, 3))
    magnet = filling(seeds - 0.5, 1.0)
    theirs = [oracles.volume_and_centroid(*cell) for cell in cells]
    np.testing.assert_allclose(magnet.volumes, [volume for volume, _ in theirs], rtol=1e-10)


def plane_areas(seeds, box):
    """Return the areas of SciPy's Voronoi cells of seeds in a rectangle about the origin."""
    images = [seeds]
    for axis, side in np.ndindex(2, 2):
        image = seeds.copy()
        image[:, axis] = (2 * side - 1) * box[axis] - image[:, axis]
        images.append(image)
    diagram = Voronoi(np.concatenate(images))
    regions = (diagram.regions[region] for region in diagram.point_region[: len(seeds)])
    return [ConvexHull(diagram.vertices[region]).volume for region in regions]


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("height", [0.1, 1.0, 10.0, 100.0])
def test_seeds_in_one_plane_make_columns(height, axis):
    box = np.insert([1.0, 0.8], axis, height)
    across = np.delete(np.arange(3), axis)
    for level in (0.0, 0.3, -0.4999):
        seeds = box * (np.random.default_rng(1).random((60, 3)) - 0.5)
        seeds[:, axis] = level * height
        magnet = filling(seeds, box)
        expected = height * np.array(plane_areas(seeds[:, across], box[across]))
        # The diagram loses the digits of (spacing / height)², which is 1e-6 at most.
        np.testing.assert_allclose(magnet.volumes, expected, rtol=1e-8)
        assert all(np.ptp(grain.vertices, axis=0)[axis] > 0.999 * height for grain in magnet.grains)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("length", [1.0, 100.0])
def test_seeds_on_one_line_make_bamboo(length, axis):
    positions = np.sort(length * (np.random.default_rng(1).random(20) - 0.5))
    seeds = np.full((20, 3), 0.2)
    seeds[:, axis] = positions
    magnet = filling(seeds, np.insert([1.0, 1.0], axis, length))
    walls = np.concatenate([[-length / 2], (positions[1:] + positions[:-1]) / 2, [length / 2]])
    np.testing.assert_allclose(magnet.volumes, np.diff(walls), rtol=1e-9)


@pytest.mark.parametrize("shape", [{}, {"relaxation": 2}, {"sigma": 0.2}])
@pytest.mark.parametrize("sample", ["box", "cylinder"])
def test_columns_and_bamboo_in_every_shape(shape, sample):
    box = np.array([50e-9, 50e-9, 5000e-9])
    line = box * [[0, 0, x] for x in (np.arange(20) - 9.5) / 20]
    plane = box * np.insert(np.random.default_rng(1).random((6, 2)) - 0.5, 2, 0.1, axis=1)
    for n in (1, 2, line, plane):
        magnet = voronoi_grains(
            n, box, 1, 0.0, depth=0.0, scheme="centroid", sample=sample, **shape
        )
        assert magnet.packing_fraction == pytest.approx(1, abs=1e-9)


@pytest.mark.integration
@pytest.mark.parametrize("sigma", [0.1, 0.5])
def test_sizes_are_those_drawn(sigma):
    magnet = filling(400, 1e-6, 5, sigma=sigma)
    rng = np.random.default_rng(5)
    rng.random((400, 3))  # the seeds
    expected = np.exp(3 * sigma * rng.standard_normal(400))
    np.testing.assert_allclose(magnet.volumes / 1e-18, expected / expected.sum(), rtol=1e-5)


@pytest.mark.slow
def test_relaxation_makes_grains_alike():
    spreads = [filling(300, 1e-6, 1, relaxation=n).volumes.std() for n in (0, 1, 4)]
    assert spreads[0] > 1.3 * spreads[1] > 1.3 * 1.3 * spreads[2]


@pytest.mark.slow
def test_relaxed_seeds_come_to_the_centroids():
    distance = []
    for rounds in (0, 20):
        magnet = filling(64, 1e-6, 1, relaxation=rounds)
        again = filling(magnet.centroids, 1e-6)
        distance.append(np.linalg.norm(again.centroids - magnet.centroids, axis=1).mean())
    assert distance[1] < 0.1 * distance[0]


@pytest.mark.slow
@pytest.mark.parametrize("stretch", [(1, 1, 3), (2, 2, 1)])
def test_stretched_grains_are_longer(stretch):
    magnet = filling(1000, 1e-6, 1, stretch=stretch)
    extents = np.array([np.ptp(grain.vertices, axis=0) for grain in magnet.grains]).mean(axis=0)
    ratio = extents / extents.min()
    assert ratio == pytest.approx(np.divide(stretch, min(stretch)), rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sample", "share"), [("cylinder", np.pi / 4), ("sphere", np.pi / 6)], ids=str
)
def test_round_samples_are_cut_out_of_the_box(sample, share):
    magnet = filling(200, BOX, 1, sample=sample)
    np.testing.assert_allclose(magnet.volume, share * np.prod(BOX), rtol=1e-12)
    np.testing.assert_allclose(magnet.volumes.sum(), magnet.volume, rtol=1e-9)
    assert 0.5 * 200 < len(magnet) < 200
    corners = np.concatenate([grain.vertices for grain in magnet.grains]) / (BOX / 2)
    radius = np.linalg.norm(corners[:, : {"cylinder": 2, "sphere": 3}[sample]], axis=1)
    assert 1 < radius.max() < {"cylinder": 1.003, "sphere": 1.08}[sample]


# ---------------------------------------------------------------------------------------------
# Boundaries
# ---------------------------------------------------------------------------------------------


def test_every_face_moves_by_half_the_gap():
    gap = 4e-9
    touching = filling(100, BOX, 1)
    parted = voronoi_grains(100, BOX, 1, gap, depth=0.0, scheme="centroid")
    assert len(parted) == 100
    for cell, grain in zip(touching.grains, parted.grains, strict=True):
        same = grain.normals @ cell.normals.T > 1 - 1e-9
        assert same.any(axis=1).all()
        # Plane constants about the origin.
        mine, theirs = (body.offsets + body.normals @ body.centroid for body in (grain, cell))
        np.testing.assert_allclose(mine, theirs[same.argmax(axis=1)] - gap / 2, atol=1e-17)
    assert parted.volume == pytest.approx(np.prod(BOX))
    assert parted.packing_fraction < touching.packing_fraction


@pytest.mark.slow
def test_grains_that_vanish_are_named_or_dropped():
    cells = filling(100, BOX, 1)
    with pytest.raises(ValueError, match=r"`gap` must leave something of every grain") as refused:
        voronoi_grains(100, BOX, 1, 25e-9)
    numbers = [int(n) for n in re.findall(r"\d+", str(refused.value).split("seeds")[1])]
    assert cells.volumes[numbers].mean() < cells.volumes.mean()
    kept = voronoi_grains(100, BOX, 1, 25e-9, vanishing="drop")
    assert 1 <= len(kept) < 100 - len(numbers) + 1
    with pytest.raises(ValueError, match="`depth` must be small enough for every grain"):
        voronoi_grains(100, BOX, 1, depth=12e-9)
    assert len(voronoi_grains(100, BOX, 1, depth=12e-9, vanishing="drop")) < 100
    with pytest.raises(ValueError, match="`gap` must leave something of the grains"):
        voronoi_grains(100, BOX, 1, 250e-9, vanishing="drop")


def test_a_cell_that_others_cover_is_named_or_dropped():
    seeds = lattice(2, 0.5)
    seeds = np.concatenate([seeds, [[0.26, 0.25, 0.25]]])
    weights = np.append(np.zeros(8), -0.1)
    with pytest.raises(ValueError, match=r"every grain a cell.*1 vanish, those of seeds 8\."):
        filling(seeds, 1.0, weights=weights)
    assert len(filling(seeds, 1.0, weights=weights, vanishing="drop")) == 8


def test_weights_of_any_size_leave_the_cells_as_they_are():
    seeds, weights = 0.9 * np.random.default_rng(1).random((9, 3)) - 0.45, np.zeros(9)
    expected = filling(seeds, 1.0).volumes
    actual = filling(seeds, 1.0, weights=weights + 1e20).volumes
    np.testing.assert_array_equal(actual, expected)
    # One of a weight that is far less than the others has no cell.
    weights[8] = -1e20
    actual = filling(seeds, 1.0, weights=weights, vanishing="drop").volumes
    np.testing.assert_allclose(actual, filling(seeds[:8], 1.0).volumes, rtol=1e-12)
    np.testing.assert_allclose(
        filling(seeds, 1.0, weights=-weights, vanishing="drop").volumes, 1.0, rtol=1e-12
    )


# ---------------------------------------------------------------------------------------------
# Physics
# ---------------------------------------------------------------------------------------------


def test_grains_that_touch_have_the_field_of_their_box():
    magnet = filling(40, BOX, 7)
    box = oracles.prism(*BOX)
    points = BOX * (np.random.default_rng(0).random((200, 3)) - 0.5)
    total = demag_tensor(points, *box)
    parts = sum(demag_tensor(points, grain.vertices, grain.faces) for grain in magnet.grains)
    np.testing.assert_allclose(parts, total, atol=1e-9)


def test_a_small_gap_changes_the_total_field_a_little():
    points = filling(40, BOX, 7).centroids
    total = demag_tensor(points, *oracles.prism(*BOX))
    errors = []
    for gap in (1e-9, 1e-10, 1e-11):
        magnet = voronoi_grains(40, BOX, 7, gap, depth=0.0, scheme="centroid")
        parts = sum(demag_tensor(points, grain.vertices, grain.faces) for grain in magnet.grains)
        errors.append(np.abs(parts - total).max())
    assert errors[0] < 0.1
    assert errors[1] / errors[0] == pytest.approx(0.1, rel=0.2)
    assert errors[2] / errors[1] == pytest.approx(0.1, rel=0.2)


def test_traces():
    magnet = voronoi_grains(30, BOX, 2)
    trace = np.einsum("gpihi->gph", demag_matrix(magnet, self_field=True))
    own = np.eye(30)[:, None] * (magnet.weights > 0)[..., None]
    np.testing.assert_allclose(trace, -own, atol=1e-11)


@pytest.fixture(scope="module")
def cubes_thrice(tmp_path_factory):
    """Return the magnet of the paper, made in each of three ways."""
    path = tmp_path_factory.mktemp("neper") / "cubes.tess"
    write_neper(path, cubic_grains(size=53e-9, gap=0.0))
    return {
        "cubic_grains": cubic_grains(),
        "voronoi_grains": voronoi_grains(lattice(4, 53e-9), 4 * 53e-9, gap=3e-9),
        "read_neper": read_neper(path).microstructure(gap=3e-9),
    }


@pytest.mark.slow
@pytest.mark.parametrize("way", ["voronoi_grains", "read_neper"])
def test_cubes_are_cubes_whichever_way_they_come(way, cubes_thrice):
    cubes, made = cubes_thrice["cubic_grains"], cubes_thrice[way]
    assert made.particles.shape == cubes.particles.shape
    np.testing.assert_allclose(made.centroids, cubes.centroids, atol=1e-20)
    np.testing.assert_allclose(made.volumes, cubes.volumes, rtol=1e-9)
    for mine, theirs in zip(made.particles, cubes.particles, strict=True):
        distance = np.linalg.norm(mine[:, None] - theirs, axis=-1)
        assert distance.min(axis=1).max() < 1e-18
    axes, field = random_easy_axes(64, seed=4), np.linspace(8, -8, 200)
    loops = [simulate(each, axes, field=field) for each in (made, cubes)]
    np.testing.assert_array_equal(loops[0].switching_fields, loops[1].switching_fields)
    np.testing.assert_allclose(loops[0].magnetization, loops[1].magnetization, atol=1e-4)


@pytest.mark.slow
def test_a_turned_polycrystal_has_a_turned_loop():
    turn = Rotation.from_rotvec([0.3, -0.5, 0.7]).as_matrix()
    magnet = voronoi_grains(20, 150e-9, 3)
    turned = Microstructure([(g.vertices @ turn.T, g.faces) for g in magnet.grains])
    axes, field = random_easy_axes(20, seed=4), np.linspace(8, -8, 80)
    loop = simulate(magnet, axes, field=field)
    other = simulate(turned, axes @ turn.T, field=field, field_direction=turn[:, 2])
    np.testing.assert_array_equal(other.switching_fields, loop.switching_fields)
    np.testing.assert_allclose(other.magnetization, loop.magnetization @ turn.T, atol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("shape", SHAPES)
def test_lengths_only_scale(shape, scale):
    one = voronoi_grains(50, [3.0, 2.5, 2.0], 1, 0.01, depth=0.01, **SHAPES[shape])
    box = scale * np.array([3.0, 2.5, 2.0])
    other = voronoi_grains(50, box, 1, 0.01 * scale, depth=0.01 * scale, **SHAPES[shape])
    np.testing.assert_allclose(other.volumes, scale**3 * one.volumes, rtol=1e-6)
    assert other.weights.shape == one.weights.shape


@pytest.mark.slow
@property_test
@given(
    n=st.integers(1, 30),
    seed=st.integers(0, 10**6),
    box=st.tuples(*[st.floats(0.2, 5)] * 3),
    sigma=st.sampled_from([0, 0.2, 0.6]),
    stretch=st.tuples(*[st.floats(0.3, 3)] * 3),
    sample=st.sampled_from(["box", "cylinder", "sphere"]),
)
def test_any_polycrystal_fills_its_sample(n, seed, box, sigma, stretch, sample):
    magnet = filling(n, box, seed, sigma=sigma, stretch=stretch, sample=sample, vanishing="drop")
    np.testing.assert_allclose(magnet.volumes.sum(), magnet.volume, rtol=1e-9)


# ---------------------------------------------------------------------------------------------
# Bad input
# ---------------------------------------------------------------------------------------------

PAIR = np.array([[0.0, 0, -0.1], [0, 0, 0.1]])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"n": 0}, "`n` must be an integer of at least 1; received 0."),
        ({"n": 2.5}, "`n` must be an integer of at least 1; received 2.5."),
        ({"n": PAIR[:, :2]}, "`n` must have shape (n, 3) if it holds the seeds; received (2, 2)."),
        ({"n": PAIR * np.nan}, "`n` must be finite; received nan at index (0, 0)."),
        ({"n": PAIR[[0, 1, 0]]}, "`n` must hold different seeds; 0 and 2 coincide."),
        ({"n": 9 * PAIR}, "seeds in the box about the origin; seed 0 is [0.0, 0.0, -0.9]."),
        ({"n": PAIR[:0]}, "`n` must hold at least one seed; received none."),
        ({"seed": None}, "`seed` must be given, so that the grains can be drawn again"),
        ({"n": PAIR, "seed": None, "sigma": 0.1}, "`seed` must be given"),
        ({"sigma": 1e9}, "`sigma` must be one that the seeds allow; 1000000000.0 is too large."),
        ({"n": 20, "sigma": 100}, "no weights give the cells these volumes."),
        ({"relaxation": 10**20}, "`relaxation` must be at most 10000; received 1000000000000"),
        ({"box": -1.0}, "`box` must have positive edges; received -1.0."),
        ({"box": [1.0, 2.0]}, "`box` must have shape (3,); received (2,)."),
        ({"box": np.inf}, "`box` must be finite"),
        ({"gap": -1e-9}, "`gap` must be at least 0; received -1e-09."),
        ({"gap": np.nan}, "`gap` must be at least 0; received nan."),
        ({"sigma": -1}, "`sigma` must be at least 0; received -1."),
        ({"relaxation": 1.5}, "`relaxation` must be an integer of at least 0; received 1.5."),
        ({"stretch": (1, 1, 0)}, "`stretch` must be positive; received [1.0, 1.0, 0.0]."),
        ({"box": (1, 1, 1e6)}, "`box` / `stretch` must have edges of a ratio of at most 100000;"),
        ({"n": 1, "box": (1, 1, 9e4)}, "the grain of seed 0 is not a closed polyhedron: `faces`"),
        ({"sample": "cone"}, "`sample` must be one of 'box', 'cylinder', 'sphere'"),
        ({"vanishing": "hide"}, "`vanishing` must be one of 'refuse', 'drop'"),
        ({"weights": [1.0]}, "`weights` must have shape (10,) one per seed; received (1,)."),
        ({"weights": np.zeros(10), "sigma": 1}, "must not be given beside `sigma`"),
    ],
    ids=str,
)
def test_bad_input(change, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        voronoi_grains(**{"n": 10, "box": 1.0, "seed": 1, "gap": 0.0, **change})


@pytest.mark.parametrize("n", [10**12, 10**400])
def test_more_grains_than_memory_holds_are_refused(n):
    with pytest.raises(MemoryError, match=r"a list of seeds needs .* GB, .* fewer grains need"):
        voronoi_grains(n, 1.0, 1)
