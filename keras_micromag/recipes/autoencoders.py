"""Building and training of an autoencoder by a recipe."""

from collections.abc import Sequence

import keras
import numpy as np

from keras_micromag.data import Lattices, Polycrystals, sample_weights
from keras_micromag.losses import NormPreservingLoss
from keras_micromag.metrics import NormError, SquaredError
from keras_micromag.models import Autoencoder, autoencoder, grain_autoencoder
from keras_micromag.models.autoencoder import with_embedding
from keras_micromag.recipes import fitting
from keras_micromag.recipes.settings import Recipe

# Polycrystals in a batch, with several states of each: the embedding is computed once per magnet.
POLYCRYSTALS = 16


def build_autoencoder(recipe: Recipe, loops: Lattices | Polycrystals) -> Autoencoder:
    """Return a compiled autoencoder for such loops.

    Raises:
        ValueError: when the strides of `recipe.filters` do not divide the lattice.
    """
    if isinstance(loops, Lattices):
        model = autoencoder(
            loops.grid,
            recipe.latent_size,
            filters=recipe.filters,
            units=recipe.units,
            activation=recipe.activation,
            output_activation=recipe.output_activation,
        )
    else:
        features = loops.grains[loops.shares > 0]
        model = grain_autoencoder(
            features.shape[-1],
            recipe.latent_size,
            activation=recipe.activation,
            # A lower limit, so that rounding errors of a constant feature are not scaled up to 1.
            spread=np.maximum(features.std(axis=0), 1e-3),
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
    training: Lattices | Polycrystals,
    validation: Lattices | Polycrystals,
    *,
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
) -> tuple[Autoencoder, keras.callbacks.History]:
    """Train an autoencoder that `build_autoencoder` made by the same recipe.

    The other arguments, the results and the errors are those of `train_autoencoder`.
    """
    states = States(recipe, training, seed)
    history = model.fit(
        states,
        validation_data=(validation.inputs, validation.targets, _weights(recipe, validation)),
        validation_batch_size=_loops_per_batch(validation),
        epochs=states.epochs,
        callbacks=[*fitting.callbacks(recipe), *callbacks],
        verbose=verbose,
    )
    fitting.separate_averages(model)
    if recipe.principal_axes:
        model = _with_principal_axes(model, training)
    return model, history


def encode(
    autoencoder: Autoencoder, loops: Lattices | Polycrystals
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the latent states (s, t, d), and the embedding (s, g, e) of the grains, if any."""
    embedding = None
    if autoencoder.embedding is not None:
        embedding = autoencoder.embedding.predict(loops.magnet, verbose=0)
    states = with_embedding("states", loops.moments, embedding)
    batch_size = _loops_per_batch(loops)
    return autoencoder.encoder.predict(states, batch_size=batch_size, verbose=0), embedding


def _weights(recipe, loops):
    """Return the weights (s, t) of the states."""
    return fitting.mix_weights(recipe.eq8_share, sample_weights(loops.moments))


def _loops_per_batch(loops):
    """Return the number of loops that have about 4096 states together."""
    return max(4096 // loops.moments.shape[1], 1)


def _with_principal_axes(model, loops):
    """Return the autoencoder with latent variables on their principal axes.

    The new variables are uncorrelated with mean 0, and the largest has a standard deviation of 1.
    Noise of one size on them affects small variations more than large ones. All variables of the
    autoencoder itself depend on how far the magnet has reversed, so that noise on them would
    average out.
    """
    latent, _ = encode(model, loops)
    size = latent.shape[-1]
    latent = latent.reshape(-1, size)
    mean = latent.mean(axis=0, dtype=float)
    variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(latent.T.astype(float))))
    spread = float(np.sqrt(max(variances[-1], 0.0))) or 1.0  # 0 if all states are equal
    rotate = _fixed_layer("turn", axes / spread, -mean @ axes / spread)
    rotate_back = _fixed_layer("back", axes.T * spread, mean)
    encoder = keras.Model(model.encoder.input, rotate(model.encoder.output), name="encoder")
    latent = keras.Input((None, size), name="latent")
    embedding = None if model.embedding is None else model.decoder.input["embedding"]
    decoder = keras.Model(
        with_embedding("latent", latent, embedding),
        model.decode(rotate_back(latent), embedding),
        name="decoder",
    )
    return Autoencoder(encoder, decoder, model.embedding, name=model.name)


def _fixed_layer(name, kernel, bias):
    layer = keras.layers.Dense(len(bias), trainable=False, name=name)
    layer.build((None, len(bias)))
    layer.set_weights([kernel, bias])
    return layer


class States(keras.utils.PyDataset):
    """Batches of the states of loops, to train an autoencoder on.

    On lattices an epoch takes the states in a new order, and may have only a part of them. Of
    polycrystals every batch has random states of random magnets, which are rotated and reflected at
    random.

    Args:
        recipe: the settings.
        loops: the loops.
        seed: seed of the order and of the rotations.

    Attributes:
        epochs: number of epochs.
    """

    def __init__(self, recipe: Recipe, loops: Lattices | Polycrystals, seed: int = 0):
        super().__init__()
        self.loops, self.weights = loops, _weights(recipe, loops)
        self.batch_size, self._rng = recipe.batch_size, np.random.default_rng(seed)
        self._seed, self._epoch = seed, -1
        batches = recipe.autoencoder_batches
        available = batches  # of polycrystals, all different
        if isinstance(loops, Lattices):
            available = -(-self.weights.size // recipe.batch_size)
        self._length, self.epochs = fitting.epoch_length(batches, available)
        self.on_epoch_end()

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index):
        s, t = self.weights.shape
        if isinstance(self.loops, Lattices):
            chosen = self._order[index * self.batch_size : (index + 1) * self.batch_size]
            magnets, steps = chosen // t, chosen[:, None] % t
            states = self.loops.states(magnets, steps)
        else:
            # A generator for this batch alone: of a shared one every worker process has a copy.
            rng = np.random.default_rng((self._seed, self._epoch, index))
            magnets = rng.integers(s, size=POLYCRYSTALS)
            states_each = max(self.batch_size // POLYCRYSTALS, 1)
            steps = rng.integers(t, size=(POLYCRYSTALS, states_each))
            states = self.loops.states(magnets, steps).turned_at_random(rng)
        return states.inputs, states.targets, self.weights[magnets[:, None], steps]

    def on_epoch_end(self) -> None:
        """Go on to the next epoch: shuffle the states of lattices again."""
        self._epoch += 1
        if isinstance(self.loops, Lattices):
            self._order = self._rng.permutation(self.weights.size)
