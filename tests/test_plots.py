"""The figures: what they show, how it is labelled, and which grain covers which."""

import dataclasses

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.collections import PolyCollection  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from keras_micromag import physics, plots  # noqa: E402

TETRAHEDRON = (
    np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float),
    [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)],
)
PYRAMID = (
    np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0.5, 0.5, 1]], float),
    [(0, 3, 2, 1), (0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4)],
)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def box(low, high):
    """A cuboid as (vertices, faces)."""
    corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    vertices = np.where(corners, high, low).astype(float)
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return vertices, faces


def moved(body, offset, size=1.0):
    return size * body[0] + np.asarray(offset, float), body[1]


def ragged(seed, n=12):
    """Boxes, pyramids and tetrahedra of unlike size that do not touch."""
    rng = np.random.default_rng(seed)
    cells = rng.permutation([(i, j, k) for i in range(3) for j in range(3) for k in range(3)])[:n]
    bodies = [box((0, 0, 0), (1, 1, 1)), PYRAMID, TETRAHEDRON]
    grains = [
        moved(bodies[i % 3], cell + 0.02 * rng.random(3), size=rng.uniform(0.4, 0.95))
        for i, cell in enumerate(cells)
    ]
    # A bar so long that the depth of its centroid does not tell what it covers.
    grains.append(box((-30, -1.4, 0.4), (6, -0.4, 0.9)))
    return physics.Microstructure(grains, depth=0.0)


def loop(switching, shape=(2, 2, 2), field=None, moment=0.95):
    """A made-up Hysteresis: the moments along z jump at `switching` (b, g) or (g,) tesla."""
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


@pytest.fixture
def batch():
    return loop(np.random.default_rng(3).uniform(-5, -3, (5, 8)))


def only_collection(ax):
    (collection,) = [c for c in ax.collections if isinstance(c, PolyCollection)]
    return collection


def test_loops_show_every_magnet_and_their_mean(batch):
    ax = plots.plot_loops(batch[1])
    curves = [line for line in ax.lines if len(line.get_xdata()) == len(batch[1].field)]
    assert len(curves) == 5 + 1
    np.testing.assert_allclose(
        curves[-1].get_ydata(), batch[1].magnetization_along_field.mean(axis=0)
    )
    assert "(T)" in ax.get_xlabel() and "M_" in ax.get_ylabel()
    assert ax.get_xlim() == (-8, 8)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["5 magnets", "mean"]


def test_loops_mark_the_coercivity_where_the_curve_crosses_zero(batch):
    coercivity = batch[1].coercivity()
    ax = plots.plot_loops(batch[1])
    (bar,) = ax.collections[0].get_segments()
    expected = -coercivity.mean() + np.array([-1, 1]) * coercivity.std(ddof=1)
    np.testing.assert_allclose(bar[:, 0], expected)
    (label,) = [text.get_text() for text in ax.texts]
    assert f"{coercivity.mean():.2f} ± {coercivity.std(ddof=1):.2f} T" in label


def test_loops_of_a_single_magnet_need_no_legend():
    _, hysteresis = loop(np.linspace(-4, -3, 8))
    ax = plots.plot_loops(hysteresis)
    assert ax.get_legend() is None
    (label,) = [text.get_text() for text in ax.texts]
    assert "±" not in label


@pytest.mark.parametrize("switching", [-20.0, 20.0])
def test_loops_without_a_coercivity_mark_none(switching):
    _, hysteresis = loop(np.full((2, 8), switching))
    assert not plots.plot_loops(hysteresis).texts


def test_loops_of_one_field_step_can_be_drawn():
    _, hysteresis = loop(np.full((2, 8), -1.0), field=[3.0])
    plots.plot_loops(hysteresis).figure.canvas.draw()


def test_magnet_has_one_polygon_per_face_turned_to_the_viewer():
    structure = physics.cubic_grains((3, 2, 2))
    ax = plots.plot_magnet(structure, np.tile([0, 0, 1.0], (12, 1)))
    assert len(only_collection(ax).get_paths()) == 3 * 12
    assert ax.get_aspect() == 1.0


