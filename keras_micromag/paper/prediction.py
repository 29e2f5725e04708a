"""Prediction of loops with a trained model."""

import dataclasses
import os

import numpy as np
from numpy.typing import ArrayLike

from keras_micromag.models import Autoencoder, LatentHysteresis
from keras_micromag.paper.folder import cause_of, load_model
from keras_micromag.physics import Hysteresis, cubic_grains, simulate
from keras_micromag.physics.microstructure.particles import PAPER_DEPTH
from keras_micromag.utils import checks

# Each has a thousand states of some sixty grains.
_LOOPS_PER_BATCH = 10


def predicted_loops(path: str | os.PathLike, first: Hysteresis | ArrayLike) -> Hysteresis:
    """Predict the loops of magnets of cubic grains of Nd2Fe14B with a trained model.

    Args:
        path: a `.keras` file with a `LatentHysteresis` of grains on a lattice that has
            `trained_along`.
        first: the loops of b magnets along these fields, whose first states are taken; or easy axes
            (b, g, 3), for which the first states are simulated like those of the data set `paper`.

    Returns:
        The loops; predicted states are marked as not converged.

    Raises:
        ValueError: when the file has no such model, or the magnets do not fit it.
    """
    model, grid = _model_and_grid(path)
    window = model.rollout.window
    field, grains = np.array(model.trained_along), int(np.prod(grid))
    if not isinstance(first, Hysteresis):
        axes = checks.unit_vectors(first, "easy_axes", (None, grains, 3))
        if not len(axes):
            raise ValueError("`easy_axes` must be those of at least one magnet; received none.")
        first = simulate(
            cubic_grains(grid, depth=PAPER_DEPTH),
            axes,
            field=field[:window],
            self_field=False,
            avalanche="simultaneous",
            progress=False,
        )
    else:
        _require_fit(first, field, grains)
    states = first.magnetization[:, :window]
    try:
        magnetization = predict(model, states, field)
    except MemoryError:
        raise
    except Exception as error:  # of parts that do not fit together
        raise ValueError(
            f"`MODEL` must be a model of these loops; received {path}: {cause_of(error)}"
        ) from error
    converged = np.zeros((len(states), len(field)), dtype=bool)
    converged[:, :window] = first.converged[:, :window]
    iterations = np.zeros((len(states), len(field)), dtype=int)
    iterations[:, :window] = first.iterations[:, :window]
    return dataclasses.replace(
        first,
        field=field,
        magnetization=magnetization,
        converged=converged,
        iterations=iterations,
        events=None,  # those of `first` are not those of the predictions
        trust=None,
    )


def _model_and_grid(path) -> tuple[LatentHysteresis, tuple[int, ...]]:
    model = load_model(path, "`MODEL` must be a .keras file")
    if not isinstance(model, LatentHysteresis) or model.trained_along is None:
        raise ValueError(
            "`MODEL` must hold a LatentHysteresis that tells the fields it was trained along; "
            f"received {type(model).__name__}."
        )
    grid = model.autoencoder.grid
    if grid is None:
        raise ValueError(
            f"`MODEL` must be one of grains on a lattice; received one of other grains, {path}."
        )
    return model, grid


def _require_fit(loops, field, grains):
    shape = loops.magnetization.shape
    if loops.magnetization.ndim != 4 or shape[2] != grains:
        raise ValueError(
            f"`loops` must have moments (b, t, g, 3) with g = {grains}; received {shape}."
        )
    if loops.field.shape != field.shape or not np.allclose(loops.field, field):
        ranges = " and ".join(
            f"{len(each)} from {each[0]:g} to {each[-1]:g} T" for each in (field, loops.field)
        )
        raise ValueError(
            "`loops` must be along the fields that the model was trained along; these are "
            f"{ranges}."
        )
    if not np.allclose(loops.field_direction, (0.0, 0.0, 1.0)):
        raise ValueError(
            f"`loops` must be in fields along z; received {loops.field_direction.tolist()}."
        )


def predict(
    model: LatentHysteresis,
    states: np.ndarray,
    field: np.ndarray,
    magnet: dict[str, np.ndarray] | None = None,
) -> np.ndarray:
    """Return loops (b, t, g, 3) of b magnets.

    Args:
        model: the model.
        states: (b, window, g, 3) first states.
        field: (t,) µ0·H in tesla.
        magnet: the inputs of the model that describe the grains, see `Polycrystals`.
    """
    fields = np.tile(field, (len(states), 1))
    inputs = {"states": states, "field": fields, **(magnet or {})}
    return model.predict(inputs, batch_size=_LOOPS_PER_BATCH, verbose=0)


def reconstruct(
    autoencoder: Autoencoder, states: np.ndarray, magnet: dict[str, np.ndarray] | None = None
) -> np.ndarray:
    """Return states (b, t, g, 3) after encoding and decoding; `magnet` as for `predict`."""
    inputs = {"states": states, **magnet} if magnet else states
    return autoencoder.predict(inputs, batch_size=_LOOPS_PER_BATCH, verbose=0)
