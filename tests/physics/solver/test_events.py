"""Loops by events.

| who                                   | must agree with whom                | to            |
| ------------------------------------- | ----------------------------------- | ------------- |
| fields and grains of all avalanches   | Algorithm 1 literally, 1 µT (100 µT | every state   |
|                                       | in float32, 30 µT in the own field) |               |
|                                       | before and after each               |               |
| states at the fields asked for,       | the same, along these fields too    | 1e-6, 5e-5    |
| also where the field turns or repeats |                                     |               |
| states at 400 fields, interpolated    | the same                            | 1e-6, 5e-5    |
| coercivity                            | the sign of M 2 µT before and after | every magnet  |
|                                       | (50 µT in float32 or the own field) |               |
| loops that turn or end a few µT       | steps                               | 1e-6, 5e-5    |
| before and behind an avalanche        |                                     |               |
| a batch, padded or not                | its magnets alone                   | flips; 1e-5 T |
| lattice and hierarchical operators    | dense                               | flips; 1e-3 T |
"""

from dataclasses import fields

import numpy as np
import pytest

from keras_micromag.physics import (
    ND2FE14B,
    ConvergenceError,
    Hysteresis,
    cubic_grains,
    demag_matrix,
    demag_operator,
    random_easy_axes,
    simulate,
    voronoi_grains,
)
from keras_micromag.physics.microstructure.particles import PAPER_DEPTH
from keras_micromag.physics.solver import by_events
from keras_micromag.physics.solver.events import continuation
from keras_micromag.physics.solver.events.equilibrate import Equilibrator
from keras_micromag.physics.solver.events.log import Segments
from keras_micromag.utils import memory
from tests import oracles

MINOR = np.array([8.0, 2.0, -3.0, -3.3, -3.3, -3.3, -2.0, 3.0, 0.0, -3.5, -3.9, 6.0, 8.0])
LOOP = np.array([8.0, 1.0, -2.5, -3.2, -3.4, -3.6, -3.8, -4.5, -8.0])
MAGNETS = {
    "cubes": cubic_grains((3, 2, 2)),
    "polycrystal": voronoi_grains(7, (150e-9, 100e-9, 100e-9), seed=1, gap=3e-9),
}
SHALLOW = {
    "cubes": cubic_grains((3, 2, 2), depth=PAPER_DEPTH),
    "polycrystal": voronoi_grains(7, (150e-9, 100e-9, 100e-9), seed=1, gap=3e-9, depth=PAPER_DEPTH),
}
"""The same as in the paper, without an own field."""
CLOSE = {"float32": 5e-5, "float64": 1e-6}
"""Tolerance of a moment's component."""


def expected(structure, axes, loop, resolution):
    """Return fields at which loops are compared, and the branches of the grains there.

    Returns:
        Fields (k,): those asked for, and one before and one after each avalanche; sides (k, g) ±1;
        and (k,) the index of each among the fields asked for, or -1.
    """
    segments, events = Segments.along(loop.field), loop.events
    lengths = segments.field_path_length

    def length_at(root, step):
        # On the segment that leads to the field at `step`, the first one not before the root.
        before = np.searchsorted(segments.start_path_length, lengths[step], side="left")
        segment = max(int(before) - 1, 0)
        return segments.path_length(segment, root), segments.direction[segment]

    rows = []
    for first in np.unique(events.avalanche, return_index=True)[1]:
        root = events.field[first]
        length, direction = length_at(root, events.step[first])
        if length < 2 * resolution:
            continue  # at the first field: nothing is before
        rows += [(length - resolution, root - direction * resolution, -1)]
        rows += [(length + resolution, root + direction * resolution, -1)]
    rows += [(*row, i) for i, row in enumerate(zip(lengths, loop.field, strict=True))]
    rows.sort(key=lambda row: (row[0], row[2]))
    all_lengths, field, asked = (np.array(part) for part in zip(*rows, strict=True))
    side = np.where(axes[:, 2] >= 0, 1, -1)
    event_lengths = np.array(
        [length_at(root, step)[0] for step, root in zip(events.step, events.field, strict=True)]
    )
    sides = []
    for length in all_lengths:
        flips = np.bincount(events.grain[event_lengths <= length + 1e-9], minlength=len(axes))
        sides.append(side * (1 - 2 * (flips % 2)))
    return field, np.array(sides), asked