def test_magnet_colors_follow_m_z_between_fixed_limits():
    structure = physics.cubic_grains((2, 1, 1))
    ax = plots.plot_magnet(structure, [[0, 0.6, 0.8], [0, 0.6, -0.8]])
    scale = ax.figure.axes[1]
    assert scale.get_ylim() == (-1, 1) and "m_z" in scale.get_title()
    red, _, blue = only_collection(ax).get_facecolors()[:, :3].T
    # Grain 1 lies to the right at +x and is nearer to the default viewer: it is painted last.
    assert (red > blue).tolist() == [True] * 3 + [False] * 3


def test_magnet_looks_the_same_at_any_length_scale():
    grains = [(1e-9 * v, f) for v, f in (moved(PYRAMID, (0, 0, 0)), moved(PYRAMID, (2, 1, 0)))]
    moments = [[0, 0, 1], [0, 0, -1]]
    paths = []
    for factor in (1.0, 1e9):
        structure = physics.Microstructure([(factor * v, f) for v, f in grains], depth=0.0)
        ax = plots.plot_magnet(structure, moments)
        paths.append(np.concatenate([p.vertices for p in only_collection(ax).get_paths()]))
    np.testing.assert_allclose(*paths, atol=1e-12)


def test_magnet_of_ragged_polyhedra_is_drawn_to_its_edges():
    structure = ragged(0)
    ax = plots.plot_magnet(structure, np.tile([0, 0, 1.0], (len(structure), 1)))
    corners = {len(path.vertices) - 1 for path in only_collection(ax).get_paths()}
    assert corners == {3, 4}


def test_magnet_refuses_moments_of_another_shape():
    with pytest.raises(ValueError, match=r"shape \(g, 3\) with g = 8; received \(3, 8\)"):
        plots.plot_magnet(physics.cubic_grains((2, 2, 2)), np.ones((3, 8)))


@pytest.mark.parametrize("seed", [0, 2])
@pytest.mark.parametrize("view", [(24.0, -58.0), (5.0, -100.0), (-30.0, 130.0), (0.0, 0.0)])
def test_painting_order_agrees_with_ray_casting(seed, view):
    structure = ragged(seed)
    camera = plots._camera(*view)
    place = np.argsort(plots._back_to_front(structure.grains, camera))
    rng = np.random.default_rng(seed)
    overlaps = 0
    for target in rng.uniform(-1.0, 3.0, (500, 3)):
        depths = {g: _highest(grain, target, camera[2]) for g, grain in enumerate(structure.grains)}
        hit = [g for g in depths if depths[g] is not None]
        if len(hit) > 1:
            overlaps += 1
            assert max(hit, key=lambda g: place[g]) == max(hit, key=depths.get)
    assert overlaps > 9


def _highest(grain, start, direction):
    """Largest s for which start + s direction lies in a convex grain, None if it never does."""
    low, high = -np.inf, np.inf
    for face, normal in zip(grain.faces, grain.normals, strict=True):
        gap = normal @ (grain.vertices[face[0]] - start)
        slope = normal @ direction
        if abs(slope) < 1e-12:
            if gap < 0:
                return None
        elif slope > 0:
            high = min(high, gap / slope)
        else:
            low = max(low, gap / slope)
    return high if low < high - 1e-9 else None


def test_grains_that_cover_each_other_in_a_ring_are_all_painted_once():
    bars = [box((0, -0.2, 1), (3, 0.8, 2)), box((2.2, 0, -0.2), (3.2, 3, 0.8))]
    bars.append(box((-0.2, 2.2, 0), (0.8, 3.2, 3)))
    grains = [physics.Polyhedron(*bar) for bar in bars]
    order = plots._back_to_front(grains, plots._camera(35.0, 45.0))
    assert sorted(order) == [0, 1, 2]


@pytest.mark.slow
def test_magnet_of_a_thousand_grains_is_drawn_in_seconds(tmp_path):
    structure = physics.cubic_grains((10, 10, 10))
    ax = plots.plot_magnet(structure, np.tile([0, 0, 1.0], (1000, 1)))
    plots.save_figure(ax.figure, tmp_path / "magnet.pdf")
    assert (tmp_path / "magnet.pdf").stat().st_size < 1_000_000


