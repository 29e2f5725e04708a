"""The gallery: the order of its pages, their films, and links to their notebooks."""

import shutil
from pathlib import Path

from sphinx_gallery.scrapers import figure_rst

REPOSITORY = "keras-micromag/keras-micromag"
# Both open notebooks of GitHub, so the site's branch holds them.
COLAB = f"https://colab.research.google.com/github/{REPOSITORY}/blob/gh-pages/notebooks/gallery"
BINDER = f"https://mybinder.org/v2/gh/{REPOSITORY}/gh-pages?urlpath=lab/tree/notebooks/gallery"

ORDER = [
    *("first_loop", "film", "texture", "polycrystal", "avalanches", "recoil_curves"),
    *("field_direction", "shape_of_the_body", "two_phases", "scatter_of_materials", "core_shell"),
    *("many_grains", "field_steps", "own_field", "astroid", "demag_field"),
    *("first_surrogate", "operator_in_a_model", "norm_preserving_loss", "fit_easy_axes"),
]


class Order:
    """Sorts the examples of a folder from the simple to the special; others come last."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, file):
        """Return the place of an example."""
        name = Path(file).stem
        return ORDER.index(name) if name in ORDER else len(ORDER)


def scraper(block, block_vars, gallery_conf):
    """Show the film that an example has written to the path `film`, for Sphinx-Gallery."""
    film = block_vars["example_globals"].get("film")
    if film is None or "animate_loop(" not in block.content:
        return ""
    image = Path(next(block_vars["image_path_iterator"])).with_suffix(".gif")
    shutil.copy(film, image)
    return figure_rst([image], gallery_conf["src_dir"], "The magnet along its loop")


def read(app, docname, source):
    """Put links to the notebook below the title of a page."""
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
