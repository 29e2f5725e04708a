"""Draws how far switching fields of this package agree with those in `data/`.

| file | |
| --- | --- |
| `hardness.png` | error of single grains against Q = 2 µ0·Ku/Js² |
| `size.png` | the same error against the size over the diameter of a nucleus |
| `grains.png` | grains of magnets one by one, in the paper's mode and calibrated |
| `order.png` | which grain reverses when in the magnet of 64 grains, if it was computed |
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from scipy.stats import rankdata

from benchmarks.micromagnetics.agreement import switching_fields
from benchmarks.micromagnetics.cases import MATERIALS, Case, Result, path, read
from benchmarks.public_cubes import r_squared
from keras_micromag.physics import calibrated_depth
from keras_micromag.physics.microstructure.material import MU0
from keras_micromag.plots import style

SINGLE = {
    "cubes": "cubes at 1°",
    "angles": "cubes of 40 nm at angles",
    "random": "random materials, sizes, angles",
    "shapes": "plates, needles, octahedra",
}
MAGNETS = ("eight", "isotropic", "larger", "gaps", "twentyseven", "polycrystals")
# Okabe and Ito's colours can be distinguished with the common colour vision deficiencies.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
MARKERS = ("o", "s", "^", "D")
DOTS = {"ls": "", "mew": 0.7}
WIDTH, DPI = 1.4, 140  # 666 pixels
WITHIN = 1.0  # per cent of the anisotropy field: a band about 0


class Grains(NamedTuple):
    """The grains of one result: (g,) switching fields in units of the anisotropy field.

    Args:
        case: the magnet.
        expected: by micromagnetics.
        paper: with particles 1.2 exchange lengths deep, without an own field.
        calibrated: with calibrated particles, in the own field of a nucleus.
    """

    case: Case
    expected: np.ndarray
    paper: np.ndarray
    calibrated: np.ndarray


def grains_of(result: Result) -> Grains:
    """Return the switching fields of all grains of a result, there and here."""
    material = result.case.material
    paper, _ = switching_fields(result.case, False, depth=1.2 * material.exchange_length)
    ours, _ = switching_fields(result.case)
    scale = -material.anisotropy_field
    return Grains(result.case, result.switching / scale, paper / scale, ours / scale)


def draw(folder: str | Path) -> list[str]:
    """Draw all figures into a folder, which is made, and return their file names."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    single, magnets = (
        {family: [grains_of(result) for result in read(family)] for family in families}
        for families in (SINGLE, MAGNETS)
    )
    whole = read("sixtyfour") if path("sixtyfour").exists() else []
    return style.save_figures(
        folder,
        {
            "hardness.png": partial(hardness, single),
            "size.png": partial(size, single),
            "grains.png": partial(
                scatter, [grains for each in magnets.values() for grains in each]
            ),
            "order.png": partial(order, whole[0] if whole else None),
        },
        dpi=DPI,
    )


def hardness(families: dict[str, Sequence[Grains]]) -> Figure:
    """Draw the errors of single grains against Q = 2 µ0·Ku/Js²."""
    figure = style.new_figure(width=WIDTH, height=0.8)
    ax = figure.add_subplot()

    def quality(case):
        return 2 * MU0 * case.material.Ku / case.material.Js**2

    _errors(ax, families, quality)
    ax.set_xlabel(r"$Q = 2\mu_0 K_\mathrm{u}/J_\mathrm{s}^2$")
    return figure


def size(families: dict[str, Sequence[Grains]]) -> Figure:
    """Draw the errors of single grains against the smallest extent over a nucleus' diameter."""
    figure = style.new_figure(width=WIDTH, height=0.8)
    ax = figure.add_subplot()
    _errors(ax, families, lambda case: min(case.size) / (2 * calibrated_depth(case.material)))
    ax.axvline(1.0, color=style.INK, lw=0.8, ls=":")
    ax.set_xlabel("Smallest extent of the grain / diameter of a nucleus")
    return figure


