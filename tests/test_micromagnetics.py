"""The micromagnetic solver of the benchmarks.

quantity               agrees with
demagnetising tensor   the mean over a cell of the package's closed form; a plate's solid angle
demagnetising field    the sum over all pairs of cells
all internal fields    magnum.np, where it is installed
switching field        Stoner and Wohlfarth, for bodies below the exchange length
                       itself, with half the cells; alone, with a grain far away
                       public cubes by mumax3, where they are
"""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jax")  # whatever the backend of Keras

import jax

from benchmarks.micromagnetics import __main__ as command
from benchmarks.micromagnetics import cases, coupled, fit, public, solver
from benchmarks.micromagnetics.agreement import Agreement, agreement, switching_fields
from keras_micromag.physics import (
    MATERIALS,
    ND2FE14B,
    Material,
    contact_areas,
    cubic_grains,
    demag_tensor,
)

PUBLIC = Path(__file__).parents[2] / "shared/data/micromagnetics/cube50nm_angles_mindriver.csv"
EPS = float(np.finfo(jax.dtypes.canonicalize_dtype(float)).eps)


def vectors(shape, seed=0):
    """Return random unit vectors, (3, x, y, z)."""
    m = np.random.default_rng(seed).normal(size=(3, *shape))
    return m / np.linalg.norm(m, axis=0)


def magnet_of(shape, material=ND2FE14B, cell=2e-9, axis=(0.0, 0.0, 1.0), **kwargs):
    return solver.make_magnet(np.ones(shape, int), [axis], material, cell, **kwargs)


def as_matrix(components):
    """Return the six components as symmetric matrices."""
    return np.asarray(components)[[[0, 1, 2], [1, 3, 4], [2, 4, 5]]]


def axis_at(degrees, azimuth=20.0):
    (axis,) = cases.single(ND2FE14B, 1e-9, degrees, azimuth).easy_axes
    return axis


def test_a_cell_has_a_third_and_the_trace_is_that_of_a_delta():
    tensor = solver.newell((5, 4, 6))
    trace = tensor[0] + tensor[3] + tensor[5]
    np.testing.assert_allclose(as_matrix(tensor[:, 0, 0, 0]), np.eye(3) / 3, atol=1e-14)
    assert trace[0, 0, 0] == pytest.approx(1.0)
    trace[0, 0, 0] = 0.0
    np.testing.assert_allclose(trace, 0.0, atol=1e-12)


@pytest.mark.parametrize(
    "offset", [(2, 0, 0), (2, 1, 0), (1, 3, 2), (3, 2, 5), (24, 0, 0), (25, 0, 0), (20, 3, 17)]
)
def test_the_tensor_is_the_mean_of_the_field_of_a_cube_over_another(offset):
    tensor = as_matrix(solver.newell(np.add(offset, 1))[(slice(None), *offset)])
    nodes, weights = np.polynomial.legendre.leggauss(6)
    points = np.stack(np.meshgrid(nodes, nodes, nodes, indexing="ij"), axis=-1) / 2
    weights = np.einsum("i,j,k->ijk", weights, weights, weights).ravel() / 8
    cube = cubic_grains((1, 1, 1), size=1.0, depth=0.1).grains[0]
    at = points.reshape(-1, 3) + offset
    mean = np.tensordot(weights, demag_tensor(at, cube.vertices, cube.faces), 1)
    # A dipole is off by 1e-6 of the tensor at the distance where it begins.
    np.testing.assert_allclose(-tensor, mean, atol=2e-6 * np.abs(mean).max())


