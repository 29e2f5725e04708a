"""Writes figures of benchmarks to small files in `benchmarks/results`, and quotes them in pages.

A file holds one run: its command, date, versions and machine, and its figures by name. A figure is
a value, a median with the least and the most, or a mean with the standard deviation; each has a
unit. A page of the site quotes one by `{{ FILE.FIGURE }}`, the median alone by
`{{ FILE.FIGURE.median }}`, either without its unit by a further `.number`, and the command of a
file by `{{ FILE.command }}`, with its date by `{{ FILE.run }}`. Of one with `"transcribed": true`
somebody copied the figures from an earlier run; `save` replaces it.

Pages that GitHub shows as they are have the figures themselves, as `tests/quotes.txt` says: after a
run `python -m benchmarks.records` brings them up to date.
"""

import argparse
import datetime
import json
import math
import os
import platform
import re
import shlex
import statistics
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import keras
import numpy as np

from keras_micromag.utils.files import atomic_open
from keras_micromag.utils.versions import versions

FOLDER = Path(__file__).parent / "results"
PARTS = ("value", "median", "least", "most", "mean", "deviation")
QUOTE = re.compile(r"\{\{(.*?)\}\}")


# ---------------------------------------------------------------------------------------------
# Write
# ---------------------------------------------------------------------------------------------


def value(number: float, unit: str = "", digits: int = 3, decimals: int | None = None) -> dict:
    """Return a figure that was measured once, or counted.

    Args:
        number: the figure; an integer keeps all its digits.
        unit: of the figure.
        digits: how many of them are significant.
        decimals: how many to keep in place of that.
    """
    number = number.item() if isinstance(number, np.generic) else number
    if isinstance(number, int):
        return {"value": number, "unit": unit}
    decimals = _decimals(number, digits) if decimals is None else decimals
    return {"value": round(number, decimals), "decimals": decimals, "unit": unit}


def measured(values: Iterable[float], unit: str = "") -> dict:
    """Return the median of several measurements, with the least and the most."""
    values = list(values)
    parts = {"median": statistics.median(values), "least": min(values), "most": max(values)}
    return _rounded(parts, unit)


def scatter(values: Sequence[float], unit: str = "") -> dict:
    """Return the mean of several values, with their standard deviation."""
    parts = {"mean": statistics.mean(values), "deviation": statistics.stdev(values)}
    return _rounded(parts, unit)


def _rounded(parts: dict[str, float], unit: str) -> dict:
    return {**{name: float(f"{part:.5g}") for name, part in parts.items()}, "unit": unit}


def add_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option `--save`, without which nothing is written."""
    parser.add_argument("--save", action="store_true", help="write figures to benchmarks/results")


def save(
    name: str,
    figures: dict[str, dict],
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None,
    *,
    backend: bool = True,
    date: datetime.date | None = None,
) -> Path:
    """Write the figures of a run, and return the path of the file.

    Args:
        name: of the file; the backend is appended.
        figures: by name, each made by `value`, `measured` or `scatter`.
        parser: that of the benchmark, which names the command.
        argv: its arguments; those of the process by default.
        backend: whether the figures depend on the backend.
        date: of the run, if that is not today.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    words.remove("--save")
    settings = []
    if backend:
        name += f"-{keras.backend.backend()}"
        settings.append(f"KERAS_BACKEND={keras.backend.backend()}")
        if os.environ.get("JAX_ENABLE_X64") == "1":
            name += "-float64"
            settings.append("JAX_ENABLE_X64=1")
    content: dict = {
        "command": shlex.join([*settings, *parser.prog.split(), *words]),
        "date": (date or datetime.date.today()).isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "versions": {"python": platform.python_version(), **versions()},
    }
    if date is None and hasattr(os, "getloadavg"):  # not on Windows
        # How many processes wanted a core in the last 15 minutes.
        content["load"] = round(os.getloadavg()[2], 1)
    content["figures"] = figures
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.json"
    with atomic_open(path, "w", encoding="utf-8") as file:
        file.write(_text(content))
    print(f"figures: {path}")
    return path


def _text(content: dict) -> str:
    """Return JSON with a line for each figure."""
    lines = [
        f"  {json.dumps(name)}: {json.dumps(figure, ensure_ascii=False, allow_nan=False)}"
        for name, figure in content["figures"].items()
    ]
    about = {name: part for name, part in content.items() if name != "figures"}
    head = [
        f" {json.dumps(name)}: {json.dumps(part, ensure_ascii=False)}"
        for name, part in about.items()
    ]
    figures = ",\n".join(lines)
    return "{\n" + ",\n".join([*head, f' "figures": {{\n{figures}\n }}']) + "\n}\n"


