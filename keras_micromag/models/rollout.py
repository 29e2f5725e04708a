"""A predictor that is fed its own predictions (Eq. 10-12)."""

import inspect
import math

import keras
from keras import ops

from keras_micromag import data, losses
from keras_micromag.layers.base import require_inputs, require_one_batch, shapes_of
from keras_micromag.models.base import ComposedModel, FiniteFit, predict_along
from keras_micromag.utils import checks
from keras_micromag.utils.backend import of_shape


@keras.saving.register_keras_serializable(package="keras_micromag")
class RecursiveRolloutModel(FiniteFit, ComposedModel):
    """Rolls a predictor of one step out over n steps, and trains it through l of them.

    Each prediction takes the place of the oldest of the last t states (Eq. 10). Training unrolls
    the first l steps, so that gradients run through all of them; compile it with `RolloutLoss`.
    Predicting goes on for as many steps as there are fields.

    Args:
        predictor: from a dict of `states` (b, t, d) and `field` (b, 1) to the next state (b, d):
            `predictor()`, or a layer or model of your own.
        window: t.
        horizon: l. Longer targets are cut off after l steps, in validation too.
        microstructure: a model from the first state of a loop in real space to what the predictor
            takes as `microstructure`, such as `microstructure_encoder()`; trained with the
            predictor, and computed once in a rollout.

    Input:
        A dict of `states` (b, t, d) and `field` (b, n), µ0·H in tesla of the states to predict;
        with `microstructure` also `start` (b, x, y, z, 3), the first state of the loop.

    Output:
        (b, n, d).

    Raises:
        ValueError: when states are not t; in training when fields and targets are fewer than l, or
            not as many as each other.

    Notes:
        `fit` takes `Windows` as it is, arrays, or whatever else Keras takes. Up to l steps are
        unrolled in the graph; a longer prediction is a recurrent layer. On TensorFlow `export`
        writes a model for any number n of fields, elsewhere for the one given by `input_signature`:
        `[{"states": keras.InputSpec(shape=(None, t, d), dtype="float32"),
        "field": keras.InputSpec(shape=(None, n), dtype="float32")}]`.

    Example:
        >>> import numpy as np
        >>> from keras_micromag.data import Windows
        >>> from keras_micromag.losses import RolloutLoss
        >>> from keras_micromag.models import RecursiveRolloutModel, predictor
        >>> field = np.linspace(1.0, -1.0, 30)
        >>> states = np.tile(field[:, None], (9, 1, 2))
        >>> model = RecursiveRolloutModel(predictor(2, 4, width=8), window=4, horizon=5)
        >>> model.compile("nadam", RolloutLoss())
        >>> _ = model.fit(Windows(states, field, window=4, horizon=5), verbose=0)
        >>> model.rollout(states[:, :4], field[4:]).shape
        (9, 26, 2)
    """

    parts = ("predictor", "microstructure")
    any_number_of_fields = True

    def __init__(self, predictor, window: int, horizon: int, microstructure=None, **kwargs):
        super().__init__(**kwargs)
        self.predictor, self.microstructure = predictor, microstructure
        self.window, self.horizon = checks.count(window, "window"), checks.count(horizon, "horizon")
        if isinstance(predictor, keras.Model) and predictor.built:
            states = (None, self.window, predictor.output_shape[-1])
            self.build({"states": states, "field": (None, None)})

    def build(self, input_shape):
        """Build the predictor, where it is not yet."""
        if not self.predictor.built:
            states = (None, *tuple(input_shape["states"])[1:])
            shapes = {"states": states, "field": (None, 1)}
            if self.microstructure is not None:
                start = tuple(input_shape["start"])
                shapes["microstructure"] = self.microstructure.compute_output_shape(start)
            self.predictor.build(shapes)
        self.built = True

    def call(self, inputs, training=None):
        """Return the predictions."""
        _, n, d = self.compute_output_shape(shapes_of(inputs))
        # Keras has done so already, but for its JAX trainer.
        states, field = (ops.cast(inputs[name], self.compute_dtype) for name in ("states", "field"))
        told = {}
        if self.microstructure is not None:
            told["microstructure"] = self.microstructure(inputs["start"], training=training)

        def step(last, field):
            inputs = {"states": ops.stack(last, axis=1), "field": field, **told}
            new = ops.cast(self.predictor(inputs, training=training), states.dtype)
            return (*last[1:], new)

        last = tuple(states[:, i] for i in range(self.window))
        if n is not None and n <= self.horizon:
            predicted = []
            for i in range(n):
                last = step(last, field[:, i : i + 1])
                predicted.append(last[-1])
            return ops.stack(predicted, axis=1)

        # Keras's own recurrence, which every backend compiles, and exports.
        cell = _Cell(step, self.window, d, dtype=self.dtype_policy)
        recur = keras.layers.RNN(cell, return_sequences=True, dtype=self.dtype_policy)
        return recur(field[:, :, None], initial_state=list(last))

    def compute_output_shape(self, input_shape):
        """(b, n, d)."""
        names = ["states", "field"] + ["start"] * (self.microstructure is not None)
        shapes = dict(zip(names, map(tuple, require_inputs(input_shape, *names)), strict=True))
        states, field = shapes["states"], shapes["field"]
        if len(states) != 3 or states[1] != self.window:
            raise ValueError(
                f"`states` must have shape (b, t, d) with t = {self.window}; received {states}."
            )
        if len(field) != 2 or field[1] == 0:
            raise ValueError(
                f"`field` must have shape (b, n) with n of at least 1; received {field}."
            )
        require_one_batch(**shapes)
        return (states[0], field[1], states[2])

    def compile(self, *args, steps_per_execution: int | None = None, **kwargs):
        """`keras.Model.compile`.

        Args:
            steps_per_execution: batches per call of the compiled function, and so per call of a
                callback's `on_train_batch_end`. None takes 16 on TensorFlow, where a call costs a
                small network as much as half a batch, and 1 elsewhere, where nothing is gained;
                and fewer once `fit` or `evaluate` is told how many batches to take.
        """
        if steps_per_execution is None:
            steps_per_execution = 16 if keras.backend.backend() == "tensorflow" else 1
        super().compile(*args, steps_per_execution=steps_per_execution, **kwargs)

    def compile_from_config(self, config):
        """Compile as a saved model was: Keras does not where `compile` is another than its own."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def train_step(self, *args):
        """Keras's, on the first l steps."""
        *state, batch = args
        return super().train_step(*state, self._to_horizon(batch))

    def test_step(self, *args):
        """Keras's, on the first l steps."""
        *state, batch = args
        return super().test_step(*state, self._to_horizon(batch))

    def compute_loss(self, x=None, y=None, *args, **kwargs):
        """Keras's; l steps must be there."""
        self._require_horizon(x, y)
        return super().compute_loss(x, y, *args, **kwargs)

    def _require_horizon(self, x, y):
        _, field = require_inputs(x, "states", "field", argument="x")
        shapes = [tuple(getattr(array, "shape", ())) for array in (field, y)]
        if [len(shape) for shape in shapes] != [2, 3]:
            raise ValueError(
                "`field` and `y` must have shapes (b, n) and (b, n, d) in training; received "
                f"{shapes[0]} and {shapes[1] or type(y).__name__}."
            )
        n, targets = (shape[1] for shape in shapes)
        if None not in (n, targets) and (n != targets or n < self.horizon):
            raise ValueError(
                f"`field` and `y` must have the same number of steps in training, at least horizon "
                f"= {self.horizon}; received {n} and {targets}."
            )

    def _to_horizon(self, batch):
        x, y, weights = keras.utils.unpack_x_y_sample_weight(batch)
        self._require_horizon(x, y)
        if weights is not None:
            weights = self._cut(losses.step_weights(weights, y), "sample_weight")
        x = {**x, "field": self._cut(x["field"], "field")}
        return keras.utils.pack_x_y_sample_weight(x, self._cut(y, "y"), weights)

    def _cut(self, steps, name):
        shape = (None, self.horizon, *steps.shape[2:])
        return of_shape(steps[:, : self.horizon], shape, f"{name}_up_to_the_horizon")

    def fit(self, x=None, *args, **kwargs):
        """`keras.Model.fit`; see `FiniteFit.fit` for what it raises."""
        if isinstance(x, data.Windows) and keras.backend.backend() == "tensorflow":
            x, kwargs["shuffle"] = x.to_tf_data(), False  # it shuffles itself
        given = inspect.signature(keras.Model.fit).bind(self, x, *args, **kwargs).arguments
        self._count_batches(given.get("steps_per_epoch"), given.get("validation_steps"))
        return super().fit(x, *args, **kwargs)

    def evaluate(self, *args, **kwargs):
        """`keras.Model.evaluate`; a failure leaves the weights there."""
        given = inspect.signature(keras.Model.evaluate).bind(self, *args, **kwargs).arguments
        self._count_batches(given.get("steps"))
        return super().evaluate(*args, **kwargs)

    def _count_batches(self, *numbers):
        # Keras takes that many at once even where they go beyond the end of a counted epoch.
        at_once = math.gcd(self.steps_per_execution, *(n for n in numbers if n))
        if at_once != self.steps_per_execution:
            self.steps_per_execution = at_once
            self.train_function = self.test_function = self.predict_function = None

    def rollout(self, states, field, start=None, **kwargs):
        """Predict.

        Args:
            states: (b, t, d).
            field: (n,) or (b, n), µ0·H in tesla of the n states to predict.
            start: (b, x, y, z, 3), the first state of each loop; only with `microstructure`.
            **kwargs: of `keras.Model.predict`, such as batch_size.

        Returns:
            (b, n, d) array.
        """
        if self.microstructure is None and start is not None:
            raise ValueError("`start` must be left out where there is no `microstructure`.")
        return predict_along(self, states, field, start, **kwargs)[1]

    def get_config(self):
        """The arguments."""
        return {**super().get_config(), "window": self.window, "horizon": self.horizon}


class _Cell(keras.layers.Layer):
    """A step as the cell of a recurrent layer, whose states are the last t."""

    def __init__(self, step, window, size, **kwargs):
        super().__init__(**kwargs)
        self.step, self.state_size, self.output_size = step, [size] * window, size

    def build(self, *shapes):
        self.built = True

    def call(self, field, last):
        last = self.step(last, field)
        return last[-1], list(last)
