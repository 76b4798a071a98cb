"""The cause → effect panel: one column per arm, one row per link of the chain, all on one time axis."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from locokine.report import style
from locokine.results.result import quantile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]


class Curve(NamedTuple):
    """One curve of a row: variable, how lesions are put together, how it is called and drawn."""

    variable: str
    over_lesions: Literal["sum", "mean", "body"]
    label: str
    colour: str
    line: Literal["-", "--", ":"] = "-"
    band: bool = True


class Row(NamedTuple):
    """One link of the chain. `floor` makes the axis logarithmic; `relative` divides by the value at first dose."""

    title: str
    unit: str
    curves: tuple[Curve, ...]
    floor: float | None = None
    relative: bool = False
    low: float | None = None
    high: float | None = None
    height: float = 1.0


CHAIN: tuple[Row, ...] = (
    Row(
        "IL-2",
        "nM",
        (
            Curve("il2", "mean", "tumour", style.VERMILION),
            Curve("il2_node", "body", "draining node", style.BLUE),
            Curve("il2_plasma", "body", "plasma", style.BLACK),
            Curve("il2_endogenous", "mean", "host’s own, in tumour", style.VERMILION, ":", False),
        ),
        floor=1e-5,
        height=1.35,
    ),
    Row(
        "Leaky vessels",
        "state, 0–1",
        (
            Curve("leak_direct", "mean", "direct", style.ORANGE),
            Curve("leak_thrombotic", "mean", "plugging", style.BLACK),
            Curve("leak_lymphocyte", "mean", "by lymphocytes", style.GREEN),
        ),
        low=0.0,
        high=1.0,
    ),
    Row(
        "Oedema",
        "share of volume; strain",
        (
            Curve("oedema_fraction", "mean", "tumour and rim", style.BLUE),
            Curve("rim_oedema", "mean", "rim strain", style.SKY, "--", False),
        ),
    ),
    Row(
        "Tissue pressure",
        "mmHg",
        (Curve("interstitial_pressure", "mean", "tumour", style.PURPLE),),
        height=0.85,
    ),
    Row(
        "Blood flow",
        "of normal",
        (
            Curve("perfusion", "mean", "tumour", style.VERMILION),
            Curve("rim_perfusion", "mean", "rim", style.ORANGE, "--", False),
        ),
        low=0.0,
    ),
    Row(
        "Oxygen",
        "mmHg",
        (
            Curve("capillary_pO2", "mean", "capillaries", style.VERMILION),
            Curve("viable_pO2", "mean", "living tumour cells", style.BLUE),
        ),
        floor=1.0,
    ),
    Row(
        "Starvation",
        "share of tumour",
        (
            Curve("hypoxic_fraction", "mean", "hypoxic", style.SKY),
            Curve("necrotic_fraction", "mean", "necrotic", style.BLACK),
        ),
        low=0.0,
        high=1.0,
    ),
    Row(
        "Alarm",
        "cells",
        (
            Curve("antigen", "sum", "antigen and danger", style.PURPLE),
            Curve("node_dendritic", "body", "dendritic cells in node", style.BLUE),
        ),
        floor=1.0,
    ),
    Row(
        "Killers in tumour",
        "cells",
        (
            Curve("t_specific", "sum", "specific T cells", style.GREEN),
            Curve("nk", "sum", "NK cells", style.ORANGE),
            Curve("lak", "sum", "armed NK (LAK)", style.ORANGE, ":", False),
        ),
        floor=1e1,
        height=1.15,
    ),
    Row(
        "Interferon γ",
        "answer, 0–1",
        (Curve("interferon", "mean", "growth and vessels held", style.PURPLE),),
        low=0.0,
        high=1.0,
        height=0.7,
    ),
    Row(
        "Tumour",
        "times value at treatment",
        (
            Curve("viable_cells", "sum", "living cells", style.VERMILION),
            Curve("caliper_volume", "sum", "caliper volume", style.BLACK),
        ),
        floor=1e-4,
        relative=True,
        height=1.35,
    ),
)
"""Rows of the panel from cause (top) to effect (bottom)."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 2.35, 0.12, 0.62, 0.55
_ROW_HEIGHT, _GAP_Y, _GAP_X = 0.86, 0.17, 0.13
MAX_COLUMNS = 8
"""Arms side by side at most; more would be too narrow to read."""


OF_LIVING_CELLS = ("viable_pO2",)
"""Means over living tumour cells: without one there is no value, whatever oxygen the place has."""


