"""The paper's method on its data: train, predict the loops of magnets never seen, and report.

Only the command line imports this; the data come from `tfds_esw`, the figures from matplotlib.
"""

import dataclasses
import hashlib
import json
import os
import time
from pathlib import Path

import keras
import numpy as np

import keras_micromag
from keras_micromag import recipes
from keras_micromag.baselines import LinearLatent, mean_loop, persistence
from keras_micromag.judge import MEASURES, judge
from keras_micromag.models import LatentHysteresis
from keras_micromag.physics import Hysteresis, cubic_grains, simulate

MODEL, SETTINGS, METRICS, REPORT = "model.keras", "settings.json", "metrics.json", "report.md"
FIGURES = ("predicted.png", "training.png")
DIGITS = {"curve_rmse": 4, "coercivity_error": 4, "branch_accuracy": 4}


def reproduce(
    out: Path,
    *,
    data_dir=None,
    recipe: str = "default",
    magnets: int = 800,
    seed: int = 0,
    test: str = "paper",
    train: str = "large",
    verbose="auto",
) -> dict:
    """Train by a recipe, judge on the paper's ten magnets, and write a report.

    A run that was killed goes on after the last piece that it finished: the data, the model.

    Args:
        out: folder for everything that is made.
        data_dir: of the data sets, TFDS's own if None; they are built where they are not there.
        recipe: a name of `keras_micromag.recipes.RECIPES`.
        magnets: how many of the configuration `train` to train on: the first of its split "train".
            None are among the ten, so that each of the ten is a magnet never seen.
        seed: of the training.
        test, train: configurations of `tfds_esw`; all magnets of `test` are predicted.
        verbose: of Keras's `fit`.

    Returns:
        What is written to metrics.json.

    Raises:
        ValueError: for an unknown recipe, more magnets than there are, or a folder that holds a run
            of other settings.
    """
    if recipe not in recipes.RECIPES:
        known = ", ".join(recipes.RECIPES)
        raise ValueError(f"`recipe` must be one of {known}; received {recipe!r}.")
    chosen = recipes.RECIPES[recipe]
    settings = {
        "recipe": {"name": recipe, **dataclasses.asdict(chosen)},
        "magnets": magnets,
        "seed": seed,
        "test": test,
        "train": train,
        "backend": keras.backend.backend(),
        "versions": {p.__name__: p.__version__ for p in (keras_micromag, keras, np)},
    }
    _settle(out, settings)
    unseen, field, grid = _loops(test, data_dir)
    training = _training_loops(train, magnets, data_dir)
    model, history = _trained(out, chosen, _on(grid, training), field, seed, verbose)

    true = unseen.magnetization
    window = model.rollout.window
    began = time.perf_counter()
    loops = _predict(model, true[:, :window], field)
    seconds = time.perf_counter() - began
    linear = LinearLatent(training, field, chosen.latent_size, window)
    latent = recipes.encode(model.encoder, _on(grid, true))
    flat = latent.reshape(-1, latent.shape[-1])
    decoded = model.decoder.predict(flat, batch_size=4096, verbose=0).reshape(true.shape)
    found = {
        "reconstruction": {
            "autoencoder": decoded,
            f"PCA({chosen.latent_size})": linear.reconstruct(true),
        },
        "prediction from the first states": {
            "predictor": loops,
            "mean training loop": mean_loop(training),
            "persistence": persistence(true[:, :window], len(field)),
            "linear latent predictor": linear.predict(true[:, :window]),
        },
    }
    measured = {
        kind: {
            name: {
                measure: [None if np.isnan(value) else float(value) for value in values]
                for measure, values in judge(true, states, field).items()
            }
            for name, states in each.items()
        }
        for kind, each in found.items()
    }
    metrics = {"measures": measured, "seconds_to_predict": seconds, "history": history}
    _write(out / METRICS, json.dumps(metrics, indent=1))
    _draw(out, unseen, loops, mean_loop(training), history)
    _write(out / REPORT, report(settings, measured))
    return metrics


def predicted_loops(path, first, field) -> Hysteresis:
    """Loops that a trained model predicts for magnets of the paper's kind.

    Args:
        path: a `.keras` file that `reproduce` wrote.
        first: a `Hysteresis` of b magnets, of which the first states are taken, and the field; or
            easy axes (b, g, 3), of which the first states are simulated.
        field: (t,) µ0·H in tesla of the whole loop, for easy axes.

    Returns:
        The loops; those states that are predicted do not count as converged.

    Raises:
        ValueError: when the file holds no such model, or the magnets do not fit it.
    """
    try:
        model = keras.saving.load_model(path, compile=False)
    except ValueError as error:
        raise ValueError(f"`MODEL` must be a .keras file; received {path}: {error}") from error
    if not isinstance(model, LatentHysteresis):
        raise ValueError(f"`MODEL` must hold a LatentHysteresis; received {type(model).__name__}.")
    grid, window = model.encoder.input_shape[1:-1], model.rollout.window
    if not isinstance(first, Hysteresis):
        first = simulate(cubic_grains(grid), first, field=field[:window], progress=False)
    else:
        field = first.field
    states = first.magnetization
    if states.ndim != 4 or len(field) <= window or states.shape[2] != np.prod(grid):
        raise ValueError(
            f"`MODEL` must be given loops (b, t, g, 3) with t greater than {window} and "
            f"g = {np.prod(grid)}; received {states.shape} and {len(field)} fields."
        )
    moments = _predict(model, states[:, :window], field)
    steps = np.arange(len(field)) < window
    known = np.broadcast_to(steps, (len(states), len(field)))
    return dataclasses.replace(
        first, field=field, magnetization=moments, converged=known, iterations=known.astype(int)
    )


