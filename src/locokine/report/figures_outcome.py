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
    columns = (np.asarray(x, dtype=float)[keep] for x in (curve.survival, curve.low, curve.high))
    alive, low, high = (100.0 * np.concatenate([x, x[-1:]]) for x in columns)
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
            count = str(int((days >= tick).sum()))
            figure.text(x, y, count, fontsize=7.8, ha="center", va="center", color=styles[name][0])


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
            courses = visits[(visits["arm"] == name) & visits["subject"].isin(hosts.index[:MOST_DRAWN])]
            for subject, course in courses.groupby("subject", sort=True):
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
