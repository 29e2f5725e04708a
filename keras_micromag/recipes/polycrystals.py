"""The paper's method for polycrystals, each with grains of its own."""

import keras
import numpy as np

from keras_micromag.data import GrainStates, Polycrystals, sample_weights, split_by_simulation
from keras_micromag.data.polycrystals import states_and_targets
from keras_micromag.losses import GrainLoss
from keras_micromag.models import (
    GrainAutoencoder,
    GrainHysteresis,
    RecursiveRolloutModel,
    grain_autoencoder,
    grains_encoder,
)
from keras_micromag.recipes import fitting
from keras_micromag.recipes.autoencoders import principal_axes
from keras_micromag.recipes.predictors import compiled_rollout, fit_windows
from keras_micromag.recipes.settings import Recipe
from keras_micromag.recipes.training import LOOPS, Trained

_MAGNETS = 16  # of which a batch has states: what the grains are is computed once for each


def train_on_polycrystals(
    recipe: Recipe, loops: Polycrystals, field, *, seed: int = 0, callbacks=(), verbose="auto"
) -> Trained:
    """Train the paper's method on polycrystals; see `train` for what is not told here.

    Args:
        loops: of at least two magnets, with fields along z.

    Notes:
        The recipe's filters, units and images are those of a lattice, and not used: every batch
        shows the magnets turned about the field by angles of its own, and mirrored.
    """
    told = {"seed": seed, "callbacks": callbacks, "verbose": verbose}
    autoencoder, history = train_grain_autoencoder(recipe, loops, **told)
    rollout, history_too = train_grain_predictor(recipe, autoencoder, loops, field, **told)
    return Trained(whole_of_grains(autoencoder, rollout, field), history, history_too)


def whole_of_grains(
    autoencoder: GrainAutoencoder, rollout: RecursiveRolloutModel, field
) -> GrainHysteresis:
    """Both parts, trained along a field (t,) in tesla, as one model of the whole loop."""
    parts = (autoencoder.embedding, autoencoder.encoder, rollout, autoencoder.decoder)
    return GrainHysteresis(*parts, trained_along=field)


def train_grain_autoencoder(
    recipe: Recipe, loops: Polycrystals, *, seed: int = 0, callbacks=(), verbose="auto"
):
    """Train an autoencoder of states of polycrystals; arguments as for `train_on_polycrystals`.

    Returns:
        The `GrainAutoencoder`, on its principal axes if the recipe has it so, and the training's
        history.
    """
    training, validation = _split(recipe, loops)
    keras.utils.set_random_seed(seed)
    there = training.grains[training.shares > 0]
    model = grain_autoencoder(
        there.shape[-1],
        recipe.latent_size,
        activation=recipe.activation,
        # Not much less than 1 for what hardly varies: rounding would become a feature.
        spread=np.maximum(there.std(axis=0), 1e-3),
    )
    at_once = fitting.AT_ONCE if keras.backend.backend() == "tensorflow" else 1
    model.compile(
        fitting.optimizer(recipe, recipe.autoencoder_rate, recipe.autoencoder_batches),
        GrainLoss(recipe.mse_weight, recipe.norm_weight, recipe.moment_weight),
        steps_per_execution=at_once,
    )
    per_epoch, epochs = fitting.epoch(recipe.autoencoder_batches, recipe.autoencoder_batches)
    states = GrainStates(
        training,
        fitting.mixed(recipe.eq8_share, sample_weights(training.moments)),
        magnets=_MAGNETS,
        states=max(recipe.batch_size // _MAGNETS, 1),
        batches=per_epoch,
        seed=seed,
    )
    inputs, targets = states_and_targets(validation)
    weights = fitting.mixed(recipe.eq8_share, sample_weights(validation.moments))
    history = model.fit(
        states,
        validation_data=(inputs, targets, weights),
        validation_batch_size=4,
        epochs=epochs,
        callbacks=[*fitting.callbacks(recipe), *callbacks],
        verbose=verbose,
    )
    return (_on_principal_axes(model, training) if recipe.principal_axes else model), history


def encode_polycrystals(autoencoder, loops: Polycrystals):
    """(s, t, d) latent states, and (s, g, e) the embedding of the grains.

    Args:
        autoencoder: a `GrainAutoencoder`, or a `GrainHysteresis`.
    """
    embedding = autoencoder.embedding.predict(
        {"grains": loops.grains, "neighbors": loops.neighbors}, verbose=0
    )
    latent = autoencoder.encoder.predict(
        {"states": loops.moments, "embedding": embedding}, batch_size=4, verbose=0
    )
    return latent, embedding


def train_grain_predictor(
    recipe: Recipe,
    autoencoder: GrainAutoencoder,
    loops: Polycrystals,
    field,
    *,
    seed: int = 0,
    callbacks=(),
    verbose="auto",
):
    """Train a predictor in the latent space of an autoencoder; see `train_on_polycrystals`.

    Returns:
        The `RecursiveRolloutModel`, and the training's history.
    """
    training, validation = _split(recipe, loops)
    training = _turned_copies(training, seed)
    encoded = [encode_polycrystals(autoencoder, part) for part in (training, validation)]
    keras.utils.set_random_seed(seed)
    microstructure = None
    if recipe.microstructure_size:
        size = encoded[0][1].shape[-1]
        microstructure = grains_encoder(size, recipe.microstructure_size)
    model = compiled_rollout(recipe, field, microstructure)
    parts = (
        (latent, sample_weights(part.moments), embedding)
        for part, (latent, embedding) in zip((training, validation), encoded, strict=True)
    )
    told = {"seed": seed, "callbacks": callbacks, "verbose": verbose}
    return model, fit_windows(recipe, model, *parts, field, **told)


def _split(recipe, loops):
    indices = split_by_simulation(len(loops.moments), recipe.validation)
    return (loops[part] for part in indices)


def _turned_copies(loops, seed):
    """The magnets, and turned and mirrored ones of each, about as many loops as `LOOPS`."""
    rng, s = np.random.default_rng(seed), len(loops.moments)
    copies = [loops]
    for _ in range(LOOPS // s - 1):
        angles = rng.uniform(0, 2 * np.pi, s)
        copies.append(loops.turned(angles, rng.integers(2, size=(s, 2)).astype(bool)))
    parts = ("moments", "grains", "neighbors")
    return Polycrystals(*(np.concatenate([getattr(c, part) for c in copies]) for part in parts))


def _on_principal_axes(model, loops):
    """The same autoencoder with latent variables uncorrelated; see `principal_axes`."""
    latent, _ = encode_polycrystals(model, loops)
    turn, back = principal_axes(latent.reshape(-1, latent.shape[-1]))
    told = keras.Input((None, latent.shape[-1]), name="latent")
    encoder, decoder = model.encoder, model.decoder
    turned = keras.Model(encoder.input, turn(encoder.output), name="encoder")
    magnet = decoder.input["embedding"]
    untold = keras.Model(
        {"latent": told, "embedding": magnet},
        decoder({"latent": back(told), "embedding": magnet}),
        name="decoder",
    )
    return GrainAutoencoder(model.embedding, turned, untold, name=model.name)