def _predict(model, states, field):
    """(b, t, g, 3) loops from first states (b, window, g, 3)."""
    start = _on(model.encoder.input_shape[1:-1], states)
    fields = np.tile(field, (len(states), 1))
    loops = model.predict({"states": start, "field": fields}, verbose=0)
    return loops.reshape(*loops.shape[:2], *states.shape[2:])


def report(settings: dict, measured: dict) -> str:
    """The report in Markdown: a table for each kind of measurement, mean ± spread over magnets."""
    lines = [
        "# Loops of magnets never seen",
        "",
        f"Recipe `{settings['recipe']['name']}`, {settings['magnets']} magnets of "
        f"`tfds_esw/{settings['train']}` to train on, all of `tfds_esw/{settings['test']}` to "
        f"judge by, seed {settings['seed']}, {settings['backend']}. Mean ± standard deviation over "
        "the magnets.",
        "",
        "![Predicted and simulated loop](predicted.png)",
    ]
    for kind, each in measured.items():
        lines += ["", f"## {kind.capitalize()}", "", "| | " + " | ".join(each) + " |"]
        lines.append("|---" * (len(each) + 1) + "|")
        for measure, label in MEASURES.items():
            cells = [_cell(measure, values[measure]) for values in each.values()]
            lines.append(f"| {label} | " + " | ".join(cells) + " |")
    lines += ["", "![Losses](training.png)", ""]
    return "\n".join(lines)


def _cell(measure, values):
    values = np.array([np.nan if value is None else value for value in values])
    if np.isnan(values).any():
        return "none"
    digits = DIGITS.get(measure, 2)
    return f"{values.mean():.{digits}f} ± {values.std():.{digits}f}"


def _settle(out, settings):
    """Make the folder, or hold an earlier run's settings against these."""
    path = out / SETTINGS
    text = json.dumps(settings, indent=2) + "\n"
    out.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise ValueError(
            f"`--out` must be a new folder, or one of a run with the same settings; {path} holds "
            "others."
        )
    _write(path, text)


def _write(path, text):
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def _built(config, data_dir):
    from tfds_esw import Builder

    builder = Builder(config=config, data_dir=data_dir)
    builder.download_and_prepare()
    return builder


def _loops(config, data_dir):
    """All loops of a configuration, in its order, as a `Hysteresis`; the field, and the grid."""
    from tfds_esw import examples, hysteresis

    builder = _built(config, data_dir)
    all_ = [example for split in builder.info.splits for example in examples(builder, split)]
    loops = hysteresis(all_, builder.info)
    return loops, loops.field, builder.builder_config.shape


def _training_loops(config, magnets, data_dir):
    """(magnets, t, g, 3) moments of the first magnets that a configuration trains on."""
    from tfds_esw import examples

    builder = _built(config, data_dir)
    most = builder.info.splits["train"].num_examples
    if magnets > most:
        raise ValueError(
            f"`magnets` must be at most {most}, all that {config} trains on; received {magnets}."
        )
    return np.stack([e["magnetization"] for e in examples(builder, f"train[:{magnets}]")])


def _on(grid, moments):
    return np.asarray(moments, "float32").reshape(*moments.shape[:2], *grid, 3)


def _trained(out, recipe, training, field, seed, verbose):
    """The model that an earlier run finished, or a new one; and what its trainings told."""
    path, told = out / MODEL, out / "history.json"
    digest = path.exists() and hashlib.sha256(path.read_bytes()).hexdigest()
    if told.exists():
        history = json.loads(told.read_text(encoding="utf-8"))
        if history.pop("digest") == digest:
            return keras.saving.load_model(path), history
    trained = recipes.train(recipe, training, field, seed=seed, verbose=verbose)
    partial = out / f".partial-{MODEL}"
    trained.model.save(partial)
    os.replace(partial, path)
    history = {
        name: {key: [float(v) for v in values] for key, values in part.history.items()}
        for name, part in (("autoencoder", trained.autoencoder), ("predictor", trained.predictor))
    }
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    _write(told, json.dumps({"digest": digest, **history}))
    return trained.model, history


def _draw(out, unseen, loops, mean, history):
    from matplotlib.figure import Figure

    from keras_micromag import plots

    predicted = dataclasses.replace(unseen, magnetization=loops)
    figure = Figure(figsize=(plots.COLUMN, 0.75 * plots.COLUMN), layout="constrained")
    plots.plot_prediction(unseen, predicted, magnet=-1, mean=mean, ax=figure.add_subplot())
    plots.save_figure(figure, out / FIGURES[0])
    figure = Figure(figsize=(2 * plots.COLUMN, 0.75 * plots.COLUMN), layout="constrained")
    for ax, (name, told) in zip(figure.subplots(1, 2), history.items(), strict=True):
        plots.plot_history(told, title=name, ax=ax)
    plots.save_figure(figure, out / FIGURES[1])
