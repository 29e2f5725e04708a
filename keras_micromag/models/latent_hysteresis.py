"""Model that predicts loops from their first states, in latent space."""

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from keras_micromag.layers.base import require_one_batch, shapes_of
from keras_micromag.models.autoencoder import Autoencoder, shapes_by_name
from keras_micromag.models.base import ComposedModel, predict_along
from keras_micromag.physics.hysteresis import coercivity
from keras_micromag.utils import checks


@keras.saving.register_keras_serializable(package="keras_micromag")
class LatentHysteresis(ComposedModel):
    """Autoencoder and rollout as one model of a loop (the paper's method).

    The first t states are encoded, and the rest of the loop is predicted in latent space and
    decoded. Where the branch of a grain is uncertain, the predicted moment lies between both
    branches, and is shorter than 1.

    Args:
        autoencoder: an `Autoencoder`, such as `autoencoder()` or `grain_autoencoder()`.
        rollout: a `RecursiveRolloutModel` over its d latent variables. If it takes the
            microstructure, its input `start` is the autoencoder's embedding, or without one the
            first state.
        trained_along: (m,) µ0·H in tesla of the loops that the model was trained on, or None. It is
            kept for users of the model, which is accurate only for steps of the size it was trained
            with.

    Input:
        A dict of `states` (b, t, g, 3), the first t of the loop, and `field` (b, n), µ0·H in tesla
        at all its n steps, n > t. With an embedding also `grains` (b, g, c) and `neighbors`
        (b, g, g), as for the `Autoencoder`.

    Output:
        (b, n, g, 3) moments: the t given states, and n - t predicted ones.

    Raises:
        ValueError: when the number of states is not t, that of the fields not greater than t, or
            that of the grains not the autoencoder's.

    Notes:
        For `export` see `RecursiveRolloutModel`.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.models import *
        >>> rollout = RecursiveRolloutModel(predictor(2, 4), window=4, horizon=5)
        >>> model = LatentHysteresis(autoencoder(latent_size=2), rollout)
        >>> states = np.tile([0.0, 0.0, 1.0], (3, 4, 64, 1))
        >>> field = np.tile(np.linspace(8.0, -8.0, 50), (3, 1))
        >>> model.predict({"states": states, "field": field}, verbose=0).shape
        (3, 50, 64, 3)
    """

    parts = ("autoencoder", "rollout")
    any_number_of_fields = True

    def __init__(
        self,
        autoencoder: Autoencoder,
        rollout: keras.Model,
        trained_along: ArrayLike | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if trained_along is not None:
            trained_along = checks.finite_array(trained_along, "trained_along", (None,)).tolist()
        self.trained_along = trained_along
        self.autoencoder, self.rollout = autoencoder, rollout
        if autoencoder.built and rollout.built:
            shapes = autoencoder.input_shapes()
            b, _, *grains = shapes["states"]
            self.build({**shapes, "states": (b, rollout.window, *grains), "field": (None, None)})

    def build(self, input_shape):
        """Mark the model as built: its parts are built already."""
        self.built = True

    def call(self, inputs, training=None):
        """Return the loops."""
        self.compute_output_shape(shapes_of(inputs))
        first, field = inputs["states"], inputs["field"]
        embedding = self.autoencoder.embed(inputs, training=training)
        latent = self.autoencoder.encode(first, embedding, training=training)
        rollout_inputs = {"states": latent, "field": field[:, self.rollout.window :]}
        if self.rollout.microstructure is not None:
            rollout_inputs["start"] = first[:, 0] if embedding is None else embedding
        latent = self.rollout(rollout_inputs, training=training)
        predicted = self.autoencoder.decode(latent, embedding, training=training)
        loops = [ops.cast(part, self.compute_dtype) for part in (first, predicted)]
        return ops.concatenate(loops, axis=1)

    def compute_output_shape(self, input_shape):
        """Return (b, n, g, 3)."""
        names = ("states", "field", *self.autoencoder.magnet_inputs)
        shapes = shapes_by_name(input_shape, *names)
        self.autoencoder.require_shapes(shapes, self.rollout.window)
        field, t = shapes["field"], self.rollout.window
        if len(field) != 2 or (field[1] is not None and field[1] <= t):
            raise ValueError(
                "`field` must have shape (b, n), all fields of the loop, with n greater than "
                f"t = {t}; received {field}."
            )
        require_one_batch(**shapes)
        return (shapes["states"][0], shapes["field"][1], *shapes["states"][2:])

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "trained_along": self.trained_along}

    def coercivity(
        self,
        states: ArrayLike,
        field: ArrayLike,
        field_direction: ArrayLike = (0.0, 0.0, 1.0),
        *,
        grains: ArrayLike | None = None,
        neighbors: ArrayLike | None = None,
        **kwargs,
    ) -> np.ndarray:
        """Return the coercivity of the predicted loops.

        Args:
            states: (b, t, g, 3).
            field: (n,) or (b, n) µ0·H in tesla of the entire loop.
            field_direction: (3,) unit vector.
            grains, neighbors: see `Autoencoder`; only with an embedding.
            **kwargs: passed to `keras.Model.predict`, such as batch_size.

        Returns:
            (b,) in tesla; nan for a loop that never crosses zero.

        Raises:
            ValueError: when a shape does not fit, a field is not finite, or the direction is not a
                unit vector.
        """
        direction = checks.unit_vectors(field_direction, "field_direction", (3,))
        magnet = {"grains": grains, "neighbors": neighbors}
        magnet = {name: np.asarray(part) for name, part in magnet.items() if part is not None}
        field, loops = predict_along(self, states, field, magnet, **kwargs)
        along = loops.astype(float) @ direction
        if "grains" not in magnet:
            return coercivity(field, along.mean(axis=2))
        return coercivity(field, np.einsum("btg,bg->bt", along, magnet["grains"][..., 0]))


# See the note beside GrainAutoencoder.
keras.saving.get_custom_objects()["keras_micromag>GrainHysteresis"] = LatentHysteresis
