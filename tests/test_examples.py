"""The examples run, at the size of a toy, and learn."""

import numpy as np
import pytest

from examples import (
    demag_in_your_model,
    field_steps,
    large_magnets,
    look_into_a_polycrystal,
    norm_preserving_autoencoder,
    recipe_on_own_magnets,
    size_effects,
    train_a_rollout,
)
from keras_micromag.models import LatentHysteresis
from keras_micromag.physics import cubic_grains
from tests.test_house import ROOT

pytestmark = pytest.mark.integration


def test_demag_in_your_model():
    history = demag_in_your_model.main(grid=(2, 2, 1), samples=320, epochs=3)
    assert history["val_loss"][-1] < history["val_loss"][0]


def test_norm_preserving_autoencoder():
    errors = norm_preserving_autoencoder.main(grid=(2, 1, 1), magnets=2, fields=40, epochs=2)
    assert np.isfinite(list(errors.values())).all()


def test_train_a_rollout():
    model, (simulated, _) = train_a_rollout.main(magnets=2, fields=60, epochs=1, horizon=2)
    assert isinstance(model, LatentHysteresis)
    assert 3 < simulated < 8


def test_recipe_on_own_magnets():
    errors = recipe_on_own_magnets.main(magnets=3, unseen=2, fields=40, batches=2)
    assert all(len(rmse) == 2 for rmse in errors.values())
    assert errors["mean loop"].max() < 1


def test_size_effects(tmp_path):
    factors, growth, coercivity = size_effects.main(sizes=2, textures=2, out=tmp_path / "fall.png")
    # Bance et al. found 1.02.
    assert np.ptp(factors, axis=1).tolist() == pytest.approx([1.26, 0.91], abs=0.01)
    assert growth.tolist() == pytest.approx([0.25, 0.18], abs=0.01)
    assert (coercivity[0] > coercivity[1] + 0.3).all()
    assert (tmp_path / "fall.png").read_bytes().startswith(b"\x89PNG")


def test_field_steps(tmp_path):
    differences, rate = field_steps.main(
        magnets=4, steps=(200.0, 20.0), grid=(2, 2, 1), out=tmp_path / "steps.png"
    )
    # Finer steps are nearer to no steps.
    coarse, fine = differences["weakest_first", 200.0], differences["weakest_first", 20.0]
    assert fine[0] < 0.02 and coarse[0] > fine[0] and rate > 0.5
    # More grains seem to flip together where a step holds more than an avalanche.
    assert coarse[5] > fine[5] >= differences["weakest_first", 0.0][5] - 0.5
    assert (tmp_path / "steps.png").read_bytes().startswith(b"\x89PNG")


def test_look_into_a_polycrystal(tmp_path):
    magnet, loop = look_into_a_polycrystal.main(grains=12, fields=60, frames=4, out=tmp_path)
    assert loop.magnetization.shape == (60, len(magnet), 3)
    pictures = {"reversal.png", "grains.png", "avalanches.png", "loop.gif", "grains.tess"}
    assert pictures <= {file.name for file in tmp_path.iterdir()}


def test_large_magnets_grains(tmp_path):
    out = tmp_path / "grains.png"
    arguments = f"grains --sides 3 5 --magnets 12 12 --out {out}"
    mean, spread, exponent = large_magnets.main(arguments.split())
    assert ((mean > 3) & (mean < 4.2)).all()
    assert spread[0] > spread[1] and exponent < 0
    assert out.read_bytes().startswith(b"\x89PNG")


def test_large_magnets_avalanches(tmp_path):
    out = tmp_path / "avalanches.png"
    arguments = f"avalanches --sides 3 --magnets 2 --steps 100 20 --out {out}"
    sizes = large_magnets.main(arguments.split())
    # Whatever reverses together in a small step does so in a large one.
    assert sizes[3, 100].mean() > sizes[3, 20].mean() >= 1
    assert max(each.sum() for each in sizes.values()) <= 2 * 27
    assert out.read_bytes().startswith(b"\x89PNG")


def test_large_magnets_touching(tmp_path):
    out = tmp_path / "touching.png"
    arguments = f"touching --side 4 --steps 50 --sides 3 --magnets 4 --out {out}"
    by_step, by_side = large_magnets.main(arguments.split())
    for sizes, clusters in (by_step[50], by_side[3]):
        # The same grains, once by step and once by the clusters in it.
        assert sizes.sum() == clusters.sum() > 0
        assert len(clusters) >= len(sizes)
    assert out.read_bytes().startswith(b"\x89PNG")


def test_grains_that_touch():
    steps = np.zeros((2, 4, 4, 4), int)
    steps[0, 0, 0, :2] = steps[0, 1, 1, 2] = steps[0, 3, 3, 3] = (
        1  # two side by side, one at a corner
    )
    steps[0, 0, 0, 2] = steps[1, 0, 0, 3] = 2  # another step, another magnet
    assert sorted(large_magnets.touching.clusters(steps)) == [1, 1, 1, 3]


def test_demagnetizing_factor_by_the_grains():
    box, grains = (
        [of(each) for each in ((4, 4, 4), (12, 12, 2), (3, 3, 9))]
        for of in (
            lambda sides: large_magnets.shape.demagnetizing_factor(cubic_grains(sides)),
            large_magnets.shape.factor_by_grains,
        )
    )
    assert grains[0] == pytest.approx(1 / 3, abs=1e-6)
    # Particles are no volume average; the thinner the sample, the less.
    assert grains == pytest.approx(box, abs=0.06)
    assert box[1] > grains[1] > grains[0] > grains[2] > box[2]


def test_large_magnets_shape(tmp_path):
    out = tmp_path / "shape.png"
    arguments = f"shape --cube 4 4 4 --plate 6 6 2 --needle 3 3 7 --magnets 2 --out {out}"
    shapes, applied, inside = large_magnets.main(arguments.split())
    assert applied > 2 * inside, "in the internal field the loops of all shapes are alike"
    # By the formula of A. Aharoni, J. Appl. Phys. 83 (1998) 3432-3434.
    factors = [0.33333, 0.59367, 0.17279]
    assert [loop[0] for loop in shapes.values()] == pytest.approx(factors, abs=1e-4)
    assert out.read_bytes().startswith(b"\x89PNG")


def test_they_are_short():
    for file in (ROOT / "examples").glob("[!_]*.py"):
        text = file.read_text(encoding="utf-8")
        assert len(text.splitlines()) < 80
        assert "def main(" in text and 'if __name__ == "__main__":' in text
