"""Benchmarks of every claim about speed, each beside a peer."""

from argparse import ArgumentParser
from collections.abc import Collection


def add_names(parser: ArgumentParser, argument: str, names: Collection[str]) -> None:
    """Add a positional argument that takes any of some names; none stands for all."""
    parser.add_argument(
        argument,
        nargs="*",
        choices=[*names, []],  # some versions of Python check the empty list, too
        metavar="NAME",
        help=f"{', '.join(names)}; all by default",
    )
