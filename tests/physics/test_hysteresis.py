"""Figures of merit, on loops whose values are known, and files."""

from dataclasses import replace

import numpy as np
import pytest

from keras_micromag.physics.hysteresis import Events, Hysteresis
from keras_micromag.physics.microstructure.material import MU0
from keras_micromag.physics.trust import Trust


def hysteresis(field, along, *, polarization=(1.6,), volumes=(1.0,), packing=1.0):
    """Moments of grains with the component `along` (..., t, g) along z, the rest along x."""
    along = np.asarray(along, float)
    moments = np.stack([np.sqrt(1 - along**2), 0 * along, along], axis=-1)
    axes = np.broadcast_to([0.0, 0.0, 1.0], (*along.shape[:-2], along.shape[-1], 3))
    return Hysteresis(
        field=np.asarray(field, float),
        magnetization=moments,
        easy_axes=axes,
        converged=np.ones(along.shape[:-1], bool),
        iterations=np.ones(along.shape[:-1], int),
        polarization=np.asarray(polarization, float),
        volumes=np.asarray(volumes, float),
        packing_fraction=packing,
        field_direction=np.array([0.0, 0.0, 1.0]),
    )


def test_coercivity_is_interpolated():
    loop = hysteresis([1.0, 0.0, -1.0, -2.0], [[1.0], [0.9], [0.3], [-0.6]])
    assert loop.coercivity() == pytest.approx(1.0 + 1 / 3)


def test_coercivity_is_positive_from_either_side():
    up = hysteresis([1.0, -1.0, -2.0], [[1.0], [0.5], [-1.0]])
    down = hysteresis([-1.0, 1.0, 2.0], [[-1.0], [-0.5], [1.0]])
    assert up.coercivity() == down.coercivity() > 0


def test_coercivity_of_the_first_branch_counts():
    there_and_back = hysteresis([1, -1, -2, 1, 3.0], [[1.0], [0.5], [-1.0], [-0.5], [1.0]])
    assert there_and_back.coercivity() == pytest.approx(4 / 3)


def test_figures_of_merit_that_are_not_reached_are_nan():
    loop = hysteresis([3.0, 2.0], [[1.0], [0.9]])
    for value in (loop.coercivity(), loop.remanence(), loop.energy_product()):
        assert np.isnan(value)
    assert np.isnan(loop.switching_fields).all()
    single = hysteresis([3.0], [[1.0]])
    assert np.isnan(single.coercivity()) and np.isnan(single.switching_fields).all()
    assert hysteresis([0.0], [[0.5]]).remanence() == pytest.approx(0.8)


def test_remanence_is_the_bodys_polarization():
    loop = hysteresis([1.0, -3.0], [[1.0], [0.6]], polarization=[1.6], packing=0.5)
    assert loop.remanence() == pytest.approx(0.9 * 1.6 * 0.5)


def test_the_mean_moment_weighs_polarization_and_volume():
    loop = hysteresis([0.0], [[1.0, -1.0]], polarization=[1.0, 0.5], volumes=[1.0, 4.0])
    assert loop.mean_magnetization[0, 2] == pytest.approx((1.0 - 2.0) / 3.0)
    assert loop.magnetization_along_field[0] == pytest.approx(-1 / 3)


@pytest.mark.parametrize("factor", [0.0, 1 / 3])
def test_energy_product_of_an_ideal_magnet(factor):
    # A square loop that holds out beyond half its polarisation: Br²/4µ0 whatever the shape.
    field = np.linspace(4.0, -4.0, 17)
    loop = hysteresis(field, np.ones((17, 1)), polarization=[1.6])
    assert loop.energy_product(factor) == pytest.approx(1.6**2 / (4 * MU0), rel=1e-12)


def test_energy_product_of_a_weak_magnet_ends_at_its_coercivity():
    loop = hysteresis([1.0, -0.2, -0.2 - 1e-9, -1.0], [[1.0], [1.0], [-1.0], [-1.0]])
    assert loop.energy_product() == pytest.approx((1.6 - 0.2) * 0.2 / MU0, rel=1e-6)


def test_energy_product_of_a_sample_in_the_applied_field():
    inside = np.linspace(1.0, -2.0, 301)
    moment = np.tanh(3 * (inside + 0.4))[:, None]
    closed = hysteresis(inside, moment)
    sample = hysteresis(inside + 0.3 * 1.6 * moment[:, 0], moment)
    assert sample.energy_product(0.3) == pytest.approx(closed.energy_product(), rel=1e-12)
    assert sample.energy_product() < 0.5 * closed.energy_product()


def test_energy_product_refuses_an_impossible_shape():
    loop = hysteresis([1.0, -1.0], [[1.0], [1.0]])
    with pytest.raises(ValueError, match=r"`demagnetizing_factor` must be at most 1; received 1.5"):
        loop.energy_product(1.5)
    with pytest.raises(ValueError, match=r"`demagnetizing_factor` must be at least 0"):
        loop.energy_product(-0.1)


