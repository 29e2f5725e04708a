"""The paper's method on ten magnets: simulate, encode, train a predictor, predict a loop.

An autoencoder compresses the states of nine magnets. A predictor learns the next latent states from
windows of their loops, with its own predictions as input. Together they predict the loop of the
tenth magnet from its first four states.
"""

import keras
import numpy as np

from keras_micromag.data import Windows, sample_weights
from keras_micromag.losses import NormPreservingLoss, RolloutLoss
from keras_micromag.models import LatentHysteresis, RecursiveRolloutModel, autoencoder, predictor
from keras_micromag.physics import cubic_grains, random_easy_axes, simulate


def main(magnets=10, fields=500, epochs=40, window=4, horizon=8):
    """Return the model, and the last magnet's coercivities in tesla, simulated and predicted."""
    keras.utils.set_random_seed(1)
    structure = cubic_grains((4, 4, 4))
    field = np.linspace(8.0, -8.0, fields)
    easy_axes = random_easy_axes((magnets, len(structure)), seed=1)
    loops = simulate(structure, easy_axes, field=field, progress=False)
    moments = loops.magnetization.astype("float32")  # (magnets, fields, 64, 3)
    seen = moments[:-1]
    weights = 1.0 + sample_weights(seen)
    weights /= weights.mean()

    encoding = autoencoder()
    encoding.compile(keras.optimizers.Nadam(1e-3), NormPreservingLoss())
    states = seen.reshape(-1, 1, 64, 3)  # loops of one state, so that all states are shuffled
    options = {"sample_weight": weights.reshape(-1, 1), "batch_size": 64, "epochs": epochs}
    encoding.fit(states, states, **options, verbose=2)

    latent = encoding.encoder.predict(seen, verbose=0)  # (magnets - 1, fields, 16)
    windows = Windows(latent, field, window, horizon, step_weights=weights)
    # The settings of the paper; the defaults of the package are better.
    settings = {"hidden_layers": 4, "width": 128, "activation": "elu", "output_activation": "elu"}
    network = predictor(window=window, **settings)
    rollout = RecursiveRolloutModel(network, window=window, horizon=horizon)
    rollout.compile(keras.optimizers.Nadam(1e-3), RolloutLoss())
    rollout.fit(windows, epochs=epochs, verbose=2)

    model = LatentHysteresis(encoding, rollout)
    predicted = model.coercivity(moments[-1:, :window], field)[0]
    simulated = loops.coercivity()[-1]
    print(f"coercivity of the unseen magnet: {simulated:.3f} T, predicted {predicted:.3f} T")
    return model, (simulated, predicted)


if __name__ == "__main__":
    main()
