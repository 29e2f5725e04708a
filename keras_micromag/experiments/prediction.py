"""Loops that a trained model predicts."""

import dataclasses

import keras
import numpy as np

from keras_micromag.experiments.loops import on_lattice
from keras_micromag.models import LatentHysteresis
from keras_micromag.physics import Hysteresis, cubic_grains, simulate


def predicted_loops(path, first, field) -> Hysteresis:
    """Loops that a trained model predicts for magnets of the paper's kind.

    Args:
        path: a `.keras` file with a `LatentHysteresis`.
        first: a `Hysteresis` of b magnets, of which the first states are taken, and the field; or
            easy axes (b, g, 3), of which the first states are simulated.
        field: (t,) µ0·H in tesla of the whole loop, for easy axes.

    Returns:
        The loops; those states that are predicted do not count as converged.

    Raises:
        ValueError: when the file holds no such model, or the magnets do not fit it.
    """
    try:
        model = keras.saving.load_model(path, compile=False)
    except ValueError as error:
        raise ValueError(f"`MODEL` must be a .keras file; received {path}: {error}") from error
    if not isinstance(model, LatentHysteresis):
        raise ValueError(f"`MODEL` must hold a LatentHysteresis; received {type(model).__name__}.")
    lattice, window = model.encoder.input_shape[1:-1], model.rollout.window
    if not isinstance(first, Hysteresis):
        first = simulate(cubic_grains(lattice), first, field=field[:window], progress=False)
    else:
        field = first.field
    states = first.magnetization
    if states.ndim != 4 or len(field) <= window or states.shape[2] != np.prod(lattice):
        raise ValueError(
            f"`MODEL` must be given loops (b, t, g, 3) with t greater than {window} and "
            f"g = {np.prod(lattice)}; received {states.shape} and {len(field)} fields."
        )
    moments = predict(model, states[:, :window], field)
    steps = np.arange(len(field)) < window
    known = np.broadcast_to(steps, (len(states), len(field)))
    return dataclasses.replace(
        first, field=field, magnetization=moments, converged=known, iterations=known.astype(int)
    )


def predict(model: LatentHysteresis, states, field):
    """(b, t, g, 3) loops from first states (b, window, g, 3) and t fields in tesla."""
    start = on_lattice(states, model.encoder.input_shape[1:-1])
    fields = np.tile(field, (len(states), 1))
    loops = model.predict({"states": start, "field": fields}, verbose=0)
    return loops.reshape(*loops.shape[:2], *states.shape[2:])


def reconstruct(autoencoder, states):
    """States (b, t, g, 3) through encoder and decoder."""
    flat = on_lattice(states, autoencoder.encoder.input_shape[1:-1])
    latent = autoencoder.encoder.predict(
        flat.reshape(-1, *flat.shape[2:]), batch_size=4096, verbose=0
    )
    decoded = autoencoder.decoder.predict(latent, batch_size=4096, verbose=0)
    return decoded.reshape(states.shape)
