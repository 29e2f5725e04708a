"""The demagnetising field: the operator, of three kinds, and its files."""

from keras_micromag.physics.field.operator import (
    DemagOperator,
    Kind,
    choose_operator,
    demag_operator,
)

__all__ = [
    "DemagOperator",
    "Kind",
    "choose_operator",
    "demag_operator",
]