def test_the_field_in_the_middle_of_a_plate_is_that_of_its_solid_angle():
    a, c = 25, 5  # cells; an odd number, so that one lies in the middle
    field = solver.demagnetising_field(
        magnet_of((a, a, c)), np.eye(3)[2][:, None, None, None] * np.ones((a, a, c))
    )
    factor = 2 / np.pi * np.arctan(a**2 / (c * np.sqrt(2 * a**2 + c**2)))
    middle = np.asarray(field)[:, a // 2, a // 2, c // 2] / -ND2FE14B.Js
    # The mean of a harmonic function over a cube is its value at the centre to fourth order.
    np.testing.assert_allclose(middle, [0.0, 0.0, factor], atol=1e-5)


def test_the_field_by_fourier_transforms_is_the_sum_over_all_pairs():
    shape = (4, 3, 5)
    m, tensor = vectors(shape), as_matrix(solver.newell(shape))
    cells = np.array(list(np.ndindex(shape)))
    offset = cells[:, None] - cells
    sign = np.where(offset < 0, -1, 1)
    pairs = tensor[(slice(None), slice(None), *np.moveaxis(np.abs(offset), -1, 0))]
    pairs = np.einsum("ijab,abi,abj->ijab", pairs, sign, sign)
    expected = -ND2FE14B.Js * np.einsum("ijab,jb->ia", pairs, m.reshape(3, -1))
    field = solver.demagnetising_field(magnet_of(shape), m)
    np.testing.assert_allclose(np.asarray(field).reshape(3, -1), expected, atol=20 * EPS)


def test_exchange_is_that_of_a_spiral_and_ends_at_the_grain():
    weak = Material(Js=1e-6, Ku=1e-9, A=8e-12)  # exchange alone
    turn = 0.3
    angle = turn * np.arange(12)[:, None, None] * np.ones((12, 2, 2))
    m = np.stack([np.cos(angle), np.sin(angle), 0 * angle])
    field = np.asarray(solver.internal_field(magnet_of((12, 2, 2), weak), m))
    scale = 2 * weak.A / (weak.Ms * 2e-9**2)
    atol = 20 * EPS + 1e-12  # the other fields are so weak
    # In the middle, in the limit of small cells, 2A/Ms times −k² m.
    middle = field[:, 1:-1] / scale
    expected = -2 * (1 - np.cos(turn)) * m[:, 1:-1]
    np.testing.assert_allclose(middle, expected, atol=atol)
    np.testing.assert_allclose(field[:, 0] / scale, m[:, 1] - m[:, 0], atol=atol)


@pytest.mark.slow
@pytest.mark.parametrize("gap", [0, 1, 2])
def test_areal_exchange_acts_on_the_cells_that_face_each_other(gap):
    weak = Material(Js=1e-6, Ku=1e-9, A=1e-30)
    grain = np.repeat([1, 0, 2], [2, gap, 3])[:, None, None] * np.ones((1, 2, 2), int)
    m = np.where(grain == 1, np.eye(3)[0][:, None, None, None], np.eye(3)[1][:, None, None, None])
    m = m * (grain > 0)
    coupled = solver.make_magnet(grain, np.eye(3)[[0, 1]], weak, 2e-9, areal_exchange=1e-3, gap=gap)
    field = np.asarray(solver.internal_field(coupled, m)) / (1e-3 / (weak.Ms * 2e-9))
    expected = np.zeros_like(field)
    first, second = m[:, 0], m[:, -1]
    expected[:, 1], expected[:, 2 + gap] = second - first, first - second
    np.testing.assert_allclose(field, expected, atol=1e-5)


@pytest.mark.slow
def test_the_links_of_oblique_faces_have_the_energy_of_their_contact():
    case = next(cases.coupled_polycrystals(0))
    magnet, areas = case.magnet(), contact_areas(case.structure())
    grain, count = case.mesh(), np.zeros(areas.shape)
    for number, link in enumerate(magnet.links[3:]):
        cells, link = (np.moveaxis(np.asarray(a), number % 3, 0) for a in (grain, link))
        ends = cells[: len(link)][link > 0] - 1, cells[-len(link) :][link > 0] - 1
        np.add.at(count, (np.minimum(*ends), np.maximum(*ends)), link[link > 0])
    energy = count * case.material.Ms * case.cell**3
    # Contacts of a cell or so have no cells that face each other along an axis.
    linked = energy > 0
    np.testing.assert_allclose(energy[linked], (case.areal_exchange * areas)[linked], rtol=1e-5)
    assert energy.sum() == pytest.approx(case.areal_exchange * areas.sum() / 2, rel=2e-3)
    # Boxes are coupled face to face, over as many empty cells as the gap has.
    box = next(cases.coupled(0))
    for gap in (3e-9, 6e-9):
        links = replace(box, gap=gap).magnet().links[3:]
        largest = box.areal_exchange / (box.material.Ms * box.cell)
        assert len(links) == 3
        assert all(np.unique(np.round(link / largest, 5)).tolist() == [0, 1] for link in links)
        assert sum((np.asarray(link) > 0).sum() for link in links) == 12 * 100


def energy(magnet, m, field):
    """Return the energy per cell in units of Ms·T."""
    internal = np.asarray(solver.internal_field(magnet, m), "float64")
    total = (m * internal).sum() / 2 + field * (
        m * np.asarray(magnet.direction)[:, None, None, None]
    ).sum()
    return -total / m[0].size


@pytest.mark.slow
def test_the_energy_falls_to_a_minimum():
    shape, field = (6, 5, 7), -1.0
    magnet = magnet_of(shape, axis=axis_at(10.0))
    start = vectors(shape, seed=1)
    state = solver.relax(magnet, start, field, 1, np.zeros(1))
    m = np.asarray(state.m, "float64")
    np.testing.assert_allclose(np.linalg.norm(m, axis=0), 1.0, atol=4 * EPS)
    assert 0 < int(state.iterations) < 1000
    torque = np.linalg.norm(np.asarray(state.gradient), axis=0).max()
    assert torque <= solver.TORQUE * ND2FE14B.anisotropy_field
    least = energy(magnet, m, field)
    assert least < energy(magnet, start, field)
    for seed in range(5):
        nearby = m + 0.01 * vectors(shape, seed)
        assert least < energy(magnet, nearby / np.linalg.norm(nearby, axis=0), field)


def astroid(angle):
    return (np.cos(angle) ** (2 / 3) + np.sin(angle) ** (2 / 3)) ** -1.5


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [0.1, 20.0, 45.0])
def test_a_cube_below_the_exchange_length_is_a_stoner_wohlfarth_particle(degrees):
    # A cube has no shape anisotropy, and turns as one.
    magnet = magnet_of((3, 3, 3), cell=0.5e-9, axis=axis_at(degrees))
    scale = ND2FE14B.anisotropy_field
    curve = solver.demagnetise(magnet, 1e-3 * scale)
    assert curve.bracket[0] <= 1e-3 * scale
    expected = astroid(np.radians(degrees))
    assert -curve.switching[0] / scale == pytest.approx(expected, abs=1e-3)
    assert curve.coercivity() == pytest.approx(-curve.switching[0], abs=1e-3 * scale)


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [0.1, 45.0])
@pytest.mark.parametrize("shape", [(6, 6, 2), (2, 2, 6)])
def test_a_plate_and_a_needle_have_the_anisotropy_of_their_shape_too(shape, degrees):
    material = Material(Js=1.61, Ku=2e6, A=1e-9)  # stiff, so that it turns as one
    magnet = magnet_of(shape, material, axis=axis_at(degrees, azimuth=0.0))
    scale = material.anisotropy_field
    curve = solver.demagnetise(magnet, 1e-3 * scale)
    uniform = np.ones(shape) * np.eye(3)[:, :, None, None, None]
    across, _, along = (
        -np.asarray(solver.demagnetising_field(magnet, m)).mean(axis=(1, 2, 3))[i] / material.Js
        for i, m in enumerate(uniform)
    )
    # In the plane of easy axis and z, crystal and shape together are one uniaxial anisotropy.
    axis = np.array(axis_at(degrees, azimuth=0.0))[[0, 2]]
    shape_constant = material.Js**2 / (8e-7 * np.pi) * (across - along)
    constants = material.Ku * np.outer(axis, axis) + np.diag([0.0, shape_constant])
    (hard, easy), directions = np.linalg.eigh(constants)
    expected = 2 * (easy - hard) / material.Ms * astroid(np.arccos(abs(directions[1, 1])))
    assert -curve.switching[0] == pytest.approx(expected, abs=2e-3 * scale)


