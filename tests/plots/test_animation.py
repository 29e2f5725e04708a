"""Moving pictures along the loop."""

import os

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib import rc_context
from matplotlib.animation import FFMpegWriter
from PIL import Image

from keras_micromag import plots
from tests.plots.magnets import loop


@pytest.fixture
def reversing():
    return loop(np.linspace(-3, -5, 8))


def frames_of(path):
    with Image.open(path) as image:
        frames = []
        for index in range(image.n_frames):
            image.seek(index)
            frames.append(np.asarray(image.convert("RGB"), dtype=int))
        return frames, image.info["duration"]


@pytest.mark.slow
def test_a_gif_shows_the_magnet_reverse(reversing, tmp_path):
    plots.animate_loop(*reversing, tmp_path / "loop.gif", frames=6, fps=10)
    frames, duration = frames_of(tmp_path / "loop.gif")
    assert 4 <= len(frames) <= 6 and duration == 100
    top = [frame[: len(frame) // 2].mean(axis=(0, 1)) for frame in (frames[0], frames[-1])]
    # Red when it points along the field, blue at the end.
    assert top[0][0] > top[0][2] and top[1][2] > top[1][0]
    assert [file.name for file in tmp_path.iterdir()] == ["loop.gif"]


def test_an_animation_can_be_cut_open_and_leaves_no_figure(reversing, tmp_path):
    import matplotlib.pyplot as plt

    options = {"cut": ((0, -1, 0), 0.0), "explode": 0.3, "view": (30.0, -60.0)}
    plots.animate_loop(*reversing, str(tmp_path / "cut.gif"), frames=2, **options)
    assert len(frames_of(tmp_path / "cut.gif")[0]) == 2
    assert not plt.get_fignums()


def test_other_formats_are_refused(reversing, tmp_path):
    with pytest.raises(ValueError, match=r"`path` must be one of '.gif', '.mp4'; received '.avi'"):
        plots.animate_loop(*reversing, tmp_path / "loop.avi")
    with pytest.raises(ValueError, match="`magnet` must be below 1; received 1"):
        plots.animate_loop(*reversing, tmp_path / "loop.gif", magnet=1)


def test_mp4_without_ffmpeg_says_what_is_missing(reversing, tmp_path, monkeypatch):
    monkeypatch.setattr(FFMpegWriter, "isAvailable", lambda *_: False)
    with pytest.raises(RuntimeError, match=r"\.mp4 needs the program ffmpeg, .* a \.gif does not"):
        plots.animate_loop(*reversing, tmp_path / "loop.mp4")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not FFMpegWriter.isAvailable(), reason="ffmpeg is not on the path")
def test_mp4_is_written(reversing, tmp_path):
    plots.animate_loop(*reversing, tmp_path / "loop.mp4", frames=3)
    assert (tmp_path / "loop.mp4").read_bytes()[4:8] == b"ftyp"


@pytest.mark.skipif(os.name == "nt", reason="a script of a shell")
@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("cat >/dev/null; echo No space left >&2; exit 1", "the film: No space left$"),
        ("exit 3", "the film: status 3$"),
    ],
)
def test_mp4_that_ffmpeg_cannot_write(script, sentence, reversing, tmp_path, caplog):
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    with (
        rc_context({"animation.ffmpeg_path": str(program)}),
        pytest.raises(OSError, match=sentence),
    ):
        plots.animate_loop(*reversing, tmp_path / "loop.mp4", frames=3)
    assert [file.name for file in tmp_path.iterdir()] == ["ffmpeg"] and not caplog.records


def test_a_failure_leaves_the_earlier_file(reversing, tmp_path, monkeypatch):
    path = tmp_path / "loop.gif"
    path.write_bytes(b"earlier")

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr("matplotlib.animation.PillowWriter.finish", fail)
    with pytest.raises(OSError, match="disk full"):
        plots.animate_loop(*reversing, path, frames=2)
    assert [file.name for file in tmp_path.iterdir()] == ["loop.gif"]
    assert path.read_bytes() == b"earlier"
