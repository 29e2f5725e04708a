"""The paper's models: an autoencoder of magnetisation states, and a recursive predictor."""

from keras_micromag.models.autoencoder import Autoencoder, autoencoder
from keras_micromag.models.grains import grain_autoencoder
from keras_micromag.models.latent_hysteresis import LatentHysteresis
from keras_micromag.models.microstructure import microstructure_encoder
from keras_micromag.models.predictor import predictor
from keras_micromag.models.rollout import RecursiveRolloutModel

__all__ = [
    "Autoencoder",
    "LatentHysteresis",
    "RecursiveRolloutModel",
    "autoencoder",
    "grain_autoencoder",
    "microstructure_encoder",
    "predictor",
]