def literal(structure, axes, field, self_field):
    """Return (t, g, 3) the moments of Algorithm 1, the weakest grain first."""
    states, _ = oracles.simulate_literal(
        demag_matrix(structure, self_field=self_field),
        structure.weights,
        axes,
        field,
        polarization=ND2FE14B.Js,
        anisotropy_field=ND2FE14B.anisotropy_field,
        avalanche="weakest_first",
        tol=1e-8,
        max_iterations=20_000,
        share=0.3 if self_field else 1.0,
    )
    return states


@pytest.mark.slow
@pytest.mark.parametrize("self_field", [False, "nucleus"])
@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("cubes", LOOP),
        ("cubes", MINOR),
        ("polycrystal", LOOP),
        pytest.param("polycrystal", MINOR, marks=pytest.mark.contract),
    ],
    ids=["cubes", "minor loops of cubes", "polycrystal", "minor loops of a polycrystal"],
)
def test_avalanches_begin_where_the_literal_algorithm_has_them(dtype, kind, field, self_field):
    structure = (MAGNETS if self_field else SHALLOW)[kind]
    axes = random_easy_axes(len(structure), seed=3)
    options = {"self_field": self_field, "dtype": dtype, "progress": False}
    loop = simulate(structure, axes, field=field, method="events", **options)
    assert loop.converged.all() and len(loop.events) >= 6
    resolution = 1e-4 if dtype == "float32" else 3e-5 if self_field else 1e-6
    along, sides, asked = expected(structure, axes, loop, resolution)
    states = literal(structure, axes, along, self_field)
    np.testing.assert_array_equal(np.where((states * axes).sum(axis=2) >= 0, 1, -1), sides)
    np.testing.assert_allclose(loop.magnetization, states[asked >= 0], atol=CLOSE[dtype])


@pytest.mark.slow
def test_states_between_avalanches_are_interpolated(dtype):
    structure, field = SHALLOW["cubes"], np.linspace(8.0, -8.0, 400)
    axes = random_easy_axes(len(structure), seed=3)
    options = {"self_field": False, "dtype": dtype, "progress": False}
    loop = simulate(structure, axes, field=field, method="events", **options)
    assert (loop.iterations == 0).mean() > 0.5
    states = literal(structure, axes, field, False)
    np.testing.assert_allclose(loop.magnetization, states, atol=CLOSE[dtype])


@pytest.mark.slow
@pytest.mark.parametrize("self_field", [False, "nucleus"])
def test_coercivity_is_where_the_moment_changes_sign(dtype, self_field):
    structure = (MAGNETS if self_field else SHALLOW)["cubes"]
    off = 2e-6 if dtype == "float64" and not self_field else 5e-5
    options = {"self_field": self_field, "dtype": dtype, "progress": False}
    kwargs = {"method": "events", **options}
    axes = random_easy_axes((4, len(structure)), seed=5)
    few = simulate(structure, axes, field=[8.0, -8.0], **kwargs)
    many = simulate(structure, axes, field=np.linspace(8, -8, 100), **kwargs)
    np.testing.assert_allclose(few.coercivity(), many.coercivity(), atol=off)
    for axis, value in zip(axes, few.coercivity(), strict=True):
        about = np.array([8.0, -value + off, -value - off])
        # By steps, which use nothing between the fields.
        loop = simulate(structure, axis, field=about, avalanche="weakest_first", **options)
        before, after = loop.magnetization_along_field[1:]
        assert before > 0 > after


