"""The command line: `keras-micromag simulate`, also as `python -m keras_micromag simulate`.

Keras, the physics and matplotlib are imported only where they are needed, so that `--help` is
quick, a mistyped option costs nothing, and `--backend` still takes effect.
"""

from keras_micromag import __version__
from keras_micromag.cli import predict, reproduce, simulate, train
from keras_micromag.utils.command_line import PROGRAM, Parser, run


def build_parser() -> Parser:
    """Return the parser of all commands, whose options the site lists."""
    parser = Parser(prog=PROGRAM, description="Magnetisation reversal of multigrain magnets.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (simulate, train, predict, reproduce):
        command.add(commands)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit status; see `run`."""
    return run(build_parser(), argv)
