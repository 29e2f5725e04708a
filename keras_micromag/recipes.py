"""How the paper's method is trained: a recipe is every setting, `train` follows it."""

import dataclasses
from typing import NamedTuple

import keras
import numpy as np

from keras_micromag.data import Windows, sample_weights, split_by_simulation, symmetric_images
from keras_micromag.losses import NormPreservingLoss, RolloutLoss
from keras_micromag.metrics import NormError, SquaredError
from keras_micromag.models import (
    Autoencoder,
    LatentHysteresis,
    RecursiveRolloutModel,
    autoencoder,
    microstructure_encoder,
    predictor,
)
from keras_micromag.physics import checks


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings of a training, for an autoencoder (Table 1) and a predictor in its latent space.

    Args:
        latent_size: d. window: t. horizon: l. hidden_layers, width: of the predictor.
        output_activation: of autoencoder and predictor.
        mse_weight, norm_weight, moment_weight: of `NormPreservingLoss`.
        eq8_share, predictor_eq8_share: share of the weights of Eq. 8 in those of the states, for
            autoencoder and predictor; the rest is uniform.
        images: symmetric images of each magnet to train on, itself included, see
            `symmetric_images`; None for as many as make `LOOPS` loops of all magnets.
        principal_axes: turn the latent variables so that they are uncorrelated, shift them to mean
            0, and scale them all by the largest spread.
        input_noise: see `predictor`, in units of the latent variables.
        microstructure_size: c of a `microstructure_encoder`, 0 for none.
        schedule: "plateau" (the paper) multiplies the rate by `rate_factor` after `rate_patience`
            epochs without a lower validation loss, and stops after `stop_patience`; "cosine" lowers
            it to 0 over all batches.
        averaging: momentum of the moving average over the steps that the weights become in the end,
            0 for the last weights. The losses that a training tells are those of the weights as
            they move; a training of less than some thousand batches hardly moves the average.
        autoencoder_rate, predictor_rate: learning rates of Nadam.
        autoencoder_batches, predictor_batches: how many to train on, at most.
        batch_size: 64 in the paper.
        validation: share of the simulations that are held out, at least one.

    Raises:
        ValueError: naming the setting.
    """

    latent_size: int = 16
    window: int = 4
    horizon: int = 4
    hidden_layers: int = 4
    width: int = 128
    output_activation: str = "linear"
    mse_weight: float = 0.85
    norm_weight: float = 0.15
    moment_weight: float = 10.0
    eq8_share: float = 0.2
    predictor_eq8_share: float = 0.0
    images: int | None = None
    principal_axes: bool = True
    input_noise: float = 1.0
    microstructure_size: int = 16
    schedule: str = "cosine"
    rate_factor: float = 0.5
    rate_patience: int = 20
    stop_patience: int = 60
    averaging: float = 0.999
    autoencoder_rate: float = 5e-3
    predictor_rate: float = 4e-3
    autoencoder_batches: int = 16_000
    predictor_batches: int = 20_000
    batch_size: int = 256
    validation: float = 0.05

    def __post_init__(self):
        checks.one_of(self.schedule, "schedule", ("plateau", "cosine"))
        counted = ("rate_patience", "stop_patience", "batch_size")
        counted += ("autoencoder_batches", "predictor_batches")
        for name in (*counted, *["images"] * (self.images is not None)):
            checks.count(getattr(self, name), name)
        for name in ("autoencoder_rate", "predictor_rate", "rate_factor"):
            checks.number(getattr(self, name), name, above=0)
        for name in ("eq8_share", "predictor_eq8_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"`{name}` must be from 0 to 1; received {getattr(self, name)}.")
        if not 0 <= self.averaging < 1:
            raise ValueError(
                f"`averaging` must be at least 0 and below 1; received {self.averaging}."
            )
        if not 0 < self.validation < 1:
            raise ValueError(f"`validation` must lie between 0 and 1; received {self.validation}.")


RECIPES = {
    "paper": Recipe(
        horizon=8,
        output_activation="elu",
        images=1,
        moment_weight=0.0,
        eq8_share=1.0,
        predictor_eq8_share=1.0,
        principal_axes=False,
        input_noise=0.0,
        microstructure_size=0,
        schedule="plateau",
        averaging=0.0,
        autoencoder_rate=1e-4,
        predictor_rate=1e-4,
        autoencoder_batches=30_000,
        predictor_batches=12_000,
        batch_size=64,
        validation=0.2,
    ),
    "default": Recipe(),
}
"""The paper's, as far as it tells, and the one that works."""

LOOPS = 1600  # what a training of some ten thousand batches can take in

AT_ONCE = 16  # batches per call of what TensorFlow compiled: a call costs as much as half of one


