"""Logs for TensorBoard, where it is installed."""

from importlib.util import find_spec

import keras


def tensorboard(out, name: str) -> list:
    """Callbacks for a training: one that logs to `out`/logs/`name`, or none.

    Keras's callback writes by TensorFlow on every backend, so that both must be there.
    """
    if not (find_spec("tensorboard") and find_spec("tensorflow")):
        return []
    return [keras.callbacks.TensorBoard(str(out / "logs" / name), write_graph=False)]
