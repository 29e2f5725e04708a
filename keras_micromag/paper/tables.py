"""Tables in Markdown, and the numbers in them."""

import numpy as np

from keras_micromag.judge import MEASURES

DIGITS = {"curve_rmse": 4, "coercivity_error": 4, "branch_accuracy": 4}


def rows(table: list[list[str]]) -> list[str]:
    """The lines of a table; its first row is the head."""
    head, *others = (f"| {' | '.join(row)} |" for row in table)
    return [head, "|---" * len(table[0]) + "|", *others]


def cell(measure: str, values) -> str:
    """Mean ± standard deviation of a measure, to the digits that it has."""
    return spread(values, DIGITS.get(measure, 2))


def median(measure: str, values) -> str:
    """Median of a measure; what is no number counts as larger than any."""
    flat = [np.inf if value is None else value for each in values for value in each]
    return number(np.median(flat), DIGITS.get(measure, 2))


def spread(values, digits: int) -> str:
    """Mean ± standard deviation of all values in lists of them; just the value if there is one.

    A value that is no number makes the whole "none", and says how many there are: a mean over the
    others would flatter.
    """
    flat = [value for each in values for value in each]
    missing = sum(value is None for value in flat)
    if missing:
        return "none" if missing == len(flat) else f"none for {missing} of {len(flat)}"
    mean = number(np.mean(flat), digits)
    return mean if len(flat) == 1 else f"{mean} ± {number(np.std(flat, ddof=1), digits)}"


def less_wrong(measured: dict, other: dict) -> str:
    """How much less wrong one is than another: the two errors that count, magnet by magnet.

    Args:
        measured, other: {measure: values}, None for what is no number.

    Returns:
        The means of the differences ± their standard errors; of one magnet just the difference.
    """
    told = []
    for measure in ("curve_rmse", "coercivity_error"):
        ours, theirs = (np.array(each[measure], dtype=float) for each in (measured, other))
        less = theirs - ours  # None has become nan
        text = f"{MEASURES[measure]} {number(less.mean(), 4)}"
        if len(less) > 1:
            text += f" ± {number(less.std(ddof=1) / np.sqrt(len(less)), 4)}"
        told.append(text)
    return ", ".join(told)


def number(value: float, digits: int) -> str:
    """A number; of those without bound, as a recursion may give, only the size."""
    if not np.isfinite(value):
        return "none"
    return f"{value:.{digits}f}" if abs(value) < 1e4 else f"{value:.0e}"