def test_switching_fields_are_those_of_the_step():
    along = [[1.0, 1.0, 1.0], [0.9, -1.0, 0.8], [-0.9, -1.0, 0.7], [0.5, -1.0, 0.6]]
    loop = hysteresis([2.0, -1.0, -2.0, 3.0], along, polarization=[1.0] * 3, volumes=[1.0] * 3)
    np.testing.assert_array_equal(loop.switching_fields, [-2.0, -1.0, np.nan])


def asymmetric_loop(seed=0):
    """A batch of full loops, whose second branch is not the mirror image of the first."""
    rng = np.random.default_rng(seed)
    field = np.array([2.0, 0.3, -0.4, -1.1, -3.0, -0.2, 0.6, 1.7])
    first = np.sort(rng.uniform(-1, 1, (4, 5, 2)), axis=1)[:, ::-1]
    first[:, 0] = 0.98
    second = np.sort(rng.uniform(-1, 1, (4, 3, 2)), axis=1)
    along = np.concatenate([first, second], axis=1)
    return hysteresis(field, along, polarization=[1.6, 1.2], volumes=[1.0, 2.0], packing=0.9)


@pytest.mark.parametrize("steps", [5, 8], ids=["branch", "full loop"])
def test_an_ascending_loop_has_the_figures_of_its_mirror_image(steps):
    loops = asymmetric_loop()
    per_step = {name: getattr(loops, name)[:, :steps] for name in ("converged", "iterations")}
    down = replace(
        loops, field=loops.field[:steps], magnetization=loops.magnetization[:, :steps], **per_step
    )
    up = replace(down, field=-down.field, magnetization=-down.magnetization)
    for merit in ("coercivity", "remanence", "energy_product"):
        values = getattr(down, merit)()
        assert (values > 0).any(), merit
        np.testing.assert_array_equal(getattr(up, merit)(), values, err_msg=merit)
        np.testing.assert_array_equal(getattr(up[2], merit)(), values[2], err_msg=merit)
    np.testing.assert_array_equal(up.energy_product(0.3), down.energy_product(0.3))
    # Fields stay those of the axis.
    np.testing.assert_array_equal(up.switching_fields, -down.switching_fields)


def test_figures_of_an_ascending_square_loop():
    field = np.linspace(-4.0, 4.0, 17)
    loop = hysteresis(field, np.where(field < 2, -1.0, 1.0)[:, None], polarization=[1.6])
    assert loop.coercivity() == pytest.approx(1.75)
    assert loop.remanence() == pytest.approx(1.6)
    assert loop.energy_product() == pytest.approx(1.6**2 / (4 * MU0), rel=1e-12)


def test_magnets_of_both_directions_share_a_batch():
    along = np.array([[[1.0], [0.6], [-0.8]], [[-1.0], [-0.5], [-0.9]]])
    remanence = hysteresis([2.0, 0.0, -2.0], along).remanence()
    np.testing.assert_allclose(remanence, [0.6 * 1.6, 0.5 * 1.6])


def test_an_index_selects_magnets():
    loops = asymmetric_loop()
    for index in (1, np.int64(-1), slice(1, 3), [0, 2], np.array([True, False, True, False])):
        some = loops[index]
        for name in ("magnetization", "easy_axes", "converged", "iterations"):
            np.testing.assert_array_equal(getattr(some, name), getattr(loops, name)[index])
        assert some.field is loops.field
    assert [len(loop.field) for loop in loops] == [8] * 4
    with pytest.raises(IndexError, match="index 4 is out of bounds"):
        loops[4]


@pytest.mark.parametrize("index", [0, slice(30), np.arange(2), (slice(None), 0)])
def test_a_single_magnet_has_no_index(index):
    loop = hysteresis(np.linspace(1, -1, 60), np.ones((60, 1)))
    sentence = r"selects magnets of a batch; received one magnet, \(60, 1, 3\)"
    with pytest.raises(ValueError, match=sentence):
        loop[index]


@pytest.mark.parametrize("index", [(0, slice(3)), (slice(None), slice(3)), None, [[0, 1]], True])
def test_an_index_selects_nothing_but_magnets(index):
    with pytest.raises(ValueError, match="Loops must be indexed by magnets alone, as loops"):
        asymmetric_loop()[index]


