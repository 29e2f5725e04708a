"""Building and training of an autoencoder by a recipe."""

from collections.abc import Sequence

import keras
import numpy as np

from keras_micromag.losses import NormPreservingLoss
from keras_micromag.metrics import NormError, SquaredError
from keras_micromag.models import Autoencoder, autoencoder
from keras_micromag.recipes import fitting
from keras_micromag.recipes.settings import Recipe


def build_autoencoder(recipe: Recipe, lattice: Sequence[int]) -> Autoencoder:
    """Return a compiled autoencoder for states on a lattice (x, y, z).

    Raises:
        ValueError: when the strides of `recipe.filters` do not divide the lattice.
    """
    model = autoencoder(
        lattice,
        recipe.latent_size,
        filters=recipe.filters,
        units=recipe.units,
        activation=recipe.activation,
        output_activation=recipe.output_activation,
    )
    model.compile(
        fitting.optimizer(recipe, recipe.autoencoder_rate, recipe.autoencoder_batches),
        NormPreservingLoss(recipe.mse_weight, recipe.norm_weight, recipe.moment_weight),
        metrics=[SquaredError(), NormError()],
        steps_per_execution=(
            fitting.STEPS_PER_EXECUTION if keras.backend.backend() == "tensorflow" else 1
        ),
    )
    return model


def fit_autoencoder(
    recipe: Recipe,
    model: Autoencoder,
    training: np.ndarray,
    validation: np.ndarray,
    *,
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
) -> tuple[Autoencoder, keras.callbacks.History]:
    """Train an autoencoder that `build_autoencoder` made by the same recipe.

    Args:
        recipe: the settings.
        model: the compiled autoencoder.
        training, validation: (s, t, x, y, z, 3) loops.
        seed: seed of the order of the batches.
        callbacks, verbose: see `train`.

    Returns:
        The autoencoder, with latent variables on their principal axes if the recipe says so, and
        the training's history.

    Raises:
        DivergenceError: when the loss is not finite.
    """
    available = -(-training.shape[0] * training.shape[1] // recipe.batch_size)
    per_epoch, epochs = fitting.epoch_length(recipe.autoencoder_batches, available)
    states = training.reshape(-1, *training.shape[2:])
    held_out = validation.reshape(-1, *validation.shape[2:])
    weights, held_out_weights = (
        fitting.state_weights(recipe.eq8_share, loops).ravel() for loops in (training, validation)
    )
    rng = np.random.default_rng(seed)
    history = model.fit(
        _ShuffledStates(states, weights, recipe.batch_size, per_epoch, rng),
        validation_data=(held_out, held_out, held_out_weights),
        validation_batch_size=4096,
        epochs=epochs,
        callbacks=[*fitting.callbacks(recipe), *callbacks],
        verbose=verbose,
    )
    if recipe.principal_axes:
        model = _with_principal_axes(model, training)
    return model, history


def encode(encoder: keras.Model, moments: np.ndarray) -> np.ndarray:
    """Return the latent states (s, t, d) of loops (s, t, x, y, z, 3)."""
    flat = moments.reshape(-1, *moments.shape[2:])
    latent = encoder.predict(flat, batch_size=4096, verbose=0)
    return latent.reshape(*moments.shape[:2], -1)


def _with_principal_axes(model, moments):
    """Return the autoencoder with uncorrelated latent variables; see `principal_axis_layers`."""
    size = model.encoder.output_shape[-1]
    rotate, undo = principal_axis_layers(encode(model.encoder, moments).reshape(-1, size))
    latent = keras.Input((size,), name="latent")
    encoder = keras.Model(model.encoder.input, rotate(model.encoder.output), name="encoder")
    decoder = keras.Model(latent, model.decoder(undo(latent)), name="decoder")
    return Autoencoder(encoder, decoder, name=model.name)


def principal_axis_layers(latent: np.ndarray) -> tuple[keras.layers.Dense, keras.layers.Dense]:
    """Return layers that rotate latent variables (n, d) to their principal axes, and back.

    The rotated variables are uncorrelated with mean 0, and the largest has a standard deviation of
    1. Noise of one size on them affects small variations more than large ones. All variables of the
    autoencoder itself depend on how far the magnet has reversed, so that noise on them would
    average out.
    """
    mean = latent.mean(axis=0, dtype=float)
    variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(latent.T.astype(float))))
    spread = float(np.sqrt(max(variances[-1], 0.0))) or 1.0  # 0 if all states are equal
    rotate, undo = (
        keras.layers.Dense(len(mean), trainable=False, name=name) for name in ("turn", "back")
    )
    for layer in (rotate, undo):
        layer.build((None, len(mean)))
    rotate.set_weights([axes / spread, -mean @ axes / spread])
    undo.set_weights([axes.T * spread, mean])
    return rotate, undo


class _ShuffledStates(keras.utils.PyDataset):
    """Batches of states in a new order in each epoch, which may have only a part of the states."""

    def __init__(self, states, weights, batch_size, batches, rng):
        super().__init__()
        self.states, self.weights, self.rng = states, weights, rng
        self.batch_size, self.batches = batch_size, batches
        self.on_epoch_end()

    def __len__(self):
        return self.batches

    def __getitem__(self, index):
        chosen = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        return self.states[chosen], self.states[chosen], self.weights[chosen]

    def on_epoch_end(self):
        self._order = self.rng.permutation(len(self.states))
