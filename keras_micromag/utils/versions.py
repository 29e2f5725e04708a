"""Versions of the packages that computed numbers depend on."""

import sys

from keras_micromag import __version__


def versions() -> dict[str, str]:
    """Return the versions of this package, Keras, its backend and NumPy, by the package's name."""
    import keras  # only where it is needed: to import it takes seconds
    import numpy as np

    backend = keras.backend.backend()
    return {
        "keras_micromag": __version__,
        "keras": keras.__version__,
        backend: sys.modules[backend].__version__,
        "numpy": np.__version__,
    }
