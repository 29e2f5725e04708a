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
