"""Whole loops in real space from the first states, through latent space."""

import keras
from keras import ops

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
    decoded. A rollout that takes the microstructure gets the first state.

    Args:
        encoder, decoder: between states (b, x, y, z, 3) and (b, d); those of an `autoencoder`.
        rollout: a `RecursiveRolloutModel` over d latent variables.
        unit_moments: bring every predicted moment to length 1. A decoder that cannot tell on which
            branch a grain is gives it a moment between both, which is short; the mean moment of the
            magnet is then right only as long as this one stays short.
        trained_along: (m,) µ0·H in tesla of the loops that it was trained on, for those who use it;
            a model that has learnt steps of one size knows no other. None if not told.

    Input:
        A dict of `states` (b, t, x, y, z, 3), the first t of the loop, and `field` (b, n), µ0·H
        in tesla at all its n steps, n > t.

    Output:
        (b, n, x, y, z, 3) moments: the t states as they came, and n - t predicted ones.

    Raises:
        ValueError: when the states are not t, or the fields no more than t.

    Notes:
        For `export` see `RecursiveRolloutModel`.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.models import *
        >>> whole = autoencoder(latent_size=2)
        >>> rollout = RecursiveRolloutModel(predictor(2, 4), window=4, horizon=5)
        >>> model = LatentHysteresis(whole.encoder, rollout, whole.decoder)
        >>> states = np.tile([0.0, 0.0, 1.0], (3, 4, 4, 4, 4, 1))
        >>> field = np.tile(np.linspace(8.0, -8.0, 50), (3, 1))
        >>> model.predict({"states": states, "field": field}, verbose=0).shape
        (3, 50, 4, 4, 4, 3)
    """

    parts = ("encoder", "rollout", "decoder")
    any_number_of_fields = True

    def __init__(
        self, encoder, rollout, decoder, unit_moments: bool = True, trained_along=None, **kwargs
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
        """Nothing to do: the parts are models already."""
        self.built = True

    def call(self, inputs, training=None):
        """Return the loop."""
        self.compute_output_shape(shapes_of(inputs))
        # Keras has done so already, but for its JAX trainer.
        given, field = (ops.cast(inputs[name], self.compute_dtype) for name in ("states", "field"))
        grid, t = tuple(given.shape)[2:], self.rollout.window
        encoded = self.encoder(ops.reshape(given, (-1, *grid)), training=training)
        states = ops.reshape(encoded, (-1, t, encoded.shape[-1]))
        told = {"states": states, "field": field[:, t:]}
        if self.rollout.microstructure is not None:
            told["start"] = given[:, 0]
        latents = self.rollout(told, training=training)
        decoded = self.decoder(ops.reshape(latents, (-1, latents.shape[-1])), training=training)
        n = -1 if field.shape[1] is None else field.shape[1] - t
        lead = (ops.shape(given)[0], n) if given.shape[0] is None or n == -1 else (-1, n)
        decoded = self._unit(decoded) if self.unit_moments else decoded
        predicted = ops.reshape(decoded, (*lead, *grid))
        return ops.concatenate([given, ops.cast(predicted, given.dtype)], axis=1)

    def compute_output_shape(self, input_shape):
        """(b, n, x, y, z, 3)."""
        states, field = map(tuple, require_inputs(input_shape, "states", "field"))
        t = self.rollout.window
        if len(states) < 4 or states[1] != t or states[-1] != 3:
            raise ValueError(
                f"`states` must have shape (b, t, x, y, z, 3) with t = {t}; received {states}."
            )
        require_more_fields(field, t)
        require_one_batch(states=states, field=field)
        return (states[0], field[1], *states[2:])

    def get_config(self):
        """The arguments."""
        names = ("unit_moments", "trained_along")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def coercivity(self, states, field, field_direction=(0.0, 0.0, 1.0), **kwargs):
        """Coercivity of the predicted loops.

        Args:
            states: (b, t, x, y, z, 3).
            field: (n,) or (b, n), of the whole loop, µ0·H in tesla.
            field_direction: (3,) unit vector.
            **kwargs: of `keras.Model.predict`, such as batch_size.

        Returns:
            (b,) in tesla; nan for a loop that never crosses zero.

        Raises:
            ValueError: when a shape does not fit, a field is not finite, or the direction is no
                unit vector.
        """
        direction = checks.unit_vectors(field_direction, "field_direction", (3,))
        field, loops = predict_along(self, states, field, **kwargs)
        grains = tuple(range(2, loops.ndim - 1))
        moment = loops.mean(axis=grains, dtype=float) @ direction
        return coercivity(field, moment)
