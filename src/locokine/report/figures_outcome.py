"""What happened: survival, best response, courses, exposure, toxicity and causes of cell death."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from locokine.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

RESPONSES: tuple[str, ...] = ("CR", "PR", "SD", "PD", "NE")
RESPONSE_NAMES: dict[str, str] = {
    "CR": "complete",
    "PR": "partial",
    "SD": "stable",
    "PD": "progression",
    "NE": "not evaluable",
}
CAUSES: dict[str, str] = {
    "deaths_starved": "starved",
    "deaths_t": "T cells",
    "deaths_lak": "NK and LAK",
    "deaths_macrophage": "macrophages",
    "deaths_spontaneous": "spontaneous",
}
CLIP = 100.0
"""Changes above +100 % are drawn as +100 % (growth has no upper end)."""
MOST_DRAWN = 200
"""Hosts drawn per arm in waterfall and spider plots; of more, evenly spaced ranks or the first ones."""
GONE = 0.01
"""Sizes below this share of baseline are drawn at this share (a logarithmic axis has no zero)."""


def arm_names(result: Any) -> list[str]:
    """Arms in the order of the experiment."""
    return [arm.name for arm in result.protocol.arms]


def plot_survival(result: Any) -> Figure:
    """Draw Kaplan–Meier curves with 95 % bands, censoring ticks, direct labels and the numbers at risk.

    Parameters
    ----------
    result
        A `Result`; columns `survival` and `died` of `result.subjects` are used.
    """
    names = arm_names(result)
    styles = style.arm_styles(names)
    end = result.protocol.follow_up / 24.0
    table = 0.19 * len(names) + 0.3
    height = 3.7 + 0.75 + table
    left, right, bottom = 2.0, 2.1, table + 0.55
    with style.styled():
        figure = style.new_figure(9.6, height)
        width = 9.6
        axes = figure.add_axes((left / width, bottom / height, (width - left - right) / width, 3.7 / height))
        ends: list[float] = []
        groups = {name: result.subjects[result.subjects["arm"] == name] for name in names}
        for name in names:
            ends.append(_draw_survival(axes, result.outcome.survival(name), groups[name], end, *styles[name]))
        axes.set_ylim(0.0, 104.0)
        axes.set_yticks([0, 25, 50, 75, 100])
        axes.set_ylabel("alive, %")
        style.time_axis(axes, 0.0, end)
        axes.set_xlabel("days", labelpad=1)
        axes.grid(axis="y")
        for name, y, label_y in zip(names, ends, style.spread(ends, 5.6, 1.0, 101.0), strict=True):
            axes.annotate(
                f"{style.wrap(name, 24, 1)}  {y:.0f} %", (end, y), (end * 1.045, label_y), color=styles[name][0],
                fontsize=8.5, va="center", annotation_clip=False,
                arrowprops={"arrowstyle": "-", "color": "#BBBBBB", "linewidth": 0.6, "shrinkA": 2, "shrinkB": 0,
                            "relpos": (0.0, 0.5)},
            )  # fmt: skip
        _numbers_at_risk(figure, axes, groups, styles, (left, bottom - 0.5, width, height))
    return figure


def _draw_survival(axes: Axes, curve: Any, group: Any, end: float, colour: str, line: str) -> float:
    """Draw one step curve with its band and the hosts lost before the end; return its last height in percent."""
    keep = _steps(np.asarray(curve.survival, dtype=float))
    days = np.concatenate([np.asarray(curve.day)[keep], [end]])
    alive, low, high = (
        100.0 * np.concatenate([x[keep], x[keep][-1:]]) for x in map(np.asarray, (curve.survival, curve.low, curve.high))
    )
    axes.fill_between(days, low, high, step="post", color=colour, alpha=0.12, linewidth=0)
    axes.step(days, alive, line, where="post", color=colour, linewidth=1.8)
    lost = group[~group["died"].astype(bool)]["survival"].to_numpy(dtype=float)
    lost = np.sort(lost[lost < end - 0.5])
    if lost.size:
        axes.plot(lost, alive[np.searchsorted(days, lost, side="right") - 1], "|", color=colour, markersize=6)
    return float(alive[-1])


def _steps(survival: Array, least: float = 0.002) -> NDArray[np.intp]:
    """Indices of the steps worth drawing: each at least `least` below the one before, the first and the last."""
    keep = [0]
    for i in range(1, survival.size):
        if survival[keep[-1]] - survival[i] >= least or i == survival.size - 1:
            keep.append(i)
    return np.array(keep)


def _numbers_at_risk(figure: Figure, axes: Axes, groups: Any, styles: Any, box: tuple[float, ...]) -> None:
    """Table of hosts at risk under the time axis, at its ticks."""
    left, top, width, height = box
    first, last = axes.get_xlim()
    ticks = [t for t in axes.get_xticks() if first <= t <= last]
    span = (axes.get_position().x1 - axes.get_position().x0) * width
    figure.text(0.1 / width, top / height, "At risk", fontsize=8, fontweight="bold", va="center")
    for row, (name, group) in enumerate(groups.items()):
        y = (top - 0.19 * (row + 1)) / height
        figure.text(
            0.1 / width, y, style.wrap(name, 27, 1), fontsize=7.8, color=styles[name][0], va="center", ha="left"
        )
        days = np.asarray(group["survival"], dtype=float)
        for tick in ticks:
            x = (left + (tick - first) / (last - first) * span) / width
            figure.text(x, y, str(int((days >= tick).sum())), fontsize=7.8, ha="center", va="center", color=styles[name][0])


def _grid(count: int, panel_height: float, most: int = 3) -> tuple[Any, list[Any]]:
    """Figure with `count` panels in rows of up to `most` that share both axes, at page width."""
    columns = min(count, most)
    rows = -(-count // columns)
    width = style.PAGE_WIDTH * (0.45 if columns == 1 else 0.72 if columns == 2 else 1.0)
    top, bottom = 0.55, 0.55
    height = rows * panel_height + top + bottom
    figure = style.new_figure(width, height)
    spec = figure.add_gridspec(
        rows, columns, left=0.95 / width, right=1.0 - 0.15 / width, top=1.0 - (top + 0.1) / height,
        bottom=bottom / height, wspace=0.07, hspace=0.34,
    )  # fmt: skip
    panels: list[Any] = []
    for i in range(count):
        share = panels[0] if panels else None
        panels.append(figure.add_subplot(spec[i // columns, i % columns], sharex=share, sharey=share))
        if i % columns:
            panels[-1].tick_params(labelleft=False)
        if i < count - columns:
            panels[-1].tick_params(labelbottom=False)
    return figure, panels


def _response_legend(figure: Figure, shown: Sequence[str]) -> None:
    """Coloured names of the responses that occur, along the top."""
    from matplotlib.patches import Patch

    handles = [
        Patch(
            facecolor=style.RESPONSE_COLOURS[r],
            edgecolor="#777777" if r == "NE" else style.RESPONSE_COLOURS[r],
            linewidth=0.7,
            label=f"{r}  {RESPONSE_NAMES[r]}",
        )
        for r in shown
    ]
    figure.legend(handles=handles, loc="upper left", ncols=len(handles), bbox_to_anchor=(0.055, 1.0), handlelength=1.0)


def plot_waterfall(result: Any) -> Figure:
    """Draw the best change of tumour size of every host, worst first, coloured by best response; a panel per arm.

    Growth beyond +100 % is drawn as +100 %. Hosts that were not evaluable have no bar and are counted in the title.

    Parameters
    ----------
    result
        A `Result`; columns `best_change` (%, −100 = gone) and `best_response` of `result.subjects`.
    """
    names = arm_names(result)
    with style.styled():
        figure, panels = _grid(len(names), 2.1)
        shown: set[str] = set()
        for name, axes in zip(names, panels, strict=True):
            group = result.subjects[result.subjects["arm"] == name]
            change = np.asarray(group["best_change"], dtype=float)
            response = np.asarray(group["best_response"], dtype=object).astype(str)
            known = np.isfinite(change)
            order = _evenly(np.argsort(-change[known], kind="stable"))
            heights, words = np.minimum(change[known][order], CLIP), response[known][order]
            shown |= set(words.tolist())
            x = (np.arange(heights.size) + 0.5) / max(heights.size, 1)
            drawn = np.where(np.abs(heights) < 1.0, np.copysign(1.0, heights), heights)
            axes.bar(
                x, drawn, width=0.86 / max(heights.size, 1), color=[style.RESPONSE_COLOURS[w] for w in words],
                edgecolor=["#777777" if w == "NE" else "none" for w in words], linewidth=0.5,
            )  # fmt: skip
            missing = int((~known).sum())
            _panel_title(axes, name, f"n = {int(known.sum())}" + (f", {missing} not evaluable" if missing else ""))
            axes.axhline(0.0, color="#555555", linewidth=0.7)
            axes.axhline(partial_threshold(result), color="#555555", linewidth=0.7, linestyle=(0, (4, 3)), zorder=0.5)
            _percent_axis(axes)
            axes.set_xlim(-0.01, 1.01)
            axes.set_xticks([])
            axes.spines["bottom"].set_visible(False)
        _response_legend(figure, [r for r in RESPONSES if r in shown])
        figure.supylabel("best change of size, %", fontsize=9, x=0.008)
    return figure


def _evenly(order: NDArray[np.intp]) -> NDArray[np.intp]:
    """At most `MOST_DRAWN` evenly spaced members of an ordering, its ends included."""
    if order.size <= MOST_DRAWN:
        return order
    return order[np.round(np.linspace(0, order.size - 1, MOST_DRAWN)).astype(int)]


def _panel_title(axes: Axes, name: str, detail: str) -> None:
    axes.set_title(style.wrap(name, 40, 1), loc="left", pad=5)
    axes.set_title(detail, loc="right", fontsize=8, fontweight="normal", color="#666666", pad=5)


def _percent_axis(axes: Axes) -> None:
    axes.set_ylim(-106.0, CLIP * 1.06)
    axes.set_yticks([-100, -50, 0, 50, 100], ["−100", "−50", "0", "+50", "≥ +100"])
    axes.grid(axis="y")


def partial_threshold(result: Any) -> float:
    """Change in % from which a response is partial: −30 % of diameters (RECIST), −50 % of volume (caliper)."""
    return -30.0 if result.manifest.get("criteria") == "recist" else -50.0


def plot_spider(result: Any) -> Figure:
    """Draw the size of the tumours of every host at every visit relative to baseline, coloured by best response.

    Patients: sum of target diameters in percent, cut at +100 %. Animals: caliper volume on a logarithmic axis, because
    an untreated tumour grows many times over; anything below a hundredth is drawn at the bottom. A line ends at the
    last visit before death (a dot).

    Parameters
    ----------
    result
        A `Result`; `result.outcome.visits` and columns `best_response` and `died` of `result.subjects`.
    """
    names = arm_names(result)
    visits = result.outcome.visits
    patients = result.manifest.get("criteria") == "recist"
    end = result.protocol.follow_up / 24.0
    start = float(visits["day"].min()) if len(visits) else 0.0
    with style.styled():
        figure, panels = _grid(len(names), 2.1)
        shown: set[str] = set()
        for name, axes in zip(names, panels, strict=True):
            hosts = result.subjects[result.subjects["arm"] == name].set_index("subject")
            courses = dict(iter(visits[visits["arm"] == name].groupby("subject", sort=True)))
            for subject, course in list(courses.items())[:MOST_DRAWN]:
                word = str(hosts["best_response"][subject])
                shown.add(word)
                change = np.asarray(course["change"], dtype=float)
                heights = change if patients else np.maximum(1.0 + change / 100.0, GONE)
                top = CLIP * 1.06 if patients else np.inf
                day = np.asarray(course["day"], dtype=float)
                _spider_line(axes, day, heights, top, word, bool(hosts["died"][subject]))
            _panel_title(axes, name, f"{int((~hosts['died'].astype(bool)).sum())} of {len(hosts)} alive at the end")
            _spider_axis(axes, patients)
            style.time_axis(axes, start - 0.01 * (end - start), end)
        _response_legend(figure, [r for r in RESPONSES if r in shown])
        what = "sum of diameters, change in %" if patients else "caliper volume, times baseline"
        figure.supylabel(what, fontsize=9, x=0.008)
        figure.supxlabel("days", fontsize=9, y=0.02)
    return figure


def _spider_axis(axes: Axes, patients: bool) -> None:
    """Percent for patients, multiples of baseline on a logarithmic axis for animals; dashed: partial response."""
    from matplotlib.ticker import NullLocator

    axes.axhline(0.0 if patients else 1.0, color="#555555", linewidth=0.7, zorder=0.5)
    axes.axhline(-30.0 if patients else 0.5, color="#555555", linewidth=0.7, linestyle=(0, (4, 3)), zorder=0.5)
    if patients:
        _percent_axis(axes)
        return
    axes.set_yscale("log")
    top = max(axes.get_ylim()[1], 10.0)
    axes.set_ylim(GONE * 0.75, top)
    ticks = [t for t in (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0, 1e4) if t <= top]
    axes.set_yticks(ticks, ["≤ 0.01", *(f"{t:g}" for t in ticks[1:])])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y")


def _spider_line(axes: Axes, day: Array, heights: Array, top: float, word: str, died: bool) -> None:
    """One host from baseline to its last visit, or to the first visit above the panel."""
    if day.size == 0:
        return
    colour = style.RESPONSE_COLOURS[word] if word != "NE" else "#999999"
    above = np.flatnonzero(heights > top)
    stop = int(above[0]) + 1 if above.size else day.size
    axes.plot(day[:stop], heights[:stop], "-", color=colour, linewidth=0.8, alpha=0.6)
    if died and not above.size:
        axes.plot(day[-1], heights[-1], "o", color=colour, markersize=2.6, markeredgewidth=0)


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
    """What tumour cells died of from the first dose on: mean shares (arms, causes) and median numbers of deaths (arms,).

    Cumulative counts of each host are summed over lesions; hosts in which nothing died do not count.
    """
    from locokine.report.figures_chain import first_dose_day, over_lesions

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
    digits = "".join("⁰¹²³⁴⁵⁶⁷⁸⁹"[int(d)] for d in str(exponent))
    return f"{number / 10.0**exponent:.1f} × 10{digits}"
