"""Logs for TensorBoard, if it is installed."""

import os
from importlib.util import find_spec
from pathlib import Path

import keras


def tensorboard(out: Path, name: str) -> list[keras.callbacks.Callback]:
    """Return a callback that logs a training to `out`/logs/`name`, in a list that may be empty.

    Keras's callback writes with TensorFlow on every backend, so both must be installed.
    """
    if not (find_spec("tensorboard") and find_spec("tensorflow")):
        return []
    return [keras.callbacks.TensorBoard(str(out / "logs" / name), write_graph=False)]


def hparams(out: str | os.PathLike, name: str, values: dict, measured: dict) -> None:
    """Log a trial for TensorBoard's table of hyperparameters.

    Args:
        out: the run's folder; the trial is logged to `out`/logs/`name`.
        name: name of the trial.
        values: the hyperparameters.
        measured: numbers, by their names.
    """
    if not (find_spec("tensorboard") and find_spec("tensorflow")):
        return
    import tensorflow as tf
    from tensorboard.plugins.hparams import api

    with tf.summary.create_file_writer(str(Path(out, "logs", name))).as_default():
        api.hparams(values, trial_id=name)
        for measure, value in measured.items():
            tf.summary.scalar(measure, value, step=0)