@pytest.mark.parametrize("angle", [50.0, 60.0, 80.0])
def test_coercivity_without_an_avalanche(dtype, angle):
    # A grain tilted by more than 45° turns through the plane across the field: Hc = ½ sin 2ψ · H_K.
    tilt = np.radians(angle)
    loop = simulate(
        cubic_grains((1, 1, 1)),
        [[np.sin(tilt), 0.0, np.cos(tilt)]],
        field=[9.0, -9.0],
        self_field=False,
        method="events",
        dtype=dtype,
        progress=False,
    )
    expected = 0.5 * np.sin(2 * tilt) * ND2FE14B.anisotropy_field
    off = {"float32": 1e-5, "float64": 1e-6}[dtype]
    assert loop.coercivity() == pytest.approx(expected, abs=off)


@pytest.mark.parametrize("field", [[0.0], [1.0, 0.0, -1.0]], ids=["one field", "three"])
def test_coercivity_of_a_moment_that_vanishes_at_a_field_asked_for(field):
    # An easy axis across the field has no moment along it in zero field.
    loop = simulate(
        cubic_grains((1, 1, 1)), [[1.0, 0.0, 0.0]], field=field, method="events", progress=False
    )
    # The search ends where the moment is below `tol`, 1e-5, and the anisotropy field is 7.7 T.
    assert loop.coercivity() == pytest.approx(0.0, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("self_field", [False, "nucleus"])
def test_a_loop_that_turns_beside_an_avalanche(dtype, self_field):
    structure = cubic_grains((2, 1, 1), depth="calibrated" if self_field else PAPER_DEPTH)
    kwargs = {"self_field": self_field, "dtype": dtype, "progress": False}
    # From the accuracy of a root to the range of fields in which the search for it goes on.
    near = {"float32": (5e-6, 5e-5, 2e-4), "float64": (5e-7, 4e-6, 2e-5)}[dtype]
    if self_field:
        near = (3e-5, 2e-4)
    # In float32 the fields at which the last two of these turn are rounded to beyond them.
    for seed in (1, 4, 5):
        axes = random_easy_axes(2, seed=seed)
        events = simulate(structure, axes, field=[8.0, -8.0], method="events", **kwargs).events
        for off in (sign * value for value in near for sign in (1, -1)):
            turn = events.field[0] + off
            field = [8.0, *(turn + np.geomspace(0.3, 1e-3, 12)), turn, 0.0, 1.0]
            loop = simulate(structure, axes, field=field, method="events", **kwargs)
            steps = simulate(structure, axes, field=field, avalanche="weakest_first", **kwargs)
            np.testing.assert_allclose(loop.magnetization, steps.magnetization, atol=CLOSE[dtype])
            np.testing.assert_array_equal(loop.events.grain, events.grain[: int(off < 0)])
            assert (loop.events.step == field.index(turn)).all()
            ends_there = simulate(structure, axes, field=field[:-2], method="events", **kwargs)
            assert len(ends_there.events) == int(off < 0)
            assert np.isnan(ends_there.coercivity()) == (off > 0)


@pytest.mark.slow
def test_avalanches_that_follow_one_another_closely():
    # In a large magnet; the field must not be carried past the next one, as where there is no end.
    structure = cubic_grains((6, 6, 6), scheme=("vertices",))
    axes = random_easy_axes(len(structure), seed=1)
    loop = simulate(structure, axes, field=[8.0, -8.0], method="events", progress=False)
    assert (loop.events.sizes > 0).sum() > 40
    assert loop.iterations.sum() < 3500
    by_steps = simulate(structure, axes, field=np.linspace(8.0, -8.0, 1601), progress=False)
    assert loop.coercivity() == pytest.approx(by_steps.coercivity(), abs=0.02)


@pytest.mark.slow
@pytest.mark.backend
def test_a_batch_is_its_magnets():
    structure = SHALLOW["polycrystal"]
    axes = random_easy_axes((3, len(structure)), seed=4)
    options = {"field": LOOP, "self_field": False, "method": "events", "progress": False}
    batch = simulate(structure, axes, **options)
    assert (np.diff(batch.events.magnet) >= 0).all()
    for i, own in enumerate(axes):
        alone = simulate(structure, own, **options)
        part = batch[i]
        np.testing.assert_array_equal(part.events.grain, alone.events.grain)
        np.testing.assert_array_equal(part.events.sizes, alone.events.sizes)
        np.testing.assert_allclose(part.events.field, alone.events.field, atol=1e-5)
        np.testing.assert_allclose(part.coercivity(), alone.coercivity(), atol=1e-5)
        np.testing.assert_allclose(part.switching_fields, alone.switching_fields, atol=1e-5)
        np.testing.assert_allclose(part.magnetization, alone.magnetization, atol=5e-5)
    assert batch.switching_fields.shape == (3, 7) and batch.coercivity().shape == (3,)
    # Magnets of an index are numbered anew, in its order.
    picked = batch[[2, 0]].events
    np.testing.assert_array_equal(picked.grain[picked.magnet == 1], batch[0].events.grain)
    np.testing.assert_array_equal(picked.crossing, batch.events.crossing[[2, 0]])


@pytest.mark.slow
def test_events_agree_with_the_states():
    structure = MAGNETS["cubes"]
    axes = random_easy_axes(len(structure), seed=6)
    field = np.linspace(8, -8, 400)
    loop = simulate(structure, axes, field=field, method="events", progress=False)
    events = loop.events
    assert events.sizes.sum() == len(events) and (events.sizes >= 1).all()
    # On a falling field they come one after another, each just before its step.
    assert (np.diff(events.field) <= 0).all()
    assert (loop.field[events.step] <= events.field).all()
    assert (loop.field[events.step - 1] > events.field).all()
    assert (events.moment[:, 1] < events.moment[:, 0]).all()
    step = simulate(structure, axes, field=field, avalanche="weakest_first", progress=False)
    assert np.abs(step.switching_fields - loop.switching_fields).max() <= 16 / 399
    assert np.isfinite(loop.iterations).all() and loop.iterations.sum() > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    ["lattice", pytest.param("hierarchical", marks=[pytest.mark.backend, pytest.mark.integration])],
)
def test_other_operators_have_the_same_events(kind):
    structure = cubic_grains((4, 3, 2))
    axes = random_easy_axes(24, seed=2)
    exact, other = (
        simulate(
            structure,
            axes,
            field=[8.0, -3.7, -8.0],
            method="events",
            operator=demag_operator(structure, operator, rtol=1e-5),
            progress=False,
        )
        for operator in ("dense", kind)
    )
    np.testing.assert_array_equal(exact.events.grain, other.events.grain)
    np.testing.assert_allclose(exact.events.field, other.events.field, atol=1e-3)
    np.testing.assert_allclose(exact.magnetization, other.magnetization, atol=1e-3)


