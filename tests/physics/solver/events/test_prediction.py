"""Decisions of the continuation on states made by hand: one magnet of two grains.

Unless a test says otherwise the field falls from 2 T to -2 T. The last node is at 1 T, the trial at
0.9 T. The first grain's switching ratio has grown from 0.5 to 0.6 by then, so that it is predicted
to become unstable at 0.5 T; that of the second has grown from 0.4 to 0.42.
"""

import numpy as np
import pytest
from keras import ops

from keras_micromag.physics.solver.events import prediction
from keras_micromag.physics.solver.events.continuation import Path, State, _Trial
from keras_micromag.utils.backend import tensors
from tests.keras_parts import numpy

GRAINS = 2
ROOT_TOL = 1e-5
LONGEST = 0.25
HIGH = 10.0
SLOPE = [-1.0, -0.2]
"""Of the switching ratios per tesla."""


def path_to(ends=(-2.0,), direction=(-1.0,)):
    """Return a path of segments that starts at 2 T."""
    path = Path(
        segments=len(ends),
        start=2.0,
        ends=np.array(ends),
        direction=np.array(direction),
        longest=np.array([LONGEST]),
        high=HIGH,
        root_tol=ROOT_TOL,
    )
    return tensors(path, "float32")


def state_at(field=0.9, **parts):
    """Return the state whose trial is at `field`."""
    ints = (
        "segment",
        "avalanching",
        "nodes",
        "next_grain",
        "holds",
        "delays",
        "products",
        "relaxing",
    )
    grains = ("branch", "node_ratio", "node_ratio_slope", "ratio_slope", "flipped", "outside")
    vectors = ("moments", "node_moments", "node_slope", "slope")
    values = dict.fromkeys(State._fields, np.zeros(1))
    values |= dict.fromkeys(ints, np.zeros(1, int))
    values |= dict.fromkeys(grains, np.zeros((1, GRAINS)))
    values |= dict.fromkeys(vectors, np.zeros((1, 3, GRAINS)))
    values |= {"tau": np.zeros((1, 1, GRAINS)), "field": np.array([field])}
    values |= {"node_field": np.array([1.0]), "node_ratio": np.array([[0.5, 0.4]])}
    values |= {"nodes": np.array([1]), "step": np.array([0.125])}
    values |= {name: np.array(part) for name, part in parts.items()}
    return tensors(State(**values), "float32")


def trial_with(ratio=(0.6, 0.42), *, moments=None, change=1e-3, certain=False, exhausted=False):
    """Return a trial whose grains have these switching ratios."""
    ratio = np.array([ratio])
    weakest = ratio.argmax(axis=1)
    weakest_only = np.eye(GRAINS)[weakest]
    trial = _Trial(
        moments=np.zeros((1, 3, GRAINS)) if moments is None else moments,
        tau=np.zeros((1, 1, GRAINS)),
        outside=ratio**2,
        ratio=ratio,
        weakest_grain=weakest,
        largest_ratio=ratio.max(axis=1),
        weakest=weakest_only,
        unstable=weakest_only * (ratio > 1),
        change=np.array([change]),
        certain=ops.convert_to_tensor(np.array([certain])),
        matvecs=np.array([1]),
        exhausted=ops.convert_to_tensor(np.array([exhausted])),
    )
    return tensors(trial, "float32")


def outcome_of(state, trial, path=None):
    """Return the outcome on the first segment, as NumPy."""
    path = path_to() if path is None else path
    secant = prediction.secants(path, state, trial)
    return numpy(prediction.outcome(path, state, trial, secant, path.ends[:1], path.direction[:1]))


def names(outcome):
    """Return the names of what has come of the trial."""
    return {name for name, part in outcome._asdict().items() if part.dtype == bool and part[0]}


def decided(**parts):
    """Return an outcome with these parts true, and all others false."""
    values = dict.fromkeys(prediction.Outcome._fields, False) | parts
    values |= {"root_offset": 0.0}
    return prediction.Outcome(
        *(ops.convert_to_tensor(np.array([value])) for value in values.values())
    )


# Secants


def test_a_secant_runs_from_the_last_node_to_the_trial():
    moments = np.arange(6.0).reshape(1, 3, GRAINS)
    secant = numpy(prediction.secants(path_to(), state_at(), trial_with(moments=moments)))
    assert secant.valid.all()
    np.testing.assert_allclose(secant.span, [-0.1], rtol=1e-5)
    np.testing.assert_allclose(secant.slope, moments / -0.1, rtol=1e-5)
    np.testing.assert_allclose(secant.ratio_slope, [SLOPE], rtol=1e-5)


