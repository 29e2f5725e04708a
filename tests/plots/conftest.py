"""Fixtures of the tests of figures."""

import numpy as np
import pytest

from tests.plots.magnets import loop


@pytest.fixture
def batch():
    """Return a magnet of eight grains, and five loops of it."""
    return loop(np.random.default_rng(3).uniform(-5, -3, (5, 8)))