@pytest.mark.slow
def test_the_field_may_have_any_direction():
    rotated = [np.roll(axis_at(10.0), k) for k in range(3)]
    directions = [np.roll((0.0, 0.0, 1.0), k) for k in range(3)]
    fields = [
        solver.demagnetise(magnet_of((6, 6, 6), axis=-axis, direction=direction), 0.02).switching[0]
        for axis, direction in zip(rotated, directions, strict=True)
    ]
    np.testing.assert_allclose(fields, fields[0], atol=0.02)


@pytest.mark.slow
def test_two_grains_far_apart_switch_as_single_ones():
    # At six sizes the field of a cube is Js / (4π 6³) across, 0.6 mT, and twice that along.
    axes = [axis_at(2.0), axis_at(25.0)]
    grain = np.zeros((28, 4, 4), int)
    grain[:4], grain[-4:] = 1, 2
    tol = 1e-3 * ND2FE14B.anisotropy_field
    both = solver.demagnetise(solver.make_magnet(grain, axes, ND2FE14B, 3e-9), tol)
    alone = [
        solver.demagnetise(magnet_of((4, 4, 4), cell=3e-9, axis=axis), tol).switching[0]
        for axis in axes
    ]
    np.testing.assert_allclose(both.switching, alone, atol=tol + 2e-3)
    assert (both.bracket <= tol).all()
    assert len(both.field) == len(both.moment) and (np.diff(both.field) < 0).all()
    assert both.moment[0].min() > 0 > both.moment[-1].max()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Nd2Fe14B", "BaFe12O19"])
