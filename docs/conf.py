"""Configuration of the site, which `make docs` builds."""

import os
import sys
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS / "_ext"), str(DOCS.parent)]

import keras_micromag  # noqa: E402

project = "keras-micromag"
author = copyright = "The keras-micromag developers"
version = release = keras_micromag.__version__
REPOSITORY = "https://github.com/keras-micromag/keras-micromag"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "figures",
    "film",
    "gallery",
    "mathml",
    "reference_pages",
    "repository_links",
]
smartquotes_action = "D"  # dashes, no quotes
exclude_patterns = ["_ext", "gallery/**/*.ipynb", "gallery/**/*.py"]

# Pages are those of GitHub, with its anchors.
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4

# Docstrings. A name in single backticks leads to its page where it has one.
default_role = "py:obj"
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Input", "Output"]
napoleon_use_ivar = True
napoleon_use_rtype = False
autodoc_mock_imports = ["pyvista"]
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
nitpick_ignore_regex = [
    ("py:obj", "(?s).*"),  # most backticks hold code that is no name
    ("py:class", r"keras_micromag\.physics\.field\.products\..*"),  # what an operator stores
    ("py:.*", r"(?!keras_micromag\b|tfds_esw\b).*"),  # other packages: a build needs no network
]

sphinx_gallery_conf = {
    "examples_dirs": [str(DOCS.parent / "examples/gallery")],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"\.py$",
    "ignore_pattern": r"__init__\.py$",
    "subsection_order": ["../examples/gallery/magnets", "../examples/gallery/learning"],
    "within_subsection_order": "gallery.Order",
    "image_scrapers": ("matplotlib", "gallery.scraper"),
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("keras_micromag",),
    "reference_url": {"keras_micromag": None},
    "image_srcset": ["2x"],
    "matplotlib_animations": False,
    "capture_repr": (),
    "remove_config_comments": True,
    "show_memory": False,
    "write_computation_times": False,
    "download_all_examples": False,
    "first_notebook_cell": (
        f'%pip install --quiet "keras-micromag[jax,plot] @ git+{REPOSITORY}"\n'
        "%env KERAS_BACKEND=jax\n"
        "%matplotlib inline"
    ),
    "binder": {
        "org": "keras-micromag",
        "repo": "keras-micromag",
        "branch": "gh-pages",
        "binderhub_url": "https://mybinder.org",
        "dependencies": str(DOCS / "binder/requirements.txt"),
        "notebooks_dir": "notebooks",
        "use_jupyter_lab": True,
    },
}

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = "keras-micromag"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["llms.txt"]
html_show_sourcelink = False
html_copy_source = False
html_context = {"default_mode": "auto"}
html_sidebars = {"index": []}
html_theme_options = {
    "github_url": REPOSITORY,
    "logo": {"text": "keras-micromag"},
    "back_to_top_button": False,
    "use_edit_page_button": False,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
