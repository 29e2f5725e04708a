"""Markdown tables, and the format of numbers in them."""

import numpy as np

from keras_micromag.evaluation import MEASURES

DIGITS = {"curve_rmse": 4, "coercivity_error": 4, "branch_accuracy": 4}


def rows(table: list[list[str]]) -> list[str]:
    """Return the lines of a table, whose first row is the head."""
    head, *others = (f"| {' | '.join(row)} |" for row in table)
    return [head, "|---" * len(table[0]) + "|", *others]


def cell(measure: str, values: list[list[float | None]]) -> str:
    """Return mean ± standard deviation of a measure, with the digits of the measure."""
    return spread(values, DIGITS.get(measure, 2))


def median(measure: str, values: list[list[float | None]]) -> str:
    """Return the median of a measure; None counts as infinite."""
    flat = [np.inf if value is None else value for each in values for value in each]
    return number(np.median(flat), DIGITS.get(measure, 2))


def spread(values: list[list[float | None]], digits: int) -> str:
    """Return mean ± standard deviation of all values in several lists, or a single value alone.

    If there is a None, the result is "none" with the number of these: a mean over the other values
    would be too good.
    """
    flat = [value for each in values for value in each]
    finite = [value for value in flat if value is not None]
    if len(finite) < len(flat):
        return f"none for {len(flat) - len(finite)} of {len(flat)}" if finite else "none"
    mean = number(float(np.mean(finite)), digits)
    return mean if len(flat) == 1 else f"{mean} ± {number(float(np.std(finite, ddof=1)), digits)}"


def paired_difference(measured: dict, other: dict) -> str:
    """Return how much smaller the two main errors of one model are than those of another.

    Args:
        measured, other: {measure: values}, None for a value that is not finite.

    Returns:
        The means over the magnets of the differences ± their standard errors; for one magnet the
        difference alone.
    """
    texts = []
    for measure in ("curve_rmse", "coercivity_error"):
        ours, theirs = (np.array(each[measure], dtype=float) for each in (measured, other))
        difference = theirs - ours  # None has become nan
        text = f"{MEASURES[measure]} {number(difference.mean(), 4)}"
        if len(difference) > 1:
            error = difference.std(ddof=1) / np.sqrt(len(difference))
            text += f" ± {number(error, 4)}"
        texts.append(text)
    return ", ".join(texts)


def number(value: float, digits: int) -> str:
    """Return a number as text; only the order of magnitude of numbers from a diverged recursion."""
    if not np.isfinite(value):
        return "none"
    return f"{value:.{digits}f}" if abs(value) < 1e4 else f"{value:.0e}"
