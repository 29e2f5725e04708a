"""Reads the errors of predicted loops that `make demo` measured, for the pages to quote.

Run it with `python -m benchmarks.demo runs/demo --save`; it computes nothing anew.
"""

import argparse
import datetime
import json
from pathlib import Path

import numpy as np

from benchmarks import records
from benchmarks.timing import print_table
from keras_micromag.paper.measures import PREDICTION

MEASURES = {"curve_rmse": "", "coercivity_error": "T"}


def figures_of(metrics: dict) -> dict[str, dict]:
    """Return the figures of the magnets that were held out, from the content of metrics.json."""
    measured = metrics["more"][PREDICTION]
    figures = {
        f"{model.replace(' ', '_')}_{measure}": records.scatter(values[measure], unit)
        for model, values in measured.items()
        for measure, unit in MEASURES.items()
        if None not in values[measure]
    }
    for measure, unit in MEASURES.items():
        ours, mean = (measured[name][measure] for name in ("predictor", "mean training loop"))
        lead = np.subtract(mean, ours)
        error = lead / np.sqrt(len(lead))  # whose scatter is the standard error of the mean
        figures[f"lead_{measure}"] = {
            **records.scatter(error.tolist(), unit),
            "mean": records.scatter(lead.tolist())["mean"],
        }
    return {"magnets": records.value(len(ours)), **figures}


def main(argv=None) -> None:
    """Print the errors of the predicted loops."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="that `make demo` wrote")
    records.add_argument(parser)
    arguments = parser.parse_args(argv)
    path = arguments.folder / "metrics.json"
    figures = figures_of(json.loads(path.read_text(encoding="utf-8")))
    print_table([(name, records.shown(figure)) for name, figure in figures.items()])
    if arguments.save:
        written = datetime.date.fromtimestamp(path.stat().st_mtime)
        records.save("demo", figures, parser, argv, backend=False, date=written)


if __name__ == "__main__":
    main()