@pytest.mark.slow
def test_a_magnet_without_an_event():
    structure = MAGNETS["cubes"]
    axes = random_easy_axes(len(structure), seed=1)
    for field in ([8.0, 5.0, 6.0], [8.0], [8.0, 8.0]):
        loop = simulate(structure, axes, field=field, method="events", progress=False)
        steps = simulate(structure, axes, field=field, progress=False)
        assert len(loop.events) == 0 and loop.events.sizes.shape == (0,)
        assert np.isnan(loop.coercivity()) and np.isnan(loop.switching_fields).all()
        np.testing.assert_allclose(loop.magnetization, steps.magnetization, atol=5e-5)


def test_grains_that_are_unstable_at_the_first_field():
    structure = MAGNETS["cubes"]
    axes = random_easy_axes(len(structure), seed=1)
    field = [-8.0, -7.0]
    loop = simulate(
        structure, axes, field=field, initial_state=axes, method="events", progress=False
    )
    assert set(loop.events.grain) == set(range(12))
    assert (loop.events.field == -8.0).all() and (loop.events.step == 0).all()
    assert ((loop.magnetization * axes).sum(axis=2) < 0).all()


def test_equal_grains_in_equal_places_flip_one_after_the_other():
    structure = cubic_grains((2, 1, 1), gap=500e-9)
    axes = np.tile(random_easy_axes(1, seed=1), (2, 1))
    loop = simulate(structure, axes, field=[8.0, -8.0], method="events", progress=False)
    assert sorted(loop.events.grain) == [0, 1]
    first, second = loop.events.field
    assert 0 <= first - second < 1e-3