def test_half_the_cells_move_the_switching_field_by_less_than_the_bracket(name):
    material = MATERIALS[name]
    size = 12 * cases.nucleus(material)
    tol = 5e-4 * material.anisotropy_field
    coarse, fine = (
        solver.demagnetise(magnet_of((n, n, n), material, size / n, axis_at(5.0)), tol)
        for n in (8, 16)
    )
    assert coarse.switching[0] == pytest.approx(fine.switching[0], abs=2 * tol)


@pytest.mark.slow
def test_no_minimum_within_the_limit_is_an_error(monkeypatch):
    monkeypatch.setattr(solver, "ITERATIONS", 2)
    # A shape that no other test has, since the limit is compiled in.
    magnet = magnet_of((2, 3, 4), axis=axis_at(20.0))
    with pytest.raises(solver.NotConvergedError, match=r"no minimum within 2 iterations at"):
        solver.demagnetise(magnet, 0.01)


@pytest.mark.slow
def test_a_wall_that_the_cells_hold_is_swept_out():
    # Cells of five times δ: a layer turns on its own, and the next one stays.
    material = Material(Js=1.61, Ku=4.9e6, A=4e-13)
    magnet = magnet_of((4, 4, 12), material, cell=2e-9, axis=axis_at(1.0))
    curve = solver.demagnetise(magnet, 0.02)
    assert (curve.moment[-1] < -0.9).all() and -7.7 < curve.switching[0] < -5.0


