"""Spaces: every choice is a recipe, and what depends on another choice is drawn only with it."""

import dataclasses

import keras_tuner
import pytest

from keras_micromag.recipes import RECIPES
from tuning import spaces

SPACES = {"autoencoder": spaces.AUTOENCODER, "rollout": spaces.ROLLOUT}


def suggest(space, hp, lattice=(4, 4, 4), base=RECIPES["default"]):
    settings = {}
    for each in space.values():
        settings |= each(hp, base, lattice)
    return settings


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_the_defaults_are_those_of_the_recipe(space):
    settings = suggest(space, keras_tuner.HyperParameters())
    for name, value in settings.items():
        assert value == getattr(RECIPES["default"], name), name
    assert set(space) <= set(settings)


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_every_choice_is_a_recipe(space):
    drawn = keras_tuner.HyperParameters()
    suggest(space, drawn)
    seen = set()
    for seed in range(60):
        hp = keras_tuner.HyperParameters()
        hp.values = {each.name: each.random_sample(seed + i) for i, each in enumerate(drawn.space)}
        settings = suggest(space, hp)
        seen |= {(name, str(value)) for name, value in settings.items()}
        recipe = dataclasses.replace(RECIPES["default"], **settings)
        assert recipe.mse_weight + recipe.norm_weight == pytest.approx(1)
    assert len({name for name, _ in seen}) >= len(space)
    assert len(seen) > 3 * len(space), "all of them are drawn"


def test_conditional_hyperparameters_are_drawn_with_their_parents():
    hp = keras_tuner.HyperParameters()
    hp.values = {"dense_layers": 1, "noise": False, "schedule": "plateau"}
    settings = suggest(spaces.AUTOENCODER, hp) | suggest(spaces.ROLLOUT, hp)
    assert len(settings["units"]) == 1
    assert settings["input_noise"] == 0.0
    assert settings["rate_patience"] in (1, 2, 4)
    active = {each.name: hp.is_active(each) for each in hp.space}
    assert not active["units_2"] and not active["input_noise"] and active["rate_patience"]


@pytest.mark.parametrize(("lattice", "most"), [((4, 4, 4), 2), ((2, 2, 2), 1), ((6, 4, 8), 1)])
def test_as_many_convolutions_as_the_lattice_takes(lattice, most):
    hp = keras_tuner.HyperParameters()
    suggest(spaces.AUTOENCODER, hp, lattice)
    [convolutions] = [each for each in hp.space if each.name == "convolutions"]
    assert max(convolutions.values) == most


def test_a_part():
    assert list(spaces.part(spaces.ROLLOUT, ("horizon", "window"))) == ["window", "horizon"]
    with pytest.raises(ValueError, match=r"`only` must be one of 'window', .*; received 'depth'"):
        spaces.part(spaces.ROLLOUT, ("depth",))
    with pytest.raises(ValueError, match="`only` must name at least one hyperparameter"):
        spaces.part(spaces.ROLLOUT, ())
