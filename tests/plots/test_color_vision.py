"""Readers can distinguish the colours of figures, with a colour vision deficiency or without."""

import ast
import collections
import itertools
import re

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")

from keras_micromag.plots import style, texture  # noqa: E402
from tests.test_house import ROOT  # noqa: E402

# CIE76: 2 is just seen side by side. Thin lines and their legend need several times that.
CLEAR = 15
# Of linear RGB, at full severity: Machado, Oliveira and Fernandes, IEEE Trans. Vis. Comput. Graph.
# 15 (2009) 1291.
SIMULATED = {
    "none": np.eye(3),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
}
XYZ = np.array(  # of linear sRGB, white being 1
    [
        [0.433953, 0.376219, 0.189828],
        [0.212673, 0.715152, 0.072175],
        [0.017758, 0.109477, 0.872766],
    ]
)


def lab(color, simulated: str = "none") -> np.ndarray:
    """Return the CIELAB coordinates (3,) of a colour of matplotlib, as it is seen."""
    rgb = np.array(matplotlib.colors.to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    x, y, z = XYZ @ np.clip(SIMULATED[simulated] @ linear, 0, 1)
    x, y, z = (np.cbrt(t) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116 for t in (x, y, z))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def least_distance(colors) -> float:
    """Return the smallest CIE76 distance of two of the colours, in any colour vision."""
    return min(
        np.linalg.norm(lab(first, simulated) - lab(second, simulated))
        for first, second in itertools.combinations(colors, 2)
        for simulated in SIMULATED
    )


def test_the_distance_is_that_of_the_definition():
    # CIE's values of sRGB's red, and of white.
    np.testing.assert_allclose(lab("#ff0000"), [53.24, 80.09, 67.20], atol=0.01)
    np.testing.assert_allclose(lab("w"), [100, 0, 0], atol=0.01)
    assert least_distance(["tab:green", "tab:red"]) < CLEAR  # alike with deuteranopia
    assert least_distance(["tab:green", "tab:orange"]) < CLEAR  # with protanopia


def test_colors_of_lines():
    assert least_distance([style.INK, style.THIN, style.ACCENT, "w"]) > CLEAR


@pytest.mark.parametrize(
    "module", ["keras_micromag.paper.figures", "benchmarks.micromagnetics.figures"]
)
def test_colors_of_series(module):
    assert least_distance([*pytest.importorskip(module).COLORS, style.INK]) > CLEAR


@pytest.mark.parametrize("name", [style.MOMENT_COLORS, style.VALUE_COLORS, texture.DENSITY_COLORS])
def test_colors_of_values(name):
    assert least_distance(matplotlib.colormaps[name](np.linspace(0, 1, 5))) > CLEAR - 1


def called(node):
    """Return the name of the method that an expression calls."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr
    return None


@pytest.mark.parametrize(
    "script", sorted(ROOT.glob("examples/gallery/*/*.py")), ids=lambda script: script.stem
)
def test_colors_of_an_example(script):
    nodes = list(ast.walk(ast.parse(script.read_text(encoding="utf-8"))))
    texts = [node.value for node in nodes if isinstance(node, ast.Constant)]
    texts = [text for text in texts if isinstance(text, str)]
    colors = {text for text in texts if re.fullmatch(r"tab:\w+|0\.\d+|[kw]", text)}
    default = [
        node
        for node in nodes
        if called(node) == "plot" and not {"color", None} & {word.arg for word in node.keywords}
    ]
    # Of matplotlib's own colours the third looks like the second.
    if default:
        lines = collections.Counter(ast.unparse(plot.func.value) for plot in default)
        assert max(lines.values()) <= 2
        colors |= {"tab:blue", "tab:orange"}
    for loop in (node for node in nodes if isinstance(node, ast.For)):
        assert not set(default) & set(ast.walk(loop)), "lines of a loop take a colour each"
    assert len(colors) < 2 or least_distance(colors) > CLEAR