@pytest.mark.parametrize(
    "parts",
    [{"field": 1.0 - 1e-4 * LONGEST}, {"avalanching": [1]}],
    ids=["fields too close", "in an avalanche"],
)
def test_without_a_secant_the_slopes_stay(parts):
    old = {"slope": np.full((1, 3, GRAINS), 7.0), "ratio_slope": [[-3.0, -4.0]]}
    secant = numpy(prediction.secants(path_to(), state_at(**parts, **old), trial_with()))
    assert not secant.valid.any()
    np.testing.assert_array_equal(secant.slope, old["slope"])
    np.testing.assert_array_equal(secant.ratio_slope, old["ratio_slope"])


def test_far_from_the_astroid_the_slope_of_the_ratio_stays():
    state = state_at(ratio_slope=[[-3.0, -4.0]])
    secant = numpy(prediction.secants(path_to(), state, trial_with(ratio=(0.6, 0.2))))
    np.testing.assert_allclose(secant.ratio_slope, [[-1.0, -4.0]], rtol=1e-5)


# Outcomes


def test_a_trial_that_still_relaxes_is_nothing_yet():
    assert names(outcome_of(state_at(), trial_with())) == {"between"}


def test_a_trial_that_has_relaxed_is_an_equilibrium():
    outcome = outcome_of(state_at(), trial_with(change=1e-5))
    assert names(outcome) == {"between", "equilibrium"}
    np.testing.assert_allclose(outcome.root_offset, [-0.4], rtol=1e-5)


def test_a_trial_that_has_relaxed_beside_a_root_goes_there_first():
    trial = trial_with(ratio=(1.0 - 5 * ROOT_TOL, 0.5), change=1e-5)
    assert names(outcome_of(state_at(field=0.5), trial)) == {"between", "near_root"}


AT_ROOT = {"field": 0.5, "next_grain": [0], "trial_spacing": [1e-5]}
"""Here the first grain's ratio is nearly 1, with a slope of -1."""


def just_before(distance):
    return trial_with(ratio=(1.0 - distance, 0.5))


@pytest.mark.parametrize("distance", [0.5 * ROOT_TOL, -0.5 * ROOT_TOL], ids=["before", "behind"])
def test_a_trial_beside_the_root_of_the_predicted_grain_is_at_the_root(distance):
    outcome = outcome_of(state_at(**AT_ROOT), just_before(distance))
    assert names(outcome) == {"between", "root", "near_root"}
    # The field falls towards it.
    np.testing.assert_allclose(outcome.root_offset, [-distance], rtol=0.05)


@pytest.mark.parametrize(
    ("parts", "distance", "end"),
    [
        ({}, 5 * ROOT_TOL, -2.0),
        ({"next_grain": [1]}, 0.5 * ROOT_TOL, -2.0),
        ({"trial_spacing": [1e-2]}, 0.5 * ROOT_TOL, -2.0),
        ({}, 0.5 * ROOT_TOL, 0.5 - 0.1 * ROOT_TOL),
    ],
    ids=["too far", "of another grain", "trials far apart", "beyond the end of the segment"],
)
def test_a_trial_is_not_at_the_root(parts, distance, end):
    outcome = outcome_of(state_at(**(AT_ROOT | parts)), just_before(distance), path_to(ends=(end,)))
    assert names(outcome) == {"between", "near_root"}


def test_the_tolerance_of_a_root_grows_with_the_number_of_trials():
    # 16 trials: 1 + 2² times.
    state = state_at(**AT_ROOT, relaxing=[2 * prediction._PATIENCE])
    assert outcome_of(state, just_before(4.5 * ROOT_TOL)).root.all()
    assert not outcome_of(state, just_before(5.5 * ROOT_TOL)).root.any()


@pytest.mark.parametrize(
    ("trial", "expected"),
    [
        ({"ratio": (1.1, 0.4), "certain": True}, {"continues"}),
        ({"ratio": (0.8, 0.4), "certain": True}, {"ended"}),
        ({"ratio": (1.1, 0.4), "exhausted": True}, {"ended"}),
        ({"ratio": (1.1, 0.4)}, set()),
        ({"ratio": (0.8, 0.4)}, set()),
    ],
    ids=["unstable", "stable", "exhausted", "unstable but uncertain", "stable but uncertain"],
)
def test_an_avalanche_goes_on_or_ends_as_soon_as_that_is_certain(trial, expected):
    outcome = outcome_of(state_at(avalanching=[1]), trial_with(**trial))
    assert names(outcome) - {"near_root"} == expected