def _errors(ax: Axes, families: dict[str, Sequence[Grains]], abscissa) -> None:
    """Draw the errors of single grains, positive where too hard, against a value of their case."""
    ax.axhspan(-WITHIN, WITHIN, color="0.92", lw=0)
    ax.axhline(0.0, color="0.5", lw=0.6)
    for (family, members), color, marker in zip(families.items(), COLORS, MARKERS, strict=False):
        x = [abscissa(grains.case) for grains in members]
        error = [100 * (grains.calibrated - grains.expected)[0] for grains in members]
        ax.plot(x, error, marker, mec=color, mfc="w", ms=3.6, label=SINGLE[family], **DOTS)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_ylabel("Error of the switching field\n(% of the anisotropy field)")
    ax.legend(frameon=False)


def scatter(magnets: Sequence[Grains]) -> Figure:
    """Draw the switching field of each grain here against that by micromagnetics."""
    figure = style.new_figure(width=WIDTH, height=0.85)
    expected = np.concatenate([grains.expected for grains in magnets])
    names = np.concatenate([np.repeat(g.case.material.name, len(g.expected)) for g in magnets])
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    titles = {
        "paper": r"depth 1.2 $L_\mathrm{ex}$, no own field",
        "calibrated": "calibrated, field of a nucleus",
    }
    for ax, (kind, title) in zip(axes, titles.items(), strict=True):
        computed = np.concatenate([getattr(grains, kind) for grains in magnets])
        for name, color, marker in zip(MATERIALS, COLORS, MARKERS, strict=True):
            chosen = names == name
            ax.plot(
                expected[chosen], computed[chosen], marker, mec=color, mfc="none", ms=2.8, **DOTS
            )
        ax.axline((0.5, 0.5), slope=1.0, color=style.INK, lw=0.6, zorder=0)
        ax.set_title(f"{title}: $R^2$ = {r_squared(computed, expected):.3f}", fontsize=7.0)
        ax.set_aspect("equal")
        ax.set_xlabel(r"$H_\mathrm{sw}/H_\mathrm{A}$ by micromagnetics")
    axes[0].set_ylabel(r"$H_\mathrm{sw}/H_\mathrm{A}$ here")
    axes[0].legend(MATERIALS, frameon=False)
    return figure


def order(result: Result | None) -> Figure | None:
    """Draw the order in which grains reverse, and how many have reversed at each field."""
    if result is None:
        return None
    figure = style.new_figure(width=WIDTH, height=0.75)
    ranks, counts = figure.subplots(1, 2)
    grains = len(result.switching)
    there = rankdata(-result.switching)
    _steps(counts, result.switching, label="micromagnetics", color=style.INK)
    # Where both orders give the same, dashes and smaller marks show it.
    kinds = (
        ("simultaneous", COLORS[1], "s", 5.0, "-"),
        ("weakest_first", COLORS[0], "o", 2.8, "--"),
    )
    for name, color, marker, ms, line in kinds:
        fields, _ = switching_fields(result.case, avalanche=name)
        here, label = rankdata(-fields), name.replace("_", " ")
        rho = np.corrcoef(there, here)[0, 1]
        ranks.plot(
            there,
            here,
            marker,
            mec=color,
            mfc="none",
            ms=ms,
            label=rf"{label}, $\rho$ = {rho:.3f}",
            **DOTS,
        )
        _steps(counts, fields, label=label, color=color, ls=line)
    ranks.axline((0.0, 0.0), slope=1.0, color=style.INK, lw=0.6, zorder=0)
    ranks.set(xlim=(0, grains + 1), ylim=(0, grains + 1), aspect="equal")
    ranks.set(xlabel="Rank of reversal by micromagnetics", ylabel="Rank of reversal here")
    counts.set(xlabel=style.FIELD_LABEL, ylabel="Reversed grains", ylim=(0, grains + 1))
    for ax in (ranks, counts):
        ax.legend(frameon=False)
    return figure


def _steps(ax: Axes, fields: np.ndarray, **kwargs) -> None:
    """Draw the number of grains that have reversed at each field."""
    falling = np.sort(fields)[::-1]
    ax.step([falling[0], *falling], np.arange(len(fields) + 1), where="post", lw=1.0, **kwargs)
