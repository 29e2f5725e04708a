"""Base classes of the models: saving of their parts, weights that survive errors, finite losses."""

import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import keras
import numpy as np
from keras import backend, ops, tree
from numpy.typing import ArrayLike

from keras_micromag.layers.base import shapes_of
from keras_micromag.utils import checks


class ComposedModel(keras.Model):
    """A model made of other models, which are its constructor's arguments and are saved with it.

    Attributes:
        parts: the names of these arguments.
        any_number_of_fields: whether the model takes loops of any number of field steps.
    """

    parts: tuple[str, ...]
    any_number_of_fields = False

    def __init__(self, **kwargs):
        # Its parts cast their inputs themselves, after they have scaled what is in SI units.
        super().__init__(autocast=False, **kwargs)

    def fit(self, *args, **kwargs) -> keras.callbacks.History:
        """Call `keras.Model.fit` on finite data, and keep the weights if it fails.

        Raises:
            ValueError: for NaN or inf in the arrays, before any step.
            DivergenceError: a ValueError too, after an epoch whose loss is not finite. The model
                then has the weights from before that epoch, if it had been built.
        """
        arguments = inspect.signature(keras.Model.fit).bind(self, *args, **kwargs).arguments
        arguments.pop("self")
        for name in ("x", "y", "sample_weight", "validation_data"):
            _require_finite(arguments.get(name), name)
        guard = _DivergenceGuard()
        callbacks = arguments.pop("callbacks", None) or []
        if isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks.append(guard)
        else:
            # First, so that no other callback saves weights that are NaN.
            callbacks = [guard, *tree.flatten(callbacks)]
        with _restore_weights_on_error(self):
            history = super().fit(**arguments, callbacks=callbacks)
        if guard.message:
            raise DivergenceError(guard.message)
        return history

    def evaluate(self, *args, **kwargs):
        """Call `keras.Model.evaluate`, and keep the weights if it fails."""
        with _restore_weights_on_error(self):
            return super().evaluate(*args, **kwargs)

    def predict(self, *args, **kwargs):
        """Call `keras.Model.predict`, and keep the weights if it fails."""
        with _restore_weights_on_error(self):
            return super().predict(*args, **kwargs)

    def export(
        self,
        filepath: str | os.PathLike,
        format: str = "tf_saved_model",
        verbose=None,
        input_signature=None,
        **kwargs,
    ):
        """Call `keras.Model.export`; errors name what backends other than TensorFlow need."""
        name = backend.backend()
        if input_signature is None and self.any_number_of_fields and name != "tensorflow":
            raise ValueError(
                f"`input_signature` must be given for an export from {name}, which knows how many "
                "fields there are; received None."
            )
        options = {"format": format, "verbose": verbose, "input_signature": input_signature}
        try:
            return super().export(filepath, **options, **kwargs)
        except (AttributeError, ImportError, RuntimeError) as error:
            if name != "torch":
                raise
            raise ValueError(
                '`format` must be "onnx", and `input_signature` give every size, that of the batch '
                f"too, for an export from torch; received {format!r} and {input_signature}."
            ) from error

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        parts = {n: keras.saving.serialize_keras_object(getattr(self, n)) for n in self.parts}
        return {**super().get_config(), **parts}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None):
        """Return the model that `get_config` described."""
        # A copy, since Keras modifies the config that it deserialises.
        parts = {
            name: keras.saving.deserialize_keras_object(deepcopy(config[name]), custom_objects)
            for name in cls.parts
            if name in config
        }
        try:
            return checks.of_this_version(cls, {**config, **parts})
        except ValueError as error:
            raise ValueError(f"{str(error).rstrip('.')}; train the model again.") from error


def is_traceable(layer: keras.layers.Layer) -> bool:
    """Return whether a call of `layer` only depends on inputs and weights, and changes nothing.

    A graph repeats no side effect, and loses the gradient that a layer of other packages may have
    defined. Dropout and batch normalisation have variables that are not trained; a layer that is
    frozen looks like them.
    """
    layers = layer._flatten_layers()
    return all(
        type(part).__module__.split(".")[0] in ("keras", "keras_micromag")
        and not isinstance(part, keras.layers.Lambda)
        and part.activity_regularizer is None
        for part in layers
    ) and all(variable.trainable for variable in layer.variables)


def predict_along(
    model: keras.Model,
    states: ArrayLike,
    field: ArrayLike,
    more: dict[str, np.ndarray] | None = None,
    **kwargs,
) -> tuple[np.ndarray, np.ndarray]:
    """Check states (b, t, ...) and field (n,) or (b, n), and predict along the field.

    Args:
        model: a model of the inputs `states` and `field`, and perhaps more.
        states: the first t states of b loops.
        field: µ0·H in tesla.
        more: the other inputs of the model, by their names.
        **kwargs: passed to `model.predict`.

    Returns:
        The field as (b, n), and the prediction.
    """
    states, field = checks.numbers(states, "states", None), checks.finite_array(field, "field")
    if not states.ndim or not len(states):
        raise ValueError("`states` must be those of at least one magnet; received none.")
    if field.ndim == 1:
        field = np.tile(field, (len(states), 1))
    inputs = {"states": states, "field": field, **(more or {})}
    model.compute_output_shape(shapes_of(inputs))
    return field, model.predict(inputs, **{"verbose": 0, **kwargs})


@contextmanager
def _restore_weights_on_error(model) -> Iterator[None]:
    # Keras's JAX trainer moves the values out of the variables while it computes. It does not put
    # them back if the first step fails, for instance because of a wrong shape.
    saved = [(variable, variable.value) for variable in _variables(model)]
    try:
        yield
    except BaseException:
        for variable, value in saved:
            if variable._value is None:
                variable.assign(value)
        raise


def _variables(model):
    optimizer = getattr(model, "optimizer", None)
    return [*model.variables, *(optimizer.variables if optimizer else ())]


class DivergenceError(ValueError):
    """The loss of a training is not finite."""


class _DivergenceGuard(keras.callbacks.Callback):
    """Stop after an epoch with a loss of NaN or inf, and restore the weights from before it."""

    message = ""

    def on_epoch_begin(self, epoch, logs=None):
        optimizer = self.model.optimizer
        if self.model.built and not optimizer.built:
            # The first step would do it, after the values are saved here.
            optimizer.build(self.model.trainable_variables)
        self._saved = [np.array(ops.convert_to_numpy(v)) for v in _variables(self.model)]

    def on_epoch_end(self, epoch, logs=None):
        not_finite = {
            name: float(logs[name])
            for name in ("loss", "val_loss")
            if name in (logs or {}) and not np.isfinite(logs[name])
        }
        if not not_finite:
            return
        self.model.stop_training = True
        received = " and ".join(f"{name} {value}" for name, value in not_finite.items())
        self.message = f"The loss must stay finite; received {received} in epoch {epoch + 1}, "
        variables = _variables(self.model)
        if len(variables) == len(self._saved):
            for variable, value in zip(variables, self._saved, strict=True):
                variable.assign(value)
            self.message += "before which the model has been put back: "
        else:
            self.message += "in which the model was built, so that it must be made anew: "
        self.message += "look for NaN or inf in the data, or lower the learning rate."


def _require_finite(data, name):
    # Only arrays: generators and datasets can be read once, and `fit` reads them.
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
