"""Model that predicts whole loops from their first states, through latent space."""

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from keras_micromag.layers.base import require_inputs, require_one_batch, shapes_of
from keras_micromag.layers.unit_norm import UnitNorm
from keras_micromag.models.base import (
    ComposedModel,
    FiniteFit,
    predict_along,
    require_more_fields,
)
from keras_micromag.physics.hysteresis import coercivity
from keras_micromag.utils import checks


@keras.saving.register_keras_serializable(package="keras_micromag")
class LatentHysteresis(FiniteFit, ComposedModel):
    """Encoder, rollout and decoder as one model of the whole loop (the paper's method).

    The first t states are encoded, and the rest of the loop is predicted in latent space and
    decoded. If the rollout takes the microstructure, the first state is passed to it.

    Args:
        encoder, decoder: models from states (b, x, y, z, 3) to latent states (b, d) and back; those
            of an `autoencoder`.
        rollout: a `RecursiveRolloutModel` over d latent variables.
        unit_moments: normalise every predicted moment to length 1. Where the branch of a grain is
            uncertain, the decoder gives a moment between both branches, which is short. The mean
            moment of the magnet is then more accurate without this normalisation.
        trained_along: (m,) µ0·H in tesla of the loops that the model was trained on, or None. It is
            kept for users of the model, which is accurate only for steps of the size it was trained
            with.

    Input:
        A dict of `states` (b, t, x, y, z, 3), the first t of the loop, and `field` (b, n), µ0·H
        in tesla at all its n steps, n > t.

    Output:
        (b, n, x, y, z, 3) moments: the t given states, and n - t predicted ones.

    Raises:
        ValueError: when the number of states is not t, or that of the fields not greater than t.

    Notes:
        For `export` see `RecursiveRolloutModel`.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.models import *
        >>> ae = autoencoder(latent_size=2)
        >>> rollout = RecursiveRolloutModel(predictor(2, 4), window=4, horizon=5)
        >>> model = LatentHysteresis(ae.encoder, rollout, ae.decoder)
        >>> states = np.tile([0.0, 0.0, 1.0], (3, 4, 4, 4, 4, 1))
        >>> field = np.tile(np.linspace(8.0, -8.0, 50), (3, 1))
        >>> model.predict({"states": states, "field": field}, verbose=0).shape
        (3, 50, 4, 4, 4, 3)
    """

    parts = ("encoder", "rollout", "decoder")
    any_number_of_fields = True

    def __init__(
        self,
        encoder: keras.Model,
        rollout: keras.Model,
        decoder: keras.Model,
        unit_moments: bool = True,
        trained_along: ArrayLike | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if trained_along is not None:
            trained_along = checks.finite_array(trained_along, "trained_along", (None,)).tolist()
        self.trained_along = trained_along
        self.encoder, self.rollout, self.decoder = encoder, rollout, decoder
        self.unit_moments, self._unit = bool(unit_moments), UnitNorm()
        if encoder.built and rollout.built and decoder.built:
            states = (None, rollout.window, *encoder.input_shape[1:])
            self.build({"states": states, "field": (None, None)})

    def build(self, input_shape):
        """Mark the model as built: its parts are built already."""
        self.built = True

    def call(self, inputs, training=None):
        """Return the loops."""
        self.compute_output_shape(shapes_of(inputs))
        # Keras casts the inputs, except in its JAX trainer.
        first, field = (ops.cast(inputs[name], self.compute_dtype) for name in ("states", "field"))
        grid, t = tuple(first.shape)[2:], self.rollout.window
        encoded = self.encoder(ops.reshape(first, (-1, *grid)), training=training)
        states = ops.reshape(encoded, (-1, t, encoded.shape[-1]))
        rollout_inputs = {"states": states, "field": field[:, t:]}
        if self.rollout.microstructure is not None:
            rollout_inputs["start"] = first[:, 0]
        latents = self.rollout(rollout_inputs, training=training)
        decoded = self.decoder(ops.reshape(latents, (-1, latents.shape[-1])), training=training)
        n = -1 if field.shape[1] is None else field.shape[1] - t
        # Only one size may be left to `reshape`.
        lead = (ops.shape(first)[0], n) if first.shape[0] is None or n == -1 else (-1, n)
        decoded = self._unit(decoded) if self.unit_moments else decoded
        predicted = ops.reshape(decoded, (*lead, *grid))
        return ops.concatenate([first, ops.cast(predicted, first.dtype)], axis=1)

    def compute_output_shape(self, input_shape):
        """Return (b, n, x, y, z, 3)."""
        states, field = map(tuple, require_inputs(input_shape, "states", "field"))
        t = self.rollout.window
        if len(states) < 4 or states[1] != t or states[-1] != 3:
            raise ValueError(
                f"`states` must have shape (b, t, x, y, z, 3) with t = {t}; received {states}."
            )
        require_more_fields(field, t)
        require_one_batch(states=states, field=field)
        return (states[0], field[1], *states[2:])

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        names = ("unit_moments", "trained_along")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def coercivity(
        self,
        states: ArrayLike,
        field: ArrayLike,
        field_direction: ArrayLike = (0.0, 0.0, 1.0),
        **kwargs,
    ) -> np.ndarray:
        """Return the coercivity of the predicted loops.

        Args:
            states: (b, t, x, y, z, 3).
            field: (n,) or (b, n) µ0·H in tesla of the whole loop.
            field_direction: (3,) unit vector.
            **kwargs: passed to `keras.Model.predict`, such as batch_size.

        Returns:
            (b,) in tesla; nan for a loop that never crosses zero.

        Raises:
            ValueError: when a shape does not fit, a field is not finite, or the direction is not a
                unit vector.
        """
        direction = checks.unit_vectors(field_direction, "field_direction", (3,))
        field, loops = predict_along(self, states, field, **kwargs)
        grains = tuple(range(2, loops.ndim - 1))
        moment = loops.mean(axis=grains, dtype=float) @ direction
        return coercivity(field, moment)