class Trained(NamedTuple):
    """What `train` returns."""

    model: LatentHysteresis
    autoencoder: keras.callbacks.History
    predictor: keras.callbacks.History


def train(
    recipe: Recipe, moments, field, *, seed: int = 0, callbacks=(), verbose="auto"
) -> Trained:
    """Train the paper's method on simulated loops: `train_autoencoder`, then `train_predictor`.

    Args:
        recipe: the settings, of `RECIPES` or your own.
        moments: (s, t, x, y, z, 3) unit moments of s loops along the same fields, at least two.
        field: (t,) µ0·H in tesla.
        seed: of the weights, the batches and the noise.
        callbacks: for both trainings, beside those of the recipe.
        verbose: of Keras's `fit`.

    Returns:
        The whole model, and the histories of both trainings.

    Raises:
        ValueError: when a shape does not fit, or there is but one loop.
        DivergenceError: when a loss came to NaN.

    Example:
        >>> import numpy as np
        >>> from dataclasses import replace
        >>> from keras_micromag.recipes import RECIPES, train
        >>> short = replace(RECIPES["default"], autoencoder_batches=1, predictor_batches=1)
        >>> loops = np.tile([0.0, 0.0, 1.0], (5, 20, 2, 2, 2, 1))
        >>> train(short, loops, np.linspace(8, -8, 20), verbose=0).model.rollout.horizon
        4
    """
    told = {"seed": seed, "callbacks": callbacks, "verbose": verbose}
    autoencoder, history = train_autoencoder(recipe, moments, **told)
    rollout, history_too = train_predictor(recipe, autoencoder.encoder, moments, field, **told)
    return Trained(whole(autoencoder, rollout, field), history, history_too)


def whole(autoencoder: Autoencoder, rollout: RecursiveRolloutModel, field) -> LatentHysteresis:
    """Both parts, trained along a field (t,) in tesla, as one model of the whole loop."""
    return LatentHysteresis(
        autoencoder.encoder, rollout, autoencoder.decoder, unit_moments=False, trained_along=field
    )