def over_lesions(data: Any, variable: str, how: str) -> Array:
    """Values of a variable with lesions put together.

    Parameters
    ----------
    data
        `Result.daily` or `Result.series` of one arm (no `arm` dimension).
    variable
        Name of a lesion or body variable.
    how
        "sum" or "mean" over lesions that exist, or "body".

    Returns
    -------
    array
        Shape (times, subjects); nan where no lesion has a value (host dead, lesion not yet implanted or gone).
    """
    values = data[variable]
    time = next(d for d in values.dims if d not in ("lesion", "subject"))
    if how == "body":
        return np.asarray(values.transpose(time, "subject").values, dtype=float)
    values = np.asarray(values.transpose("lesion", time, "subject").values, dtype=float)
    if variable in OF_LIVING_CELLS:
        cells = np.asarray(data["viable_cells"].transpose("lesion", time, "subject").values, dtype=float)
        values = np.where(cells >= 1.0, values, np.nan)
    present = np.isfinite(values)
    count = present.sum(axis=0)
    total = np.where(present, values, 0.0).sum(axis=0)
    if how == "mean":
        total = total / np.maximum(count, 1)
    return np.where(count > 0, total, np.nan)


def quantiles(values: Array) -> tuple[Array, Array, Array, Array]:
    """10, 50 and 90 % over subjects that have a value, and the share of those; `values` has shape (times, subjects)."""
    low, middle, high = quantile(values, (0.1, 0.5, 0.9))
    return low, middle, high, np.isfinite(values).mean(axis=1)


def first_dose_day(result: Any) -> float:
    """Day of the first treatment of any arm; if there is none, the day of the last implantation."""
    times = [time / 24.0 for arm in result.protocol.arms for time in arm.times]
    if times:
        return min(times)
    return max((lesion.day for lesion in result.protocol.lesions), default=0.0)


def treatment_window(result: Any, after: float = 10.0, most: float = 28.0) -> tuple[float, float] | None:
    """Days worth a closer look: from 2 before the first treatment to `after` past the last, at most `most` past the first.

    None if that is most of the follow-up, or if there is no treatment.
    """
    times = [time / 24.0 for arm in result.protocol.arms for time in arm.times]
    end = result.protocol.follow_up / 24.0
    if not times:
        return None
    first, last = max(min(times) - 2.0, 0.0), min(max(times) + after, min(times) + most, end)
    return (first, last) if last - first < 0.7 * end else None


def thin(time: Array, curves: Array, tolerance: float = 0.004) -> NDArray[np.intp]:
    """Indices of the points a drawing needs: straight lines between them miss no curve by more than `tolerance`.

    Douglas and Peucker (1973) with vertical distances, for several curves on one time axis at once.

    Parameters
    ----------
    time
        Shape (times,).
    curves
        Shape (curves, times), on the scale of the drawing (logarithms for a logarithmic axis); nan is a gap.
    tolerance
        As a share of the range of all curves.
    """
    finite = np.isfinite(curves)
    span = float(np.ptp(curves[finite])) if finite.any() else 0.0
    edges = np.flatnonzero((finite[:, 1:] != finite[:, :-1]).any(axis=0))
    keep = {0, time.size - 1, *edges.tolist(), *(edges + 1).tolist()}
    fixed = sorted(keep)
    stack = list(pairwise(fixed))
    while stack:
        a, b = stack.pop()
        if b - a < 2:
            continue
        weight = (time[a + 1 : b] - time[a]) / (time[b] - time[a])
        chord = curves[:, a, None] * (1.0 - weight) + curves[:, b, None] * weight
        distance = np.nan_to_num(np.abs(curves[:, a + 1 : b] - chord)).max(axis=0)
        worst = int(distance.argmax())
        if distance[worst] > tolerance * span:
            middle = a + 1 + worst
            keep.add(middle)
            stack += [(a, middle), (middle, b)]
    return np.array(sorted(keep))


def _draw_curve(axes: Axes, time: Array, values: Array, curve: Curve, floor: float | None) -> tuple[float, float]:
    """Draw median and band of one curve; return the range that should be visible."""
    low, middle, high, share = quantiles(values)
    if not np.isfinite(middle).any():
        return np.nan, np.nan
    if floor is not None:
        low, middle, high = (np.where(np.isfinite(x), np.maximum(x, floor), np.nan) for x in (low, middle, high))
    shape = np.stack([low, middle, high])
    keep = thin(time, np.log10(shape) if floor is not None else shape)
    many = share >= 0.5 * float(share.max())
    turns = np.flatnonzero(many[1:] != many[:-1])
    keep = np.unique(np.concatenate([keep, turns, turns + 1]))
    t, low, middle, high, many = time[keep], low[keep], middle[keep], high[keep], many[keep]
    if curve.band and values.shape[1] > 1:
        axes.fill_between(t, low, high, color=curve.colour, alpha=0.16, linewidth=0)
    width = 1.5 if curve.line == "-" else 1.2
    axes.plot(t, np.where(many, middle, np.nan), curve.line, color=curve.colour, linewidth=width)
    if (~many & np.isfinite(middle)).any():
        few = np.where(many & np.roll(many, -1), np.nan, middle)
        axes.plot(t, few, "-", color=curve.colour, linewidth=0.6, alpha=0.75)
    top = high if curve.band else middle
    bottom = low if curve.band else middle
    return float(np.nanmin(bottom)), float(np.nanmax(top))


