"""Measures how much the coercivity depends on the choices that the paper leaves open.

Each line changes one parameter of ten of the paper's magnets, whose easy axes stay the same. It has
the mean coercivity, and the mean change of a magnet's coercivity with its standard deviation over
the ten.

Run it with `python -m benchmarks.sensitivity`; KERAS_BACKEND chooses the backend.
"""

import argparse
import dataclasses
import re

import numpy as np

from benchmarks import records
from benchmarks.timing import print_table
from keras_micromag.physics import simulate
from keras_micromag.physics.microstructure.particles import PAPER_DEPTH
from tfds_esw import Config, simulations

MAGNETS = 10

CHANGES = {
    "data set `paper`": {},
    "depth 0.6 exchange lengths": {"depth": 1.18e-9},
    "depth 2.4 exchange lengths": {"depth": 4.73e-9},
    "particles at the vertices": {"scheme": ("vertices",)},
    "at the face centres": {"scheme": ("faces",)},
    "at the centroid": {"scheme": ("centroid",)},
    "gap 0": {"gap": 0.0},
    "gap 6 nm": {"gap": 6e-9},
    "grains of 25 nm, gap 1.5 nm": {"size": 25e-9, "gap": 1.5e-9},
    "grains of 100 nm, gap 6 nm": {"size": 100e-9, "gap": 6e-9},
    "with the self-field": {"self_field": True},
    "the weakest grain flips first": {"avalanche": "weakest_first"},
    "Ku 5 % higher": {"Ku": 1.05 * 4.9e6},
    "Js 5 % higher": {"Js": 1.05 * 1.61},
    "500 fields": {"steps": 500},
    "4000 fields": {"steps": 4000},
    "float64": {"dtype": "float64"},
}


def coercivity(config: Config, magnets: int) -> np.ndarray:
    """Return the coercivities (magnets,) in tesla; the easy axes are those of the default."""
    drawn = [simulations.draw(config, index) for index in range(magnets)]
    loops = simulate(
        simulations.structure(config),
        np.stack([magnet.easy_axes for magnet in drawn]),
        material=drawn[0].material,
        field=simulations.field(config),
        self_field=config.self_field,
        avalanche=config.avalanche,
        dtype=config.dtype,
        progress=False,
    )
    return loops.coercivity()


def main(argv=None) -> None:
    """Simulate all variants, and print a line for each."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sensitivity", description=main.__doc__
    )
    parser.add_argument("--magnets", type=int, default=MAGNETS)
    parser.add_argument("--steps", type=int, default=1000, help="number of fields by default")
    records.add_argument(parser)
    arguments = parser.parse_args(argv)
    base = Config(
        steps=arguments.steps, depth=PAPER_DEPTH, self_field=False, avalanche="simultaneous"
    )
    rows, reference, figures = [("", "coercivity, T", "change, T")], None, {}
    for name, change in CHANGES.items():
        values = coercivity(dataclasses.replace(base, **change), arguments.magnets)
        reference = values if reference is None else reference
        shift = values - reference
        text = f"{shift.mean():+.3f} ± {shift.std(ddof=1):.3f}"
        rows.append((name, f"{values.mean():.3f}", text))
        key = re.sub(r"\W+", "_", name).strip("_")
        figures[key] = records.value(values.mean(), "T", 4)
        figures[f"{key}_change"] = records.scatter(shift, "T")
    print_table(rows)
    if arguments.save:
        records.save("sensitivity", figures, parser, argv)


if __name__ == "__main__":
    main()
