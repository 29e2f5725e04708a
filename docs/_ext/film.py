"""The film of a magnet along its loop on the first page, drawn once: `docs/_static/film.gif`."""

from pathlib import Path

import numpy as np
from PIL import Image

FILM = Path(__file__).resolve().parents[1] / "_static/film.gif"


def draw(app):
    """Simulate the README's magnet and draw its loop, where there is no film yet."""
    if FILM.exists():
        return
    from keras_micromag.physics import cubic_grains, random_easy_axes, simulate
    from keras_micromag.plots import animate_loop

    magnet = cubic_grains((4, 4, 4), size=50e-9, gap=3e-9)
    easy_axes = random_easy_axes(len(magnet), cone=35.0, seed=1)
    loop = simulate(magnet, easy_axes, field=np.linspace(8.0, -8.0, 1000), progress=False)
    animate_loop(magnet, loop, FILM, frames=48, fps=12)
    with Image.open(FILM) as film:  # a picture for readers who want no motion
        film.seek(film.n_frames // 2)
        film.convert("RGB").save(FILM.with_suffix(".png"))


def setup(app):
    """Register the extension."""
    app.connect("builder-inited", draw)
    return {"parallel_read_safe": True}
