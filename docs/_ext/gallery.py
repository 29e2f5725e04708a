"""The gallery: the order of its pages, their films, links to their notebooks, and alt texts."""

import hashlib
import re
import shutil
from pathlib import Path

from docutils import nodes
from PIL import Image
from sphinx_gallery.directives import imgsgnode
from sphinx_gallery.scrapers import figure_rst

REPOSITORY = "keras-micromag/keras-micromag"
# Both open notebooks of GitHub, so the site's branch holds them.
COLAB = f"https://colab.research.google.com/github/{REPOSITORY}/blob/gh-pages/notebooks/gallery"
BINDER = f"https://mybinder.org/v2/gh/{REPOSITORY}/gh-pages?urlpath=lab/tree/notebooks/gallery"

# The examples from the simple to the special, and what their figures show for readers who do not
# see them.
FIGURES = {
    "first_loop": [
        "A demagnetisation curve with its coercivity of 3.64 T marked where it passes zero",
        "Four states of a magnet of 64 cubes above its curve: it reverses grain by grain",
    ],
    "film": ["A polycrystal cut open; along its curve more and more grains turn from red to blue"],
    "texture": [
        "Loops for easy axes within 5° to 90° of the field: a wider cone makes a rounder loop",
        "Easy axes as points in a pole figure, all within 30° of its centre",
    ],
    "polycrystal": [
        "Irregular grains pulled apart, coloured by their switching field",
        "Switching field against the angle of the easy axis: most grains switch at weaker fields "
        "than a particle without demagnetising field",
    ],
    "avalanches": [
        "Histogram of the sizes of avalanches: most have one grain, few more than five",
        "A loop as a staircase, whose steep steps are avalanches",
    ],
    "recoil_curves": ["A demagnetisation curve, and nearly straight recoil curves from it"],
    "field_direction": [
        "Loops for fields at 0° to 60°: the larger the angle, the rounder the loop",
        "Switching field of a particle, which has a minimum at 45°, and coercivity of a magnet, "
        "which falls slowly, against the angle of the field",
    ],
    "shape_of_the_body": [
        "Polarisation and induction against the field inside, with the largest rectangle below "
        "the induction"
    ],
    "two_phases": ["Loops of a mixture of two phases, from one pure phase to the other"],
    "scatter_of_materials": [
        "Loops for a scatter of Ku from 0 to 20 %: the larger it is, the rounder the loop"
    ],
    "core_shell": ["Loops of grains with soft shells: the softer the shell, the larger the step"],
    "temperature": [
        "Remanence, coercivity and energy product fall from 300 to 500 K, those of Nd2Fe14B below "
        "those of Sm2Co17",
        "Coercivity over Js against anisotropy field over Js: straight lines, steeper with thermal "
        "activation",
    ],
    "exchange": [
        "Coercivity, squareness, grains in an avalanche and δM against the coupling: avalanches "
        "grow to the entire magnet, coercivity levels off"
    ],
    "sweep_rate": [
        "Coercivity against the sweep rate, at 300 and 450 K: straight lines on a logarithmic axis "
        "that rise, below the values without activation",
        "Moment of a magnet against the time in a field: it falls, the faster the stronger the "
        "field",
    ],
    "many_grains": ["A loop, and a magnet of many cubes half way along it, red and blue in chains"],
    "field_steps": ["Error of the coercivity, which grows with the step of the field"],
    "own_field": [
        "Switching field of a cube against its edge: with the field of a nucleus it is that of "
        "micromagnetics, with none of its own field it is constant, with all of it too low"
    ],
    "astroid": [
        "Switching field of a particle against the angle of the field: it is least at 45°",
        "Moment of a particle along the field, at four angles, down to the end of the branch",
    ],
    "demag_field": ["Field lines of a magnetised cube: against the moment inside, along it above"],
    "first_surrogate": [
        "A simulated loop, the predicted one, and the mean of the training loops: the prediction "
        "leaves out the last step"
    ],
    "operator_in_a_model": [
        "Error against the epoch: with the layer it falls below that of the mean, without it does "
        "not"
    ],
    "norm_preserving_loss": [
        "Squared error and error of the lengths against the epoch, for two losses: the "
        "norm-preserving one has the smaller error of the lengths"
    ],
    "fit_easy_axes": ["Angles between fitted and true easy axes, which fall to zero"],
}
ORDER = list(FIGURES)


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
    with Image.open(film) as frames:  # a still, of which Sphinx-Gallery makes the small picture
        frames.seek(frames.n_frames // 2)
        frames.convert("RGB").save(image.with_suffix(".png"))
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


def describe(app, doctree):
    """Give each figure, and each small picture of it, its alt text."""
    for image in [*doctree.findall(nodes.image), *doctree.findall(imgsgnode)]:
        match = re.search(r"sphx_glr_(\w+)_(\d{3}|thumb)\.", image["uri"])
        if match and match[1] in FIGURES:
            texts = FIGURES[match[1]]
            number = 0 if match[2] == "thumb" else int(match[2]) - 1
            if number < len(texts):
                image["alt"] = texts[number]


def forget(app, config):
    """Remove the results of other code, so that every example is executed again.

    Sphinx-Gallery itself knows the scripts alone.
    """
    if not config.plot_gallery:
        return
    root = Path(app.srcdir).parent
    code = [root / "setup.cfg", *sorted((root / "keras_micromag").rglob("*.py"))]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in code)).hexdigest()
    key = root / "docs/gallery/key.txt"
    if key.exists() and key.read_text(encoding="utf-8") == digest:
        return
    for result in (root / "docs").glob("gallery/**/*.md5"):
        result.unlink()
    for film in (root / "docs/_static").glob("film.*"):
        film.unlink()
    key.parent.mkdir(exist_ok=True)
    key.write_text(digest, encoding="utf-8")


def setup(app):
    """Register the extension."""
    app.connect("config-inited", forget)
    app.connect("doctree-read", describe)
    app.connect("source-read", read)
    return {"parallel_read_safe": True}
