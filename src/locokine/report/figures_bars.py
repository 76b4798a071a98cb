"""Bars and dots by arm: exposure to IL-2, toxicity, and what tumour cells died of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from locokine.report import style
from locokine.report.figures_chain import first_dose_day, over_lesions
from locokine.report.figures_outcome import arm_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

CAUSES: dict[str, str] = {
    "deaths_starved": "starved",
    "deaths_t": "T cells",
    "deaths_lak": "NK and LAK",
    "deaths_macrophage": "macrophages",
    "deaths_spontaneous": "spontaneous",
}


def plot_exposure(result: Any) -> Figure:
    """Draw peak and AUC of receptor-active IL-2 by place and arm, and the share of the dose that reached plasma.

    Dots are medians over hosts, lines 10–90 %; logarithmic axes.

    Parameters
    ----------
    result
        A `Result`; `result.exposure` is used.
    """
    names = arm_names(result)
    exposure = result.exposure
    places = [str(p) for p in exposure["place"].values if str(p) in ("tumour", "node", "plasma")]
    height = 0.42 * len(names) + 1.35
    width = style.PAGE_WIDTH
    with style.styled():
        figure = style.new_figure(width, height)
        spec = figure.add_gridspec(
            1, 3, left=2.2 / width, right=1.0 - 0.25 / width, top=1.0 - 0.7 / height, bottom=0.55 / height,
            wspace=0.09, width_ratios=(1.0, 1.0, 0.75),
        )  # fmt: skip
        for i, (variable, title) in enumerate((("peak_nM", "Peak, nM"), ("auc_nM_h", "Area under the curve, nM·h"))):
            axes = figure.add_subplot(spec[0, i])
            active = exposure[variable].sel(agent="active")
            for j, place in enumerate(places):
                offset = 0.2 * (j - 0.5 * (len(places) - 1))
                values = np.asarray(active.sel(place=place).transpose("arm", "subject").values, dtype=float)
                _dots(axes, [values[k] for k in _positions(exposure, names)], offset, style.PLACE_COLOURS[place], 1e-6)
            axes.set_xscale("log")
            _decades(axes)
            _arm_axis(axes, names, title, labels=i == 0)
        axes = figure.add_subplot(spec[0, 2])
        given = result.subjects[result.subjects["dosed"] > 0.0]
        shares = [100.0 * np.asarray(given["bioavailability"][given["arm"] == name], dtype=float) for name in names]
        _dots(axes, shares, 0.0, style.BLACK, None)
        axes.set_xlim(-4.0, 104.0)
        _arm_axis(axes, names, "Share of the dose reaching plasma, %", labels=False)
        for j, place in enumerate(places):
            figure.text(
                (2.2 + 1.35 * j) / width, 1.0 - 0.14 / height, "●  " + {"node": "draining node"}.get(place, place),
                color=style.PLACE_COLOURS[place], fontsize=9, va="top",
            )  # fmt: skip
    return figure


def _decades(axes: Axes) -> None:
    """Plain labels at powers of ten along a logarithmic x axis."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    axes.xaxis.set_major_locator(LogLocator(numticks=9))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _decade(x)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())


def _decade(value: float) -> str:
    exponent = round(float(np.log10(value)))
    return f"{value:g}" if -3 <= exponent <= 3 else style.power_of_ten(exponent)


def _positions(data: Any, names: Sequence[str]) -> list[int]:
    order = [str(a) for a in data["arm"].values]
    return [order.index(name) for name in names]


def _dots(axes: Axes, groups: Sequence[Array], offset: float, colour: str, floor: float | None) -> None:
    """Median and 10–90 % of each group on its own line."""
    for row, values in enumerate(groups):
        finite = values[np.isfinite(values)]
        if finite.size == 0 or (floor is not None and finite.max() <= floor):
            continue
        low, middle, high = np.quantile(np.maximum(finite, floor) if floor is not None else finite, [0.1, 0.5, 0.9])
        axes.plot([low, high], [row + offset] * 2, "-", color=colour, linewidth=2.2, alpha=0.45)
        axes.plot([middle], [row + offset], "o", color=colour, markersize=5, markeredgewidth=0)


def _arm_axis(axes: Axes, names: Sequence[str], title: str, labels: bool) -> None:
    """Arms downwards on the y axis."""
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), [style.wrap(n, 28, 2) for n in names] if labels else [""] * len(names))
    axes.tick_params(axis="y", length=0)
    axes.set_title(title, loc="left", fontsize=9)
    axes.grid(axis="x")
    for row in range(1, len(names)):
        axes.axhline(row - 0.5, color="#EEEEEE", linewidth=0.8, zorder=0)
    axes.spines["left"].set_visible(False)