@pytest.mark.slow
@pytest.mark.contract
def test_flips_all_unstable_grains_of_a_pass_if_asked_to():
    structure = MAGNETS["cubes"]
    axes = random_easy_axes(len(structure), seed=3)
    loop = simulate(
        structure, axes, field=LOOP, method="events", avalanche="simultaneous", progress=False
    )
    assert set(loop.events.grain) == set(range(12))


@pytest.mark.slow
def test_events_survive_a_file(tmp_path):
    structure = MAGNETS["cubes"]
    axes = random_easy_axes((2, len(structure)), seed=3)
    loop = simulate(structure, axes, field=LOOP, method="events", progress=False)
    loop.save(tmp_path / "loop.npz")
    back = Hysteresis.load(tmp_path / "loop.npz")
    for field in fields(loop.events):
        np.testing.assert_array_equal(
            getattr(back.events, field.name), getattr(loop.events, field.name)
        )
    np.testing.assert_array_equal(back.coercivity(), loop.coercivity())


def test_fields_asked_for_at_an_avalanche(dtype):
    structure = MAGNETS["cubes"]
    axes = random_easy_axes(len(structure), seed=3)
    kwargs = {"method": "events", "dtype": dtype, "progress": False}
    events = simulate(structure, axes, field=[8.0, -8.0], **kwargs).events
    first = np.flatnonzero(events.avalanche == 1)[0]
    off = {"float32": 1e-4, "float64": 1e-6}[dtype] * np.array([3, 1, 0.3, 0, -0.3, -1, -3])
    loop = simulate(structure, axes, field=[8.0, *(events.field[first] + off), -8.0], **kwargs)
    flipped = ((loop.magnetization * axes).sum(axis=2) < 0).sum(axis=1) - first
    size = events.sizes[1]
    assert (flipped[1:3] == 0).all() and (flipped[6:8] == size).all()
    assert set(flipped[3:6]) <= {0, size} and (np.diff(flipped) >= 0).all()
    np.testing.assert_array_equal(loop.events.grain, events.grain)


def test_fields_far_above_the_anisotropy_field():
    structure = MAGNETS["cubes"]
    axes = random_easy_axes(len(structure), seed=1)
    near, far = (
        simulate(structure, axes, field=[top, -top], method="events", progress=False)
        for top in (8.0, 1e8)
    )
    np.testing.assert_array_equal(near.events.grain, far.events.grain)
    np.testing.assert_allclose(near.events.field, far.events.field, atol=5e-5)
    # Steps double from the top down, and from the last flip on: 23 times each.
    assert far.iterations.sum() < near.iterations.sum() + 200


def test_a_batch_of_none():
    structure, none = MAGNETS["cubes"], np.zeros((0, 12, 3))
    loops = simulate(structure, none, field=LOOP, method="events", progress=False)
    steps = simulate(structure, none, field=LOOP, progress=False)
    assert loops.magnetization.shape == steps.magnetization.shape == (0, 9, 12, 3)
    assert loops.converged.shape == loops.iterations.shape == (0, 9)
    assert len(loops.events) == 0 and loops.coercivity().shape == (0,)
    assert loops.switching_fields.shape == (0, 12)


def test_a_progress_bar_counts_matvecs(monkeypatch):
    shown = []

    class Bar:
        def __init__(self, wanted, loops):
            self.loops = loops

        def __enter__(self):
            return self

        def __call__(self, state):
            shown.append((self.loops.done, self.loops.products, self.loops.field_behind))

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(by_events, "Progress", Bar)
    structure = MAGNETS["cubes"]
    axes = random_easy_axes((2, len(structure)), seed=3)
    loop = simulate(structure, axes, field=np.linspace(8, -8, 50), method="events")
    done, products, field = zip(*shown, strict=True)
    assert len(shown) >= 2 and (np.diff(done) >= 0).all() and (np.diff(products) > 0).all()
    assert done[-1] == 100 and field[-1] == -8.0
    assert 0.5 * loop.iterations.sum() < products[-1] <= loop.iterations.sum()


