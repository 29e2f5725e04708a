"""An autoencoder by a recipe."""

import keras
import numpy as np

from keras_micromag.losses import NormPreservingLoss
from keras_micromag.metrics import NormError, SquaredError
from keras_micromag.models import Autoencoder, autoencoder
from keras_micromag.recipes import fitting


def build_autoencoder(recipe, lattice) -> Autoencoder:
    """A compiled autoencoder for states on a lattice (x, y, z).

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
        steps_per_execution=fitting.AT_ONCE if keras.backend.backend() == "tensorflow" else 1,
    )
    return model


def fit_autoencoder(
    recipe, model, training, validation, *, seed: int = 0, callbacks=(), verbose="auto"
):
    """Train an autoencoder that `build_autoencoder` made by the same recipe.

    Args:
        training, validation: (s, t, x, y, z, 3) loops.
        seed: of the batches.
        callbacks, verbose: see `train`.

    Returns:
        The autoencoder, on its principal axes if the recipe has it so, and the training's history.

    Raises:
        DivergenceError: when the loss came to NaN.
    """
    there = -(-training.shape[0] * training.shape[1] // recipe.batch_size)
    per_epoch, epochs = fitting.epoch(recipe.autoencoder_batches, there)
    states = training.reshape(-1, *training.shape[2:])
    held_out = validation.reshape(-1, *validation.shape[2:])
    weights, of_held_out = (
        fitting.weights(recipe.eq8_share, loops).ravel() for loops in (training, validation)
    )
    rng = np.random.default_rng(seed)
    history = model.fit(
        _Sampled(states, weights, recipe.batch_size, per_epoch, rng),
        validation_data=(held_out, held_out, of_held_out),
        validation_batch_size=4096,
        epochs=epochs,
        callbacks=[*fitting.callbacks(recipe), *callbacks],
        verbose=verbose,
    )
    if recipe.principal_axes:
        model = _on_principal_axes(model, training)
    return model, history


def encode(encoder, moments):
    """(s, t, d) latent states of loops (s, t, x, y, z, 3)."""
    flat = moments.reshape(-1, *moments.shape[2:])
    latent = encoder.predict(flat, batch_size=4096, verbose=0)
    return latent.reshape(*moments.shape[:2], -1)


def _on_principal_axes(model, moments):
    """The same autoencoder with latent variables uncorrelated; see `principal_axes`."""
    encoder, decoder = model.encoder, model.decoder
    size = encoder.output_shape[-1]
    turn, back = principal_axes(encode(encoder, moments).reshape(-1, size))
    latent = keras.Input((size,), name="latent")
    turned = keras.Model(encoder.input, turn(encoder.output), name="encoder")
    untold = keras.Model(latent, decoder(back(latent)), name="decoder")
    return Autoencoder(turned, untold, name=model.name)


def principal_axes(latent):
    """Layers that bring latent variables (n, d) to their principal axes, and back.

    There they are uncorrelated, and the largest has the spread 1. Noise on them then hides what
    varies little before what varies much; on the autoencoder's own, which all tell how far the
    magnet has reversed, it would average out.
    """
    mean = latent.mean(axis=0, dtype=float)
    variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(latent.T.astype(float))))
    spread = float(np.sqrt(max(variances[-1], 0.0))) or 1.0  # of states that are all alike
    turn, back = (
        keras.layers.Dense(len(mean), trainable=False, name=name) for name in ("turn", "back")
    )
    for layer in (turn, back):
        layer.build((None, len(mean)))
    turn.set_weights([axes / spread, -mean @ axes / spread])
    back.set_weights([axes.T * spread, mean])
    return turn, back


class _Sampled(keras.utils.PyDataset):
    """Batches of states in a new order in every epoch, which may take only a part of them."""

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
