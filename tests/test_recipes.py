"""Recipes: what they refuse, and what they hold. Trainings by them: tests/paper."""

import dataclasses

import numpy as np
import pytest

from keras_micromag import recipes
from keras_micromag.recipes import RECIPES, Recipe


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"schedule": "step"}, "`schedule` must be one of"),
        ({"images": 0}, "`images` must be an integer of at least 1"),
        ({"batch_size": 0}, "`batch_size` must be an integer of at least 1"),
        ({"autoencoder_rate": -1}, "`autoencoder_rate` must be greater than 0; received -1"),
        ({"eq8_share": 2}, "`eq8_share` must be from 0 to 1; received 2"),
        ({"averaging": 1.0}, "`averaging` must be at least 0 and below 1"),
        ({"validation": 0}, "`validation` must lie between 0 and 1; received 0"),
    ],
    ids=str,
)
def test_what_a_recipe_refuses(setting, sentence):
    with pytest.raises(ValueError, match=sentence):
        Recipe(**setting)


def test_images_make_up_for_few_magnets():
    loops = np.random.default_rng(0).normal(size=(9, 2, 2, 2, 2, 3))
    training, validation = recipes.training.split(RECIPES["default"], loops)
    assert (len(training), len(validation)) == (8 * 16, 1)
    training, validation = recipes.training.split(RECIPES["paper"], loops)
    assert (len(training), len(validation)) == (7, 2)
    two = dataclasses.replace(RECIPES["default"], images=2)
    assert len(recipes.training.split(two, loops)[0]) == 8 * 2


@pytest.mark.integration
def test_one_latent_variable_has_an_axis():
    short = dataclasses.replace(
        RECIPES["default"], latent_size=1, autoencoder_batches=1, predictor_batches=1
    )
    loops = np.tile([0.0, 0.0, 1.0], (3, 20, 2, 2, 2, 1))
    model = recipes.train(short, loops, np.linspace(8, -8, 20), verbose=0).model
    assert model.encoder.output_shape == (None, 1)
    assert model.trained_along == np.linspace(8, -8, 20).tolist()
