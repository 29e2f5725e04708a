"""Recipes: their settings, bad input and batches. Trainings by them: tests/paper."""

import dataclasses
import pickle

import keras
import numpy as np
import pytest

from keras_micromag import recipes
from keras_micromag.data import Lattices, Polycrystals, grain_features, sample_weights
from keras_micromag.physics import random_easy_axes
from keras_micromag.recipes import RECIPES, Recipe
from keras_micromag.recipes.autoencoders import States, encode
from keras_micromag.recipes.fitting import mix_weights

LATTICES = Lattices(random_easy_axes((9, 2, 8), cone=180, seed=1), (2, 2, 2))
AXES = random_easy_axes((9, 5), seed=2)
FEATURES = grain_features(AXES, np.random.default_rng(3).random((9, 5, 3)), np.ones((9, 5)))
POLYCRYSTALS = Polycrystals(
    random_easy_axes((9, 2, 5), cone=180, seed=4), FEATURES, np.ones((9, 5, 5))
)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"schedule": "step"}, "`schedule` must be one of"),
        ({"images": 0}, "`images` must be an integer of at least 1"),
        ({"batch_size": 0}, "`batch_size` must be an integer of at least 1"),
        ({"autoencoder_rate": -1}, "`autoencoder_rate` must be greater than 0; received -1"),
        ({"eq8_share": 2}, "`eq8_share` must be from 0 to 1; received 2"),
        ({"eq8_share": [1]}, r"`eq8_share` must be a number; received \[1\]"),
        ({"norm_weight": -1}, "`norm_weight` must be at least 0; received -1"),
        ({"microstructure_size": -1}, "`microstructure_size` must be an integer of at least 0"),
        ({"averaging": 1.0}, "`averaging` must be at least 0 and below 1"),
        ({"validation": 0}, "`validation` must lie between 0 and 1; received 0"),
    ],
    ids=str,
)
def test_bad_recipes(setting, sentence):
    with pytest.raises(ValueError, match=sentence):
        Recipe(**setting)


def test_images_make_up_for_few_magnets():
    def split(recipe):
        training, validation = recipes.training.split(recipe, LATTICES)
        return len(recipes.training.with_images(recipe, training, seed=0)), len(validation)

    assert split(RECIPES["default"]) == (8 * 16, 1)
    assert split(RECIPES["paper"]) == (7, 2)
    assert split(dataclasses.replace(RECIPES["default"], images=2)) == (8 * 2, 1)


@pytest.mark.parametrize("loops", [LATTICES, POLYCRYSTALS], ids=["lattices", "polycrystals"])
def test_batches_are_states_of_the_loops_with_their_weights(loops):
    recipe = dataclasses.replace(RECIPES["default"], batch_size=32, autoencoder_batches=60)
    batches, again = (States(recipe, loops, seed=1) for _ in range(2))
    assert len(batches) == (1 if loops is LATTICES else 3)
    inputs, targets, weights = batches[0]
    np.testing.assert_array_equal(again[0][1], targets)
    states = targets[..., :3]
    np.testing.assert_array_equal(inputs if loops is LATTICES else inputs["states"], states)
    assert weights.shape == states.shape[:2] == ((18, 1) if loops is LATTICES else (16, 2))
    # Rotations and reflections keep the moments along the field, which are different everywhere.
    along = loops.moments[..., 2].reshape(-1, loops.moments.shape[2])
    state_index = np.abs(states[..., None, :, 2] - along).max(axis=-1).argmin(axis=-1)
    np.testing.assert_allclose(states[..., 2], along[state_index], atol=1e-6)
    known = mix_weights(recipe.eq8_share, sample_weights(loops.moments)).ravel()
    np.testing.assert_allclose(weights, known[state_index])
    if loops is LATTICES:
        assert sorted(state_index.ravel()) == list(range(18)), "each state once in an epoch"
        batches.on_epoch_end()
        assert (batches[0][1] != targets).any()
    else:
        assert (
            np.abs(inputs["grains"] - loops.grains[state_index[:, 0] // 2]).max(axis=(1, 2)) > 0
        ).any()


@pytest.mark.integration
def test_one_latent_variable_has_an_axis():
    short = dataclasses.replace(
        RECIPES["default"], latent_size=1, autoencoder_batches=1, predictor_batches=1
    )
    loops = Lattices(np.tile([0.0, 0.0, 1.0], (3, 20, 8, 1)), (2, 2, 2))
    model = recipes.train(short, loops, np.linspace(8, -8, 20), verbose=0).model
    assert model.autoencoder.encoder.output_shape == (None, None, 1)
    assert model.autoencoder.grid == (2, 2, 2)
    assert model.trained_along == np.linspace(8, -8, 20).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("loops", [LATTICES, POLYCRYSTALS], ids=["lattices", "polycrystals"])
def test_latent_variables_on_their_principal_axes(loops):
    recipe = dataclasses.replace(
        RECIPES["default"], latent_size=3, autoencoder_batches=1, averaging=0.0, images=1
    )
    turned, _ = recipes.train_autoencoder(recipe, loops, seed=1, verbose=0)
    plain, _ = recipes.train_autoencoder(
        dataclasses.replace(recipe, principal_axes=False), loops, seed=1, verbose=0
    )
    latent, _ = encode(turned, recipes.training.split(recipe, loops)[0])
    latent = latent.reshape(-1, 3)
    np.testing.assert_allclose(latent.mean(axis=0), 0, atol=1e-4)
    covariance = np.cov(latent.T)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-4)
    assert np.diag(covariance).max() == pytest.approx(1, rel=1e-3)
    decoded = [model.predict(loops.inputs, verbose=0) for model in (turned, plain)]
    np.testing.assert_allclose(*decoded, atol=1e-4)


@pytest.mark.slow
def test_a_model_can_be_saved_after_a_prediction(tmp_path):
    short = dataclasses.replace(
        RECIPES["default"], latent_size=2, window=1, horizon=1, hidden_layers=1, images=1
    )
    short = dataclasses.replace(short, autoencoder_batches=1, predictor_batches=1)
    model = recipes.train(short, LATTICES, [1.0, 0.0], verbose=0).model
    first = {"states": LATTICES.moments[:, :1], "field": np.tile([1.0, 0.0], (9, 1))}
    loops = model.predict(first, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(first, verbose=0), loops, atol=1e-6)


def test_moments_must_be_finite():
    moments = LATTICES.moments.copy()
    moments[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"`moments` must be finite; received nan at index \(3, 1"):
        recipes.train(RECIPES["default"], Lattices(moments, (2, 2, 2)), [1.0, 0.0])


def test_one_field_per_state():
    with pytest.raises(ValueError, match=r"`field` must have shape \(2,\) one per state"):
        recipes.train_predictor(RECIPES["default"], None, LATTICES, [1.0, 0.0, -1.0])


def test_worker_processes_draw_different_batches():
    recipe = dataclasses.replace(RECIPES["polycrystals"], batch_size=32, autoencoder_batches=240)
    states, alone = (States(recipe, POLYCRYSTALS, seed=1) for _ in range(2))
    batches = []
    for _ in range(3):
        # Keras sends copies to two processes at the beginning of each epoch.
        workers = [pickle.loads(pickle.dumps(states)) for _ in range(2)]
        drawn = [workers[index % 2][index] for index in range(12)]
        for index in reversed(range(12)):  # the batches do not depend on the order of the calls
            np.testing.assert_array_equal(alone[index][1], drawn[index][1])
        batches += [targets.tobytes() for _, targets, _ in drawn]
        states.on_epoch_end()
        alone.on_epoch_end()
    assert len(set(batches)) == 36