def plot_toxicity(result: Any) -> Figure:
    """Draw the share of hosts by worst grade of systemic toxicity and of injection-site reaction.

    Parameters
    ----------
    result
        A `Result`; the counts of `result.summary()` are drawn.
    """
    names = arm_names(result)
    arms = result.summary()["arms"]
    panels = (("systemic_toxicity_grade", "Systemic toxicity"), ("injection_site_grade", "Injection site"))
    height, width = 0.34 * len(names) + 1.25, 9.6
    with style.styled():
        figure = style.new_figure(width, height)
        spec = figure.add_gridspec(
            1, 2, left=2.2 / width, right=1.0 - 0.25 / width, top=1.0 - 0.72 / height, bottom=0.45 / height, wspace=0.08
        )
        for i, (key, title) in enumerate(panels):
            axes = figure.add_subplot(spec[0, i])
            counts = np.array([[arms[n][key].get(str(g), 0) for g in range(6)] for n in names], dtype=float)
            shares = 100.0 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
            _stacked(axes, shares, style.GRADE_COLOURS)
            _arm_axis(axes, names, f"{title}, % of hosts", labels=i == 0)
            axes.set_xlim(0.0, 100.0)
        _swatches(figure, 2.2, width, height, [f"grade {g}" for g in range(6)], style.GRADE_COLOURS, 0.88)
    return figure


def _stacked(axes: Axes, shares: Array, colours: Sequence[str]) -> None:
    """Horizontal stacked bars with the share written inside where there is room; `shares` in percent."""
    from matplotlib.colors import to_rgb

    left = np.zeros(shares.shape[0])
    rows = np.arange(shares.shape[0])
    for k, colour in enumerate(colours):
        axes.barh(rows, shares[:, k], left=left, height=0.66, color=colour, edgecolor="white", linewidth=0.6)
        dark = float(np.dot(to_rgb(colour), (0.299, 0.587, 0.114))) < 0.55
        for row in rows[shares[:, k] >= 7.0]:
            axes.text(
                left[row] + 0.5 * shares[row, k], row, f"{shares[row, k]:.0f}", ha="center", va="center",
                fontsize=7.5, color="white" if dark else style.INK,
            )  # fmt: skip
        left = left + shares[:, k]


def _swatches(
    figure: Figure, left: float, width: float, height: float, words: Sequence[str], colours: Sequence[str], step: float
) -> None:
    """Row of coloured squares with words along the top."""
    from matplotlib.patches import Rectangle

    for k, (word, colour) in enumerate(zip(words, colours, strict=True)):
        x = left + step * k
        square = Rectangle((x / width, 1.0 - 0.27 / height), 0.12 / width, 0.12 / height, color=colour)
        square.set_transform(figure.transFigure)
        figure.add_artist(square)
        figure.text((x + 0.17) / width, 1.0 - 0.21 / height, word, fontsize=8.5, va="center")


def death_shares(result: Any) -> tuple[Array, Array]:
    """What tumour cells died of from the first dose on: mean shares (arms, causes), median numbers of deaths (arms,).

    Cumulative counts of each host are summed over lesions; hosts in which nothing died do not count.
    """
    names = arm_names(result)
    day = np.asarray(result.daily["day"].values, dtype=float)
    at = max(int(np.searchsorted(day, first_dose_day(result), side="right")) - 1, 0)
    shares, numbers = np.full((len(names), len(CAUSES)), np.nan), np.full(len(names), np.nan)
    for i, name in enumerate(names):
        data = result.daily.sel(arm=name)
        counts = []
        for cause in CAUSES:
            values = np.nan_to_num(over_lesions(data, cause, "sum"))
            counts.append(np.maximum(values.max(axis=0) - values[at], 0.0))
        died = np.array(counts)
        total = died.sum(axis=0)
        if (total > 0.0).any():
            shares[i] = (died[:, total > 0.0] / total[total > 0.0]).mean(axis=1)
            numbers[i] = float(np.median(total[total > 0.0]))
    return shares, numbers


def plot_deaths(result: Any) -> Figure:
    """Draw what tumour cells died of from the first dose on: one stacked bar per arm (mean over hosts).

    Parameters
    ----------
    result
        A `Result`; the cumulative death counts of `result.daily` are used.
    """
    names = arm_names(result)
    shares, numbers = death_shares(result)
    height, width = 0.34 * len(names) + 1.25, 9.6
    with style.styled():
        figure = style.new_figure(width, height)
        axes = figure.add_axes((2.2 / width, 0.45 / height, (width - 3.9) / width, (height - 1.17) / height))
        _stacked(axes, 100.0 * np.nan_to_num(shares), list(style.CAUSE_COLOURS.values()))
        _arm_axis(axes, names, "Tumour cells that died after the first dose, % by cause", labels=True)
        axes.set_xlim(0.0, 100.0)
        for row, number in enumerate(numbers):
            text = f"{_count(number)} cells" if np.isfinite(number) else "none"
            axes.text(102.0, row, text, va="center", fontsize=8, color="#666666")
        _swatches(figure, 2.2, width, height, list(CAUSES.values()), list(style.CAUSE_COLOURS.values()), 1.16)
    return figure


def _count(number: float) -> str:
    """Number of cells in words of ten: 3.2 × 10⁸."""
    if number < 1000.0:
        return f"{number:.0f}"
    exponent = int(np.floor(np.log10(number)))
    return f"{number / 10.0**exponent:.1f} × {style.power_of_ten(exponent)}"
