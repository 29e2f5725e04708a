"""One iteration: relaxation, the flips that it predicts, flipping.

| who                                | must agree with whom                      | to      |
| ---------------------------------- | ----------------------------------------- | ------- |
| `relax` of cubes, of a polycrystal | the same iteration of `oracles`, in NumPy | float32 |
| `foreseen`                         | a geometric series, by hand               | –       |
"""

import numpy as np
import pytest
from keras import ops
from scipy.spatial.transform import Rotation

from keras_micromag.physics import (
    ND2FE14B,
    Microstructure,
    cubic_grains,
    demag_matrix,
    random_easy_axes,
)
from keras_micromag.physics.solver import field_steps, relaxation
from keras_micromag.physics.solver.problem import Problem, SolverOptions
from keras_micromag.utils.backend import tensors
from tests import oracles
from tests.keras_parts import numpy

CELLS = [oracles.moved(body, scale=60e-9) for body in oracles.voronoi_cells(seed=3, count=5)]
MAGNETS = {"cubes": cubic_grains((2, 2, 1)), "polycrystal": Microstructure(CELLS, depth=1e-9)}


def start(structure, field=0.0):
    """A magnet in one field, as tensors, and its state; axes (g, 3)."""
    axes = random_easy_axes(len(structure), seed=1)
    problem = Problem.checked(
        structure,
        axes,
        material=ND2FE14B,
        field=[field],
        field_direction=(0.0, 0.0, 1.0),
        self_field=False,
        exchange=0.0,
        thermal=None,
        initial_state=axes,
        operator="dense",
        rtol=1e-4,
        progress=False,
        options=SolverOptions.checked("steps", "simultaneous", "float32", None, 100),
    )
    magnet, branch = problem.laid_out(problem.field)
    state = field_steps.start(magnet, branch)
    return *tensors((magnet, state), "float32"), axes


@pytest.mark.parametrize("kind", MAGNETS)
@pytest.mark.parametrize("field", [2.0, -3.0, -6.5])
def test_relaxed_particles_are_those_of_the_oracle(kind, field):
    structure = MAGNETS[kind]
    g, p = structure.weights.shape
    magnet, state, axes = start(structure, field)
    turn = Rotation.from_rotvec([0.1, -0.2, 0.05]).as_matrix()
    trial = axes @ turn.T
    padded = numpy(state.moments).copy()
    padded[0, :, :g] = trial.T
    state = state._replace(moments=ops.convert_to_tensor(padded))
    at = ops.convert_to_tensor(np.array([field], "float32"))
    moments, _, _, outside, _ = relaxation.relax(magnet, state, at, state.damping, steps=20)

    matrix = demag_matrix(structure, self_field=False)
    total = (matrix.reshape(g * p * 3, g * 3) * ND2FE14B.Js) @ trial.ravel()
    total = total.reshape(g, p, 3)
    total[..., 2] += field
    total = total / ND2FE14B.anisotropy_field
    along = np.einsum("gpi,gi->gp", total, axes)
    across = total - along[..., None] * axes[:, None]
    size = np.linalg.norm(across, axis=-1)
    phi, unstable = oracles._literal_angles(np.zeros((g, p)), along, size)
    particle = np.cos(phi)[..., None] * axes[:, None]
    particle = particle + np.sin(phi)[..., None] * across / np.maximum(size, 1e-300)[..., None]
    expected = np.einsum("gp,gpi->gi", structure.weights, particle)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    real = structure.weights > 0
    # Near its fold a particle's angle goes as the root of the rounding.
    np.testing.assert_allclose(numpy(moments)[0, :, :g].T, expected, rtol=0, atol=1e-3)
    nearness = np.where(real & (along < 0), np.cbrt(along**2) + np.cbrt(size**2), 0) ** 3
    np.testing.assert_allclose(numpy(outside)[0, :g], nearness.max(axis=1), rtol=1e-4, atol=1e-4)
    flips = (unstable & real).any(axis=1)
    np.testing.assert_array_equal(numpy(outside)[0, :g] > 1, flips)
    assert flips.any() == (field == -6.5)


def predicted(change, outside, outside_before=None, relaxing=2, unstable=None, coupling=0.05):
    """Whether the flips of a magnet of three grains are certain, after a change of 0.01."""
    outside = np.array([outside], "float32")
    before_it = outside if outside_before is None else np.array([outside_before], "float32")
    magnet, state, _ = start(cubic_grains((3, 1, 1)))
    magnet = magnet._replace(coupling=magnet.coupling * 0 + coupling)
    state = state._replace(
        change=ops.convert_to_tensor(np.array([1e-2], "float32")),
        outside=ops.convert_to_tensor(before_it),
        relaxing=ops.convert_to_tensor(np.array([relaxing], "int32")),
    )
    unstable = outside > 1 if unstable is None else np.array([unstable])
    return bool(
        numpy(
            relaxation.foreseen(
                magnet,
                state,
                state.relaxing,
                ops.convert_to_tensor(np.array([change], "float32")),
                ops.convert_to_tensor(outside),
                ops.convert_to_tensor(unstable.astype("float32")),
            )
        )[0]
    )


