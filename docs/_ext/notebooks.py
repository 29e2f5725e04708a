"""Links from a page of the gallery to its notebook in Colab and on Binder.

Both open notebooks of GitHub, so the site's branch holds them.
"""

REPOSITORY = "keras-micromag/keras-micromag"
COLAB = f"https://colab.research.google.com/github/{REPOSITORY}/blob/gh-pages/notebooks/gallery"
BINDER = f"https://mybinder.org/v2/gh/{REPOSITORY}/gh-pages?urlpath=lab/tree/notebooks/gallery"


def read(app, docname, source):
    """Put the links below the title of a page of the gallery."""
    folder, _, name = docname.partition("/")
    before, mark, after = source[0].partition(".. rst-class:: sphx-glr-example-title\n")
    if folder != "gallery" or not mark:
        return
    title, end, rest = after.partition("=\n\n")
    links = (
        f":bdg-link-primary-line:`Open in Colab <{COLAB}/{name}.ipynb>`\n"
        f":bdg-link-primary-line:`Open on Binder <{BINDER}/{name}.ipynb>`\n"
        f":ref:`Download <sphx_glr_download_gallery_{name.replace('/', '_')}.py>`\n\n"
    )
    source[0] = before + mark + title + end + links + rest


def setup(app):
    """Register the extension."""
    app.connect("source-read", read)
    return {"parallel_read_safe": True}
