"""Logs for TensorBoard, where it is installed."""

from importlib.util import find_spec
from pathlib import Path

import keras


def tensorboard(out, name: str) -> list:
    """Callbacks for a training: one that logs to `out`/logs/`name`, or none.

    Keras's callback writes by TensorFlow on every backend, so that both must be there.
    """
    if not (find_spec("tensorboard") and find_spec("tensorflow")):
        return []
    return [keras.callbacks.TensorBoard(str(out / "logs" / name), write_graph=False)]


def hparams(out, name: str, values: dict, measured: dict) -> None:
    """Tell TensorBoard's table of hyperparameters of a trial, where it is installed.

    Args:
        out: the run's folder; the trial is logged to `out`/logs/`name`.
        values: of the hyperparameters. measured: numbers.
    """
    if not (find_spec("tensorboard") and find_spec("tensorflow")):
        return
    import tensorflow as tf
    from tensorboard.plugins.hparams import api

    with tf.summary.create_file_writer(str(Path(out, "logs", name))).as_default():
        api.hparams(values, trial_id=name)
        for measure, value in measured.items():
            tf.summary.scalar(measure, value, step=0)
