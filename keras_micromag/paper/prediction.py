"""Loops that a trained model predicts."""

import dataclasses
from pathlib import Path
from zipfile import BadZipFile

import keras
import numpy as np

from keras_micromag.models import LatentHysteresis
from keras_micromag.paper.datasets import on_lattice
from keras_micromag.physics import Hysteresis, cubic_grains, simulate
from keras_micromag.recipes import encode
from keras_micromag.utils import checks


def predicted_loops(path, first) -> Hysteresis:
    """Loops that a trained model predicts for magnets of the paper's kind.

    Args:
        path: a `.keras` file with a `LatentHysteresis` that tells what it was `trained_along`.
        first: a `Hysteresis` of b magnets along these fields, of which the first states are taken;
            or easy axes (b, g, 3) of cubic grains of Nd2Fe14B, of which they are simulated.

    Returns:
        The loops; those states that are predicted do not count as converged.

    Raises:
        ValueError: when the file holds no such model, or the magnets do not fit it.
    """
    model = _model(path)
    lattice, window = model.encoder.input_shape[1:-1], model.rollout.window
    field, grains = np.array(model.trained_along), int(np.prod(lattice))
    if not isinstance(first, Hysteresis):
        axes = checks.unit_vectors(first, "easy_axes", (None, grains, 3))
        if not len(axes):
            raise ValueError("`easy_axes` must be those of at least one magnet; received none.")
        first = simulate(cubic_grains(lattice), axes, field=field[:window], progress=False)
    else:
        _require_fit(first, field, grains)
    states = first.magnetization[:, :window]
    settled = np.zeros((2, len(states), len(field)), dtype=int)
    settled[:, :, :window] = first.converged[:, :window], first.iterations[:, :window]
    return dataclasses.replace(
        first,
        field=field,
        magnetization=predict(model, states, field),
        converged=settled[0].astype(bool),
        iterations=settled[1],
        events=None,  # which are those of the magnets, not of the predictions
    )


def _model(path) -> LatentHysteresis:
    try:
        model = keras.saving.load_model(path, compile=False)
    except (ValueError, TypeError, KeyError, OSError, BadZipFile) as error:
        there = "" if Path(path).exists() else ", which is not there"
        raise ValueError(
            f"`MODEL` must be a .keras file; received {path}{there}: {error}"
        ) from error
    if not isinstance(model, LatentHysteresis) or model.trained_along is None:
        raise ValueError(
            "`MODEL` must hold a LatentHysteresis that tells the fields it was trained along; "
            f"received {type(model).__name__}."
        )
    return model


def _require_fit(loops, field, grains):
    shape = loops.magnetization.shape
    if loops.magnetization.ndim != 4 or shape[2] != grains:
        raise ValueError(
            f"`loops` must have moments (b, t, g, 3) with g = {grains}; received {shape}."
        )
    if loops.field.shape != field.shape or not np.allclose(loops.field, field):
        told = " and ".join(
            f"{len(each)} from {each[0]:g} to {each[-1]:g} T" for each in (field, loops.field)
        )
        raise ValueError(
            f"`loops` must be along the fields that the model was trained along; these are {told}."
        )
    if not np.allclose(loops.field_direction, (0.0, 0.0, 1.0)):
        raise ValueError(
            f"`loops` must be in fields along z; received {loops.field_direction.tolist()}."
        )


def predict(model: LatentHysteresis, states, field):
    """(b, t, g, 3) loops from first states (b, window, g, 3) and t fields in tesla."""
    start = on_lattice(states, model.encoder.input_shape[1:-1])
    fields = np.tile(field, (len(states), 1))
    loops = model.predict({"states": start, "field": fields}, verbose=0)
    return loops.reshape(*loops.shape[:2], *states.shape[2:])


def reconstruct(autoencoder, states):
    """States (b, t, g, 3) through encoder and decoder."""
    moments = on_lattice(states, autoencoder.encoder.input_shape[1:-1])
    latent = encode(autoencoder.encoder, moments)
    decoded = autoencoder.decoder.predict(
        latent.reshape(-1, latent.shape[-1]), batch_size=4096, verbose=0
    )
    return decoded.reshape(states.shape)