def _limits(row: Row, spans: list[tuple[float, float]]) -> tuple[float, float]:
    """Common y limits of a row from the visible ranges of all its curves in all arms."""
    finite = [s for s in spans if np.isfinite(s[0]) and np.isfinite(s[1])]
    low = min((s[0] for s in finite), default=0.0)
    high = max((s[1] for s in finite), default=1.0)
    if row.floor is not None:
        top = 10.0 ** np.ceil(np.log10(max(high, row.floor * 100.0)) + 0.05)
        bottom = 10.0 ** np.floor(np.log10(max(low, row.floor)) + 1e-9)
        return bottom * 0.7, top
    if row.low is not None:
        low = row.low
    if row.high is not None:
        high = row.high
    pad = 0.06 * max(high - low, 1e-3)
    return low - pad, high + pad


def _mark_doses(axes: Axes, days: list[float], top: bool) -> None:
    """Light bands where doses follow each other within two days, and a triangle at each dose above the top row."""
    if not days:
        return
    ordered = sorted(set(days))
    start = previous = ordered[0]
    for day in [*ordered[1:], np.inf]:
        if day - previous > 2.5:
            axes.axvspan(start, max(previous, start + 0.15), color="#FFF3C4", linewidth=0, zorder=0)
            start = day
        previous = day
    if top:
        axes.plot(
            ordered, [1.045] * len(ordered), "v", color=style.INK, markersize=3.2, markeredgewidth=0,
            transform=axes.get_xaxis_transform(), clip_on=False,
        )  # fmt: skip


def _row_header(figure: Figure, row: Row, bottom: float, height: float, width: float, total: float) -> None:
    """Title, unit and coloured curve names to the left of a row (inches from the lower left corner)."""
    from matplotlib.lines import Line2D

    y = bottom + height
    figure.text(0.42 / width, y / total, row.title, fontsize=10, fontweight="bold", va="top")
    figure.text(0.42 / width, (y - 0.165) / total, row.unit, fontsize=7.5, color="#666666", va="top")
    for i, curve in enumerate(row.curves):
        top = (y - 0.335 - 0.148 * i) / total
        middle = top - 0.062 / total
        line = Line2D(
            (0.42 / width, 0.62 / width), (middle, middle), linestyle=curve.line, color=curve.colour, linewidth=1.8,
            transform=figure.transFigure,
        )  # fmt: skip
        figure.add_artist(line)
        figure.text(0.68 / width, top, curve.label, fontsize=7.8, color=curve.colour, va="top")


def _arrow(figure: Figure, y_from: float, y_to: float, width: float, total: float) -> None:
    """Arrow on the far left from one link of the chain to the next."""
    from matplotlib.patches import FancyArrowPatch

    x = 0.2 / width
    figure.add_artist(
        FancyArrowPatch(
            (x, y_from / total), (x, y_to / total), transform=figure.transFigure, arrowstyle="-|>",
            mutation_scale=9, linewidth=1.1, color="#8A8A8A", shrinkA=0, shrinkB=0,
        )
    )  # fmt: skip


def _column_title(axes: Axes, arm: str, characters: int) -> None:
    """Name of the arm above a column."""
    axes.text(
        0.5, 1.13, style.wrap(arm, characters), transform=axes.transAxes, ha="center", va="bottom",
        fontsize=9.5, fontweight="bold", linespacing=1.0,
    )  # fmt: skip