@pytest.mark.parametrize(
    ("name", "value", "shapes"),
    [
        ("field", np.zeros(3), r"\(2,\)"),
        ("easy_axes", np.zeros((3, 3)), r"\(1, 3\)"),
        ("converged", np.ones(3, bool), r"\(2,\)"),
        ("iterations", np.ones((1, 2), int), r"\(2,\)"),
        ("polarization", np.ones(2), r"\(1,\)"),
        ("volumes", np.ones(()), r"\(1,\)"),
        ("packing_fraction", np.ones(1), r"\(\)"),
        ("field_direction", np.ones(2), r"\(3,\)"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(name, value, shapes):
    loop = hysteresis([1.0, -1.0], [[1.0], [-1.0]])
    sentence = rf"`{name}` must have shape {shapes}, since that of `magnetization` is \(2, 1, 3\)"
    with pytest.raises(ValueError, match=sentence):
        replace(loop, **{name: value})
    with pytest.raises(ValueError, match=r"`magnetization` must have shape \(t, g, 3\) or"):
        replace(loop, magnetization=np.ones((2, 1)))


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("field", ["up", "down"], "`field` must be an array of numbers"),
        ("field", [1.0, np.nan], r"`field` must be finite; received nan at index \(1,\)"),
        ("magnetization", np.full((2, 1, 3), np.inf), "`magnetization` must be finite"),
        ("volumes", [0.0], "`polarization` and `volumes` must be positive for a grain"),
        ("events", 3, "`events` must be a Events"),
        ("trust", 3, "`trust` must be a Trust"),
        ("trust", Trust([1.0], ["", ""][:1]), r"`trust` must have shape \(\); received \(1,\)"),
    ],
)
def test_values_that_are_none_are_refused(name, value, sentence):
    with pytest.raises(ValueError, match=sentence):
        replace(hysteresis([1.0, -1.0], [[1.0], [-1.0]]), **{name: value})


def test_events_of_other_loops_are_refused():
    loop = hysteresis([1.0, -1.0], [[1.0], [-1.0]])
    one = {name: np.zeros(1, int) for name in ("magnet", "grain", "avalanche", "step")}
    one |= {"field": np.zeros(1), "moment": np.zeros((1, 2)), "crossing": np.zeros(1)}
    assert len(replace(loop, events=Events(**one)).events) == 1
    for name, value, sentence in (
        ("grain", [1], r"`events\.grain` must be at least 0 and below 1"),
        (
            "grain",
            [0.5],
            r"`events\.grain` must hold whole numbers of shape \(1,\); received float",
        ),
        ("field", [0.0, 1.0], r"`events\.field` must hold numbers of shape \(1,\); received float"),
        ("crossing", np.zeros(2), r"`events\.crossing` must have shape \(1,\); received \(2,\)"),
    ):
        with pytest.raises(ValueError, match=sentence):
            replace(loop, events=Events(**one | {name: value}))


def test_a_file_whose_arrays_do_not_fit_together_is_refused(tmp_path):
    loop = hysteresis([1.0, -1.0], [[1.0], [-1.0]])
    stored = {name: value for name, value in vars(loop).items() if name not in ("events", "trust")}
    np.savez(tmp_path / "loop.npz", **(stored | {"field": np.zeros(60)}))
    with pytest.raises(ValueError, match=r"`field` must have shape \(2,\), .*received \(60,\)"):
        Hysteresis.load(tmp_path / "loop.npz")


def test_batches_give_one_value_each():
    along = np.array([[[1.0], [0.5], [-1.0]], [[1.0], [-0.5], [-1.0]]])
    loops = hysteresis([1.0, -1.0, -2.0], along)
    first = hysteresis([1.0, -1.0, -2.0], along[0])
    for name in ("coercivity", "remanence", "energy_product"):
        values = getattr(loops, name)()
        assert values.shape == (2,)
        assert values[0] == getattr(first, name)()
    assert loops.switching_fields.shape == (2, 1)


def test_a_file_gives_back_the_loop(tmp_path):
    loop = hysteresis([1.0, -1.0], [[1.0, 0.5], [-1.0, -0.5]], polarization=[1, 2], volumes=[3, 4])
    loop.save(tmp_path / "loop.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["loop.npz"]
    back = Hysteresis.load(tmp_path / "loop.npz")
    for name, value in vars(loop).items():
        np.testing.assert_array_equal(getattr(back, name), value)
    assert back.coercivity() == loop.coercivity()
    # Nothing in it needs pickle.
    with np.load(tmp_path / "loop.npz", allow_pickle=False) as stored:
        assert set(stored) == set(vars(loop)) - {"events", "trust"}


def test_a_failed_save_leaves_nothing(tmp_path, monkeypatch):
    loop = hysteresis([1.0, -1.0], [[1.0], [-1.0]])

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space left"):
        loop.save(tmp_path / "loop.npz")
    assert not list(tmp_path.iterdir())


def test_a_signalling_nan_in_a_file_is_one_like_any_other(tmp_path):
    hysteresis([1.0, 0.0, -1.0], [[1.0], [0.9], [-0.3]]).save(tmp_path / "loop.npz")
    with np.load(tmp_path / "loop.npz") as file:
        arrays = dict(file)
    moments = arrays["magnetization"].astype("float32")
    moments.view("int32")[2] = 0x7F800001
    np.savez(tmp_path / "loop.npz", **{**arrays, "magnetization": moments})
    loaded = Hysteresis.load(tmp_path / "loop.npz")
    assert np.isnan(loaded.mean_magnetization).tolist() == [[False] * 3] * 2 + [[True] * 3]


def test_other_files_are_refused(tmp_path):
    loop = hysteresis([1.0, -1.0], [[1.0], [-1.0]])
    loop.save(tmp_path / "loop.npz")
    saved = (tmp_path / "loop.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(saved[: len(saved) // 2])
    (tmp_path / "text.npz").write_text("not a loop")
    np.savez(tmp_path / "other.npz", field=np.zeros(3))
    for name in ("cut", "text", "other"):
        with pytest.raises(ValueError, match=rf"`path` must be a file .*{name}\.npz"):
            Hysteresis.load(tmp_path / f"{name}.npz")
    with pytest.raises(FileNotFoundError):
        Hysteresis.load(tmp_path / "none.npz")


@pytest.mark.slow
def test_xarray_names_the_axes():
    pytest.importorskip("xarray")
    loops = hysteresis([1.0, -1.0], np.ones((2, 2, 1)))
    data = loops.to_xarray()
    assert data.magnetization.dims == ("magnet", "step", "grain", "component")
    assert data.field.attrs["units"] == "T"
    np.testing.assert_array_equal(data.magnetization.sel(component="z")[0, :, 0], [1.0, 1.0])
    single = hysteresis([1.0, -1.0], np.ones((2, 1))).to_xarray()
    assert single.magnetization.dims == ("step", "grain", "component")
    differing = hysteresis([1.0, -1.0], np.ones((2, 2, 1)), polarization=[[1.0], [2.0]]).to_xarray()
    assert differing.polarization.dims == ("magnet", "grain")


def test_xarray_has_the_events():
    pytest.importorskip("xarray")
    events = Events(
        magnet=np.array([0, 1, 1]),
        grain=np.array([0, 1, 0]),
        field=np.array([-0.2, -0.1, -0.3]),
        avalanche=np.array([0, 0, 1]),
        step=np.array([1, 1, 1]),
        moment=np.array([[1.0, -1.0], [1.0, 0.1], [0.1, -1.0]]),
        crossing=np.array([-0.2, -0.3]),
    )

    def data_of(along, events):
        loop = hysteresis([1.0, -1.0], along, polarization=[1, 1], volumes=[1, 1])
        return replace(loop, events=events).to_xarray()

    data = data_of(np.ones((2, 2, 2)), events)
    for name, value in vars(events).items():
        np.testing.assert_array_equal(data[f"events.{name}"], value)
    assert data["events.field"].dims == ("flip",) and data["events.field"].attrs["units"] == "T"
    after = data["events.moment"].sel(side="after")
    np.testing.assert_array_equal(after, [-1.0, 0.1, -1.0])
    assert data["events.crossing"].dims == ("magnet",)
    one = data_of(np.ones((2, 2)), events.of(1))
    assert one["events.crossing"].dims == () and one["events.crossing"] == -0.3
    assert one["events.grain"].values.tolist() == [1, 0]
    assert "side" not in data_of(np.ones((2, 2)), None).coords


def test_magnets_of_unlike_grains_share_a_batch(tmp_path):
    first = hysteresis(
        [1.0, -1.0],
        [[1.0, 0.5], [-1.0, 0.5]],
        polarization=[1.6, 1.6],
        volumes=[1.0, 3.0],
        packing=0.9,
    )
    second = hysteresis([1.0, -1.0], [[0.8], [-0.6]], volumes=[2.0], packing=0.8)
    both = hysteresis(
        [1.0, -1.0],
        [[[1.0, 0.5], [-1.0, 0.5]], [[0.8, 0.0], [-0.6, 0.0]]],
        volumes=[[1.0, 3.0], [2.0, 0.0]],
        packing=np.array([0.9, 0.8]),
        polarization=[1.6, 1.6],
    )
    for name in ("remanence", "coercivity", "energy_product"):
        each = [getattr(loop, name)() for loop in (first, second)]
        np.testing.assert_allclose(getattr(both, name)(), each, rtol=1e-12)
        np.testing.assert_allclose(getattr(both[1:], name)(), each[1:], rtol=1e-12)
    both.save(tmp_path / "loops.npz")
    np.testing.assert_array_equal(Hysteresis.load(tmp_path / "loops.npz").volumes, both.volumes)
    assert both.to_xarray()["volumes"].dims == ("magnet", "grain")
    assert both.to_xarray()["packing_fraction"].dims == ("magnet",)