# ---------------------------------------------------------------------------------------------
# Quote
# ---------------------------------------------------------------------------------------------


def fill(text: str) -> str:
    """Return a text with its quotes `{{ FILE.FIGURE }}` replaced by the figures.

    Raises:
        LookupError: for a file or a figure that is not there.
    """
    return QUOTE.sub(lambda match: quoted(match[1].strip()), text)


def refreshed(page: str, text: str) -> str:
    """Return a page with the figures of a text in it as the files have them now.

    Args:
        page: as GitHub shows it, with figures.
        text: of it, with quotes in place of the figures; white space does not count.

    Raises:
        LookupError: where the page has no such text.
    """
    parts = QUOTE.split(text)
    names, parts = parts[1::2], [r"\s+".join(map(re.escape, p.split(" "))) for p in parts[::2]]
    match = re.search(r"(\S[^|\n]*?)".join(parts), page)
    if not match:
        raise LookupError(f"The page has no text {text!r}.")
    for group in range(len(names), 0, -1):
        figure, (start, end) = quoted(names[group - 1].strip()), match.span(group)
        # A plus before what is positive stays.
        if match[group].replace("+", "") != figure:
            page = page[:start] + figure + page[end:]
    return page


def quoted(name: str) -> str:
    """Return the text of one quote, such as `demag.matrix_ratio` or `demag.matrix.median`."""
    file, _, rest = name.partition(".")
    figure, *parts = rest.removesuffix(".number").split(".")
    part = ".".join(parts)
    content = load(file)
    if rest == "command":
        return f"`{content['command']}`"
    if rest == "run":
        copied = ", copied" if content.get("transcribed") else ""
        return f"`{content['command']}` ({content['date']}{copied})"
    if figure not in content["figures"]:
        raise LookupError(
            f"benchmarks/results/{file}.json has no figure `{figure}`; it has "
            f"{', '.join(content['figures'])}."
        )
    if part not in {"", *content["figures"][figure]} - {"unit", "decimals"}:
        raise LookupError(f"`{figure}` of benchmarks/results/{file}.json has no `{part}`.")
    return shown(content["figures"][figure], part, unit=not rest.endswith(".number"))


def load(name: str) -> dict:
    """Return the content of a file.

    Raises:
        LookupError: where there is none of this name.
    """
    path = FOLDER / f"{name}.json"
    if not path.exists():
        raise LookupError(f"benchmarks/results has no file `{name}.json`.")
    return json.loads(path.read_text(encoding="utf-8"))


def shown(figure: dict, part: str = "", unit: bool = True) -> str:
    """Return a figure as text, or one part of it.

    A median has as many digits as its range allows, two to three; a mean ends with the second digit
    of its deviation.
    """
    end = f" {figure['unit']}" if figure["unit"] and unit else ""
    if "value" in figure:
        return number(figure["value"], figure.get("decimals", 0)) + end
    if "median" in figure:
        middle, least, most = (figure[name] for name in ("median", "least", "most"))
        decimals = _decimals(middle, 3)
        if most > least:
            digits = 2 if f"{most - least:e}"[0] in "12" else 1  # of the range
            allowed = max(_decimals(most - least, digits), _decimals(middle, 2))
            decimals = min(decimals, allowed)
        spread = f" [{number(least, decimals)}, {number(most, decimals)}]"
        first, brackets = middle, spread if most > least else ""  # of a single run
    else:
        first, deviation = figure["mean"], figure["deviation"]
        decimals = _decimals(deviation, 2)
        brackets = f" ± {number(deviation, decimals)}"
    if part in figure:
        return number(figure[part], decimals) + end
    return number(first, decimals) + brackets + end


def _decimals(number: float, digits: int) -> int:
    """Return with how many decimals a number has so many significant digits."""
    return digits - 1 - math.floor(math.log10(abs(number))) if number else digits


def number(x: float, decimals: int) -> str:
    """Return a number with commas between thousands and a true minus."""
    if 0 < abs(x) < 1e-4:
        mantissa, _, exponent = f"{x:.1e}".partition("e")
        text = f"{mantissa}e{int(exponent)}"
    else:
        text = f"{round(x, decimals):,.{max(decimals, 0)}f}"
    return text.replace("-", "−", 1) if x < 0 else text


def main() -> None:
    """Write the figures of the files into the pages that `tests/quotes.txt` names."""
    root = FOLDER.parents[1]
    _, *pages = (root / "tests/quotes.txt").read_text(encoding="utf-8").split("\n# ")
    for name, *lines in map(str.splitlines, pages):
        page = (root / name).read_text(encoding="utf-8")
        for line in filter(None, lines):
            page = refreshed(page, line)
        (root / name).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