@pytest.mark.parametrize(
    ("parts", "trial"),
    [
        ({"step": [0.5 * ROOT_TOL]}, {}),
        ({}, {"exhausted": True}),
    ],
    ids=["shortest step", "max_iterations"],
)
def test_a_trial_that_leads_nowhere_has_failed(parts, trial):
    assert names(outcome_of(state_at(**parts), trial_with(**trial))) == {"between", "failed"}


def test_a_segment_that_ends_just_before_a_root_has_failed():
    outcome = outcome_of(state_at(**AT_ROOT), just_before(5 * ROOT_TOL), path_to(ends=(0.5,)))
    assert names(outcome) == {"between", "near_root", "failed"}


# The predictor


def test_the_next_trial_is_on_the_parabola_through_three_nodes():
    rng = np.random.default_rng(1)
    a, b, c = rng.normal(size=(3, 1, 3, GRAINS))
    ratio_a, ratio_b, ratio_c = np.array([0.9, 0.8]), np.array([-0.4, -0.3]), 0.1

    def moments(field):
        return a + b * field + c * field**2

    def ratio(field):
        return ratio_a + ratio_b * field + ratio_c * field**2

    before, node, here, distance = 1.3, 1.0, 0.9, -0.35
    state = state_at(
        field=here,
        nodes=[2],
        node_field=[node],
        node_spacing=[node - before],
        node_moments=moments(node),
        node_slope=(moments(node) - moments(before)) / (node - before),
        node_ratio=[ratio(node)],
        node_ratio_slope=[(ratio(node) - ratio(before)) / (node - before)],
    )
    trial = trial_with(ratio(here), moments=moments(here))
    secant = prediction.secants(path_to(), state, trial)
    flipped = ops.zeros((1, GRAINS))
    predictor = prediction.predictor(state, trial, secant, decided(equilibrium=True), flipped)
    chord = prediction.chord(predictor, secant.span, ops.convert_to_tensor([distance]))
    expected = (moments(here + distance) - moments(here)) / distance
    np.testing.assert_allclose(numpy(chord), expected, rtol=1e-4, atol=1e-4)
    tangent = ratio_b + 2 * ratio_c * here
    np.testing.assert_allclose(numpy(predictor.ratio_slope), [tangent], rtol=1e-4)


@pytest.mark.parametrize(
    "parts",
    [{"nodes": [1], "node_spacing": [-0.3]}, {"nodes": [2], "node_spacing": [0.3]}],
    ids=["two nodes", "a turning point between"],
)
def test_the_next_trial_is_on_the_secant_of_two_nodes(parts):
    state = state_at(**parts, node_slope=np.full((1, 3, GRAINS), 9.0))
    trial = trial_with(moments=np.ones((1, 3, GRAINS)))
    secant = prediction.secants(path_to(), state, trial)
    predictor = prediction.predictor(
        state, trial, secant, decided(equilibrium=True), ops.zeros((1, GRAINS))
    )
    chord = prediction.chord(predictor, secant.span, ops.convert_to_tensor([-0.2]))
    np.testing.assert_allclose(numpy(chord), np.full((1, 3, GRAINS), -10.0), rtol=1e-5)


def test_after_an_avalanche_the_grains_that_did_not_flip_keep_their_slopes():
    state = state_at(slope=np.full((1, 3, GRAINS), 7.0), ratio_slope=[[-3.0, -4.0]])
    trial = trial_with()
    secant = prediction.secants(path_to(), state, trial)
    flipped = ops.convert_to_tensor(np.array([[1.0, 0.0]], "float32"))
    predictor = numpy(prediction.predictor(state, trial, secant, decided(ended=True), flipped))
    np.testing.assert_array_equal(predictor.slope[0], [[0.0, 7.0]] * 3)
    np.testing.assert_array_equal(predictor.ratio_slope, [[0.0, -4.0]])


# The longest step


def longest_step(state, trial, outcome, *, node=False, relaxing=1, damped=False):
    node, relaxing = np.array([node]), np.array([relaxing], "int32")
    step = prediction.longest_step(
        path_to(),
        state,
        trial,
        outcome,
        ops.convert_to_tensor(node),
        ops.convert_to_tensor(relaxing),
        ops.convert_to_tensor(np.array([damped])),
    )
    return float(numpy(step)[0])


def test_a_step_doubles_at_a_node_up_to_the_longest():
    between, trial = decided(between=True), trial_with(ratio=(0.7, 0.5))
    assert longest_step(state_at(), trial, between) == 0.125
    assert longest_step(state_at(), trial, between, node=True) == 0.25
    assert longest_step(state_at(step=[0.25]), trial, between, node=True) == LONGEST
    far = trial_with(ratio=(0.5, 0.4))
    assert longest_step(state_at(step=[0.25]), far, between, node=True) == 2 * LONGEST


