"""The paper's method by a recipe, on magnets of your own, judged beside the baselines.

SmCo5 in place of the paper's Nd2Fe14B: other fields, other loops; nothing else changes.
"""

import dataclasses

import numpy as np

from keras_micromag.baselines import LinearLatent, mean_loop
from keras_micromag.judge import judge
from keras_micromag.physics import SMCO5, cubic_grains, random_easy_axes, simulate
from keras_micromag.recipes import RECIPES, train


def main(grid=(4, 4, 4), magnets=40, unseen=10, fields=500, batches=4000):
    """Train on some magnets, predict others; return the RMSE of M/Ms of each of these."""
    structure = cubic_grains(grid, material=SMCO5)
    easy_axes = random_easy_axes((magnets + unseen, len(structure)), seed=1)
    field = np.linspace(35.0, -35.0, fields)
    loops = simulate(structure, easy_axes, material=SMCO5, field=field).magnetization
    known, true = loops[:magnets], loops[magnets:]

    # Sixteen symmetric images of each magnet, since they are few.
    recipe = dataclasses.replace(
        RECIPES["default"], images=16, autoencoder_batches=batches, predictor_batches=batches
    )
    model = train(recipe, known.reshape(magnets, fields, *grid, 3), field, verbose=2).model

    first = true[:, : recipe.window]
    states = first.reshape(unseen, recipe.window, *grid, 3)
    predicted = model.predict({"states": states, "field": np.tile(field, (unseen, 1))}, verbose=0)
    loops = {
        "recipe": predicted.reshape(true.shape),
        "mean loop": mean_loop(known),
        "linear": LinearLatent(known, field, window=recipe.window).predict(first),
    }
    told = {name: judge(true, each, field)["curve_rmse"] for name, each in loops.items()}
    for name, errors in told.items():
        print(f"{name}: RMSE of M/Ms {errors.mean():.4f} ± {errors.std():.4f}")
    return told


if __name__ == "__main__":
    main()
