"""Links from a page of the gallery to its notebook in Colab and on Binder.

Colab opens notebooks of GitHub, so the site's branch holds them.
"""

COLAB = "https://colab.research.google.com/github/keras-micromag/keras-micromag/blob/gh-pages"


def read(app, docname, source):
    """Put a link to Colab and one to the notebook below the title of a page of the gallery."""
    folder, _, name = docname.partition("/")
    if folder != "gallery" or not app.env.doc2path(docname).endswith(".rst"):
        return
    before, mark, after = source[0].partition(".. rst-class:: sphx-glr-example-title\n")
    if not mark:
        return
    title, end, rest = after.partition("=\n\n")
    links = (
        f".. button-link:: {COLAB}/notebooks/gallery/{name}.ipynb\n"
        "   :color: primary\n   :outline:\n\n   Open in Colab\n\n"
    )
    source[0] = before + mark + title + end + links + rest


def setup(app):
    """Register the extension."""
    app.connect("source-read", read)
    return {"parallel_read_safe": True}
