"""Split a tessellation file into sections, read their words and numbers, and report errors."""

import re
from dataclasses import dataclass
from itertools import islice

import numpy as np

from keras_micromag.utils import checks

_SECTIONS = {
    "format": (),
    "general": (),
    "cell": (
        *("id", "lam", "lamid", "mode", "modeid", "group", "crysym", "seed", "ori"),
        *("orispread", "orispreadtheta", "oridistrib", "weight"),
    ),
    "vertex": (),
    "edge": (),
    "face": (),
    "polyhedron": (),
    "domain": ("general", "vertex", "edge", "face"),
    "periodicity": ("general", "seed", "vertex", "edge", "face"),
    "scale": ("general", "cellid"),
}
"""All sections of the format, with their subsections."""

_REQUIRED = ("format", "general", "cell", "vertex", "edge", "face", "polyhedron")

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass
class Section:
    """The words between one starred name and the next.

    Attributes:
        path: of the file.
        line: on which the section begins.
        text: of the section.
        words: of the text.
        numbers: (words,) values of the words, after `read_numbers`.
    """

    path: str
    line: int
    text: str

    def __post_init__(self):
        self.words = self.text.split()

    def error(self, k, requirement, received=None):
        """Return the error to raise about word `k`, which may be the one after the last."""
        if received is None:
            received = f"{self.words[k]:.40}" if k < len(self.words) else "the section's end"
        return _format_error(self.path, self.line_of(k), requirement, received)

    def line_of(self, k):
        """Return the line of word `k`, or the last line if there is no such word."""
        words = islice(re.finditer(r"\S+", self.text), k, None)
        word = next(words, None)
        position = word.start() if word else len(self.text.rstrip())
        return self.line + self.text.count("\n", 0, position)

    def word(self, choices=None):
        """Return the only word, which must be one of `choices` if these are given."""
        if len(self.words) != 1:
            raise self.error(min(len(self.words), 1), "hold one word for the section")
        if choices and self.words[0] not in choices:
            raise self.error(0, f"hold one of {', '.join(choices)}")
        return self.words[0]

    def read_numbers(self, start=0):
        """Set `numbers` to the values of the words from `start` on, nan before."""
        self.numbers = np.full(len(self.words), np.nan)
        try:
            self.numbers[start:] = np.fromiter(map(float, self.words[start:]), float)
            # float() is fast, but accepts nan, inf and 1_000.
            valid = "_" not in self.text and (np.abs(self.numbers[start:]) < checks.LARGEST).all()
        except ValueError:
            valid = False
        if valid:
            return
        # Find the first word that is not a number.
        for k, word in enumerate(self.words[start:], start):
            if not _NUMBER.fullmatch(word) or abs(float(word)) >= checks.LARGEST:
                raise self.error(k, f"hold a number smaller than {checks.LARGEST:g}")

    def integers(self, k, n, least, most, what, *, signed=False):
        """Return `n` integers from word `k` on, between `least` and `most`.

        If `signed`, the limits are those of their absolute values.
        """
        values = self.numbers[k : k + n].tolist()
        for j, value in enumerate(values):
            if not least <= (abs(value) if signed else value) <= most or not value.is_integer():
                raise self.error(k + j, f"hold {what}")
        if len(values) < n:
            raise self.error(len(self.words), f"hold {what}")
        return [int(value) for value in values]

    def count(self, what, alone=False):
        """Return the number with which the section begins, at least 1.

        If `alone`, nothing may follow it.
        """
        self.read_numbers()
        [n] = self.integers(0, 1, 1, np.inf, f"a {what} of at least 1")
        if alone and len(self.words) > 1:
            raise self.error(1, f"hold nothing after the {what}")
        return n

    def table(self, start, rows, columns, what):
        """Return all numbers from word `start` on, as an array (rows, columns)."""
        count = len(self.words) - start
        if count != rows * columns:
            raise self.error(
                start + min(count, rows * columns),
                f"hold {rows} {what} of {columns} numbers",
                f"{count} numbers",
            )
        return self.numbers[start:].reshape(rows, columns)

    def numbered_table(self, start, rows, columns, what):
        """Return the table sorted by its first column, which numbers the rows, and without it."""
        table = self.table(start, rows, columns, what)
        starts = range(start, len(self.words), columns)
        return table[self.order(starts, table[:, 0], what), 1:]

    def order(self, starts, numbers, what):
        """Return the order that sorts records, which begin at words `starts`, by their numbers.

        The `numbers` must be 1 to n, each once.
        """
        order = np.argsort(numbers, kind="stable")
        wrong = np.flatnonzero(np.array(numbers)[order] != np.arange(1, len(numbers) + 1))
        if len(wrong):
            k = starts[int(order[wrong[0]])]
            raise self.error(k, f"number the {what} from 1 to {len(numbers)}, each once")
        return order


def _format_error(path, line, requirement, received):
    """Return the error to raise about a line of a file."""
    return ValueError(
        f"`path` must be a tessellation of Neper; line {line} of {path} must {requirement}; "
        f"received {received}."
    )


def read_sections(path: str) -> dict[str, Section]:
    """Read the sections of a file by name, {"cell": …, "cell/ori": …}.

    Raises:
        ValueError: when the file is not text, lacks a section, has one that Neper does not write,
            or is not three-dimensional. The message names the line.
    """
    text = _text(path)
    names = list(re.finditer(r"(?<!\S)\*\S*", text))
    if not names or names[0][0] != "***tess" or text[: names[0].start()].strip():
        raise _format_error(path, 1, "begin with ***tess", repr(text.lstrip()[:20]))
    if names[-1][0] != "***end":
        raise _format_error(
            path, text.count("\n") + 1, "end the file with ***end", "the file's end"
        )
    sections, parent, line, position = {}, None, 1, 0
    for k, name in enumerate(names):
        line += text.count("\n", position, name.start())
        position = name.start()
        end = names[k + 1].start() if name is not names[-1] else None
        section = Section(path, line, text[name.end() : end])
        if k in (0, len(names) - 1):
            if section.words:
                raise section.error(0, f"hold nothing after {name[0]}")
            continue
        if name[0].startswith("**"):
            key = parent = name[0][2:]
            known = key in _SECTIONS
        else:
            key = f"{parent}/{name[0][1:]}"
            known = name[0][1:] in _SECTIONS.get(parent or "", ())
        if not known or key in sections:
            raise _format_error(path, line, "name a section of the format, once", f"{name[0]:.40}")
        sections[key] = section
    for required in _REQUIRED:
        if required not in sections:
            raise _format_error(path, line, f"be preceded by **{required}", "none")
        # Checked before the later sections, some of which a plane tessellation does not have.
        if required == "general":
            _check_dimension(sections[required])
    return sections


def _text(path):
    """Return the text of a file, which must be ASCII."""
    with open(path, "rb") as file:
        raw = file.read()
    binary = re.search(rb"[^\t-\r -~]", raw)
    if binary:
        line = raw.count(b"\n", 0, binary.start()) + 1
        received = f"the byte {binary[0]!r}"
        raise _format_error(path, line, "be text (Neper has no binary .tess)", received)
    return raw.decode("ascii")


def _check_dimension(section):
    """Raise unless the section "general" says that the tessellation is three-dimensional."""
    dim, *kind = section.words or [""]
    if dim not in ("1", "2", "3") or kind not in (["standard"], ["periodic"]):
        raise section.error(0, "hold the dimension and `standard` or `periodic`")
    if dim != "3":
        raise ValueError(f"`path` must be three-dimensional; {section.path} has dim {dim}.")
