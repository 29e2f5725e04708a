"""Network that predicts the next latent state."""

import keras

from keras_micromag.layers.rescaling import Rescaling
from keras_micromag.utils import checks


def predictor(
    latent_size: int = 16,
    window: int = 3,
    *,
    hidden_layers: int = 6,
    width: int = 64,
    activation: str = "gelu",
    output_activation: str = "linear",
    field_scale: float = 8.0,
    input_noise: float = 0.0,
    microstructure_size: int = 0,
    name: str = "predictor",
) -> keras.Model:
    """Make a dense network from the last t latent states and a field to the next latent state.

    Its input is a dict of `states` (b, t, d) and `field` (b, 1), µ0·H in tesla at the state to
    predict. (This is Eq. 10. The paper's text names the field of the step before, from which the
    network could not know how far the next step goes.) With a `microstructure_size` the input also
    has `microstructure` (b, c), the output of a `microstructure_encoder`.

    Args:
        latent_size: d.
        window: t.
        hidden_layers, width: number and size of the hidden layers.
        activation: activation of the hidden layers; kernels have He normal initial values.
        output_activation: activation of the last layer. The defaults are the result of a search
            (docs/explanation/results.md); the paper has a window of 4, four layers of 128, and
            ELU in all of them, as in the encoder whose output is predicted.
        field_scale: the field is divided by this many tesla.
        input_noise: standard deviation of the Gaussian noise that is added to the states in
            training, in their own units. With it the network learns to predict from states that are
            slightly wrong, as its own predictions are: without it a long recursion drifts away.
        microstructure_size: c, 0 for a predictor without this input.
        name: name of the model.

    Returns:
        A functional model with the output (b, d).

    Raises:
        ValueError: when a size is not a positive integer, `field_scale` is not a positive number,
            or `input_noise` is negative.

    Example:
        >>> from keras_micromag.models import predictor
        >>> predictor().count_params()
        25040
    """
    latent_size, window = checks.count(latent_size, "latent_size"), checks.count(window, "window")
    hidden_layers = checks.count(hidden_layers, "hidden_layers")
    width = checks.count(width, "width")
    field_scale = checks.number(field_scale, "field_scale", above=0)
    input_noise = checks.number(input_noise, "input_noise", least=0)
    layers = keras.layers
    states = keras.Input((window, latent_size), name="states")
    field = keras.Input((1,), name="field")
    inputs = {"states": states, "field": field}
    past = layers.Flatten(data_format="channels_last")(states)
    if input_noise:
        past = layers.GaussianNoise(input_noise)(past)
    parts = [past, Rescaling(1 / field_scale)(field)]
    if microstructure_size:
        size = checks.count(microstructure_size, "microstructure_size")
        inputs["microstructure"] = keras.Input((size,), name="microstructure")
        parts.append(inputs["microstructure"])
    x = layers.Concatenate()(parts)
    for _ in range(hidden_layers):
        x = layers.Dense(width, activation=activation, kernel_initializer="he_normal")(x)
    x = layers.Dense(latent_size, activation=output_activation, kernel_initializer="he_normal")(x)
    return keras.Model(inputs, x, name=name)
