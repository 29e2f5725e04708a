"""Network that describes a magnet's microstructure by a few numbers."""

import keras
from keras import ops
from numpy.typing import ArrayLike

from keras_micromag.layers.rescaling import Rescaling
from keras_micromag.utils import checks


def microstructure_encoder(
    size: int = 16,
    *,
    features: int = 3,
    weighted: bool = False,
    width: int = 32,
    mean: ArrayLike = (0.0, 0.0, 0.979),
    spread: ArrayLike = (0.144, 0.144, 0.012),
    activation: str = "elu",
    name: str = "microstructure_encoder",
) -> keras.Model:
    """Make a network that maps features of a magnet's grains to c numbers on its microstructure.

    The features are the first state of the loop: in a strong field every moment lies between the
    field and its grain's easy axis, so the first state depends on all easy axes. For an autoencoder
    with an embedding they are this embedding. Two dense layers with the same weights for all grains
    are followed by the mean over the grains, so a few magnets are enough to train on. (The paper's
    conclusion proposes such an input as future work.) Pass the network to
    `RecursiveRolloutModel(microstructure=…)`.

    Args:
        size: c.
        features: e, 3 for states.
        weighted: whether the first feature is the weight of the grain in the mean, as the share is
            in the embedding of a `grain_autoencoder`; otherwise all grains have the same weight.
        width: size of the dense layers.
        mean, spread: (e,) mean and standard deviation of the features; the defaults
            are those of the first states of the paper's magnets at 8 T.
        activation: activation of the dense layers.
        name: name of the model.

    Returns:
        A functional model, (b, g, e) -> (b, c).

    Raises:
        ValueError: when a size is not a positive integer, or `spread` is not positive.

    Example:
        >>> from keras_micromag.models import microstructure_encoder
        >>> microstructure_encoder(size=4).output_shape
        (None, 4)
    """
    size, width = checks.count(size, "size"), checks.count(width, "width")
    features = checks.count(features, "features")
    mean = checks.finite_array(mean, "mean", (features,))
    spread = checks.finite_array(spread, "spread", (features,))
    if not (spread > 1 / checks.LARGEST).all():
        raise ValueError(f"`spread` must be positive; received {spread.tolist()}.")
    layers = keras.layers
    start = keras.Input((None, features), name="start")
    x = Rescaling((1 / spread).tolist(), (-mean / spread).tolist())(start)
    for _ in range(2):
        x = layers.Dense(width, activation=activation, kernel_initializer="he_normal")(x)
    if weighted:
        x = ops.einsum("bgc,bg->bc", x, ops.cast(start[:, :, 0], x.dtype))
    else:
        x = layers.GlobalAveragePooling1D(data_format="channels_last")(x)
    return keras.Model(start, layers.Dense(size)(x), name=name)
