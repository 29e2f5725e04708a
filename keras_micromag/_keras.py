"""Import Keras, or say which backend to install; imported before everything that needs Keras."""

import keras_micromag

try:
    import keras  # noqa: F401
except ModuleNotFoundError as error:
    # Keras may stumble over a submodule first: tensorflow.python, torch.utils.
    missing = (error.name or "").partition(".")[0]
    if missing not in keras_micromag._BACKENDS:
        raise
    # Keras's own traceback would only bury the sentence.
    raise keras_micromag._backend_missing(missing) from None
