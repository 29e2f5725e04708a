"""Versions of packages."""

import keras
import numpy as np

import keras_micromag
from keras_micromag.utils.versions import versions


def test_versions_are_those_of_the_packages():
    backend = keras.backend.backend()
    installed = versions()
    assert list(installed) == ["keras_micromag", "keras", backend, "numpy"]
    assert installed["keras_micromag"] == keras_micromag.__version__
    assert installed["keras"] == keras.__version__ and installed["numpy"] == np.__version__
    assert installed[backend]
