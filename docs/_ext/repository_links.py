"""Links between pages of the repository, of which only those under `docs` are pages of the site.

The README of the data set, for example, is a page here because `reference/dataset.md` includes it.
Links to such a file lead to that page, and links to other files of the repository to GitHub.
"""

import os
import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
INCLUDE = re.compile(r"^```\{include\} (\S+)\n```$", re.M)
LINK = re.compile(r"(?<=\]\()(?!#|\w+:)([^)\s#]+)(?=(?:#[^)\s]*)?\))")


def included_files() -> dict[Path, Path]:
    """Return the page that includes each file of the repository outside `docs`."""
    pages = {}
    for page in DOCS.rglob("*.md"):
        for file in INCLUDE.findall(page.read_text(encoding="utf-8")):
            pages[(page.parent / file).resolve()] = page
    return pages


def rewrite(text: str, file: Path, page: Path, repository: str) -> str:
    """Return `text` of `file` with its links as they must be in `page`."""
    pages = included_files()

    def target(match):
        linked = (file.parent / match[1]).resolve()
        if not linked.exists():
            return match[1]  # which Sphinx, and `check_links.py`, report
        linked = pages.get(linked, linked)
        if linked.is_relative_to(DOCS) and linked.is_file():
            return Path(os.path.relpath(linked, page.parent)).as_posix()
        kind = "tree" if linked.is_dir() else "blob"
        return f"{repository}/{kind}/main/{linked.relative_to(ROOT).as_posix()}"

    return LINK.sub(target, text)


def read(app, docname, source):
    """Include files, and rewrite the links of a page."""
    page = Path(app.env.doc2path(docname))
    if page.suffix != ".md":
        return
    repository = app.config.REPOSITORY

    def included(match):
        file = (page.parent / match[1]).resolve()
        app.env.note_dependency(str(file))
        return rewrite(file.read_text(encoding="utf-8"), file, page, repository)

    source[0] = INCLUDE.sub(included, rewrite(source[0], page, page, repository))


def setup(app):
    """Register the extension."""
    app.add_config_value("REPOSITORY", "", "env")
    app.connect("source-read", read)
    return {"parallel_read_safe": True}
