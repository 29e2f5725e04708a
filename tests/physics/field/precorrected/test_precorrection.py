"""The precorrection: what the mesh adds to the near field.

| who                                  | must agree with whom                     | to       |
| ------------------------------------ | ---------------------------------------- | -------- |
| `precorrection`, of pieces near      | the potential of every charge at every   | rounding |
| together, and of some far away       | node, one by one, and its gradient       |          |
"""

import numpy as np
import pytest

from keras_micromag.physics.field.precorrected import hierarchical
from keras_micromag.physics.field.precorrected.precorrection import precorrection


def one_by_one(precision, corner, charges, corners, weights):
    """(n, 3, 3): no charge acts on its own node, as on the mesh."""
    field = np.zeros((len(corners), 3, 3))
    of_sources, of_targets = precision.stencils
    for at, piece in zip(corner, charges, strict=True):
        for particle, first in enumerate(corners):
            away = (first + of_targets.offsets)[:, None] - (at + of_sources.offsets)
            distance = np.linalg.norm(away, axis=-1)
            act = np.where(distance > 0, 1 / (4 * np.pi * np.maximum(distance, 1)), 0.0)
            field[particle] += weights[particle].T @ (act @ piece)
    return field


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("apart", [4, 40], ids=["near", "far"])
@pytest.mark.parametrize("precision", hierarchical.PRECISIONS[:2], ids=lambda p: str(p.error))
def test_the_precorrection_equals_the_field_of_the_charges(precision, apart, dtype):
    rng = np.random.default_rng(apart)
    of_sources, of_targets = precision.stencils
    corner = rng.integers(0, (apart, 5, 4), size=(3, 3))
    corners = corner.mean(axis=0).astype(int) + rng.integers((-9, -8, -6), (7, 8, 9), (20, 3))
    charges = rng.normal(size=(3, len(of_sources), 3))
    weights = rng.normal(size=(20, len(of_targets), 3)).astype(dtype)
    expected = one_by_one(precision, corner, charges, corners, weights)
    computed = precorrection(precision, corner, charges, corners, weights)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(computed, expected, rtol=0, atol=30 * eps * np.abs(expected).max())