def test_reversal_shows_the_loop_and_four_states(batch):
    structure, hysteresis = batch
    figure = plots.plot_reversal(structure, hysteresis, magnet=2)
    loop_axes, *panels, scale = figure.axes
    assert "(T)" in loop_axes.get_xlabel() and "m_z" in scale.get_title()
    assert len(panels) == 4
    assert all(panel.get_title().endswith(" T") for panel in panels)
    curve, marks = loop_axes.lines[2], loop_axes.lines[3:]
    np.testing.assert_array_equal(curve.get_ydata(), hysteresis.magnetization_along_field[2])
    for mark in marks:
        (x,), (y,) = mark.get_data()
        assert y == hysteresis.magnetization_along_field[2][hysteresis.field == x].item()
    assert [text.get_text()[-3:-2] for text in loop_axes.texts] == list("abcd")


def test_reversal_draws_the_magnet_at_the_step_of_each_mark():
    structure, hysteresis = loop(np.array([-5.0] * 4 + [-3.0] * 4))
    figure = plots.plot_reversal(structure, hysteresis, fields=[-6.0, 0.0, -4.02])
    titles = [ax.get_title() for ax in figure.axes if ax.get_title().endswith(" T")]
    assert [title.split()[-2] for title in titles] == ["0.00", "−4.00", "−6.00"]
    reversed_faces = []
    for ax in figure.axes[1:4]:
        red, _, blue = only_collection(ax).get_facecolors()[:, :3].T
        reversed_faces.append(np.mean(blue > red))
    assert reversed_faces == [0.0, 0.5, 1.0]


def test_reversal_accepts_a_single_magnet_and_a_figure_of_the_callers(batch):
    structure, hysteresis = loop(np.linspace(-5, -3, 8))
    own = Figure(figsize=(5, 4), layout="constrained")
    assert plots.plot_reversal(structure, hysteresis, figure=own, fields=[0.0]) is own
    assert plots.plot_reversal(structure, hysteresis, figure=Figure(), fields=[0.0])


def test_reversal_of_a_loop_that_never_reverses():
    structure, hysteresis = loop(np.full(8, -20.0))
    plots.plot_reversal(structure, hysteresis).canvas.draw()


def test_reversal_refuses_what_is_not_in_the_loop(batch):
    with pytest.raises(ValueError, match="within the loop, -8 to 8 T; received 9"):
        plots.plot_reversal(*batch, fields=[0, 9])
    with pytest.raises(ValueError, match="`magnet` must be below 5; received 5"):
        plots.plot_reversal(*batch, magnet=5)
    with pytest.raises(ValueError, match="`fields` must name at most 26 fields"):
        plots.plot_reversal(*batch, fields=np.linspace(-8, 8, 30))


def test_figures_keep_the_callers_style(batch):
    before = dict(matplotlib.rcParams)
    plots.plot_reversal(*batch)
    plots.plot_loops(batch[1])
    assert dict(matplotlib.rcParams) == before


def test_labels_of_the_reversal_do_not_overlap(batch):
    figure = plots.plot_reversal(*batch)
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    boxes = [ax.title.get_window_extent(renderer) for ax in figure.axes if ax.get_title()]
    assert len(boxes) == 5
    for i, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[i + 1 :])
        assert one.x0 >= 0 and one.x1 <= figure.bbox.width


@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_saved_figures_are_at_print_resolution(batch, tmp_path, suffix, start):
    figure = plots.plot_loops(batch[1]).figure
    path = tmp_path / f"loops.{suffix}"
    plots.save_figure(figure, path)
    assert path.read_bytes().startswith(start)
    if suffix == "png":
        assert plt.imread(path).shape[1] == round(300 * plots.COLUMN)
    else:
        assert b"/Type3" not in path.read_bytes()


def test_a_loop_there_and_back_leaves_its_legend_inside():
    field = np.concatenate([np.linspace(8, -8, 81), np.linspace(-8, 8, 81)])
    structure, hysteresis = loop(np.full((2, 8), -4.0), field=field)
    magnetization = hysteresis.magnetization.copy()
    magnetization[:, 81:, :, 2] = np.where(field[81:, None] > 4.0, 0.95, -0.95)
    hysteresis = dataclasses.replace(hysteresis, magnetization=magnetization)
    ax = plots.plot_loops(hysteresis)
    figure = ax.figure
    figure.canvas.draw()
    legend = ax.get_legend().get_window_extent().transformed(ax.transData.inverted())
    assert -4 < legend.x0 and legend.x1 < 4
    assert plots.plot_reversal(structure, hysteresis)
