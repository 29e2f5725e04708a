"""Figures that benchmarks measured, which pages quote as `{{ FILE.FIGURE }}`.

The files are those of `benchmarks/results`; `benchmarks/records.py` says what a quote can be. A
quote of a figure that is not there ends the build.
"""

from pathlib import Path

from sphinx.errors import ExtensionError

from benchmarks import records


def read(app, docname, source):
    """Replace the quotes of a page by the figures."""
    if Path(app.env.doc2path(docname)).suffix != ".md":
        return
    for quote in records.QUOTE.findall(source[0]):
        file = quote.strip().partition(".")[0]
        app.env.note_dependency(str(records.FOLDER / f"{file}.json"))
    try:
        source[0] = records.fill(source[0])
    except LookupError as error:
        raise ExtensionError(f"{docname}.md: {error.args[0]}") from None


def setup(app):
    """Register the extension."""
    app.connect("source-read", read)
    return {"parallel_read_safe": True}