@pytest.mark.slow
def test_fields_are_those_of_magnumnp():
    torch = pytest.importorskip("torch")
    before = torch.get_default_dtype()
    try:
        magnumnp = pytest.importorskip("magnumnp")
        shape, axis = (5, 4, 6), np.array(axis_at(30.0))
        m = vectors(shape)
        state = magnumnp.State(magnumnp.Mesh(shape, (2e-9,) * 3))
        material = {"Ms": ND2FE14B.Ms, "A": ND2FE14B.A, "Ku": ND2FE14B.Ku, "Ku_axis": list(axis)}
        state.material = material
        state.m = torch.as_tensor(np.moveaxis(m, 0, -1))
        terms = (magnumnp.DemagField, magnumnp.ExchangeField, magnumnp.UniaxialAnisotropyField)
        expected = 4e-7 * np.pi * sum(np.asarray(term().h(state)) for term in terms)
    finally:
        torch.set_default_dtype(before)
        torch.set_default_device("cpu")
    field = solver.internal_field(magnet_of(shape, axis=axis), m)
    # Some 30 T here; its far cells are dipoles from 20 cells on, which is beyond this magnet.
    np.testing.assert_allclose(np.moveaxis(field, 0, -1), expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(not PUBLIC.exists(), reason="the public simulations are not here")
def test_coercivities_are_those_of_public_cubes(capsys):
    ratios = public.compare(PUBLIC, 6)
    assert np.abs(ratios - 1).max() < 3e-3
    assert np.median(ratios) == pytest.approx(1.0, abs=1e-3)
    assert "median ratio" in capsys.readouterr().out


SMALL = Material(Js=0.48, Ku=0.33e6, A=60e-12, name="stiff")


def small(seed):
    yield cases.single(SMALL, 12e-9, 10.0, cell=4e-9)
    yield cases.many(SMALL, (2, 1, 1), 12e-9, 4e-9, (seed, 0), cell=4e-9, areal_exchange=1e-4)
    yield cases.many(SMALL, (2, 1, 1), 12e-9, 4e-9, (seed, 1), cell=4e-9)


@pytest.fixture
def family(tmp_path, monkeypatch):
    monkeypatch.setattr(cases, "DATA", tmp_path / "data")
    monkeypatch.setitem(cases.FAMILIES, "small", small)
    return cases.path("small")


@pytest.mark.slow
def test_a_run_can_be_cut_off_and_continued(family, capsys):
    command.main(["run", "small", "--count", "2"])
    before = family.read_text()
    assert before.count("\n") == 1 + 1 + 2
    command.main(["run", "small", "--verbose"])
    after = family.read_text()
    assert after.startswith(before) and after.count("\n") == 1 + 1 + 2 + 2
    capsys.readouterr()
    command.main(["run", "small"])
    assert family.read_text() == after and not capsys.readouterr().out


@pytest.mark.slow
def test_cases_are_read_as_they_were_written(family):
    cases.run("small")
    results = cases.read("small")
    for result, case in zip(results, small(0), strict=True):
        assert result.case.inputs() == case.inputs()
        assert result.case.material == case.material
        assert len(result.switching) == len(result.bracket) == len(case.easy_axes)
        scale = case.material.anisotropy_field
        # As written, in float32 and to eight digits.
        curve = case.solve()
        np.testing.assert_allclose(result.switching, curve.switching, atol=1e-5 * scale)
        assert result.coercivity == pytest.approx(curve.coercivity(), abs=1e-5 * scale)


@pytest.mark.parametrize("family", cases.FAMILIES)
def test_the_cells_of_a_family_fill_its_grains(family):
    case = next(cases.FAMILIES[family](0))
    grain, structure = case.mesh(), case.structure()
    assert len(structure) == len(case.easy_axes) == grain.max()
    volumes = np.bincount(grain.ravel())[1:] * case.cell**3
    np.testing.assert_allclose(volumes, structure.volumes, rtol=0.05)
    np.testing.assert_allclose(np.linalg.norm(case.easy_axes, axis=1), 1.0)


@pytest.mark.parametrize("file", sorted(cases.DATA.glob("*.csv")), ids=lambda file: file.stem)
def test_what_is_kept_describes_its_magnets(file):
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    results = cases.read(file.stem)
    again = [row for result in results for row in result.case.inputs()]
    centroid = [cases.INPUTS.index(f"{axis}_m") for axis in "xyz"]
    for row, made in zip(rows, again, strict=True):
        kept, made = np.array([row[name] for name in cases.INPUTS]), np.array(made)
        # Rounded to 1e-13 m.
        np.testing.assert_allclose(
            kept[centroid].astype(float), made[centroid].astype(float), rtol=0, atol=1.1e-13
        )
        assert np.delete(kept, centroid).tolist() == np.delete(made, centroid).tolist()
    for result in results:
        case, scale = result.case, result.case.material.anisotropy_field
        assert len(case.easy_axes) == np.prod(case.counts)
        assert (result.bracket <= 2.001e-3 * scale).all()
        assert (result.switching < 0).all() and (result.switching > -1.1 * scale).all()
        assert 0 < result.coercivity < 1.1 * scale


@pytest.mark.slow
def test_what_is_kept_can_be_computed_again():
    result = min(cases.read("cubes"), key=lambda result: result.case.size[0] / result.case.cell)
    again = result.case.solve()
    np.testing.assert_allclose(again.switching, result.switching, atol=2 * result.bracket.max())


@pytest.mark.slow
def test_calibrated_particles_reverse_at_the_fields_in_the_files():
    results = [r for r in cases.read("angles") if r.case.material.name == "Nd2Fe14B"]
    ours, paper = agreement(results, True), agreement(results, False)
    assert ours.r_squared > 0.999 > paper.r_squared
    np.testing.assert_allclose(ours.computed, ours.expected, rtol=0.01)
    np.testing.assert_allclose(ours.coercivity[:, 1], ours.coercivity[:, 0], rtol=0.01)
    eight = agreement([r for r in cases.read("eight") if r.case.material.name == "SmCo5"][:1], True)
    np.testing.assert_allclose(eight.computed, eight.expected, rtol=0.01)
    assert str(eight).split()[0] == "8"


@pytest.mark.slow
def test_the_depth_is_fitted_to_half_of_the_materials(capsys, monkeypatch):
    monkeypatch.setattr(fit, "FACTORS", np.array([2.0, 3.0]))
    command.main(["fit", "angles"])
    lines = capsys.readouterr().out.splitlines()[1:]
    rows = [line.split()[2:] for line in lines]  # of single grains
    assert [row[0] for row in rows] == ["first", "second"]
    for _, factor, rms, count, middle, high, bias, r_squared, coercivity in rows:
        assert factor == "3.0" and count == "14" and float(rms) < 1
        assert float(middle) < 0.3 and float(high) < 1.5 and abs(float(bias)) < 0.3
        assert float(r_squared) > 0.999 and float(coercivity) == pytest.approx(1, abs=0.005)


def test_halves_of_the_materials_and_errors():
    results = cases.read("random")[:4] + cases.read("angles")[:4]
    names = [result.case.material.name for result in results]
    assert names == ["", "", "", "", "Nd2Fe14B", "SmCo5", "Sm2Co17", "BaFe12O19"]
    expected = [True, False, True, False, True, False, False, True]
    np.testing.assert_array_equal(fit.first_half(results), expected)
    made = Agreement(np.array([-0.5, -0.6]), np.array([-0.51, -0.58]), np.array([[1.0, 1.02]]))
    np.testing.assert_allclose(made.errors, [-1.0, 2.0])
    assert fit.judgement(made).split() == ["2", "1.50", "1.95", "+0.50", "0.9000", "1.020"]
    assert fit.judgement(fit.joined([made, made])).split()[:2] == ["4", "1.50"]
    assert fit.root_mean_square([made, made]) == pytest.approx(np.sqrt(2.5))


@pytest.mark.slow
def test_the_depth_follows_the_factor():
    result = next(r for r in cases.read("cubes") if r.case.size[0] == 30e-9)
    material = result.case.material
    shallow, calibrated, deep = fit.scan(result, (2.5, 3.0, 3.5))
    assert calibrated.computed == agreement([result], True).computed
    # Beside a corner a particle reverses earlier than further in.
    assert shallow.computed > calibrated.computed > deep.computed
    depth = 2.5 * np.sqrt(material.exchange_length * material.wall_width)
    fields, _ = switching_fields(result.case, "nucleus", depth=depth)
    np.testing.assert_allclose(shallow.computed, fields / material.anisotropy_field, rtol=1e-5)


@pytest.mark.slow
def test_coupled_magnets_agree_where_exchange_acts_at_the_boundaries(capsys, monkeypatch):
    results = [r for r in cases.read("coupled") if r.case.material.name == "Nd2Fe14B"]
    results = [r for r in results if r.case.areal_exchange in (1e-3, 3e-3) and r.case.gap < 4e-9]
    boundary, spread, none = (
        np.median(coupled.errors(results, form).switching)
        for form in ("boundary", "spread", "none")
    )
    assert boundary < 1.5 < spread and boundary < 1.5 < none
    found = coupled.errors(results)
    assert np.abs(np.median(found.coercivity)) < 1.5
    monkeypatch.setattr(coupled, "read", lambda family: results[:4])
    monkeypatch.setattr(coupled, "CANDIDATES", [(0.1, 1.0, 0.9, 2.0), (0.0, 1.0, 0.2, 2.0)])
    figures = coupled.compare(["toy"])
    assert figures["toy_Nd2Fe14B_1_magnets"]["value"] == 2
    assert figures["toy_Nd2Fe14B_3_boundary_rms"]["unit"] == "%"
    coupled.fit(["toy"])
    printed = capsys.readouterr().out
    assert printed.count("best on the") == printed.count(": (0.1, 1.0, 0.9, 2.0)") == 2
