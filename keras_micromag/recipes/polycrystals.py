"""Training of the paper's method on polycrystals, each with its own grains."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

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
from keras_micromag.recipes.autoencoders import principal_axis_layers
from keras_micromag.recipes.predictors import Encoded, compile_rollout, fit_predictor
from keras_micromag.recipes.settings import Recipe
from keras_micromag.recipes.training import LOOPS, Trained

# Magnets in a batch, with several states of each: the embedding is computed once per magnet.
_MAGNETS = 16


def train_on_polycrystals(
    recipe: Recipe,
    loops: Polycrystals,
    field: ArrayLike,
    *,
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
) -> Trained:
    """Train the paper's method on polycrystals.

    Args:
        recipe: the settings. Its filters, units and images are for lattices, and not used: each
            batch has the magnets rotated about the field by random angles, and reflected.
        loops: loops of at least two magnets, with fields along z.
        field: (t,) µ0·H in tesla.
        seed, callbacks, verbose: see `train`.

    Returns:
        The model of whole loops, and the histories of both trainings.

    Raises:
        ValueError: when a shape does not fit, or there is only one loop.
        DivergenceError: when a loss is not finite.
    """
    options: dict[str, Any] = {"seed": seed, "callbacks": callbacks, "verbose": verbose}
    autoencoder, autoencoder_history = train_grain_autoencoder(recipe, loops, **options)
    rollout, history = train_grain_predictor(recipe, autoencoder, loops, field, **options)
    return Trained(assemble_grain_model(autoencoder, rollout, field), autoencoder_history, history)


def assemble_grain_model(
    autoencoder: GrainAutoencoder, rollout: RecursiveRolloutModel, field: ArrayLike
) -> GrainHysteresis:
    """Return the model of whole loops made of both parts, trained along a field (t,) in tesla."""
    parts = (autoencoder.embedding, autoencoder.encoder, rollout, autoencoder.decoder)
    return GrainHysteresis(*parts, trained_along=field)


def train_grain_autoencoder(
    recipe: Recipe,
    loops: Polycrystals,
    *,
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
) -> tuple[GrainAutoencoder, keras.callbacks.History]:
    """Train an autoencoder of states; the arguments are those of `train_on_polycrystals`.

    Returns:
        The autoencoder, with latent variables on their principal axes if the recipe says so, and
        the training's history.
    """
    training, validation = _split(recipe, loops)
    keras.utils.set_random_seed(seed)
    features = training.grains[training.shares > 0]
    model = grain_autoencoder(
        features.shape[-1],
        recipe.latent_size,
        activation=recipe.activation,
        # A lower limit, so that rounding errors of a constant feature are not scaled up to 1.
        spread=np.maximum(features.std(axis=0), 1e-3),
    )
    on_tensorflow = keras.backend.backend() == "tensorflow"
    model.compile(
        fitting.optimizer(recipe, recipe.autoencoder_rate, recipe.autoencoder_batches),
        GrainLoss(recipe.mse_weight, recipe.norm_weight, recipe.moment_weight),
        steps_per_execution=fitting.STEPS_PER_EXECUTION if on_tensorflow else 1,
    )
    batches = recipe.autoencoder_batches
    per_epoch, epochs = fitting.epoch_length(batches, available=batches)
    states = GrainStates(
        training,
        fitting.mix_weights(recipe.eq8_share, sample_weights(training.moments)),
        magnets=_MAGNETS,
        states=max(recipe.batch_size // _MAGNETS, 1),
        batches=per_epoch,
        seed=seed,
    )
    inputs, targets = states_and_targets(validation)
    weights = fitting.mix_weights(recipe.eq8_share, sample_weights(validation.moments))
    history = model.fit(
        states,
        validation_data=(inputs, targets, weights),
        validation_batch_size=4,
        epochs=epochs,
        callbacks=[*fitting.callbacks(recipe), *callbacks],
        verbose=verbose,
    )
    if recipe.principal_axes:
        model = _with_principal_axes(model, training)
    return model, history


def encode_polycrystals(
    autoencoder: GrainAutoencoder | GrainHysteresis, loops: Polycrystals
) -> tuple[np.ndarray, np.ndarray]:
    """Return the latent states (s, t, d), and the embedding (s, g, e) of the grains."""
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
    field: ArrayLike,
    *,
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
) -> tuple[RecursiveRolloutModel, keras.callbacks.History]:
    """Train a predictor in the latent space of an autoencoder.

    The other arguments are those of `train_on_polycrystals`.

    Returns:
        The `RecursiveRolloutModel`, and the training's history.
    """
    training, validation = _split(recipe, loops)
    encoded = _encode(autoencoder, _with_rotated_copies(training, seed))
    held_out = _encode(autoencoder, validation)
    keras.utils.set_random_seed(seed)
    microstructure = None
    if recipe.microstructure_size:
        embedding_size = encoded.start.shape[-1]
        microstructure = grains_encoder(embedding_size, recipe.microstructure_size)
    model = compile_rollout(recipe, field, microstructure)
    options: dict[str, Any] = {"seed": seed, "callbacks": callbacks, "verbose": verbose}
    return model, fit_predictor(recipe, model, encoded, held_out, field, **options)


def _encode(autoencoder, loops):
    latent, embedding = encode_polycrystals(autoencoder, loops)
    return Encoded(latent, sample_weights(loops.moments), embedding)


def _split(recipe, loops):
    indices = split_by_simulation(len(loops.moments), recipe.validation)
    return (loops[part] for part in indices)


def _with_rotated_copies(loops, seed):
    """Return the loops and copies, rotated about the field and reflected: `LOOPS` in all."""
    rng, s = np.random.default_rng(seed), len(loops.moments)
    copies = [loops]
    for _ in range(LOOPS // s - 1):
        angles = rng.uniform(0, 2 * np.pi, s)
        copies.append(loops.turned(angles, rng.integers(2, size=(s, 2)).astype(bool)))
    parts = ("moments", "grains", "neighbors")
    return Polycrystals(*(np.concatenate([getattr(c, part) for c in copies]) for part in parts))


def _with_principal_axes(model, loops):
    """Return the autoencoder with uncorrelated latent variables; see `principal_axis_layers`."""
    latent_states, _ = encode_polycrystals(model, loops)
    size = latent_states.shape[-1]
    rotate, undo = principal_axis_layers(latent_states.reshape(-1, size))
    latent = keras.Input((None, size), name="latent")
    encoder = keras.Model(model.encoder.input, rotate(model.encoder.output), name="encoder")
    embedding = model.decoder.input["embedding"]
    decoder = keras.Model(
        {"latent": latent, "embedding": embedding},
        model.decoder({"latent": undo(latent), "embedding": embedding}),
        name="decoder",
    )
    return GrainAutoencoder(model.embedding, encoder, decoder, name=model.name)
