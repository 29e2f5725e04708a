"""The paper's method, small: simulate, encode, train a predictor through its recursion, predict.

An autoencoder compresses the states of ten magnets. A predictor learns from windows of their latent
loops how to go on, fed its own predictions. Both together predict the loop of the magnet that was
left out from its first four states.
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
    weights = 1.0 + sample_weights(moments)
    states = moments.reshape(magnets, fields, 4, 4, 4, 3)
    seen = slice(0, magnets - 1)

    whole = autoencoder()
    whole.compile(keras.optimizers.Nadam(1e-3), NormPreservingLoss())
    flat = states[seen].reshape(-1, 4, 4, 4, 3)
    flat_weights = weights[seen].ravel() / weights[seen].mean()
    whole.fit(flat, flat, sample_weight=flat_weights, batch_size=64, epochs=epochs, verbose=2)

    latent = whole.encoder.predict(flat, verbose=0).reshape(magnets - 1, fields, -1)
    windows = Windows(
        latent, field, window, horizon, step_weights=weights[seen] / weights[seen].mean()
    )
    # The paper's: what the package has found since is its default.
    papers = {"hidden_layers": 4, "width": 128, "activation": "elu", "output_activation": "elu"}
    network = predictor(window=window, **papers)
    rollout = RecursiveRolloutModel(network, window=window, horizon=horizon)
    rollout.compile(keras.optimizers.Nadam(1e-3), RolloutLoss())
    rollout.fit(windows, epochs=epochs, verbose=2)

    model = LatentHysteresis(whole.encoder, rollout, whole.decoder)
    predicted = model.coercivity(states[-1:, :window], field)[0]
    simulated = loops.coercivity()[-1]
    print(f"coercivity of the magnet left out: {simulated:.3f} T, predicted {predicted:.3f} T")
    return model, (simulated, predicted)


if __name__ == "__main__":
    main()
