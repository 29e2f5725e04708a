"""The regressor in latent space."""

import keras

from keras_micromag.physics import checks


def predictor(
    latent_size: int = 16,
    window: int = 4,
    *,
    hidden_layers: int = 4,
    width: int = 128,
    activation: str = "elu",
    output_activation: str = "elu",
    field_scale: float = 8.0,
    name: str = "predictor",
) -> keras.Model:
    """Dense network from the last t latent states and a field to the next latent state.

    Input: a dict of `states` (b, t, d) and `field` (b, 1), µ0·H in tesla of the state to predict.
    (So Eq. 10 has it. The text beside it names the field of the step before, which would leave the
    network to guess the step.)

    Args:
        latent_size: d.
        window: t.
        hidden_layers, width: of the dense layers.
        activation: of the hidden layers; kernels start as He's normal ones.
        output_activation: of the last; the paper has ELU in all layers, as in the encoder whose
            output it is to predict.
        field_scale: the field is divided by this many tesla.
        name: the model's.

    Returns:
        A functional model, -> (b, d).

    Raises:
        ValueError: when a size is no positive integer or `field_scale` no positive number.

    Example:
        >>> from keras_micromag.models import predictor
        >>> predictor().count_params()
        60048
    """
    latent_size, window = checks.count(latent_size, "latent_size"), checks.count(window, "window")
    hidden_layers = checks.count(hidden_layers, "hidden_layers")
    width = checks.count(width, "width")
    field_scale = checks.number(field_scale, "field_scale", above=0)
    layers = keras.layers
    states = keras.Input((window, latent_size), name="states")
    field = keras.Input((1,), name="field")
    x = layers.Concatenate()([layers.Flatten()(states), layers.Rescaling(1 / field_scale)(field)])
    for _ in range(hidden_layers):
        x = layers.Dense(width, activation=activation, kernel_initializer="he_normal")(x)
    x = layers.Dense(latent_size, activation=output_activation, kernel_initializer="he_normal")(x)
    return keras.Model({"states": states, "field": field}, x, name=name)