def plot_chain(
    result: Any, arms: list[str] | None = None, days: tuple[float, float] | None = None
) -> Figure:
    """Draw the aligned cause → effect panel: columns are arms, rows go from IL-2 to the tumour.

    Curves are medians over hosts that are alive and have the lesion, bands 10–90 %; a curve turns thin once fewer than
    half of the hosts are left (survivors are a selection). Several lesions of a host are added (cells, volume) or
    averaged (all else). Doses are the triangles on top and the yellow band.

    Parameters
    ----------
    result
        A `Result`; `result.series` is used, so the first detailed subjects.
    arms
        Arms to show, in this order; default: all, at most eight.
    days
        First and last day shown; default: the whole follow-up. `treatment_window` gives the days around the doses.
    """
    names = list(arms if arms is not None else [arm.name for arm in result.protocol.arms])[:MAX_COLUMNS]
    series = result.series
    if days is not None and series.sel(time=slice(*days)).sizes["time"] > 1:
        series = series.sel(time=slice(*days))
    time = np.asarray(series["time"].values, dtype=float)
    doses = {arm.name: [time / 24.0 for time in arm.times] for arm in result.protocol.arms}
    start = max(first_dose_day(result), float(time[0]))
    heights = [row.height * _ROW_HEIGHT for row in CHAIN]
    total = _TOP + _BOTTOM + sum(heights) + _GAP_Y * (len(CHAIN) - 1)
    width = style.PAGE_WIDTH if len(names) > 2 else _LEFT + _RIGHT + 4.2 * len(names) + _GAP_X
    panel = (width - _LEFT - _RIGHT - _GAP_X * (len(names) - 1)) / max(len(names), 1)
    with style.styled():
        figure = style.new_figure(width, total)
        y = total - _TOP
        for r, (row, height) in enumerate(zip(CHAIN, heights, strict=True)):
            bottom = y - height
            _row_header(figure, row, bottom, height, width, total)
            spans: list[tuple[float, float]] = []
            row_axes: list[Axes] = []
            for c, name in enumerate(names):
                left = _LEFT + c * (panel + _GAP_X)
                axes = figure.add_axes((left / width, bottom / total, panel / width, height / total))
                row_axes.append(axes)
                data = series.sel(arm=name)
                _mark_doses(axes, doses.get(name, []), top=r == 0)
                for curve in row.curves:
                    values = over_lesions(data, curve.variable, curve.over_lesions)
                    if row.relative:
                        values = relative_to(values, time, start)
                    spans.append(_draw_curve(axes, time, values, curve, row.floor))
                if r == 0:
                    _column_title(axes, name, max(int(panel / 0.085), 8))
            for c, axes in enumerate(row_axes):
                _finish_panel(axes, row, spans, time, first=c == 0, last_row=r == len(CHAIN) - 1)
            if r < len(CHAIN) - 1:
                _arrow(figure, bottom + 0.5 * height - 0.12, bottom - _GAP_Y - 0.1, width, total)
            y = bottom - _GAP_Y
        figure.text(
            (_LEFT + 0.5 * (width - _LEFT - _RIGHT)) / width, 0.16 / total, "days", ha="center", va="bottom", fontsize=9
        )
    return figure


def relative_to(values: Array, time: Array, day: float) -> Array:
    """Values (times, subjects) over each subject's value at the last time before `day`; nan where that is not > 0.

    Before, not at: a dose has a volume, and swells the tumour the moment it is given.
    """
    at = max(int(np.searchsorted(time, day - 1e-9)) - 1, 0)
    base = values[at]
    return values / np.where(base > 0.0, base, np.nan)


def _finish_panel(
    axes: Axes, row: Row, spans: list[tuple[float, float]], time: Array, first: bool, last_row: bool
) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator

    low, high = _limits(row, spans)
    if row.floor is not None:
        axes.set_yscale("log")
        axes.set_ylim(low, high)
        decades = round(float(np.log10(high / low)))
        step = 1 if decades <= 4 else 2 if decades <= 8 else 3
        ticks = 10.0 ** np.arange(np.ceil(np.log10(low)), np.floor(np.log10(high)) + 0.5)
        shown = [float(t) for t in ticks if round(np.log10(t)) % step == 0]
        axes.set_yticks(shown, [_power(t, t <= row.floor * 1.001) for t in shown])
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_minor_formatter(NullFormatter())
        if row.relative:
            axes.axhline(1.0, color="#AAAAAA", linewidth=0.7, zorder=0.5)
    else:
        axes.set_ylim(low, high)
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.6g}".replace("-", "−")))
    style.time_axis(axes, float(time[0]), float(time[-1]))
    axes.grid(axis="y")
    if not first:
        axes.tick_params(labelleft=False, left=False)
        axes.spines["left"].set_visible(False)
    if not last_row:
        axes.tick_params(labelbottom=False, length=2)


def _power(value: float, lowest: bool) -> str:
    """Tick label of a decade; the lowest one stands for everything below it, zero included."""
    exponent = round(float(np.log10(value)))
    text = {-2: "0.01", -1: "0.1", 0: "1", 1: "10", 2: "100"}.get(exponent, style.power_of_ten(exponent))
    return f"≤ {text}" if lowest else text
