"""What the models share: parts in a saved config, weights that survive, no `fit` to NaN."""

import inspect
from contextlib import contextmanager
from copy import deepcopy

import keras
import numpy as np
from keras import backend, ops, tree

from keras_micromag.layers.base import shapes_of
from keras_micromag.utils import checks


class ComposedModel(keras.Model):
    """A model of other models, its constructor's first arguments; they are saved with it."""

    parts: tuple[str, ...]
    any_number_of_fields = False

    def fit(self, *args, **kwargs):
        """`keras.Model.fit`; a failure leaves the weights there."""
        with _weights_kept(self):
            return super().fit(*args, **kwargs)

    def evaluate(self, *args, **kwargs):
        """`keras.Model.evaluate`; a failure leaves the weights there."""
        with _weights_kept(self):
            return super().evaluate(*args, **kwargs)

    def predict(self, *args, **kwargs):
        """`keras.Model.predict`; a failure leaves the weights there."""
        with _weights_kept(self):
            return super().predict(*args, **kwargs)

    def export(
        self, filepath, format="tf_saved_model", verbose=None, input_signature=None, **kwargs
    ):
        """`keras.Model.export`; says in one sentence what another backend than TensorFlow wants."""
        name = backend.backend()
        if input_signature is None and self.any_number_of_fields and name != "tensorflow":
            raise ValueError(
                f"`input_signature` must be given for an export from {name}, which knows how many "
                "fields there are; received None."
            )
        given = {"format": format, "verbose": verbose, "input_signature": input_signature, **kwargs}
        try:
            return super().export(filepath, **given)
        except (AttributeError, ImportError, RuntimeError) as error:
            if name != "torch":
                raise
            raise ValueError(
                '`format` must be "onnx", and `input_signature` give every size, that of the batch '
                f"too, for an export from torch; received {format!r} and {input_signature}."
            ) from error

    def get_config(self):
        """The arguments."""
        parts = {n: keras.saving.serialize_keras_object(getattr(self, n)) for n in self.parts}
        return {**super().get_config(), **parts}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The model that `get_config` told."""
        # A copy, since Keras takes apart what it is given.
        made = {
            name: keras.saving.deserialize_keras_object(deepcopy(config[name]), custom_objects)
            for name in cls.parts
            if name in config
        }
        return checks.of_this_version(cls, {**config, **made})


def predict_along(model, states, field, start=None, **kwargs):
    """`model.predict` from states (b, t, ...) along field (n,) or (b, n); both are checked first.

    Returns:
        The fields (b, n), and what is predicted.
    """
    states, field = np.asarray(states), checks.finite_array(field, "field")
    if states.ndim and not len(states):
        raise ValueError("`states` must be those of at least one magnet; received none.")
    if field.ndim == 1:
        field = np.tile(field, (len(states), 1))
    inputs = {"states": states, "field": field}
    if start is not None:
        inputs["start"] = np.asarray(start)
    model.compute_output_shape(shapes_of(inputs))
    return field, model.predict(inputs, **{"verbose": 0, **kwargs})


def require_more_fields(field, t: int) -> None:
    """Raise where a static shape is not (b, n) of the fields of a loop that goes on after t."""
    if len(field) != 2 or (field[1] is not None and field[1] <= t):
        raise ValueError(
            "`field` must have shape (b, n), the fields of the whole loop, with n greater than "
            f"t = {t}; received {field}."
        )


@contextmanager
def _weights_kept(model):
    # Keras's JAX trainer takes the values out of the variables while it computes, and when the
    # first step fails, on another shape for instance, it does not give them back.
    kept = [(variable, variable.value) for variable in _variables(model)]
    try:
        yield
    except BaseException:
        for variable, value in kept:
            if variable._value is None:
                variable.assign(value)
        raise


def _variables(model):
    optimizer = getattr(model, "optimizer", None)
    return [*model.variables, *(optimizer.variables if optimizer else ())]


class DivergenceError(ValueError):
    """A training came to a loss that is not finite."""


class FiniteFit:
    """Makes a model's `fit` refuse data that is not finite, and stop where the loss is not."""

    def fit(self, *args, **kwargs):
        """`keras.Model.fit`.

        Raises:
            ValueError: for NaN or inf in arrays given as data, before any step.
            DivergenceError: a ValueError too, after an epoch whose loss is not finite. The model is
                then again what it was before that epoch, if it had been built.
        """
        given = inspect.signature(keras.Model.fit).bind(self, *args, **kwargs).arguments
        given.pop("self")
        for name in ("x", "y", "sample_weight", "validation_data"):
            _require_finite(given.get(name), name)
        guard = _Guard()
        callbacks = given.pop("callbacks", None) or []
        if isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks.append(guard)
        else:
            # First, so that none of the others keeps weights that are NaN.
            callbacks = [guard, *tree.flatten(callbacks)]
        history = super().fit(**given, callbacks=callbacks)
        if guard.message:
            raise DivergenceError(guard.message)
        return history


class _Guard(keras.callbacks.Callback):
    """Puts the model back to the start of an epoch that ended in NaN or inf, and stops."""

    message = ""

    def on_epoch_begin(self, epoch, logs=None):
        optimizer = self.model.optimizer
        if self.model.built and not optimizer.built:
            optimizer.build(self.model.trainable_variables)  # else the first step would
        self._kept = [np.array(ops.convert_to_numpy(v)) for v in _variables(self.model)]

    def on_epoch_end(self, epoch, logs=None):
        wrong = {
            name: float(logs[name])
            for name in ("loss", "val_loss")
            if name in (logs or {}) and not np.isfinite(logs[name])
        }
        if not wrong:
            return
        self.model.stop_training = True
        told = " and ".join(f"{name} {value}" for name, value in wrong.items())
        self.message = f"The loss must stay finite; received {told} in epoch {epoch + 1}, "
        variables = _variables(self.model)
        if len(variables) == len(self._kept):
            for variable, value in zip(variables, self._kept, strict=True):
                variable.assign(value)
            self.message += "before which the model has been put back: "
        else:
            self.message += "in which the model was built, so that it must be made anew: "
        self.message += "look for NaN or inf in the data, or lower the learning rate."


def _require_finite(data, name):
    # Arrays only: what else brings batches is read once, by `fit`.
    if isinstance(data, dict):
        for key, part in data.items():
            _require_finite(part, f"{name}[{key!r}]")
    elif isinstance(data, tuple | list) and not all(np.isscalar(part) for part in data):
        for index, part in enumerate(data):
            _require_finite(part, f"{name}[{index}]")
    elif isinstance(data, np.ndarray | list | tuple) or ops.is_tensor(data):
        array = ops.convert_to_numpy(data) if ops.is_tensor(data) else np.asarray(data)
        if np.issubdtype(array.dtype, np.floating):
            checks.finite(array, name)