def train_autoencoder(recipe: Recipe, moments, *, seed: int = 0, callbacks=(), verbose="auto"):
    """Train an autoencoder of states; arguments as for `train`.

    Returns:
        The autoencoder, on its principal axes if the recipe has it so, and the training's history.
    """
    training, validation = _split(recipe, moments)
    keras.utils.set_random_seed(seed)
    model = autoencoder(
        training.shape[2:5], recipe.latent_size, output_activation=recipe.output_activation
    )
    batches = -(-training.shape[0] * training.shape[1] // recipe.batch_size)
    per_epoch = min(batches, _epoch(recipe.autoencoder_batches))
    model.compile(
        _optimizer(recipe, recipe.autoencoder_rate, recipe.autoencoder_batches),
        NormPreservingLoss(recipe.mse_weight, recipe.norm_weight, recipe.moment_weight),
        metrics=[SquaredError(), NormError()],
        steps_per_execution=AT_ONCE if keras.backend.backend() == "tensorflow" else 1,
    )
    weights = _weights(recipe.eq8_share, training).ravel()
    states = training.reshape(-1, *training.shape[2:])
    held_out = validation.reshape(-1, *validation.shape[2:])
    rng = np.random.default_rng(seed)
    history = model.fit(
        _Sampled(states, weights, recipe.batch_size, per_epoch, rng),
        validation_data=(held_out, held_out, _weights(recipe.eq8_share, validation).ravel()),
        validation_batch_size=4096,
        epochs=max(recipe.autoencoder_batches // per_epoch, 1),
        callbacks=[*_callbacks(recipe), *callbacks],
        verbose=verbose,
    )
    if recipe.principal_axes:
        model = _on_principal_axes(model, training)
    return model, history


def train_predictor(
    recipe: Recipe, encoder, moments, field, *, seed: int = 0, callbacks=(), verbose="auto"
):
    """Train a predictor in the latent space of an encoder; other arguments as for `train`.

    Returns:
        The `RecursiveRolloutModel`, and the training's history.
    """
    training, validation = _split(recipe, moments)
    field = checks.finite_array(field, "field", (training.shape[1],), "one per state")
    keras.utils.set_random_seed(seed)

    def windows(moments, **kwargs):
        weights = _weights(recipe.predictor_eq8_share, moments)
        return Windows(
            encode(encoder, moments),
            field,
            recipe.window,
            recipe.horizon,
            step_weights=weights,
            start=moments[:, 0] if recipe.microstructure_size else None,
            batch_size=recipe.batch_size,
            seed=seed,
            **kwargs,
        )

    network = predictor(
        recipe.latent_size,
        recipe.window,
        hidden_layers=recipe.hidden_layers,
        width=recipe.width,
        output_activation=recipe.output_activation,
        field_scale=float(np.abs(field).max()),
        input_noise=recipe.input_noise,
        microstructure_size=recipe.microstructure_size,
    )
    microstructure = None
    if recipe.microstructure_size:
        start = training[:, 0].reshape(-1, 3)
        spread = np.maximum(start.std(axis=0), 1e-3)
        microstructure = microstructure_encoder(
            training.shape[2:5], recipe.microstructure_size, mean=start.mean(axis=0), spread=spread
        )
    model = RecursiveRolloutModel(network, recipe.window, recipe.horizon, microstructure)
    model.compile(
        _optimizer(recipe, recipe.predictor_rate, recipe.predictor_batches), RolloutLoss()
    )
    data = windows(training)
    per_epoch = min(len(data), _epoch(recipe.predictor_batches))
    history = model.fit(
        _Part(data, per_epoch) if per_epoch < len(data) else data,
        validation_data=windows(validation, shuffle=False),
        epochs=max(recipe.predictor_batches // per_epoch, 1),
        callbacks=[*_callbacks(recipe), *callbacks],
        verbose=verbose,
    )
    return model, history


def _split(recipe, moments):
    """Loops to train on, images included, and loops to validate on."""
    shape = (None, None, None, None, None, 3)
    moments = checks.finite_array(moments, "moments", shape).astype("float32")
    training, validation = (
        moments[indices] for indices in split_by_simulation(len(moments), recipe.validation)
    )
    images = LOOPS // len(training) if recipe.images is None else recipe.images
    if images > 1:
        training = symmetric_images(training, images).reshape(-1, *moments.shape[1:])
    return training, validation


def _epoch(batches):
    """How many batches an epoch has at most: what validation and callbacks go by."""
    part = max(batches // 20, 1)
    return part - part % AT_ONCE if part > AT_ONCE else part


def encode(encoder, moments):
    """(s, t, d) latent states of loops (s, t, x, y, z, 3)."""
    flat = moments.reshape(-1, *moments.shape[2:])
    latent = encoder.predict(flat, batch_size=4096, verbose=0)
    return latent.reshape(*moments.shape[:2], -1)


def _on_principal_axes(model, moments):
    """The same autoencoder with latent variables uncorrelated, the largest with spread 1.

    Noise on them then hides what varies little before what varies much; on the autoencoder's own,
    which all tell how far the magnet has reversed, it would average out.
    """
    encoder, decoder = model.encoder, model.decoder
    latent = encode(encoder, moments).reshape(-1, encoder.output_shape[-1])
    mean = latent.mean(axis=0, dtype=float)
    variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(latent.T.astype(float))))
    spread = float(np.sqrt(max(variances[-1], 0.0))) or 1.0  # of states that are all alike
    layers, size = keras.layers, len(mean)
    turn, back = (layers.Dense(size, trainable=False, name=name) for name in ("turn", "back"))
    latent = keras.Input((size,), name="latent")
    turned = keras.Model(encoder.input, turn(encoder.output), name="encoder")
    untold = keras.Model(latent, decoder(back(latent)), name="decoder")
    turn.set_weights([axes / spread, -mean @ axes / spread])
    back.set_weights([axes.T * spread, mean])
    return Autoencoder(turned, untold, name=model.name)


def _weights(eq8_share, moments):
    """(s, t) weights of the states, with a mean of 1."""
    eq8 = sample_weights(moments.reshape(*moments.shape[:2], -1, 3))
    mean = eq8.mean() or 1.0  # of magnets that never move
    return eq8_share * eq8 / mean + (1 - eq8_share)


def _optimizer(recipe, rate, batches):
    if recipe.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, batches)
    # The mean of the last weights: single ones leave a recursion of a thousand steps to chance.
    average = {"use_ema": True, "ema_momentum": recipe.averaging} if recipe.averaging else {}
    return keras.optimizers.Nadam(rate, **average)


def _callbacks(recipe):
    if recipe.schedule == "cosine":
        return []
    return [
        # The paper has "a certain amount of epochs".
        keras.callbacks.ReduceLROnPlateau(factor=recipe.rate_factor, patience=recipe.rate_patience),
        keras.callbacks.EarlyStopping(patience=recipe.stop_patience, restore_best_weights=True),
    ]


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


class _Part(keras.utils.PyDataset):
    """The first batches of windows that are shuffled anew in every epoch."""

    def __init__(self, windows, batches):
        super().__init__()
        self.windows, self.batches = windows, batches

    def __len__(self):
        return self.batches

    def __getitem__(self, index):
        return self.windows[index]

    def on_epoch_end(self):
        self.windows.on_epoch_end()
