"""What holds for every test: no settings of the user, fixed seeds, no window, no open figure."""

import gc
import os
import random
import sys
import tempfile

# Before anything imports Keras or matplotlib: both read these once.
_keras_home = tempfile.TemporaryDirectory(prefix="keras-home-")
os.environ["KERAS_HOME"] = _keras_home.name  # a keras.json may choose another precision
os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import hypothesis  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

# A first call compiles, so no deadline; the same examples everywhere, so that none fails by luck.
hypothesis.settings.register_profile("house", deadline=None, derandomize=True)
hypothesis.settings.load_profile("house")


def pytest_report_header():
    """Name the backend that these results are for."""
    return f"keras: {keras.__version__} on {keras.backend.backend()}"


def pytest_collection_finish():
    """Spare the collector of garbage a million objects that imports made, and that stay."""
    gc.freeze()


def pytest_collection_modifyitems(items):
    """Run the examples in docstrings on every backend: users paste them on theirs."""
    for item in items:
        if isinstance(item, pytest.DoctestItem):
            item.add_marker("backend")


@pytest.fixture(autouse=True)
def _seeds():
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 (other packages draw from it)
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def _figures():
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")
