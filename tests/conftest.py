"""Set-up of every test: no settings of the user, fixed seeds, no window, no open figure."""

import gc
import os
import random
import sys
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

# Before anything imports Keras, NumPy or matplotlib: they read these once.
_keras_home = tempfile.TemporaryDirectory(prefix="keras-home-")
os.environ["KERAS_HOME"] = _keras_home.name  # a keras.json may choose another precision
os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "PYTEST_XDIST_WORKER" in os.environ:  # one process for each core already
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# XLA spends more time optimising a loop than a test spends in it. Without, TensorFlow compiles nine
# times as fast; with the older of its two ways to make code of what it fused, JAX twice as fast.
_FLAGS = "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
if find_spec("jaxlib") and tuple(map(int, version("jaxlib").split(".")[:2])) < (0, 11):
    # Later versions have one way only, and end the process at a flag that they do not know.
    _FLAGS += " --xla_cpu_use_fusion_emitters=false"
os.environ.setdefault("XLA_FLAGS", _FLAGS)
# What JAX has compiled before is taken from here, by processes that tests start too.
_CACHE = Path(__file__).parents[1] / ".pytest_cache" / "jax"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_CACHE))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

import hypothesis  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

import keras_micromag  # noqa: E402

# A first call compiles, so no deadline; the same examples everywhere, so that none fails by luck.
hypothesis.settings.register_profile("house", deadline=None, derandomize=True)
hypothesis.settings.load_profile("house")


def pytest_report_header():
    """Name the backend that these results are for."""
    return f"keras: {keras.__version__} on {keras.backend.backend()}"


def pytest_collection_finish():
    """Spare the collector of garbage a million objects that imports made, and that stay."""
    gc.freeze()


_ON_EVERY_BACKEND = ("layers", "losses.py", "models")
_SLOW = ("models", "recipes")


def pytest_collection_modifyitems(items):
    """Mark the examples in docstrings: those of layers, losses and models run on every backend."""
    package = Path(keras_micromag.__file__).parent
    for item in items:
        if isinstance(item, pytest.DoctestItem) and item.path.is_relative_to(package):
            part = item.path.relative_to(package).parts[0]
            for parts, mark in ((_ON_EVERY_BACKEND, "contract"), (_SLOW, "slow")):
                if part in parts:
                    item.add_marker(mark)
        if item.get_closest_marker("contract"):
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