def test_memory_is_checked_after_every_call(monkeypatch):
    structure = MAGNETS["cubes"]
    axes = random_easy_axes((2, len(structure)), seed=3)
    kwargs = {"field": LOOP, "method": "events", "progress": False}
    simulate(structure, axes, **kwargs)
    advance, calls = continuation.advance, []

    def advanced(*arguments):
        calls.append(1)
        if len(calls) == 2:
            monkeypatch.setattr(memory, "available", lambda: 1000)
        return advance(*arguments)

    monkeypatch.setattr(continuation, "advance", advanced)
    sentence = r"the record of 2 magnets up to .* T needs .* 1e-06 GB are free; fewer"
    with pytest.raises(MemoryError, match=sentence):
        simulate(structure, axes, **kwargs)
    assert len(calls) == 2


@pytest.mark.slow
@pytest.mark.contract
def test_too_few_iterations_raise(monkeypatch):
    structure = MAGNETS["cubes"]
    axes = random_easy_axes(len(structure), seed=3)
    kwargs = {"field": LOOP, "method": "events", "max_iterations": 2, "progress": False}
    with pytest.raises(ConvergenceError, match=r"field step 0 .*within `max_iterations` = 2"):
        simulate(structure, axes, **kwargs)
    loop = simulate(structure, axes, allow_unconverged=True, **kwargs)
    assert not loop.converged.any() and np.isnan(loop.magnetization).all()
    # Where it raises, it does so at once.
    monkeypatch.setattr(continuation, "advance", _once(continuation.advance))
    with pytest.raises(ConvergenceError, match=r"field step 0 .*within `max_iterations` = 2"):
        simulate(structure, axes, **kwargs)


@pytest.mark.slow
def test_states_that_do_not_relax_are_found_by_steps_or_are_nan(monkeypatch):
    structure = MAGNETS["cubes"]
    axes = random_easy_axes(len(structure), seed=3)
    kwargs = {"field": np.linspace(8, -8, 60), "method": "events", "progress": False}
    expected = simulate(structure, axes, **kwargs)
    equilibrate = Equilibrator.__call__

    def fails_below_minus_4_tesla(self, magnet, branch, field, *arguments):
        relaxed = equilibrate(self, magnet, branch, field, *arguments)
        return relaxed._replace(converged=relaxed.converged & (field > -4.0))

    monkeypatch.setattr(Equilibrator, "__call__", fails_below_minus_4_tesla)
    loop = simulate(structure, axes, **kwargs)
    assert loop.iterations.sum() > expected.iterations.sum()
    np.testing.assert_allclose(loop.magnetization, expected.magnetization, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(loop.coercivity(), expected.coercivity())

    monkeypatch.setattr(by_events, "_relax_by_steps", lambda *_: None)
    loop = simulate(structure, axes, allow_unconverged=True, **kwargs)
    failed = ~loop.converged
    assert 1 <= failed.sum() <= 6 and (loop.field[failed] < -4.0).all()
    assert np.isnan(loop.magnetization[failed]).all()
    np.testing.assert_array_equal(loop.magnetization[~failed], expected.magnetization[~failed])
    np.testing.assert_array_equal(loop.coercivity(), expected.coercivity())
    with pytest.raises(ConvergenceError, match=r"field step .* of magnet 0, or what comes before"):
        simulate(structure, axes, **kwargs)


def _once(advance):
    calls = []

    def advanced(*arguments):
        assert not calls, "one call is enough"
        calls.append(1)
        return advance(*arguments)

    return advanced


def test_arguments_that_raise(tmp_path):
    structure = MAGNETS["cubes"]
    axes = random_easy_axes(len(structure), seed=3)
    with pytest.raises(ValueError, match="`method` must be one of 'steps', 'events'"):
        simulate(structure, axes, method="exact")
    with pytest.raises(ValueError, match="`checkpoint` must be None for `method` 'events'"):
        simulate(structure, axes, method="events", checkpoint=tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
    with pytest.raises(ValueError, match=r"`checkpoint` must be None for .*; received '3'"):
        simulate(structure, axes, method="events", checkpoint=3)