def test_a_step_may_go_down_to_the_fields_in_which_grains_flip():
    state = state_at(field=110.0, node_field=[110.0], step=[1000.0])
    assert longest_step(state, trial_with(), decided(ended=True), node=True) == 100.0


def test_a_step_is_cut_where_trials_lead_nowhere():
    between, patience = decided(between=True), prediction._PATIENCE
    for trials in (patience - 1, 2 * patience - 1):
        step = longest_step(state_at(), trial_with(), between, relaxing=trials)
        assert step == pytest.approx(0.025, rel=1e-5)
        # Damped steps take longer from the first.
        damped = longest_step(state_at(), trial_with(), between, relaxing=trials, damped=True)
        assert damped == 0.125
    # Neither in between, nor once all steps are damped.
    for trials in (patience, 5 * patience - 1):
        assert longest_step(state_at(), trial_with(), between, relaxing=trials) == 0.125


def test_a_step_reaches_a_root_that_is_near():
    near = decided(between=True, near_root=True)
    trial = trial_with(ratio=(0.7, 0.5))
    step = longest_step(state_at(), trial, near, relaxing=prediction._PATIENCE - 1)
    assert step == 0.25


# The next trial


def next_trial(state, trial, *, slope=SLOPE, step=1.0, path=None, segment=0, **parts):
    """Return the predicted grain, the next field, and whether its root is before the node."""
    grain, field, early = prediction.next_trial(
        path_to() if path is None else path,
        state,
        trial,
        decided(**({"between": True} | parts)),
        ops.convert_to_tensor(np.array([slope], "float32")),
        ops.convert_to_tensor(np.array([step], "float32")),
        state.node_field,
        ops.convert_to_tensor(np.array([segment], "int32")),
    )
    return int(numpy(grain)[0]), float(numpy(field)[0]), bool(numpy(early)[0])


def test_the_next_trial_is_at_the_first_predicted_root():
    grain, field, early = next_trial(state_at(), trial_with())
    assert grain == 0 and field == pytest.approx(0.5, rel=1e-5) and not early
    # A grain further from the astroid, but approaching it faster.
    grain, field, _ = next_trial(state_at(), trial_with(), slope=[-1.0, -5.8])
    assert grain == 1 and field == pytest.approx(0.8, rel=1e-5)


def test_the_next_trial_is_no_further_than_the_step():
    _, field, _ = next_trial(state_at(), trial_with(), step=0.25)
    assert field == pytest.approx(0.75, rel=1e-5)


def test_the_next_trial_is_further_after_each_avalanche_at_the_shortest_steps():
    # An eighth more doubles it; never by more than the longest step.
    for delays, least in ((0, 0.5), (8, 1.0), (24, 4.0)):
        state = state_at(delays=[delays], field=1.0)
        _, field, _ = next_trial(state, trial_with(), step=1e-9)
        distance = least * float(numpy(path_to().root_tol))
        assert 1.0 - field == pytest.approx(distance, rel=0.02)
    _, field, _ = next_trial(state_at(delays=[9999], field=1.0), trial_with(), step=1e-9)
    assert 1.0 - field == pytest.approx(LONGEST, rel=1e-5)


def test_the_next_trial_is_no_further_than_the_end_of_the_segment():
    path = path_to(ends=(0.7, 1.5), direction=(-1.0, 1.0))
    assert next_trial(state_at(), trial_with(), path=path)[1] == pytest.approx(0.7)
    # Beyond a turning point at the node the ratios fall, and there is no root.
    state = state_at(field=0.7, node_field=[0.7])
    assert next_trial(state, trial_with(), path=path, segment=1)[1] == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("ratio", "slope"),
    [((0.6, 0.42), [1.0, 0.2]), ((0.25, 0.2), [-10.0, -10.0])],
    ids=["ratios that fall", "ratios too small"],
)
def test_without_a_predicted_root_the_step_is_the_longest(ratio, slope):
    _, field, early = next_trial(state_at(), trial_with(ratio), slope=slope, step=0.25)
    assert field == pytest.approx(0.75, rel=1e-5) and not early


def test_a_root_before_the_node_sends_the_trial_back_to_the_node():
    # From 0.9 T back by 0.2 / 1 T.
    trial = trial_with(ratio=(1.2, 0.42))
    grain, field, early = next_trial(state_at(), trial)
    assert grain == 0 and field == 1.0 and early
    # But not at an equilibrium, nor at a root.
    for part in ("equilibrium", "root"):
        _, field, early = next_trial(state_at(), trial, **{part: True})
        assert field == pytest.approx(1.0 - 0.125 * 0.1, rel=1e-5) and not early
