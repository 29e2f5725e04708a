"""Recursive predictor, trained on its own predictions (Eq. 10-12)."""

import inspect
import math

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from keras_micromag import data, losses
from keras_micromag.layers.base import require_inputs, require_one_batch, shapes_of
from keras_micromag.models.autoencoder import shapes_by_name
from keras_micromag.models.base import ComposedModel, is_traceable, predict_along
from keras_micromag.utils import checks, torch_graph
from keras_micromag.utils.backend import ensure_shape


@keras.saving.register_keras_serializable(package="keras_micromag")
class RecursiveRolloutModel(ComposedModel):
    """Applies a one-step predictor recursively over n steps, and trains it through l steps.

    Each prediction replaces the oldest of the last t states (Eq. 10). Training unrolls the first l
    steps, so that gradients pass through all of them; compile the model with `RolloutLoss`. A
    prediction has as many steps as there are fields.

    Args:
        predictor: a layer or model from a dict of `states` (b, t, d) and `field` (b, 1) to the
            next state (b, d), such as `predictor()`.
        window: t.
        horizon: l. Longer targets are cut off after l steps, in validation too.
        microstructure: a model from features of the grains, such as the first state of the loop,
            to the predictor's input `microstructure`: `microstructure_encoder()`. It is trained
            with the predictor, and evaluated once in a rollout.

    Input:
        A dict of `states` (b, t, d) and `field` (b, n), µ0·H in tesla of the states to predict;
        with `microstructure` also `start` (b, g, e), the input of that model.

    Output:
        (b, n, d).

    Raises:
        ValueError: when the number of states is not t; in training when there are fewer than l
            fields or targets, or not as many fields as targets.

    Notes:
        `fit` takes `Windows`, arrays, or any other data that Keras takes. Up to l steps are
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

    def __init__(
        self,
        predictor: keras.layers.Layer,
        window: int,
        horizon: int,
        microstructure: keras.Model | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.predictor, self.microstructure = predictor, microstructure
        self.window, self.horizon = checks.count(window, "window"), checks.count(horizon, "horizon")
        self._graphs = torch_graph.Graphs()
        if isinstance(predictor, keras.Model) and predictor.built:
            states = (None, self.window, predictor.output_shape[-1])
            self.build({"states": states, "field": (None, None)})

    def build(self, input_shape):
        """Build the predictor, unless it is built already."""
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
        # Keras casts the inputs, except in its JAX trainer.
        states, field = (ops.cast(inputs[name], self.compute_dtype) for name in ("states", "field"))
        constants = {}
        if self.microstructure is not None:
            constants["microstructure"] = self.microstructure(inputs["start"], training=training)

        if n is not None and n <= self.horizon:
            arguments = (states, field, constants, training)
            if not self._traces():
                return self._unrolled(*arguments)
            values = [variable.value for variable in self.predictor.variables]
            return self._graphs.run(self._stateless_unrolled, values, *arguments)

        def step(last, field):
            return self._step(last, field, constants, training)

        # Keras's recurrent layer, which every backend can compile and export.
        last = tuple(states[:, i] for i in range(self.window))
        cell = _Cell(step, self.window, d, dtype=self.dtype_policy)
        recurrence = keras.layers.RNN(cell, return_sequences=True, dtype=self.dtype_policy)
        return recurrence(field[:, :, None], initial_state=list(last))

    def _traces(self):
        """Return whether to unroll in a graph of PyTorch's: Keras takes longer for its layers."""
        return (
            keras.backend.backend() == "torch"
            and torch_graph.may_trace()
            and not self.run_eagerly
            and is_traceable(self.predictor)
        )

    def _unrolled(self, states, field, constants, training):
        last, predicted = tuple(states[:, i] for i in range(self.window)), []
        for i in range(field.shape[1]):
            last = self._step(last, field[:, i : i + 1], constants, training)
            predicted.append(last[-1])
        return ops.stack(predicted, axis=1)

    def _stateless_unrolled(self, values, *arguments):
        """Return the predictions with these values of the predictor's variables."""
        variables = self.predictor.variables
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return self._unrolled(*arguments)

    def _step(self, last, field, constants, training):
        """Return the last t states with the one predicted at `field` (b, 1) as the newest."""
        inputs = {"states": ops.stack(last, axis=1), "field": field, **constants}
        new = ops.cast(self.predictor(inputs, training=training), last[0].dtype)
        return (*last[1:], new)

    def compute_output_shape(self, input_shape):
        """Return (b, n, d)."""
        names = ["states", "field"] + ["start"] * (self.microstructure is not None)
        shapes = shapes_by_name(input_shape, *names)
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
        """Call `keras.Model.compile`.

        Args:
            steps_per_execution: batches per call of the compiled function, and so per call of a
                callback's `on_train_batch_end`. None means 16 on TensorFlow, where the overhead of
                a call is about half the time of a batch of a small network, and 1 elsewhere. It is
                reduced where `fit` or `evaluate` is given a number of batches that it does not
                divide.
        """
        if steps_per_execution is None:
            steps_per_execution = 16 if keras.backend.backend() == "tensorflow" else 1
        super().compile(*args, steps_per_execution=steps_per_execution, **kwargs)

    def compile_from_config(self, config):
        """Compile as before saving; Keras does not do so for models that override `compile`."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def train_step(self, *args):
        """Train on the first l steps of a batch."""
        *state, batch = args
        return super().train_step(*state, self._up_to_horizon(batch))

    def test_step(self, *args):
        """Evaluate on the first l steps of a batch."""
        *state, batch = args
        return super().test_step(*state, self._up_to_horizon(batch))

    def compute_loss(self, x=None, y=None, *args, **kwargs):
        """Call `keras.Model.compute_loss`; x and y must have at least l steps."""
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

    def _up_to_horizon(self, batch):
        x, y, weights = keras.utils.unpack_x_y_sample_weight(batch)
        self._require_horizon(x, y)
        if weights is not None:
            weights = self._cut(losses.step_weights(weights, y), "sample_weight")
        x = {**x, "field": self._cut(x["field"], "field")}
        return keras.utils.pack_x_y_sample_weight(x, self._cut(y, "y"), weights)

    def _cut(self, steps, name):
        shape = (None, self.horizon, *steps.shape[2:])
        return ensure_shape(steps[:, : self.horizon], shape, f"{name}_up_to_the_horizon")

    def fit(self, x=None, *args, **kwargs):
        """Call `keras.Model.fit`; see `ComposedModel.fit` for the errors."""
        if isinstance(x, data.Windows) and keras.backend.backend() == "tensorflow":
            x, kwargs["shuffle"] = x.to_tf_data(), False  # the dataset shuffles itself
        arguments = inspect.signature(keras.Model.fit).bind(self, x, *args, **kwargs).arguments
        steps = arguments.get("steps_per_epoch"), arguments.get("validation_steps")
        self._limit_steps_per_execution(*steps)
        return super().fit(x, *args, **kwargs)

    def evaluate(self, *args, **kwargs):
        """Call `keras.Model.evaluate`, and keep the weights if it fails."""
        arguments = inspect.signature(keras.Model.evaluate).bind(self, *args, **kwargs).arguments
        self._limit_steps_per_execution(arguments.get("steps"))
        return super().evaluate(*args, **kwargs)

    def _limit_steps_per_execution(self, *epoch_lengths):
        # Keras runs that many batches per call even beyond the given length of an epoch, so the
        # number must divide the length.
        batches = math.gcd(self.steps_per_execution, *(n for n in epoch_lengths if n))
        if batches != self.steps_per_execution:
            self.steps_per_execution = batches
            self.train_function = self.test_function = self.predict_function = None

    def rollout(
        self, states: ArrayLike, field: ArrayLike, start: ArrayLike | None = None, **kwargs
    ) -> np.ndarray:
        """Predict latent states along a field.

        Args:
            states: (b, t, d), the first t states.
            field: (n,) or (b, n), µ0·H in tesla of the n states to predict.
            start: (b, g, e), the input of `microstructure`; only with that model.
            **kwargs: passed to `keras.Model.predict`, such as batch_size.

        Returns:
            (b, n, d) predicted states.

        Raises:
            ValueError: when a shape does not fit, a field is not finite, or `start` is given
                without `microstructure`.
        """
        if self.microstructure is None and start is not None:
            raise ValueError("`start` must be left out where there is no `microstructure`.")
        more = {} if start is None else {"start": np.asarray(start)}
        return predict_along(self, states, field, more, **kwargs)[1]

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "window": self.window, "horizon": self.horizon}


class _Cell(keras.layers.Layer):
    """Cell of a recurrent layer whose states are the last t latent states."""

    def __init__(self, step, window, size, **kwargs):
        super().__init__(**kwargs)
        self.step, self.state_size, self.output_size = step, [size] * window, size

    def build(self, *shapes):
        self.built = True

    def call(self, field, last):
        last = self.step(last, field)
        return last[-1], list(last)
