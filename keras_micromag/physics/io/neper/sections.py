"""The text of a tessellation file: its sections, their words and numbers, and what is wrong."""

import re
from dataclasses import dataclass
from itertools import islice

import numpy as np

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
"""Every section with its subsections."""

_NEEDED = ("format", "general", "cell", "vertex", "edge", "face", "polyhedron")

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")

_LARGEST = 1e50
"""Of numbers: products of four of them must not overflow."""


@dataclass
class Section:
    """The words between one starred name and the next."""

    path: str
    line: int  # on which it begins
    text: str

    def __post_init__(self):
        self.words = self.text.split()

    def wrong(self, k, wanted, found=None):
        """The error about word `k`, which may be the one after the last."""
        if found is None:
            found = f"{self.words[k]:.40}" if k < len(self.words) else "the section's end"
        return _wrong(self.path, self.line_of(k), wanted, found)

    def line_of(self, k):
        """The line of word `k`, or of the last one."""
        words = islice(re.finditer(r"\S+", self.text), k, None)
        word = next(words, None)
        at = word.start() if word else len(self.text.rstrip())
        return self.line + self.text.count("\n", 0, at)

    def word(self, choices=None):
        """The only word, one of `choices` if given."""
        if len(self.words) != 1:
            raise self.wrong(min(len(self.words), 1), "hold one word for the section")
        if choices and self.words[0] not in choices:
            raise self.wrong(0, f"hold one of {', '.join(choices)}")
        return self.words[0]

    def read_numbers(self, start=0):
        """Make `numbers` of the words from `start` on."""
        self.numbers = np.full(len(self.words), np.nan)
        try:
            self.numbers[start:] = np.fromiter(map(float, self.words[start:]), float)
            # float() is fast, but takes nan, inf and 1_000 for numbers.
            fine = "_" not in self.text and (np.abs(self.numbers[start:]) < _LARGEST).all()
        except ValueError:
            fine = False
        if fine:
            return
        for k, word in enumerate(self.words[start:], start):
            if not _NUMBER.fullmatch(word) or abs(float(word)) >= _LARGEST:
                raise self.wrong(k, f"hold a number smaller than {_LARGEST:g}")

    def whole(self, k, n, least, most, what, *, signed=False):
        """`n` whole numbers from word `k` on, `least` to `most` up to the sign if `signed`."""
        run = self.numbers[k : k + n].tolist()
        for j, value in enumerate(run):
            if not least <= (abs(value) if signed else value) <= most or not value.is_integer():
                raise self.wrong(k + j, f"hold {what}")
        if len(run) < n:
            raise self.wrong(len(self.words), f"hold {what}")
        return [int(value) for value in run]

    def count(self, what, alone=False):
        """The number with which the section begins, at least 1."""
        self.read_numbers()
        [n] = self.whole(0, 1, 1, np.inf, f"a {what} of at least 1")
        if alone and len(self.words) > 1:
            raise self.wrong(1, f"hold nothing after the {what}")
        return n

    def table(self, start, rows, columns, what):
        """(rows, columns) numbers from word `start` on: all that are left."""
        have = len(self.words) - start
        if have != rows * columns:
            raise self.wrong(
                start + min(have, rows * columns),
                f"hold {rows} {what} of {columns} numbers",
                f"{have} numbers",
            )
        return self.numbers[start:].reshape(rows, columns)

    def numbered(self, start, rows, columns, what):
        """The table without its first column, in the order of that."""
        table = self.table(start, rows, columns, what)
        starts = range(start, len(self.words), columns)
        return table[self.order(starts, table[:, 0], what), 1:]

    def order(self, starts, numbers, what):
        """What sorts the records that begin at words `starts` by `numbers`, 1 to n."""
        order = np.argsort(numbers, kind="stable")
        wrong = np.flatnonzero(np.array(numbers)[order] != np.arange(1, len(numbers) + 1))
        if len(wrong):
            k = starts[int(order[wrong[0]])]
            raise self.wrong(k, f"number the {what} from 1 to {len(numbers)}, each once")
        return order


def _wrong(path, line, wanted, found):
    return ValueError(
        f"`path` must be a tessellation of Neper; line {line} of {path} must {wanted}; "
        f"received {found}."
    )


def read_sections(path) -> dict[str, Section]:
    """The file's sections by name, {"cell": …, "cell/ori": …}.

    Raises:
        ValueError: naming the line, for a file that is no text, lacks a section, or has one that
            Neper does not; for one of fewer than three dimensions.
    """
    text = _text(path)
    names = list(re.finditer(r"(?<!\S)\*\S*", text))
    if not names or names[0][0] != "***tess" or text[: names[0].start()].strip():
        raise _wrong(path, 1, "begin with ***tess", repr(text.lstrip()[:20]))
    if names[-1][0] != "***end":
        raise _wrong(path, text.count("\n") + 1, "end the file with ***end", "the file's end")
    sections, top, line, last = {}, None, 1, 0
    for k, name in enumerate(names):
        line, last = line + text.count("\n", last, name.start()), name.start()
        end = names[k + 1].start() if name is not names[-1] else None
        section = Section(path, line, text[name.end() : end])
        if k in (0, len(names) - 1):
            if section.words:
                raise section.wrong(0, f"hold nothing after {name[0]}")
            continue
        if name[0].startswith("**"):
            key = top = name[0][2:]
            known = key in _SECTIONS
        else:
            key = f"{top}/{name[0][1:]}"
            known = name[0][1:] in _SECTIONS.get(top, ())
        if not known or key in sections:
            raise _wrong(path, line, "name a section of the format, once", f"{name[0]:.40}")
        sections[key] = section
    for needed in _NEEDED:
        if needed not in sections:
            raise _wrong(path, line, f"be preceded by **{needed}", "none")
        if needed == "general":  # at once: a plane tessellation lacks what comes next
            _check_dimension(sections[needed])
    return sections


def _text(path):
    with open(path, "rb") as file:
        raw = file.read()
    stray = re.search(rb"[^\t-\r -~]", raw)
    if stray:
        line = raw.count(b"\n", 0, stray.start()) + 1
        raise _wrong(path, line, "be text (Neper has no binary .tess)", f"the byte {stray[0]!r}")
    return raw.decode("ascii")


def _check_dimension(section):
    dim, *kind = section.words or [""]
    if dim not in ("1", "2", "3") or kind not in (["standard"], ["periodic"]):
        raise section.wrong(0, "hold the dimension and `standard` or `periodic`")
    if dim != "3":
        raise ValueError(f"`path` must be three-dimensional; {section.path} has dim {dim}.")
