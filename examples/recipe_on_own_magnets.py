"""A recipe of the paper's method, trained on magnets of SmCo5 and compared with the baselines.

The paper's magnets are of Nd2Fe14B. Here only the material and the fields differ.
"""

import dataclasses

import numpy as np

from keras_micromag.baselines import LinearLatent, mean_loop
from keras_micromag.data import Lattices
from keras_micromag.evaluation import evaluate
from keras_micromag.physics import MATERIALS, cubic_grains, random_easy_axes, simulate
from keras_micromag.recipes import RECIPES, train


def main(grid=(4, 4, 4), magnets=40, unseen=10, fields=500, batches=4000):
    """Train on some magnets, predict unseen ones, and return the RMSE of M/Ms of each of these."""
    material = MATERIALS["SmCo5"]
    structure = cubic_grains(grid)
    easy_axes = random_easy_axes((magnets + unseen, len(structure)), seed=1)
    field = np.linspace(35.0, -35.0, fields)
    loops = simulate(structure, easy_axes, material=material, field=field).magnetization
    known, true = loops[:magnets], loops[magnets:]

    # Sixteen symmetric images of each magnet, since there are few magnets.
    recipe = dataclasses.replace(
        RECIPES["default"], images=16, autoencoder_batches=batches, predictor_batches=batches
    )
    model = train(recipe, Lattices(known, grid), field, verbose=2).model

    first = true[:, : recipe.window]
    predicted = model.predict({"states": first, "field": np.tile(field, (unseen, 1))}, verbose=0)
    loops = {
        "recipe": predicted,
        "mean loop": mean_loop(known),
        "linear": LinearLatent(known, field, window=recipe.window).predict(first),
    }
    errors = {name: evaluate(true, each, field)["curve_rmse"] for name, each in loops.items()}
    for name, rmse in errors.items():
        print(f"{name}: RMSE of M/Ms {rmse.mean():.4f} ± {rmse.std():.4f}")
    return errors


if __name__ == "__main__":
    main()