def test_flips_are_certain_where_little_is_left_to_change():
    # The last change is a tenth of the one before: a ninth of it is left, and what is passed on.
    assert predicted(1e-3, [0.5, 0.7, 1.2])
    far = {"outside_before": [0.5, 0.7, 1.19]}
    assert predicted(1e-3, [0.5, 0.7, 1.2], **far)
    assert not predicted(1e-3, [0.5, 0.7, 1.001], **far)
    assert not predicted(1e-3, [0.5, 0.999, 1.2], **far)
    assert not predicted(9e-3, [0.5, 0.7, 1.2]), "changes do not fall"
    assert not predicted(1e-3, [0.5, 0.7, 1.2], relaxing=0), "there is nothing to compare with"


def test_flips_are_not_certain_where_strong_coupling_makes_later_changes_fall_slowly():
    near = {"outside_before": [0.5, 0.7, 1.004]}
    assert predicted(1e-3, [0.5, 0.7, 1.006], **near)
    assert not predicted(1e-3, [0.5, 0.7, 1.006], **near, coupling=0.5)
    assert not predicted(1e-3, [0.5, 0.7, 1.006], **near, coupling=12.0)
    # Nor where steps are damped, whose changes are shares of what is left.
    assert not predicted(1e-3, [0.5, 0.7, 1.2], relaxing=relaxation._PATIENCE)


def test_of_two_unstable_grains_the_weakest_is_certain_where_they_are_apart():
    one = {"unstable": [False, False, True], "outside_before": [0.5, 1.09, 1.29]}
    assert predicted(1e-3, [0.5, 1.1, 1.3], **one)
    assert not predicted(1e-3, [0.5, 1.297, 1.3], **one)


def test_a_flip_turns_its_grains_and_leaves_the_others():
    magnet, state, axes = start(MAGNETS["cubes"])
    flips = np.array([[0, 1, 0, 0]], "float32")
    tau = state.tau + 0.1
    moved = state.moments * 0.5
    flips = ops.convert_to_tensor(flips)
    new = relaxation.flip(magnet, state, moved, tau, flips)
    np.testing.assert_array_equal(numpy(new.branch), [[1, -1, 1, 1]])
    np.testing.assert_array_equal(numpy(new.flipped), [[0, 1, 0, 0]])
    expected = 0.5 * axes.T
    expected[:, 1] = -axes[1]
    np.testing.assert_allclose(numpy(new.moments)[0], expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(numpy(new.tau)[0, 0], [0.1, 0.0, 0.1, 0.1], rtol=1e-6)


def test_damped_steps_are_shares_that_are_smaller_in_softer_grains():
    magnet, state, _ = start(MAGNETS["cubes"])
    coupling = np.array([[0.0, 1.0, 3.0, 99.0]], "float32")
    magnet = magnet._replace(coupling=ops.convert_to_tensor(coupling))

    def step(iterations):
        count = ops.convert_to_tensor(np.array([iterations], "int32"))
        zeros = ops.zeros_like(state.moments)
        return numpy(relaxation.damped(magnet, count, zeros, zeros + 1.0))[0, 0]

    patience = relaxation._PATIENCE
    np.testing.assert_array_equal(step(patience - 1), np.ones(4))
    for iterations in (patience, patience + 4, patience + 3):
        root = np.cos(np.pi * ((iterations - patience) % 4 + 0.5) / 4)
        share = 1.0 / (1.2 + 0.8 * root)
        np.testing.assert_allclose(
            step(iterations), np.minimum(share / (1.0 + coupling[0]), 1.0), rtol=1e-5
        )
    late = patience + 4 * (relaxation._CYCLES - 2)
    np.testing.assert_allclose(step(late), 0.25 * step(patience), rtol=1e-5)
    third_round = patience + 2 * relaxation._STEPS * relaxation._CYCLES
    np.testing.assert_allclose(step(third_round)[1:], step(patience)[1:] / 3.0, rtol=1e-5)


@pytest.mark.parametrize("self_field, patience", [(False, 30), (True, 0)])
def test_strongly_coupled_magnets_are_damped_from_the_first(self_field, patience):
    polarization, anisotropy_field = np.array([[1.6, 2.0]]), np.array([[6.0, 0.6]])
    coupling = relaxation.coupling(polarization, anisotropy_field, self_field)
    np.testing.assert_allclose(coupling * anisotropy_field, 2.0 if self_field else 0.5)
    assert relaxation.patience(coupling, self_field).tolist() == [patience]
    hard = relaxation.coupling(polarization[:, :1], anisotropy_field[:, :1], self_field)
    assert relaxation.patience(hard, self_field).tolist() == [30]
