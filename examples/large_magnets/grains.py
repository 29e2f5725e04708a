"""Coercivity and its spread over magnets, against the number of grains."""

import numpy as np
from matplotlib import rc_context
from scipy.special import digamma, polygamma

from examples.large_magnets.loops import batches
from keras_micromag.plots import style

DEFAULTS = {
    "sides": (4, 6, 8, 12, 16, 22, 32, 46),
    "magnets": (64, 64, 64, 20, 10, 6, 2, 1),
    "step": 0.1,
}
LAST, LAST_OF_MANY = 4.2, 3.7
"""Last field in tesla, beyond the coercivity, which differs less for 1,000 grains and more."""


def main(sides, magnets, step, out="grains.png"):
    """Return the mean coercivities and spreads in tesla, and the exponent of the spread."""
    print("| grains | magnets | mean µ0·Hc, T | spread, T |\n|---|---|---|---|")
    sides, magnets, merits = np.array(sides), np.array(magnets), []
    for side, g, m in zip(sides, sides**3, magnets, strict=True):
        last = LAST if g < 1000 else LAST_OF_MANY
        # Rounded, so that all steps give the same numbers.
        field = -np.r_[0, 2, np.arange(2.6, last + step / 2, step).round(9)]
        loops = batches((side,) * 3, m, field, seed=1)
        hc = np.concatenate([loop.coercivity() for loop in loops])
        merits.append((hc.mean(), hc.std(ddof=1) if m > 1 else np.nan))
        spread = f"{merits[-1][1]:.4f}" if m > 1 else ""
        print(f"| {side}³ = {g:,} | {m} | {hc.mean():.3f} | {spread} |", flush=True)
    mean, spread = np.array(merits).T
    # The logarithm of a standard deviation over few magnets is too small on average. For normal
    # coercivities the digamma function gives its bias, the trigamma function its variance.
    several = magnets > 1
    half_free = (magnets[several] - 1) / 2
    logs = np.log(spread[several]) - (digamma(half_free) - np.log(half_free)) / 2
    errors = np.sqrt(polygamma(1, half_free)) / 2
    law, cov = np.polyfit(3 * np.log(sides[several]), logs, 1, w=1 / errors, cov="unscaled")
    print(f"\nThe spread goes with grains^({law[0]:.2f} ± {cov[0, 0] ** 0.5:.2f}).")
    of_mean = np.exp(np.polyval(law, 3 * np.log(sides))) / magnets**0.5
    line, cov = np.polyfit(1 / sides, mean, 1, w=1 / of_mean, cov="unscaled")
    slope, limit = (
        f"({v:.3f} ± {e:.3f})" for v, e in zip(line, cov.diagonal() ** 0.5, strict=True)
    )
    print(f"The mean goes with {limit} T + {slope} T / side.")
    style.save_figure(_figure(sides, mean, of_mean, line, several, logs, errors, law), out)
    return mean, spread, law[0]


@rc_context(style.STYLE)
def _figure(sides, mean, of_mean, line, several, logs, errors, law):
    figure = style.new_figure(height=1.2)
    top, bottom = figure.subplots(2, sharex=True)
    points = {"fmt": "o", "color": "#3b6c96", "ms": 3, "lw": 0.8}
    fine = np.geomspace(sides.min(), sides.max())
    label = f"{line[1]:.2f} T + {line[0]:.2f} T / side"
    top.plot(fine**3, np.polyval(line, 1 / fine), color=style.ACCENT, lw=0.8, label=label)
    top.errorbar(sides**3, mean, of_mean, **points)
    fitted = np.exp(np.polyval(law, 3 * np.log(fine)))
    half = fitted[0] * (fine / fine[0]) ** -1.5
    bottom.plot(fine**3, half, "--", color="0.6", lw=0.8, label="grains$^{-0.5}$")
    bottom.plot(fine**3, fitted, color=style.ACCENT, lw=0.8, label=f"grains$^{{{law[0]:.2f}}}$")
    spread = np.exp(logs)
    bars = spread * (1 - np.exp(-errors)), spread * (np.exp(errors) - 1)
    bottom.errorbar(sides[several] ** 3, spread, bars, **points)
    top.set(xscale="log", ylabel=r"Mean coercivity $\mu_0 H_\mathrm{c}$ (T)")
    bottom.set(yscale="log", xlabel="Grains", ylabel="Spread over magnets (T)")
    for axes in (top, bottom):
        axes.legend(frameon=False)
    return figure
