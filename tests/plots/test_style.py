"""The style, and saved figures."""

import pytest

matplotlib = pytest.importorskip("matplotlib")

import matplotlib.pyplot as plt  # noqa: E402

from keras_micromag import plots  # noqa: E402
from keras_micromag.plots import style  # noqa: E402


def test_figures_keep_the_callers_style(batch):
    before = dict(matplotlib.rcParams)
    plots.plot_reversal(*batch)
    plots.plot_loops(batch[1])
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_saved_figures_are_at_print_resolution(batch, tmp_path, suffix, start):
    figure = plots.plot_loops(batch[1]).figure
    path = tmp_path / f"loops.{suffix}"
    style.save_figure(figure, path)
    assert path.read_bytes().startswith(start)
    if suffix == "png":
        assert plt.imread(path).shape[1] == round(300 * style.COLUMN)
    else:
        assert b"/Type3" not in path.read_bytes()


def test_a_figure_that_cannot_be_written_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "loops.png"
    path.write_text("old")

    def half(self, file, **kwargs):
        file.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", half)
    with pytest.raises(OSError, match="No space left"):
        style.save_figure(style.new_figure(), path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name] and path.read_text() == "old"


def test_figures_that_exist_are_saved_in_this_style(tmp_path):
    def draw():
        assert matplotlib.rcParams["font.size"] == style.STYLE["font.size"]
        return style.new_figure(width=2, height=0.5)

    names = style.save_figures(tmp_path, {"a.png": draw, "b.png": lambda: None}, dpi=100)
    assert names == ["a.png"] and not (tmp_path / "b.png").exists()
    height, width, _ = plt.imread(tmp_path / "a.png").shape
    assert (width, height) == (round(200 * style.COLUMN), round(50 * style.COLUMN))
    assert not plt.get_fignums()
