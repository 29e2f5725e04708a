"""Studies of magnets of up to 100,000 cubes: `python -m examples.large_magnets grains` and others.

Each subcommand draws a figure and prints a table; docs/explanation/magnets.md has the figures.
Particles lie as deep as in the data set `paper`, and grains have no own field.
"""

import argparse

from examples.large_magnets import avalanches, grains, shape, touching


def main(argv=None):
    parser = argparse.ArgumentParser(prog="large_magnets", description=__doc__)
    commands = parser.add_subparsers(required=True)
    parts = {"grains": grains, "avalanches": avalanches, "touching": touching, "shape": shape}
    for name, part in parts.items():
        about = part.__doc__.splitlines()[0]
        command = commands.add_parser(name, help=about, description=about)
        for option, value in part.DEFAULTS.items():
            several = {"nargs": "+"} if isinstance(value, tuple) else {}
            kind = type(value[0] if several else value)
            command.add_argument(f"--{option}", type=kind, default=value, **several)
        command.add_argument("--out", default=f"{name}.png", help="file of the figure")
        command.set_defaults(run=part.main)
    options = vars(parser.parse_args(argv))
    return options.pop("run")(**options)
