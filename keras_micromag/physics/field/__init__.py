"""The demagnetising field of large magnets: one operator, dense, lattice or hierarchical."""

from keras_micromag.physics.field.operator import (
    DemagOperator,
    check_operator,
    choose_operator,
    demag_operator,
    operator_told,
)
from keras_micromag.physics.field.stored import read_operator, write_operator

__all__ = [
    "DemagOperator",
    "check_operator",
    "choose_operator",
    "demag_operator",
    "operator_told",
    "read_operator",
    "write_operator",
]
