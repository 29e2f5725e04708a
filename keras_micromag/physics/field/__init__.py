"""The demagnetising field: the operator, of three kinds, and its files."""

from keras_micromag.physics.field.operator import (
    DemagOperator,
    choose_operator,
    demag_operator,
    describe_operator,
    resolve_operator,
)
from keras_micromag.physics.field.stored import read_operator, write_operator

__all__ = [
    "DemagOperator",
    "choose_operator",
    "demag_operator",
    "describe_operator",
    "read_operator",
    "resolve_operator",
    "write_operator",
]
